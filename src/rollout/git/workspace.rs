//! Where a GitOps folder is, and how a change gets there: a work tree on this machine, or a clone that lives as long as the command.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::access::Credentials;
use super::address::Address;
use super::checkout::Checkout;
use super::command::Git;
use super::error::GitError;
use super::identity::{Author, CommitSigning};
use super::{CommitId, Repository};
use crate::rollout::{PullRequests, RolloutError, TreeChange};

/// Where a GitOps folder may be in its repository, where nobody says; this project's own tree is the second.
const USUAL: [&str; 2] = [".", "edge-clusters"];
/// The folder that makes a folder a GitOps folder.
const SITES: &str = "sites";

/// Where the GitOps folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A work tree, or a folder in one.
    Folder(PathBuf),
    /// A repository that is cloned: `https://…`, `ssh://…`, `git@host:path`, `git://…`, `file://…`.
    Remote(String),
}

/// What happens to a commit.
#[derive(Clone, Debug, Default)]
pub enum Publish {
    /// It stays in the work tree; from a clone it is pushed, for a clone does not last.
    #[default]
    Keep,
    /// It is pushed to the branch.
    Push,
    /// It is pushed to a branch of its own, and a forge is asked to have it reviewed.
    Propose(PullRequests),
}

/// How the repository is used.
#[derive(Clone, Debug, Default)]
pub struct GitOptions {
    /// The branch to change; the current, or the remote's own, where it is not named.
    pub branch: Option<String>,
    /// The GitOps folder inside the repository; found where it is not named.
    pub path: Option<PathBuf>,
    /// What happens to a commit.
    pub publish: Publish,
    /// How a login is proven.
    pub credentials: Credentials,
    /// Whose commits they are; as git is configured where it is not named.
    pub author: Option<Author>,
    /// How they are signed.
    pub signing: CommitSigning,
    /// How long a push that loses races is tried again; two minutes where it is not named.
    pub patience: Option<Duration>,
    /// Variables for git beside the process's own.
    pub env: Vec<(OsString, OsString)>,
}

/// What a change is, and what it is called.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The files.
    pub change: TreeChange,
    /// The commit message.
    pub message: String,
    /// What a pull request says beyond the message; needed only where there may be one.
    pub review: Option<Review>,
}

/// A pull request's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// What the branch is called behind `modelcar/`: `SITE/NAME-<short digest>`. The same topic is the same pull request, updated.
    pub topic: String,
    /// The description, in Markdown.
    pub body: String,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landed {
    /// The folder said it already.
    Unchanged,
    /// A commit in the work tree; nobody else has it yet.
    Committed(CommitId),
    /// A commit on a branch of the remote.
    Pushed {
        /// The commit.
        commit: CommitId,
        /// The branch.
        branch: String,
        /// The remote, without any credentials.
        remote: String,
    },
    /// A commit on a branch of its own, and a request to take it.
    Proposed {
        /// The commit.
        commit: CommitId,
        /// Its own branch.
        branch: String,
        /// The remote, without any credentials.
        remote: String,
        /// Where the request is read and merged.
        url: String,
    },
}

/// A GitOps folder that can be read and changed.
#[derive(Debug)]
pub struct Workspace {
    pub(super) repository: Repository,
    pub(super) options: GitOptions,
    pub(super) clone: Option<Checkout>,
}

impl Workspace {
    /// Opens a work tree, or clones.
    ///
    /// # Errors
    /// Those of [`Repository::open`]; for a clone what the server or the way to it refuses, [`GitError::Empty`], and
    /// [`GitError::NoTree`] where no GitOps folder is in it.
    pub fn open(source: &Source, options: &GitOptions) -> Result<Self, RolloutError> {
        ensure_branch_name(options.branch.as_deref())?;
        let inside = options.path.as_deref().map(relative).transpose()?;
        let mut env = options.env.clone();
        env.extend(options.author.iter().flat_map(Author::variables));
        let open = |dir: &Path| Repository::open_git(Git::new(dir, env.clone()), options.signing.clone());
        let (repository, clone) = match source {
            Source::Folder(dir) => (open(&folder_in(dir, inside))?, None),
            Source::Remote(address) => {
                let clone = Checkout::clone_of(&Address::given(address)?, options, &env)?;
                (open(&clone.tree(inside)?)?, Some(clone))
            }
        };
        Ok(Self { repository, options: options.clone(), clone })
    }

    /// The GitOps folder: the one that holds `sites/`.
    pub fn tree(&self) -> &Path {
        self.repository.dir()
    }

