//! A private place to make a commit in and push it from: a shallow clone, or a second work tree of the user's own repository.
//!
//! Nobody else looks into it, so a lost race is a `reset --hard` and another try, and what the user has staged or edited elsewhere is
//! out of reach. A process that is killed leaves a folder in the temp directory, and no commit that anybody could miss.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::CommitId;
use super::Repository;
use super::access::{Access, NO_LARGE_FILES};
use super::address::Address;
use super::command::Git;
use super::error::GitError;
use super::trouble::Trouble;
use super::upstream::Upstream;
use super::workspace::{GitOptions, tree_in};

/// What a clone is made and kept with: no hooks of a template, nothing at work behind one's back, files as they are in the repository.
const CLONE: [&str; 12] = [
    "clone",
    "--quiet",
    "--depth=1",
    "--single-branch",
    "--no-tags",
    "--template=",
    "--config=core.autocrlf=false",
    "--config=core.fsyncMethod=batch",
    "--config=gc.auto=0",
    "--config=maintenance.auto=false",
    "--config=advice.detachedHead=false",
    "--config=push.autoSetupRemote=false",
];

/// A work tree that is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Checkout {
    pub(super) git: Git,
    pub(super) upstream: Upstream,
    access: Access,
    /// The repository that this is a second work tree of.
    home: Option<Git>,
    _folder: TempDir,
}

impl Checkout {
    /// Clones the tip of one branch.
    pub(super) fn clone_of(address: &Address, options: &GitOptions, env: &[(OsString, OsString)]) -> Result<Self, GitError> {
        let (folder, top) = private_folder()?;
        let access = Access::to(address, &options.credentials)?;
        let branch = options.branch.as_ref().map(|branch| format!("--branch={branch}"));
        let place = top.to_string_lossy();
        let args: Vec<&str> = CLONE.into_iter().chain(branch.as_deref()).chain(["--", address.as_str(), &place]).collect();
        let env: Vec<_> = env.to_vec();
        access.run(&Git::new(folder.path(), env.clone()), &args)?;
        let git = Git::new(&top, env);
        let branch = cloned_branch(&git, address)?;
        let upstream = Upstream { remote: "origin".to_owned(), branch };
        Ok(Self { git, upstream, access, home: None, _folder: folder })
    }

    /// A second work tree of a repository, on nothing yet: [`Self::refresh`] puts it on the tip of the branch.
    pub(super) fn beside(repository: &Repository, options: &GitOptions) -> Result<Self, GitError> {
        let upstream = Upstream::of(repository, options.branch.as_deref())?;
        let address = upstream.address(repository)?;
        let access = Access::to(&address, &options.credentials)?;
        let (folder, top) = private_folder()?;
        let home = repository.git.clone();
        // The user's hooks run when the commit is made and sent, and not for this.
        let quiet = home.with(&[], &["core.hooksPath=/dev/null".to_owned()]);
        quiet.succeed(&["worktree", "add", "--quiet", "--detach", "--no-checkout", &top.to_string_lossy(), "HEAD"], "")?;
        Ok(Self { git: home.at(&top), upstream, access, home: Some(home), _folder: folder })
    }

    /// The repository, without credentials.
    pub(super) fn address(&self) -> &Address {
        &self.access.address
    }

    /// Its GitOps folder.
    pub(super) fn tree(&self, inside: Option<&Path>) -> Result<PathBuf, GitError> {
        tree_in(&self.git.dir, inside).map_err(|tried| GitError::NoTree { place: self.address().to_string(), tried })
    }

    /// Refuses where the branch has no such folder: the user's own may be committed and not pushed, or not even that.
    pub(super) fn ensure_holds(&self, tree: &Path) -> Result<(), GitError> {
        let tried = || tree.strip_prefix(&self.git.dir).unwrap_or(tree).display().to_string();
        if tree.is_dir() { Ok(()) } else { Err(GitError::NoTree { place: self.address().to_string(), tried: tried() }) }
    }

    /// Asks the server for the tip of the branch.
    pub(super) fn fetch(&self) -> Result<CommitId, GitError> {
        let branch = format!("refs/heads/{}", self.upstream.branch);
        self.access.run(&self.git, &["fetch", "--quiet", "--no-tags", "--recurse-submodules=no", &self.upstream.remote, &branch])?;
        self.commit("FETCH_HEAD")
    }

