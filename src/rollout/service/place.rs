//! Where the image stands in the object: the one place that the tool's patch owns.

use serde_json::{Value, json};

use super::Service;
use crate::kserve::Kind;
use crate::rollout::RolloutError;

/// Where one image of an InferenceService stands.
pub(in crate::rollout) const URI: [&str; 4] = ["spec", "predictor", "model", "storageUri"];
/// Where several stand.
pub(in crate::rollout) const URIS: [&str; 3] = ["spec", "predictor", "storageUris"];
/// Where the image of an LLMInferenceService stands.
pub(in crate::rollout) const LLM_URI: [&str; 3] = ["spec", "model", "uri"];

/// A place in the object that the tool's patch owns, and what stands there.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The members that lead there.
    pub keys: &'static [&'static str],
    /// A URI, or a list of them with their mount paths.
    pub value: Value,
}

impl Place {
    /// Whether one image stands there as `storageUri`, as every InferenceService has it.
    pub(in crate::rollout) fn is_usual(&self) -> bool {
        self.keys == URI
    }
}

impl Service {
    /// `oci://host/repository@sha256:…`: by digest alone, because a tag beside it breaks the fetch delivery.
    pub(super) fn uri(&self) -> Result<String, RolloutError> {
        Ok(format!("{}://{}", self.delivery.scheme(), self.pulled()?))
    }

    /// The image as nodes pull it: by digest, from a mirror where the site's nodes are told its name.
    pub(in crate::rollout) fn pulled(&self) -> Result<crate::oci::Reference, RolloutError> {
        Ok(self.pull_from.as_ref().unwrap_or(&self.image).at(self.digest()?))
    }

    /// Where the image stands in the object.
    ///
    /// # Errors
    /// An image without a digest.
    pub fn place(&self) -> Result<Place, RolloutError> {
        Ok(match self.kind {
            Kind::LlmInferenceService => Place { keys: &LLM_URI, value: json!(self.uri()?) },
            Kind::InferenceService if self.sources.is_empty() => Place { keys: &URI, value: json!(self.uri()?) },
            Kind::InferenceService => Place { keys: &URIS, value: self.storage_uris()? },
        })
    }
}
