//! What KServe's webhook refuses though the schema allows it, and what its controllers silently ignore: the functions `validate…` of
//! `pkg/apis/serving/v1beta1` in kserve/kserve.

use std::collections::HashSet;

use serde_json::Value;

use super::Violation;
use crate::kserve::Mode;

const MODE: &str = "serving.kserve.io/deploymentMode";
/// Whose class says that other metrics are measured.
const CLASSES: [&str; 2] = ["serving.kserve.io/autoscalerClass", "autoscaling.knative.dev/class"];
/// Members of a canary predictor that would give it a scale of its own; `workerSpec` would give it several nodes.
const NOT_IN_CANARY: [&str; 5] = ["workerSpec", "maxReplicas", "scaleTarget", "scaleMetric", "autoScaling"];
/// Where a source is mounted that says nothing.
const MOUNT: &str = "/mnt/models";
/// The predictors of which there is one.
const IMPLEMENTATIONS: [&str; 11] =
    ["model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"];

/// The mode that an object asks for.
pub(super) fn mode_of(object: &Value) -> Option<Mode> {
    match object["metadata"]["annotations"][MODE].as_str()? {
        "Standard" | "RawDeployment" => Some(Mode::Standard),
        "Knative" | "Serverless" => Some(Mode::Knative),
        _ => None,
    }
}

/// What is wrong with an InferenceService.
pub(super) fn check(object: &Value) -> Vec<Violation> {
    let (predictor, mode) = (&object["spec"]["predictor"], mode_of(object));
    let mut found: Vec<_> = name(object).into_iter().collect();
    found.extend(implementations(predictor));
    found.extend(sources("spec.predictor", predictor, predictor));
    found.extend(traffic(predictor, mode));
    found.extend(replicas(predictor));
    found.extend(scale(object, predictor, mode));
    found.extend(canaries(object, mode));
    found
}

/// `IsvcNameFmt` of kserve/kserve.
fn name(object: &Value) -> Option<Violation> {
    let name = object["metadata"]["name"].as_str()?;
    let inner = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let valid = inner && name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.ends_with('-');
    (!valid).then(|| Violation::new("metadata.name", "should be lower-case letters, digits and `-`, a letter first"))
}

fn implementations(predictor: &Value) -> Option<Violation> {
    let there: Vec<_> = IMPLEMENTATIONS.into_iter().filter(|name| predictor.get(name).is_some()).collect();
    let what = || format!("has {}, and there may be one", there.join(" and "));
    (there.len() > 1).then(|| Violation::new("spec.predictor", what()))
}

/// One URI or a list, and paths that KServe can mount. A canary is laid over the stable predictor first.
fn sources(path: &str, predictor: &Value, stable: &Value) -> Vec<Violation> {
    let either = |names: &[&str]| [predictor, stable].iter().any(|one| names.iter().try_fold(*one, |at, name| at.get(name)).is_some());
    if either(&["storageUris"]) && either(&["model", "storageUri"]) {
        return vec![Violation::new(path, "`storageUris` and `model.storageUri` exclude each other")];
    }
    let list = predictor["storageUris"].as_array().map(Vec::as_slice).unwrap_or_default();
    let paths: Vec<_> = list.iter().map(|entry| entry["mountPath"].as_str().unwrap_or(MOUNT)).collect();
    let mut found = Vec::new();
    for (at, mount) in paths.iter().enumerate().filter(|(_, mount)| !mount.starts_with('/') || mount.contains("..") || **mount == "/") {
        found.push(Violation::new(
            format!("{path}.storageUris[{at}].mountPath"),
            format!("`{mount}` should be a path from the root, not the root"),
        ));
    }
    let images = list.iter().zip(&paths).filter(|(entry, _)| entry["uri"].as_str().is_some_and(|uri| uri.starts_with("oci")));
    let parents: Vec<_> = images.map(|(_, mount)| mount.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent)).collect();
    if parents.iter().collect::<HashSet<_>>().len() < parents.len() {
        found.push(Violation::new(
            format!("{path}.storageUris"),
            "every image needs a folder of its own to be mounted in: /mnt/models/a/model",
        ));
    }
    let tops: HashSet<_> = paths.iter().map(|mount| mount.trim_start_matches('/').split('/').next()).collect();
    if tops.len() > 1 {
        found.push(Violation::new(format!("{path}.storageUris"), "the mount paths need a common folder: /mnt/models"));
    }
    found
}

