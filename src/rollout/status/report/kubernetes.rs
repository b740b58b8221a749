//! What a site's own API server prints: services and pods.

use serde_json::Value;

use super::{PodSeen, ServiceSeen, condition, list, name, text};
use crate::kserve::Delivery;
use crate::oci::Reference;
use crate::rollout::Placed;
use crate::rollout::status::SeenImage;

/// The label by which KServe's pods name their InferenceService.
const SERVICE_LABEL: &str = "serving.kserve.io/inferenceservice";
/// The same for the pods of an LLMInferenceService.
const LLM_LABEL: &str = "app.kubernetes.io/name";
/// The most images of one object.
const MAX_IMAGES: usize = 64;

/// An InferenceService or LLMInferenceService.
pub(super) fn service(object: &Value) -> Option<ServiceSeen> {
    let told = uris(object).filter_map(Placed::of_uri).map(|placed| placed.image).take(MAX_IMAGES).collect();
    Some(ServiceSeen {
        namespace: name(object, "/metadata/namespace").unwrap_or_default(),
        name: name(object, "/metadata/name")?,
        told,
        ready: object.get("status").and_then(ready),
    })
}

/// Whether the service is ready, and each canary that gets requests: `Ready` is about the stable predictor.
fn ready(status: &Value) -> Option<bool> {
    let mut canaries =
        list(status, "/canaryStatuses").filter(|canary| canary["trafficPercent"].as_u64().is_some_and(|percent| percent > 0));
    Some(condition(status, "Ready")? && canaries.all(|canary| canary["ready"] != false))
}

/// The places where a service names its model, the stable one first.
fn uris(object: &Value) -> impl Iterator<Item = &str> {
    let fixed = ["/spec/predictor/model/storageUri", "/spec/model/uri"].into_iter().filter_map(|pointer| text(object, pointer));
    let several = list(object, "/spec/predictor/storageUris").filter_map(|entry| entry["uri"].as_str());
    let canaries = list(object, "/spec/canary").filter_map(|entry| text(entry, "/predictor/model/storageUri"));
    fixed.chain(several).chain(canaries)
}

/// A pod that runs or is about to; one that has ended or is on its way out says nothing about what is wanted.
pub(super) fn pod(object: &Value) -> Option<PodSeen> {
    let over = matches!(text(object, "/status/phase"), Some("Succeeded" | "Failed"));
    if over || object.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string) {
        return None;
    }
    let labels = &object["metadata"]["labels"];
    let of_llm = || (labels["app.kubernetes.io/part-of"] == "llminferenceservice").then(|| labels[LLM_LABEL].as_str())?;
    let service = labels[SERVICE_LABEL].as_str().or_else(of_llm).map(super::printable_name);
    let (models, others) = containers(object).partition::<Vec<_>, _>(|(container, _)| is_modelcar(container));
    let mut models: Vec<_> = models.into_iter().map(|(_, image)| image).collect();
    models.extend(volumes(object).chain(fetched(object)).take(MAX_IMAGES));
    Some(PodSeen {
        namespace: name(object, "/metadata/namespace").unwrap_or_default(),
        service,
        models,
        others: others.into_iter().map(|(_, image)| image).collect(),
        ready: object.get("status").and_then(|status| condition(status, "Ready")).unwrap_or(false),
    })
}

/// The sidecars that KServe adds: `modelcar`, `modelcar-1` …
fn is_modelcar(container: &str) -> bool {
    let rest = container.strip_prefix("modelcar");
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('-').is_some_and(|number| number.parse::<u8>().is_ok()))
}

/// Each container with its image: the one that it was told, and the one that its node says it is.
fn containers(pod: &Value) -> impl Iterator<Item = (&str, SeenImage)> {
    list(pod, "/spec/containers").take(MAX_IMAGES).filter_map(|container| {
        let name = container["name"].as_str()?;
        let status = list(pod, "/status/containerStatuses").find(|status| status["name"] == name);
        Some((name, SeenImage::of(container["image"].as_str(), status.and_then(|status| status["imageID"].as_str()))))
    })
}

/// Image volumes. Their digest is in the status of the container that mounts them, from Kubernetes 1.35 on:
/// <https://github.com/kubernetes/enhancements/issues/5365>.
fn volumes(pod: &Value) -> impl Iterator<Item = SeenImage> {
    list(pod, "/spec/volumes").filter_map(|volume| {
        let reference = text(volume, "/image/reference")?;
        let mounts = list(pod, "/status/containerStatuses").flat_map(|status| list(status, "/volumeMounts"));
        let mut statuses = mounts.filter(|mount| mount["name"] == volume["name"]);
        let id = statuses.find_map(|mount| text(mount, "/volumeStatus/image/imageRef"));
        Some(SeenImage::of(Some(reference), id))
    })
}

/// What the storage initializer was told to fetch: its first argument.
fn fetched(pod: &Value) -> impl Iterator<Item = SeenImage> {
    let initializers = list(pod, "/spec/initContainers").filter(|container| container["name"] == "storage-initializer");
    initializers.filter_map(|container| {
        let uri = text(container, "/args/0")?;
        let image = uri.split_once("://").filter(|_| Delivery::of_uri(uri).is_some())?.1.parse::<Reference>().ok()?;
        Some(SeenImage { told: Some(image), digest: None })
    })
}
