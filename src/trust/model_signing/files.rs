//! The files of a model and their digests: in a folder, or in an image.
//!
//! An image of modelcar says the digest of every large file in its manifest (`olot.layer.content.*`), so a model of any size is
//! signed and checked without fetching it. The annotations are the image builder's word; whoever does not take it reads the layers.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::ModelSigningError;
use super::statement::{IgnoredPaths, ModelFiles, path_fault};
use crate::image::annotations::{LAYER_DIGEST, LAYER_PATH, LAYER_TYPE};
use crate::image::layer_files::model_file_digests;
use crate::image::{ImageError, platforms};
use crate::model::MAX_DEPTH;
use crate::oci::{Descriptor, Digest, ImageManifest, RawManifest};
use crate::store::Store;
use crate::trust::bundle::document::MAX_BUNDLE;
use crate::trust::reason::shown;
use crate::trust::subject::{Subject, subjects};

/// Where the model lies in an image.
const MODELS: &str = "/models/";
/// What a file at least takes in a statement, beside its path, in bytes.
const LEAST: u64 = 100;
/// Of more files, nobody would read the signature.
const MOST_FILES: usize = (MAX_BUNDLE / LEAST) as usize;

/// Whose word on an image's files is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// The annotations of layers that have them; the others are read. What `rh-model-signing` does.
    #[default]
    Annotations,
    /// Every layer is read and hashed, and annotations must agree with it.
    Layers,
}

/// The files of an image: of every platform of an index, which must all hold the same model.
///
/// # Errors
/// Links and deletions below `/models`, annotations that cannot be true, and [`ModelSigningError::Models`].
pub fn files_of_image(store: &dyn Store, raw: &RawManifest, reading: Reading) -> Result<ModelFiles, ModelSigningError> {
    let mut reader = LayerReader { store, reading, seen: HashMap::new() };
    let mut models = platforms::images(store, raw, None)?.into_iter().map(|image| reader.image(&image));
    let first = models.next().ok_or(ImageError::NoModels)??;
    for model in models {
        if model? != first {
            return Err(ModelSigningError::Models { index: raw.digest() });
        }
    }
    if first.is_empty() { Err(ImageError::NoModels.into()) } else { Ok(first) }
}

/// What a model signature is attached to: what the reference names, and each image of an index. Not what else an index may list,
/// such as BuildKit's attestations.
pub(super) fn model_subjects(named: &RawManifest) -> Result<Vec<Subject>, ModelSigningError> {
    let is_image = |subject: &Subject| {
        let entry = Descriptor { platform: subject.platform.clone(), ..subject.descriptor.clone() };
        subject.digest() == named.digest() || platforms::is_image(&entry)
    };
    Ok(subjects(named)?.into_iter().filter(is_image).collect())
}

/// Reads each layer once, however many images share it.
struct LayerReader<'a> {
    store: &'a dyn Store,
    reading: Reading,
    seen: HashMap<Digest, ModelFiles>,
}

impl LayerReader<'_> {
    fn image(&mut self, image: &ImageManifest) -> Result<ModelFiles, ModelSigningError> {
        let mut files = ModelFiles::new();
        for layer in &image.layers {
            files.extend(self.layer(layer)?);
            refuse_too_many(&files)?;
        }
        files.retain(|path, _| !IgnoredPaths::default().covers(path));
        Ok(files)
    }

    fn layer(&mut self, layer: &Descriptor) -> Result<ModelFiles, ModelSigningError> {
        let annotated = annotated_file(layer)?;
        match (annotated, self.reading) {
            (Some((path, digest)), Reading::Annotations) => Ok(ModelFiles::from([(path, digest)])),
            (Some((path, digest)), Reading::Layers) => {
                let (said, found) = (ModelFiles::from([(path, digest)]), self.read(layer)?);
                if said == found { Ok(found) } else { Err(annotation(layer, "it holds something else")) }
            }
            (None, _) => self.read(layer),
        }
    }

    fn read(&mut self, layer: &Descriptor) -> Result<ModelFiles, ModelSigningError> {
        if let Some(files) = self.seen.get(&layer.digest) {
            return Ok(files.clone());
        }
        let files = model_file_digests(self.store, layer)?;
        refuse_too_many(&files)?;
        if self.seen.values().map(weight).sum::<u64>() + weight(&files) <= MAX_BUNDLE {
            self.seen.insert(layer.digest, files.clone());
        }
        Ok(files)
    }
}

