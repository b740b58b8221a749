//! One error for the command line: a room's own, or what only the command line can know.

use std::io;

use crate::exit_code;
use crate::image::ImageError;
use crate::model::ModelError;
use crate::oci::InvalidLocation;
use crate::rollout::RolloutError;
use crate::store::StoreError;
use crate::trust::attest::InvalidPredicate;
use crate::trust::model_signing::ModelSigningError;
use crate::trust::{KeyError, TrustError, run_again};

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
    /// A file that cannot be attested.
    #[error("cannot attest {path}")]
    Predicate {
        /// The file, or `standard input`.
        path: String,
        /// Why.
        #[source]
        source: InvalidPredicate,
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
            Self::Predicate { source, .. } => source.hint(),
            Self::Unsigned { .. } | Self::Unattested { .. } => Some(run_again(self.remedy())),
            Self::NoProvenance { .. } => {
                Some("`modelcar ship` and `build --push --key` attest it; in Tekton, Chains does, some seconds after the task".to_owned())
            }
            Self::Output(_) | Self::Json(_) | Self::Reading { .. } | Self::File { .. } => None,
        }
    }

    /// The hint about what went wrong in the first place, where this tells what it left unfinished.
    fn remedy(&self) -> Option<String> {
        match self {
            Self::Unsigned { source, .. } | Self::Unattested { source, .. } => source.remedy(),
            Self::Trust(error) => error.remedy(),
            Self::ModelSigning(error) => error.remedy(),
            _ => self.hint(),
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
            Self::Output(_)
            | Self::Json(_)
            | Self::NoProvenance { .. }
            | Self::Predicate { .. }
            | Self::Reading { .. }
            | Self::File { .. } => exit_code::FAILED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::SignReport;

    #[test]
    fn what_is_left_unfinished_is_told_with_one_remedy_and_once_how_to_go_on() {
        let of = |cause: TrustError| {
            let stopped = TrustError::Incomplete { signed: Box::new(SignReport::default()), source: Box::new(cause) };
            let unsigned = CliError::Unsigned { image: "q.io/o/m:v1".to_owned(), source: Box::new(stopped.into()) };
            CliError::Unattested { image: "q.io/o/m:v1".to_owned(), source: Box::new(unsigned) }.hint().unwrap()
        };
        assert_eq!(
            of(TrustError::NoKey),
            "name one with `--key cosign.pub`; then run the same command again: nothing is sent or signed twice"
        );
        assert_eq!(of(KeyError::Signing.into()), "run the same command again: nothing is sent or signed twice");
        let contended = TrustError::Contended { digest: crate::oci::Digest::of(b""), tries: 3 };
        assert_eq!(of(contended), "run it again; what others wrote was kept");
    }
}
