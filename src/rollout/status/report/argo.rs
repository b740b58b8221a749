//! Argo CD's applications: `argocd app list -o json`, `kubectl get applications -o json`.

use serde_json::Value;

use super::{Seen, ServiceSeen, Sighting, list, name, text};
use crate::rollout::status::{SeenImage, printable_name};

/// The most resources and images of one application that are read.
const MAX_LISTED: usize = 5000;

/// An application with what Argo CD last saw of it.
pub(super) fn application(object: &Value) -> Option<Sighting> {
    let status = object.get("status").filter(|status| status.is_object())?;
    let images: Vec<_> = list(status, "/summary/images").take(MAX_LISTED).filter_map(Value::as_str).map(SeenImage::told).collect();
    let mut seen: Vec<Seen> = list(status, "/resources").take(MAX_LISTED).filter_map(service).map(Seen::Service).collect();
    seen.push(Seen::Images(images));
    seen.extend(words(status).map(Seen::Sync));
    Some(Sighting { site: sites(object), seen, complete: list(status, "/resources").next().is_some() })
}

/// `OutOfSync, Degraded`.
fn words(status: &Value) -> Option<String> {
    let words: Vec<_> = ["/sync/status", "/health/status"].into_iter().filter_map(|at| text(status, at)).map(printable_name).collect();
    if words.is_empty() { None } else { Some(words.join(", ")) }
}

/// The InferenceServices among an application's resources, with the health that Argo CD gives them.
fn service(resource: &Value) -> Option<ServiceSeen> {
    if !matches!(resource["kind"].as_str()?, "InferenceService" | "LLMInferenceService") {
        return None;
    }
    // A resource that is in Git and not on the cluster is listed too.
    if resource["status"] == "OutOfSync" && resource["health"]["status"] == "Missing" {
        return None;
    }
    Some(ServiceSeen {
        namespace: name(resource, "/namespace").unwrap_or_default(),
        name: name(resource, "/name")?,
        told: Vec::new(),
        ready: text(resource, "/health/status").map(|health| health == "Healthy"),
    })
}

/// What names the site: ACM's annotation, a label, the folder, the cluster, the application.
fn sites(object: &Value) -> Vec<String> {
    let metadata = &object["metadata"];
    let folder = |path: &str| path.trim_end_matches('/').rsplit_once("sites/").map(|(_, site)| site.to_owned());
    let paths = [text(object, "/spec/source/path")].into_iter().flatten();
    let paths = paths.chain(list(object, "/spec/sources").filter_map(|source| source["path"].as_str()));
    let mut sites: Vec<_> =
        metadata["annotations"]["apps.open-cluster-management.io/ocm-managed-cluster"].as_str().map(printable_name).into_iter().collect();
    sites.extend(metadata["labels"]["site"].as_str().map(printable_name));
    sites.extend(paths.filter_map(folder).map(|site| printable_name(&site)));
    sites.extend(name(object, "/spec/destination/name"));
    sites.extend(name(object, "/metadata/name"));
    sites
}
