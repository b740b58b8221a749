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

/// A base image in the making, one platform after the other.
pub struct BaseImage<'a> {
    /// Go's name of the CPU architecture.
    pub architecture: &'a str,
    /// What lies in `/bin`: name and content.
    pub programs: &'a [(&'a str, &'a [u8])],
    /// Names in `/bin` that link to the first program.
    pub links: &'a [&'a str],
    /// The config's `config`, in Docker's spelling.
    pub config: serde_json::Value,
}

/// Puts a base as Docker writes them: schema 2, a gzip layer, a config full of nulls.
pub fn put_docker_base(store: &dyn Store, base: &BaseImage) -> RawManifest {
    let tar = programs(base);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    let layer = put(store, media_type::DOCKER_LAYER_GZIP, &gzip.finish().unwrap());
    let config = serde_json::json!({
        "architecture": base.architecture, "os": "linux", "config": base.config, "container": "0123", "docker_version": "24.0.7",
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "ADD"}, {"created_by": "CMD", "empty_layer": true}],
        "rootfs": {"type": "layers", "diff_ids": [modelcar::oci::Digest::of(&tar).to_string()]},
    });
    let config = put(store, media_type::DOCKER_CONFIG, config.to_string().as_bytes());
    let manifest = ImageManifest { media_type: media_type::DOCKER_MANIFEST.to_owned(), ..ImageManifest::new(config, vec![layer]) };
    let raw = RawManifest::image(&manifest).unwrap();
    store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
    raw
}

/// Puts a manifest list of such bases.
pub fn put_docker_list(store: &dyn Store, bases: &[BaseImage], name: &str) -> RawManifest {
    let entries = bases.iter().map(|base| put_docker_base(store, base).descriptor().on(Platform::linux(base.architecture))).collect();
    let list = ImageIndex { media_type: media_type::DOCKER_INDEX.to_owned(), ..ImageIndex::new(entries) };
    let raw = RawManifest::index(&list).unwrap();
    store.put_manifest(&raw, &tag(name)).unwrap();
    raw
}

fn programs(base: &BaseImage) -> Vec<u8> {
    let mut tar = header("bin", EntryKind::Directory, 0);
    for (name, content) in base.programs {
        let size = content.len() as u64;
        tar.extend(header(&format!("bin/{name}"), EntryKind::File { size, executable: true }, 0));
        tar.extend_from_slice(content);
        tar.resize(tar.len() + usize::try_from(padding(size)).unwrap(), 0);
    }
    for link in base.links {
        tar.extend(header(&format!("bin/{link}"), EntryKind::Symlink { target: base.programs[0].0 }, 0));
    }
    tar.extend(TRAILER);
    tar
}

/// Puts a base of Debian's static busybox for this machine into a layout; `None` where busybox is missing.
pub fn put_busybox_base(layout: &std::path::Path, name: &str) -> Option<()> {
    let busybox = std::fs::read(super::need("busybox")?).unwrap();
    let store = modelcar::store::layout::LayoutStore::open(layout, modelcar::store::Access::Write).unwrap();
    let base = BaseImage {
        architecture: native_architecture(),
        programs: &[("busybox", &busybox)],
        links: &["sh", "ln", "ls", "mkdir", "sleep", "[", "echo"],
        config: serde_json::json!({"Cmd": ["sh"], "Env": null, "Entrypoint": null, "Labels": null, "User": ""}),
    };
    put_docker_list(&store, &[base], name);
    Some(())
}

/// Go's name for this machine.
pub fn native_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
