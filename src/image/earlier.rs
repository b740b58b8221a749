//! The registry as a build cache: what an earlier version of an image tells about the next one.
//!
//! The sizes of its layers say how a new layer is best sent: where none has the size, the bytes cannot be there, and they are hashed on the
//! way. That is no question of trust, as a wrong answer costs time and nothing else.
//!
//! Its annotations also say which layer a file of a known digest makes ([`told_layers`]). Whoever can write to the repository can write
//! those, so that only the word of an image counts which the user named, or which our own key signed.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::io::Read as _;

use super::annotations::LAYER_DIGEST;
use super::hash::LayerDigests;
use super::tar::{LayerTar, Segment};
use super::transfer::KnownLayer;
use super::{ImageError, platforms};
use crate::model::{Content, FileStamp, ModelFile};
use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest, media_type};
use crate::store::registry::RegistryError;
use crate::store::{Store, StoreError};

/// What is hashed in a millisecond or two is not worth a request, in bytes.
const WORTH_ASKING: u64 = 1 << 20;
/// Names of the new image that are asked for.
const MAX_NAMES: usize = 2;

/// An earlier version of an image.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// What its name names.
    pub raw: RawManifest,
    /// The layers of its first platform, with their annotations.
    pub layers: Vec<Descriptor>,
}

impl Earlier {
    /// Reads an image as an earlier version.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(store: &dyn Store, raw: RawManifest) -> Result<Self, ImageError> {
        let layers = platforms::first_image(store, &raw)?.map(|image| image.layers).unwrap_or_default();
        Ok(Self { raw, layers })
    }

    /// What the image's own name names already; else what the name before it in natural order names. `None` where the place holds no image.
    ///
    /// Costs at most a handful of requests.
    ///
    /// # Errors
    /// It cannot be found out.
    pub fn find(store: &dyn Store, names: &[ManifestRef]) -> Result<Option<Self>, ImageError> {
        for name in names.iter().take(MAX_NAMES) {
            if let Some(raw) = there(store.get_manifest(name))? {
                return Self::read(store, raw).map(Some);
            }
        }
        let Some(ManifestRef::Tag(name)) = names.first() else { return Ok(None) };
        let tags = there(store.some_tags())?.unwrap_or_default();
        let Some(before) = predecessor(name, &tags) else { return Ok(None) };
        tracing::debug!("the version before `{name}` in {} is `{before}`", store.name());
        match there(store.get_manifest(&ManifestRef::Tag(before.to_owned())))? {
            Some(raw) => Self::read(store, raw).map(Some),
            None => Ok(None),
        }
    }
}

/// A repository that is not there yet has no image, which is no error.
fn there<T>(answer: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(StoreError::Registry(error)) if matches!(*error, RegistryError::NameUnknown { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The tag before `name` in natural order, `v9` before `v10`; where there is none, the last of all. Tags that begin like it (`v`) come
/// first, and those of signatures and other attachments never count.
pub fn predecessor<'a>(name: &str, tags: &'a [String]) -> Option<&'a str> {
    let images = || tags.iter().map(String::as_str).filter(|tag| *tag != name && !is_attachment(tag));
    let alike: Vec<&str> = images().filter(|tag| beginning(tag) == beginning(name)).collect();
    let candidates = if alike.is_empty() { images().collect() } else { alike };
    let before = candidates.iter().copied().filter(|tag| natural(tag) < natural(name)).max_by_key(|tag| natural(tag));
    before.or_else(|| candidates.iter().copied().max_by_key(|tag| natural(tag)))
}

/// `sha256-<hex>`, `sha256-<hex>.sig`: cosign's attachments and the referrers' tag schema.
fn is_attachment(tag: &str) -> bool {
    tag.strip_prefix("sha256-").is_some_and(|rest| rest.len() >= 64 && rest.bytes().take(64).all(|byte| byte.is_ascii_hexdigit()))
}

/// What is written before the first digit.
fn beginning(tag: &str) -> &str {
    tag.split(|character: char| character.is_ascii_digit()).next().unwrap_or_default()
}

/// The runs of a tag. Numbers of any length compare as numbers: first by their length without leading zeros, then by their digits.
fn natural(tag: &str) -> Vec<(usize, &str)> {
    let mut runs = Vec::new();
    let mut rest = tag;
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest.find(|character: char| character.is_ascii_digit() != is_number).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        let digits = run.trim_start_matches('0');
        runs.push(if is_number { (1 + digits.len(), digits) } else { (0, run) });
        rest = after;
    }
    runs
}

