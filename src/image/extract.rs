//! Takes the model out of an image: the files under `/models`, in a directory.
//!
//! The image is a stranger. Every layer is verified against its digest while it is unpacked; nothing is written outside a
//! directory of our own, which takes its final name only after the last layer was right. Links are made last of all, so that no
//! file can be written through one.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use fs_err as fs;
use tar::{Archive, Entry, EntryType};

use super::compress::unpacked;
use super::listing::{Guarded, MAX_HEADERS};
use super::{ImageError, platforms};
use crate::oci::{Descriptor, Platform, RawManifest};
use crate::store::{Store, StoreError};

/// What was extracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The number of files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Extracts the model of one platform of an image (they are all the same model) into a directory that is not there yet, or empty:
/// a mount point, a volume or a link to one will do.
///
/// # Errors
/// Any layer that is not what its digest says, any entry that would leave the directory; then `dir` is as it was.
pub fn extract(store: &dyn Store, raw: &RawManifest, platform: Option<&Platform>, dir: &Path) -> Result<Extracted, ImageError> {
    refuse_occupied(dir)?;
    let images = platforms::images(store, raw, platform.map(std::slice::from_ref))?;
    let manifest = images.first().ok_or(ImageError::NoModels)?;
    let there = dir.is_dir();
    let parent = if there { dir } else { dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")) };
    fs::create_dir_all(parent).map_err(writing(parent))?;
    let staging = tempfile::Builder::new().prefix(".modelcar-extract-").tempdir_in(parent).map_err(writing(parent))?;

    let mut unpacking = Unpacking { root: staging.path().to_owned(), links: Vec::new(), own: BTreeSet::new() };
    for layer in &manifest.layers {
        unpacking.layer(store, layer)?;
    }
    unpacking.make_links()?;
    let models = staging.path().join("models");
    let extracted = count(&models)?;
    if there {
        move_children(&models, dir)?;
    } else {
        fs::rename(&models, dir).map_err(writing(dir))?;
    }
    Ok(extracted)
}

fn refuse_occupied(dir: &Path) -> Result<(), ImageError> {
    let occupied = || ImageError::Occupied { path: dir.to_owned() };
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| Err(occupied())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(occupied()),
    }
}

