//! An OCI image layout directory: `oci-layout`, `index.json`, `blobs/sha256/<hex>`.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>. Whatever happens to a writer, a reader finds a valid
//! layout: blobs and `index.json` appear whole or not at all, `index.json` last, and changes to it happen one after the other
//! under a lock on the directory, so that no writer loses another's entry. What a killed writer leaves is swept by the next one.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::files::{self, Draft};
use super::{Access, BlobSource, MAX_MANIFEST, Store, StoreError, VerifiedReader};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};

mod error;
pub(super) mod images;
pub(super) mod index;

pub use error::LayoutError;
use images::Contents;
use index::{LayoutIndex, Listing};

/// The images of a layout directory.
pub struct LayoutStore {
    dir: PathBuf,
    access: Access,
    prepared: Mutex<bool>,
}

impl LayoutStore {
    /// Opens a layout. Nothing is created before the first put.
    ///
    /// # Errors
    /// A [`LayoutError`] where there is no layout to read, or where writing one would mix it with other files.
    pub fn open(dir: &Path, access: Access) -> Result<Self, StoreError> {
        let store = Self { dir: dir.to_owned(), access, prepared: Mutex::new(false) };
        match store.version()? {
            Some(bytes) => index::check_version(&store.name(), &bytes)?,
            None if access == Access::Write => {}
            None => return Err(store.absent().into()),
        }
        store.index()?;
        Ok(store)
    }

    /// Why there is nothing to read.
    fn absent(&self) -> LayoutError {
        let path = self.dir.clone();
        match fs::metadata(&self.dir) {
            Err(_) => LayoutError::NotFound { path },
            Ok(found) if found.is_dir() => LayoutError::NotALayout { path, reason: "it has no file `oci-layout`" },
            Ok(_) => LayoutError::NotALayout { path, reason: "it is not a directory" },
        }
    }

    /// The file `oci-layout`; a writer, who may do without, is refused where other files are.
    fn version(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.read_small("oci-layout")?;
        if found.is_some() || self.access == Access::Read || self.is_vacant()? {
            return Ok(found);
        }
        // Looked for once more: the files may be of another writer who has begun in between, and this one comes first.
        let begun = self.read_small("oci-layout")?;
        begun.map(Some).ok_or_else(|| LayoutError::Occupied { path: self.dir.clone() }.into())
    }

    /// A layout may begin where nothing is, or in an empty directory, or where a writer was killed before its first file.
    fn is_vacant(&self) -> Result<bool, StoreError> {
        match fs::read_dir(&self.dir) {
            Ok(entries) => Ok(entries.flatten().all(|entry| files::is_draft(&entry.file_name()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(self.absent().into()),
            Err(error) => Err(StoreError::io("read", &self.dir)(error)),
        }
    }

    fn blobs(&self) -> PathBuf {
        self.dir.join("blobs/sha256")
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// The file of a blob, which has the blob's size.
    fn open_blob(&self, blob: &Descriptor) -> Result<File, StoreError> {
        let Some((file, size)) = open_regular(&self.blob(&blob.digest))? else {
            return Err(StoreError::BlobNotFound { store: self.name(), digest: blob.digest });
        };
        if size != blob.size {
            return Err(StoreError::reading(blob, self, StoreError::size_mismatch(blob.digest, blob.size, size)));
        }
        Ok(file)
    }

    /// Makes the skeleton and sweeps after dead writers, once, before the first write.
    fn prepare(&self) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Err(LayoutError::ReadOnly { store: self.name() }.into());
        }
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if !*prepared {
            fs::create_dir_all(&self.dir).map_err(StoreError::io("create", &self.dir))?;
            let _lock = self.lock()?;
            self.make_skeleton()?;
            files::sweep(&self.dir);
            files::sweep(&self.blobs());
            *prepared = true;
        }
        Ok(())
    }

    /// `oci-layout` comes first: with it, the directory is known as a layout that may be completed.
    fn make_skeleton(&self) -> Result<(), StoreError> {
        if self.version()?.is_none() {
            self.write_small("oci-layout", index::OCI_LAYOUT)?;
        }
        if self.read_small("index.json")?.is_none() {
            self.write_index(&LayoutIndex::default())?;
        }
        fs::create_dir_all(self.blobs()).map_err(StoreError::io("create", self.blobs()))
    }

    fn lock(&self) -> Result<File, StoreError> {
        files::lock_dir(&self.dir).map_err(StoreError::io("lock", &self.dir))
    }

    fn read_small(&self, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.dir.join(name);
        let Some((file, size)) = open_regular(&path)? else { return Ok(None) };
        if size > MAX_MANIFEST {
            return Err(StoreError::TooLarge { what: path.display().to_string(), size, limit: MAX_MANIFEST });
        }
        let mut bytes = Vec::new();
        file.take(MAX_MANIFEST).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
        Ok(Some(bytes))
    }

    fn write_small(&self, name: &'static str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        files::write_whole(&path, bytes).map_err(StoreError::io("write", path))
    }

    fn write_index(&self, index: &LayoutIndex) -> Result<(), StoreError> {
        self.write_small("index.json", &index.to_vec(&self.name())?)
    }

    /// Reads, changes and writes `index.json` while nobody else does.
    fn list(&self, listing: &Listing, at: &ManifestRef) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let before = self.index()?;
        let mut after = before.clone();
        after.put(listing, at);
        if after == before { Ok(()) } else { self.write_index(&after) }
    }
}

impl Contents for LayoutStore {
    fn index(&self) -> Result<LayoutIndex, StoreError> {
        match self.read_small("index.json")? {
            Some(bytes) => Ok(LayoutIndex::parse(&self.name(), &bytes)?),
            None if self.access == Access::Write => Ok(LayoutIndex::default()),
            None => Err(LayoutError::NotALayout { path: self.dir.clone(), reason: "it has no file `index.json`" }.into()),
        }
    }

