//! What an older KServe does not know yet.

use serde_json::Value;

use super::{Violation, check, kind_of, rules};
use crate::kserve::{CanaryWay, Delivery, Generation, Kind, Mode};

/// [`check`], and what one KServe in one mode does not have: a member that it would drop, a URI that it would refuse.
///
/// The mode is the one of a service that does not say its own.
pub fn check_on(object: &Value, generation: Generation, mode: Mode) -> Vec<Violation> {
    let mut found = check(object);
    match kind_of(object) {
        Some(Kind::InferenceService) => found.extend(inference(object, generation, rules::mode_of(object).unwrap_or(mode))),
        Some(Kind::LlmInferenceService) => found.extend(llm(object, generation)),
        None => {}
    }
    found
}

fn inference(object: &Value, generation: Generation, mode: Mode) -> Vec<Violation> {
    let predictor = &object["spec"]["predictor"];
    let mut found = Vec::new();
    if let Err(error) = generation.runs(mode) {
        found.push(Violation::new("metadata.annotations", error.to_string()));
    }
    if object["spec"].get("canary").is_some() && generation.canary(Mode::Standard) != CanaryWay::List {
        found.push(Violation::new("spec.canary", format!("is dropped by {generation}; it came with KServe 0.20 and OpenShift AI 3.5")));
    }
    let says_mode = rules::mode_of(object).is_some();
    if predictor.get("canaryTrafficPercent").is_some() && mode == Mode::Standard && !says_mode {
        found.push(Violation::new("spec.predictor.canaryTrafficPercent", "is silently ignored in mode Standard"));
    }
    let images = predictor["storageUris"].as_array().into_iter().flatten().filter_map(|entry| Delivery::of_uri(entry["uri"].as_str()?));
    if images.count() > 0 && !generation.has_several_sources() {
        found.push(Violation::new("spec.predictor.storageUris", format!("mounts no images on {generation}")));
    }
    found.extend(uris(object).filter_map(|(path, uri)| unsupported(path, uri, generation)));
    found
}

/// The URIs of models by their paths.
fn uris(object: &Value) -> impl Iterator<Item = (String, &str)> {
    let predictors = [("spec.predictor".to_owned(), &object["spec"]["predictor"])].into_iter();
    let canaries = object["spec"]["canary"].as_array().into_iter().flatten().enumerate();
    let all = predictors.chain(canaries.map(|(at, entry)| (format!("spec.canary[{at}].predictor"), &entry["predictor"])));
    all.filter_map(|(path, predictor)| Some((format!("{path}.model.storageUri"), predictor["model"]["storageUri"].as_str()?)))
}

fn unsupported(path: String, uri: &str, generation: Generation) -> Option<Violation> {
    let error = generation.supports(Delivery::of_uri(uri)?).err()?;
    Some(Violation::new(path, error.to_string()))
}

fn llm(object: &Value, generation: Generation) -> Vec<Violation> {
    let mut found = Vec::new();
    match Kind::LlmInferenceService.api_version(generation) {
        Err(error) => found.push(Violation::new("kind", error.to_string())),
        // Whoever stores the newer version serves the older one too.
        Ok("serving.kserve.io/v1alpha1") if object["apiVersion"] != "serving.kserve.io/v1alpha1" => {
            found.push(Violation::new("apiVersion", format!("{generation} has serving.kserve.io/v1alpha1 alone")));
        }
        Ok(_) => {}
    }
    let delivery = object["spec"]["model"]["uri"].as_str().and_then(Delivery::of_uri);
    if delivery.is_some_and(|delivery| !Kind::LlmInferenceService.takes(delivery)) {
        found.push(Violation::new("spec.model.uri", "an LLMInferenceService knows `oci://` and `oci+native://` alone"));
    } else if let Some(error) = delivery.and_then(|delivery| generation.supports(delivery).err()) {
        found.push(Violation::new("spec.model.uri", error.to_string()));
    }
    found
}
