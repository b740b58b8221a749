//! Walking a model's folder: regular files only, links followed by rule, everything else refused by name.

use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::links::LinkRule;
use super::{MAX_DEPTH, MAX_FILES, names};
use crate::model::{ModelError, ModelFile};

/// Notes about single files left out; beyond these only their number.
const MAX_NOTES: usize = 20;

/// All files below `root`, sorted by path, and what was left out.
pub(super) fn walk(root: &Path, rule: &LinkRule) -> Result<(Vec<ModelFile>, Vec<String>), ModelError> {
    let mut walk = Walk { root, rule, files: Vec::new(), left_out: Vec::new(), trail: Vec::new() };
    let metadata = fs::metadata(root).map_err(ModelError::io("read", root))?;
    walk.folder("", root, &metadata)?;
    walk.files.sort_by(|a, b| a.path.cmp(&b.path));
    let notes = walk.notes();
    Ok((walk.files, notes))
}

/// A file of the model, if it is one and can be read.
pub(super) fn regular_file(path: String, source: PathBuf, metadata: &Metadata) -> Result<ModelFile, ModelError> {
    if !metadata.is_file() {
        return Err(ModelError::Special { path: source, kind: kind(metadata.file_type()) });
    }
    // Now, not when half of the model is in the registry.
    rustix::fs::access(&source, Access::READ_OK).map_err(|error| ModelError::io("read", &source)(error.into()))?;
    Ok(ModelFile::new(path, source, metadata))
}

/// Whether a folder is an OCI layout: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>.
fn is_layout(folder: &Path) -> bool {
    folder.join("oci-layout").is_file() && folder.join("index.json").is_file()
}

fn kind(file_type: FileType) -> &'static str {
    match file_type {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_block_device() || kind.is_char_device() => "a device",
        _ => "something special",
    }
}

struct Walk<'a> {
    root: &'a Path,
    rule: &'a LinkRule,
    files: Vec<ModelFile>,
    left_out: Vec<String>,
    /// Device and inode of the folders that we are in: a link to one of them would never end.
    trail: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn folder(&mut self, place: &str, source: &Path, metadata: &Metadata) -> Result<(), ModelError> {
        let identity = (metadata.dev(), metadata.ino());
        let path = || self.root.join(place);
        if self.trail.contains(&identity) {
            return Err(ModelError::LinkLoop { path: path() });
        }
        if self.trail.len() > MAX_DEPTH {
            return Err(ModelError::TooDeep { path: path() });
        }
        self.trail.push(identity);
        for name in self.listing(source)? {
            self.entry(place, source, &name)?;
        }
        self.trail.pop();
        Ok(())
    }

    /// The names in a folder, in an order that does not depend on the file system.
    fn listing(&self, folder: &Path) -> Result<Vec<OsString>, ModelError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(ModelError::io("list", folder))? {
            names.push(entry.map_err(ModelError::io("list", folder))?.file_name());
            self.check_count(names.len())?;
        }
        names.sort_unstable();
        Ok(names)
    }

    fn entry(&mut self, place: &str, folder: &Path, name: &OsString) -> Result<(), ModelError> {
        let found = folder.join(name);
        let name = names::checked(&found, name)?;
        let path = if place.is_empty() { name.to_owned() } else { format!("{place}/{name}") };
        if let Some(why) = names::litter(&path) {
            self.left_out.push(format!("left out {path}: {why}"));
            return Ok(());
        }
        let (source, metadata) = self.resolved(found)?;
        if metadata.is_dir() && is_layout(&source) {
            self.left_out.push(format!("left out {path}: an OCI layout, such as the image of an earlier build"));
            return Ok(());
        }
        if metadata.is_dir() {
            return self.folder(&path, &source, &metadata);
        }
        self.files.push(regular_file(path, source, &metadata)?);
        self.check_count(self.files.len())
    }

    fn resolved(&self, found: PathBuf) -> Result<(PathBuf, Metadata), ModelError> {
        let metadata = fs::symlink_metadata(&found).map_err(ModelError::io("read", &found))?;
        if !metadata.is_symlink() {
            return Ok((found, metadata));
        }
        let target = self.rule.follow(&found)?;
        let metadata = fs::symlink_metadata(&target).map_err(ModelError::io("read", &target))?;
        Ok((target, metadata))
    }

    fn check_count(&self, count: usize) -> Result<(), ModelError> {
        if count > MAX_FILES { Err(ModelError::TooManyFiles { path: self.root.to_owned() }) } else { Ok(()) }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.left_out.iter().take(MAX_NOTES).cloned().collect();
        if self.left_out.len() > MAX_NOTES {
            notes.push(format!("… and {} more left out", self.left_out.len() - MAX_NOTES));
        }
        notes
    }
}
