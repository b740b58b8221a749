//! Who changed which file when, read from the history in one git process for any number of sites.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::repository::pathspecs;
use super::{CommitId, Repository, Workspace};
use crate::oci::Timestamp;

/// The steps in which a shallow clone learns more of its history, where what it has is not enough.
const DEEPER: [&str; 3] = ["--deepen=50", "--deepen=500", "--unshallow"];
/// What git prints of a commit: fields that end with NUL, which no commit can hold. The names of its files follow.
const FORMAT: &str = "--format=%x00%H%x00%ct%x00%an <%ae>%x00%s%x00%(trailers:only,unfold)%x00";
const FIELDS: usize = 5;

/// Says whether what is known of the history is enough.
type Enough<'a> = dyn FnMut(&[Revision]) -> Result<bool, GitError> + 'a;

/// A commit that changed files of a GitOps folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit.
    pub commit: CommitId,
    /// When it was committed.
    pub time: Timestamp,
    /// `NAME <EMAIL>`.
    pub author: String,
    /// The first line of its message.
    pub subject: String,
    /// The trailers of its message, in their order: `Signed-With`, `Previous-Digest`. Whoever may commit may write any.
    pub trailers: Vec<(String, String)>,
    /// The files that it changed, of those that were asked for; relative to the GitOps folder.
    pub paths: Vec<PathBuf>,
}

impl Revision {
    /// The last value of a trailer.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Repository {
    /// The commits that changed any of these files, newest first, as far as the repository knows its history: where a shallow one ends
    /// it cannot tell what changed. `since` leaves out older ones. Paths are relative to the folder that was opened; a folder stands
    /// for all in it.
    ///
    /// # Errors
    /// Git cannot read the history.
    pub fn history(&self, paths: &[PathBuf], since: Option<Timestamp>) -> Result<Vec<Revision>, GitError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let plain = ["log", "-z", "--topo-order", "--root", "--name-only", "--no-renames", "--relative", "--no-follow"];
        let quiet = ["--no-color", "--no-notes", "--no-mailmap", "--no-show-signature", FORMAT];
        let mut args: Vec<OsString> = plain.iter().chain(&quiet).map(OsString::from).collect();
        args.extend(since.map(|since| format!("--since=@{}", since.seconds()).into()));
        args.extend(["HEAD", "--"].map(OsString::from));
        args.extend(pathspecs(paths));
        let ends = self.shallow_ends()?;
        let revisions = parse(&self.git.succeed(&args, "")?, paths);
        Ok(revisions.into_iter().filter(|revision| !ends.contains(revision.commit.as_str()) && !revision.paths.is_empty()).collect())
    }

    /// The texts that files had in commits; `None` where a file was not there, or is no text. One git process for any number.
    ///
    /// # Errors
    /// Git cannot read its objects.
    pub fn texts(&self, wanted: &[(CommitId, PathBuf)]) -> Result<Vec<Option<String>>, GitError> {
        let prefix = self.prefix()?;
        let name = |(commit, path): &(CommitId, PathBuf)| match prefix.join(path).to_str() {
            Some(path) if !path.contains('\n') => format!("{commit}:{path}\n"),
            // A name that no object has.
            _ => "-\n".to_owned(),
        };
        let asked: String = wanted.iter().map(name).collect();
        let said = self.git.bytes(&["cat-file", "--batch"], &asked)?;
        let mut rest = said.as_slice();
        Ok(wanted.iter().map(|_| next_text(&mut rest)).collect())
    }

    /// The commits behind which a shallow repository knows nothing.
    fn shallow_ends(&self) -> Result<BTreeSet<String>, GitError> {
        let file = self.git_path("shallow")?;
        let text = if file.is_file() { fs_err::read_to_string(&file).map_err(GitError::io("read", &file))? } else { String::new() };
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Whether there is more history elsewhere.
    pub(super) fn is_shallow(&self) -> Result<bool, GitError> {
        Ok(self.git.line(&["rev-parse", "--is-shallow-repository"])? == "true")
    }
}

impl Workspace {
    /// The commits that changed any of these files, newest first. A shallow clone learns as much of its history as it takes: until
    /// `enough` says so. `tree` is the GitOps folder as [`Self::tree`] or [`Self::land`] gives it.
    ///
    /// # Errors
    /// Git cannot read the history, or the server not give it.
    pub fn history(&self, tree: &Path, paths: &[PathBuf], enough: &mut Enough<'_>) -> Result<Vec<Revision>, GitError> {
        let repository = self.repository.at(tree);
        let mut deeper = DEEPER.iter();
        loop {
            let revisions = repository.history(paths, None)?;
            if enough(&revisions)? || !repository.is_shallow()? {
                return Ok(revisions);
            }
            let Some(step) = deeper.next() else { return Ok(revisions) };
            self.deepen(step)?;
        }
    }

