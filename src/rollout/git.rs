//! The user's own `git`, run so that it touches nothing but the files of a rollout.
//!
//! Shelling out keeps everything a user has set up: identity, signing, hooks, `safe.directory`.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::{RolloutError, SiteChange};

/// How much of git's and its hooks' talk is kept, in bytes.
const MAX_OUTPUT: u64 = 64 << 10;
/// How much of it goes into an error, in characters.
const MAX_SHOWN: usize = 2000;

/// What signs images is no business of Git, nor of the hooks it runs.
const SECRETS: [&str; 2] = ["COSIGN_PASSWORD", "COSIGN_PRIVATE_KEY"];

/// Variables that would point git at another repository or index, as they are set inside hooks, or change how paths are read.
/// `GIT_CONFIG_COUNT` and its like stay: continuous integration sets `safe.directory` with them.
const FOREIGN: [&str; 18] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
];

/// A folder in a git work tree; it need not be the tree's top.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(super) dir: PathBuf,
    env: Vec<(OsString, OsString)>,
}

/// The name of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitId(String);

impl CommitId {
    /// The first 12 digits, as people read them.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
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
    /// [`RolloutError::NoGit`] without a `git`, [`RolloutError::NoWorkTree`] outside a work tree.
    pub fn open(dir: &Path) -> Result<Self, RolloutError> {
        Self::open_with_env(dir, [])
    }

