//! All that can go wrong with a store.

use std::io;
use std::path::PathBuf;

use super::registry::RegistryError;
use super::{Store, layout::LayoutError};
use crate::exit_code;
use crate::oci::{Descriptor, Digest, InvalidManifest, ManifestRef};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such manifest.
    #[error("{store} has no manifest `{manifest}`")]
    ManifestNotFound {
        /// The store's name.
        store: String,
        /// What was asked for.
        manifest: ManifestRef,
    },
    /// A registry repository without saying which image of it.
    #[error("{store} names no tag and no digest")]
    NoTag {
        /// The store's name.
        store: String,
    },
    /// There is no such blob.
    #[error("{store} has no blob {digest}")]
    BlobNotFound {
        /// The store's name.
        store: String,
        /// What was asked for.
        digest: Digest,
    },
    /// The bytes to store could not be read, or were not those announced.
    #[error("cannot read the content of blob {digest}")]
    Source {
        /// The blob.
        digest: Digest,
        /// Why; may hold a room's own error inside.
        #[source]
        source: io::Error,
    },
    /// The bytes to store under the digest that they turn out to have could not be read, or were more or fewer than announced.
    #[error("cannot read the content of a new blob of {size} bytes")]
    Unhashed {
        /// The bytes announced.
        size: u64,
        /// Why; may hold a room's own error inside.
        #[source]
        source: io::Error,
    },
    /// A blob broke off or did not have its digest.
    #[error("cannot read blob {digest} from {store}")]
    Reading {
        /// The blob.
        digest: Digest,
        /// The store's name.
        store: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More than modelcar is willing to hold in memory.
    #[error("{what} is too large: {size} bytes, at most {limit} are read")]
    TooLarge {
        /// What it is.
        what: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More than an honest repository needs, in sum.
    #[error("{store}: more than {limit} for {what}")]
    TooMuch {
        /// The store's name.
        store: String,
        /// What was read.
        what: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// A manifest that cannot be read.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// A file or directory refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: "write", "create".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A layout or archive that is not one.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A registry that answered otherwise, or not at all.
    #[error(transparent)]
    Registry(#[from] Box<RegistryError>),
}

/// The bytes are not those that the descriptor promised. Travels inside [`io::Error`].
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Fewer or more bytes.
    #[error("{digest} should have {expected} bytes, got {found}")]
    Size {
        /// The blob.
        digest: Digest,
        /// Bytes promised.
        expected: u64,
        /// Bytes seen.
        found: u64,
    },
    /// Other bytes.
    #[error("expected digest {expected}, found {found}")]
    Digest {
        /// The digest promised.
        expected: Digest,
        /// The digest of the bytes seen.
        found: Digest,
    },
}

impl StoreError {
    /// An [`io::Error`] for a wrong number of bytes.
    pub(crate) fn size_mismatch(digest: Digest, expected: u64, found: u64) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, ContentError::Size { digest, expected, found })
    }

    /// An [`io::Error`] for wrong bytes.
    pub(crate) fn digest_mismatch(expected: Digest, found: Digest) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, ContentError::Digest { expected, found })
    }

    /// A failed read of a blob.
    pub(crate) fn reading(blob: &Descriptor, store: &dyn Store, source: io::Error) -> Self {
        Self::Reading { digest: blob.digest, store: store.name(), source }
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether a manifest or blob simply is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::ManifestNotFound { .. } | Self::BlobNotFound { .. })
    }

    /// Whether there is nobody to ask.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Registry(error) if matches!(**error, RegistryError::Unreachable { .. }))
    }

    /// Whether a manifest may have been refused for want of a blob that it names. Registries use two codes for that.
    pub fn may_miss_a_blob(&self) -> bool {
        let Self::Registry(error) = self else { return false };
        let codes = ["BLOB_UNKNOWN", "MANIFEST_INVALID"];
        matches!(&**error, RegistryError::Unexpected { message, .. } if codes.iter().any(|code| message.contains(code)))
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ManifestNotFound { store, .. } if store.starts_with("oci") => {
                Some(format!("`modelcar inspect {store}` tells what is there"))
            }
            Self::ManifestNotFound { store, .. } => Some(format!("check the name and the tag: `skopeo list-tags docker://{store}`")),
            Self::NoTag { store } => Some(format!("write `{store}:TAG` or `{store}@sha256:…`")),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space or choose another place with `-o oci:DIR`; nothing half-written was left behind".to_owned())
            }
            Self::Layout(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Reading { source, .. } | Self::Source { source, .. } | Self::Unhashed { source, .. } => hint_of_origin(source),
            _ => None,
        }
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Reading { source, .. } | Self::Source { source, .. } | Self::Unhashed { source, .. } if names_other_content(source) => {
                exit_code::REFUSED
            }
            Self::Layout(error) => error.exit_code(),
            Self::Registry(error) => error.exit_code(),
            _ => exit_code::FAILED,
        }
    }
}

/// Whether bytes were not those that a digest names; the news may have come through several readers and stores.
fn names_other_content(error: &io::Error) -> bool {
    links(error).any(<dyn std::error::Error + 'static>::is::<ContentError>)
}

/// What may be done about the store that bytes were to come from.
fn hint_of_origin(error: &io::Error) -> Option<String> {
    links(error).find_map(|link| link.downcast_ref::<StoreError>()?.hint())
}

/// The errors inside an [`io::Error`]: what it wraps is no source of it.
fn links(error: &io::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    std::iter::successors(first, |error| match error.downcast_ref::<io::Error>() {
        Some(wrapped) => wrapped.get_ref().map(|inner| inner as _),
        None => error.source(),
    })
}
