//! What Advanced Cluster Management brings to the hub: views of single objects, search results, and what works report back.

use serde_json::Value;

use super::{PodSeen, Seen, ServiceSeen, Sighting, condition, list, name, text};
use crate::kserve::Delivery;
use crate::oci::Reference;
use crate::rollout::status::{SeenImage, printable_name};

/// The most objects of one work that are read.
const MAX_MANIFESTS: usize = 1000;

/// A ManagedClusterView: one object of a cluster, as it was when the view was last refreshed. Its namespace is the cluster.
pub(super) fn cluster_view(object: &Value) -> Vec<Sighting> {
    let Some(cluster) = name(object, "/metadata/namespace") else { return Vec::new() };
    let Some(result) = object.pointer("/status/result") else { return Vec::new() };
    // A view of a view is none of ours.
    if result["kind"] == "ManagedClusterView" {
        return Vec::new();
    }
    let said = super::object(result).into_iter();
    said.map(|sighting| Sighting { site: vec![cluster.clone()], complete: false, ..sighting }).collect()
}

/// A pod among search results: flat, with lists written as `a; b`.
pub(super) fn search_item(item: &Value) -> Option<Sighting> {
    let cluster = name(item, "/cluster")?;
    let images: Vec<_> = words(item.get("image")?).into_iter().map(SeenImage::told).collect();
    let containers = item.get("container").map(words).unwrap_or_default();
    let is_model = |at: usize| containers.get(at).is_some_and(|container| *container == "modelcar");
    let label = words(item.get("label").unwrap_or(&Value::Null)).into_iter();
    let service = label.filter_map(|label| label.split_once('=')).find(|(key, _)| *key == "serving.kserve.io/inferenceservice");
    let (models, others) = images.into_iter().enumerate().partition::<Vec<_>, _>(|(at, _)| is_model(*at));
    let pod = PodSeen {
        namespace: name(item, "/namespace").unwrap_or_default(),
        service: service.map(|(_, service)| printable_name(service)),
        models: models.into_iter().map(|(_, image)| image).collect(),
        others: others.into_iter().map(|(_, image)| image).collect(),
        ready: text(item, "/status") == Some("Running"),
    };
    Some(Sighting { site: vec![cluster], seen: vec![Seen::Pod(pod)], complete: false })
}

/// `a; b` or a list.
fn words(value: &Value) -> Vec<&str> {
    let listed = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().flat_map(|text| text.split(';')).chain(listed).map(str::trim).filter(|word| !word.is_empty()).collect()
}

/// A ManifestWork: what the work's agent fed back of each object. Its namespace is the cluster.
pub(super) fn manifest_work(object: &Value) -> Option<Sighting> {
    let site = vec![name(object, "/metadata/namespace")?];
    let manifests = list(object, "/status/resourceStatus/manifests").take(MAX_MANIFESTS);
    let seen: Vec<_> = manifests.filter_map(feedback).map(Seen::Service).collect();
    Some(Sighting { site, seen, complete: false })
}

/// An InferenceService in a work's status. The names of the values are those of the work's feedback rules: `storageUri` for the image,
/// `ready` for the condition, or the whole `status` as JSON.
fn feedback(manifest: &Value) -> Option<ServiceSeen> {
    let meta = manifest.get("resourceMeta")?;
    if !matches!(meta["kind"].as_str()?, "InferenceService" | "LLMInferenceService") || condition(manifest, "Available") == Some(false) {
        return None;
    }
    let value = |wanted: &str| {
        let named = |value: &&Value| value["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        list(manifest, "/statusFeedback/values").find(named).map(|value| &value["fieldValue"])
    };
    let told = value("storageUri").and_then(|field| field["string"].as_str()).and_then(image);
    let status = value("status").and_then(|field| serde_json::from_str::<Value>(field["jsonRaw"].as_str()?).ok());
    let ready = value("ready").and_then(truth).or_else(|| condition(&status?, "Ready"));
    Some(ServiceSeen {
        namespace: name(meta, "/namespace").unwrap_or_default(),
        name: name(meta, "/name")?,
        told: told.into_iter().collect(),
        ready,
    })
}

fn image(uri: &str) -> Option<Reference> {
    let (_, image) = uri.split_once("://").filter(|_| Delivery::of_uri(uri).is_some())?;
    image.parse().ok()
}

/// A condition's status comes back as a string, a field as a boolean.
fn truth(field: &Value) -> Option<bool> {
    match field["string"].as_str() {
        Some("True" | "true") => Some(true),
        Some("False" | "false") => Some(false),
        _ => field["boolean"].as_bool(),
    }
}
