//! An image before it is made: documents and tar headers as they will be, with digests that only stand for the true ones.
//!
//! No byte of the model is read for it, so whatever [`super::check`] refuses is refused before anything is hashed or sent. The layers are
//! shown uncompressed, whatever the compression will be.

use std::collections::BTreeMap;
use std::io::Read;

use super::tar::LayerTar;
use super::transfer::Blob;
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};
use crate::store::layout::LayoutError;
use crate::store::{BlobSource, Store, StoreError};

/// A store that holds one image and takes nothing.
pub struct Preview {
    index: RawManifest,
    documents: BTreeMap<Digest, RawManifest>,
    configs: BTreeMap<Digest, Vec<u8>>,
    layers: BTreeMap<Digest, LayerTar>,
    base: BTreeMap<Digest, Blob>,
}

/// The digest that stands for a layer's.
pub(super) fn stand_in(layer: usize) -> Digest {
    Digest::of(format!("layer {layer} of an image that is not made yet").as_bytes())
}

impl Preview {
    pub(super) fn new(documents: super::compose::Documents, tars: &[LayerTar], base: Vec<Blob>) -> Self {
        let manifests = documents.manifests.into_iter().map(|manifest| (manifest.digest(), manifest));
        Self {
            documents: manifests.collect(),
            configs: documents.configs.into_iter().map(|(config, bytes)| (config.digest, bytes)).collect(),
            layers: tars.iter().enumerate().map(|(number, tar)| (stand_in(number), tar.clone())).collect(),
            base: base.into_iter().map(|blob| (blob.descriptor.digest, blob)).collect(),
            index: documents.index,
        }
    }

    /// The index; its digest is not the one that the image will have.
    pub fn index(&self) -> &RawManifest {
        &self.index
    }

    fn read_only(&self) -> StoreError {
        LayoutError::ReadOnly { store: self.name() }.into()
    }
}

impl Store for Preview {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        let digest = &blob.digest;
        Ok(self.configs.contains_key(digest) || self.layers.contains_key(digest) || self.base.contains_key(digest))
    }

    fn put_blob(&self, _: &Descriptor, _: &dyn BlobSource) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        let opened = match (self.configs.get(&blob.digest), self.base.get(&blob.digest)) {
            (Some(bytes), _) => bytes.open(),
            (None, Some(base)) => base.source.open(),
            (None, None) => return self.get_blob_from(blob, 0),
        };
        opened.map_err(|source| StoreError::reading(blob, self, source))
    }

    fn get_blob_from(&self, blob: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        let reading = |source| StoreError::reading(blob, self, source);
        if let Some(tar) = self.layers.get(&blob.digest) {
            return tar.outline_from(offset).map_err(reading);
        }
        if !self.has_blob(blob)? {
            return Err(StoreError::BlobNotFound { store: self.name(), digest: blob.digest });
        }
        let mut whole = self.get_blob(blob)?;
        std::io::copy(&mut (&mut whole).take(offset), &mut std::io::sink()).map_err(reading)?;
        Ok(whole)
    }

    fn put_manifest(&self, _: &RawManifest, _: &ManifestRef) -> Result<(), StoreError> {
        Err(self.read_only())
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        let found = match at {
            ManifestRef::Digest(digest) => self.documents.get(digest).cloned(),
            ManifestRef::Tag(_) => None,
        };
        found.ok_or_else(|| StoreError::ManifestNotFound { store: self.name(), manifest: at.clone() })
    }

    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn name(&self) -> String {
        "the image to be built".to_owned()
    }
}
