//! An image taken apart: what lies below its model, and the files of its model.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ByFiles;
use super::spool::spooled;
use crate::image::annotations::{LAYER_PATH, LAYER_TYPE, RUNTIME};
use crate::image::base::{Base, BaseImage, StoredBlob, read_config};
use crate::image::compose::MODELS;
use crate::image::compress::Compression;
use crate::image::contents::told;
use crate::image::extract::below_models;
use crate::image::listing::{Entry, Kind, list_layer};
use crate::image::model_files::Layer;
use crate::image::transfer::Blob;
use crate::image::{ImageError, platforms};
use crate::kserve::Runtime;
use crate::model::{ByteSource, MAX_FILES, ModelFile, Stretch};
use crate::oci::{Annotations, Descriptor, Digest, ImageConfig, ImageManifest, Manifest, RawManifest, Reference, Timestamp};
use crate::store::{Store, StoreError};

/// An image of ours.
pub(super) struct Original {
    pub(super) base: Base,
    pub(super) annotations: Annotations,
    pub(super) created: Timestamp,
    pub(super) runtime: Runtime,
    layers: Vec<OldLayer>,
}

/// A layer of the model.
struct OldLayer {
    blob: Descriptor,
    files: Vec<(ModelFile, Digest)>,
}

impl Original {
    pub(super) fn read(store: &Arc<dyn Store>, name: Option<&Reference>, raw: &RawManifest) -> Result<Self, ImageError> {
        let Manifest::Index(index) = raw.parse().map_err(StoreError::from)? else {
            return Err(not_ours("it is one manifest and no index"));
        };
        let images = platforms::images(store.as_ref(), raw, None)?;
        let model = shared_layers(&images)?;
        let mut base = Base::default();
        let mut created = None;
        for image in &images {
            let config = read_config(store.as_ref(), &image.config)?;
            check_diff_ids(image, &config, model)?;
            let written = config.created.as_deref().and_then(Timestamp::parse).ok_or_else(|| not_ours("its config has no time"))?;
            if *created.get_or_insert(written) != written {
                return Err(not_ours("its platforms are of different times"));
            }
            base.images.push(below(store, name, image, config, model));
        }
        let runtime = index.annotations.get(RUNTIME).and_then(|word| word.parse().ok());
        Ok(Self {
            base,
            runtime: runtime.ok_or_else(|| not_ours("no annotation says which server it is laid out for"))?,
            annotations: index.annotations,
            created: created.unwrap_or_default(),
            layers: read_layers(store, model)?,
        })
    }

    /// The files by their paths below `/models`.
    pub(super) fn files(&self) -> BTreeMap<String, ModelFile> {
        self.layers.iter().flat_map(|layer| &layer.files).map(|(file, _)| (file.path.clone(), file.clone())).collect()
    }

    /// The digest of each file.
    pub(super) fn digests(&self) -> HashMap<String, Digest> {
        self.layers.iter().flat_map(|layer| &layer.files).map(|(file, digest)| (file.path.clone(), *digest)).collect()
    }

    pub(super) fn layers_by_files(&self) -> ByFiles {
        let paths = |layer: &OldLayer| layer.files.iter().map(|(file, _)| file.path.clone()).collect();
        self.layers.iter().map(|layer| (paths(layer), layer.blob.clone())).collect()
    }
}

fn not_ours(reason: impl Into<String>) -> ImageError {
    ImageError::NotOurs { reason: reason.into() }
}

/// The layers of the model: the upper ones, which say what they hold, and which all platforms share.
fn shared_layers(images: &[ImageManifest]) -> Result<&[Descriptor], ImageError> {
    let of = |image: &ImageManifest| image.layers.iter().position(|layer| layer.annotations.contains_key(LAYER_TYPE));
    let first = images.first().ok_or(ImageError::NoModels)?;
    let model = &first.layers[of(first).ok_or_else(|| not_ours("no layer says which files it holds"))?..];
    let is_shared = |image: &ImageManifest| of(image).is_some_and(|begin| image.layers[begin..] == *model);
    if !images.iter().all(is_shared) {
        return Err(not_ours("its platforms have different models"));
    }
    match model.iter().find(|layer| Compression::of(&layer.media_type) != Some(Compression::None)) {
        Some(packed) => Err(ImageError::Compressed { digest: packed.digest }),
        None => Ok(model),
    }
}

