//! Which digests are the same image: an index, and the manifests of its platforms.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::platforms;
use crate::oci::{Digest, Manifest, ManifestRef};
use crate::store::{Store, StoreError};

/// Indexes that were looked at, with the manifests in them.
#[derive(Clone, Debug, Default)]
pub struct Families {
    children: BTreeMap<Digest, BTreeSet<Digest>>,
}

/// Whether two digests are the same image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// Equal, or one is the other's manifest for a platform.
    Same,
    /// Neither.
    Other,
    /// One of them was never looked at.
    Unknown,
}

impl Families {
    /// Looks at what a digest names; what was looked at before is not fetched again.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    pub fn learn(&mut self, store: &dyn Store, digest: Digest) -> Result<(), StoreError> {
        if self.children.contains_key(&digest) {
            return Ok(());
        }
        let children = match store.get_manifest(&ManifestRef::Digest(digest))?.parse()? {
            Manifest::Index(index) => index.manifests.iter().filter(|entry| platforms::is_image(entry)).map(|entry| entry.digest).collect(),
            Manifest::Image(_) => BTreeSet::new(),
        };
        self.children.insert(digest, children);
        Ok(())
    }

    /// As if it had been looked at.
    #[cfg(test)]
    pub(super) fn known<const N: usize>(&mut self, index: Digest, children: [Digest; N]) {
        self.children.insert(index, children.into());
    }

    /// Whether what Git names and what a node names is one image.
    pub fn compare(&self, wanted: Digest, seen: Digest) -> Sameness {
        let holds = |index: Digest, child: Digest| self.children.get(&index).is_some_and(|children| children.contains(&child));
        if wanted == seen || holds(wanted, seen) || holds(seen, wanted) {
            return Sameness::Same;
        }
        // Git may name one platform's manifest and the node the index; then the node's word has to be looked at.
        match self.children.get(&wanted) {
            None => Sameness::Unknown,
            Some(children) if children.is_empty() && !self.children.contains_key(&seen) => Sameness::Unknown,
            Some(_) => Sameness::Other,
        }
    }
}
