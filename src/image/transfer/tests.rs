use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::image::hash::hash;
use crate::image::tar::TarEntry;
use crate::image::watch::Event;
use crate::model::ModelFile;
use crate::oci::{Digest, ManifestRef, RawManifest};
use crate::store::archive::ArchiveStore;
use crate::store::layout::LayoutStore;
use crate::store::{Access, StoreError};

/// A store that has some blobs, takes the others, hashes on the way, and fails at one.
#[derive(Default)]
struct Scripted {
    has: Vec<Digest>,
    fails_at: Option<Digest>,
    stored: Mutex<Vec<Digest>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Scripted {
    fn take(&self, source: &dyn BlobSource) -> io::Result<Digest> {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let mut bytes = Vec::new();
        source.open()?.read_to_end(&mut bytes)?;
        self.open.fetch_sub(1, Ordering::SeqCst);
        Ok(Digest::of(&bytes))
    }

    fn keep(&self, digest: Digest) -> Result<(), StoreError> {
        if self.fails_at == Some(digest) {
            return Err(StoreError::BlobNotFound { store: "scripted".to_owned(), digest });
        }
        self.stored.lock().unwrap().push(digest);
        Ok(())
    }
}

impl Store for Scripted {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        Ok(self.has.contains(&blob.digest))
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        let digest = self.take(source).map_err(|source| StoreError::Source { digest: blob.digest, source })?;
        assert_eq!(digest, blob.digest);
        self.keep(digest)
    }

    fn put_new_blob(&self, size: u64, source: &dyn BlobSource) -> Result<Digest, StoreError> {
        let digest = self.take(source).map_err(|source| StoreError::Unhashed { size, source })?;
        self.keep(digest)?;
        Ok(digest)
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
        Blob::new(Descriptor::of(media_type::LAYER_TAR, &bytes), Arc::new(bytes))
    };
    (0..count).map(blob).collect()
}

#[test]
fn results_come_in_the_order_of_the_list_whatever_the_threads_did() {
    let (blobs, store) = (blobs(40), Scripted::default());
    let (_, placed) = place(&[], Compression::None, &blobs, &store, &Transfer::default(), &Watch::silent()).unwrap();
    let expected: Vec<Digest> = blobs.iter().map(|blob| blob.descriptor.digest).collect();
    assert_eq!(placed.iter().map(|placed| placed.descriptor.digest).collect::<Vec<_>>(), expected);
    assert!(placed.iter().all(|placed| placed.sent));
    assert!(store.most_open.into_inner() <= PARALLEL.get());
}

#[test]
fn what_the_store_has_is_not_sent() {
    let blobs = blobs(4);
    let store = Scripted { has: blobs.iter().take(3).map(|blob| blob.descriptor.digest).collect(), ..Scripted::default() };
    let (_, placed) = place(&[], Compression::None, &blobs, &store, &Transfer::default(), &Watch::silent()).unwrap();
    assert_eq!(placed.iter().map(|placed| placed.sent).collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(store.stored.into_inner().unwrap(), [blobs[3].descriptor.digest]);
}

#[test]
fn the_first_error_stops_the_rest_and_is_the_one_reported() {
    let blobs = blobs(200);
    let culprit = blobs[5].descriptor.digest;
    let store = Scripted { fails_at: Some(culprit), ..Scripted::default() };
    let error = place(&[], Compression::None, &blobs, &store, &Transfer::default(), &Watch::silent()).unwrap_err();
    assert!(matches!(&error, ImageError::Store(StoreError::BlobNotFound { digest, .. }) if *digest == culprit), "{error:?}");
    assert!(store.stored.into_inner().unwrap().len() < 199, "the others were stopped");
}

/// A layer each for files of these sizes, in bytes.
fn layers(dir: &Path, sizes: &[usize]) -> Vec<LayerTar> {
    let layer = |(number, size): (usize, &usize)| {
        let path = dir.join(format!("{number}.bin"));
        std::fs::write(&path, vec![u8::try_from(number).unwrap(); *size]).unwrap();
        let file = ModelFile::on_disk("m".to_owned(), &path).unwrap();
        LayerTar::new(vec![TarEntry::File { path: "models/m".to_owned(), file }], 0)
    };
    sizes.iter().enumerate().map(layer).collect()
}

fn hashed(tars: &[LayerTar]) -> Vec<LayerDigests> {
    tars.iter().map(|tar| hash(tar, &Known::default(), &|_| Ok(())).unwrap()).collect()
}

/// A transfer to a place without any image.
fn to_an_empty_place() -> Transfer {
    Transfer { previous: Previous::Layers(Vec::new()), ..Transfer::default() }
}

/// Which bytes were read for their hash alone, and which were sent of which blob how often.
#[derive(Default)]
struct Heard {
    hashed: u64,
    sent: BTreeMap<usize, u64>,
    begun: Vec<usize>,
    ended: Vec<usize>,
}

fn listen() -> (Arc<Mutex<Heard>>, Watch) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let all = heard.clone();
    let hear = move |event| {
        let mut heard = all.lock().unwrap();
        match event {
            Event::Hashed { bytes } => heard.hashed += bytes,
            Event::Sending { blob } => heard.begun.push(blob),
            Event::Sent { blob, bytes } => *heard.sent.entry(blob).or_default() += bytes,
            Event::Stored { blob } | Event::Present { blob } => heard.ended.push(blob),
            Event::Begun { .. } => {}
        }
    };
    (heard, Watch::new(Arc::new(hear)))
}

