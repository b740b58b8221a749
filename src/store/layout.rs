//! An OCI image layout directory.

use std::path::Path;

use super::{Access, BlobSource, Store, StoreError};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};

/// Why a directory is not a usable layout.
#[derive(Debug, thiserror::Error)]
#[error("not a layout")]
pub struct LayoutError;

impl LayoutError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

/// The images of a layout directory.
pub struct LayoutStore;

impl LayoutStore {
    /// Opens it.
    pub fn open(_dir: &Path, _access: Access) -> Result<Self, StoreError> {
        Err(LayoutError.into())
    }
}

impl Store for LayoutStore {
    fn has_blob(&self, _: &Descriptor) -> Result<bool, StoreError> {
        Err(LayoutError.into())
    }
    fn put_blob(&self, _: &Descriptor, _: &dyn BlobSource) -> Result<(), StoreError> {
        Err(LayoutError.into())
    }
    fn get_blob(&self, _: &Descriptor) -> Result<Box<dyn std::io::Read + Send>, StoreError> {
        Err(LayoutError.into())
    }
    fn put_manifest(&self, _: &RawManifest, _: &ManifestRef) -> Result<(), StoreError> {
        Err(LayoutError.into())
    }
    fn get_manifest(&self, _: &ManifestRef) -> Result<RawManifest, StoreError> {
        Err(LayoutError.into())
    }
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        Err(LayoutError.into())
    }
    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Err(LayoutError.into())
    }
    fn name(&self) -> String {
        String::new()
    }
}
