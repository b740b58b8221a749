//! Hashing everything again: a signature vouches for a manifest, and the manifest's digests for configs and layers, if somebody
//! compares them. A manifest that nobody trusted has signed is refused anyhow, and it may name blobs without end: they are not read.

use std::collections::HashSet;
use std::io::Read as _;

use super::consumers::own_refusals;
use super::{ManifestEvidence, Objection, Refused, TrustError, fetch};
use crate::exit_code;
use crate::image::watch::{Event, Watch};
use crate::oci::{Descriptor, Manifest};
use crate::store::{Store, StoreError};

/// Blobs of one image; more are refused.
const MAX_BLOBS: usize = 1 << 16;
/// Bytes that are hashed at a time.
const PIECE: usize = 256 << 10;

/// What was hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    /// Different configs and layers.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are not what their manifest says.
    pub refusals: Vec<Refused>,
}

/// A blob, and which of the manifests names it first.
struct Listed<'a> {
    blob: Descriptor,
    manifest: &'a ManifestEvidence,
}

/// Reads and hashes every config and layer of the signed ones of these manifests, each once, as a stream.
pub(super) fn rehash(store: &dyn Store, manifests: &[ManifestEvidence], watch: &Watch) -> Result<Layers, TrustError> {
    let (listed, refusals) = list(store, manifests)?;
    watch.tell(Event::Begun { hash: listed.iter().map(|listed| listed.blob.size).fold(0, u64::saturating_add), blobs: Vec::new() });
    let mut layers = Layers { blobs: listed.len(), bytes: 0, refusals };
    for Listed { blob, manifest } in &listed {
        match hash(store, blob, watch) {
            Ok(bytes) => layers.bytes += bytes,
            Err(error) if is_refusal(&error) => layers.refusals.push(manifest.refused(Objection::Blob { blob: blob.digest })),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(layers)
}

/// The blobs of all manifests, and the manifests whose blobs cannot be known.
fn list<'a>(store: &dyn Store, manifests: &'a [ManifestEvidence]) -> Result<(Vec<Listed<'a>>, Vec<Refused>), TrustError> {
    let (mut listed, mut refusals, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (number, manifest) in manifests.iter().enumerate().filter(|(_, manifest)| is_signed(manifest)) {
        match document(store, manifest)? {
            Some(Manifest::Image(image)) => {
                let blobs = std::iter::once(image.config).chain(image.layers);
                // One digest with two sizes is wrong at least once, and found out.
                let fresh = blobs.filter(|blob| seen.insert((blob.digest, blob.size)));
                listed.extend(fresh.map(|blob| Listed { blob: blob.bare(), manifest }));
            }
            // What the first index lists is among the manifests; what another one in it lists is not.
            Some(Manifest::Index(_)) if number > 0 => refusals.push(manifest.refused(Objection::Nested)),
            Some(Manifest::Index(_)) | None => {}
        }
        if listed.len() > MAX_BLOBS {
            let (digest, count) = (manifest.digest, listed.len());
            return Err(TrustError::TooMany { what: "configs and layers", digest, count, limit: MAX_BLOBS });
        }
    }
    Ok((listed, refusals))
}

fn is_signed(manifest: &ManifestEvidence) -> bool {
    own_refusals(std::slice::from_ref(manifest)).is_empty()
}

/// None if it is not there, which is refused elsewhere.
fn document(store: &dyn Store, manifest: &ManifestEvidence) -> Result<Option<Manifest>, TrustError> {
    // Size and media type are not looked at here.
    match fetch::manifest(store, &Descriptor::new("", manifest.digest, 0))? {
        Ok(raw) => Ok(Some(raw.parse()?)),
        Err(_) => Ok(None),
    }
}

fn hash(store: &dyn Store, blob: &Descriptor, watch: &Watch) -> Result<u64, StoreError> {
    let mut reader = store.get_blob(blob)?;
    let (mut piece, mut total) = (vec![0; PIECE], 0);
    loop {
        // The store's reader hashes, and fails at the end where the digest is another one.
        let count = reader.read(&mut piece).map_err(|source| StoreError::reading(blob, store, source))? as u64;
        if count == 0 {
            return Ok(total);
        }
        total += count;
        watch.tell(Event::Hashed { bytes: count });
    }
}

fn is_refusal(error: &StoreError) -> bool {
    error.is_not_found() || error.exit_code() == exit_code::REFUSED
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::oci::{ManifestRef, RawManifest};
    use crate::trust::testing::{self, MemoryStore};

    fn evidence(store: &MemoryStore, raw: &RawManifest) -> Vec<ManifestEvidence> {
        let Manifest::Index(index) = raw.parse().unwrap() else { panic!("no index") };
        let children = index.manifests.into_iter().map(|child| (child.digest, child.platform));
        let all = std::iter::once((raw.digest(), None)).chain(children);
        all.map(|(digest, platform)| {
            assert!(store.get_manifest(&ManifestRef::Digest(digest)).is_ok());
            ManifestEvidence { digest, platform, ..testing::signed_evidence() }
        })
        .collect()
    }

    #[test]
    fn hashes_each_blob_once_and_tells_how_far_it_is() {
        let store = MemoryStore::default();
        let manifests = evidence(&store, &testing::index(&store));
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        let watch = Watch::new(Arc::new(move |event| heard.lock().unwrap().push(event)));
        let layers = rehash(&store, &manifests, &watch).unwrap();
        // one config for both platforms, and a layer for each
        let bytes = 2 + 2 * "the model for amd64".len() as u64;
        assert_eq!(layers, Layers { blobs: 3, bytes, refusals: Vec::new() });
        let events = events.lock().unwrap();
        assert_eq!(events[0], Event::Begun { hash: bytes, blobs: Vec::new() });
        assert_eq!(events.len(), 4);
    }

    #[test]
    fn names_the_blob_that_was_changed_or_lost_and_its_platform() {
        for lose in [false, true] {
            let store = MemoryStore::default();
            let manifests = evidence(&store, &testing::index(&store));
            let mut victim = None;
            store.tamper(|content| {
                let (digest, bytes) = content.blobs.iter_mut().find(|(_, bytes)| bytes.ends_with(b"arm64")).unwrap();
                bytes[0] ^= 1;
                victim = Some(*digest);
            });
            let blob = victim.unwrap();
            if lose {
                store.tamper(|content| drop(content.blobs.remove(&blob)));
            }
            let layers = rehash(&store, &manifests, &Watch::silent()).unwrap();
            assert_eq!(layers.refusals, [manifests[2].refused(Objection::Blob { blob })]);
        }
    }

    #[test]
    fn reads_nothing_of_what_nobody_signed() {
        let store = MemoryStore::default();
        let mut manifests = evidence(&store, &testing::index(&store));
        manifests[2].classic.clear();
        let layers = rehash(&store, &manifests, &Watch::silent()).unwrap();
        assert_eq!(layers, Layers { blobs: 2, bytes: 2 + "the model for amd64".len() as u64, refusals: Vec::new() });
    }

    #[test]
    fn an_index_in_an_index_is_not_passed_over() {
        let store = MemoryStore::default();
        let inner = testing::index(&store);
        let (first, second) = (evidence(&store, &inner).remove(0), evidence(&store, &inner).remove(0));
        let layers = rehash(&store, &[first, second.clone()], &Watch::silent()).unwrap();
        assert_eq!(layers.refusals, [second.refused(Objection::Nested)]);
    }
}
