//! A folder in a work tree, and commits that touch nothing but the files of a rollout.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::command::{Git, Said};
use super::error::GitError;
use super::identity::CommitSigning;
use crate::rollout::TreeChange;

/// How many paths are named to a command that takes none from a file; of more, the folder that holds them all is named.
const FEW: usize = 50;

/// A folder in a git work tree; it need not be the tree's top.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) git: Git,
    pub(super) signing: CommitSigning,
}

/// The name of a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// A full name as git prints it.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_name = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_name.then(|| Self(text.to_owned()))
    }

    /// The first 12 digits, as people read them.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Repository {
    /// The repository that holds a folder.
    ///
    /// # Errors
    /// [`GitError::NoGit`] without a `git`, [`GitError::NoWorkTree`] outside a work tree.
    pub fn open(dir: &Path) -> Result<Self, GitError> {
        Self::open_with_env(dir, [])
    }

    /// The same, with variables for git beside the process's own (`GIT_AUTHOR_NAME`, `GIT_SSH_COMMAND`).
    pub fn open_with_env(dir: &Path, env: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, GitError> {
        Self::open_git(Git::new(dir, env), CommitSigning::AsConfigured)
    }

    pub(super) fn open_git(git: Git, signing: CommitSigning) -> Result<Self, GitError> {
        let said = git.run(&["rev-parse", "--is-inside-work-tree"], "")?;
        if said.status.success() && said.text().trim() == "true" { Ok(Self { git, signing }) } else { Err(no_work_tree(&git, &said)) }
    }

    /// The same settings in another work tree.
    pub(super) fn at(&self, dir: &Path) -> Self {
        Self { git: self.git.at(dir), signing: self.signing.clone() }
    }

    /// Whether one commit is in the history of another.
    pub(super) fn is_ancestor(&self, one: &CommitId, other: &CommitId) -> Result<bool, GitError> {
        let said = self.git.run(&["merge-base", "--is-ancestor", one.as_str(), other.as_str()], "")?;
        match said.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.git.failure("merge-base", &said)),
        }
    }

    /// The folder that was opened.
    pub fn dir(&self) -> &Path {
        &self.git.dir
    }

    /// Refuses when files carry changes that nobody committed yet. Paths are relative to the folder that was opened.
    ///
    /// # Errors
    /// [`GitError::Uncommitted`], naming them.
    pub fn ensure_committed(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        let names: Vec<_> = self.dirty(paths)?.iter().map(|path| path.display().to_string()).collect();
        if names.is_empty() { Ok(()) } else { Err(GitError::Uncommitted { dir: self.git.dir.clone(), files: names.join(", ") }) }
    }

    /// Commits these files as they are in the work tree, and nothing else: what the user has staged or edited elsewhere stays as it
    /// is. `None` when the last commit has them already. Paths are relative to the folder that was opened.
    ///
    /// Hooks and commit signing run as the user has set them up. When one of them refuses, the files stay in the work tree, staged.
    ///
    /// # Errors
    /// [`GitError::Locked`] when another git is at work, [`GitError::NoIdentity`] when git knows no author.
    pub fn commit(&self, paths: &[PathBuf], message: &str) -> Result<Option<CommitId>, GitError> {
        if paths.is_empty() {
            return Ok(None);
        }
        // New files have to be known to the index before `--only` takes them; an ignored one fails here, by name.
        self.git.succeed_on(&["add"], paths, "")?;
        if self.dirty(paths)?.is_empty() {
            return Ok(None);
        }
        let mut args = vec!["commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-"];
        args.extend(self.signing.argument());
        self.git.with(&[], &self.signing.settings()).succeed_on(&args, paths, message)?;
        Ok(Some(self.head()?))
    }

    /// Commits a change that was written. When git, a hook or a lock says no, the files are put back and unstaged, so that the same
    /// command can be run again. `None` when the last commit has everything.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub fn commit_change(&self, change: &TreeChange, message: &str) -> Result<Option<CommitId>, GitError> {
        // With nothing to write, what an interrupted run left is made up for; where it left nothing, other edits are the user's.
        if change.is_empty() && self.dirty(&change.own)?.is_empty() {
            return Ok(None);
        }
        let paths = change.paths();
        self.commit(&paths, message).inspect_err(|_| self.undo(change, &paths))
    }

    /// Best effort: the first error is the one to tell.
    fn undo(&self, change: &TreeChange, paths: &[PathBuf]) {
        if let Err(error) = change.restore() {
            tracing::warn!("cannot put the files back: {error}");
        }
        if let Err(error) = self.git.succeed_on(&["reset", "--quiet"], paths, "") {
            tracing::debug!("cannot unstage: {error}");
        }
    }

    /// The commit that is checked out.
    pub(super) fn head(&self) -> Result<CommitId, GitError> {
        self.commit_of("HEAD")
    }

    /// The branch that is checked out; `None` where a commit is.
    pub fn branch(&self) -> Result<Option<String>, GitError> {
        let said = self.git.run(&["symbolic-ref", "--quiet", "--short", "HEAD"], "")?;
        Ok(said.status.success().then(|| said.line()))
    }

    /// The commit that a word names.
    pub(super) fn commit_of(&self, word: &str) -> Result<CommitId, GitError> {
        let said = self.git.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{word}^{{commit}}")], "")?;
        let commit = CommitId::new(&said.line()).filter(|_| said.status.success());
        commit.ok_or_else(|| GitError::unusable(format!("the revision {word:?}"), "it names no commit", "`git log` lists them"))
    }

    /// Which of these files are not as in the last commit; one git process for any number.
    fn dirty(&self, paths: &[PathBuf]) -> Result<BTreeSet<PathBuf>, GitError> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut args: Vec<OsString> =
            ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--"].iter().map(OsString::from).collect();
        args.extend(pathspecs(paths));
        let prefix = self.prefix()?;
        let wanted: BTreeSet<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let said = self.git.succeed(&args, "")?;
        let names = said.split('\0').filter_map(|entry| Path::new(entry.get(3..)?).strip_prefix(&prefix).ok());
        Ok(names.filter(|name| wanted.contains(name)).map(Path::to_owned).collect())
    }

    /// The folder that was opened, as seen from the top of the work tree.
    pub(super) fn prefix(&self) -> Result<PathBuf, GitError> {
        Ok(self.git.line(&["rev-parse", "--show-prefix"])?.into())
    }
}

