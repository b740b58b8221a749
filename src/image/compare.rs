//! What differs between two images: files, facts, sizes, and what a node that has the one would still have to pull.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::annotations::{LAYER_DIGEST, LAYER_PATH, LAYER_TYPE};
use super::compose::MODELS;
use super::compress::Compression;
use super::layer_files::model_file_digests;
use super::listing::{Kind, list_layer};
use super::{ImageError, platforms};
use crate::oci::{Annotations, Descriptor, Digest, ImageManifest, Manifest, RawManifest};
use crate::store::{Store, StoreError};

/// A packed layer above this is not read for its files, nor a plain one for their digests; in bytes.
const MAX_READ: u64 = 64 << 20;

/// What differs between an old and a new image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The files below `/models` that differ, by path.
    pub files: Vec<FileDifference>,
    /// The annotations that differ, by key.
    pub annotations: Vec<AnnotationDifference>,
    /// The bytes of all layers of one platform, as they are stored.
    pub old_size: u64,
    /// The same of the new image.
    pub new_size: u64,
    /// The bytes that a node with the old image has not.
    pub pull: u64,
    /// The layers that both have.
    pub shared_layers: usize,
    /// The layers that only the new image has.
    pub new_layers: usize,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// Its path below `/models`.
    pub path: String,
    /// How.
    pub change: Change,
    /// Its old size in bytes.
    pub old_size: Option<u64>,
    /// Its new size in bytes.
    pub new_size: Option<u64>,
}

/// How a file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Only in the new image.
    Added,
    /// Only in the old image.
    Removed,
    /// Another content.
    Changed,
    /// The same size; the content lies in layers too large to be read for this.
    Unknown,
}

/// An annotation that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnnotationDifference {
    /// Its key.
    pub key: String,
    /// Its old value.
    pub old: Option<String>,
    /// Its new value.
    pub new: Option<String>,
}

/// A file as it is known without reading gigabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    size: Option<u64>,
    digest: Option<Digest>,
}

/// Compares two images: for one platform, since all have the same model. Layers that both have are not looked into.
///
/// # Errors
/// A manifest or a layer that cannot be read.
pub fn compare(old: (&dyn Store, &RawManifest), new: (&dyn Store, &RawManifest)) -> Result<Comparison, ImageError> {
    let (old_image, new_image) = (first(old)?, first(new)?);
    let digests = |image: &ImageManifest| image.layers.iter().map(|layer| layer.digest).collect::<BTreeSet<_>>();
    let (old_layers, new_layers) = (digests(&old_image), digests(&new_image));
    let only_new: Vec<_> = distinct(&new_image).filter(|layer| !old_layers.contains(&layer.digest)).collect();
    let only_old: Vec<_> = distinct(&old_image).filter(|layer| !new_layers.contains(&layer.digest)).collect();
    Ok(Comparison {
        files: differences(&files(old.0, &only_old)?, &files(new.0, &only_new)?),
        annotations: annotation_differences(&annotations(old.1)?, &annotations(new.1)?),
        old_size: size(distinct(&old_image)),
        new_size: size(distinct(&new_image)),
        pull: size(only_new.iter().copied()),
        shared_layers: new_layers.intersection(&old_layers).count(),
        new_layers: only_new.len(),
    })
}

fn first((store, raw): (&dyn Store, &RawManifest)) -> Result<ImageManifest, ImageError> {
    let wanted = || ImageError::NoPlatform { wanted: "any platform".to_owned(), there: Vec::new() };
    platforms::first_image(store, raw)?.ok_or_else(wanted)
}

/// A layer that is in an image twice is stored and pulled once.
fn distinct(image: &ImageManifest) -> impl Iterator<Item = &Descriptor> {
    let mut seen = BTreeSet::new();
    image.layers.iter().filter(move |layer| seen.insert(layer.digest))
}

fn size<'a>(layers: impl Iterator<Item = &'a Descriptor>) -> u64 {
    layers.fold(0, |sum: u64, layer| sum.saturating_add(layer.size))
}

fn annotations(raw: &RawManifest) -> Result<Annotations, ImageError> {
    Ok(match raw.parse().map_err(StoreError::from)? {
        Manifest::Index(index) => index.annotations,
        Manifest::Image(manifest) => manifest.annotations,
    })
}

