//! What an InferenceService and its pods say about how far it is. Pure.
//!
//! The words are KServe's (`inference_service_status.go`) and the kubelet's (`containerStatuses[].state.waiting.reason`).

use serde_json::Value;
use url::Url;

use crate::cluster::Object;
use crate::oci::printable;

/// The longest reason, in characters: messages hold whole stack traces.
const MAX_REASON: usize = 400;
/// More would be the same again.
const MAX_REASONS: usize = 6;

/// The container that serves.
const SERVER: &str = "kserve-container";
/// What no waiting mends.
const AT_ONCE: [&str; 5] = ["InvalidImageName", "NoSupportingRuntime", "RuntimeNotRecognized", "RuntimeDisabled", "InvalidPredictorSpec"];
/// What a second try may mend: a model that is linked into the pod a moment too late, a registry that is away.
const LASTING: [&str; 8] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ModelLoadFailed",
    "RuntimeUnhealthy",
];

/// How far an InferenceService is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It serves; its address where it says one.
    Ready(Option<Url>),
    /// It may become ready.
    Waiting(Vec<Reason>),
    /// It will not, unless trouble of this kind goes away by itself soon.
    Trouble(Vec<Reason>),
    /// It will not.
    Over(Vec<Reason>),
}

/// Why it is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    word: String,
    text: String,
    /// Whether the model server has tried to load the model.
    by_model: bool,
}

impl Reason {
    fn new(place: &str, word: &str, message: &str, by_model: bool) -> Self {
        let message = message.trim();
        let text = if message.is_empty() { format!("{place}: {word}") } else { format!("{place}: {word}: {message}") };
        Self { word: word.to_owned(), text: printable(&text, MAX_REASON), by_model }
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.contains(&self.word.as_str())
    }
}

/// The reasons for people.
pub(super) fn told(reasons: &[Reason]) -> String {
    if reasons.is_empty() {
        return "it says no reason".to_owned();
    }
    reasons.iter().map(|reason| reason.text.as_str()).collect::<Vec<_>>().join("; ")
}

/// Whether the model is to blame, rather than the way to it.
pub(super) fn is_the_models_fault(reasons: &[Reason]) -> bool {
    let pulls = reasons.iter().any(|reason| reason.is_one_of(&["ImagePullBackOff", "ErrImagePull", "InvalidImageName"]));
    !pulls && reasons.iter().any(|reason| reason.by_model)
}

/// How far it is.
pub(super) fn state(service: &Object, pods: &[Object]) -> State {
    if is_ready(service) {
        return State::Ready(address(service));
    }
    let mut reasons: Vec<Reason> = pods.iter().flat_map(of_pod).chain(of_model(service)).chain(of_conditions(service)).collect();
    reasons.dedup_by(|a, b| a.text == b.text);
    reasons.truncate(MAX_REASONS);
    if service.text("/status/modelStatus/transitionStatus") == Some("InvalidSpec") || reasons.iter().any(|one| one.is_one_of(&AT_ONCE)) {
        return State::Over(reasons);
    }
    if reasons.iter().any(|one| one.is_one_of(&LASTING)) { State::Trouble(reasons) } else { State::Waiting(reasons) }
}

/// Ready, and for the generation that was made: a status may be older.
fn is_ready(service: &Object) -> bool {
    let seen = service.at("/status/observedGeneration").and_then(Value::as_u64);
    let generation = service.at("/metadata/generation").and_then(Value::as_u64);
    let is_ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
    seen.is_none_or(|seen| generation.is_none_or(|generation| seen >= generation)) && service.list("/status/conditions").any(is_ready)
}

/// The address inside the cluster; old versions write the path of a request behind it.
fn address(service: &Object) -> Option<Url> {
    let url = service.text("/status/address/url").or_else(|| service.text("/status/url"))?;
    let mut url: Url = url.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.host().is_some())?;
    let before = url.path().split("/v1/").next().and_then(|path| path.split("/v2/").next()).unwrap_or_default().to_owned();
    url.set_path(&before);
    url.set_query(None);
    Some(url)
}

fn of_model(service: &Object) -> Option<Reason> {
    let failure = service.at("/status/modelStatus/lastFailureInfo")?;
    let (reason, message) = (failure["reason"].as_str()?, failure["message"].as_str().unwrap_or_default());
    Some(Reason::new("the model", reason, message, reason == "ModelLoadFailed"))
}

fn of_conditions(service: &Object) -> impl Iterator<Item = Reason> {
    let failed = |one: &&Value| one["status"] == "False" && one["type"] != "Ready" && one["type"] != "Stopped";
    service.list("/status/conditions").filter(failed).filter_map(|one| {
        let (kind, reason) = (one["type"].as_str()?, one["reason"].as_str().unwrap_or("False"));
        Some(Reason::new(kind, reason, one["message"].as_str().unwrap_or_default(), false))
    })
}

fn of_pod(pod: &Object) -> Vec<Reason> {
    let containers = pod.list("/status/initContainerStatuses").chain(pod.list("/status/containerStatuses"));
    let mut reasons: Vec<_> = containers.filter_map(|container| of_container(pod, container)).collect();
    let unscheduled = pod.list("/status/conditions").find(|one| one["type"] == "PodScheduled" && one["status"] == "False");
    reasons.extend(unscheduled.map(|one| {
        let (word, message) = (one["reason"].as_str().unwrap_or("Unschedulable"), one["message"].as_str().unwrap_or_default());
        Reason::new(&format!("pod {}", pod.name()), word, message, false)
    }));
    reasons
}

