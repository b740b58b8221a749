//! The files under a path, as they are now. Every format reads from a [`Tree`] and never walks on its own, so names, links,
//! special files and bounds are judged in one place.

mod hub;
mod left_out;
mod links;
mod names;
mod selection;
mod walk;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Links, ModelError, ModelFile, ReadOptions};
pub use hub::{HubOrigin, origin as hub_origin};
use links::LinkRule;
pub use names::litter;
use selection::Selection;

/// More files than this is no model, but somebody's home directory.
pub const MAX_FILES: usize = 100_000;
/// Folders within folders.
pub const MAX_DEPTH: usize = 64;

/// The files of a model, sorted bytewise by path, whatever order the folder gives them in.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    files: Vec<ModelFile>,
    notes: Vec<String>,
    scope: Scope,
}

/// What belongs to the model.
#[derive(Debug)]
enum Scope {
    /// Everything in the folder.
    Folder,
    /// One file, and what it names beside it.
    SingleFile(LinkRule),
}

impl Tree {
    /// The files of the model at `path`, a file or a folder; `path` itself may be a link.
    pub fn scan(path: &Path, links: Links) -> Result<Self, ModelError> {
        Self::scan_selected(path, &ReadOptions { follow_links: links, ..ReadOptions::default() })
    }

    /// Like [`Self::scan`], of the files that the options select. A repository of the Hugging Face cache stands for its snapshot.
    pub fn scan_selected(path: &Path, options: &ReadOptions) -> Result<Self, ModelError> {
        let metadata = fs::metadata(path).map_err(|error| at_start(path, error))?;
        let tree = if metadata.is_dir() { Self::folder(path, options)? } else { Self::single_file(path, options.follow_links, &metadata)? };
        tree.with_content(path)
    }

    /// Files that are in no folder; `name` stands for one.
    pub fn of_files(name: &Path, mut files: Vec<ModelFile>) -> Result<Self, ModelError> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let tree = Self { root: name.to_owned(), files, notes: Vec::new(), scope: Scope::Folder };
        tree.with_content(name)
    }

    fn with_content(self, path: &Path) -> Result<Self, ModelError> {
        if self.files.iter().all(|file| file.size == 0) {
            return Err(ModelError::Empty { path: path.to_owned(), files: self.files.len() });
        }
        Ok(self)
    }

    fn folder(path: &Path, options: &ReadOptions) -> Result<Self, ModelError> {
        let (root, note) = hub::snapshot(path)?.map_or((path.to_owned(), None), |(root, note)| (root, Some(note)));
        let rule = LinkRule::below(&root, options.follow_links)?;
        let (files, left_out) = walk::walk(&root, &rule, &Selection::new(&options.patterns)?)?;
        Ok(Self { root, files, notes: note.into_iter().chain(left_out).collect(), scope: Scope::Folder })
    }

    fn single_file(path: &Path, links: Links, metadata: &fs::Metadata) -> Result<Self, ModelError> {
        let root = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let name = path.file_name().ok_or_else(|| ModelError::NotFound { path: path.to_owned() })?;
        let name = names::checked(path, name)?.to_owned();
        let source = fs::canonicalize(path).map_err(ModelError::io("read", path))?;
        let file = walk::regular_file(name, source, metadata)?;
        let rule = LinkRule::below(&root, links)?;
        Ok(Self { root, files: vec![file], notes: Vec::new(), scope: Scope::SingleFile(rule) })
    }

    /// All files, sorted by path.
    pub fn files(&self) -> &[ModelFile] {
        &self.files
    }

    /// The file at this place.
    pub fn file(&self, path: &str) -> Option<&ModelFile> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// The file that another one names by this place: in a folder one of its files; beside a single file what is on disk there,
    /// under the same rules for links. The caller has judged the path itself.
    pub fn named(&self, path: &str) -> Result<Option<ModelFile>, ModelError> {
        match &self.scope {
            Scope::Folder => Ok(self.file(path).cloned()),
            Scope::SingleFile(rule) => beside(&self.root, path, rule),
        }
    }

    /// Whether something is on disk at this place and was not selected.
    pub fn leaves_out(&self, path: &str) -> bool {
        matches!(self.scope, Scope::Folder) && self.file(path).is_none() && self.root.join(path).exists()
    }

    /// Where a file of this model is for a person: the path that they gave, and the place below it.
    pub fn shown(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Files and notes.
    pub fn into_parts(self) -> (Vec<ModelFile>, Vec<String>) {
        (self.files, self.notes)
    }
}

fn beside(root: &Path, path: &str, rule: &LinkRule) -> Result<Option<ModelFile>, ModelError> {
    let place = root.join(path);
    for name in path.split('/') {
        names::checked(&place, name.as_ref())?;
    }
    match fs::symlink_metadata(&place) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(ModelError::io("read", place)(error)),
        Ok(_) => {}
    }
    // Judged even where the last name is no link: a folder on the way may be one.
    let source = rule.follow(&place)?;
    let metadata = fs::metadata(&source).map_err(ModelError::io("read", &place))?;
    walk::regular_file(path.to_owned(), source, &metadata).map(Some)
}

fn at_start(path: &Path, error: io::Error) -> ModelError {
    match error.kind() {
        io::ErrorKind::NotFound => ModelError::NotFound { path: path.to_owned() },
        _ => ModelError::io("read", path)(error),
    }
}

#[cfg(test)]
mod tests;
