//! Takes the model out of an image: the files under `/models`, in a directory.
//!
//! The image is a stranger. Every layer is verified against its digest while it is unpacked; nothing is written outside a
//! directory of our own, which takes its final name only after the last layer was right. Links are made last of all, so that no
//! file can be written through one.
//!
//! Several layers are unpacked at once, each into a folder of its own, and then stacked in their order: what comes out does not depend on
//! which of them was faster. Stacking renames and copies nothing.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use fs_err as fs;
use tempfile::TempDir;

use super::watch::Watch;
use super::{ImageError, platforms};
use crate::oci::{Descriptor, Platform, RawManifest};
use crate::stop::{self, Undo};
use crate::store::Store;

mod layer;
mod stack;

use layer::Unpacked;
use stack::Stack;

/// What was extracted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// The number of files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Extracts the model of one platform of an image (they are all the same model) into a directory that is not there yet, or empty:
/// a mount point, a volume or a link to one will do. `parallel` layers are on their way at once.
///
/// # Errors
/// Any layer that is not what its digest says, any entry that would leave the directory; then `dir` is as it was.
pub fn extract(
    store: &dyn Store,
    raw: &RawManifest,
    platform: Option<&Platform>,
    dir: &Path,
    parallel: NonZeroUsize,
) -> Result<Extracted, ImageError> {
    refuse_occupied(dir)?;
    let images = platforms::images(store, raw, platform.map(std::slice::from_ref))?;
    let manifest = images.first().ok_or(ImageError::NoModels)?;
    let there = dir.is_dir();
    let parent = if there { dir } else { dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")) };
    fs::create_dir_all(parent).map_err(writing(parent))?;
    let staging = stop::step(|| Staging::make_in(parent))?;

    let layers = unpack_all(store, &manifest.layers, staging.path(), parallel)?;
    let mut stack = Stack::new(staging.path().join("all"));
    layers.iter().try_for_each(|layer| stack.add(layer))?;
    let models = stack.finish()?.join("models");
    let extracted = count(&models)?;
    stop::step(|| if there { move_children(&models, dir) } else { fs::rename(&models, dir).map_err(writing(dir)) })?;
    Ok(extracted)
}

/// Where layers are unpacked; gone when dropped, or when a signal ends the process.
struct Staging {
    dir: TempDir,
    _undo: Undo,
}

impl Staging {
    fn make_in(parent: &Path) -> Result<Self, ImageError> {
        let dir = tempfile::Builder::new().prefix(".modelcar-extract-").tempdir_in(parent).map_err(writing(parent))?;
        let path = dir.path().to_owned();
        Ok(Self { dir, _undo: stop::undo(move || abandon(&path)) })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Removes what was unpacked. Under another name nobody adds to it meanwhile.
fn abandon(staging: &Path) {
    let gone = staging.with_extension("gone");
    let removed = fs::rename(staging, &gone).and_then(|()| fs::remove_dir_all(&gone));
    tracing::debug!(?removed, "what was unpacked is removed");
}

/// Makes a folder with its parents: in one step, or it would come again after [`abandon`].
fn make_dirs(path: &Path) -> Result<(), ImageError> {
    stop::step(|| fs::create_dir_all(path)).map_err(writing(path))
}

fn refuse_occupied(dir: &Path) -> Result<(), ImageError> {
    let occupied = || ImageError::Occupied { path: dir.to_owned() };
    match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().map_or(Ok(()), |_| Err(occupied())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => Err(occupied()),
    }
}

/// Unpacks every layer into a folder of its own, the biggest first: the last one to be begun should be short.
fn unpack_all(store: &dyn Store, layers: &[Descriptor], staging: &Path, parallel: NonZeroUsize) -> Result<Vec<Unpacked>, ImageError> {
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by_key(|layer| layers[*layer].size);
    let (waiting, watch) = (Mutex::new(order), Watch::silent());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let unpack = |number: usize| {
        let unpacked = Unpacked::new(store, &layers[number], staging.join(number.to_string()), &watch);
        // What fails once the others are stopped, fails for that.
        unpacked.map(|layer| (number, layer)).map_err(|error| if watch.go_on().is_err() { ImageError::Stopped } else { error })
    };
    let work = || std::iter::from_fn(next).map(|number| unpack(number).inspect_err(|_| watch.stop())).collect::<Result<Vec<_>, _>>();
    let done: Vec<Result<Vec<_>, _>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..parallel.get().min(layers.len())).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(ImageError::Stopped))).collect()
    });
    in_order(done)
}

/// The layers from the bottom up, or the error that explains the others.
fn in_order(done: Vec<Result<Vec<(usize, Unpacked)>, ImageError>>) -> Result<Vec<Unpacked>, ImageError> {
    let (mut layers, mut errors) = (Vec::new(), Vec::new());
    for result in done {
        match result {
            Ok(unpacked) => layers.extend(unpacked),
            Err(error) => errors.push(error),
        }
    }
    errors.sort_by_key(ImageError::is_stop);
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    layers.sort_by_key(|(number, _)| *number);
    Ok(layers.into_iter().map(|(_, layer)| layer).collect())
}

fn count(models: &Path) -> Result<Extracted, ImageError> {
    let mut extracted = Extracted::default();
    if !models.is_dir() {
        return Err(ImageError::NoModels);
    }
    for entry in walkdir::WalkDir::new(models) {
        let entry = entry.map_err(|error| ImageError::Writing { path: models.to_owned(), source: error.into() })?;
        if !entry.file_type().is_dir() {
            extracted.files += 1;
            extracted.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
        }
    }
    if extracted.files == 0 {
        return Err(ImageError::NoModels);
    }
    Ok(extracted)
}

/// A mount point cannot be replaced, so its content moves up; what moved goes back if the rest cannot follow.
fn move_children(models: &Path, dir: &Path) -> Result<(), ImageError> {
    let mut moved = Vec::new();
    for entry in fs::read_dir(models).map_err(writing(models))? {
        let from = entry.map_err(writing(models))?.path();
        let to = dir.join(from.file_name().unwrap_or_default());
        if let Err(source) = fs::rename(&from, &to) {
            // Both are ours and empty of anything else; an error here could only repeat the one that is told.
            for (from, to) in &moved {
                let _ = fs::rename(to, from);
            }
            return Err(ImageError::Writing { path: to, source });
        }
        moved.push((from, to));
    }
    Ok(())
}

fn writing(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Writing { path, source }
}

/// The path below the root if the entry belongs to the model; `None` for the rest of the image.
pub(super) fn below_models(name: &[u8]) -> Result<Option<PathBuf>, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let models = matches!(parts[..], ["models", ..] | [".wh.models" | ".wh..wh..opq"]);
    if !models && !parts.contains(&"..") {
        return Ok(None);
    }
    if parts.contains(&"..") {
        return Err("its name climbs with `..`");
    }
    if name.contains(['\0', '\\']) {
        return Err("its name holds a backslash or NUL");
    }
    Ok(Some(parts.iter().collect()))
}

#[cfg(test)]
mod tests;
