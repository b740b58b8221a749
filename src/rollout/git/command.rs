//! One run of the user's own `git`, in an environment that leads it nowhere else.
//!
//! Shelling out keeps everything a user has set up: identity, signing, hooks, `safe.directory`.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::NamedTempFile;

use super::error::GitError;
use crate::oci::is_harmless;
use crate::rollout::SECRETS;

/// How much of git's and its hooks' talk is kept, in bytes.
const MAX_TALK: u64 = 64 << 10;
/// How much data git may answer with, in bytes: the history of a thousand sites is some megabytes.
const MAX_DATA: u64 = 256 << 20;
/// How much of its talk goes into an error, in characters.
const MAX_SHOWN: usize = 2000;

/// Variables that would point git at another repository or index, as they are set inside hooks, change how paths are read, or show
/// what is sent. `GIT_CONFIG_COUNT` and its like stay: continuous integration sets `safe.directory` with them.
const FOREIGN: [&str; 19] = [
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
    "GIT_TRACE_REDACT",
];

/// Git in one folder.
#[derive(Clone, Debug)]
pub(super) struct Git {
    pub(super) dir: PathBuf,
    env: Vec<(OsString, OsString)>,
    config: Vec<String>,
    /// How much data a command may answer with, in bytes.
    limit: u64,
}

impl Git {
    pub(super) fn new(dir: &Path, env: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self { dir: dir.to_owned(), env: env.into_iter().collect(), config: Vec::new(), limit: MAX_DATA }
    }

    /// The same in another folder.
    pub(super) fn at(&self, dir: &Path) -> Self {
        Self { dir: dir.to_owned(), ..self.clone() }
    }

    /// The same for commands that answer with so many bytes at most.
    pub(super) fn at_most(&self, limit: u64) -> Self {
        Self { limit, ..self.clone() }
    }

    /// The same with more variables, and more settings (`key=value`) for this command alone.
    pub(super) fn with(&self, env: &[(OsString, OsString)], config: &[String]) -> Self {
        let mut git = self.clone();
        git.env.extend_from_slice(env);
        git.config.extend_from_slice(config);
        git
    }

