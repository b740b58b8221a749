//! One error for the command line: a room's own, or what only the command line can know.

use std::io;

use crate::cluster::ClusterError;
use crate::exit_code;
use crate::fetch::FetchError;
use crate::image::ImageError;
use crate::model::ModelError;
use crate::model_registry::ModelRegistryError;
use crate::oci::InvalidLocation;
use crate::report::tekton::TektonError;
use crate::rollout::{GitError, RolloutError};
use crate::store::StoreError;
use crate::trust::attest::InvalidPredicate;
use crate::trust::model_signing::ModelSigningError;
use crate::trust::{KeyError, TrustError, run_again};

use super::settings::SettingsError;

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
    /// From the fetch room.
    #[error(transparent)]
    Fetch(#[from] FetchError),
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
    /// From a cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// From a model registry.
    #[error(transparent)]
    ModelRegistry(#[from] ModelRegistryError),
    /// From the settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// From the results of a Tekton task.
    #[error(transparent)]
    Tekton(#[from] TektonError),
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
    /// Refused before anything was written.
    #[error("preflight stops the rollout to {site}: {checks}")]
    Preflight {
        /// The site.
        site: String,
        /// The rows that failed.
        checks: String,
        /// What to do about each.
        hint: String,
    },
    /// A rollout to many sites that did not reach all of them.
    #[error("{left_out} of {sites} sites {} left out{}", if *.left_out == 1 { "was" } else { "were" }, if *.stopped { ", and the rollout stopped" } else { "" })]
    LeftOut {
        /// How many sites were left out.
        left_out: usize,
        /// How many were meant.
        sites: usize,
        /// Whether there were too many of them to go on.
        stopped: bool,
        /// Whether preflight refused one of them.
        refused: bool,
    },
    /// An error that several sites share.
    #[error(transparent)]
    Shared(#[from] std::sync::Arc<CliError>),
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
    /// A registry that cannot be used as it is.
    #[error("{name} cannot be used as it is: {checks}")]
    Unwell {
        /// The repository.
        name: String,
        /// What was looked at and found wrong.
        checks: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Nobody is logged in.
    #[error("nobody is logged in to {scope}")]
    NotLoggedIn {
        /// The registry, or the part of one.
        scope: String,
        /// What has a log-in all the same: a file or helper that was not meant.
        elsewhere: Option<String>,
    },
    /// `--exit-code` was asked for, and there is something to tell.
    #[error("{what}")]
    Differs {
        /// What differs.
        what: String,
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
            Self::Usage { hint, .. } | Self::Lint { hint, .. } | Self::Preflight { hint, .. } => Some(hint.clone()),
            Self::LeftOut { .. } => {
                Some("the lines above say why; run the same command again once that is mended: what is there stays".to_owned())
            }
            Self::Shared(error) => error.hint(),
            Self::Location(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Image(error) => error.hint(),
            Self::Fetch(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::ModelSigning(error) => error.hint(),
            Self::Rollout(error) => error.hint(),
            Self::Cluster(error) => error.hint(),
            Self::ModelRegistry(error) => error.hint(),
            Self::Settings(error) => error.hint(),
            Self::Tekton(error) => error.hint(),
            Self::NotLoggedIn { scope, elsewhere: None } => {
                Some(format!("log in with `modelcar login {scope}`; all log-ins: `modelcar login --list`"))
            }
            Self::NotLoggedIn { scope, elsewhere: Some(origin) } => {
                Some(format!("there is one by {origin}: `modelcar logout {scope} --authfile {origin}` takes it away, if it is a file"))
            }
            Self::Refused { hint, .. } | Self::Unwell { hint, .. } => hint.clone(),
            Self::Predicate { source, .. } => source.hint(),
            Self::Unsigned { .. } | Self::Unattested { .. } => Some(run_again(self.remedy())),
            Self::NoProvenance { .. } => {
                Some("`modelcar ship` and `build --push --key` attest it; in Tekton, Chains does, some seconds after the task".to_owned())
            }
            Self::Output(_) | Self::Json(_) | Self::Reading { .. } | Self::File { .. } | Self::Differs { .. } => None,
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
            Self::Usage { .. }
            | Self::Location(_)
            | Self::Settings(SettingsError::Invalid { .. })
            | Self::Tekton(TektonError::Foreign { .. }) => exit_code::USAGE,
            Self::Model(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Fetch(error) => error.exit_code(),
            Self::Store(error) => error.exit_code(),
            Self::Key(error) => error.exit_code(),
            Self::Trust(error) => error.exit_code(),
            Self::ModelSigning(error) => error.exit_code(),
            Self::Rollout(error) => error.exit_code(),
            Self::Cluster(error) => error.exit_code(),
            Self::ModelRegistry(error) => error.exit_code(),
            Self::Refused { .. } | Self::Lint { .. } | Self::Preflight { .. } => exit_code::REFUSED,
            Self::LeftOut { refused, .. } => {
                if *refused {
                    exit_code::REFUSED
                } else {
                    exit_code::FAILED
                }
            }
            Self::Shared(error) => error.exit_code(),
            Self::Unsigned { .. } | Self::Unattested { .. } => exit_code::UNSIGNED,
            Self::Output(_)
            | Self::Json(_)
            | Self::Settings(SettingsError::Read { .. })
            | Self::Tekton(_)
            | Self::Differs { .. }
            | Self::NoProvenance { .. }
            | Self::NotLoggedIn { .. }
            | Self::Unwell { .. }
            | Self::Predicate { .. }
            | Self::Reading { .. }
            | Self::File { .. } => exit_code::FAILED,
        }
    }
}

impl From<GitError> for CliError {
    fn from(error: GitError) -> Self {
        Self::Rollout(error.into())
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
