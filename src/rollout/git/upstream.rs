//! Where the commits of a work tree go.

use super::Repository;
use super::access::Access;
use super::address::Address;
use super::command::Git;
use super::error::GitError;

/// A branch of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    /// The remote's name: "origin".
    pub(super) remote: String,
    /// The branch there.
    pub(super) branch: String,
}

impl Upstream {
    /// Where the current branch is pushed to; or a branch by its name, with which no branch need be checked out: pipelines check out
    /// commits.
    pub(super) fn of(repository: &Repository, named: Option<&str>) -> Result<Self, GitError> {
        let current = repository.branch()?;
        let Some(local) = named.or(current.as_deref()) else {
            return Err(GitError::Detached { dir: repository.dir().to_owned() });
        };
        let setting = |key: &str| -> Result<Option<String>, GitError> {
            let said = repository.git.run(&["config", "--get", &format!("branch.{local}.{key}")], "")?;
            Ok(said.status.success().then(|| said.line()))
        };
        let branch = setting("merge")?.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned));
        match (setting("remote")?.filter(|remote| remote != "."), branch) {
            (Some(remote), Some(branch)) => Ok(Self { remote, branch }),
            // Named by the user, so it is a branch of the remote, whatever is configured here.
            (remote, _) if named.is_some() => Ok(Self { remote: remote.unwrap_or_else(|| "origin".to_owned()), branch: local.to_owned() }),
            _ => Err(GitError::NoUpstream { dir: repository.dir().to_owned(), branch: local.to_owned() }),
        }
    }

    /// The address that commits are sent to.
    pub(super) fn address(&self, repository: &Repository) -> Result<Address, GitError> {
        let said = repository.git.run(&["remote", "get-url", "--push", "--", &self.remote], "")?;
        let none = || GitError::NoUpstream { dir: repository.dir().to_owned(), branch: self.branch.clone() };
        if said.status.success() { Ok(Address::configured(&said.line())) } else { Err(none()) }
    }

    /// Fetches more of the branch's history: `--deepen=50`, `--unshallow`.
    pub(super) fn deepen(&self, git: &Git, access: &Access, how: &str) -> Result<(), GitError> {
        let branch = format!("refs/heads/{}", self.branch);
        access.run(git, &["fetch", "--quiet", "--no-tags", "--recurse-submodules=no", how, &self.remote, &branch]).map(drop)
    }
}
