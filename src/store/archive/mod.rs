//! An oci-archive: a layout in one tar file.
//!
//! Nothing is copied to the side: blobs are read where they lie in the tar, and a new archive is streamed into a draft beside FILE, blob by
//! blob. [`Store::commit`] adds `index.json` and the end of the tar and gives the draft its name; until then, and for ever if it never comes,
//! FILE is as it was. Order in the tar: `oci-layout`, blobs as they were put, `index.json`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files;
use super::layout::LayoutError;
use super::layout::images::{self, Contents};
use super::layout::index::LayoutIndex;
use super::{Access, BlobSource, Store, StoreError, VerifiedReader};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};

mod entry;
mod read;
mod write;

use read::{Slice, Tar};
use write::{DraftTar, Stamp};

/// The images of an archive.
pub struct ArchiveStore {
    file: PathBuf,
    access: Access,
    state: Mutex<State>,
}

/// What is in the archive, and what will be after [`Store::commit`].
struct State {
    tar: Tar,
    index: LayoutIndex,
    draft: Option<DraftTar>,
    /// What FILE was when it was read; a commit replaces nothing else.
    stamp: Stamp,
}

impl ArchiveStore {
    /// Opens an archive. Nothing is created before the first put, and nothing visible before [`Store::commit`].
    ///
    /// # Errors
    /// A [`LayoutError`] where there is no archive to read, or FILE is something else.
    pub fn open(file: &Path, access: Access) -> Result<Self, StoreError> {
        // A link stays a link: what it points to is replaced.
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let label = label(&file);
        let stamp = Stamp::of(&file).map_err(StoreError::io("read", &file))?;
        // An empty file is what `mktemp` gives to those who want an archive there.
        let (tar, index) = match (access, stamp.is_vacant()) {
            (Access::Write, true) => (Tar::default(), LayoutIndex::default()),
            _ => read::open(&file, &label)?,
        };
        Ok(Self { file, access, state: Mutex::new(State { tar, index, draft: None, stamp }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a blob lies, which has the blob's size.
    fn slice(&self, blob: &Descriptor) -> Result<Slice, StoreError> {
        let Some(slice) = self.state().tar.slice(&blob.digest) else {
            return Err(StoreError::BlobNotFound { store: self.name(), digest: blob.digest });
        };
        if slice.size() != blob.size {
            return Err(StoreError::reading(blob, self, StoreError::size_mismatch(blob.digest, blob.size, slice.size())));
        }
        Ok(slice)
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(LayoutError::ReadOnly { store: self.name() }.into()),
        }
    }
}

impl State {
    /// The draft, begun with what is in the archive where there was none.
    fn draft(&mut self, file: &Path) -> Result<&mut DraftTar, StoreError> {
        let draft = if let Some(draft) = self.draft.take() {
            draft
        } else {
            let (draft, tar) = DraftTar::begin(file, &self.tar).map_err(StoreError::io("write", file))?;
            self.tar = tar;
            draft
        };
        Ok(self.draft.insert(draft))
    }
}

impl Contents for ArchiveStore {
    fn index(&self) -> Result<LayoutIndex, StoreError> {
        Ok(self.state().index.clone())
    }

    fn size_of(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.state().tar.size_of(digest))
    }
}

impl Store for ArchiveStore {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.size_of(&blob.digest)? == Some(blob.size))
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        self.check_writable()?;
        if self.has_blob(blob)? {
            return Ok(());
        }
        // Opened before the lock is taken: a source may read from this very archive.
        let source = files::open_source(blob, source)?;
        let mut state = self.state();
        if state.tar.size_of(&blob.digest) == Some(blob.size) {
            return Ok(());
        }
        let extent = state.draft(&self.file)?.append_blob(blob, source).map_err(|error| error.at(blob, &self.file))?;
        state.tar.insert(blob.digest, extent);
        Ok(())
    }

    fn put_new_blob(&self, size: u64, source: &dyn BlobSource) -> Result<Digest, StoreError> {
        self.check_writable()?;
        let source = source.open().map_err(|source| StoreError::Unhashed { size, source })?;
        let mut state = self.state();
        let before = state.draft(&self.file)?.end();
        let appended = state.draft(&self.file)?.append_new_blob(size, source);
        let (digest, extent) = appended.map_err(|error| error.at_new(size, &self.file))?;
        if state.tar.size_of(&digest) == Some(size) {
            // It was not as new as it was thought to be.
            state.draft(&self.file)?.cut_back(before);
        } else {
            state.tar.insert(digest, extent);
        }
        Ok(digest)
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(VerifiedReader::new(self.slice(blob)?, blob)))
    }

    fn get_blob_from(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(self.slice(blob)?.from(offset)))
    }

    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        let listing = images::admit(self, manifest, at)?;
        self.put_blob(&listing.descriptor, &manifest.bytes)?;
        let mut state = self.state();
        let mut index = state.index.clone();
        index.put(&listing, at);
        if index != state.index {
            state.draft(&self.file)?;
            state.index = index;
        }
        Ok(())
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        images::get_manifest(self, at)
    }

    fn only_image(&self) -> Result<ManifestRef, StoreError> {
        images::only_image(self)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        images::referrers(self, subject)
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.state().index.names())
    }

    fn commit(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let Some(draft) = state.draft.take() else { return Ok(()) };
        let index = state.index.to_vec(&self.name())?;
        let lock = files::lock_dir(files::parent(&self.file)).map_err(StoreError::io("lock", files::parent(&self.file)))?;
        if Stamp::of(&self.file).map_err(StoreError::io("read", &self.file))? != state.stamp {
            return Err(LayoutError::Changed { path: self.file.clone() }.into());
        }
        draft.finish(&index, &self.file, &state.stamp).map_err(StoreError::io("write", &self.file))?;
        state.stamp = Stamp::of(&self.file).map_err(StoreError::io("read", &self.file))?;
        drop(lock);
        Ok(())
    }

    fn name(&self) -> String {
        label(&self.file)
    }
}

fn label(file: &Path) -> String {
    format!("oci-archive:{}", file.display())
}

#[cfg(test)]
mod tests;
