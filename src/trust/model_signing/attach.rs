//! Signing the model in an image, and where the signature is kept.
//!
//! To cosign 3, Kyverno and Conforma the model signature is one more bundle, and where a bundle is they look at bundles alone. An
//! image with a classic signature and a model signature is refused by them, so an image signature in a bundle goes first.

use std::cell::OnceCell;

use super::bundle::{self, ModelSigner, ModelTrust};
use super::files::model_subjects;
use super::statement::{self, ModelFiles, PREDICATE_TYPE};
use super::{Authorities, ModelSigningError, Reading, files_of_image};
use crate::oci::{Digest, Platform, RawManifest};
use crate::store::Store;
use crate::trust::bundle::document::MAX_BUNDLE;
use crate::trust::bundle::referrer::{Attached, Kind, look_at_all};
use crate::trust::sign::ensure_bundle;
use crate::trust::subject::Subject;
use crate::trust::{Outcome, SignReport, Trusted};

/// How `rh-model-signing` finds it: <https://pypi.org/project/rh-model-signing/>.
const KIND: Kind = Kind {
    artifact_type: "application/vnd.model-signing.signature.v0.1",
    config: "application/vnd.model-signing.signature.v0.1.config+json",
};

/// Which model to sign, and who does.
pub struct AttachRequest<'a> {
    /// Where the image is and its signatures go.
    pub store: &'a dyn Store,
    /// The image or index, as resolved by the caller.
    pub manifest: RawManifest,
    /// What to call the model; verifiers do not look at it.
    pub name: &'a str,
    /// Who signs.
    pub signer: &'a ModelSigner<'a>,
    /// Whose word on the image's files is taken.
    pub reading: Reading,
}

/// What is in place after signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachReport {
    /// How many files are signed.
    pub files: usize,
    /// The root digest: the digest of the files' digests.
    pub root: Digest,
    /// The signatures of the images, which cosign wants beside those of the model: the manifest, and whether it is new.
    pub image_signatures: Vec<(Digest, Outcome)>,
    /// The signatures of the model: at what the reference names, then at each image of an index.
    pub signatures: Vec<AttachedSignature>,
}

impl AttachReport {
    /// How many model signatures are new.
    pub fn added(&self) -> usize {
        self.signatures.iter().filter(|signature| signature.outcome == Outcome::Added).count()
    }

    /// How many image signatures had to be added first.
    pub fn image_signatures_added(&self) -> usize {
        self.image_signatures.iter().filter(|(_, outcome)| *outcome == Outcome::Added).count()
    }
}

/// A model signature in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedSignature {
    /// The manifest that it is attached to.
    pub subject: Digest,
    /// Its platform, for an image of an index.
    pub platform: Option<Platform>,
    /// The signature's own manifest.
    pub at: Digest,
    /// Whether it is new.
    pub outcome: Outcome,
}

/// Signs the files of the model, and attaches the one signature to what the reference names and to each image of an index: some
/// readers look at the one, some at the other. Attaching again adds nothing.
///
/// # Errors
/// [`ModelSigningError::Incomplete`] once something may have been written; it tells what is in place.
pub fn attach(request: &AttachRequest<'_>) -> Result<AttachReport, ModelSigningError> {
    attach_after(request, &SignReport::default())
}