fn annotation_differences(old: &Annotations, new: &Annotations) -> Vec<AnnotationDifference> {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    differing.map(|key| AnnotationDifference { key: key.clone(), old: old.get(key).cloned(), new: new.get(key).cloned() }).collect()
}

fn files(store: &dyn Store, layers: &[&Descriptor]) -> Result<BTreeMap<String, Known>, ImageError> {
    let mut files = BTreeMap::new();
    for (number, layer) in layers.iter().enumerate() {
        layer_files(store, layer, number, &mut files)?;
    }
    Ok(files)
}

/// What a layer brings below `/models`, as cheaply as it can be known: a plain layer by its headers, its digests by annotation.
fn layer_files(store: &dyn Store, layer: &Descriptor, number: usize, files: &mut BTreeMap<String, Known>) -> Result<(), ImageError> {
    let told = told(layer);
    let is_plain = Compression::of(&layer.media_type) == Some(Compression::None);
    if !is_plain && layer.size > MAX_READ {
        let (path, digest) = told.unwrap_or_else(|| (format!("(layer {})", layer.digest.short()), layer.digest));
        files.insert(path, Known { size: None, digest: Some(digest) });
        return Ok(());
    }
    let read = told.is_none() && layer.size <= MAX_READ;
    let mut brings_models = false;
    for entry in list_layer(store, layer, number)?.entries {
        let path = entry.path();
        let Some(below) = path.strip_prefix(MODELS).filter(|_| entry.kind == Kind::File) else { continue };
        let digest = told.as_ref().filter(|(path, _)| path == below).map(|(_, digest)| *digest);
        files.insert(below.to_owned(), Known { size: Some(entry.size), digest });
        brings_models = true;
    }
    if read && brings_models {
        for (path, digest) in model_file_digests(store, layer)? {
            files.entry(path).and_modify(|known| known.digest = Some(digest));
        }
    }
    Ok(())
}

/// The file of a layer that holds one, as olot's annotations tell.
fn told(layer: &Descriptor) -> Option<(String, Digest)> {
    let word = |name: &str| layer.annotations.get(name);
    let path = word(LAYER_PATH)?.trim_start_matches('/').strip_prefix(MODELS)?;
    Some((path.to_owned(), word(LAYER_DIGEST)?.parse().ok()?)).filter(|_| word(LAYER_TYPE).is_some_and(|kind| kind == "file"))
}

fn differences(old: &BTreeMap<String, Known>, new: &BTreeMap<String, Known>) -> Vec<FileDifference> {
    let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    paths.into_iter().filter_map(|path| difference(path, old.get(path), new.get(path))).collect()
}

fn difference(path: &str, old: Option<&Known>, new: Option<&Known>) -> Option<FileDifference> {
    let size = |known: Option<&Known>| known.and_then(|known| known.size);
    let change = match (old, new) {
        (Some(old), Some(new)) if old.digest.is_some() && old.digest == new.digest => return None,
        (Some(old), Some(new)) if old.size != new.size || (old.digest.is_some() && new.digest.is_some()) => Change::Changed,
        (Some(_), Some(_)) => Change::Unknown,
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
    };
    Some(FileDifference { path: path.to_owned(), change, old_size: size(old), new_size: size(new) })
}

#[cfg(test)]
mod tests {
    use super::super::annotations::FORMAT;
    use super::super::testing::Tar;
    use super::*;
    use crate::oci::{ManifestRef, media_type};
    use crate::store::Access;
    use crate::store::layout::LayoutStore;

    struct Bench {
        _home: tempfile::TempDir,
        store: LayoutStore,
    }

    impl Bench {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let store = LayoutStore::open(home.path(), Access::Write).unwrap();
            Self { _home: home, store }
        }

        fn put(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
            let blob = Descriptor::of(media_type, bytes);
            self.store.put_blob(&blob, &bytes.to_vec()).unwrap();
            blob
        }

        fn file(&self, path: &str, content: &[u8]) -> Descriptor {
            let annotations =
                [(LAYER_TYPE, "file".to_owned()), (LAYER_DIGEST, Digest::of(content).to_string()), (LAYER_PATH, format!("/models/{path}"))];
            let tar = Tar::default().directory("models").file(&format!("models/{path}"), content).end();
            self.put(media_type::LAYER_TAR, &tar).annotated(annotations.map(|(key, value)| (key.to_owned(), value)).into())
        }

