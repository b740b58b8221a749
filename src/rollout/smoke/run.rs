//! All of it in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::answer::Answer;
use super::clean::{self, Removed};
use super::compare::{Comparison, Tolerance, compare};
use super::endpoint::{Endpoint, Readiness, Reply};
use super::mark;
use super::request::{Case, Request};
use super::state::{self, Reason, State};
use super::{Mark, PODS, SERVICES, SmokeError};
use crate::cluster::{Cluster, ClusterError, Object};
use crate::kserve::Protocol;
use crate::rollout::service::render;
use crate::rollout::{RolloutError, Service, yaml};
use crate::stop::{self, Undo};
use crate::store::StoreOptions;

/// The label that KServe gives the pods of an InferenceService.
const POD_LABEL: &str = "serving.kserve.io/inferenceservice";
/// The first pause between two looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Trouble that may go away has this part of the time-out for it, and at most so long.
const PATIENCE: (u32, Duration) = (5, Duration::from_secs(120));

/// What is to be tried, and how.
#[derive(Clone, Debug)]
pub struct SmokeTest<'a> {
    /// What is made for it.
    pub service: &'a Service,
    /// Where.
    pub namespace: String,
    /// What the server calls the model.
    pub model: String,
    /// What is spoken to it: v1 or v2.
    pub protocol: Protocol,
    /// What is asked.
    pub cases: Vec<Case>,
    /// How far answers may be from what is expected.
    pub tolerance: Tolerance,
    /// The model's address, where it is not the one that the InferenceService says.
    pub url: Option<Url>,
    /// Which run this is.
    pub mark: Mark,
    /// How long to wait until the model can be asked.
    pub timeout: Duration,
    /// Whether what was made stays.
    pub keep: bool,
    /// How an address with TLS is reached.
    pub tls: StoreOptions,
}

impl SmokeTest<'_> {
    /// The same in a namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: String) -> Self {
        Self { namespace, ..self }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Done {
    /// The answers, or why there are none.
    pub result: Result<Vec<CaseReport>, RolloutError>,
    /// What became of what was made.
    pub cleanup: Cleanup,
}

/// What became of what was made.
#[derive(Debug)]
pub enum Cleanup {
    /// It goes.
    Deleted,
    /// There was nothing to delete.
    Nothing,
    /// It stays, as asked for.
    Kept,
    /// It stays, and should not.
    Failed(ClusterError),
}

/// Passed or failed: the word of the Tekton result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All answers are as expected.
    Passed,
    /// One is not.
    Failed,
}

impl Outcome {
    /// As in a Tekton result.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

/// A request and what came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaseReport {
    /// The request's file, or `zeros`.
    pub request: String,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The answer as it came; empty where there is none.
    #[serde(skip)]
    pub answer: Vec<u8>,
}

/// What came of a request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict")]
pub enum Verdict {
    /// There was nothing to compare with, and the answer is one.
    WellFormed {
        /// How many values it has.
        values: usize,
    },
    /// It was compared.
    Compared(Comparison),
    /// The server refused the request.
    Refused {
        /// Its status and words.
        reason: String,
    },
    /// What came is no answer of the protocol.
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

impl Verdict {
    /// Whether it is as it should be.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::WellFormed { .. } => Outcome::Passed,
            Self::Compared(comparison) if comparison.agrees() => Outcome::Passed,
            _ => Outcome::Failed,
        }
    }
}

/// The InferenceService that a test makes, as YAML.
///
/// # Errors
/// The image has no digest, or the service's KServe cannot do what is asked.
pub fn manifest(test: &SmokeTest<'_>) -> Result<String, RolloutError> {
    yaml::to_string(&object(test)?)
}

fn object(test: &SmokeTest<'_>) -> Result<Value, RolloutError> {
    let mut object = render::object(test.service)?;
    object["metadata"]["namespace"] = json!(test.namespace);
    test.mark.put_on(&mut object);
    Ok(object)
}

/// Makes the service, asks the model, and deletes what was made, whatever happened.
pub fn run(cluster: &Arc<Cluster>, test: &SmokeTest<'_>, say: &dyn Fn(&str)) -> Done {
    let object = match object(test) {
        Ok(object) => object,
        Err(error) => return Done { result: Err(error), cleanup: Cleanup::Nothing },
    };
    let _undo = (!test.keep).then(|| taken_back(cluster, test));
    let run = Run { cluster, test, say, clock: Clock::new(test.timeout) };
    let result = run.made(&object).and_then(|made| run.asked(&made)).map_err(RolloutError::from);
    Done { cleanup: run.cleanup(), result }
}

