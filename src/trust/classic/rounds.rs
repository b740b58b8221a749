//! Adding to images that others add to at the same time.
//!
//! The `.sig` and `.att` tags are shared, and registries have no compare-and-swap: two signers who read, add and write at the same
//! time lose one signature (<https://github.com/sigstore/cosign/issues/2432>). So every write is read again after a pause that
//! outlasts another signer's read-to-write window (as long as ours just was), and done again until the signature stays.

use std::time::{Duration, Instant};

use super::{Place, Wanted};
use crate::store::Store;
use crate::trust::reason::shown;
use crate::trust::{Outcome, Signer, TrustError, Trusted};

/// Rounds of write and read again. Were eight signers to move in step, each round would see one of them done.
const MAX_TRIES: usize = 24;
/// No pause is longer, however slow the store.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How the images are written.
pub(in crate::trust) struct Rounds<'a> {
    pub(in crate::trust) store: &'a dyn Store,
    /// Signs what is missing, and nothing else: a log remembers every signature that is made.
    pub(in crate::trust) signer: &'a Signer,
    /// Knows this signer's signatures again.
    pub(in crate::trust) own: &'a Trusted,
    /// The way to wait.
    pub(in crate::trust) pause: &'a dyn Fn(Duration),
}

/// What one image has to hold.
pub(in crate::trust) struct Job {
    pub(in crate::trust) place: Place,
    pub(in crate::trust) wanted: Vec<Wanted>,
}

/// A job that is done.
pub(in crate::trust) struct Settled {
    pub(in crate::trust) place: Place,
    /// With their outcomes.
    pub(in crate::trust) wanted: Vec<Wanted>,
    /// The media types of what others than signers put there, made printable.
    pub(in crate::trust) squatters: Vec<String>,
}

impl Rounds<'_> {
    /// Writes until all that is wanted stays, and tells of each image that is done.
    pub(in crate::trust) fn settle(&self, mut open: Vec<Job>, done: &mut dyn FnMut(Settled)) -> Result<(), TrustError> {
        for _ in 0..MAX_TRIES {
            let start = Instant::now();
            open = self.round(open, done)?;
            if open.is_empty() {
                return Ok(());
            }
            (self.pause)(settling_time(start.elapsed()));
        }
        let Some(job) = open.first() else { return Ok(()) };
        Err(TrustError::Contended { digest: job.place.subject.digest(), tries: MAX_TRIES })
    }

    /// Reads each image, and gives back the jobs that had to write and must be read again.
    fn round(&self, jobs: Vec<Job>, done: &mut dyn FnMut(Settled)) -> Result<Vec<Job>, TrustError> {
        let mut open = Vec::new();
        for mut job in jobs {
            match self.settle_one(&mut job)? {
                Some(squatters) => done(Settled { place: job.place, wanted: job.wanted, squatters }),
                None => open.push(job),
            }
        }
        Ok(open)
    }

    /// The squatters if all that is wanted is there; otherwise adds what is missing.
    fn settle_one(&self, job: &mut Job) -> Result<Option<Vec<String>>, TrustError> {
        let there = super::read(self.store, &job.place.tag)?;
        let mut missing: Vec<&mut Wanted> = job.wanted.iter_mut().filter(|wanted| !wanted.is_in(&there, self.own)).collect();
        if missing.is_empty() {
            return Ok(Some(there.squatters().map(shown).collect()));
        }
        tracing::debug!(tag = %job.place.tag, missing = missing.len(), "adding to the image beside a manifest");
        missing.iter_mut().try_for_each(|wanted| wanted.sign(self.signer))?;
        missing.iter().try_for_each(|wanted| wanted.put_payload(self.store))?;
        super::add(self.store, &job.place, there, &missing)?;
        for wanted in &mut missing {
            wanted.outcome = Outcome::Added;
        }
        Ok(None)
    }
}

/// As long as our own reading and writing took, and up to once more at random, so that signers fall out of step.
fn settling_time(window: Duration) -> Duration {
    let jitter = f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX);
    window.mul_f64(1.0 + jitter).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_at_least_as_long_as_it_wrote_and_never_long() {
        let window = Duration::from_millis(100);
        for _ in 0..100 {
            let pause = settling_time(window);
            assert!(pause >= window && pause <= 2 * window, "{pause:?}");
        }
        assert_eq!(settling_time(Duration::from_secs(3600)), MAX_PAUSE);
    }
}
