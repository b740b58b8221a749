//! What can go wrong when a fleet is looked at.

use std::io;
use std::path::PathBuf;

use super::report::ReportError;
use crate::exit_code;

/// Why the state of the fleet cannot be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// A site without a folder.
    #[error("there is no site `{site}` in {}", tree.display())]
    NoSite {
        /// The site.
        site: String,
        /// The GitOps folder.
        tree: PathBuf,
    },
    /// A report that is none.
    #[error("cannot read {from} as a report of what runs")]
    Report {
        /// The file, or the site whose cluster was asked.
        from: String,
        /// Why.
        #[source]
        source: ReportError,
    },
    /// There is no `kubectl`, or it cannot be talked to.
    #[error("cannot run `kubectl`")]
    NoKubectl {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The site's API server, or the way to it, said no.
    #[error("`kubectl get` failed for {site}: {output}")]
    Kubectl {
        /// The site.
        site: String,
        /// What kubectl said, shortened.
        output: String,
    },
    /// The site does not answer.
    #[error("`kubectl get` for {site} took longer than {seconds} seconds")]
    Slow {
        /// The site.
        site: String,
        /// How long it had.
        seconds: u64,
    },
    /// No commit goes by that name.
    #[error("{} has no commit `{revision}`", dir.display())]
    NoRevision {
        /// What was asked for.
        revision: String,
        /// The folder.
        dir: PathBuf,
    },
    /// What git gave of an earlier commit cannot be laid out.
    #[error("cannot unpack the site as it was at {revision}")]
    Unpacking {
        /// The commit.
        revision: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StatusError {
    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoSite { .. } => exit_code::USAGE,
            _ => exit_code::FAILED,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Report { .. } => {
                "give what `kubectl get inferenceservices,pods -A -o json`, `argocd app list -o json` or ACM prints; \
                 docs/rollout.md lists all of it"
            }
            Self::NoSite { .. } => "`modelcar status` lists the sites; `--gitops DIR` names the folder that holds sites/",
            Self::NoKubectl { .. } => "install kubectl or oc, or write its output to a file and name that with `--running`",
            Self::Kubectl { .. } | Self::Slow { .. } => "the same on another machine into a file, and `--running SITE=FILE`, does as well",
            Self::NoRevision { .. } => "name a commit, tag or branch, or an age such as 7d or 12h",
            Self::Unpacking { .. } => return None,
        };
        Some(hint.to_owned())
    }
}
