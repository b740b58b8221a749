//! Where a document says which image runs: `storageUri`, the first of `storageUris`, or the `uri` of an LLMInferenceService.

use std::path::Path;

use serde_json::Value;

use super::edit::{Step, inside, lookup, path, value_at};
use crate::kserve::Kind;
use crate::rollout::service::{LLM_URI, URI, URIS};
use crate::rollout::{RolloutError, Service};

/// The URI of the image, or the name of an `images` entry.
pub(super) fn uri_of(document: &Value) -> Option<&str> {
    let first = || value_at(document, &URIS)?.get(0)?.get("uri")?.as_str();
    lookup(document, &URI).or_else(|| lookup(document, &LLM_URI)).or_else(first)
}

/// The way to it, there or not yet.
pub(super) fn way_to_uri(document: &Value) -> Vec<Step> {
    match kind_of(document) {
        Kind::LlmInferenceService => path(&LLM_URI),
        Kind::InferenceService if has_several(document) => inside(&URIS, 0, &["uri"]),
        Kind::InferenceService => path(&URI),
    }
}

/// Whether several images are mounted, of which the first is the model.
pub(super) fn has_several(document: &Value) -> bool {
    lookup(document, &URI).is_none() && value_at(document, &URIS).is_some() && uri_of(document).is_some()
}

/// The kind of a service.
pub(super) fn kind_of(document: &Value) -> Kind {
    let named = Kind::ALL.into_iter().find(|kind| document["kind"] == kind.kind());
    named.unwrap_or_default()
}

/// Refuses to make one kind of service of the other.
pub(super) fn check_kind(there: Kind, service: &Service) -> Result<(), RolloutError> {
    if there == service.kind {
        return Ok(());
    }
    let reason = format!("the site runs {} as an {}", service.name, there.kind());
    Err(RolloutError::setting("kind", reason, format!("leave it out or say `--kind {there}`; another kind needs another `--name`")))
}

/// Refuses a definition whose list of images excludes the one of the tool's patch.
pub(super) fn check_single(path: &Path, document: &Value) -> Result<(), RolloutError> {
    match value_at(document, &URIS) {
        Some(_) => Err(RolloutError::shape(path, "`spec.predictor.storageUris` excludes `storageUri`")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_image_is_found_wherever_kserve_finds_it() {
        let several =
            json!({"spec": {"predictor": {"model": {"storageUri": null}, "storageUris": [{"uri": "oci://a"}, {"uri": "oci://b"}]}}});
        for (document, uri, way) in [
            (json!({"spec": {"predictor": {"model": {"storageUri": "oci://a"}}}}), Some("oci://a"), path(&URI)),
            (several, Some("oci://a"), inside(&URIS, 0, &["uri"])),
            (json!({"kind": "LLMInferenceService", "spec": {"model": {"uri": "oci://a"}}}), Some("oci://a"), path(&LLM_URI)),
            (json!({"kind": "LLMInferenceService"}), None, path(&LLM_URI)),
            (json!({"spec": {"predictor": {"storageUris": []}}}), None, path(&URI)),
        ] {
            assert_eq!((uri_of(&document), way_to_uri(&document)), (uri, way), "{document}");
        }
    }
}
