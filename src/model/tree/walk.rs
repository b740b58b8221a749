//! Walking a model's folder: regular files only, links followed by rule, everything else refused by name.

use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::left_out::LeftOut;
use super::links::LinkRule;
use super::selection::{Candidate, IGNORE_FILE, IgnoreFile, MAX_PATTERNS, Selection, Siblings, Verdict};
use super::{MAX_DEPTH, MAX_FILES, names};
use crate::model::{ModelError, ModelFile};

/// All files below `root` that are selected, sorted by path, and a line for what was left out.
pub(super) fn walk(root: &Path, rule: &LinkRule, selection: &Selection) -> Result<(Vec<ModelFile>, Vec<String>), ModelError> {
    let left_out = LeftOut::default();
    let mut walk =
        Walk { root, rule, selection, files: Vec::new(), left_out, ignored: Vec::new(), lines_left: MAX_PATTERNS, trail: Vec::new() };
    let metadata = fs::metadata(root).map_err(ModelError::io("read", root))?;
    walk.folder("", root, &metadata, Verdict::Taken)?;
    walk.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((walk.files, walk.left_out.notes()))
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
    selection: &'a Selection,
    files: Vec<ModelFile>,
    left_out: LeftOut,
    /// The patterns of the folders that we are in, the innermost last.
    ignored: Vec<IgnoreFile>,
    /// Lines that all files of patterns together may still have.
    lines_left: usize,
    /// Device and inode of the folders that we are in: a link to one of them would never end.
    trail: Vec<(u64, u64)>,
}

/// A folder that is being read.
struct Here<'a> {
    place: &'a str,
    source: &'a Path,
    siblings: Siblings,
    verdict: Verdict,
}

impl Walk<'_> {
    fn folder(&mut self, place: &str, source: &Path, metadata: &Metadata, verdict: Verdict) -> Result<(), ModelError> {
        let identity = (metadata.dev(), metadata.ino());
        let path = || self.root.join(place);
        if self.trail.contains(&identity) {
            return Err(ModelError::LinkLoop { path: path() });
        }
        if self.trail.len() > MAX_DEPTH {
            return Err(ModelError::TooDeep { path: path() });
        }
        self.trail.push(identity);
        let listing = self.listing(source)?;
        let patterns = self.patterns(place, source, &listing)?;
        let outer = self.ignored.len();
        self.ignored.extend(patterns);
        let siblings = Siblings::of(&listing.iter().filter_map(|name| name.to_str()).collect::<Vec<_>>());
        for name in &listing {
            self.entry(&Here { place, source, siblings, verdict }, name)?;
        }
        self.ignored.truncate(outer);
        self.trail.pop();
        Ok(())
    }

    /// The folder's own patterns. A link to them follows the rule for links, since an error could quote what they say.
    fn patterns(&mut self, place: &str, source: &Path, listing: &[OsString]) -> Result<Option<IgnoreFile>, ModelError> {
        if !listing.iter().any(|name| name == IGNORE_FILE) {
            return Ok(None);
        }
        let (file, metadata) = self.resolved(source.join(IGNORE_FILE))?;
        if !metadata.is_file() {
            return Err(ModelError::Special { path: file, kind: kind(metadata.file_type()) });
        }
        IgnoreFile::read(place, &file, &mut self.lines_left).map(Some)
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

    fn entry(&mut self, here: &Here<'_>, name: &OsString) -> Result<(), ModelError> {
        let found = here.source.join(name);
        let name = names::checked(&found, name)?;
        let path = if here.place.is_empty() { name.to_owned() } else { format!("{}/{name}", here.place) };
        // Before a link is followed: one that is left out may lead anywhere. To a pattern it is what it would be packed as.
        let is_folder = found.is_dir();
        let candidate = Candidate { path: &path, is_folder, siblings: &here.siblings, folder: here.verdict };
        let verdict = self.selection.judge(&candidate, &self.ignored);
        let Verdict::LeftOut(why) = verdict else { return self.taken(path, found, verdict) };
        // Told once, for the whole folder.
        if !matches!(here.verdict, Verdict::LeftOut(_)) {
            self.tell(&path, &found, why);
        }
        let descends = is_folder && names::litter(&path).is_none() && self.selection.may_bring_back();
        // What is left out may lead anywhere; then there is nothing in it to bring back.
        match self.resolved(found) {
            Ok((source, metadata)) if descends => self.folder(&path, &source, &metadata, verdict),
            _ => Ok(()),
        }
    }

    fn tell(&mut self, path: &str, found: &Path, why: &'static str) {
        let is_own_folder = fs::symlink_metadata(found).is_ok_and(|metadata| metadata.is_dir());
        match path {
            // It is there to be left out.
            _ if path.rsplit('/').next() == Some(IGNORE_FILE) => {}
            _ if is_own_folder => self.left_out.folder(path, found, why),
            _ => self.left_out.file(path, why),
        }
    }

    fn taken(&mut self, path: String, found: PathBuf, verdict: Verdict) -> Result<(), ModelError> {
        let (source, metadata) = self.resolved(found)?;
        if metadata.is_dir() && is_layout(&source) {
            self.left_out.file(&path, "an OCI layout, such as the image of an earlier build");
            return Ok(());
        }
        if metadata.is_dir() {
            return self.folder(&path, &source, &metadata, verdict);
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
}