/// A part of the requests that nobody would split.
fn traffic(predictor: &Value, mode: Option<Mode>) -> Option<Violation> {
    let percent = predictor.get("canaryTrafficPercent")?;
    let path = "spec.predictor.canaryTrafficPercent";
    if mode == Some(Mode::Standard) {
        return Some(Violation::new(path, "is silently ignored in mode Standard; `spec.canary` splits there, since KServe 0.20"));
    }
    let fits = percent.as_i64().is_none_or(|percent| (0..=100).contains(&percent));
    (!fits).then(|| Violation::new(path, "should be from 0 to 100"))
}

fn replicas(predictor: &Value) -> Option<Violation> {
    let (min, max) = (predictor["minReplicas"].as_i64().unwrap_or(1), predictor["maxReplicas"].as_i64().unwrap_or(0));
    if min < 0 || max < 0 {
        return Some(Violation::new("spec.predictor", "`minReplicas` and `maxReplicas` cannot be negative"));
    }
    (max != 0 && min > max).then(|| Violation::new("spec.predictor.maxReplicas", format!("is lower than `minReplicas`, {min}")))
}

fn scale(object: &Value, predictor: &Value, mode: Option<Mode>) -> Vec<Violation> {
    let annotations = &object["metadata"]["annotations"];
    let mut found = Vec::new();
    if mode == Some(Mode::Knative) && predictor.get("deploymentStrategy").is_some() {
        found.push(Violation::new("spec.predictor.deploymentStrategy", "is for mode Standard alone"));
    }
    if CLASSES.iter().any(|class| annotations.get(class).is_some()) {
        return found;
    }
    let wrong = match (mode, predictor["scaleMetric"].as_str()) {
        (Some(Mode::Standard), Some("concurrency" | "rps")) => {
            Some("is for mode Knative alone; cpu and memory are measured in mode Standard")
        }
        (Some(Mode::Knative), Some("cpu" | "memory")) => {
            Some("is for mode Standard alone; concurrency and rps are measured in mode Knative")
        }
        _ => None,
    };
    found.extend(wrong.map(|what| Violation::new("spec.predictor.scaleMetric", what)));
    found
}

/// `validateCanarySpecs` of kserve/kserve v0.20.
fn canaries(object: &Value, mode: Option<Mode>) -> Vec<Violation> {
    let stable = &object["spec"]["predictor"];
    let list = object["spec"]["canary"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    if !list.is_empty() && mode == Some(Mode::Knative) {
        found.push(Violation::new("spec.canary", "is for mode Standard alone; Knative has `canaryTrafficPercent`"));
    }
    if !list.is_empty() && !IMPLEMENTATIONS.iter().any(|name| stable.get(name).is_some()) {
        found.push(Violation::new("spec.canary", "needs a stable predictor with a model"));
    }
    let mut names = HashSet::new();
    for (at, entry) in list.iter().enumerate() {
        found.extend(canary(&format!("spec.canary[{at}]"), entry, stable));
        let name = entry["predictor"]["name"].as_str().unwrap_or_default();
        if !name.is_empty() && !names.insert(name) {
            found.push(Violation::new(format!("spec.canary[{at}].predictor.name"), format!("`{name}` is there twice")));
        }
    }
    let sum: i128 = list.iter().filter_map(|entry| entry["trafficPercent"].as_i64()).map(i128::from).sum();
    if sum > 100 {
        found.push(Violation::new("spec.canary", format!("the canaries together get {sum} percent, and there are 100")));
    }
    found
}

fn canary(path: &str, entry: &Value, stable: &Value) -> Vec<Violation> {
    let predictor = &entry["predictor"];
    let mut found = sources(&format!("{path}.predictor"), predictor, stable);
    let name = predictor["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        found.push(Violation::new(format!("{path}.predictor.name"), "is missing"));
    } else if stable["name"] == name {
        found.push(Violation::new(format!("{path}.predictor.name"), format!("`{name}` is the stable predictor's")));
    }
    if entry["trafficPercent"].as_i64().is_some_and(|percent| !(0..=100).contains(&percent)) {
        found.push(Violation::new(format!("{path}.trafficPercent"), "should be from 0 to 100"));
    }
    for member in NOT_IN_CANARY.into_iter().filter(|member| predictor.get(member).is_some()) {
        found.push(Violation::new(format!("{path}.predictor.{member}"), "is forbidden in a canary, whose number of pods is fixed"));
    }
    if IMPLEMENTATIONS.iter().filter(|name| predictor.get(name).is_some()).count() != 1 {
        found.push(Violation::new(format!("{path}.predictor"), "needs exactly one model"));
    }
    let (own, of_stable) = (predictor["minReplicas"].as_i64(), stable["minReplicas"].as_i64().unwrap_or(1));
    if own.is_some_and(|own| own > of_stable) {
        found.push(Violation::new(format!("{path}.predictor.minReplicas"), format!("exceeds the stable predictor's, {of_stable}")));
    }
    found
}
