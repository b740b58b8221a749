//! Finding manifests in a layout, written once for the directory and the archive.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::LayoutError;
use super::index::{LayoutIndex, Listing};
use crate::oci::{Descriptor, Digest, InvalidManifest, ManifestRef, RawManifest, media_type};
use crate::store::{MAX_MANIFEST, Store, StoreError, read_blob};

/// A store whose table of contents is an `index.json`.
pub(crate) trait Contents: Store {
    /// The table of contents.
    fn index(&self) -> Result<LayoutIndex, StoreError>;

    /// The size of a blob in bytes, `None` where there is none.
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>, StoreError>;
}

/// Reads a manifest by name or digest.
pub(crate) fn get_manifest(store: &dyn Contents, at: &ManifestRef) -> Result<RawManifest, StoreError> {
    let missing = || StoreError::ManifestNotFound { store: store.name(), manifest: at.clone() };
    let index = store.index()?;
    match at {
        ManifestRef::Tag(name) => read_listed(store, index.find(&store.name(), name)?.ok_or_else(missing)?),
        ManifestRef::Digest(digest) => match index.entry(digest) {
            Some(entry) => read_listed(store, entry),
            None => read_unlisted(store, digest)?.ok_or_else(missing),
        },
    }
}

fn read_listed(store: &dyn Contents, entry: &Descriptor) -> Result<RawManifest, StoreError> {
    let bytes = read_blob(store, entry, MAX_MANIFEST)?;
    let listed = entry.media_type.clone();
    match Peek::at(&bytes)?.media_type {
        Some(own) if own != listed => Err(LayoutError::MediaType { store: store.name(), digest: entry.digest, listed, own }.into()),
        _ => Ok(RawManifest { media_type: listed, bytes }),
    }
}

/// A blob that no entry lists, such as the child of an index; `None` where there is none or it is no manifest.
fn read_unlisted(store: &dyn Contents, digest: &Digest) -> Result<Option<RawManifest>, StoreError> {
    let Some(size) = store.size_of(digest)? else { return Ok(None) };
    let bytes = read_blob(store, &Descriptor::new("", *digest, size), MAX_MANIFEST)?;
    let media_type = Peek::at(&bytes)?.kind();
    Ok(media_type.map(|media_type| RawManifest { media_type, bytes }))
}

/// The members that tell what a document is.
#[derive(Deserialize)]
struct Peek {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
}

impl Peek {
    fn at(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        serde_json::from_slice(bytes).map_err(|source| InvalidManifest::Json { digest: Digest::of(bytes), source })
    }

    /// The document's own word, else what its members look like. Documents that look like both are refused (CVE-2021-41190).
    fn kind(self) -> Option<String> {
        match (self.media_type, self.manifests, self.layers) {
            (Some(own), ..) => Some(own),
            (None, Some(_), None) => Some(media_type::INDEX.to_owned()),
            (None, None, Some(_)) => Some(media_type::MANIFEST.to_owned()),
            (None, ..) => None,
        }
    }
}

/// The listed manifests that refer to `subject`, in the order of the index. A listed manifest that is not there is passed over.
pub(crate) fn referrers(store: &dyn Contents, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
    let mut found: Vec<Descriptor> = Vec::new();
    for entry in store.index()?.entries() {
        let known = found.iter().any(|referrer| referrer.digest == entry.digest);
        if let Some(listing) = if known { None } else { examine(store, entry)? }
            && listing.subject == Some(*subject)
        {
            found.push(listing.descriptor);
        }
    }
    Ok(found)
}

/// What a listed manifest says of itself; `None`, with a warning, where it cannot say anything.
fn examine(store: &dyn Contents, entry: &Descriptor) -> Result<Option<Listing>, StoreError> {
    match read_listed(store, entry).and_then(|manifest| Ok(Listing::of(&manifest)?)) {
        Ok(listing) => Ok(Some(listing)),
        Err(error @ (StoreError::BlobNotFound { .. } | StoreError::Manifest(_) | StoreError::TooLarge { .. })) => {
            tracing::warn!(digest = %entry.digest, %error, "passed over an entry of index.json");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The only image, by its name where it has exactly one, for a location that names none.
pub(crate) fn only_image(store: &dyn Contents) -> Result<ManifestRef, StoreError> {
    let index = store.index()?;
    let mut images = index.images();
    if images.len() > 1 {
        for entry in index.entries() {
            if examine(store, entry)?.is_none_or(|listing| listing.subject.is_some()) {
                images.remove(&entry.digest);
            }
        }
    }
    let mut rest = images.into_iter();
    match (rest.next(), rest.len()) {
        (Some((digest, names)), 0) => Ok(only_name(digest, names)),
        (None, _) => Err(LayoutError::Empty { store: store.name() }.into()),
        (first, _) => {
            let show = |(digest, names)| only_name(digest, names).to_string();
            Err(LayoutError::SeveralImages { store: store.name(), images: first.into_iter().chain(rest).map(show).collect() }.into())
        }
    }
}

/// The image is certain; its name only where there is one.
fn only_name(digest: Digest, mut names: Vec<String>) -> ManifestRef {
    match names.pop() {
        Some(name) if names.is_empty() => ManifestRef::Tag(name),
        _ => ManifestRef::Digest(digest),
    }
}

/// Refuses a manifest whose parts are not all there: a reader must never see half an image.
pub(crate) fn check_parts(store: &dyn Contents, listing: &Listing) -> Result<(), StoreError> {
    for part in &listing.parts {
        if store.size_of(&part.digest)? != Some(part.size) {
            return Err(StoreError::BlobNotFound { store: store.name(), digest: part.digest });
        }
    }
    Ok(())
}

/// Everything about a manifest that can be refused before a byte is written.
pub(crate) fn admit(store: &dyn Contents, manifest: &RawManifest, at: &ManifestRef) -> Result<Listing, StoreError> {
    let (digest, size) = (manifest.digest(), manifest.bytes.len() as u64);
    if let ManifestRef::Digest(expected) = at
        && *expected != digest
    {
        return Err(StoreError::Source { digest: *expected, source: StoreError::digest_mismatch(*expected, digest) });
    }
    if size > MAX_MANIFEST {
        return Err(StoreError::TooLarge { what: format!("manifest {digest}"), size, limit: MAX_MANIFEST });
    }
    let listing = Listing::of(manifest)?;
    check_parts(store, &listing)?;
    Ok(listing)
}
