//! What git refuses, here or at the other end of a connection.

use std::io;
use std::path::{Path, PathBuf};

use super::trouble::Trouble;
use crate::exit_code;
use crate::store::StoreError;

/// Why git, or modelcar on its behalf, did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no `git` to run.
    #[error("cannot run `git`")]
    NoGit {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificates that git is to trust cannot be read.
    #[error(transparent)]
    Certificates {
        /// Why.
        source: Box<StoreError>,
    },
    /// The folder is in no repository.
    #[error("{} is not in a git work tree: {output}", dir.display())]
    NoWorkTree {
        /// The folder.
        dir: PathBuf,
        /// What git said.
        output: String,
    },
    /// Git does not know whose commit it would be.
    #[error("git does not know who commits in {}", dir.display())]
    NoIdentity {
        /// The folder.
        dir: PathBuf,
    },
    /// A repository without files.
    #[error("{} is a bare repository: there are no files to edit", dir.display())]
    Bare {
        /// The folder.
        dir: PathBuf,
    },
    /// A commit now would become part of something else.
    #[error("a {operation} is in progress in {}", dir.display())]
    InProgress {
        /// The folder.
        dir: PathBuf,
        /// What git is in the middle of: "merge", "rebase".
        operation: &'static str,
    },
    /// No branch would carry the commit.
    #[error("{} is on no branch: a commit there would reach nobody", dir.display())]
    Detached {
        /// The folder.
        dir: PathBuf,
    },
    /// The work tree shows another branch than the one to change.
    #[error("{} is on the branch `{current}`, and the one to change is `{wanted}`", dir.display())]
    OtherBranch {
        /// The folder.
        dir: PathBuf,
        /// The branch that is checked out.
        current: String,
        /// The branch asked for.
        wanted: String,
    },
    /// Nobody said where the branch is pushed to.
    #[error("the branch `{branch}` of {} is pushed nowhere yet", dir.display())]
    NoUpstream {
        /// The folder.
        dir: PathBuf,
        /// The branch.
        branch: String,
    },
    /// Both sides have commits that the other lacks.
    #[error("the branch `{branch}` of {} has commits of its own, and so has {remote}", dir.display())]
    Diverged {
        /// The folder.
        dir: PathBuf,
        /// The branch.
        branch: String,
        /// The remote.
        remote: String,
    },
    /// A file of the rollout that git is told not to see.
    #[error("git ignores {files} in {}", dir.display())]
    Ignored {
        /// The folder.
        dir: PathBuf,
        /// The files, separated by `, `.
        files: String,
    },
    /// Another git works on the same repository.
    #[error("another git process holds the lock of {}: {output}", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// What git said.
        output: String,
    },
    /// The files that would be edited carry somebody's uncommitted work.
    #[error("{files} in {} has changes that are not committed", dir.display())]
    Uncommitted {
        /// The folder.
        dir: PathBuf,
        /// The files, separated by `, `.
        files: String,
    },
    /// Git, or one of its hooks, said no.
    #[error("`git {command}` failed in {}: {output}", dir.display())]
    Failed {
        /// The sub-command.
        command: String,
        /// The folder.
        dir: PathBuf,
        /// What git and its hooks said, shortened.
        output: String,
    },
    /// More than modelcar is willing to read.
    #[error("`git {command}` says more than {limit} bytes in {}", dir.display())]
    TooMuch {
        /// The sub-command.
        command: String,
        /// The folder.
        dir: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// An address, a branch, an author or a token that cannot be used.
    #[error("cannot use {what}: {reason}")]
    Unusable {
        /// What it is, without any secret: "the token of /run/token".
        what: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// A repository without a commit.
    #[error("{remote} is empty: it has no commit yet")]
    Empty {
        /// The repository, without credentials.
        remote: String,
    },
    /// The repository holds no GitOps folder where one is looked for.
    #[error("{place} holds no `sites` folder in {tried}")]
    NoTree {
        /// The repository, without credentials.
        place: String,
        /// The folders, separated by `, `.
        tried: String,
    },
    /// The other end, or the way to it.
    #[error("{trouble} ({remote}): {output}")]
    Remote {
        /// What it is about.
        trouble: Trouble,
        /// The repository, without credentials.
        remote: String,
        /// What git and the server said, shortened.
        output: String,
    },
    /// Others were faster each time.
    #[error("others keep pushing to `{branch}` of {remote}: {tries} tries in {seconds} s were not enough")]
    Contended {
        /// The branch.
        branch: String,
        /// The repository, without credentials.
        remote: String,
        /// How often it was tried.
        tries: u32,
        /// For how long.
        seconds: u64,
    },
    /// The history holds no such state of a file.
    #[error("{wanted} is nowhere in the history of {}", path.display())]
    NotInHistory {
        /// The file.
        path: PathBuf,
        /// What was looked for: "another digest".
        wanted: String,
    },
    /// A file or folder refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: "read", "lock".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl GitError {
    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Something that the user gave.
    pub(super) fn unusable(what: impl Into<String>, reason: impl Into<String>, hint: &'static str) -> Self {
        Self::Unusable { what: what.into(), reason: reason.into(), hint }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoGit { .. } => {
                "install git, or in a container take modelcar's image that has it (docs/container-image.md); `modelcar patch` prints the \
                change without it"
                    .to_owned()
            }
            Self::NoWorkTree { dir, .. } => {
                format!("`--gitops DIR|URL` names the GitOps repository; `git init {}` makes this folder one", dir.display())
            }
            Self::NoIdentity { .. } => {
                "`git config user.name NAME` and `git config user.email ADDRESS`, or set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, \
                 GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL, or where there is an `--author`, use that"
                    .to_owned()
            }
            Self::Bare { dir } => format!("`git clone {} DIR` makes a work tree; name that one", dir.display()),
            Self::InProgress { operation, .. } => format!("finish it, or `git {operation} --abort`; then run again"),
            Self::Detached { .. } => "`git switch BRANCH` first".to_owned(),
            Self::OtherBranch { wanted, .. } => format!("`git switch {wanted}`, or `--push`, which changes it on the remote only"),
            Self::NoUpstream { branch, .. } => format!("`git push -u origin {branch}` once, or name the remote's branch with `--branch`"),
            Self::Diverged { .. } => "`git pull --rebase` brings them together; then run again".to_owned(),
            Self::Ignored { .. } => "take them out of .gitignore (`git check-ignore -v FILE` names the line)".to_owned(),
            Self::Locked { .. } => {
                "wait for it and run again; where no git is at work, a crashed one left the lock file: delete it".to_owned()
            }
            Self::Uncommitted { .. } => "commit or stash them first, so that they do not slip into the rollout's commit".to_owned(),
            Self::Failed { .. } => "the files are as they were before; run again once the cause is gone: nothing is sent twice".to_owned(),
            Self::Unusable { hint, .. } => (*hint).to_owned(),
            Self::Empty { .. } => {
                "push a first commit with a `sites` folder; this project's edge-clusters/ is one to start from".to_owned()
            }
            Self::NoTree { .. } => "`--path DIR` names the folder inside the repository that holds `sites`".to_owned(),
            Self::Remote { trouble, .. } => trouble.hint().to_owned(),
            Self::Contended { .. } => "nothing was changed; run it again".to_owned(),
            Self::NotInHistory { .. } => "`git log -p -- FILE` shows what there was; `--to DIGEST` or `--to REV` names one".to_owned(),
            Self::Certificates { source } => return source.hint(),
            Self::TooMuch { .. } | Self::Io { .. } => return None,
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Locked { .. } | Self::Contended { .. } | Self::Diverged { .. } | Self::Remote { trouble: Trouble::Raced, .. } => {
                exit_code::CONFLICT
            }
            Self::Unusable { .. } | Self::OtherBranch { .. } => exit_code::USAGE,
            _ => exit_code::FAILED,
        }
    }
}
