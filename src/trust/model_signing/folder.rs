//! Folders: signing them before push, and holding them against a signature, before push or after extraction.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::bundle::{self, ModelSigner, ModelTrust};
use super::statement::{self, IgnoredPaths};
use super::verify::accept;
use super::{Accepted, ModelRefusal, ModelSigningError, files_of_folder, signature_of_image};
use crate::oci::RawManifest;
use crate::store::Store;
use crate::trust::bundle::document::MAX_BUNDLE;

/// A model signature in a file.
#[derive(Clone, Debug)]
pub struct SignatureFile {
    /// Where it is: a file of this path is no part of the model.
    pub path: PathBuf,
    bytes: Vec<u8>,
}

impl SignatureFile {
    /// Reads it; what is larger than any honest one is refused.
    pub fn read(path: &Path) -> Result<Self, ModelSigningError> {
        let reading = |source| ModelSigningError::Read { path: path.to_owned(), source };
        let file = fs::File::open(path).map_err(reading)?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_BUNDLE + 1), &mut bytes).map_err(reading)?;
        if bytes.len() as u64 > MAX_BUNDLE {
            let why = "a signature has at most 1 MiB";
            return Err(ModelSigningError::Unsignable { path: path.to_owned(), why });
        }
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// Signs a folder that has the layout of `/models` already.
    ///
    /// # Errors
    /// [`ModelSigningError::Inside`], and whatever [`files_of_folder`] refuses.
    pub fn of_folder(folder: &Path, path: &Path, signer: &ModelSigner<'_>) -> Result<Self, ModelSigningError> {
        let ignored = IgnoredPaths::default();
        refuse_inside(folder, path, &ignored)?;
        let files = files_of_folder(folder, &ignored)?;
        let name = folder.canonicalize().ok().and_then(|real| Some(real.file_name()?.to_string_lossy().into_owned()));
        let bytes = signer.sign(&statement::write(name.as_deref().unwrap_or("model"), &files)?)?;
        if bytes.len() as u64 > MAX_BUNDLE {
            return Err(ModelSigningError::TooLarge { files: files.len(), limit: MAX_BUNDLE });
        }
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// Takes the signature of an image, to be written beside the extracted model.
    ///
    /// # Errors
    /// [`ModelSigningError::Inside`] if the file would be one of the model's, and unsigned; [`ModelSigningError::NoSignature`].
    pub fn of_image(store: &dyn Store, manifest: &RawManifest, folder: &Path, path: &Path) -> Result<Self, ModelSigningError> {
        let (bytes, statement) = signature_of_image(store, manifest)?;
        refuse_inside(folder, path, &statement.ignored)?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// Writes it.
    pub fn write(&self) -> Result<(), ModelSigningError> {
        fs::write(&self.path, &self.bytes).map_err(|source| ModelSigningError::Write { path: self.path.clone(), source })
    }
}

/// Holds a folder against a model signature.
///
/// # Errors
/// Only if it could not be found out; a signature that does not pass is an answer.
pub fn verify_folder(
    folder: &Path,
    signature: &SignatureFile,
    trust: &ModelTrust<'_>,
) -> Result<Result<Accepted, ModelRefusal>, ModelSigningError> {
    let (statement, by) = match bundle::open(&signature.bytes, trust, SystemTime::now()) {
        Ok(opened) => opened,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let ignored = match path_below(folder, &signature.path) {
        Some(own) => statement.ignored.clone().with(own),
        None => statement.ignored.clone(),
    };
    let files = files_of_folder(folder, &ignored)?;
    Ok(accept(statement, by, &files))
}

fn refuse_inside(folder: &Path, signature: &Path, ignored: &IgnoredPaths) -> Result<(), ModelSigningError> {
    match path_below(folder, signature) {
        Some(below) if !ignored.covers(&below) => Err(ModelSigningError::Inside { signature: signature.to_owned() }),
        _ => Ok(()),
    }
}

/// The path of a file relative to a folder, with `/`, if it is in it. Neither need be there yet.
fn path_below(folder: &Path, file: &Path) -> Option<String> {
    let below = resolved(file).strip_prefix(resolved(folder)).ok()?.to_str()?.to_owned();
    (!below.is_empty()).then_some(below)
}

/// The real path, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.components().next_back(), path.parent()) {
        (Some(Component::Normal(name)), Some(parent)) => resolved(parent).join(name),
        (Some(Component::ParentDir), Some(parent)) => resolved(parent).parent().map(Path::to_owned).unwrap_or_default(),
        _ => path,
    }
}

#[cfg(test)]
mod tests;
