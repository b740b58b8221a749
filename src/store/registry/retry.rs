//! When to try again, and how long to wait before.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::RegistryError;
use super::transport::Response;
use crate::store::StoreError;

/// How often one request or upload is tried again.
const RETRIES: u32 = 4;
/// A registry that does not answer the telephone is reported soon.
const CONNECT_RETRIES: u32 = 2;
/// The longest first pause; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of our own making.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause that a registry can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Why an attempt failed that another one may mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A status of [`is_transient`], with the pause it asks for.
    Status { retry_after: Option<Duration> },
    /// No connection came about.
    Connect,
    /// The connection broke off.
    Broken,
    /// No byte moved for too long.
    Stalled,
    /// The token was refused in the middle of an upload; another one has been asked for.
    TokenExpired,
}

/// Statuses that say "not now": those of go-containerregistry and regclient.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 499 | 500 | 502 | 503 | 504 | 522)
}

impl Trouble {
    /// The trouble of an answer whose status [`is_transient`].
    pub(super) fn of(response: &Response) -> Self {
        Self::Status { retry_after: response.header("retry-after").and_then(|header| retry_after(header, SystemTime::now())) }
    }

    /// How often another attempt may follow, of at most `most`.
    fn retries(self, most: u32) -> u32 {
        match self {
            Self::Connect => most.min(CONNECT_RETRIES),
            // the attempt failed for want of a log-in, which there is now
            Self::TokenExpired => 1,
            Self::Status { .. } | Self::Broken | Self::Stalled => most,
        }
    }
}

/// The pause that a `Retry-After` header asks for: seconds, or a date as HTTP writes it.
pub(super) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(header).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// A failed attempt: what to report, and whether another one may mend it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) trouble: Option<Trouble>,
    pub(super) error: StoreError,
}

impl Failure {
    pub(super) fn transient(trouble: Trouble, error: RegistryError) -> Self {
        Self { trouble: Some(trouble), error: error.into() }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { trouble: None, error }
    }
}

/// Tries again; the pause is a function so that tests need not wait.
#[derive(Clone)]
pub(super) struct Retry {
    pause: Arc<dyn Fn(Duration) + Send + Sync>,
    /// How often an attempt may follow another.
    retries: u32,
    /// The longest first pause; it doubles from there.
    first_pause: Duration,
    /// All pauses of one request together.
    most: Duration,
}

impl Retry {
    pub(super) fn new(pause: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self { pause: Arc::new(pause), retries: RETRIES, first_pause: FIRST_PAUSE, most: Duration::MAX }
    }

    /// The same with what the user says about it.
    pub(super) fn trying(self, retries: Option<u32>, first_pause: Option<Duration>) -> Self {
        Self { retries: retries.unwrap_or(self.retries), first_pause: first_pause.unwrap_or(self.first_pause), ..self }
    }

    /// The same, giving up rather than waiting longer than this in all.
    pub(super) fn waiting_at_most(self, most: Duration) -> Self {
        Self { most, ..self }
    }

    /// The same for a place that others stand in for.
    pub(super) fn hasty(self) -> Self {
        Self { retries: self.retries.min(1), ..self }
    }

    /// Runs `attempt` until it succeeds or another try is of no use; `what` names it in the log: "upload of sha256:…".
    pub(super) fn run<T>(&self, what: &dyn fmt::Display, attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, StoreError> {
        self.run_while(what, &|| false, attempt)
    }

    /// The same; attempts before the last one that `moved` the work on do not count.
    pub(super) fn run_while<T>(
        &self,
        what: &dyn fmt::Display,
        moved: &dyn Fn() -> bool,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let (mut made, mut waited) = (0, Duration::ZERO);
        loop {
            let failure = match attempt() {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            made = if moved() { 1 } else { made + 1 };
            let next = failure.trouble.and_then(|trouble| Some((self.next(trouble, made, dice())?, trouble.retries(self.retries) + 1)));
            let Some((pause, most)) = next.filter(|(pause, _)| waited + *pause <= self.most) else { return Err(failure.error) };
            waited += pause;
            tracing::debug!("{what} broke off");
            tracing::warn!("{}; attempt {} of {most} in {pause:.1?}", chain(&failure.error), made + 1);
            self.pause(pause);
        }
    }

    /// How long to wait before the next attempt; `None` to give up. `made` attempts are over; `dice` is in 0..1.
    ///
    /// Full jitter, so that a fleet of pipelines that failed together does not come back together.
    fn next(&self, trouble: Trouble, made: u32, dice: f64) -> Option<Duration> {
        if made > trouble.retries(self.retries) {
            return None;
        }
        let cap = LONGEST_PAUSE.max(self.first_pause);
        let longest = self.first_pause.saturating_mul(1 << (made - 1).min(16)).min(cap);
        match trouble {
            Trouble::Status { retry_after: Some(asked) } => Some(asked.min(LONGEST_RETRY_AFTER)),
            Trouble::TokenExpired => Some(Duration::ZERO),
            _ => Some(longest.mul_f64(dice)),
        }
    }

    /// A pause that ends no attempt, such as before a second look.
    pub(super) fn pause(&self, pause: Duration) {
        (self.pause)(pause);
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(std::thread::sleep)
    }
}

fn chain(error: &StoreError) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A number in 0..1. Without a source of randomness the middle will do.
pub(super) fn dice() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const ASKED: Trouble = Trouble::Status { retry_after: Some(Duration::from_secs(7)) };
    const STATUS: Trouble = Trouble::Status { retry_after: None };

    #[test]
    fn the_pause_grows_is_capped_and_ends() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let retry = Retry::default();
        for (trouble, made, pause) in [
            (STATUS, 1, seconds(1)),
            (STATUS, 2, seconds(2)),
            (STATUS, 4, seconds(8)),
            (STATUS, 5, None),
            (Trouble::Broken, 3, seconds(4)),
            (Trouble::Stalled, 4, seconds(8)),
            (Trouble::Connect, 1, seconds(1)),
            (Trouble::Connect, 2, seconds(2)),
            (Trouble::Connect, 3, None),
            (ASKED, 1, seconds(7)),
            (ASKED, 4, seconds(7)),
            (ASKED, 5, None),
            (Trouble::Status { retry_after: seconds(9_999_999) }, 1, seconds(120)),
            (Trouble::TokenExpired, 1, seconds(0)),
            (Trouble::TokenExpired, 2, None),
        ] {
            assert_eq!(retry.next(trouble, made, 1.0), pause, "{trouble:?} after {made}");
        }
        assert_eq!(retry.next(STATUS, 3, 0.5), seconds(2), "jitter is full");
        assert_eq!(retry.next(STATUS, 3, 0.0), seconds(0), "jitter is full");
    }

