//! Settings that cannot be used.

use std::io;
use std::path::PathBuf;

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file could not be read.
    #[error("cannot read the settings in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something in a file or a variable is not what it should be.
    #[error("{place}: {reason}")]
    Invalid {
        /// `modelcar.toml:3`, `MODELCAR_REGISTRY`.
        place: String,
        /// What is wrong; never a value.
        reason: String,
        /// What to write instead.
        hint: Option<String>,
    },
}

impl SettingsError {
    pub(super) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), reason: reason.into(), hint: None }
    }

    pub(super) fn with_hint(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Invalid { place, reason, .. } => Self::Invalid { place, reason, hint: Some(advice.into()) },
            read @ Self::Read { .. } => read,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => {
                Some("`modelcar config` looks for modelcar.toml here and above, unless MODELCAR_CONFIG names a file".to_owned())
            }
            Self::Invalid { hint, .. } => hint.clone(),
        }
    }
}
