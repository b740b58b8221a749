//! What a site ran before: the way back of a rollback, read from the history.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::access::Access;
use super::error::GitError;
use super::history::Revision;
use super::upstream::Upstream;
use super::{CommitId, Repository, Workspace};
use crate::oci::Digest;

/// How many states of each file are looked at first; the next time it is several times as many.
const FIRST_LOOK: usize = 4;
const FACTOR: usize = 8;

/// Which state of a file is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The last one with another digest than the present one.
    Before,
    /// The last one with this digest.
    Digest(Digest),
    /// The one in this commit: anything that git understands.
    Revision(String),
}

/// A state that a file had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The commit that made it so, or that was asked for.
    pub commit: CommitId,
    /// What is known about that commit, where it changed the file.
    pub revision: Option<Revision>,
    /// The digest that the file named.
    pub digest: Digest,
    /// The file's text.
    pub text: String,
}

/// Reads the digest that a file names.
type Read<'a> = dyn Fn(&Path, &str) -> Option<Digest> + 'a;

impl Workspace {
    /// What a file said before.
    ///
    /// # Errors
    /// [`GitError::NotInHistory`] where it never did, and those of [`Self::history`].
    pub fn past(&self, tree: &Path, path: &Path, wanted: &Wanted, read: &Read<'_>) -> Result<Past, GitError> {
        let found = self.pasts(tree, &[path.to_owned()], wanted, read)?.pop().flatten();
        found.ok_or_else(|| GitError::NotInHistory { path: path.to_owned(), wanted: wanted.to_string() })
    }

    /// The same for many files, in their order, with a handful of git processes. `read` reads the digest from a file's text; `tree` is
    /// the GitOps folder as [`Self::tree`] or [`Self::land`] gives it.
    ///
    /// # Errors
    /// Those of [`Self::history`].
    pub fn pasts(&self, tree: &Path, paths: &[PathBuf], wanted: &Wanted, read: &Read<'_>) -> Result<Vec<Option<Past>>, GitError> {
        let repository = self.repository.at(tree);
        if let Wanted::Revision(word) = wanted {
            let commit = self.known(&repository, word)?;
            return at(&repository, &commit, paths, read);
        }
        let mut found = Vec::new();
        self.history(tree, paths, &mut |revisions| {
            found = search(&repository, revisions, paths, wanted, read)?;
            Ok(found.iter().all(Option::is_some))
        })?;
        Ok(found)
    }

    /// The commit that a word names, which a shallow clone may have yet to fetch.
    fn known(&self, repository: &Repository, word: &str) -> Result<CommitId, GitError> {
        match repository.commit_of(word) {
            Err(_) if repository.is_shallow()? => self.deepen("--unshallow")?,
            known => return known,
        }
        repository.commit_of(word)
    }

    /// Fetches more history.
    pub(super) fn deepen(&self, how: &str) -> Result<(), GitError> {
        if let Some(clone) = &self.clone {
            return clone.deepen(how);
        }
        let upstream = Upstream::of(&self.repository, self.options.branch.as_deref())?;
        let access = Access::to(&upstream.address(&self.repository)?, &self.options.credentials)?;
        upstream.deepen(&self.repository.git, &access, how)
    }
}

/// The state that all files have in one commit.
fn at(repository: &Repository, commit: &CommitId, paths: &[PathBuf], read: &Read<'_>) -> Result<Vec<Option<Past>>, GitError> {
    let asked: Vec<_> = paths.iter().map(|path| (commit.clone(), path.clone())).collect();
    let texts = repository.texts(&asked)?;
    let past = |(path, text): (&PathBuf, Option<String>)| {
        let text = text?;
        Some(Past { commit: commit.clone(), revision: None, digest: read(path, &text)?, text })
    };
    Ok(paths.iter().zip(texts).map(past).collect())
}

/// Goes back through the states of each file, all files a step at a time, until each has one that is wanted.
fn search(
    repository: &Repository,
    revisions: &[Revision],
    paths: &[PathBuf],
    wanted: &Wanted,
    read: &Read<'_>,
) -> Result<Vec<Option<Past>>, GitError> {
    let present = at(repository, &repository.head()?, paths, read)?;
    let digests: Vec<Option<Digest>> = present.iter().map(|past| past.as_ref().map(|past| past.digest)).collect();
    let is_wanted = |digest: Digest, index: usize| match wanted {
        Wanted::Digest(digest_wanted) => digest == *digest_wanted,
        _ => Some(digest) != digests.get(index).copied().flatten(),
    };
    let touching = touching(revisions, paths);
    let mut found: Vec<Option<Past>> = vec![None; paths.len()];
    let (mut from, mut to) = (0, FIRST_LOOK);
    loop {
        let open = (0..paths.len()).filter(|index| found.get(*index).is_some_and(Option::is_none));
        let asked: Vec<(usize, &Revision)> =
            open.flat_map(|index| slice(&touching, index, from, to).map(move |revision| (index, revision))).collect();
        if asked.is_empty() {
            return Ok(found);
        }
        let names: Vec<_> =
            asked.iter().filter_map(|(index, revision)| Some((revision.commit.clone(), paths.get(*index)?.clone()))).collect();
        for ((index, revision), text) in asked.into_iter().zip(repository.texts(&names)?) {
            let (Some(slot), Some(path), Some(text)) = (found.get_mut(index), paths.get(index), text) else { continue };
            let Some(digest) = read(path, &text).filter(|digest| slot.is_none() && is_wanted(*digest, index)) else { continue };
            *slot = Some(Past { commit: revision.commit.clone(), revision: Some(revision.clone()), digest, text });
        }
        (from, to) = (to, to * FACTOR);
    }
}

/// For each path the commits that changed it, newest first.
fn touching<'a>(revisions: &'a [Revision], paths: &[PathBuf]) -> Vec<Vec<&'a Revision>> {
    let places: BTreeMap<&Path, usize> = paths.iter().enumerate().map(|(index, path)| (path.as_path(), index)).collect();
    let mut touching = vec![Vec::new(); paths.len()];
    for revision in revisions {
        for path in &revision.paths {
            if let Some(list) = places.get(path.as_path()).and_then(|index| touching.get_mut(*index)) {
                list.push(revision);
            }
        }
    }
    touching
}

fn slice<'a>(touching: &'a [Vec<&'a Revision>], index: usize, from: usize, to: usize) -> impl Iterator<Item = &'a Revision> {
    touching.get(index).into_iter().flat_map(move |list| list.iter().copied().skip(from).take(to - from))
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before => f.write_str("another digest"),
            Self::Digest(digest) => digest.fmt(f),
            Self::Revision(word) => write!(f, "a digest in {word}"),
        }
    }
}