    #[test]
    fn how_often_and_how_soon_is_the_users_word() {
        let of = |retries, first| Retry::default().trying(Some(retries), Some(Duration::from_millis(first)));
        let pauses = |retry: Retry, trouble| {
            (1..20).map_while(|made| retry.next(trouble, made, 1.0)).map(|pause| pause.as_millis()).collect::<Vec<_>>()
        };
        for (retries, first, trouble, expected) in [
            (0, 1000, STATUS, vec![]),
            (1, 1000, STATUS, vec![1000]),
            (3, 20, Trouble::Stalled, vec![20, 40, 80]),
            (2, 0, Trouble::Broken, vec![0, 0]),
            (2, 60_000, Trouble::Broken, vec![60_000, 60_000]),
            (1, 5, Trouble::Connect, vec![5]),
            (9, 5, Trouble::Connect, vec![5, 10]),
            (2, 5, ASKED, vec![7000, 7000]),
            (0, 5, Trouble::TokenExpired, vec![0]),
        ] {
            assert_eq!(pauses(of(retries, first), trouble), expected, "{retries} retries after {first} ms: {trouble:?}");
        }
    }

    #[test]
    fn only_statuses_that_pass_are_tried_again() {
        let transient: Vec<u16> = (100..600).filter(|status| is_transient(*status)).collect();
        assert_eq!(transient, [408, 429, 499, 500, 502, 503, 504, 522]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000); // Tue, 14 Nov 2023 22:13:20 GMT
        for (header, expected) in [
            ("0", Some(0)),
            (" 30 ", Some(30)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", Some(30)),
            ("Tue, 14 Nov 2023 22:13:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, now), expected.map(Duration::from_secs), "{header}");
        }
    }

    #[test]
    fn runs_until_it_works_or_the_attempts_are_used_up() {
        for (failures, attempts, works) in [(0, 1, true), (4, 5, true), (5, 5, false), (9, 5, false)] {
            let pauses = Arc::new(Mutex::new(Vec::new()));
            let seen = Arc::clone(&pauses);
            let mut made = 0;
            let result = Retry::new(move |pause| seen.lock().unwrap().push(pause)).run(&"test", || {
                made += 1;
                if made > failures {
                    Ok(())
                } else {
                    Err(Failure::transient(ASKED, RegistryError::SubjectUnknown { subject: crate::oci::Digest::of(b"") }))
                }
            });
            assert_eq!((made, result.is_ok()), (attempts, works), "{failures} failures");
            assert_eq!(*pauses.lock().unwrap(), vec![Duration::from_secs(7); attempts - 1]);
        }
    }

    #[test]
    fn gives_up_rather_than_wait_too_long_in_all() {
        let mut made = 0;
        let result = Retry::new(|_| {}).waiting_at_most(Duration::from_secs(15)).run(&"test", || -> Result<(), Failure> {
            made += 1;
            Err(Failure::transient(ASKED, RegistryError::SubjectUnknown { subject: crate::oci::Digest::of(b"") }))
        });
        assert!(result.is_err());
        assert_eq!(made, 3, "7 and 7 seconds fit, three times 7 do not");
    }

    #[test]
    fn a_final_failure_is_not_tried_again() {
        let mut made = 0;
        let result = Retry::new(|_| panic!("paused")).run(&"test", || -> Result<(), Failure> {
            made += 1;
            Err(RegistryError::SubjectUnknown { subject: crate::oci::Digest::of(b"") }.into())
        });
        assert!(result.is_err() && made == 1);
    }

    #[test]
    fn dice_stay_in_their_range() {
        assert!((0..1000).map(|_| dice()).all(|number| (0.0..1.0).contains(&number)));
    }
}