    fn size_of(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(open_regular(&self.blob(digest))?.map(|(_, size)| size))
    }
}

impl Store for LayoutStore {
    /// Reads the blob: a disk, unlike a registry, may hold other bytes than it was given, and a build that trusts the size alone
    /// would sign and deploy them. A damaged blob counts as missing, so that it is written anew.
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        if self.size_of(&blob.digest)? != Some(blob.size) {
            return Ok(false);
        }
        let whole = files::drain(self.get_blob(blob)?);
        if let Err(error) = &whole {
            tracing::warn!("{} is damaged and will be replaced: {error}", self.blob(&blob.digest).display());
        }
        Ok(whole.is_ok())
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        self.prepare()?;
        if self.has_blob(blob)? {
            return Ok(());
        }
        let path = self.blob(&blob.digest);
        let draft = Draft::create_in(&self.blobs()).map_err(StoreError::io("write", &path))?;
        files::copy_blob(blob, files::open_source(blob, source)?, draft.file()).map_err(|error| error.at(blob, &path))?;
        draft.publish(&path).map_err(StoreError::io("write", path))
    }

    /// Hashed while it is written: the draft takes the digest for its name. A blob of that name, perhaps a damaged one, is replaced.
    fn put_new_blob(&self, size: u64, source: &dyn BlobSource) -> Result<Digest, StoreError> {
        self.prepare()?;
        let source = source.open().map_err(|source| StoreError::Unhashed { size, source })?;
        let draft = Draft::create_in(&self.blobs()).map_err(StoreError::io("write", self.blobs()))?;
        let digest = files::copy_new_blob(size, source, draft.file()).map_err(|error| error.at_new(size, &self.blobs()))?;
        let path = self.blob(&digest);
        draft.publish(&path).map_err(StoreError::io("write", path))?;
        Ok(digest)
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(VerifiedReader::new(self.open_blob(blob)?, blob)))
    }

    fn get_blob_from(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        let mut file = self.open_blob(blob)?;
        file.seek(SeekFrom::Start(offset)).map_err(StoreError::io("read", self.blob(&blob.digest)))?;
        Ok(Box::new(file))
    }

    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        let listing = images::admit(self, manifest, at)?;
        self.put_blob(&listing.descriptor, &manifest.bytes)?;
        self.list(&listing, at)
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
        Ok(self.index()?.names())
    }

    fn name(&self) -> String {
        format!("oci:{}", self.dir.display())
    }
}

/// An open regular file and its size in bytes.
fn open_regular(path: &Path) -> Result<Option<(File, u64)>, StoreError> {
    match files::open_regular(path) {
        Ok(None) => Ok(None),
        Ok(Some(file)) => {
            let size = file.metadata().map_err(StoreError::io("read", path))?.len();
            Ok(Some((file, size)))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(LayoutError::NotRegular { path: path.to_owned() }.into()),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

#[cfg(test)]
mod tests;
