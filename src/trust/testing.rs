//! A store in memory, for this room's tests. Its real siblings are tested in their own rooms.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;

use super::{Algorithm, Finding, ManifestEvidence, Proof, Says, SignatureTag, SignedBy, Verdict};
use crate::oci::{Descriptor, Digest, ImageIndex, ImageManifest, Manifest, ManifestRef, Platform, RawManifest, media_type};
use crate::store::{BlobSource, Store, StoreError, VerifiedReader};

#[derive(Default)]
pub(super) struct MemoryStore(Mutex<Content>);

#[derive(Clone, Default, PartialEq)]
pub(super) struct Content {
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(super) manifests: BTreeMap<Digest, RawManifest>,
    pub(super) tags: BTreeMap<String, Digest>,
}

impl MemoryStore {
    /// A copy of all there is.
    pub(super) fn content(&self) -> Content {
        self.0.lock().unwrap().clone()
    }

    /// What an attacker with access to the store does.
    pub(super) fn tamper(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.0.lock().unwrap());
    }
}

impl Store for MemoryStore {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.0.lock().unwrap().blobs.contains_key(&blob.digest))
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        source.open().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(*blob, Descriptor::of(&blob.media_type, &bytes), "a blob is not what its descriptor says");
        self.0.lock().unwrap().blobs.insert(blob.digest, bytes);
        Ok(())
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        let not_found = || StoreError::BlobNotFound { store: self.name(), digest: blob.digest };
        let bytes = self.0.lock().unwrap().blobs.get(&blob.digest).cloned().ok_or_else(not_found)?;
        Ok(Box::new(VerifiedReader::new(std::io::Cursor::new(bytes), blob)))
    }

    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        let mut content = self.0.lock().unwrap();
        if let Manifest::Image(image) = manifest.parse()? {
            let missing = image.layers.iter().chain([&image.config]).find(|blob| !content.blobs.contains_key(&blob.digest));
            assert!(missing.is_none(), "a manifest went before its blobs: {missing:?}");
        }
        content.manifests.insert(manifest.digest(), manifest.clone());
        match at {
            ManifestRef::Tag(tag) => drop(content.tags.insert(tag.clone(), manifest.digest())),
            ManifestRef::Digest(digest) => assert_eq!(*digest, manifest.digest()),
        }
        Ok(())
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        let content = self.0.lock().unwrap();
        let digest = match at {
            ManifestRef::Digest(digest) => Some(digest),
            ManifestRef::Tag(tag) => content.tags.get(tag),
        };
        let not_found = || StoreError::ManifestNotFound { store: self.name(), manifest: at.clone() };
        digest.and_then(|digest| content.manifests.get(digest)).cloned().ok_or_else(not_found)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        let content = self.0.lock().unwrap();
        let refers = |raw: &RawManifest| match raw.parse() {
            Ok(Manifest::Image(image)) if image.subject.as_ref().is_some_and(|found| found.digest == *subject) => {
                Some(Descriptor { artifact_type: image.artifact_type, annotations: image.annotations, ..raw.descriptor() })
            }
            _ => None,
        };
        Ok(content.manifests.values().filter_map(refers).collect())
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.0.lock().unwrap().tags.keys().cloned().collect())
    }

    fn name(&self) -> String {
        "memory".to_owned()
    }
}

/// A memory store of which a test replaces single calls.
pub(super) struct Meddled<'a> {
    inner: &'a MemoryStore,
    pub(super) put_manifest: Box<PutManifest<'a>>,
    pub(super) get_manifest: Box<GetManifest<'a>>,
    pub(super) referrers: Box<Referrers<'a>>,
}

type PutManifest<'a> = dyn Fn(&RawManifest, &ManifestRef) -> Result<(), StoreError> + Send + Sync + 'a;
type GetManifest<'a> = dyn Fn(&ManifestRef) -> Result<RawManifest, StoreError> + Send + Sync + 'a;
type Referrers<'a> = dyn Fn(&Digest) -> Result<Vec<Descriptor>, StoreError> + Send + Sync + 'a;

impl<'a> Meddled<'a> {
    /// Nothing replaced yet.
    pub(super) fn new(inner: &'a MemoryStore) -> Self {
        Self {
            inner,
            put_manifest: Box::new(|manifest, at| inner.put_manifest(manifest, at)),
            get_manifest: Box::new(|at| inner.get_manifest(at)),
            referrers: Box::new(|subject| inner.referrers(subject)),
        }
    }
}

impl Store for Meddled<'_> {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        self.inner.has_blob(blob)
    }
    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        self.inner.put_blob(blob, source)
    }
    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        self.inner.get_blob(blob)
    }
    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        (self.put_manifest)(manifest, at)
    }
    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        (self.get_manifest)(at)
    }
    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        (self.referrers)(subject)
    }
    fn tags(&self) -> Result<Vec<String>, StoreError> {
        self.inner.tags()
    }
    fn name(&self) -> String {
        self.inner.name()
    }
}

/// A manifest about which nothing was found.
pub(super) fn evidence() -> ManifestEvidence {
    ManifestEvidence {
        digest: Digest::of(b"the manifest"),
        platform: None,
        present: true,
        signature_tag: SignatureTag::default(),
        classic: Vec::new(),
        bundles: Vec::new(),
        attachments: Vec::new(),
        model_signatures: Vec::new(),
    }
}

/// The same with a good classic signature.
pub(super) fn signed_evidence() -> ManifestEvidence {
    let by = SignedBy::Key { hint: String::new(), algorithm: Algorithm::EcdsaP256Sha256 };
    let verdict = Verdict::Accepted(Proof { by, name: None });
    ManifestEvidence { classic: vec![Finding { at: Digest::of(b"a payload"), says: Says::Signed, verdict }], ..evidence() }
}

/// An index of two platforms, in a store.
pub(super) fn index(store: &MemoryStore) -> RawManifest {
    let children = ["amd64", "arm64"].map(|architecture| image(store, architecture).descriptor().on(Platform::linux(architecture)));
    put(store, RawManifest::index(&ImageIndex::new(children.to_vec())).unwrap())
}

/// An image for one platform, in a store.
pub(super) fn image(store: &MemoryStore, name: &str) -> RawManifest {
    let layer = format!("the model for {name}").into_bytes();
    let (config, layer_of) = (Descriptor::of(media_type::CONFIG, b"{}"), Descriptor::of(media_type::LAYER_TAR, &layer));
    store.put_blob(&config, &b"{}".to_vec()).unwrap();
    store.put_blob(&layer_of, &layer).unwrap();
    put(store, RawManifest::image(&ImageManifest::new(config, vec![layer_of])).unwrap())
}

fn put(store: &MemoryStore, raw: RawManifest) -> RawManifest {
    store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
    raw
}
