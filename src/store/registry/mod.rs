//! A registry repository.

use super::{Access, BlobSource, Store, StoreError, StoreOptions};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, Reference};

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("not a registry")]
pub struct RegistryError;

impl RegistryError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

/// The images of a repository.
pub struct RegistryStore;

impl RegistryStore {
    /// Opens it.
    pub fn new(_reference: &Reference, _access: Access, _options: &StoreOptions) -> Result<Self, StoreError> {
        Err(Box::new(RegistryError).into())
    }
}

impl Store for RegistryStore {
    fn has_blob(&self, _: &Descriptor) -> Result<bool, StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn put_blob(&self, _: &Descriptor, _: &dyn BlobSource) -> Result<(), StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn get_blob(&self, _: &Descriptor) -> Result<Box<dyn std::io::Read + Send>, StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn put_manifest(&self, _: &RawManifest, _: &ManifestRef) -> Result<(), StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn get_manifest(&self, _: &ManifestRef) -> Result<RawManifest, StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Err(Box::new(RegistryError).into())
    }
    fn name(&self) -> String {
        String::new()
    }
}