/// What files at least take in a statement, in bytes.
fn weight(files: &ModelFiles) -> u64 {
    files.keys().map(|path| path.len() as u64 + LEAST).sum()
}

/// No signature of so many would be read by anybody, so nobody needs to hold them in memory.
fn refuse_too_many(files: &ModelFiles) -> Result<(), ModelSigningError> {
    let fits = weight(files) <= MAX_BUNDLE;
    fits.then_some(()).ok_or(ModelSigningError::TooLarge { files: files.len(), limit: MAX_BUNDLE })
}

/// What a layer with one file says of it.
fn annotated_file(layer: &Descriptor) -> Result<Option<(String, Digest)>, ModelSigningError> {
    if layer.annotations.get(LAYER_TYPE).is_none_or(|kind| kind != "file") {
        return Ok(None);
    }
    let value = |name: &str| layer.annotations.get(name).ok_or_else(|| annotation(layer, format!("has no `{name}`")));
    let (path, digest) = (value(LAYER_PATH)?, value(LAYER_DIGEST)?);
    let below = path.strip_prefix(MODELS).ok_or_else(|| annotation(layer, format!("`{}` is not below /models", shown(path))))?;
    if let Some(why) = path_fault(below) {
        return Err(annotation(layer, format!("of its path `{}`, {why}", shown(path))));
    }
    let digest = digest.parse().map_err(|_| annotation(layer, "its digest is none"))?;
    Ok(Some((below.to_owned(), digest)))
}

fn annotation(layer: &Descriptor, why: impl Into<String>) -> ModelSigningError {
    ModelSigningError::Annotation { layer: layer.digest, why: why.into() }
}

/// The files of a folder (a link to one will do, as KServe's `/mnt/models` is one), without those that are ignored.
///
/// # Errors
/// Symbolic links inside, files that are none, names that are not UTF-8.
pub fn files_of_folder(folder: &Path, ignored: &IgnoredPaths) -> Result<ModelFiles, ModelSigningError> {
    let root = folder.canonicalize().map_err(reading(folder))?;
    if root.is_file() {
        return Err(unsignable(folder, "it is one file, not the model's folder"));
    }
    let mut walk = WalkDir::new(&root).min_depth(1).max_depth(MAX_DEPTH + 1).sort_by_file_name().into_iter();
    let mut files = ModelFiles::new();
    while let Some(entry) = walk.next() {
        let entry = entry.map_err(|error| walking(folder, error))?;
        let path = relative(&entry, &root)?;
        if ignored.covers(&path) {
            if entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
        } else if !entry.file_type().is_dir() {
            let digest = hash(&entry)?;
            files.insert(path, digest);
        }
        if entry.depth() > MAX_DEPTH {
            return Err(unsignable(entry.path(), "it lies more than 64 folders deep"));
        }
        if files.len() > MOST_FILES {
            break;
        }
    }
    refuse_too_many(&files)?;
    if files.is_empty() { Err(ModelSigningError::Empty { place: folder.display().to_string() }) } else { Ok(files) }
}

fn relative(entry: &DirEntry, root: &Path) -> Result<String, ModelSigningError> {
    let path = entry.path().strip_prefix(root).ok().and_then(Path::to_str);
    path.map(str::to_owned).ok_or_else(|| unsignable(entry.path(), "its name is not UTF-8"))
}

fn hash(entry: &DirEntry) -> Result<Digest, ModelSigningError> {
    let path = entry.path();
    if entry.file_type().is_symlink() {
        return Err(unsignable(path, "it is a symbolic link"));
    }
    if !entry.file_type().is_file() {
        return Err(unsignable(path, "it is neither a file nor a folder"));
    }
    File::open(path).and_then(|mut file| Digest::of_reader(&mut file)).map_err(reading(path))
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> ModelSigningError {
    let path: PathBuf = path.to_owned();
    move |source| ModelSigningError::Read { path, source }
}

fn walking(folder: &Path, error: walkdir::Error) -> ModelSigningError {
    let path = error.path().unwrap_or(folder).to_owned();
    ModelSigningError::Read { path, source: error.into() }
}

fn unsignable(path: &Path, why: &'static str) -> ModelSigningError {
    ModelSigningError::Unsignable { path: path.to_owned(), why }
}

#[cfg(test)]
mod tests;
