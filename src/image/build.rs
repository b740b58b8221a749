//! Puts a ModelCar together: plan, tars, transfer, documents, tag.

use std::sync::Arc;
use std::time::Instant;

use super::base::Base;
use super::compose::{self, Documents, Facts, Layer, MODELS};
use super::compress::{self, Compression};
use super::hash::LayerDigests;
use super::plan::{LayerPlan, PlanFile, plan};
use super::preview::{self, Preview};
use super::tar::{LayerTar, TarEntry};
use super::transfer::{Blob, Placed, PlacedLayer, Transfer, Unheld, hash_layers, hashed_ahead, place};
use super::watch::{Event, Watch};
use super::{ImageError, annotations};
use crate::model::{Model, PlacedFile, ServingLayout};
use crate::oci::{Annotations, Descriptor, Digest, ManifestRef, Platform, RawManifest, Timestamp, media_type};
use crate::store::Store;

/// What an image is made of.
pub struct ImageSpec {
    /// The layers below the model, one set per platform.
    pub base: Base,
    /// Where each file goes, below `/models`.
    pub files: Vec<PlacedFile>,
    /// Annotations of index and manifests, without those that follow from the content.
    pub annotations: Annotations,
    /// Labels of the configs.
    pub labels: Annotations,
    /// The time of every entry and document.
    pub created: Timestamp,
    /// How the model's layers are stored.
    pub compression: Compression,
}

impl ImageSpec {
    /// The spec of a laid-out model. The user's annotations win over those that follow from the model.
    pub fn of(model: &Model, layout: ServingLayout, base: Base, own: Annotations, labels: Annotations, created: Timestamp) -> Self {
        let mut annotations = annotations::of(model, &layout, &base, created);
        annotations.extend(own);
        Self { base, files: layout.files, annotations, labels, created, compression: Compression::None }
    }
}

/// An image that is planned: every length is known, nothing is read yet.
pub struct Build {
    spec: ImageSpec,
    plans: Vec<LayerPlan>,
    tars: Vec<LayerTar>,
}

/// An image that is made.
#[derive(Clone, Debug)]
pub struct Built {
    /// The documents.
    pub documents: Documents,
    /// Where its containers run.
    pub platforms: Vec<Platform>,
    /// The model layers.
    pub layers: Vec<Layer>,
    /// Which of the model layers were sent, in the same order; false: the store had them.
    pub sent: Vec<bool>,
    /// What became of the base's layers.
    pub base: Vec<Placed>,
    /// The digest of the model's content, independent of layers.
    pub content: Digest,
}

impl Built {
    /// The index: its digest is the image's.
    pub fn index(&self) -> &RawManifest {
        &self.documents.index
    }

    /// The number of layers that a node mounts: those of one platform.
    pub fn depth(&self) -> usize {
        self.layers.len() + self.base.len().div_ceil(self.documents.manifests.len().max(1))
    }

    /// The bytes of all layers, base included.
    pub fn layer_bytes(&self) -> u64 {
        self.placed().map(|(size, _)| size).sum()
    }

    /// The bytes of the layers that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.placed().filter(|(_, sent)| *sent).map(|(size, _)| size).sum()
    }

    fn placed(&self) -> impl Iterator<Item = (u64, bool)> {
        let layers = self.layers.iter().zip(&self.sent).map(|(layer, sent)| (layer.descriptor.size, *sent));
        layers.chain(self.base.iter().map(|placed| (placed.descriptor.size, placed.sent)))
    }
}

impl Build {
    /// Plans the layers of an image.
    pub fn new(spec: ImageSpec) -> Self {
        let files: Vec<PlanFile> =
            spec.files.iter().map(|file| PlanFile { path: format!("{MODELS}{}", file.target), size: file.file.size }).collect();
        let taken = spec.base.images.iter().map(|image| image.layers.len()).max().unwrap_or(0);
        let plans = plan(&files, taken);
        let tars = plans.iter().map(|plan| tar(plan, &spec)).collect();
        Self { spec, plans, tars }
    }

    /// The image's annotations, without those that only its content tells.
    pub fn annotations(&self) -> &Annotations {
        &self.spec.annotations
    }

    /// Hashes everything and writes nothing: which image it would be.
    ///
    /// # Errors
    /// A file that cannot be read, or that changed while it was read.
    pub fn dry_run(&self, transfer: &Transfer, watch: &Watch) -> Result<Built, ImageError> {
        self.begin(&transfer.without_sending(), watch, &[]);
        let base = self.base_blobs().into_iter().map(|blob| Placed { descriptor: blob.descriptor, sent: false }).collect();
        self.describe(&hash_layers(&self.tars, self.spec.compression, transfer, watch)?, base)
    }

