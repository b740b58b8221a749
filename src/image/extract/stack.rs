//! Puts layers on top of each other, by renaming.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::layer::{BEHIND_A_LINK, Links, Unpacked, Whiteout, forget, is_behind, remove};
use super::{make_dirs, writing};
use crate::image::ImageError;

/// The image's files so far.
pub(super) struct Stack {
    root: PathBuf,
    /// Symbolic links, which are made when all files are where they belong.
    links: Links,
}

impl Stack {
    /// An empty image in a folder that is not there yet.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, links: Links::new() }
    }

    /// Takes the files of a layer over. Its whiteouts come first: they are about the layers below.
    pub(super) fn add(&mut self, layer: &Unpacked) -> Result<(), ImageError> {
        for whiteout in &layer.whiteouts {
            match whiteout {
                Whiteout::Path(path) => self.remove(path)?,
                Whiteout::Content(folder) => self.clear(folder)?,
            }
        }
        for (link, original) in &layer.borrowed {
            self.ensure_reachable(layer, link)?;
            let target = self.fresh(link)?;
            fs::hard_link(self.root.join(original), &target).map_err(writing(&target))?;
        }
        self.take(layer, Path::new(""))?;
        for (link, target) in &layer.links {
            self.ensure_reachable(layer, link)?;
            self.remove(link)?;
            self.links.insert(link.clone(), target.clone());
        }
        Ok(())
    }

    /// Makes the links, and tells the image's root.
    pub(super) fn finish(mut self) -> Result<PathBuf, ImageError> {
        for (path, target) in std::mem::take(&mut self.links) {
            let link = self.fresh(&path)?;
            std::os::unix::fs::symlink(&target, &link).map_err(writing(&link))?;
        }
        Ok(self.root)
    }

    /// Takes over what a layer has in a folder: files replace, folders are joined.
    fn take(&mut self, layer: &Unpacked, folder: &Path) -> Result<(), ImageError> {
        let here = self.root.join(folder);
        make_dirs(&here)?;
        let from = layer.root.join(folder);
        for entry in fs::read_dir(&from).map_err(writing(&from))? {
            let entry = entry.map_err(writing(&from))?;
            let path = folder.join(entry.file_name());
            self.ensure_reachable(layer, &path)?;
            let is_dir = entry.file_type().map_err(writing(&entry.path()))?.is_dir();
            if is_dir && self.is_taken(&path) {
                self.make_way(&path)?;
                self.take(layer, &path)?;
            } else {
                self.remove(&path)?;
                let target = self.root.join(&path);
                fs::rename(entry.path(), &target).map_err(writing(&target))?;
            }
        }
        Ok(())
    }

    /// Whether a lower layer has something at a path, or a link below it.
    fn is_taken(&self, path: &Path) -> bool {
        let link = self.links.range(path.to_owned()..).next();
        link.is_some_and(|(link, _)| link.starts_with(path)) || fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    /// A file gives way to a folder.
    fn make_way(&self, path: &Path) -> Result<(), ImageError> {
        let target = self.root.join(path);
        if target.is_dir() { Ok(()) } else { remove(&target) }
    }

    fn ensure_reachable(&self, layer: &Unpacked, path: &Path) -> Result<(), ImageError> {
        if is_behind(&self.links, path) {
            let path = path.to_string_lossy().escape_debug().to_string();
            return Err(ImageError::Entry { digest: layer.layer.digest, path, reason: BEHIND_A_LINK });
        }
        Ok(())
    }

    fn fresh(&mut self, path: &Path) -> Result<PathBuf, ImageError> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            make_dirs(parent)?;
        }
        self.remove(path)?;
        Ok(target)
    }

    fn remove(&mut self, path: &Path) -> Result<(), ImageError> {
        forget(&mut self.links, path);
        remove(&self.root.join(path))
    }

    fn clear(&mut self, folder: &Path) -> Result<(), ImageError> {
        let own = self.links.remove_entry(folder);
        forget(&mut self.links, folder);
        self.links.extend(own);
        let here = self.root.join(folder);
        let Ok(entries) = fs::read_dir(&here) else { return Ok(()) };
        entries.into_iter().try_for_each(|entry| remove(&entry.map_err(writing(&here))?.path()))
    }
}