/// The layers that a **trusted** earlier version tells of: each holds a file of the same path and size as ours, in the same wrapping, and what
/// its content is says the annotation. Where the digest of our file is in `files`, only a layer of that content counts.
///
/// Path, mode and times are in a layer's digest, too, and no annotation tells them: so the headers are compared.
///
/// # Errors
/// A layer's first bytes cannot be read.
pub fn told_layers(
    store: &dyn Store,
    earlier: &Earlier,
    tars: &[LayerTar],
    files: &HashMap<FileStamp, Digest, impl BuildHasher>,
) -> Result<Vec<(usize, KnownLayer)>, ImageError> {
    let mut heads = Heads { store, longest: tars.iter().map(|tar| head(tar).len()).max().unwrap_or(0), read: HashMap::new() };
    let mut told = Vec::new();
    for (number, tar) in tars.iter().enumerate() {
        let Some(file) = worth_asking(tar) else { continue };
        for layer in &earlier.layers {
            let is_possible = |content: &Digest| files.get(&file).is_none_or(|known| known == content);
            let Some(content) = said(layer, tar.size()).filter(is_possible) else { continue };
            if heads.of(layer)?.starts_with(head(tar)) {
                told.push((number, KnownLayer::plain(tar, LayerDigests { layer: layer.digest, files: vec![content] })));
                break;
            }
        }
    }
    Ok(told)
}

/// The only file of a layer of which an earlier version may tell something that is worth a request.
pub fn worth_asking(tar: &LayerTar) -> Option<FileStamp> {
    only_file(tar).filter(|file| file.size >= WORTH_ASKING).and_then(stamp)
}

fn only_file(tar: &LayerTar) -> Option<&ModelFile> {
    let mut files = tar.files();
    files.next().filter(|_| files.next().is_none())
}

/// What tells that a file is the same one; only files on disk have it.
pub fn stamp(file: &ModelFile) -> Option<FileStamp> {
    match &file.content {
        Content::Disk { stamp, .. } => Some(*stamp),
        Content::Pieces(_) | Content::Within(_) => None,
    }
}

/// Which content an uncompressed layer of this size is said to hold.
fn said(layer: &Descriptor, size: u64) -> Option<Digest> {
    let is_alike = layer.media_type == media_type::LAYER_TAR && layer.size == size;
    layer.annotations.get(LAYER_DIGEST).filter(|_| is_alike)?.parse().ok()
}

/// The tar's bytes before the content of its first file.
fn head(tar: &LayerTar) -> &[u8] {
    match tar.segments().first() {
        Some(Segment::Bytes(bytes)) => bytes,
        Some(Segment::File(_)) | None => &[],
    }
}

/// The first bytes of layers, each read once however many layers of ours have its size.
struct Heads<'a> {
    store: &'a dyn Store,
    longest: usize,
    read: HashMap<Digest, Vec<u8>>,
}