fn count(models: &Path) -> Result<Extracted, ImageError> {
    let mut extracted = Extracted::default();
    if !models.is_dir() {
        return Err(ImageError::NoModels);
    }
    for entry in walkdir::WalkDir::new(models) {
        let entry = entry.map_err(|error| ImageError::Writing { path: models.to_owned(), source: error.into() })?;
        if !entry.file_type().is_dir() {
            extracted.files += 1;
            extracted.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    if extracted.files == 0 {
        return Err(ImageError::NoModels);
    }
    Ok(extracted)
}

/// A mount point cannot be replaced, so its content moves up; what moved goes back if the rest cannot follow.
fn move_children(models: &Path, dir: &Path) -> Result<(), ImageError> {
    let mut moved = Vec::new();
    for entry in fs::read_dir(models).map_err(writing(models))? {
        let from = entry.map_err(writing(models))?.path();
        let to = dir.join(from.file_name().unwrap_or_default());
        if let Err(source) = fs::rename(&from, &to) {
            // Both are ours and empty of anything else; an error here could only repeat the one that is told.
            for (from, to) in &moved {
                let _ = fs::rename(to, from);
            }
            return Err(ImageError::Writing { path: to, source });
        }
        moved.push((from, to));
    }
    Ok(())
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Writing { path, source }
}

struct Unpacking {
    root: PathBuf,
    /// Path below the root, and target as written.
    links: Vec<(PathBuf, PathBuf)>,
    /// What the present layer brought; its whiteouts are about the layers below.
    own: BTreeSet<PathBuf>,
}

impl Unpacking {
    fn layer(&mut self, store: &dyn Store, layer: &Descriptor) -> Result<(), ImageError> {
        let mut blob = store.get_blob(layer)?;
        self.own.clear();
        let unpacked = self.entries(layer, &mut blob);
        // The digest is known only at the very end, behind the tar's trailer; a wrong one explains whatever else went wrong.
        io::copy(&mut blob, &mut io::sink()).map_err(|source| StoreError::reading(layer, store, source))?;
        unpacked
    }

    fn entries(&mut self, layer: &Descriptor, blob: &mut Box<dyn Read + Send>) -> Result<(), ImageError> {
        let unpacking = |source| ImageError::Unpacking { digest: layer.digest, source };
        let budget = Rc::new(Cell::new(MAX_HEADERS));
        let mut archive = Archive::new(Guarded { inner: unpacked(layer, blob)?, budget: budget.clone() });
        let mut entries = archive.entries().map_err(unpacking)?;
        loop {
            budget.set(MAX_HEADERS);
            let Some(entry) = entries.next() else { return Ok(()) };
            let mut entry = entry.map_err(unpacking)?;
            budget.set(u64::MAX);
            self.entry(layer, &mut entry)?;
            io::copy(&mut entry, &mut io::sink()).map_err(unpacking)?;
        }
    }

    fn entry<R: Read>(&mut self, layer: &Descriptor, entry: &mut Entry<'_, R>) -> Result<(), ImageError> {
        let name = entry.path_bytes().into_owned();
        let refuse =
            |reason| ImageError::Entry { digest: layer.digest, path: String::from_utf8_lossy(&name).escape_debug().to_string(), reason };
        let Some(path) = below_models(&name).map_err(refuse)? else { return Ok(()) };
        if self.links.iter().any(|(link, _)| path != *link && path.starts_with(link)) {
            return Err(refuse("it lies behind a link"));
        }
        if let Some(hidden) = file_name(&path).strip_prefix(".wh.") {
            return self.white_out(&path, hidden).map_err(|reason| reason.unwrap_or_else(|| refuse("its whiteout names nothing")));
        }
        self.own.insert(path.clone());
        match entry.header().entry_type() {
            EntryType::Directory => self.directory(&path),
            EntryType::Regular | EntryType::Continuous => self.file(layer, &path, entry),
            EntryType::Symlink => {
                let target = link_name(entry).ok_or_else(|| refuse("its link has no target"))?;
                if !stays_below_models(&path, &target) {
                    return Err(refuse("its link leads out of /models"));
                }
                self.remove(&path)?;
                self.links.push((path, target));
                Ok(())
            }
            EntryType::Link => {
                let target = link_name(entry).ok_or_else(|| refuse("its link has no target"))?;
                let target = below_models(target.as_os_str().as_encoded_bytes()).map_err(refuse)?;
                self.hard_link(&path, &target.ok_or_else(|| refuse("its link leads out of /models"))?)
            }
            EntryType::XGlobalHeader => Ok(()),
            _ => Err(refuse("it is a device, a pipe or something else that no model holds")),
        }
    }

    fn directory(&mut self, path: &Path) -> Result<(), ImageError> {
        let path = self.root.join(path);
        fs::create_dir_all(&path).map_err(writing(&path))
    }

    fn file<R: Read>(&mut self, layer: &Descriptor, path: &Path, entry: &mut Entry<'_, R>) -> Result<(), ImageError> {
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let target = self.fresh(path)?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&target).map_err(writing(&target))?;
        copy_content(entry, &mut file, layer, &target)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(if executable { 0o755 } else { 0o644 });
        file.file().set_permissions(mode).map_err(writing(&target))
    }

    /// A second name for the same bytes: a copy for each would let a small image fill the disk. Later files replace, never write into.
    fn hard_link(&mut self, path: &Path, original: &Path) -> Result<(), ImageError> {
        let (original, target) = (self.root.join(original), self.fresh(path)?);
        fs::hard_link(&original, &target).map_err(writing(&target))
    }

    /// The full path, with its parents made and what lay there before removed: an upper layer replaces.
    fn fresh(&mut self, path: &Path) -> Result<PathBuf, ImageError> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(writing(parent))?;
        }
        self.remove(path)?;
        Ok(target)
    }

    fn remove(&mut self, path: &Path) -> Result<(), ImageError> {
        self.links.retain(|(link, _)| !link.starts_with(path));
        let target = self.root.join(path);
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(&target).map_err(writing(&target)),
            Ok(_) => fs::remove_file(&target).map_err(writing(&target)),
            Err(_) => Ok(()),
        }
    }

    /// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>
    ///
    /// # Errors
    /// `None` where the name is no name.
    fn white_out(&mut self, path: &Path, hidden: &str) -> Result<(), Option<ImageError>> {
        let parent = path.parent().unwrap_or(Path::new(""));
        match hidden {
            "" | "." | ".." => Err(None),
            ".wh..opq" => self.clear(parent).map_err(Some),
            _ => self.remove_lower(&parent.join(hidden)).map_err(Some),
        }
    }

    /// Removes what lower layers brought to a path, and below it.
    fn remove_lower(&mut self, path: &Path) -> Result<(), ImageError> {
        // Paths are ordered by component, so the first one from here on is the path itself or lies below it, if any does.
        let own = self.own.range(path.to_owned()..).next().filter(|own| own.starts_with(path));
        match own {
            None => self.remove(path),
            Some(own) if own == path && !self.root.join(path).is_dir() => Ok(()),
            Some(_) => self.clear(path),
        }
    }

    fn clear(&mut self, directory: &Path) -> Result<(), ImageError> {
        let Ok(entries) = fs::read_dir(self.root.join(directory)) else { return Ok(()) };
        for entry in entries {
            self.remove_lower(&directory.join(entry.map_err(writing(directory))?.file_name()))?;
        }
        Ok(())
    }

    fn make_links(&mut self) -> Result<(), ImageError> {
        for (path, target) in std::mem::take(&mut self.links) {
            let link = self.fresh(&path)?;
            std::os::unix::fs::symlink(&target, &link).map_err(writing(&link))?;
        }
        Ok(())
    }
}