    /// The last commit that changed each of these files; none for a file that no commit has.
    ///
    /// # Errors
    /// Those of [`Self::history`].
    pub fn latest(&self, tree: &Path, paths: &[PathBuf]) -> Result<BTreeMap<PathBuf, Revision>, GitError> {
        let wanted: BTreeSet<&PathBuf> = paths.iter().filter(|path| tree.join(path).exists()).collect();
        let revisions = self.history(tree, paths, &mut |revisions| {
            let seen: BTreeSet<&PathBuf> = revisions.iter().flat_map(|revision| &revision.paths).collect();
            Ok(wanted.is_subset(&seen))
        })?;
        let mut latest = BTreeMap::new();
        for revision in revisions {
            for path in &revision.paths {
                latest.entry(path.clone()).or_insert_with(|| revision.clone());
            }
        }
        Ok(latest)
    }
}

/// Reads what `git log` prints. Of each commit, only files that were asked for count.
fn parse(text: &str, asked: &[PathBuf]) -> Vec<Revision> {
    let asked: BTreeSet<&Path> = asked.iter().map(PathBuf::as_path).collect();
    let is_asked = |name: &&Path| name.ancestors().any(|path| asked.contains(path));
    let mut tokens = text.split('\0').peekable();
    let mut revisions = Vec::new();
    while tokens.peek().is_some() {
        // Each commit begins with an empty token.
        let Some(commit) = tokens.next().and_then(CommitId::new) else { continue };
        let fields: Vec<&str> = tokens.by_ref().take(FIELDS - 1).collect();
        let &[time, author, subject, trailers] = fields.as_slice() else { break };
        tokens.next_if_eq(&"");
        let mut paths = Vec::new();
        while let Some(name) = tokens.next_if(|token| !token.is_empty()) {
            paths.extend(Some(Path::new(name.trim_start_matches('\n'))).filter(is_asked).map(Path::to_owned));
        }
        revisions.push(Revision {
            commit,
            time: Timestamp::from_seconds(time.parse().unwrap_or_default()),
            author: author.to_owned(),
            subject: subject.to_owned(),
            trailers: trailers.lines().filter_map(|line| line.split_once(": ")).map(|(key, value)| (key.into(), value.into())).collect(),
            paths,
        });
    }
    revisions
}

/// Takes one object from what `git cat-file --batch` prints: `NAME blob SIZE`, the bytes, a line end; or `NAME missing`.
fn next_text(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let header = std::str::from_utf8(rest.get(..end)?).ok()?;
    *rest = rest.get(end + 1..)?;
    let (kind, size) = header.split_once(' ')?.1.split_once(' ')?;
    let size: usize = size.parse().ok()?;
    let bytes = rest.get(..size)?;
    *rest = rest.get(size + 1..).unwrap_or_default();
    (kind == "blob").then(|| String::from_utf8(bytes.to_vec()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    #[test]
    fn reads_commits_with_and_without_files() {
        let text = format!(
            "\0{ONE}\x0017\0Ada <a@b>\0Roll out\0Signed-With: key\nModel-Image: x\n\0\0\nsites/a/m.yaml\0sites/b/m.yaml\0\
             \0{TWO}\x0016\0Ada <a@b>\0\0\0\0"
        );
        let revisions = parse(&text, &["sites/a/m.yaml".into()]);
        assert_eq!(revisions.len(), 2);
        let [first, second] = &revisions[..] else { panic!() };
        assert_eq!((first.commit.to_string().as_str(), first.time.seconds(), first.subject.as_str()), (ONE, 17, "Roll out"));
        assert_eq!((first.trailer("signed-with"), first.trailer("Nope")), (Some("key"), None));
        assert_eq!(first.paths, [PathBuf::from("sites/a/m.yaml")]);
        assert_eq!((second.commit.to_string().as_str(), second.paths.len()), (TWO, 0));
        assert_eq!(parse(&text, &["sites".into()])[0].paths.len(), 2, "a folder stands for all in it");
    }

    #[test]
    fn whatever_git_prints_is_read_without_harm() {
        for text in ["", "\0", "\0\0\0", "nonsense", &format!("\0{ONE}\0x"), &format!("\0{ONE}\0x\0\0\0")] {
            assert!(parse(text, &["sites".into()]).len() <= 1, "{text:?}");
        }
    }

    #[test]
    fn reads_objects_one_after_the_other() {
        let mut rest: &[u8] = b"1 blob 3\na\nb\nX:y missing\n2 tree 2\n\xff\n\n3 blob 1\n\xff\n4 blob 0\n\n5 blob 99\nshort";
        let texts: Vec<_> = (0..7).map(|_| next_text(&mut rest)).collect();
        assert_eq!(texts, [Some("a\nb".to_owned()), None, None, None, Some(String::new()), None, None]);
    }
}
