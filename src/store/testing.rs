//! Small images and faulty sources for the tests of the stores.

use std::io::{self, Cursor, Read};

use super::{BlobSource, Store, StoreError, read_blob};
use crate::oci::{Annotations, Descriptor, ImageIndex, ImageManifest, ManifestRef, RawManifest, media_type};

pub(super) fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.to_owned())
}

/// Puts a blob.
pub(super) fn put(store: &dyn Store, media_type: &str, bytes: &[u8]) -> Descriptor {
    let blob = Descriptor::of(media_type, bytes);
    store.put_blob(&blob, &bytes.to_vec()).unwrap();
    blob
}

/// An image whose blobs are in the store, and which is not put itself.
pub(super) fn image(store: &dyn Store, content: &str) -> RawManifest {
    let config = put(store, media_type::CONFIG, format!("{{\"x\":{content:?}}}").as_bytes());
    let layer = put(store, media_type::LAYER_TAR, content.as_bytes());
    RawManifest::image(&ImageManifest::new(config, vec![layer])).unwrap()
}

/// Puts an image under a name.
pub(super) fn put_image(store: &dyn Store, content: &str, name: &str) -> RawManifest {
    let manifest = image(store, content);
    store.put_manifest(&manifest, &tag(name)).unwrap();
    manifest
}

/// Puts an index of images that only it lists.
pub(super) fn put_index(store: &dyn Store, contents: &[&str], name: &str) -> RawManifest {
    let put_child = |content: &&str| {
        let child = image(store, content);
        store.put_manifest(&child, &ManifestRef::Digest(child.digest())).unwrap();
        child.descriptor()
    };
    let index = RawManifest::index(&ImageIndex::new(contents.iter().map(put_child).collect())).unwrap();
    store.put_manifest(&index, &tag(name)).unwrap();
    index
}

/// Puts an artifact that refers to a manifest, by digest.
pub(super) fn put_referrer(store: &dyn Store, subject: &RawManifest, content: &str) -> RawManifest {
    let config = put(store, media_type::EMPTY, b"{}");
    let layer = put(store, media_type::BUNDLE, content.as_bytes());
    let manifest = RawManifest::image(&ImageManifest {
        artifact_type: Some(media_type::BUNDLE.to_owned()),
        subject: Some(subject.descriptor()),
        annotations: Annotations::from([("note".to_owned(), content.to_owned())]),
        ..ImageManifest::new(config, vec![layer])
    })
    .unwrap();
    store.put_manifest(&manifest, &ManifestRef::Digest(manifest.digest())).unwrap();
    manifest
}

pub(super) fn read_all(store: &dyn Store, blob: &Descriptor) -> Result<Vec<u8>, StoreError> {
    read_blob(store, blob, 1 << 20)
}

/// A source that breaks off.
pub(super) struct Breaking;

impl BlobSource for Breaking {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(vec![7; 300_000]).chain(Failing)))
    }
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the cable was pulled"))
    }
}

/// A source that cannot be opened.
pub(super) struct Unreadable;

impl BlobSource for Unreadable {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Sources that must leave nothing behind: what is promised, and what comes.
pub(super) fn faulty_sources() -> Vec<(&'static str, Descriptor, Box<dyn BlobSource>)> {
    let promised = Descriptor::of(media_type::LAYER_TAR, &vec![7; 400_000]);
    let other = |size: usize, byte: u8| Box::new(vec![byte; size]) as Box<dyn BlobSource>;
    vec![
        ("short", promised.clone(), other(399_999, 7)),
        ("long", promised.clone(), other(400_001, 7)),
        ("empty", promised.clone(), other(0, 7)),
        ("changed", promised.clone(), other(400_000, 8)),
        ("breaking", promised.clone(), Box::new(Breaking)),
        ("unreadable", promised, Box::new(Unreadable)),
    ]
}
