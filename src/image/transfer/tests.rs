use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::oci::{Digest, ManifestRef, RawManifest};
use crate::store::StoreError;

/// A store that has some blobs, takes the others, and fails at one.
#[derive(Default)]
struct Scripted {
    has: Vec<Digest>,
    fails_at: Option<Digest>,
    stored: Mutex<Vec<Digest>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Store for Scripted {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.has.contains(&blob.digest))
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        if self.fails_at == Some(blob.digest) {
            return Err(StoreError::BlobNotFound { store: "scripted".to_owned(), digest: blob.digest });
        }
        let failed = |source| StoreError::Source { digest: blob.digest, source };
        let mut bytes = Vec::new();
        source.open().map_err(failed)?.read_to_end(&mut bytes).map_err(failed)?;
        assert_eq!(Digest::of(&bytes), blob.digest);
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.stored.lock().unwrap().push(blob.digest);
        Ok(())
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        Err(StoreError::BlobNotFound { store: "scripted".to_owned(), digest: blob.digest })
    }

    fn put_manifest(&self, _: &RawManifest, _: &ManifestRef) -> Result<(), StoreError> {
        Ok(())
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        Err(StoreError::ManifestNotFound { store: "scripted".to_owned(), manifest: at.clone() })
    }

    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn name(&self) -> String {
        "scripted".to_owned()
    }
}

fn blobs(count: u8) -> Vec<Blob> {
    let blob = |number: u8| {
        let bytes = vec![number; 10_000];
        Blob { descriptor: Descriptor::of(media_type::LAYER_TAR, &bytes), source: Arc::new(bytes) }
    };
    (0..count).map(blob).collect()
}

#[test]
fn results_come_in_the_order_of_the_list_whatever_the_threads_did() {
    let (blobs, store) = (blobs(40), Scripted::default());
    let (_, placed) = place(&[], Compression::None, &blobs, &store, &Watch::silent()).unwrap();
    let expected: Vec<Digest> = blobs.iter().map(|blob| blob.descriptor.digest).collect();
    assert_eq!(placed.iter().map(|placed| placed.descriptor.digest).collect::<Vec<_>>(), expected);
    assert!(placed.iter().all(|placed| placed.sent));
    assert!(store.most_open.into_inner() <= PARALLEL);
}

#[test]
fn what_the_store_has_is_not_sent() {
    let blobs = blobs(4);
    let store = Scripted { has: blobs.iter().take(3).map(|blob| blob.descriptor.digest).collect(), ..Scripted::default() };
    let (_, placed) = place(&[], Compression::None, &blobs, &store, &Watch::silent()).unwrap();
    assert_eq!(placed.iter().map(|placed| placed.sent).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(store.stored.into_inner().unwrap(), [blobs[3].descriptor.digest]);
}

#[test]
fn the_first_error_stops_the_rest_and_is_the_one_reported() {
    let blobs = blobs(200);
    let culprit = blobs[5].descriptor.digest;
    let store = Scripted { fails_at: Some(culprit), ..Scripted::default() };
    let error = place(&[], Compression::None, &blobs, &store, &Watch::silent()).unwrap_err();
    assert!(matches!(&error, ImageError::Store(StoreError::BlobNotFound { digest, .. }) if *digest == culprit), "{error:?}");
    assert!(store.stored.into_inner().unwrap().len() < 199, "the others were stopped");
}

/// Model layers that take a while to hash, and a store that fails at the first one sent.
#[test]
fn the_error_is_told_and_not_its_consequence_in_the_hashing_or_in_other_uploads() {
    let dir = tempfile::tempdir().unwrap();
    let tars: Vec<LayerTar> = (1..=6_u8)
        .map(|number| {
            let path = dir.path().join(format!("{number}.bin"));
            std::fs::write(&path, vec![number; 12_000_000]).unwrap();
            let file = crate::model::read(&path, &crate::model::ReadOptions::default()).unwrap().files.remove(0);
            LayerTar::new(vec![crate::image::tar::TarEntry::File { path: "models/m".to_owned(), file }], 0)
        })
        .collect();
    let digests: Vec<Digest> = tars.iter().map(|tar| hash(tar, &|_| Ok(())).unwrap().layer).collect();
    for culprit in digests {
        let store = Scripted { fails_at: Some(culprit), ..Scripted::default() };
        let error = place(&tars, Compression::None, &[], &store, &Watch::silent()).unwrap_err();
        assert!(matches!(&error, ImageError::Store(StoreError::BlobNotFound { digest, .. }) if *digest == culprit), "{error:?}");
    }
}

/// Fails when it is read.
struct Broken;

impl BlobSource for Broken {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Err(io::Error::other("gone"))
    }
}

#[test]
fn a_source_that_breaks_is_told_with_its_cause() {
    let mut blobs = blobs(3);
    blobs[1].source = Arc::new(Broken);
    let error = place(&[], Compression::None, &blobs, &Scripted::default(), &Watch::silent()).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("gone"), "{error:?}");
}

#[test]
fn events_add_up_to_the_bytes_that_were_sent() {
    let sent = Arc::new(AtomicUsize::new(0));
    let sum = sent.clone();
    let watch = Watch::new(Arc::new(move |event| {
        if let Event::Sent { bytes, .. } = event {
            sum.fetch_add(usize::try_from(bytes).unwrap(), Ordering::SeqCst);
        }
    }));
    place(&[], Compression::None, &blobs(7), &Scripted::default(), &watch).unwrap();
    assert_eq!(sent.load(Ordering::SeqCst), 70_000);
}
