//! Holding images and folders against model signatures.

use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;

use super::bundle::{self, BundleRefusal, ModelAuthor, ModelTrust};
use super::statement::{Difference, ModelFiles, Statement};
use super::{ModelSigningError, Reading, files_of_folder, files_of_image};
use crate::oci::{Digest, Platform, RawManifest};
use crate::store::Store;
use crate::trust::Reason;
use crate::trust::bundle::document::MAX_BUNDLE;
use crate::trust::bundle::referrer::look_at_all;
use crate::trust::subject::{Subject, subjects};

/// The most differences that a message shows.
const MAX_SHOWN: usize = 5;

/// A good model signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Who signed.
    pub by: ModelAuthor,
    /// What was signed.
    pub statement: Statement,
}

/// Why a model signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelRefusal {
    /// The signature itself.
    #[error(transparent)]
    Bundle(#[from] BundleRefusal),
    /// A good signature, of other files.
    #[error("the model is not as signed: {}", list(.0))]
    Files(Vec<Difference>),
}

fn list(differences: &[Difference]) -> String {
    let mut text: Vec<String> = differences.iter().take(MAX_SHOWN).map(ToString::to_string).collect();
    if differences.len() > MAX_SHOWN {
        text.push(format!("and {} more", differences.len() - MAX_SHOWN));
    }
    text.join(", ")
}

/// All model signatures of an image.
#[derive(Clone, Debug)]
pub struct ImageReport {
    /// How many files the model has.
    pub files: usize,
    /// What was found, at the manifest that the reference names first.
    pub findings: Vec<ModelFinding>,
    /// What has to carry a good signature: the manifest that is named, or instead each image of an index.
    subjects: Vec<Subject>,
}

/// One model signature and what was decided about it.
#[derive(Clone, Debug)]
pub struct ModelFinding {
    /// The manifest that it is attached to.
    pub subject: Digest,
    /// Its platform, for an image of an index.
    pub platform: Option<Platform>,
    /// The signature's own manifest.
    pub at: Digest,
    /// The decision.
    pub verdict: Result<Accepted, ModelRefusal>,
}

/// Looks at every model signature of an image, and of each image of an index.
///
/// # Errors
/// Only if it could not be found out. A signature that does not pass is in the report.
pub fn verify_image(
    store: &dyn Store,
    manifest: &RawManifest,
    trust: &ModelTrust<'_>,
    reading: Reading,
) -> Result<ImageReport, ModelSigningError> {
    let files = files_of_image(store, manifest, reading)?;
    let (subjects, now) = (subjects(manifest)?, SystemTime::now());
    let mut findings = Vec::new();
    for subject in &subjects {
        let found = look_at_all(store, subject.digest(), &[], &mut |at, bytes| {
            let verdict = judge_of(bytes, &files, trust, now)?;
            Some(ModelFinding { subject: subject.digest(), platform: subject.platform.clone(), at, verdict })
        })?;
        findings.extend(found);
    }
    Ok(ImageReport { files: files.len(), findings, subjects })
}

/// None for a bundle that is about something else.
fn judge_of(
    bytes: Result<Vec<u8>, Reason>,
    files: &ModelFiles,
    trust: &ModelTrust<'_>,
    now: SystemTime,
) -> Option<Result<Accepted, ModelRefusal>> {
    match bytes {
        Ok(bytes) => bundle::is_model_signature(&bytes).then(|| judge(&bytes, files, trust, now)),
        Err(reason) => Some(Err(BundleRefusal::from(reason).into())),
    }
}

fn judge(bytes: &[u8], files: &ModelFiles, trust: &ModelTrust<'_>, now: SystemTime) -> Result<Accepted, ModelRefusal> {
    let (statement, by) = bundle::open(bytes, trust, now)?;
    accept(statement, by, files)
}

fn accept(statement: Statement, by: ModelAuthor, files: &ModelFiles) -> Result<Accepted, ModelRefusal> {
    match statement.differences(files) {
        differences if differences.is_empty() => Ok(Accepted { by, statement }),
        differences => Err(ModelRefusal::Files(differences)),
    }
}

impl ImageReport {
    /// Whether the manifest that is named has a good signature, or every image of it has one: all hold the same model.
    pub fn is_accepted(&self) -> bool {
        let accepted = |subject: &Subject| self.accepted().any(|finding| finding.subject == subject.digest());
        match self.subjects.as_slice() {
            [] => false,
            [named] => accepted(named),
            [named, images @ ..] => accepted(named) || images.iter().all(accepted),
        }
    }

    /// The good ones.
    pub fn accepted(&self) -> impl Iterator<Item = &ModelFinding> {
        self.findings.iter().filter(|finding| finding.verdict.is_ok())
    }

    /// Why it is not accepted: each different reason once. Without any, there is no signature.
    pub fn refusals(&self) -> Vec<&ModelRefusal> {
        let mut reasons: Vec<&ModelRefusal> = Vec::new();
        for reason in self.findings.iter().filter_map(|finding| finding.verdict.as_ref().err()) {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }
}

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

    /// Takes the signature of an image, to be written beside the extracted model.
    ///
    /// # Errors
    /// [`ModelSigningError::Inside`] if the file would be one of the model's, and unsigned; [`ModelSigningError::NoSignature`].
    pub fn of_image(store: &dyn Store, manifest: &RawManifest, folder: &Path, path: &Path) -> Result<Self, ModelSigningError> {
        let (bytes, statement) = signature_of_image(store, manifest)?;
        match path_below(folder, path) {
            Some(below) if !statement.ignored.covers(&below) => Err(ModelSigningError::Inside { signature: path.to_owned() }),
            _ => Ok(Self { path: path.to_owned(), bytes }),
        }
    }

    /// Writes it.
    pub fn write(&self) -> Result<(), ModelSigningError> {
        fs::write(&self.path, &self.bytes).map_err(|source| ModelSigningError::Write { path: self.path.clone(), source })
    }
}

/// The first model signature of an image that is about its files, unchecked: whoever reads it decides whom to trust.
///
/// # Errors
/// [`ModelSigningError::NoSignature`].
pub fn signature_of_image(store: &dyn Store, manifest: &RawManifest) -> Result<(Vec<u8>, Statement), ModelSigningError> {
    let files = files_of_image(store, manifest, Reading::Annotations)?;
    for subject in subjects(manifest)? {
        let mut found = None;
        look_at_all(store, subject.digest(), &[], &mut |_, bytes| {
            let bytes = bytes.ok().filter(|_| found.is_none())?;
            let statement = bundle::statement(&bytes).ok().filter(|statement| statement.differences(&files).is_empty())?;
            found = Some((bytes, statement));
            None::<()>
        })?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(ModelSigningError::NoSignature { place: format!("{}@{}", store.name(), manifest.digest()) })
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