fn copy_content<R: Read>(entry: &mut Entry<'_, R>, file: &mut fs::File, layer: &Descriptor, target: &Path) -> Result<(), ImageError> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = entry.read(&mut buffer).map_err(|source| ImageError::Unpacking { digest: layer.digest, source })?;
        if count == 0 {
            return Ok(());
        }
        io::Write::write_all(file, &buffer[..count]).map_err(writing(target))?;
    }
}

/// The path below the root if the entry belongs to the model; `None` for the rest of the image.
pub(super) fn below_models(name: &[u8]) -> Result<Option<PathBuf>, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let models = matches!(parts[..], ["models", ..] | [".wh.models" | ".wh..wh..opq"]);
    if !models && !parts.contains(&"..") {
        return Ok(None);
    }
    if parts.contains(&"..") {
        return Err("its name climbs with `..`");
    }
    if name.contains(['\0', '\\']) {
        return Err("its name holds a backslash or NUL");
    }
    Ok(Some(parts.iter().collect()))
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn link_name<R: Read>(entry: &Entry<'_, R>) -> Option<PathBuf> {
    entry.link_name().ok().flatten().map(std::borrow::Cow::into_owned)
}

/// Whether a link at `path` ends inside `models`. It may climb only at its beginning, where the directories are real ones; what
/// follows goes down, through names that are no links or links of which the same is true.
fn stays_below_models(path: &Path, target: &Path) -> bool {
    let climbs = target.components().take_while(|part| *part == Component::ParentDir).count();
    let goes_down = target.components().skip(climbs).all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let depth_of_directory = path.components().count().saturating_sub(1);
    goes_down && climbs < depth_of_directory.max(1)
}

#[cfg(test)]
mod tests;