/// The same where the image was signed a moment ago. Quay lists a new bundle up to 60 s late, and nobody needs to look for those that
/// are known.
///
/// # Errors
/// Those of [`attach`].
pub fn attach_after(request: &AttachRequest<'_>, signed: &SignReport) -> Result<AttachReport, ModelSigningError> {
    // Before the image signature, which would be written as a bundle by a key of which verifiers expect none.
    request.signer.signer.ensure_bundles().map_err(|_| ModelSigningError::Algorithm)?;
    let files = files_of_image(request.store, &request.manifest, request.reading)?;
    let subjects = model_subjects(&request.manifest)?;
    let statement = statement::write(request.name, &files)?;
    // Base64 makes four bytes of three, and the rest of a bundle takes some more.
    if statement.len() as u64 > MAX_BUNDLE / 4 * 3 - (64 << 10) {
        return Err(ModelSigningError::TooLarge { files: files.len(), limit: MAX_BUNDLE });
    }
    let report =
        AttachReport { files: files.len(), root: statement::root(files.values()), image_signatures: Vec::new(), signatures: Vec::new() };
    let own = request.signer.signer.trusted()?;
    let mut attaching = Attaching { request, signed, files, statement, own, bundle: OnceCell::new(), report };
    match attaching.write(&subjects) {
        Ok(()) => Ok(attaching.report),
        Err(source) => Err(ModelSigningError::Incomplete { attached: Box::new(attaching.report), source: Box::new(source) }),
    }
}

struct Attaching<'a> {
    request: &'a AttachRequest<'a>,
    signed: &'a SignReport,
    files: ModelFiles,
    statement: Vec<u8>,
    /// Knows this signer's signatures again.
    own: Trusted,
    /// Made once, and only where one is missing: keyless, every signature costs a certificate and a log entry.
    bundle: OnceCell<Vec<u8>>,
    report: AttachReport,
}

impl Attaching<'_> {
    fn write(&mut self, subjects: &[Subject]) -> Result<(), ModelSigningError> {
        for subject in subjects {
            let signed = self.ensure_signed(subject)?;
            self.report.image_signatures.push(signed);
        }
        for subject in subjects {
            let (at, outcome) = self.ensure(subject)?;
            let (digest, platform) = (subject.digest(), subject.platform.clone());
            self.report.signatures.push(AttachedSignature { subject: digest, platform, at, outcome });
        }
        Ok(())
    }

    fn ensure_signed(&self, subject: &Subject) -> Result<(Digest, Outcome), ModelSigningError> {
        match self.signed.bundles_of(subject.digest()).first() {
            Some(known) => Ok((*known, Outcome::AlreadyThere)),
            None => Ok(ensure_bundle(self.request.store, subject, self.request.signer.signer, &self.own)?),
        }
    }

    fn ensure(&self, subject: &Subject) -> Result<(Digest, Outcome), ModelSigningError> {
        if let Some(found) = self.find(subject)? {
            return Ok((found, Outcome::AlreadyThere));
        }
        let attached = self.attached(subject)?;
        attached.put(self.request.store)?;
        Ok((attached.digest(), Outcome::Added))
    }

    /// A signature of the same files by the same signer.
    fn find(&self, subject: &Subject) -> Result<Option<Digest>, ModelSigningError> {
        let (store, digest) = (self.request.store, subject.digest());
        if self.request.signer.has_chain() {
            // A certificate is a matter of its authorities, which a signer need not know; but equal bytes are the same signature.
            let own = self.attached(subject)?.digest();
            return Ok(store.referrers(&digest)?.into_iter().map(|referrer| referrer.digest).find(|found| *found == own));
        }
        let trust = ModelTrust { trusted: &self.own, authorities: &Authorities::default() };
        let found = look_at_all(store, digest, &[], &mut |at, bytes| {
            let (statement, _) = bundle::open(&bytes.ok()?, &trust, std::time::SystemTime::now()).ok()?;
            (statement.files == self.files).then_some(at)
        })?;
        Ok(found.first().copied())
    }

    fn attached(&self, subject: &Subject) -> Result<Attached, ModelSigningError> {
        let bundle = match self.bundle.get() {
            Some(bundle) => bundle.clone(),
            None => self.request.signer.sign(&self.statement)?,
        };
        let bundle = self.bundle.get_or_init(|| bundle).clone();
        Ok(Attached::as_kind(&KIND, subject, PREDICATE_TYPE, bundle)?)
    }
}

#[cfg(test)]
mod tests;
