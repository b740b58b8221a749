//! What has to be signed: an image, or an index and every manifest in it.
//!
//! podman and CRI-O check the manifest of their own platform, cosign checks what the tag names, so both kinds need signatures.

use std::collections::HashSet;

use super::TrustError;
use crate::oci::{Descriptor, Digest, Manifest, ManifestRef, Platform, RawManifest};
use crate::store::{Store, StoreError};

/// Manifests in one index; more are refused.
const MAX_CHILDREN: usize = 256;

/// A manifest that carries signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Media type, digest and size alone.
    pub(super) descriptor: Descriptor,
    /// Of a manifest in an index.
    pub(super) platform: Option<Platform>,
}

impl Subject {
    pub(super) fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    /// Reads the manifest, so that nobody signs or passes what is not there.
    pub(super) fn fetch(&self, store: &dyn Store) -> Result<RawManifest, StoreError> {
        store.get_manifest(&ManifestRef::Digest(self.digest()))
    }
}

/// The manifest itself first, then what it lists, each once.
pub(super) fn subjects(manifest: &RawManifest) -> Result<Vec<Subject>, TrustError> {
    let mut subjects = vec![Subject { descriptor: manifest.descriptor(), platform: None }];
    let Manifest::Index(index) = manifest.parse()? else { return Ok(subjects) };
    if index.manifests.len() > MAX_CHILDREN {
        let (digest, count) = (manifest.digest(), index.manifests.len());
        return Err(TrustError::TooMany { what: "manifests in the index", digest, count, limit: MAX_CHILDREN });
    }
    let mut seen = HashSet::new();
    let fresh = index.manifests.into_iter().filter(|child| seen.insert(child.digest));
    subjects.extend(fresh.map(|child| Subject { descriptor: child.bare(), platform: child.platform }));
    Ok(subjects)
}