/// A signal must not leave the service behind either.
fn taken_back(cluster: &Arc<Cluster>, test: &SmokeTest<'_>) -> Undo {
    let (cluster, namespace, name, mark) = (cluster.clone(), test.namespace.clone(), test.service.name.to_string(), test.mark.clone());
    stop::undo(move || match clean::remove_own(&cluster, &namespace, &name, &mark) {
        Ok(removed) => tracing::debug!("InferenceService {name}: {removed:?}"),
        Err(error) => tracing::warn!("InferenceService {name} in namespace {namespace} was not deleted: {error}"),
    })
}

struct Run<'a> {
    cluster: &'a Cluster,
    test: &'a SmokeTest<'a>,
    say: &'a dyn Fn(&str),
    clock: Clock,
}

impl Run<'_> {
    fn name(&self) -> &str {
        self.test.service.name.as_str()
    }

    /// A request that was done although its answer was lost is done again, and then the name is taken: by us.
    fn made(&self, object: &Value) -> Result<Object, SmokeError> {
        (self.say)(&format!("creating InferenceService {} in namespace {}", self.name(), self.test.namespace));
        match self.cluster.create(SERVICES, &self.test.namespace, object) {
            Err(ClusterError::Exists { .. }) => self.found_own(),
            created => Ok(created?),
        }
    }

    fn found_own(&self) -> Result<Object, SmokeError> {
        let found = self.cluster.get(SERVICES, &self.test.namespace, self.name())?;
        let by_test = found.as_ref().is_some_and(mark::is_ours);
        let taken = SmokeError::Taken { name: self.name().to_owned(), namespace: self.test.namespace.clone(), by_test };
        found.filter(|object| self.test.mark.is_on(object)).ok_or(taken)
    }

    fn asked(&self, made: &Object) -> Result<Vec<CaseReport>, SmokeError> {
        let told = self.ready(made)?;
        let none = || SmokeError::NoAddress { name: self.name().to_owned() };
        let base = self.test.url.clone().or(told).ok_or_else(none)?;
        let endpoint = Endpoint::new(base, &self.test.model, self.test.protocol, &self.test.tls);
        let endpoint = endpoint.map_err(|error| ClusterError::Status(error.into()))?;
        (self.say)(&format!("ready after {} s; asking {} by {}", self.clock.elapsed(), endpoint.shown(), self.test.protocol));
        self.answering(&endpoint)?;
        self.test.cases.iter().map(|case| self.one(&endpoint, case)).collect()
    }

    /// Waits until the InferenceService is ready; its address.
    fn ready(&self, made: &Object) -> Result<Option<Url>, SmokeError> {
        let mut pace = Pace::default();
        let mut trouble = Patience::of(self.test.timeout);
        let mut last = String::new();
        loop {
            let reasons = match self.looked(made)? {
                State::Ready(url) => return Ok(url),
                State::Over(reasons) => return Err(self.not_ready(&reasons)),
                State::Trouble(reasons) if trouble.is_over() => return Err(self.not_ready(&reasons)),
                State::Trouble(reasons) => reasons,
                State::Waiting(reasons) => {
                    trouble.begin_again();
                    reasons
                }
            };
            let told = state::told(&reasons);
            if !reasons.is_empty() && told != last {
                (self.say)(&format!("waiting: {told}"));
                last = told;
            }
            if !self.clock.pause(&mut pace) {
                return Err(self.not_ready(&reasons));
            }
        }
    }

    fn looked(&self, made: &Object) -> Result<State, SmokeError> {
        let found = self.cluster.get(SERVICES, &self.test.namespace, self.name())?.filter(|object| object.uid() == made.uid());
        let found = found.ok_or_else(|| SmokeError::Vanished { name: self.name().to_owned() })?;
        match state::state(&found, &[]) {
            State::Ready(url) => Ok(State::Ready(url)),
            _ => Ok(state::state(&found, &self.pods())),
        }
    }

    /// Its pods. Whoever may not look at pods still learns what the InferenceService says.
    fn pods(&self) -> Vec<Object> {
        let selector = format!("{POD_LABEL}={}", self.name());
        self.cluster.list(PODS, &self.test.namespace, &selector).unwrap_or_else(|error| {
            tracing::debug!("cannot look at the pods: {error}");
            Vec::new()
        })
    }

    fn not_ready(&self, reasons: &[Reason]) -> SmokeError {
        SmokeError::NotReady {
            name: self.name().to_owned(),
            seconds: self.clock.elapsed(),
            reasons: state::told(reasons),
            by_model: state::is_the_models_fault(reasons),
        }
    }

    /// Waits until the model itself says that it can be asked.
    fn answering(&self, endpoint: &Endpoint<'_>) -> Result<(), SmokeError> {
        let mut pace = Pace::default();
        let mut unknown = Patience::of(self.test.timeout);
        loop {
            let (reason, give_up) = match endpoint.readiness() {
                Readiness::Ready => return Ok(()),
                Readiness::Unknown(reason) => (reason, unknown.is_over()),
                Readiness::NotYet(reason) => {
                    unknown.begin_again();
                    (reason, false)
                }
            };
            if give_up || !self.clock.pause(&mut pace) {
                let (model, url) = (self.test.model.clone(), endpoint.shown());
                return Err(SmokeError::Unready { model, url, seconds: self.clock.elapsed(), reason });
            }
        }
    }

    fn one(&self, endpoint: &Endpoint<'_>, case: &Case) -> Result<CaseReport, SmokeError> {
        let request = case.request.clone().map_or_else(|| zeros(endpoint), Ok)?;
        let (verdict, answer) = match endpoint.infer(&request)? {
            Reply::Refused(reason) => (Verdict::Refused { reason }, Vec::new()),
            Reply::Body(body) => (self.judged(&body, case.expected.as_ref()), body),
        };
        Ok(CaseReport { request: request.label, verdict, answer })
    }

    fn judged(&self, body: &[u8], expected: Option<&Answer>) -> Verdict {
        match (Answer::parse(self.test.protocol, body), expected) {
            (Err(malformed), _) => Verdict::Malformed { reason: malformed.to_string() },
            (Ok(answer), Some(expected)) => Verdict::Compared(compare(&answer, expected, self.test.tolerance)),
            (Ok(answer), None) => Verdict::WellFormed { values: answer.values() },
        }
    }

    fn cleanup(&self) -> Cleanup {
        if self.test.keep {
            return Cleanup::Kept;
        }
        match clean::remove_own(self.cluster, &self.test.namespace, self.name(), &self.test.mark) {
            Ok(Removed::Deleted) => Cleanup::Deleted,
            Ok(Removed::Missing) => Cleanup::Nothing,
            Err(error) => Cleanup::Failed(error),
        }
    }
}

