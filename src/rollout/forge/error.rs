//! What a forge refuses.

use super::Forge;
use crate::exit_code;
use crate::store::StoreError;

/// Why there is no pull request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgeError {
    /// The forge wants a login for what it changes.
    #[error("a pull request on {forge} needs an access token")]
    NoToken {
        /// The forge.
        forge: Forge,
    },
    /// The repository's address names no project of a forge.
    #[error("`{remote}` names no repository of {forge}")]
    NoProject {
        /// The forge.
        forge: Forge,
        /// The repository, without credentials.
        remote: String,
    },
    /// The token would go over the wire for everybody to read.
    #[error("a token must not be sent to {url}")]
    Plain {
        /// The address.
        url: String,
    },
    /// No answer, or one that was not to be had.
    #[error("cannot {action} on {forge}; the branch `{branch}` is pushed")]
    Web {
        /// The forge.
        forge: Forge,
        /// What was tried: "look for a pull request".
        action: &'static str,
        /// The branch that holds the commit.
        branch: String,
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// A refusal.
    #[error("{forge} will not {action}: {status} {words}; the branch `{branch}` is pushed")]
    Refused {
        /// The forge.
        forge: Forge,
        /// What was tried: "open a pull request".
        action: &'static str,
        /// The branch that holds the commit.
        branch: String,
        /// The HTTP status.
        status: u16,
        /// The forge's own words, cut and cleaned.
        words: String,
    },
    /// An answer that is not what the forge documents.
    #[error("{forge} answers something else than a pull request when asked to {action}; the branch `{branch}` is pushed")]
    Answer {
        /// The forge.
        forge: Forge,
        /// What was tried.
        action: &'static str,
        /// The branch that holds the commit.
        branch: String,
    },
}

impl ForgeError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoToken { .. } => "`--git-token-file FILE` or MODELCAR_GIT_TOKEN gives one".to_owned(),
            Self::NoProject { .. } => "`--forge-url https://HOST` names the forge; the repository's path is OWNER/NAME there".to_owned(),
            Self::Plain { .. } => "use an https:// address with `--forge-url`".to_owned(),
            Self::Web { .. } => "run it again: the branch and a request that is open are updated".to_owned(),
            Self::Refused { forge, status, .. } => refused(*forge, *status).to_owned(),
            Self::Answer { .. } => "`--forge-url` may name something else, or `--pr` another forge".to_owned(),
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoToken { .. } | Self::NoProject { .. } | Self::Plain { .. } => exit_code::USAGE,
            _ => exit_code::FAILED,
        }
    }
}

fn refused(forge: Forge, status: u16) -> &'static str {
    match (status, forge) {
        (401, _) => "the token may be over, or for another server",
        (403, Forge::GitHub) => "the token needs the permission \"Pull requests: write\" for this repository",
        (403, Forge::GitLab) => "the token needs the scope `api` and at least the role Developer",
        (403, Forge::Gitea) => "the token needs the scopes `write:repository` and `write:issue`",
        (404, _) => "forges say that too where a token may not see the repository; `--forge-url` names another one",
        (409 | 422, _) => "its words say why; a request for this branch may be closed, or the two branches are equal",
        _ => "run it again: the branch and a request that is open are updated",
    }
}