const SIZES: [usize; 6] = [12_000_000, 1000, 6_000_000, 0, 300_000, 5_000_000];

#[test]
fn the_error_is_told_and_not_its_consequence_in_the_hashing_or_in_other_uploads() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &[12_000_000; 6]);
    for culprit in hashed(&tars).iter().map(|digests| digests.layer) {
        for transfer in [Transfer::default(), to_an_empty_place()] {
            let store = Scripted { fails_at: Some(culprit), ..Scripted::default() };
            let error = place(&tars, Compression::None, &[], &store, &transfer, &Watch::silent()).unwrap_err();
            assert!(matches!(&error, ImageError::Store(StoreError::BlobNotFound { digest, .. }) if *digest == culprit), "{error:?}");
        }
    }
}

#[test]
fn in_a_single_pass_every_layer_is_read_once_and_nothing_is_hashed_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &SIZES);
    let (heard, watch) = listen();
    assert_eq!(hashed_ahead(&tars, Compression::None, &to_an_empty_place()), 0);
    let (placed, _) = place(&tars, Compression::None, &[], &Scripted::default(), &to_an_empty_place(), &watch).unwrap();
    let mut heard = std::mem::take(&mut *heard.lock().unwrap());
    heard.begun.sort_unstable();
    heard.ended.sort_unstable();
    assert_eq!(heard.hashed, 0);
    assert_eq!(heard.begun, (0..tars.len()).collect::<Vec<_>>(), "each is opened once");
    assert_eq!(heard.ended, heard.begun);
    assert_eq!(heard.sent.into_values().collect::<Vec<_>>(), tars.iter().map(LayerTar::size).collect::<Vec<_>>());
    assert_eq!(placed.into_iter().map(|layer| layer.digests).collect::<Vec<_>>(), hashed(&tars));
}

#[test]
fn what_is_said_to_be_hashed_first_is_what_is_hashed_first() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &SIZES);
    let third = Descriptor::new(media_type::LAYER_TAR, Digest::of(b""), tars[2].size());
    for previous in [Previous::Unknown, Previous::Layers(Vec::new()), Previous::Layers(vec![third])] {
        let transfer = Transfer { previous, ..Transfer::default() };
        let (heard, watch) = listen();
        place(&tars, Compression::None, &[], &Scripted::default(), &transfer, &watch).unwrap();
        assert_eq!(heard.lock().unwrap().hashed, hashed_ahead(&tars, Compression::None, &transfer), "{:?}", transfer.previous);
    }
}

