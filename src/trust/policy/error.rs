//! What can be wrong with a policy file.

use std::io;
use std::path::PathBuf;

use super::InvalidScope;
use crate::exit_code;
use crate::trust::reason::shown;
use crate::trust::{InvalidKey, KeyError};

/// Why a policy could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file could not be read.
    #[error("cannot read the policy {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than a policy ever needs.
    #[error("the policy {path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Not UTF-8.
    #[error("the policy {path} is not text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The text is no policy.
    #[error("cannot use the policy {path}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: InvalidPolicy,
    },
    /// A key file that it names.
    #[error("cannot use a key of the policy {path}")]
    Key {
        /// The policy.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
}

/// What is wrong in a policy's text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// No YAML, or not these members.
    #[error("{what}")]
    Yaml {
        /// The parser's words, with line and column.
        what: String,
    },
    /// A later edition than this program knows.
    #[error("version is {found}, and this modelcar reads version 1")]
    Version {
        /// What is written.
        found: u32,
    },
    /// A list that says nothing, or too much.
    #[error("{at} has {count} entries; it needs 1 to {limit}")]
    Count {
        /// The list.
        at: String,
        /// How many entries there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// An image scope.
    #[error("{at}")]
    Scope {
        /// Which one.
        at: String,
        /// Why.
        #[source]
        source: InvalidScope,
    },
    /// A key that stands in the policy itself.
    #[error("{at} is no public key")]
    Key {
        /// Which one.
        at: String,
        /// Why.
        #[source]
        source: InvalidKey,
    },
    /// Neither keys nor identities.
    #[error("it trusts nobody: it has neither keys nor identities")]
    Nobody,
    /// Any other value that means nothing.
    #[error("{at}: {what}")]
    Value {
        /// Which member.
        at: String,
        /// What is wrong.
        what: String,
    },
}

impl InvalidPolicy {
    /// The parser's first line; those below it show the text again.
    pub(super) fn yaml(error: &serde_saphyr::Error) -> Self {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let first = first.split(" --> ").next().unwrap_or_default();
        Self::Yaml { what: shown(first.trim_start_matches("error: ")) }
    }

    pub(super) fn value(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Value { at: at.into(), what: what.into() }
    }
}

impl PolicyError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => Some("is it the right path? it is relative to where the command runs".to_owned()),
            Self::Key { source, .. } => source.hint(),
            Self::Invalid { source: InvalidPolicy::Nobody, .. } => Some("add `keys: [{file: cosign.pub}]`".to_owned()),
            Self::TooLarge { .. } | Self::NotText { .. } | Self::Invalid { .. } => Some("docs/policy.md describes every member".to_owned()),
        }
    }

    /// The process exit code, see [`exit_code`]: a policy that cannot be used allows nothing.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. } => exit_code::FAILED,
            Self::TooLarge { .. } | Self::NotText { .. } | Self::Invalid { .. } => exit_code::USAGE,
            Self::Key { source, .. } => source.exit_code(),
        }
    }
}