/// A request made up from what the model says of itself; only v2 has a question for that.
fn zeros(endpoint: &Endpoint<'_>) -> Result<Request, SmokeError> {
    if endpoint.protocol != Protocol::V2 {
        return Err(SmokeError::NoSignature { reason: "a model tells its inputs in protocol v2 alone".to_owned() });
    }
    Request::zeros(&endpoint.metadata()?).map_err(|reason| SmokeError::NoSignature { reason })
}

/// How long all waiting together may take.
struct Clock {
    begun: Instant,
    timeout: Duration,
}

/// The next pause.
struct Pace(Duration);

/// How long trouble of one kind may last.
struct Patience {
    most: Duration,
    since: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self(PAUSES.0)
    }
}

impl Clock {
    fn new(timeout: Duration) -> Self {
        Self { begun: Instant::now(), timeout }
    }

    /// In whole seconds.
    fn elapsed(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }

    /// Waits a little longer than the last time; whether there was time left for it.
    fn pause(&self, pace: &mut Pace) -> bool {
        let left = self.timeout.saturating_sub(self.begun.elapsed());
        std::thread::sleep(pace.0.min(left));
        pace.0 = (pace.0 * 3 / 2).min(PAUSES.1);
        !left.is_zero()
    }
}

impl Patience {
    fn of(timeout: Duration) -> Self {
        Self { most: (timeout / PATIENCE.0).min(PATIENCE.1), since: None }
    }

    /// Notes trouble; whether it has lasted too long.
    fn is_over(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() >= self.most
    }

    fn begin_again(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_over_when_it_lasts_and_not_when_it_comes_and_goes() {
        let mut patience = Patience::of(Duration::from_secs(3600));
        assert!(!patience.is_over() && !patience.is_over());
        patience.since = Instant::now().checked_sub(Duration::from_secs(121));
        assert!(patience.is_over());
        patience.begin_again();
        assert!(!patience.is_over());
        assert!(Patience::of(Duration::ZERO).is_over());
    }

    #[test]
    fn a_clock_without_time_left_does_not_wait() {
        let mut pace = Pace(Duration::from_secs(3600));
        assert!(!Clock::new(Duration::ZERO).pause(&mut pace));
        assert_eq!(pace.0, PAUSES.1);
    }
}