    /// What the image will look like, without reading a byte of the model; for [`super::check`].
    ///
    /// # Errors
    /// Never for these documents; serialisation is fallible by signature only.
    pub fn preview(&self) -> Result<Preview, ImageError> {
        let layer = |(number, tar): (usize, &LayerTar)| {
            let files = vec![preview::stand_in(number); self.plans[number].files().len()];
            let descriptor = Descriptor::new(media_type::LAYER_TAR, preview::stand_in(number), tar.size());
            PlacedLayer { digests: LayerDigests { layer: descriptor.digest, files }, placed: Placed { descriptor, sent: false } }
        };
        let layers: Vec<PlacedLayer> = self.tars.iter().enumerate().map(layer).collect();
        Ok(Preview::new(self.describe(&layers, Vec::new())?.documents, &self.tars, self.base_blobs()))
    }

    /// The tars of the model's layers, lowest first.
    pub fn layers(&self) -> &[LayerTar] {
        &self.tars
    }

    /// The paths below `/models` of the files of each layer, in the order of its tar.
    pub(super) fn files_by_layer(&self) -> impl Iterator<Item = Vec<String>> {
        self.plans.iter().map(|plan| plan.files().iter().map(|file| self.spec.files[*file].target.clone()).collect())
    }

    /// How the model's layers are stored.
    pub fn compression(&self) -> Compression {
        self.spec.compression
    }

    /// Places the image in a store, blobs first, the tags last, so that no reader ever sees half of it.
    ///
    /// # Errors
    /// A file that cannot be read, or that changed while it was read; whatever the store answers.
    pub fn run(&self, store: &dyn Store, at: &[ManifestRef], transfer: &Transfer, watch: &Watch) -> Result<Built, ImageError> {
        let (mut blobs, begun) = (self.base_blobs(), Instant::now());
        self.begin(transfer, watch, &blobs);
        let (layers, base) = place(&self.tars, self.spec.compression, &blobs, store, transfer, watch)?;
        let built = self.describe(&layers, base)?;
        for (config, bytes) in &built.documents.configs {
            store.put_blob(config, bytes)?;
            blobs.push(Blob::new(config.clone(), Arc::new(bytes.clone())));
        }
        let sources = self.tars.iter().map(|tar| compress::source(tar, self.spec.compression));
        blobs.extend(built.layers.iter().zip(sources).map(|(layer, source)| Blob::new(layer.descriptor.clone(), source)));
        let mut unheld = Unheld::new(store, blobs, begun);
        for manifest in &built.documents.manifests {
            unheld.put_manifest(manifest, &ManifestRef::Digest(manifest.digest()))?;
        }
        for tag in at {
            unheld.put_manifest(built.index(), tag)?;
        }
        store.commit()?;
        Ok(built)
    }

    fn begin(&self, transfer: &Transfer, watch: &Watch, base: &[Blob]) {
        let names = self.plans.iter().map(|plan| compose::name(plan, &self.spec.files));
        let layers = names.zip(self.tars.iter().map(LayerTar::size));
        let base = base.iter().map(|blob| ("base".to_owned(), blob.descriptor.size));
        let hash = hashed_ahead(&self.tars, self.spec.compression, transfer);
        watch.tell(Event::Begun { hash, blobs: layers.chain(base).collect() });
    }

    /// The base's layers, each once however many platforms share it.
    fn base_blobs(&self) -> Vec<Blob> {
        let mut blobs: Vec<Blob> = Vec::new();
        for layer in self.spec.base.images.iter().flat_map(|image| &image.layers) {
            if blobs.iter().all(|blob| blob.descriptor.digest != layer.descriptor.digest) {
                blobs.push(layer.clone());
            }
        }
        blobs
    }

    fn describe(&self, placed: &[PlacedLayer], base: Vec<Placed>) -> Result<Built, ImageError> {
        let layers: Vec<Layer> =
            self.plans.iter().zip(placed).map(|(plan, placed)| compose::layer(plan, &self.spec.files, placed)).collect();
        let files = layers.iter().flat_map(|layer| &layer.files);
        let content = compose::content_digest(files.map(|(path, _, digest)| (path.as_str(), digest)));
        let mut annotations = self.spec.annotations.clone();
        annotations.insert(annotations::CONTENT_DIGEST.to_owned(), content.to_string());
        let facts = Facts { annotations: &annotations, labels: &self.spec.labels, created: self.spec.created };
        let documents = compose::documents(&self.spec.base, &layers, &facts).map_err(ImageError::Json)?;
        let sent = placed.iter().map(|layer| layer.placed.sent).collect();
        let platforms = self.spec.base.images.iter().map(|image| image.config.platform.clone()).collect();
        Ok(Built { documents, platforms, layers, sent, base, content })
    }
}

fn tar(plan: &LayerPlan, spec: &ImageSpec) -> LayerTar {
    let entry = |file: &usize| {
        let PlacedFile { target, file } = &spec.files[*file];
        TarEntry::File { path: format!("{MODELS}{target}"), file: file.clone() }
    };
    LayerTar::new(plan.files().iter().map(entry).collect(), spec.created.seconds())
}

#[cfg(test)]
mod tests;
