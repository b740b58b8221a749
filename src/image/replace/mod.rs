//! Another version of an image with some files swapped, without the other files on disk.
//!
//! The image is taken apart: what lies below the model, and the files of the model with their digests. Then it is planned anew from the
//! changed list of files, as a build plans it. A layer that comes out with the files it had is taken over under its digest; it moves
//! nowhere within a repository, and is mounted within a registry. Every other one is packed from the new files and, where it holds
//! several, from the bytes of the old layer, which were verified whole before. So the result is the image that a build of the changed
//! folder with the same options would be.
//!
//! What the manifest says of a layer with one file, its digest, is believed as the layer's own digest is. What it says of the model's
//! facts is worked out anew from the changed files.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::build::{Build, ImageSpec};
use super::hash::LayerDigests;
use super::transfer::{Known, KnownLayer};
use super::{Compression, ImageError, annotations};
use crate::kserve::Runtime;
use crate::model::{self, Model, ModelError, ModelFile, PlacedFile, ServingLayout};
use crate::oci::{Annotations, Descriptor, Digest, RawManifest, Reference};
use crate::store::Store;

mod original;
mod spool;

use original::Original;

/// How many files an error names.
const MAX_NAMED: usize = 5;

/// What becomes of one path below `/models`.
#[derive(Clone, Debug)]
pub enum Change {
    /// This file in place of the one there.
    Replace(ModelFile),
    /// This file where there is none.
    Add(ModelFile),
    /// No file.
    Remove,
}

/// An image with some files changed, before anything is written.
pub struct Replacement {
    original: Original,
    files: Vec<PlacedFile>,
    /// The digests of the files that stay.
    kept: HashMap<String, Digest>,
}

/// The model of a changed image, for lint.
pub struct Changed {
    /// What it is.
    pub model: Model,
    /// Where its files are, for the server that the image was laid out for.
    pub layout: ServingLayout,
}

impl Replacement {
    /// Takes an image apart and changes its list of files. `name` is the repository that has it.
    ///
    /// # Errors
    /// [`ImageError::NotOurs`], [`ImageError::Compressed`] where it cannot be taken apart; [`ImageError::NoSuchFile`],
    /// [`ImageError::FileExists`] and [`ImageError::NoModels`] where the changes do not fit.
    pub fn new(
        store: &Arc<dyn Store>,
        name: Option<&Reference>,
        raw: &RawManifest,
        changes: &BTreeMap<String, Change>,
    ) -> Result<Self, ImageError> {
        let original = Original::read(store, name, raw)?;
        let mut files = original.files();
        let mut kept = original.digests();
        for (path, change) in changes {
            ensure_fits(path, change, &files)?;
            kept.remove(path);
            match change {
                Change::Replace(file) | Change::Add(file) => drop(files.insert(path.clone(), file.clone())),
                Change::Remove => drop(files.remove(path)),
            }
        }
        if files.is_empty() {
            return Err(ImageError::NoModels);
        }
        let files = files.into_iter().map(|(target, file)| PlacedFile { target, file }).collect();
        Ok(Self { original, files, kept })
    }

    /// The server that the image was laid out for.
    pub fn runtime(&self) -> Runtime {
        self.original.runtime
    }

    /// Reads the changed model where its files lie: the new ones on disk, of the others the headers in the store.
    ///
    /// # Errors
    /// A file that its format cannot read.
    pub fn model(&self, name: &Path) -> Result<Changed, ModelError> {
        read(name, self.files.iter().map(|placed| placed.file.clone()).collect(), self.original.runtime)
    }

    /// Plans the image, and tells which of its layers are known because they are taken over. `allowed` are the rules of lint that were
    /// waived.
    ///
    /// # Errors
    /// A file that its format cannot read.
    pub fn plan(self, name: &Path, changed: &Changed, allowed: &[&str]) -> Result<(Build, Known), ModelError> {
        let before = read(name, self.original.files().into_values().collect(), self.original.runtime)?;
        let told = |of: &Changed| annotations::of(&of.model, &of.layout, &self.original.base, self.original.created);
        let mut annotations = retold(self.original.annotations.clone(), &told(&before), told(changed));
        annotations.remove(annotations::CONTENT_DIGEST);
        annotations.remove(annotations::LINT_ALLOWED);
        if !allowed.is_empty() {
            annotations.insert(annotations::LINT_ALLOWED.to_owned(), allowed.join(","));
        }
        let layers = self.original.layers_by_files();
        let spec = ImageSpec {
            base: self.original.base,
            files: self.files,
            annotations,
            labels: Annotations::new(),
            created: self.original.created,
            compression: Compression::None,
        };
        let build = Build::new(spec);
        let known = Known { layers: taken_over(&build, &layers, &self.kept), ..Known::default() };
        Ok((build, known))
    }
}

fn ensure_fits(path: &str, change: &Change, files: &BTreeMap<String, ModelFile>) -> Result<(), ImageError> {
    match (change, files.contains_key(path)) {
        (Change::Replace(_) | Change::Remove, false) => Err(ImageError::NoSuchFile { path: path.to_owned(), there: alike(path, files) }),
        (Change::Add(_), true) => Err(ImageError::FileExists { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// Files of the same name in other folders; else the first ones.
fn alike(path: &str, files: &BTreeMap<String, ModelFile>) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    let same: Vec<String> = files.keys().filter(|there| name(there) == name(path)).take(MAX_NAMED).cloned().collect();
    if same.is_empty() { files.keys().take(MAX_NAMED).cloned().collect() } else { same }
}

fn read(name: &Path, files: Vec<ModelFile>, runtime: Runtime) -> Result<Changed, ModelError> {
    let model = model::read_files(name, files)?;
    let layout = ServingLayout { runtime, ..model::lay_out(&model, Some(Runtime::Raw), "model")? };
    Ok(Changed { model, layout })
}

/// The image's annotations, with what they told of the old model told of the new one. What the user wrote over a fact stays.
fn retold(mut annotations: Annotations, old: &Annotations, new: Annotations) -> Annotations {
    annotations.retain(|key, value| old.get(key) != Some(value));
    for (key, value) in new {
        annotations.entry(key).or_insert(value);
    }
    annotations
}

/// A layer of the old image: its digest and size as stored, by the files that it holds.
type ByFiles = HashMap<Vec<String>, Descriptor>;

/// The planned layers that the old image has: the same files, and none of them changed.
fn taken_over(build: &Build, layers: &ByFiles, kept: &HashMap<String, Digest>) -> BTreeMap<usize, KnownLayer> {
    let mut known = BTreeMap::new();
    for (number, (tar, files)) in build.layers().iter().zip(build.files_by_layer()).enumerate() {
        let digests: Option<Vec<Digest>> = files.iter().map(|path| kept.get(path).copied()).collect();
        let Some((digests, layer)) = digests.zip(layers.get(&files)) else { continue };
        if layer.size == tar.size() {
            known.insert(number, KnownLayer::plain(tar, LayerDigests { layer: layer.digest, files: digests }));
        }
    }
    known
}

#[cfg(test)]
mod tests;