#[test]
fn digests_and_bytes_are_the_same_on_every_route_and_in_every_store() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &SIZES);
    let (digests, mut number) = (hashed(&tars), 0);
    for previous in [Previous::Unknown, Previous::Layers(Vec::new())] {
        for parallel in [1, 2, 16] {
            let transfer = Transfer { previous: previous.clone(), parallel: NonZeroUsize::new(parallel).unwrap(), ..Transfer::default() };
            number += 1;
            let layout = LayoutStore::open(&dir.path().join(format!("layout-{number}")), Access::Write).unwrap();
            let archive = ArchiveStore::open(&dir.path().join(format!("archive-{number}")), Access::Write).unwrap();
            for store in [&layout as &dyn Store, &archive] {
                let (placed, _) = place(&tars, Compression::None, &[], store, &transfer, &Watch::silent()).unwrap();
                assert_eq!(placed.iter().map(|layer| layer.digests.clone()).collect::<Vec<_>>(), digests, "{transfer:?}");
                for (layer, tar) in placed.iter().zip(&tars) {
                    assert_eq!((layer.placed.descriptor.digest, layer.placed.descriptor.size), (layer.digests.layer, tar.size()));
                    io::copy(&mut store.get_blob(&layer.placed.descriptor).unwrap(), &mut io::sink()).unwrap();
                }
            }
            let only_hashed = hash_layers(&tars, Compression::None, &transfer, &Watch::silent()).unwrap();
            assert_eq!(only_hashed.into_iter().map(|layer| layer.digests).collect::<Vec<_>>(), digests);
        }
    }
}

#[test]
fn no_more_uploads_are_on_their_way_than_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &[100_000; 30]);
    for transfer in [Transfer::default(), to_an_empty_place()] {
        for parallel in [1, 3] {
            let transfer = Transfer { parallel: NonZeroUsize::new(parallel).unwrap(), ..transfer.clone() };
            let store = Scripted::default();
            place(&tars, Compression::None, &blobs(9), &store, &transfer, &Watch::silent()).unwrap();
            assert!(store.most_open.into_inner() <= parallel);
            assert_eq!(store.stored.into_inner().unwrap().len(), 39);
        }
    }
}

#[test]
fn one_at_a_time_the_biggest_goes_first() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &SIZES);
    let (heard, watch) = listen();
    let transfer = Transfer { parallel: NonZeroUsize::MIN, ..to_an_empty_place() };
    place(&tars, Compression::None, &blobs(1), &Scripted::default(), &transfer, &watch).unwrap();
    assert_eq!(heard.lock().unwrap().begun, [0, 2, 5, 4, 6, 1, 3]);
}

/// The file changes when its first bytes have passed: a single pass has no other chance to notice than at the end.
#[test]
fn a_file_that_changes_in_a_single_pass_leaves_no_blob() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &[5_000_000]);
    let path = dir.path().join("0.bin");
    let touched = AtomicUsize::new(0);
    let watch = Watch::new(Arc::new(move |event| {
        if matches!(event, Event::Sent { .. }) && touched.fetch_add(1, Ordering::SeqCst) == 3 {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    }));
    let layout = dir.path().join("layout");
    let store = LayoutStore::open(&layout, Access::Write).unwrap();
    let error = place(&tars, Compression::None, &[], &store, &to_an_empty_place(), &watch).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(matches!(error, ImageError::Reading(_)) && cause.contains("changed while it was being packed"), "{error:?}");
    assert_eq!(std::fs::read_dir(layout.join("blobs/sha256")).unwrap().count(), 0);
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
    let error = place(&[], Compression::None, &blobs, &Scripted::default(), &Transfer::default(), &Watch::silent()).unwrap_err();
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
    place(&[], Compression::None, &blobs(7), &Scripted::default(), &Transfer::default(), &watch).unwrap();
    assert_eq!(sent.load(Ordering::SeqCst), 70_000);
}

#[test]
fn a_layer_that_an_image_told_of_is_what_its_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let tars = layers(dir.path(), &[6_000_000, 5_000_000, 400_000]);
    let digests = hashed(&tars);
    let told = |layer: usize, file: Digest| {
        let digests = LayerDigests { layer: Digest::of(b"told"), files: vec![file] };
        (layer, KnownLayer::plain(&tars[layer], digests))
    };
    let known = Known { told: [told(0, digests[0].files[0]), told(1, Digest::of(b"another"))].into(), ..Known::default() };
    let (heard, watch) = listen();
    let store = Scripted { has: vec![Digest::of(b"told")], ..Scripted::default() };
    let transfer = Transfer { known, ..Transfer::default() };
    let (placed, _) = place(&tars, Compression::None, &[], &store, &transfer, &watch).unwrap();
    let layers: Vec<Digest> = placed.iter().map(|layer| layer.digests.layer).collect();
    assert_eq!(layers, [Digest::of(b"told"), digests[1].layer, digests[2].layer]);
    assert_eq!(placed.iter().map(|layer| layer.placed.sent).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(heard.lock().unwrap().hashed, 11_400_000, "what is hashed twice is told once");
}
