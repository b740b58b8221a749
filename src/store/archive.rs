//! An oci-archive: a layout in one tar file.

use std::path::Path;

use super::layout::LayoutError;
use super::{Access, BlobSource, Store, StoreError};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};

/// The images of an archive.
pub struct ArchiveStore;

impl ArchiveStore {
    /// Opens it.
    pub fn open(_file: &Path, _access: Access) -> Result<Self, StoreError> {
        Err(LayoutError.into())
    }
}

impl Store for ArchiveStore {
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
