//! Holding images against model signatures.

use std::time::SystemTime;

use super::bundle::{self, BundleRefusal, ModelAuthor, ModelTrust};
use super::files::model_subjects;
use super::statement::{Difference, ModelFiles, Statement};
use super::{ModelSigningError, Reading, files_of_image};
use crate::oci::{Digest, Platform, RawManifest};
use crate::store::Store;
use crate::trust::Reason;
use crate::trust::bundle::referrer::look_at_all;
use crate::trust::subject::Subject;

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
    let (subjects, now) = (model_subjects(manifest)?, SystemTime::now());
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

/// A good signature is accepted if it is of these files.
pub(super) fn accept(statement: Statement, by: ModelAuthor, files: &ModelFiles) -> Result<Accepted, ModelRefusal> {
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

/// The first model signature of an image that is about its files, unchecked: whoever reads it decides whom to trust.
///
/// # Errors
/// [`ModelSigningError::NoSignature`].
pub fn signature_of_image(store: &dyn Store, manifest: &RawManifest) -> Result<(Vec<u8>, Statement), ModelSigningError> {
    let files = files_of_image(store, manifest, Reading::Annotations)?;
    for subject in model_subjects(manifest)? {
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

#[cfg(test)]
mod tests;