    /// Makes all files those of a commit.
    pub(super) fn reset(&self, commit: &CommitId) -> Result<(), GitError> {
        // Large files that the repository keeps elsewhere are no part of a rollout.
        let quiet = self.git.with(&[NO_LARGE_FILES.map(OsString::from).into()], &["core.hooksPath=/dev/null".to_owned()]);
        quiet.succeed(&["reset", "--quiet", "--hard", commit.as_str()], "")?;
        quiet.succeed(&["clean", "--quiet", "-ffdx"], "").map(drop)
    }

    pub(super) fn head(&self) -> Result<CommitId, GitError> {
        self.commit("HEAD")
    }

    /// The commit that a word names.
    pub(super) fn commit(&self, word: &str) -> Result<CommitId, GitError> {
        let name = self.git.line(&["rev-parse", "--verify", &format!("{word}^{{commit}}")])?;
        CommitId::new(&name).ok_or_else(|| GitError::unusable(format!("`{word}`"), "it names no commit", "see `git log`"))
    }

    /// Sends the commit that is checked out to the branch. `false` where somebody else was faster.
    pub(super) fn push(&self) -> Result<bool, GitError> {
        self.send(&[], &self.upstream.branch)
    }

    /// Sends the commit that is checked out to a branch of its own, whatever that says now. `false` where somebody else was faster.
    pub(super) fn push_to(&self, branch: &str) -> Result<bool, GitError> {
        let name = format!("refs/heads/{branch}");
        let known = self.access.run(&self.git, &["ls-remote", "--quiet", &self.upstream.remote, &name])?;
        let known = known.split_whitespace().next().unwrap_or_default();
        self.send(&[&format!("--force-with-lease={name}:{known}")], branch)
    }

    fn send(&self, how: &[&str], branch: &str) -> Result<bool, GitError> {
        let target = format!("HEAD:refs/heads/{branch}");
        let args = ["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"];
        let args: Vec<&str> = args.into_iter().chain(how.iter().copied()).chain([self.upstream.remote.as_str(), &target]).collect();
        match self.access.run(&self.git, &args) {
            Ok(_) => Ok(true),
            Err(GitError::Remote { trouble: Trouble::Raced, output, .. }) => {
                tracing::debug!("somebody else was faster: {output}");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches more of a shallow clone's history: `--deepen=50`, `--unshallow`.
    pub(super) fn deepen(&self, how: &str) -> Result<(), GitError> {
        self.upstream.deepen(&self.git, &self.access, how)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let Some(home) = &self.home else { return };
        // Where this fails, `git worktree prune` forgets it later, and git does that by itself from time to time.
        if let Err(error) = home.succeed(&["worktree", "remove", "--force", &self.git.dir.to_string_lossy()], "") {
            tracing::debug!("{error}");
        }
    }
}

/// A folder that nobody else may enter, and the place of a work tree in it.
fn private_folder() -> Result<(TempDir, PathBuf), GitError> {
    let made = tempfile::Builder::new().prefix("modelcar-").tempdir();
    let folder = made.map_err(GitError::io("make a folder in", &std::env::temp_dir()))?;
    let path = fs_err::canonicalize(folder.path()).map_err(GitError::io("find", folder.path()))?;
    if path.to_str().is_none() {
        return Err(GitError::unusable("the temp folder", "its name is not UTF-8", "name another one in TMPDIR"));
    }
    Ok((folder, path.join("tree")))
}

/// The branch that a clone is on.
fn cloned_branch(git: &Git, address: &Address) -> Result<String, GitError> {
    let remote = || address.to_string();
    if !git.run(&["rev-parse", "--verify", "--quiet", "HEAD"], "")?.status.success() {
        let branches = git.line(&["for-each-ref", "--count=1", "refs/remotes"])?;
        let output = "its HEAD names a branch that is not there".to_owned();
        let headless = GitError::Remote { trouble: Trouble::NoBranch, remote: remote(), output };
        return Err(if branches.is_empty() { GitError::Empty { remote: remote() } } else { headless });
    }
    let said = git.run(&["symbolic-ref", "--quiet", "--short", "HEAD"], "")?;
    let tag = || GitError::Remote { trouble: Trouble::NoBranch, remote: remote(), output: "what `--branch` names is a tag".to_owned() };
    if said.status.success() { Ok(said.line()) } else { Err(tag()) }
}
