//! From digests to documents: layer descriptors, a config and manifest per platform, the index. Pure.

use super::annotations::{LAYER_DIGEST, LAYER_NAME, LAYER_PATH, LAYER_TYPE};
use super::base::{Base, BaseImage};
use super::plan::LayerPlan;
use super::transfer::PlacedLayer;
use crate::model::PlacedFile;
use crate::oci::{
    Annotations, Descriptor, Digest, Hasher, History, ImageConfig, ImageIndex, ImageManifest, RawManifest, Timestamp, canonical, media_type,
};

/// Where the model lies in the image; KServe looks nowhere else.
pub const MODELS: &str = "models/";

/// The documents of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// The config of each platform.
    pub configs: Vec<(Descriptor, Vec<u8>)>,
    /// The manifest of each platform.
    pub manifests: Vec<RawManifest>,
    /// The index: what the tag names.
    pub index: RawManifest,
}

/// What the documents say besides the layers.
pub(super) struct Facts<'a> {
    pub(super) annotations: &'a Annotations,
    pub(super) labels: &'a Annotations,
    pub(super) created: Timestamp,
}

/// Makes all documents of an image.
///
/// # Errors
/// Never for these types; serialisation is fallible by signature only.
pub(super) fn documents(base: &Base, layers: &[Layer], facts: &Facts) -> serde_json::Result<Documents> {
    let (mut configs, mut manifests) = (Vec::new(), Vec::new());
    let mut entries = Vec::new();
    for image in &base.images {
        let config = canonical::to_vec(&config(image, layers, facts))?;
        let descriptor = Descriptor::of(media_type::CONFIG, &config);
        let below = image.layers.iter().map(|layer| layer.descriptor.clone());
        let above = layers.iter().map(|layer| layer.descriptor.clone());
        let manifest = ImageManifest {
            annotations: facts.annotations.clone(),
            ..ImageManifest::new(descriptor.clone(), below.chain(above).collect())
        };
        let raw = RawManifest::image(&manifest)?;
        entries.push(raw.descriptor().on(image.config.platform.clone()));
        configs.push((descriptor, config));
        manifests.push(raw);
    }
    let index = RawManifest::index(&ImageIndex { annotations: facts.annotations.clone(), ..ImageIndex::new(entries) })?;
    Ok(Documents { configs, manifests, index })
}

fn config(image: &BaseImage, layers: &[Layer], facts: &Facts) -> ImageConfig {
    let created = Some(facts.created.to_string());
    let mut config = image.config.clone();
    config.created.clone_from(&created);
    config.config.labels.extend(facts.labels.clone());
    config.rootfs.diff_ids.extend(layers.iter().map(|layer| layer.diff_id));
    // A history must have a line for every layer or none at all.
    for _ in config.history.iter().filter(|line| !line.empty_layer).count()..image.layers.len() {
        config.history.push(History { created: created.clone(), created_by: "modelcar: base".to_owned(), ..History::default() });
    }
    config.history.extend(layers.iter().map(|layer| History {
        created: created.clone(),
        created_by: format!("modelcar: {}", layer.name),
        ..History::default()
    }));
    config
}

/// A model layer as the documents show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What people call it: the path of its file below `/models`, or `5 small files`.
    pub name: String,
    /// The descriptor, with annotations.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The path below `/models`, size in bytes and digest of each file.
    pub files: Vec<(String, u64, Digest)>,
}

/// Describes a placed layer with the annotations that olot introduced and `rh-model-signing` reads:
/// <https://github.com/containers/olot/blob/main/docs/feat-152-layer-content-annotations.md>.
pub(super) fn layer(plan: &LayerPlan, files: &[PlacedFile], placed: &PlacedLayer) -> Layer {
    let contents: Vec<(String, u64, Digest)> = plan
        .files()
        .iter()
        .zip(&placed.digests.files)
        .map(|(file, digest)| (files[*file].target.clone(), files[*file].file.size, *digest))
        .collect();
    let annotations = match (&plan, &contents[..]) {
        (LayerPlan::File(_), [(path, _, digest)]) => of_file(path, digest),
        _ => of_group(),
    };
    Layer {
        name: name(plan, files),
        descriptor: placed.placed.descriptor.clone().annotated(annotations),
        diff_id: placed.digests.layer,
        files: contents,
    }
}

/// What people call a layer.
pub(super) fn name(plan: &LayerPlan, files: &[PlacedFile]) -> String {
    match plan {
        LayerPlan::File(file) => files[*file].target.clone(),
        LayerPlan::Group(group) => format!("{} files", group.len()),
    }
}

fn of_file(path: &str, digest: &Digest) -> Annotations {
    let name = path.rsplit('/').next().unwrap_or(path);
    annotations([
        (LAYER_DIGEST, digest.to_string()),
        (LAYER_PATH, format!("/{MODELS}{path}")),
        (LAYER_NAME, name.to_owned()),
        (LAYER_TYPE, "file".to_owned()),
        ("org.opencontainers.image.title", name.to_owned()),
    ])
}

/// `rh-model-signing` reads a `directory` layer's tar and hashes the files in it itself.
fn of_group() -> Annotations {
    annotations([(LAYER_PATH, format!("/{MODELS}")), (LAYER_NAME, "models".to_owned()), (LAYER_TYPE, "directory".to_owned())])
}

fn annotations<const N: usize>(pairs: [(&str, String); N]) -> Annotations {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// One digest for the model's content, however it is cut into layers: of the lines `<sha256>  <path>\n` in path order, as
/// `sha256sum` prints them below `/models`. in-toto calls it `dirHash`:
/// <https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md>.
pub fn content_digest<'a>(files: impl Iterator<Item = (&'a str, &'a Digest)>) -> Digest {
    let mut files: Vec<_> = files.collect();
    files.sort();
    let mut hasher = Hasher::default();
    for (path, digest) in files {
        hasher.update(format!("{}  {path}\n", digest.hex()).as_bytes());
    }
    hasher.finish()
}
