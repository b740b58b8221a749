//! The one seam of the house: a place that holds blobs and manifests.
//!
//! [`Store`] has three implementations: an OCI layout directory ([`layout`]), an oci-archive ([`archive`]) and a registry
//! repository ([`registry`]). Build, push, sign, verify, inspect and rollout are written once against the trait, so all of them
//! also work offline on a directory.
//!
//! The trait is blocking and its methods may be called from many threads at once: files are read and hashed on plain threads,
//! and the registry keeps its asynchronous insides to itself.

use std::io::{self, Read};

use crate::oci::{Descriptor, Digest, Hasher, Location, ManifestRef, RawManifest, Reference, media_type};

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

    /// Stores a blob of known length whose digest nobody knows yet, and tells the digest. The source must give exactly `size` bytes. A store
    /// that can hash on the way reads it once; others, and every further attempt, read it again from the start.
    ///
    /// For bytes that the store cannot have: it is not asked before they are sent.
    fn put_new_blob(&self, size: u64, source: &dyn BlobSource) -> Result<Digest, StoreError> {
        let blob = hashed(size, source)?;
        self.put_blob(&blob, source)?;
        Ok(blob.digest)
    }

    /// Makes a blob of another repository one of this repository's too, without moving a byte. `false` where the place cannot, or will not:
    /// then it must be sent. Only registries can, and only within themselves.
    fn mount_blob(&self, _blob: &Descriptor, _from: &Reference) -> Result<bool, StoreError> {
        Ok(false)
    }

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

    /// Tags for a guess at what is there: all of them, or the first ones where a place has very many and tells them piece by piece.
    fn some_tags(&self) -> Result<Vec<String>, StoreError> {
        self.tags()
    }

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

    /// Opens the bytes `offset` bytes in, for an upload that goes on where it broke off.
    fn open_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(PassOver { inner: self.open()?, left: offset }))
    }

    /// The same for one who checks length and digest himself: what is hashed anyway need not be hashed twice.
    fn open_unverified(&self) -> io::Result<Box<dyn Read + Send>> {
        self.open()
    }
}

impl BlobSource for Vec<u8> {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.clone())))
    }
}

/// What a source's bytes are, by reading them.
fn hashed(size: u64, source: &dyn BlobSource) -> Result<Descriptor, StoreError> {
    let (mut hasher, mut read) = (Hasher::default(), 0);
    let reading = |source| StoreError::Unhashed { size, source };
    let mut reader = source.open().map_err(reading)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer).map_err(reading)? {
            0 => break,
            count => {
                hasher.update(&buffer[..count]);
                read += count as u64;
            }
        }
    }
    let digest = hasher.finish();
    if read != size {
        return Err(reading(StoreError::size_mismatch(digest, size, read)));
    }
    Ok(Descriptor::new(media_type::LAYER_TAR, digest, size))
}

/// How a store is reached. The default suits a layout, and a registry with the credentials of docker or podman.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// A credential file before all others (`--authfile`), or a folder with `config.json` or `.dockerconfigjson`.
    pub authfile: Option<std::path::PathBuf>,
    /// `Some(false)`: plain HTTP and unverified certificates are allowed (`--tls-verify=false`).
    pub tls_verify: Option<bool>,
    /// PEM certificates added to the system's roots (`--ca-file`): a file, or a folder of `*.crt` and `*.pem`.
    pub ca_file: Option<std::path::PathBuf>,
    /// How often a request that failed is sent again (`--retry-times`); 4 where nobody says.
    pub retries: Option<u32>,
    /// The longest pause before the first of these; it doubles from there (`--retry-delay`); a second where nobody says.
    pub retry_delay: Option<std::time::Duration>,
    /// How long nothing may move on a connection (`--idle-timeout`); a minute where nobody says.
    pub idle_timeout: Option<std::time::Duration>,
    /// Uploads go up in chunks of so many bytes (`--chunk-size`) instead of whole, as far as the registry takes chunks.
    pub chunk_size: Option<u64>,
    /// At most so many bytes a second up and down together (`--limit-rate`), over all connections of a store.
    pub limit_rate: Option<u64>,
    /// The client's certificate and further authorities for the registry (`--cert-dir`): a folder as podman's.
    pub cert_dir: Option<std::path::PathBuf>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_another_length_than_announced_are_refused() {
        let source = vec![7; 1000];
        assert_eq!(hashed(1000, &source).unwrap().digest, Digest::of(&source));
        for size in [999, 1001, 0] {
            assert!(matches!(hashed(size, &source), Err(StoreError::Unhashed { .. })), "{size}");
        }
    }
}