fn no_work_tree(git: &Git, said: &Said) -> GitError {
    let dir = git.dir.clone();
    match git.run(&["rev-parse", "--is-bare-repository"], "") {
        Ok(bare) if bare.text().trim() == "true" => GitError::Bare { dir },
        _ => GitError::NoWorkTree { dir, output: said.shown() },
    }
}

/// Paths for a command line, of bounded length: with many, the folder that holds them all stands for them.
pub(super) fn pathspecs(paths: &[PathBuf]) -> Vec<OsString> {
    let literal = |path: &Path| {
        let mut spec = OsString::from(":(literal)");
        spec.push(path);
        spec
    };
    if paths.len() <= FEW {
        paths.iter().map(|path| literal(path)).collect()
    } else {
        vec![common_folder(paths).map_or_else(|| ".".into(), literal)]
    }
}

/// The deepest folder above all paths, where it is not the top.
fn common_folder(paths: &[PathBuf]) -> Option<&Path> {
    let mut folder = paths.first()?.parent()?;
    while paths.iter().any(|path| !path.starts_with(folder)) {
        folder = folder.parent()?;
    }
    (!folder.as_os_str().is_empty()).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_paths_become_the_folder_above_them() {
        let sites = |count: usize| -> Vec<PathBuf> { (0..count).map(|n| format!("sites/s{n}/models/iris.yaml").into()).collect() };
        assert_eq!(pathspecs(&sites(2)), [":(literal)sites/s0/models/iris.yaml", ":(literal)sites/s1/models/iris.yaml"]);
        assert_eq!(pathspecs(&sites(1000)), [":(literal)sites"]);
        let mut mixed = sites(1000);
        mixed.push("fleet.yaml".into());
        assert_eq!(pathspecs(&mixed), ["."]);
    }

    #[test]
    fn a_commit_has_a_whole_name() {
        for (text, good) in [(&"a".repeat(40), true), (&"0".repeat(64), true), (&"a".repeat(12), false), (&"g".repeat(40), false)] {
            assert_eq!(CommitId::new(text).is_some(), good, "{text}");
        }
    }
}
