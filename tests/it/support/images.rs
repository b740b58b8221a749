//! Small but whole images, for peers that look inside.

use modelcar::oci::tar_header::{EntryKind, TRAILER, header, padding};
use modelcar::oci::{
    Descriptor, ImageConfig, ImageIndex, ImageManifest, ManifestRef, Platform, RawManifest, RootFs, canonical, media_type,
};
use modelcar::store::Store;

/// A name that can move.
pub fn tag(name: &str) -> ManifestRef {
    ManifestRef::Tag(name.to_owned())
}

/// A layer with one file, `models/model.bin`.
pub fn layer(content: &[u8]) -> Vec<u8> {
    let size = content.len() as u64;
    let mut tar = header("models", EntryKind::Directory, 0);
    tar.extend(header("models/model.bin", EntryKind::File { size, executable: false }, 0));
    tar.extend_from_slice(content);
    tar.resize(tar.len() + usize::try_from(padding(size)).unwrap(), 0);
    tar.extend(TRAILER);
    tar
}

/// Puts a blob.
pub fn put(store: &dyn Store, media_type: &str, bytes: &[u8]) -> Descriptor {
    let blob = Descriptor::of(media_type, bytes);
    store.put_blob(&blob, &bytes.to_vec()).unwrap();
    blob
}

/// Puts an image of one platform.
pub fn put_image(store: &dyn Store, content: &[u8], architecture: &str, at: Option<&str>) -> RawManifest {
    let layer = put(store, media_type::LAYER_TAR, &layer(content));
    let rootfs = RootFs { diff_ids: vec![layer.digest], ..RootFs::default() };
    let config = ImageConfig { platform: Platform::linux(architecture), rootfs, ..ImageConfig::default() };
    let config = put(store, media_type::CONFIG, &canonical::to_vec(&config).unwrap());
    let manifest = RawManifest::image(&ImageManifest::new(config, vec![layer])).unwrap();
    let at = at.map_or(ManifestRef::Digest(manifest.digest()), tag);
    store.put_manifest(&manifest, &at).unwrap();
    manifest
}

/// Puts an index of two platforms.
pub fn put_index(store: &dyn Store, content: &[u8], name: &str) -> RawManifest {
    let child = |architecture| put_image(store, content, architecture, None).descriptor().on(Platform::linux(architecture));
    let index = RawManifest::index(&ImageIndex::new(vec![child("amd64"), child("arm64")])).unwrap();
    store.put_manifest(&index, &tag(name)).unwrap();
    index
}