    /// Runs git and gives its standard output.
    pub(super) fn succeed<A: AsRef<OsStr>>(&self, args: &[A], stdin: &str) -> Result<String, GitError> {
        let bytes = self.bytes(args, stdin)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The same as bytes.
    pub(super) fn bytes<A: AsRef<OsStr>>(&self, args: &[A], stdin: &str) -> Result<Vec<u8>, GitError> {
        let said = self.run(args, stdin)?;
        if said.status.success() { Ok(said.stdout) } else { Err(self.failure(&name_of(args), &said)) }
    }

    /// The same for one line, without its end.
    pub(super) fn line<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String, GitError> {
        Ok(self.succeed(args, "")?.trim_end_matches('\n').to_owned())
    }

    /// Runs a command that takes its paths from a file, however many there are.
    pub(super) fn succeed_on(&self, args: &[&str], paths: &[PathBuf], stdin: &str) -> Result<String, GitError> {
        let list = path_list(paths).map_err(GitError::io("write", &std::env::temp_dir()))?;
        let mut from = OsString::from("--pathspec-from-file=");
        from.push(list.path());
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        args.extend([from, "--pathspec-file-nul".into()]);
        self.succeed(&args, stdin)
    }

    pub(super) fn failure(&self, command: &str, said: &Said) -> GitError {
        let (dir, output) = (self.dir.clone(), said.shown());
        let says = |words: &str| said.stderr.contains(words);
        if says(".lock': File exists") {
            return GitError::Locked { dir, output };
        }
        if says("Please tell me who you are") || says("empty ident name") || says("unable to auto-detect email") {
            return GitError::NoIdentity { dir };
        }
        GitError::Failed { command: command.to_owned(), dir, output }
    }

    pub(super) fn run<A: AsRef<OsStr>>(&self, args: &[A], stdin: &str) -> Result<Said, GitError> {
        let mut command = self.command();
        command.args(args);
        let shown = || args.iter().map(|arg| arg.as_ref().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
        tracing::debug!(dir = %self.dir.display(), "git {}", without_credentials(&shown()));
        let no_git = |source| GitError::NoGit { source };
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(no_git)?;
        let said = converse(child, stdin, self.limit).map_err(no_git)?;
        if said.is_cut {
            return Err(GitError::TooMuch { command: name_of(args), dir: self.dir.clone(), limit: self.limit });
        }
        Ok(said)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        for name in FOREIGN.iter().chain(&SECRETS) {
            command.env_remove(name);
        }
        command.arg("-C").arg(&self.dir).args(self.config.iter().flat_map(|setting| ["-c", setting]));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        // Messages are recognised by their English words; a prompt would hang a pipeline.
        command.env("LC_ALL", "C").env("LANGUAGE", "C").env("GIT_TERMINAL_PROMPT", "0");
        command
    }
}

/// The sub-command.
fn name_of<A: AsRef<OsStr>>(args: &[A]) -> String {
    args.first().map(|arg| arg.as_ref().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Paths that git takes for no patterns. Not by variable: hooks would inherit it, and theirs are patterns.
fn path_list(paths: &[PathBuf]) -> io::Result<NamedTempFile> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut list = NamedTempFile::new()?;
    let mut text = Vec::new();
    for path in paths {
        text.extend_from_slice(b":(literal)");
        text.extend_from_slice(path.as_os_str().as_bytes());
        text.push(0);
    }
    list.write_all(&text)?;
    Ok(list)
}

/// What a git said before it ended.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    is_cut: bool,
}

impl Said {
    /// What to show of it in an error.
    pub(super) fn shown(&self) -> String {
        let all = without_credentials(&self.all());
        // An error is one line; of `git push --porcelain`, its first and last words tell nothing.
        let lines = all.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "Done" && !line.starts_with("To "));
        let shown: String = lines.collect::<Vec<_>>().join("; ").chars().filter(|c| is_harmless(*c)).take(MAX_SHOWN).collect();
        if shown.is_empty() { format!("it ended with {}", self.status) } else { shown }
    }

    /// Everything it said.
    pub(super) fn all(&self) -> String {
        format!("{}\n{}", self.stderr.trim(), self.text().trim())
    }

    /// Its standard output.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Its standard output where that is one line, without its end.
    pub(super) fn line(&self) -> String {
        self.text().trim_end_matches('\n').to_owned()
    }
}

/// Takes the login out of every address: `https://robot:secret@host` becomes `https://host`.
pub(super) fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"')).unwrap_or(after.len());
        let authority = after.get(..end).unwrap_or_default();
        clean.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        rest = after.get(end..).unwrap_or_default();
    }
    clean + rest
}

/// Feeds and drains all three streams at once, so that neither side waits for the other.
fn converse(mut child: Child, stdin: &str, limit: u64) -> io::Result<Said> {
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ((stdout, is_cut), stderr) = std::thread::scope(|scope| {
        scope.spawn(|| input.map(|mut input| input.write_all(stdin.as_bytes())));
        let errors = scope.spawn(|| err.map_or_else(Vec::new, |stream| read_bounded(stream, MAX_TALK).0));
        let stdout = out.map_or_else(Default::default, |stream| read_bounded(stream, limit));
        (stdout, errors.join().unwrap_or_default())
    });
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Ok(Said { status: child.wait()?, stdout, stderr, is_cut })
}

/// The beginning of a stream, and whether there was more, which is read and dropped.
fn read_bounded(mut stream: impl Read, limit: u64) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let _ = stream.by_ref().take(limit).read_to_end(&mut bytes);
    let dropped = io::copy(&mut stream, &mut io::sink()).unwrap_or_default();
    (bytes, dropped > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_keeps_its_login() {
        for (text, expected) in [
            ("fatal: 'https://robot:s3cret@h/r.git' and ssh://git@h:22/r", "fatal: 'https://h/r.git' and ssh://h:22/r"),
            ("https://a:p@ss@h/r", "https://h/r"),
            ("file:///srv/a@b/r and x://", "file:///srv/a@b/r and x://"),
            ("no address, a@b", "no address, a@b"),
        ] {
            assert_eq!(without_credentials(text), expected);
        }
    }
}
