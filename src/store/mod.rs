//! The one seam of the house: a place that holds blobs and manifests.
//!
//! [`Store`] has three implementations: an OCI layout directory ([`layout`]), an oci-archive ([`archive`]) and a registry
//! repository ([`registry`]). Build, push, sign, verify, inspect and rollout are written once against the trait, so all of them
//! also work offline on a directory.
//!
//! The trait is blocking and its methods may be called from many threads at once: files are read and hashed on plain threads,
//! and the registry keeps its asynchronous insides to itself.

use std::io::{self, Read};

use crate::oci::{Descriptor, Digest, Location, ManifestRef, RawManifest};

pub mod archive;
mod error;
mod files;
pub mod layout;
pub mod registry;
#[cfg(test)]
mod testing;
mod verified;

pub use error::{ContentError, StoreError};
use files::PassOver;
pub use verified::VerifiedReader;

/// The largest manifest or index that is read, in bytes: distribution's own limit, 4 MiB.
pub const MAX_MANIFEST: u64 = 4 << 20;

/// A place that holds the blobs and manifests of one repository.
pub trait Store: Send + Sync {
    /// Whether a blob of this digest is there.
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError>;

    /// Stores a blob. The source is opened once per attempt and must give exactly `blob.size` bytes with `blob.digest`;
    /// otherwise nothing becomes visible. Storing a blob that is there already is no error.
    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError>;

    /// Opens a blob. The last read fails unless size and digest were as the descriptor says.
    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError>;

    /// Opens the part of a blob that begins `offset` bytes in. **Nothing vouches for these bytes**: a digest is that of a whole blob. For
    /// looking at headers between which gigabytes are passed over, and never for what is written or run.
    fn get_blob_from(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(PassOver { inner: self.get_blob(blob)?, left: offset.min(blob.size) }))
    }

    /// Stores a manifest under its digest and, for [`ManifestRef::Tag`], moves the tag to it. What it points to must be there
    /// already. A manifest with a `subject` can afterwards be found through [`Store::referrers`], whatever the place is able to do.
    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError>;

    /// Reads a manifest; one asked for by digest has that digest.
    ///
    /// # Errors
    /// [`StoreError::ManifestNotFound`] where there is none.
    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError>;

    /// The image meant where a location names none: the only one of a layout or archive.
    ///
    /// # Errors
    /// In a registry always [`StoreError::NoTag`]: its other tags are no business of the one who forgot to write one.
    fn only_image(&self) -> Result<ManifestRef, StoreError> {
        Err(StoreError::NoTag { store: self.name() })
    }

    /// The manifests whose `subject` is this digest, with artifact type and annotations. None is no error.
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError>;

    /// All tags: what a registry calls tags, and the names in a layout; signatures (`sha256-….sig`) among them.
    fn tags(&self) -> Result<Vec<String>, StoreError>;

    /// Makes what was put visible where that takes a last step (an archive). A store that is dropped before stays as it was.
    fn commit(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What to call the place in messages: `quay.io/org/model`, `oci:DIR`.
    fn name(&self) -> String;
}

/// Bytes that can be read again from the start, as a retried upload needs.
pub trait BlobSource: Send + Sync {
    /// Opens the bytes at the first one.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

impl BlobSource for Vec<u8> {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.clone())))
    }
}

/// How a store is reached. The default suits a layout, and a registry with the credentials of docker or podman.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// A credential file before all others (`--authfile`).
    pub authfile: Option<std::path::PathBuf>,
    /// `Some(false)`: plain HTTP and unverified certificates are allowed (`--tls-verify=false`).
    pub tls_verify: Option<bool>,
    /// PEM certificates added to the system's roots (`--ca-file`).
    pub ca_file: Option<std::path::PathBuf>,
}

/// Whether a store is opened to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It must be there.
    Read,
    /// It is made where it is not there.
    Write,
}

/// Opens the store that a location names.
///
/// No connection is made and no directory created yet; that happens at the first call that needs it.
pub fn open(location: &Location, access: Access, options: &StoreOptions) -> Result<Box<dyn Store>, StoreError> {
    Ok(match location {
        Location::Registry(reference) => Box::new(registry::RegistryStore::new(reference, access, options)?),
        Location::Layout { dir, .. } => Box::new(layout::LayoutStore::open(dir, access)?),
        Location::Archive { file, .. } => Box::new(archive::ArchiveStore::open(file, access)?),
    })
}

/// Reads a whole small blob into memory, at most `limit` bytes.
///
/// # Errors
/// [`StoreError::TooLarge`] before anything is read, if the descriptor says more than `limit`.
pub fn read_blob(store: &dyn Store, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, StoreError> {
    if blob.size > limit {
        return Err(StoreError::TooLarge { what: format!("blob {}", blob.digest), size: blob.size, limit });
    }
    let mut bytes = Vec::new();
    let reader = store.get_blob(blob)?;
    reader.take(limit + 1).read_to_end(&mut bytes).map_err(|source| StoreError::reading(blob, store, source))?;
    Ok(bytes)
}

/// Reads the manifest that a location names; where it names none, the only one.
pub fn resolve(store: &dyn Store, location: &Location) -> Result<(ManifestRef, RawManifest), StoreError> {
    let at = match location.manifest_ref() {
        Some(at) => at,
        None => store.only_image()?,
    };
    let manifest = store.get_manifest(&at)?;
    Ok((at, manifest))
}
