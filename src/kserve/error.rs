//! Words that name nothing, and things that a KServe cannot do.

use super::{Delivery, Generation, Mode};
use crate::exit_code;

/// Why something was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KserveError {
    /// `--kserve` or a site names a generation that is not known.
    #[error("`{text}` is not a KServe generation that modelcar knows")]
    UnknownGeneration {
        /// What was written, shortened.
        text: String,
    },
    /// A word outside a fixed list.
    #[error("`{text}` is not a {what}")]
    UnknownWord {
        /// What the word should be: "delivery", "runtime".
        what: &'static str,
        /// What was written, shortened.
        text: String,
        /// The words there are.
        known: String,
    },
    /// This KServe mounts no model that way.
    #[error("{generation} has no delivery `{delivery}` ({}://)", delivery.scheme())]
    Unsupported {
        /// The site's KServe.
        generation: Generation,
        /// What was asked for.
        delivery: Delivery,
    },
    /// This KServe runs no service that way.
    #[error("{generation} has no mode `{mode}`")]
    NoMode {
        /// The site's KServe.
        generation: Generation,
        /// What was asked for.
        mode: Mode,
    },
    /// A service here has one model from one image.
    #[error("{generation} mounts one model image per service")]
    NoSources {
        /// The site's KServe.
        generation: Generation,
    },
    /// This KServe does not know the kind.
    #[error("{generation} has no LLMInferenceService")]
    NoLlm {
        /// The site's KServe.
        generation: Generation,
    },
}

impl KserveError {
    /// A word outside a list.
    pub(crate) fn unknown_word<T: ToString>(what: &'static str, text: &str, known: impl IntoIterator<Item = T>) -> Self {
        let known = known.into_iter().map(|word| word.to_string()).collect::<Vec<_>>().join(", ");
        Self::UnknownWord { what, text: text.chars().take(100).collect(), known }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownGeneration { .. } => {
                format!("one of {}; for a version between two of them, name the older one", Generation::known())
            }
            Self::UnknownWord { known, .. } => format!("one of {known}"),
            Self::Unsupported { generation, delivery } => {
                let instead: Vec<_> = generation.deliveries().iter().map(|delivery| format!("`--delivery {delivery}`")).collect();
                format!("{delivery} came with {}; use {} here, the image is the same", delivery.since(), instead.join(" or "))
            }
            Self::NoMode { generation, .. } => {
                let modes: Vec<_> = generation.modes().iter().map(|mode| format!("`--mode {mode}`")).collect();
                format!("use {}", modes.join(" or "))
            }
            Self::NoSources { .. } => {
                "several images came with KServe 0.20 and OpenShift AI 3.5; before, put all files into one image".to_owned()
            }
            Self::NoLlm { .. } => "it came with KServe 0.16 and OpenShift AI 2.25; use `--kind isvc`".to_owned(),
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownGeneration { .. } | Self::UnknownWord { .. } => exit_code::USAGE,
            Self::Unsupported { .. } | Self::NoMode { .. } | Self::NoSources { .. } | Self::NoLlm { .. } => exit_code::FAILED,
        }
    }
}