    /// Whether it is a clone that lives as long as the command.
    pub fn is_clone(&self) -> bool {
        self.clone.is_some()
    }

    /// Its repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }
}

impl Proposal {
    /// A change that is not reviewed.
    pub fn new(change: TreeChange, message: String) -> Self {
        Self { change, message, review: None }
    }
}

/// The GitOps folder of a work tree. One without `sites` is where they will be.
fn folder_in(dir: &Path, inside: Option<&Path>) -> PathBuf {
    match inside {
        Some(path) => dir.join(path),
        None if dir.join(SITES).is_dir() => dir.to_owned(),
        None => tree_in(dir, None).unwrap_or_else(|_| dir.to_owned()),
    }
}

/// The GitOps folder of a repository, or the places where it is not.
pub(super) fn tree_in(top: &Path, inside: Option<&Path>) -> Result<PathBuf, String> {
    let named = inside.map(Path::to_owned);
    let places: Vec<PathBuf> = named.map_or_else(|| USUAL.map(PathBuf::from).to_vec(), |path| vec![path]);
    let found = places.iter().map(|place| if place == Path::new(".") { top.to_owned() } else { top.join(place) });
    let found = found.into_iter().find(|place| place.join(SITES).is_dir() && !place.is_symlink());
    found.ok_or_else(|| places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", "))
}

/// A folder inside a repository.
fn relative(path: &Path) -> Result<&Path, GitError> {
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let wrong = || GitError::unusable(format!("the folder {}", path.display()), "it leads out of the repository", "it begins at its top");
    if inside { Ok(path) } else { Err(wrong()) }
}

/// The rules of git-check-ref-format(1) that keep a name from being something else.
pub(super) fn ensure_branch_name(name: Option<&str>) -> Result<(), GitError> {
    let Some(name) = name else { return Ok(()) };
    let foreign = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let wrong = name.is_empty()
        || name.starts_with(['-', '/'])
        || name.ends_with(['/', '.'])
        || name.contains(foreign)
        || ["..", "@{", "//", "/."].iter().any(|part| name.contains(part));
    let error = || GitError::unusable(format!("the branch {name:?}"), "it is no name of a branch", "`git branch --all` lists them");
    if wrong { Err(error()) } else { Ok(()) }
}

impl FromStr for Source {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let remote = text.contains("://") || text.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
        if remote || text.starts_with("ext::") {
            Address::given(text)?;
            return Ok(Self::Remote(text.to_owned()));
        }
        Ok(Self::Folder(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_folders_from_addresses() {
        for (text, expected) in [
            ("gitops", Some(Source::Folder("gitops".into()))),
            ("/srv/a:b", Some(Source::Folder("/srv/a:b".into()))),
            ("git@h:o/r", Some(Source::Remote("git@h:o/r".into()))),
            ("https://h/o/r", Some(Source::Remote("https://h/o/r".into()))),
            ("https://robot:s3cret@h/o/r", None),
            ("ext::sh -c id", None),
        ] {
            assert_eq!(text.parse::<Source>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn finds_the_folder_that_holds_the_sites() {
        let top = tempfile::tempdir().unwrap();
        let found = |inside: Option<&str>| tree_in(top.path(), inside.map(Path::new));
        assert_eq!(found(None).unwrap_err(), "., edge-clusters");
        fs_err::create_dir_all(top.path().join("edge-clusters/sites")).unwrap();
        assert_eq!(found(None).unwrap(), top.path().join("edge-clusters"));
        fs_err::create_dir_all(top.path().join("deploy/gitops/sites")).unwrap();
        assert_eq!(found(Some("deploy/gitops")).unwrap(), top.path().join("deploy/gitops"));
        assert_eq!(found(Some("deploy")).unwrap_err(), "deploy");
        fs_err::create_dir_all(top.path().join("sites")).unwrap();
        assert_eq!(found(None).unwrap(), top.path());
    }

    #[test]
    fn refuses_paths_and_branches_that_lead_elsewhere() {
        for path in ["../x", "/etc", "a/../../b"] {
            assert!(relative(Path::new(path)).is_err(), "{path}");
        }
        for name in ["", "-f", "a..b", "a b", "a:b", "x/", "@{u}", "a\nb"] {
            assert!(ensure_branch_name(Some(name)).is_err(), "{name}");
        }
        assert!(ensure_branch_name(Some("release/2.0-rc_1")).is_ok());
    }
}
