//! How a server is told by which name clients call its model.

use super::Runtime;

/// Where a server has the model's name from. A ServingRuntime gives it the InferenceService's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// An argument. KServe appends a service's arguments to the ServingRuntime's, and the last one counts.
    Argument(&'static str),
    /// An environment variable. A service's takes the place of the ServingRuntime's.
    Variable(&'static str),
    /// The folders inside the image, whatever the service is called.
    Folders,
}

impl Runtime {
    /// Where this server has the model's name from (`config/runtimes` of kserve/kserve and of opendatahub-io/odh-model-controller);
    /// `None` where that is not known.
    pub fn named_by(self) -> Option<NamedBy> {
        match self {
            Self::Ovms | Self::Sklearnserver | Self::Xgbserver | Self::Lgbserver | Self::Pmmlserver | Self::Huggingface => {
                Some(NamedBy::Argument("--model_name"))
            }
            Self::Vllm => Some(NamedBy::Argument("--served-model-name")),
            Self::Mlserver => Some(NamedBy::Variable("MLSERVER_MODEL_NAME")),
            Self::Triton | Self::Torchserve => Some(NamedBy::Folders),
            Self::TensorflowServing | Self::Raw => None,
        }
    }
}