/// A container that waits says why; one that crashed says what it said last.
fn of_container(pod: &Object, container: &Value) -> Option<Reason> {
    let name = container["name"].as_str()?;
    let waiting = &container["state"]["waiting"];
    let word = waiting["reason"].as_str().filter(|word| !["ContainerCreating", "PodInitializing"].contains(word))?;
    let last = &container["lastState"]["terminated"];
    let said = last["message"].as_str().filter(|said| !said.trim().is_empty()).or_else(|| last["reason"].as_str());
    let message = if word == "CrashLoopBackOff" { said } else { None }.or_else(|| waiting["message"].as_str());
    let place = format!("container {name} of pod {}", pod.name());
    Some(Reason::new(&place, word, message.unwrap_or_default(), name == SERVER && word == "CrashLoopBackOff"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(status: &Value) -> Object {
        Object::new(json!({"metadata": {"name": "iris", "generation": 1}, "status": status}))
    }

    fn pod(container: &str, state: &Value, last: &Value) -> Object {
        let status = json!({"name": container, "state": state, "lastState": last});
        Object::new(json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [status]}}))
    }

    #[test]
    fn ready_is_what_says_so_for_this_generation() {
        let ready = |more: Value| {
            let mut status = json!({"conditions": [{"type": "Ready", "status": "True"}]});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            state(&service(&status), &[])
        };
        for (url, expected) in [
            ("http://iris-predictor.scratch.svc.cluster.local", "http://iris-predictor.scratch.svc.cluster.local/"),
            ("http://iris.scratch.svc.cluster.local/v1/models/iris:predict", "http://iris.scratch.svc.cluster.local/"),
            ("https://iris-predictor.scratch.svc:8443/base/", "https://iris-predictor.scratch.svc:8443/base/"),
        ] {
            assert_eq!(ready(json!({"address": {"url": url}})), State::Ready(Some(expected.parse().unwrap())), "{url}");
        }
        for address in [json!({"address": {"url": "file:///etc/passwd"}}), json!({})] {
            assert_eq!(ready(address), State::Ready(None));
        }
        assert_eq!(ready(json!({"observedGeneration": 0})), State::Waiting(Vec::new()));
        assert_eq!(state(&service(&json!({})), &[]), State::Waiting(Vec::new()));
    }

    #[test]
    fn trouble_says_who_where_and_why() {
        let back_off = json!({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image quay.io/a"}});
        let crash = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}});
        let failure = |reason: &str| json!({"modelStatus": {"lastFailureInfo": {"reason": reason, "message": "no such operator"}}});
        let revision = json!({"conditions": [{"type": "PredictorReady", "status": "False", "reason": "RevisionFailed", "message": "m"}]});
        let table: [(Value, Vec<Object>, &str, &str, bool); 6] = [
            (
                json!({}),
                vec![pod("modelcar", &back_off, &json!({}))],
                "trouble",
                "container modelcar of pod p: ImagePullBackOff: Back-off",
                false,
            ),
            (
                json!({}),
                vec![pod(SERVER, &crash, &json!({"terminated": {"reason": "Error", "message": "cannot load /mnt/models"}}))],
                "trouble",
                "container kserve-container of pod p: CrashLoopBackOff: cannot load /mnt/models",
                true,
            ),
            (failure("ModelLoadFailed"), vec![], "trouble", "the model: ModelLoadFailed: no such operator", true),
            (failure("NoSupportingRuntime"), vec![], "over", "the model: NoSupportingRuntime", false),
            (revision, vec![], "waiting", "PredictorReady: RevisionFailed: m", false),
            (json!({}), vec![pod(SERVER, &json!({"waiting": {"reason": "ContainerCreating"}}), &json!({}))], "waiting", "no reason", false),
        ];
        for (status, pods, expected, text, by_model) in table {
            let (kind, reasons) = match state(&service(&status), &pods) {
                State::Waiting(reasons) => ("waiting", reasons),
                State::Trouble(reasons) => ("trouble", reasons),
                State::Over(reasons) => ("over", reasons),
                State::Ready(_) => panic!("ready"),
            };
            assert_eq!((kind, is_the_models_fault(&reasons)), (expected, by_model), "{text}");
            assert!(told(&reasons).contains(text), "{}", told(&reasons));
        }
    }

    #[test]
    fn an_image_that_cannot_be_pulled_says_nothing_about_the_model() {
        let back_off = json!({"waiting": {"reason": "ErrImagePull"}});
        let crash = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let pods = [pod("modelcar", &back_off, &json!({})), pod(SERVER, &crash, &json!({}))];
        let State::Trouble(reasons) = state(&service(&json!({})), &pods) else { panic!() };
        assert!(!is_the_models_fault(&reasons) && reasons.len() == 2);
    }

    #[test]
    fn strangers_words_are_cut_and_cleaned() {
        let failure = json!({"modelStatus": {"lastFailureInfo": {"reason": "ModelLoadFailed", "message": "\u{1b}[2J".repeat(1000)}}});
        let State::Trouble(reasons) = state(&service(&failure), &[]) else { panic!() };
        assert!(told(&reasons).chars().count() <= MAX_REASON + 1 && !told(&reasons).contains('\u{1b}'));
    }
}
