//! `index.json`, the table of contents of a layout, as pure decisions: what is listed, under which name, in which order.
//!
//! - An image is listed under `org.opencontainers.image.ref.name`, exactly as the name was given: a tag, or a whole reference.
//! - A referrer (a manifest with a `subject`) is listed without a name, and stays listed when a name that it also has moves away.
//! - Children of an index are not listed: they are reached through their index.
//! - Named entries come first, sorted by name, then the others by digest: equal contents give equal bytes, whoever wrote first.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::LayoutError;
use crate::oci::{Annotations, Descriptor, Digest, ImageIndex, InvalidManifest, Manifest, ManifestRef, RawManifest, canonical, media_type};
use crate::store::{MAX_MANIFEST, StoreError};

/// The annotation that holds an image's name: <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// More entries than any layout in the field has; each may cost a read when referrers are looked for.
pub(crate) const MAX_ENTRIES: usize = 4096;
/// The content of `oci-layout`: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#oci-layout-file>.
pub(crate) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Refuses layout versions other than 1.0.x; image-spec 1.1 still writes 1.0.0.
pub(crate) fn check_version(store: &str, oci_layout: &[u8]) -> Result<(), LayoutError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OciLayout {
        image_layout_version: String,
    }
    let json = |source| LayoutError::Json { store: store.to_owned(), document: "oci-layout", source };
    let version = serde_json::from_slice::<OciLayout>(oci_layout).map_err(json)?.image_layout_version;
    if version.starts_with("1.0.") {
        return Ok(());
    }
    Err(LayoutError::Version { store: store.to_owned(), version: version.chars().take(40).collect() })
}

/// A manifest as a layout lists it.
#[derive(Debug)]
pub(crate) struct Listing {
    /// With artifact type and annotations for a referrer.
    pub(crate) descriptor: Descriptor,
    /// What it refers to.
    pub(crate) subject: Option<Digest>,
    /// What it needs: config and layers, or the manifests of an index.
    pub(crate) parts: Vec<Descriptor>,
}

impl Listing {
    /// Reads a manifest's place in a layout from its bytes.
    pub(crate) fn of(manifest: &RawManifest) -> Result<Self, InvalidManifest> {
        let (artifact_type, annotations, subject, parts) = match manifest.parse()? {
            Manifest::Image(image) => {
                let kind = image.artifact_type.unwrap_or_else(|| image.config.media_type.clone());
                let parts = std::iter::once(image.config).chain(image.layers).collect();
                (Some(kind), image.annotations, image.subject, parts)
            }
            Manifest::Index(index) => (index.artifact_type, index.annotations, index.subject, index.manifests),
        };
        let descriptor = Descriptor { artifact_type, ..manifest.descriptor().annotated(annotations) };
        Ok(Self { descriptor, subject: subject.map(|subject| subject.digest), parts })
    }
}

/// A parsed `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayoutIndex(ImageIndex);

impl Default for LayoutIndex {
    fn default() -> Self {
        Self(ImageIndex::new(Vec::new()))
    }
}

impl LayoutIndex {
    /// Parses `index.json`; `store` is named in errors.
    pub(crate) fn parse(store: &str, bytes: &[u8]) -> Result<Self, LayoutError> {
        let json = |source| LayoutError::Json { store: store.to_owned(), document: "index.json", source };
        let index: ImageIndex = serde_json::from_slice(bytes).map_err(json)?;
        check_count(store, index.manifests.len())?;
        Ok(Self(ImageIndex { media_type: media_type::INDEX.to_owned(), ..index }))
    }

    /// The one byte form. Nothing is written that could not be read again.
    pub(crate) fn to_vec(&self, store: &str) -> Result<Vec<u8>, StoreError> {
        let json = |source| LayoutError::Json { store: store.to_owned(), document: "index.json", source };
        check_count(store, self.0.manifests.len())?;
        let bytes = canonical::to_vec(&self.0).map_err(json)?;
        let size = bytes.len() as u64;
        if size > MAX_MANIFEST {
            return Err(StoreError::TooLarge { what: format!("index.json of {store}"), size, limit: MAX_MANIFEST });
        }
        Ok(bytes)
    }

