//! What others say runs on a site: kubectl's lists, Argo CD's applications, what ACM brings to the hub.
//!
//! Which of these a file is gets recognised by the kinds in it. Everything comes from strangers and is bounded; whatever is kept is
//! fit for a terminal. An object of a kind that says nothing about models is passed over.

mod acm;
mod argo;
mod document;
mod kubernetes;

use serde_json::Value;

use super::{SeenImage, printable_name};
use crate::oci::Reference;

pub use document::ReportError;

/// What one object of a report says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sighting {
    /// What names the site, the surest first; nothing in what kubectl prints.
    pub site: Vec<String>,
    /// What is said.
    pub seen: Vec<Seen>,
    /// Whether what it does not name is not there.
    pub complete: bool,
}

/// Something on a cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// An InferenceService or LLMInferenceService.
    Service(ServiceSeen),
    /// A pod.
    Pod(PodSeen),
    /// Images that run somewhere on the site.
    Images(Vec<SeenImage>),
    /// Argo CD's own words: sync and health.
    Sync(String),
}

/// A service as its cluster has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceSeen {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The images that its spec names.
    pub told: Vec<Reference>,
    /// Whether it says that it is ready.
    pub ready: Option<bool>,
}

/// A pod as its cluster has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodSeen {
    /// Its namespace.
    pub namespace: String,
    /// The InferenceService that it belongs to.
    pub service: Option<String>,
    /// The images that models come from.
    pub models: Vec<SeenImage>,
    /// The images of the other containers.
    pub others: Vec<SeenImage>,
    /// Whether it takes requests.
    pub ready: bool,
}

/// Reads a report: JSON, or YAML with one or several documents.
///
/// # Errors
/// Neither of them, or larger, deeper or longer than any real one.
pub fn read_report(text: &[u8]) -> Result<Vec<Sighting>, ReportError> {
    let parts = document::parts(text, &mut object)?;
    Ok(parts.into_iter().flatten().collect())
}

/// What one object says, by its kind.
fn object(object: &Value) -> Vec<Sighting> {
    match text(object, "/kind").unwrap_or_default() {
        "InferenceService" | "LLMInferenceService" => here(kubernetes::service(object).map(Seen::Service)),
        "Pod" if object.get("spec").is_some() => here(kubernetes::pod(object).map(Seen::Pod)),
        "Pod" => acm::search_item(object).into_iter().collect(),
        "Application" => argo::application(object).into_iter().collect(),
        "ManagedClusterView" => acm::cluster_view(object),
        "ManifestWork" => acm::manifest_work(object).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Said by the site's own API server.
fn here(seen: Option<Seen>) -> Vec<Sighting> {
    seen.map(|seen| Sighting { seen: vec![seen], ..Sighting::default() }).into_iter().collect()
}

/// A string member, by JSON pointer.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

/// A name, fit for a terminal.
fn name(value: &Value, pointer: &str) -> Option<String> {
    text(value, pointer).filter(|text| !text.is_empty()).map(printable_name)
}

/// The elements of a list, by JSON pointer.
fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// What a list of conditions says of one type.
fn condition(value: &Value, kind: &str) -> Option<bool> {
    let status = list(value, "/conditions").find(|condition| condition["type"] == kind)?;
    match status["status"].as_str()? {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
