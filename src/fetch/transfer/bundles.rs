//! Layers and images that hold several files: unpacked beside the folder, and then files like others.

use std::path::Path;

use fs_err as fs;

use super::{Got, Transfer};
use crate::fetch::artifact::Bundle;
use crate::fetch::item::is_litter;
use crate::fetch::proof::Proof;
use crate::fetch::record::Known;
use crate::fetch::{FetchError, names};
use crate::image::Event;
use crate::model::MAX_FILES;
use crate::oci::Digest;

impl Transfer<'_> {
    /// The files of a layer or image: those of an earlier run where all of them are still there.
    pub(super) fn bundle(&self, number: usize, bundle: &Bundle) -> Result<Vec<Got>, FetchError> {
        if let Some(kept) = self.kept_bundle(bundle)? {
            self.watch.tell(Event::Present { blob: number });
            return Ok(kept);
        }
        self.watch.tell(Event::Sending { blob: number });
        let staging = self.folder.corner(&format!("{number}.unpacked"));
        clear(&staging)?;
        let unfolded = bundle.unfold(&staging, &self.listing.globs).and_then(|root| self.unfolded(&root, bundle));
        // It may have filled the disk.
        let got = unfolded.or_else(|error| clear(&staging).and(Err(error)))?;
        self.watch.tell(Event::Stored { blob: number });
        Ok(got)
    }

    fn kept_bundle(&self, bundle: &Bundle) -> Result<Option<Vec<Got>>, FetchError> {
        let Some(paths) = self.record.bundles.get(&bundle.id).filter(|paths| !paths.is_empty()) else { return Ok(None) };
        let mut kept = Vec::new();
        for path in paths {
            let Some(known) = self.record.files.get(path) else { return Ok(None) };
            let there = self.folder.sums(path, Some(known.size), &Proof::None)?;
            if there.is_none_or(|(_, sums)| sums.sha256 != known.digest) {
                return Ok(None);
            }
            kept.push(Got { path: path.clone(), known: known.clone(), draft: None, bundle: Some(bundle.id.clone()) });
        }
        // With other patterns something else may be missing.
        Ok(self.listing.globs.is_everything().then_some(kept))
    }

    /// What was unpacked. A link in an image becomes the file that it leads to, as everywhere in a model.
    fn unfolded(&self, root: &Path, bundle: &Bundle) -> Result<Vec<Got>, FetchError> {
        let root = fs::canonicalize(root).map_err(FetchError::io("read", root))?;
        let paths = files_below(&root)?;
        let wanted = paths.iter().filter(|path| !is_litter(path) && self.listing.globs.want(path));
        wanted.map(|path| names::ensure_plain(path).and_then(|()| self.taken(&root, path, bundle))).collect()
    }

    /// A file out of a bundle, with its digest. What lies behind a link gets a second name, so that it can take both.
    fn taken(&self, root: &Path, path: &str, bundle: &Bundle) -> Result<Got, FetchError> {
        let mut draft = root.join(path);
        let real = fs::canonicalize(&draft).map_err(FetchError::io("read", &draft))?;
        if real != draft {
            draft = self.folder.corner(&format!("{}.part", Digest::of(path.as_bytes()).hex()));
            second_name(&real, &draft).map_err(FetchError::io("write", &draft))?;
        }
        let mut file = fs::File::open(&draft).map_err(FetchError::io("read", &draft))?;
        let digest = Digest::of_reader(&mut file).map_err(FetchError::io("read", &draft))?;
        let size = file.metadata().map_err(FetchError::io("read", &draft))?.len();
        file.sync_all().map_err(FetchError::io("write", &draft))?;
        let known = Known { version: None, size, digest };
        Ok(Got { path: path.to_owned(), known, draft: Some(draft), bundle: Some(bundle.id.clone()) })
    }
}

/// All files in a folder, also those behind links. Folders of links to one folder of links have more files than anybody can count.
fn files_below(root: &Path) -> Result<Vec<String>, FetchError> {
    let mut files = Vec::new();
    for (count, entry) in walkdir::WalkDir::new(root).follow_links(true).into_iter().enumerate() {
        if count > MAX_FILES {
            return Err(FetchError::TooMuch { most: format!("{MAX_FILES} files") });
        }
        let entry = entry.map_err(|error| FetchError::Io { action: "read", path: root.to_owned(), source: error.into() })?;
        if entry.file_type().is_file() {
            let place = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let path = place.to_str().ok_or_else(|| FetchError::Name { path: place.display().to_string(), reason: "it is not UTF-8" })?;
            files.push(path.to_owned());
        }
    }
    Ok(files)
}

/// A copy for each name would let a small image fill the disk; it is one where the file system has no second names.
fn second_name(file: &Path, name: &Path) -> std::io::Result<()> {
    if name.symlink_metadata().is_ok() {
        fs::remove_file(name)?;
    }
    fs::hard_link(file, name).or_else(|_| fs::copy(file, name).map(drop))
}

fn clear(staging: &Path) -> Result<(), FetchError> {
    if staging.symlink_metadata().is_err() {
        return Ok(());
    }
    fs::remove_dir_all(staging).map_err(FetchError::io("remove", staging))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_behind_links_are_found_and_folders_that_multiply_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = |level: u32| home.path().join(format!("d{level}"));
        std::fs::create_dir(folder(0)).unwrap();
        std::fs::write(folder(0).join("m.onnx"), "weights").unwrap();
        let grow = |level: u32| {
            std::fs::create_dir(folder(level)).unwrap();
            for name in ["a", "b"] {
                std::os::unix::fs::symlink(format!("../d{}", level - 1), folder(level).join(name)).unwrap();
            }
        };
        grow(1);
        let mut found = files_below(home.path()).unwrap();
        found.sort();
        assert_eq!(found, ["d0/m.onnx", "d1/a/m.onnx", "d1/b/m.onnx"]);
        (2..30).for_each(grow);
        assert!(matches!(files_below(home.path()), Err(FetchError::TooMuch { .. })));
    }

    #[test]
    fn a_second_name_is_never_written_through_a_link() {
        let home = tempfile::tempdir().unwrap();
        let [file, outside, name] = ["file", "outside", "name"].map(|name| home.path().join(name));
        std::fs::write(&file, "weights").unwrap();
        std::fs::write(&outside, "theirs").unwrap();
        std::os::unix::fs::symlink(&outside, &name).unwrap();
        second_name(&file, &name).unwrap();
        assert_eq!((std::fs::read(&name).unwrap(), std::fs::read(&outside).unwrap()), (b"weights".to_vec(), b"theirs".to_vec()));
    }
}