/// A plain layer is its own diff ID, and each one, the base's too, has a line in the history.
fn check_diff_ids(image: &ImageManifest, config: &ImageConfig, model: &[Descriptor]) -> Result<(), ImageError> {
    let lines = config.history.iter().filter(|line| !line.empty_layer).count();
    if config.rootfs.diff_ids.len() != image.layers.len() || lines != image.layers.len() {
        return Err(not_ours("its config and its manifest have different layers"));
    }
    let own = &config.rootfs.diff_ids[image.layers.len() - model.len()..];
    if own.iter().zip(model).any(|(diff_id, layer)| *diff_id != layer.digest) {
        return Err(not_ours("a layer of its model is not what its config says"));
    }
    let ours = config.history.iter().rev().take(model.len()).all(|line| !line.empty_layer && line.created_by.starts_with("modelcar: "));
    if ours { Ok(()) } else { Err(not_ours("its history tells of another tool")) }
}

/// One platform without the layers of the model.
fn below(
    store: &Arc<dyn Store>,
    name: Option<&Reference>,
    image: &ImageManifest,
    mut config: ImageConfig,
    model: &[Descriptor],
) -> BaseImage {
    let count = image.layers.len() - model.len();
    config.rootfs.diff_ids.truncate(count);
    let lines = config.history.len().saturating_sub(model.len());
    config.history.truncate(lines);
    let layers = image.layers[..count].iter().map(|layer| Blob {
        source: Arc::new(StoredBlob { store: store.clone(), blob: layer.clone() }),
        descriptor: layer.clone(),
        origin: name.cloned(),
    });
    BaseImage { layers: layers.collect(), config }
}

fn read_layers(store: &Arc<dyn Store>, model: &[Descriptor]) -> Result<Vec<OldLayer>, ImageError> {
    let mut layers: Vec<OldLayer> = Vec::new();
    let mut count = 0;
    for (number, blob) in model.iter().enumerate() {
        let files = match told(blob) {
            Some((path, digest)) => vec![(one_file(store, blob, number, &path)?, digest)],
            None => several_files(store.as_ref(), blob, number)?,
        };
        count += files.len();
        if count > MAX_FILES {
            return Err(not_ours("it has more files than a model"));
        }
        layers.push(OldLayer { blob: Descriptor { annotations: Annotations::new(), ..blob.clone() }, files });
    }
    Ok(layers)
}

/// The only file of a layer, where it lies.
fn one_file(store: &Arc<dyn Store>, blob: &Descriptor, number: usize, path: &str) -> Result<ModelFile, ImageError> {
    let source: Arc<dyn ByteSource> = Arc::new(Layer { store: store.clone(), blob: blob.clone() });
    let mut files = files_of(&list_layer(store.as_ref(), blob, number)?.entries, blob, &source)?;
    match (files.pop(), files.is_empty()) {
        (Some(only), true) if only.path == path => Ok(only),
        _ => Err(not_ours(format!("layer {} holds something else than `{path}`", blob.digest.short()))),
    }
}

/// The files of a layer that holds several: read whole, verified, and kept for as long as the work lasts.
fn several_files(store: &dyn Store, blob: &Descriptor, number: usize) -> Result<Vec<(ModelFile, Digest)>, ImageError> {
    if blob.annotations.get(LAYER_PATH).is_none_or(|path| *path != format!("/{MODELS}")) {
        return Err(not_ours(format!("layer {} does not say which files it holds", blob.digest.short())));
    }
    let spool = spooled(store, blob)?;
    let reader = spool.open_at(0).map_err(ImageError::Reading)?;
    let entries = crate::image::listing::list_stream(blob, number, reader)?.entries;
    let mut files = Vec::new();
    for file in files_of(&entries, blob, &spool)? {
        let digest = file.open().and_then(|mut content| Digest::of_reader(&mut content)).map_err(ImageError::Reading)?;
        files.push((file, digest));
    }
    Ok(files)
}

fn files_of(entries: &[std::rc::Rc<Entry>], blob: &Descriptor, source: &Arc<dyn ByteSource>) -> Result<Vec<ModelFile>, ImageError> {
    let mut files = Vec::new();
    for entry in entries {
        let refuse = |reason| ImageError::Entry { digest: blob.digest, path: entry.name.escape_debug().to_string(), reason };
        let Some(path) = below_models(entry.name.as_bytes()).map_err(refuse)? else { return Err(refuse("it is outside /models")) };
        let path = path.strip_prefix(MODELS).ok().and_then(std::path::Path::to_str).unwrap_or_default().to_owned();
        match entry.kind {
            Kind::Directory => {}
            Kind::File if !path.is_empty() && entry.offset.checked_add(entry.size).is_some_and(|end| end <= blob.size) => {
                let stretch = Stretch { source: source.clone(), offset: entry.offset };
                let executable = entry.mode & 0o100 != 0;
                files.push(ModelFile { executable, ..ModelFile::within(path, stretch, entry.size) });
            }
            _ => return Err(refuse("it is a link or no file")),
        }
    }
    Ok(files)
}