    /// Everything that is listed.
    pub(crate) fn entries(&self) -> &[Descriptor] {
        &self.0.manifests
    }

    /// Lists a manifest that was just stored. One put by digest that refers to nothing is left to the index that holds it.
    pub(crate) fn put(&mut self, listing: &Listing, at: &ManifestRef) {
        let digest = listing.descriptor.digest;
        let unnamed = |entry: &Descriptor| entry.digest == digest && name_of(entry).is_none();
        let entries = &mut self.0.manifests;
        if listing.subject.is_some() && !entries.iter().any(unnamed) {
            entries.push(nameless(&listing.descriptor));
        }
        if let ManifestRef::Tag(name) = at {
            entries.retain(|entry| name_of(entry) != Some(name) && (listing.subject.is_some() || !unnamed(entry)));
            let named = Annotations::from([(REF_NAME.to_owned(), name.clone())]);
            entries.push(listing.descriptor.bare().annotated(named));
        }
        entries.sort_by(|a, b| order(a).cmp(&order(b)));
    }

    /// The entry of this name: the exact one, else, for a bare tag, the one whose reference ends in it.
    pub(crate) fn find(&self, store: &str, name: &str) -> Result<Option<&Descriptor>, LayoutError> {
        let exact = self.named(|candidate| candidate == name);
        let found = if exact.is_empty() { self.named(|candidate| candidate != name && tag_of(candidate) == name) } else { exact };
        if found.windows(2).all(|pair| pair[0].digest == pair[1].digest) {
            return Ok(found.first().copied());
        }
        let candidate = |entry: &&Descriptor| format!("{}@{}", name_of(entry).unwrap_or_default(), entry.digest);
        Err(LayoutError::Ambiguous { store: store.to_owned(), name: name.to_owned(), candidates: found.iter().map(candidate).collect() })
    }

    fn named(&self, fits: impl Fn(&str) -> bool) -> Vec<&Descriptor> {
        self.entries().iter().filter(|entry| name_of(entry).is_some_and(&fits)).collect()
    }

    /// The first entry of this digest.
    pub(crate) fn entry(&self, digest: &Digest) -> Option<&Descriptor> {
        self.entries().iter().find(|entry| entry.digest == *digest)
    }

    /// All names, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.entries().iter().filter_map(name_of).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What may be an image: each digest with its names, without those that only serve another image (`sha256-….sig`).
    pub(crate) fn images(&self) -> BTreeMap<Digest, Vec<String>> {
        let mut images: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        for entry in self.entries().iter().filter(|entry| !name_of(entry).is_some_and(is_attached)) {
            images.entry(entry.digest).or_default().extend(name_of(entry).map(str::to_owned));
        }
        images
    }
}

fn check_count(store: &str, found: usize) -> Result<(), LayoutError> {
    if found <= MAX_ENTRIES {
        return Ok(());
    }
    Err(LayoutError::TooManyEntries { store: store.to_owned(), found, limit: MAX_ENTRIES })
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get(REF_NAME).map(String::as_str)
}

fn order(entry: &Descriptor) -> (bool, Option<&str>, &Digest) {
    (name_of(entry).is_none(), name_of(entry), &entry.digest)
}

/// A manifest's own annotations may hold a `ref.name` from another life; in `index.json` it would become a name here.
fn nameless(descriptor: &Descriptor) -> Descriptor {
    let mut entry = descriptor.clone();
    entry.annotations.remove(REF_NAME);
    entry
}

/// The tag of a name: what follows the last colon of a reference, or all of a bare tag.
fn tag_of(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, tag)| tag)
}

/// `sha256-<64 digits>` with any ending: cosign's tags and the referrers fallback tag.
fn is_attached(name: &str) -> bool {
    let hex = tag_of(name).strip_prefix("sha256-").and_then(|rest| rest.get(..64));
    hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