        fn image(&self, layers: Vec<Descriptor>, format: &str) -> RawManifest {
            let config = self.put(media_type::CONFIG, b"{}");
            let manifest =
                ImageManifest { annotations: [(FORMAT.to_owned(), format.to_owned())].into(), ..ImageManifest::new(config, layers) };
            let raw = RawManifest::image(&manifest).unwrap();
            self.store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
            raw
        }

        fn compare(&self, old: &RawManifest, new: &RawManifest) -> Comparison {
            compare((&self.store, old), (&self.store, new)).unwrap()
        }
    }

    fn files(found: &Comparison) -> Vec<(&str, Change, Option<u64>, Option<u64>)> {
        found.files.iter().map(|file| (file.path.as_str(), file.change, file.old_size, file.new_size)).collect()
    }

    #[test]
    fn names_the_files_that_differ_and_what_a_node_would_pull() {
        let bench = Bench::new();
        let shared = bench.file("1/weights", b"the same");
        let (old_model, new_model) = (bench.file("1/model.onnx", b"old"), bench.file("1/model.onnx", b"newer"));
        let (gone, come) = (bench.file("gone", b"1"), bench.file("come", b"12"));
        let old = bench.image(vec![shared.clone(), old_model, gone], "onnx");
        let new = bench.image(vec![shared.clone(), new_model.clone(), come.clone()], "openvino");
        let found = bench.compare(&old, &new);
        assert_eq!(
            files(&found),
            [
                ("1/model.onnx", Change::Changed, Some(3), Some(5)),
                ("come", Change::Added, None, Some(2)),
                ("gone", Change::Removed, Some(1), None)
            ]
        );
        assert_eq!((found.pull, found.new_layers, found.shared_layers), (new_model.size + come.size, 2, 1));
        assert_eq!(found.new_size, shared.size + new_model.size + come.size);
        let said = &found.annotations[0];
        assert_eq!((said.key.as_str(), said.old.as_deref(), said.new.as_deref()), (FORMAT, Some("onnx"), Some("openvino")));
    }

    #[test]
    fn an_image_does_not_differ_from_itself() {
        let bench = Bench::new();
        let image = bench.image(vec![bench.file("a", b"a")], "onnx");
        let found = bench.compare(&image, &image);
        assert_eq!((found.files.len(), found.annotations.len(), found.pull), (0, 0, 0));
    }

    #[test]
    fn a_file_that_only_moved_to_another_layer_does_not_differ() {
        let bench = Bench::new();
        let grouped = Tar::default().file("bin/sh", b"no model").file("models/a", b"a").file("models/b", b"b").end();
        let old = bench.image(vec![bench.put(media_type::LAYER_TAR, &grouped)], "onnx");
        let new = bench.image(vec![bench.file("a", b"a"), bench.file("b", b"B")], "onnx");
        assert_eq!(files(&bench.compare(&old, &new)), [("b", Change::Changed, Some(1), Some(1))]);
    }

    #[test]
    fn a_packed_layer_is_read_and_one_that_is_too_large_is_a_layer() {
        let bench = Bench::new();
        let packed = {
            use std::io::Write as _;
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(&Tar::default().file("models/a", b"a").end()).unwrap();
            packer.finish().unwrap()
        };
        let old = bench.image(vec![bench.put("application/vnd.oci.image.layer.v1.tar+gzip", &packed)], "onnx");
        let large = Descriptor::new("application/vnd.oci.image.layer.v1.tar+gzip", Digest::of(b"large"), MAX_READ + 1);
        let new = RawManifest::image(&ImageManifest::new(bench.put(media_type::CONFIG, b"{}"), vec![large.clone()])).unwrap();
        let found = bench.compare(&old, &new);
        let layer = format!("(layer {})", large.digest.short());
        assert_eq!(files(&found), [(layer.as_str(), Change::Added, None, None), ("a", Change::Removed, Some(1), None)]);
        assert_eq!(found.pull, MAX_READ + 1);
    }
}
