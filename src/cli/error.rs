//! One error for the command line: a room's own, or what only the command line can know.

use std::io;

use crate::exit_code;
use crate::image::ImageError;
use crate::model::ModelError;
use crate::oci::InvalidLocation;
use crate::rollout::RolloutError;
use crate::store::StoreError;
use crate::trust::model_signing::ModelSigningError;
use crate::trust::{KeyError, TrustError};

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Words that clap cannot judge.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// A reference that cannot be read.
    #[error(transparent)]
    Location(#[from] InvalidLocation),
    /// From the model room.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// From the image room.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// From a store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// From the key files.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// From the trust room.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// From model signing.
    #[error(transparent)]
    ModelSigning(#[from] ModelSigningError),
    /// From the rollout room.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// A model with findings that are errors.
    #[error("lint refuses the model: {}", rules.join(", "))]
    Lint {
        /// The ids of the rules.
        rules: Vec<&'static str>,
        /// What to do.
        hint: String,
    },
    /// Checked, and refused.
    #[error("{image} is refused: {reasons}")]
    Refused {
        /// The image.
        image: String,
        /// Why, for people.
        reasons: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Pushed, but a later step failed.
    #[error("{image} is pushed but not signed")]
    Unsigned {
        /// What is public, by digest.
        image: String,
        /// Why.
        #[source]
        source: Box<CliError>,
    },
    /// Pushed and signed, but the attestations are not all there.
    #[error("{image} is pushed and signed, but not attested")]
    Unattested {
        /// What is public, by digest.
        image: String,
        /// Why.
        #[source]
        source: Box<CliError>,
    },
    /// Nobody attested how the image was built.
    #[error("nobody attested how {image} was built")]
    NoProvenance {
        /// The image, by digest.
        image: String,
    },
    /// Standard output refused.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
    /// A document could not be written as JSON.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    /// A file that the user named for input.
    #[error("cannot read {path}")]
    Reading {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that the user named for output.
    #[error("cannot write {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl CliError {
    /// Wrong usage that clap cannot see.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } | Self::Lint { hint, .. } => Some(hint.clone()),
            Self::Location(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::ModelSigning(error) => error.hint(),
            Self::Rollout(error) => error.hint(),
            Self::Refused { hint, .. } => hint.clone(),
            Self::Unsigned { image, source } => {
                let first = source.hint().map(|hint| format!("{hint}; then ")).unwrap_or_default();
                Some(format!("{first}run `modelcar sign {image}`, or the same command again: nothing is sent twice"))
            }
            Self::Unattested { source, .. } => {
                let first = source.hint().map(|hint| format!("{hint}; then ")).unwrap_or_default();
                Some(format!("{first}run the same command again: nothing is sent or signed twice"))
            }
            Self::NoProvenance { .. } => {
                Some("`modelcar ship` and `build --push --key` attest it; in Tekton, Chains does, some seconds after the task".to_owned())
            }
            Self::Output(_) | Self::Json(_) | Self::Reading { .. } | Self::File { .. } => None,
        }
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Location(_) => exit_code::USAGE,
            Self::Model(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Store(error) => error.exit_code(),
            Self::Key(error) => error.exit_code(),
            Self::Trust(error) => error.exit_code(),
            Self::ModelSigning(error) => error.exit_code(),
            Self::Rollout(error) => error.exit_code(),
            Self::Refused { .. } | Self::Lint { .. } => exit_code::REFUSED,
            Self::Unsigned { .. } | Self::Unattested { .. } => exit_code::UNSIGNED,
            Self::Output(_) | Self::Json(_) | Self::NoProvenance { .. } | Self::Reading { .. } | Self::File { .. } => exit_code::FAILED,
        }
    }
}
