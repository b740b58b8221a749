//! Reading what strangers wrote: a blob that is too large, lost or changed is a reason to refuse, a store that fails is an error.

use super::{Reason, TrustError};
use crate::exit_code;
use crate::oci::{Descriptor, ManifestRef, RawManifest};
use crate::store::{self, Store, StoreError};

/// Reads a blob of at most `limit` bytes.
pub(super) fn blob(store: &dyn Store, blob: &Descriptor, limit: u64) -> Result<Result<Vec<u8>, Reason>, TrustError> {
    if blob.size > limit {
        return Ok(Err(Reason::TooLarge { size: blob.size, limit }));
    }
    match store::read_blob(store, blob, limit) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) if is_refusal(&error) => Ok(Err(Reason::Blob { blob: blob.digest })),
        Err(error) => Err(error.into()),
    }
}

/// Reads a manifest by its digest; none if it is lost or changed.
pub(super) fn manifest(store: &dyn Store, manifest: &Descriptor) -> Result<Result<RawManifest, Reason>, TrustError> {
    match store.get_manifest(&ManifestRef::Digest(manifest.digest)) {
        Ok(raw) if raw.digest() == manifest.digest => Ok(Ok(raw)),
        Ok(_) => Ok(Err(Reason::Blob { blob: manifest.digest })),
        Err(error) if is_refusal(&error) => Ok(Err(Reason::Blob { blob: manifest.digest })),
        Err(error) => Err(error.into()),
    }
}

fn is_refusal(error: &StoreError) -> bool {
    error.is_not_found() || error.exit_code() == exit_code::REFUSED
}
