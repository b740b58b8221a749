//! The two kinds of object by which KServe serves a model.

use std::fmt;
use std::str::FromStr;

use super::{Delivery, Generation, KserveError};

/// A kind of object that serves a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `InferenceService`: any model, by a ServingRuntime.
    #[default]
    InferenceService,
    /// `LLMInferenceService`: a language model, by vLLM behind a Gateway.
    LlmInferenceService,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::InferenceService, Self::LlmInferenceService];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::InferenceService => "isvc",
            Self::LlmInferenceService => "llm",
        }
    }

    /// `kind` of the object.
    pub fn kind(self) -> &'static str {
        match self {
            Self::InferenceService => "InferenceService",
            Self::LlmInferenceService => "LLMInferenceService",
        }
    }

    /// `apiVersion` of the object: the version in which this KServe stores it, so that nothing is converted.
    ///
    /// LLMInferenceService: KServe 0.16 has `v1alpha1`, 0.17 adds and stores `v1alpha2`; OpenShift AI 2.25 and 3.3 carry `v1alpha1` on their
    /// KServe 0.15, 3.4 and 3.5 both (`pkg/apis/serving` at kserve/kserve's tags and red-hat-data-services/kserve's branches).
    ///
    /// # Errors
    /// [`KserveError::NoLlm`].
    pub fn api_version(self, generation: Generation) -> Result<&'static str, KserveError> {
        match (self, generation) {
            (Self::InferenceService, _) => Ok("serving.kserve.io/v1beta1"),
            (Self::LlmInferenceService, Generation::V0_15) => Err(KserveError::NoLlm { generation }),
            (Self::LlmInferenceService, Generation::Rhoai2_25 | Generation::Rhoai3_3) => Ok("serving.kserve.io/v1alpha1"),
            (Self::LlmInferenceService, _) => Ok("serving.kserve.io/v1alpha2"),
        }
    }

    /// Whether the kind takes images that way. An LLMInferenceService refuses `oci+fetch://` as an unknown scheme
    /// (`llmisvc/workload_storage.go`).
    pub fn takes(self, delivery: Delivery) -> bool {
        self == Self::InferenceService || delivery != Delivery::Fetch
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = KserveError;

    /// Takes `isvc` and `llm`, and the kinds' own names.
    fn from_str(text: &str) -> Result<Self, KserveError> {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == text || kind.kind() == text);
        named.ok_or_else(|| KserveError::unknown_word("kind", text, Self::ALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_name_it_gives() {
        for kind in Kind::ALL {
            assert_eq!((kind.name().parse(), kind.kind().parse()), (Ok(kind), Ok(kind)));
        }
        assert!("pod".parse::<Kind>().unwrap_err().hint().unwrap().contains("llm"));
    }

    #[test]
    fn an_llm_service_has_the_version_that_its_kserve_stores() {
        let version = |generation| Kind::LlmInferenceService.api_version(generation);
        assert!(matches!(version(Generation::V0_15), Err(KserveError::NoLlm { .. })));
        for (generation, expected) in [
            (Generation::V0_17, "serving.kserve.io/v1alpha2"),
            (Generation::Rhoai2_25, "serving.kserve.io/v1alpha1"),
            (Generation::Rhoai3_3, "serving.kserve.io/v1alpha1"),
            (Generation::Rhoai3_4, "serving.kserve.io/v1alpha2"),
        ] {
            assert_eq!(version(generation), Ok(expected), "{generation}");
        }
        assert!(Generation::all().all(|generation| Kind::InferenceService.api_version(generation).is_ok()));
    }
}