impl Heads<'_> {
    fn of(&mut self, layer: &Descriptor) -> Result<&[u8], ImageError> {
        if !self.read.contains_key(&layer.digest) {
            let mut bytes = Vec::new();
            let reader = self.store.get_blob_from(layer, 0)?;
            let first = reader.take(self.longest as u64).read_to_end(&mut bytes);
            first.map_err(|source| StoreError::reading(layer, self.store, source))?;
            self.read.insert(layer.digest, bytes);
        }
        Ok(self.read.get(&layer.digest).map_or(&[], Vec::as_slice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::hash::hash;
    use crate::image::tar::TarEntry;
    use crate::image::transfer::Known;
    use crate::oci::ImageManifest;
    use crate::store::Access;
    use crate::store::layout::LayoutStore;

    #[test]
    fn the_version_before_is_found_in_natural_order() {
        let sig = format!("sha256-{}.sig", "a".repeat(64));
        let referrers = format!("sha256-{}", "a".repeat(64));
        for (name, tags, expected) in [
            ("v10", &["v1", "v2", "v9", "v11"][..], Some("v9")),
            ("v1.10.0", &["v1.9.3", "v1.2.0", "v2.0.0"], Some("v1.9.3")),
            ("v1", &["v2", "v3"], Some("v3")),
            ("v3", &["latest", "v2", "main"], Some("v2")),
            ("v1", &["latest"], Some("latest")),
            ("2026-11-24", &["2026-11-09", "2026-11-23", "2027-01-01"], Some("2026-11-23")),
            ("v007", &["v6", "v8"], Some("v6")),
            ("v2", &[&sig, &referrers], None),
            ("v2", &["v2"], None),
            ("v2", &[], None),
            ("v18446744073709551617", &["v18446744073709551616", "v18446744073709551618"], Some("v18446744073709551616")),
        ] {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            assert_eq!(predecessor(name, &tags), expected, "{name} among {tags:?}");
        }
    }

    const CONTENT: &[u8] = &[b'x'; 2 << 20];

    struct Place {
        dir: tempfile::TempDir,
        store: LayoutStore,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = LayoutStore::open(&dir.path().join("layout"), Access::Write).unwrap();
            Self { dir, store }
        }

        /// A tar of one file on disk.
        fn tar(&self, path: &str, content: &[u8], mtime: u64) -> LayerTar {
            let source = self.dir.path().join("file");
            std::fs::write(&source, content).unwrap();
            let metadata = std::fs::metadata(&source).unwrap();
            let content = Content::Disk { stamp: FileStamp::of(&metadata), source };
            let file = ModelFile { path: path.to_owned(), size: metadata.len(), executable: false, content };
            LayerTar::new(vec![TarEntry::File { path: path.to_owned(), file }], mtime)
        }

        /// An image with that layer, which says that it holds a file of this digest.
        fn image(&self, tag: &str, tar: &LayerTar, said: &Digest) -> Earlier {
            let digest = hash(tar, &Known::default(), &|_| Ok(())).unwrap().layer;
            let annotations = [(LAYER_DIGEST.to_owned(), said.to_string())].into();
            let layer = Descriptor::new(media_type::LAYER_TAR, digest, tar.size());
            self.store.put_blob(&layer, tar).unwrap();
            let config = Descriptor::of(media_type::CONFIG, b"{}");
            self.store.put_blob(&config, &b"{}".to_vec()).unwrap();
            let raw = RawManifest::image(&ImageManifest::new(config, vec![layer.annotated(annotations)])).unwrap();
            self.store.put_manifest(&raw, &ManifestRef::Tag(tag.to_owned())).unwrap();
            Earlier::read(&self.store, raw).unwrap()
        }
    }

    fn known(place: &Place, earlier: &Earlier, tar: &LayerTar, digest: Digest) -> Vec<(usize, KnownLayer)> {
        let files = [(stamp(only_file(tar).unwrap()).unwrap(), digest)].into();
        told_layers(&place.store, earlier, std::slice::from_ref(tar), &files).unwrap()
    }

    fn told(place: &Place, earlier: &Earlier, tar: &LayerTar) -> Vec<(usize, KnownLayer)> {
        told_layers(&place.store, earlier, std::slice::from_ref(tar), &HashMap::new()).unwrap()
    }

    #[test]
    fn a_known_file_in_the_same_wrapping_is_a_known_layer() {
        let (place, content) = (Place::new(), Digest::of(CONTENT));
        let tar = place.tar("models/w.bin", CONTENT, 7);
        let earlier = place.image("v1", &tar, &content);
        let digests = hash(&tar, &Known::default(), &|_| Ok(())).unwrap();
        assert_eq!(known(&place, &earlier, &tar, content), [(0, KnownLayer::plain(&tar, digests))]);
        assert_eq!(told(&place, &earlier, &tar), known(&place, &earlier, &tar, content), "whatever our file holds");
        for (what, tar) in [
            ("another path", place.tar("models/z.bin", CONTENT, 7)),
            ("another time", place.tar("models/w.bin", CONTENT, 8)),
            ("another length", place.tar("models/w.bin", &CONTENT[1000..], 7)),
        ] {
            assert!(known(&place, &earlier, &tar, content).is_empty() && told(&place, &earlier, &tar).is_empty(), "{what}");
        }
        assert!(known(&place, &earlier, &tar, Digest::of(b"another")).is_empty());
    }

    #[test]
    fn the_same_name_comes_before_the_version_before() {
        let (place, content) = (Place::new(), Digest::of(CONTENT));
        let find = |name: &str| Earlier::find(&place.store, &[ManifestRef::Tag(name.to_owned())]).unwrap();
        assert!(find("v1").is_none(), "a place without images");
        let first = place.image("v1", &place.tar("models/w.bin", CONTENT, 7), &content);
        assert_eq!(find("v2").unwrap().raw, first.raw);
        let second = place.image("v2", &place.tar("models/w.bin", CONTENT, 8), &content);
        assert_eq!(find("v2").unwrap().raw, second.raw);
        assert_eq!(find("v1").unwrap().raw, first.raw);
    }
}
