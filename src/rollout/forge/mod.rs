//! Pull requests: a change on a branch of its own, which somebody has to take.
//!
//! A request that is open for the same branch is updated and not made again.

mod error;
mod gitea;
mod github;
mod gitlab;
mod place;

use std::fmt;
use std::str::FromStr;

use url::Url;

pub use error::ForgeError;
pub(super) use place::Request;

use crate::rollout::RolloutError;

/// What keeps the repository and its pull requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// GitHub, and GitHub Enterprise Server.
    GitHub,
    /// GitLab, where they are called merge requests.
    GitLab,
    /// Gitea, and Forgejo, which speaks the same.
    Gitea,
}

/// How pull requests are opened.
#[derive(Clone, Debug)]
pub struct PullRequests {
    /// What keeps them.
    pub forge: Forge,
    /// Its web address, where it is not the repository's host.
    pub url: Option<Url>,
}

impl fmt::Display for Forge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
        })
    }
}

impl FromStr for Forge {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        match text {
            "github" => Ok(Self::GitHub),
            "gitlab" => Ok(Self::GitLab),
            "gitea" | "forgejo" => Ok(Self::Gitea),
            _ => Err(RolloutError::UnknownWord { what: "forge", text: text.to_owned(), known: "github, gitlab, gitea, none" }),
        }
    }
}