    /// The same, with variables for git beside the process's own (`GIT_AUTHOR_NAME`, `GIT_SSH_COMMAND`).
    pub fn open_with_env(dir: &Path, env: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, RolloutError> {
        let repository = Self { dir: dir.to_owned(), env: env.into_iter().collect() };
        let said = repository.run(&["rev-parse", "--is-inside-work-tree"], &[], "")?;
        if said.status.success() && said.stdout.trim() == "true" { Ok(repository) } else { Err(repository.no_work_tree(&said)) }
    }

    fn no_work_tree(&self, said: &Said) -> RolloutError {
        let dir = self.dir.clone();
        match self.run(&["rev-parse", "--is-bare-repository"], &[], "") {
            Ok(bare) if bare.stdout.trim() == "true" => RolloutError::Bare { dir },
            _ => RolloutError::NoWorkTree { dir, output: said.shown() },
        }
    }

    /// Refuses when files carry changes that nobody committed yet. Paths are relative to the folder that was opened.
    ///
    /// # Errors
    /// [`RolloutError::Uncommitted`], naming them.
    pub fn ensure_committed(&self, paths: &[PathBuf]) -> Result<(), RolloutError> {
        let dirty: Vec<_> =
            paths.iter().map(|path| Ok((path, self.is_dirty(std::slice::from_ref(path))?))).collect::<Result<_, RolloutError>>()?;
        let names: Vec<_> = dirty.iter().filter(|(_, dirty)| *dirty).map(|(path, _)| path.display().to_string()).collect();
        if names.is_empty() { Ok(()) } else { Err(RolloutError::Uncommitted { dir: self.dir.clone(), files: names.join(", ") }) }
    }

    /// Commits these files as they are in the work tree, and nothing else: what the user has staged or edited elsewhere stays as it
    /// is. `None` when the last commit has them already. Paths are relative to the folder that was opened.
    ///
    /// Hooks and commit signing run as the user has set them up. When one of them refuses, the files stay in the work tree, staged.
    ///
    /// # Errors
    /// [`RolloutError::Locked`] when another git is at work, [`RolloutError::NoIdentity`] when git knows no author.
    pub fn commit(&self, paths: &[PathBuf], message: &str) -> Result<Option<CommitId>, RolloutError> {
        if paths.is_empty() {
            return Ok(None);
        }
        // New files have to be known to the index before `--only` takes them; an ignored one fails here, by name.
        self.succeed(&["add"], paths, "")?;
        if !self.is_dirty(paths)? {
            return Ok(None);
        }
        self.succeed(&["commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-"], paths, message)?;
        let head = self.succeed(&["rev-parse", "--verify", "HEAD"], &[], "")?;
        Ok(Some(CommitId(head.trim().to_owned())))
    }

    /// Commits a change that was written. When git, a hook or a lock says no, the files are put back and unstaged, so that the same
    /// command can be run again. `None` when the last commit has everything.
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub fn commit_change(&self, change: &SiteChange, message: &str) -> Result<Option<CommitId>, RolloutError> {
        // With nothing to write, what an interrupted run left is made up for; where it left nothing, other edits are the user's.
        if change.is_empty() && !self.is_dirty(&change.own)? {
            return Ok(None);
        }
        let paths = change.paths();
        self.commit(&paths, message).inspect_err(|_| self.undo(change, &paths))
    }

    /// Best effort: the first error is the one to tell.
    fn undo(&self, change: &SiteChange, paths: &[PathBuf]) {
        if let Err(error) = change.restore() {
            tracing::warn!("cannot put the files back: {error}");
        }
        if let Err(error) = self.succeed(&["reset", "--quiet"], paths, "") {
            tracing::debug!("cannot unstage: {error}");
        }
    }

    fn is_dirty(&self, paths: &[PathBuf]) -> Result<bool, RolloutError> {
        Ok(!self.succeed(&["status", "--porcelain", "--untracked-files=all"], paths, "")?.is_empty())
    }

    /// Runs git and gives its standard output.
    pub(super) fn succeed(&self, args: &[&str], paths: &[PathBuf], stdin: &str) -> Result<String, RolloutError> {
        let said = self.run(args, paths, stdin)?;
        if said.status.success() { Ok(said.stdout) } else { Err(self.failure(args.first().copied().unwrap_or_default(), &said)) }
    }

    pub(super) fn failure(&self, command: &str, said: &Said) -> RolloutError {
        let (dir, output) = (self.dir.clone(), said.shown());
        let says = |words: &str| said.stderr.contains(words);
        if says(".lock': File exists") {
            return RolloutError::Locked { dir, output };
        }
        if says("Please tell me who you are") || says("empty ident name") || says("unable to auto-detect email") {
            return RolloutError::NoIdentity { dir };
        }
        RolloutError::Git { command: command.to_owned(), dir, output }
    }

    pub(super) fn run(&self, args: &[&str], paths: &[PathBuf], stdin: &str) -> Result<Said, RolloutError> {
        let mut command = self.command();
        command.args(args);
        if !paths.is_empty() {
            command.arg("--").args(paths.iter().map(|path| literal(path)));
        }
        tracing::debug!(dir = %self.dir.display(), "git {}", args.join(" "));
        let no_git = |source| RolloutError::NoGit { source };
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(no_git)?;
        converse(child, stdin).map_err(no_git)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for name in FOREIGN.iter().chain(&SECRETS) {
            command.env_remove(name);
        }
        command.arg("-C").arg(&self.dir).envs(self.env.iter().map(|(name, value)| (name, value)));
        // Messages are recognised by their English words; a prompt would hang a pipeline.
        command.env("LC_ALL", "C").env("LANGUAGE", "C").env("GIT_TERMINAL_PROMPT", "0");
        command
    }
}

/// A file name that git takes for no pattern. Not by variable: hooks would inherit it, and theirs are patterns.
fn literal(path: &Path) -> OsString {
    let mut spec = OsString::from(":(literal)");
    spec.push(path);
    spec
}

/// What a git said before it ended.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    stderr: String,
}

impl Said {
    /// What to show of it in an error.
    fn shown(&self) -> String {
        let all = format!("{}\n{}", self.stderr.trim(), self.stdout.trim());
        let shown: String = all.trim().chars().filter(|c| !c.is_control() || *c == '\n').take(MAX_SHOWN).collect();
        if shown.is_empty() { format!("it ended with {}", self.status) } else { shown }
    }
}

/// Feeds and drains all three streams at once, so that neither side waits for the other.
fn converse(mut child: std::process::Child, stdin: &str) -> io::Result<Said> {
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = std::thread::scope(|scope| {
        scope.spawn(|| input.map(|mut input| input.write_all(stdin.as_bytes())));
        let errors = scope.spawn(|| err.map_or_else(String::new, read_bounded));
        let stdout = out.map_or_else(String::new, read_bounded);
        (stdout, errors.join().unwrap_or_default())
    });
    Ok(Said { status: child.wait()?, stdout, stderr })
}

/// The beginning of a stream; the rest is read and dropped.
fn read_bounded(mut stream: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
    let _ = io::copy(&mut stream, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}
