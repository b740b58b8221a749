//! Signing an image for both worlds.
//!
//! Order: the classic signatures of all manifests, then the bundles; in both, the manifests of an index before the index, so
//! that a signed index means that all of it is signed.
//!
//! How signatures survive other signers is told in `classic/rounds.rs`.

use std::collections::HashSet;
use std::time::Duration;

use super::bundle::dsse;
use super::bundle::referrer;
use super::classic::rounds::{Job, Rounds, Settled};
use super::classic::{Place, Wanted, identity};
use super::subject::{Subject, subjects};
use super::{Algorithm, Format, Signer, TrustError, Trusted};
use crate::oci::{Digest, ManifestRef, Platform, RawManifest, Reference};
use crate::store::Store;

/// How much of an index is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The index and every manifest in it, so that it passes wherever it is checked.
    #[default]
    All,
    /// What the reference names alone.
    Named,
}

/// What to sign, where, under which names and by whom.
pub struct SignRequest<'a> {
    /// Where the image is and its signatures go.
    pub store: &'a dyn Store,
    /// The image or index, as resolved by the caller; a tag that moves meanwhile changes nothing.
    pub manifest: RawManifest,
    /// The names under which the image will be pulled, each `host/repo:tag`. Each gets its own classic signature.
    pub identities: &'a [String],
    /// Who signs.
    pub signer: &'a Signer,
    /// How much of an index is signed.
    pub scope: Scope,
}

/// What is in place after signing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignReport {
    /// All signatures by this key, those that were there before too.
    pub signatures: Vec<Signature>,
    /// What the user should know.
    pub warnings: Vec<SignWarning>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The manifest that is signed.
    pub digest: Digest,
    /// Its platform, for a manifest in an index.
    pub platform: Option<Platform>,
    /// For which world.
    pub format: Format,
    /// The name it vouches for; a bundle names none.
    pub identity: Option<String>,
    /// Where it is: the `.sig` tag, or the bundle's manifest.
    pub at: ManifestRef,
    /// Whether it is new.
    pub outcome: Outcome,
}

/// Whether a signature is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written now.
    Added,
    /// The same signature by the same key was there.
    AlreadyThere,
}

/// Something that is in the way of others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignWarning {
    /// Classic keyless signatures hold what only a log of version 1 signs.
    #[error("no classic keyless signature is possible without a Rekor log of version 1: podman, CRI-O and OpenShift will find none")]
    NoClassic,
    /// Another tool uses the tag for signatures; `rh-model-signing` does in its tag mode. It was kept.
    #[error(
        "tag `{tag}` also holds `{media_type}`, which is no classic signature: it was kept, but the tool that put it there may replace all of them"
    )]
    ForeignLayer {
        /// The `.sig` tag.
        tag: ManifestRef,
        /// What else is there.
        media_type: String,
    },
    /// The key cannot sign for everybody, so it signs for some.
    #[error(
        "the key is {}, so classic signatures alone are written: podman, CRI-O, OpenShift, cosign 2 and 3 accept them, cosign 4 and \
         others that want a bundle refuse the image; a P-256 key signs for all of them"
        , kind(*algorithm)
    )]
    ClassicOnly {
        /// How it signs.
        algorithm: Algorithm,
    },
    /// Of an index, the index alone is signed.
    #[error(
        "the index alone is signed: podman and CRI-O check the manifest of the platform they run, and refuse it where that is unsigned"
    )]
    IndexOnly,
}

/// Signs the image, and every manifest of an index, under all names and in both formats. Signing again adds nothing.
///
/// # Errors
/// [`TrustError::Incomplete`] once the first signature may have been written; it tells what is in place.
pub fn sign(request: &SignRequest<'_>) -> Result<SignReport, TrustError> {
    sign_with(request, &std::thread::sleep)
}

/// The same with another way to wait.
fn sign_with(request: &SignRequest<'_>, pause: &dyn Fn(Duration)) -> Result<SignReport, TrustError> {
    let identities = identities(request.identities)?;
    let mut subjects = subjects(&request.manifest)?;
    let warnings = limits(request, &subjects);
    if request.scope == Scope::Named {
        subjects.truncate(1);
    }
    subjects.iter().try_for_each(|subject| subject.fetch(request.store).map(drop))?;
    subjects.rotate_left(1);
    let report = SignReport { warnings, ..SignReport::default() };
    let mut signing = Signing { request, pause, own: Trusted::default(), report };
    match signing.write(&subjects, &identities) {
        Ok(()) => Ok(signing.report),
        Err(source) => Err(TrustError::Incomplete { signed: Box::new(signing.report), source: Box::new(source) }),
    }
}

/// Whom these signatures will not satisfy, by choice of key and scope.
fn limits(request: &SignRequest<'_>, subjects: &[Subject]) -> Vec<SignWarning> {
    let index_only = (request.scope == Scope::Named && subjects.len() > 1).then_some(SignWarning::IndexOnly);
    request.signer.limit().into_iter().chain(index_only).collect()
}

/// The names to sign, each once.
fn identities(texts: &[String]) -> Result<Vec<Reference>, TrustError> {
    let mut seen = HashSet::new();
    let fresh = texts.iter().filter(|text| seen.insert(text.as_str()));
    let identities: Vec<Reference> = fresh.map(|text| identity::to_sign(text)).collect::<Result<_, _>>()?;
    if identities.is_empty() { Err(TrustError::NoIdentity) } else { Ok(identities) }
}

struct Signing<'a> {
    request: &'a SignRequest<'a>,
    pause: &'a dyn Fn(Duration),
    /// Knows this signer's signatures again.
    own: Trusted,
    report: SignReport,
}

impl Signing<'_> {
    fn write(&mut self, subjects: &[Subject], identities: &[Reference]) -> Result<(), TrustError> {
        self.own = self.request.signer.trusted()?;
        let formats = self.request.signer.formats();
        if formats.contains(&Format::Classic) {
            self.write_classic(subjects, identities)?;
        }
        if formats.contains(&Format::Bundle) {
            subjects.iter().try_for_each(|subject| self.write_bundle(subject))?;
        }
        Ok(())
    }

    fn write_classic(&mut self, subjects: &[Subject], identities: &[Reference]) -> Result<(), TrustError> {
        let jobs = subjects.iter().map(|subject| Self::job(subject, identities)).collect::<Result<_, _>>()?;
        let rounds = Rounds { store: self.request.store, signer: self.request.signer, own: &self.own, pause: self.pause };
        rounds.settle(jobs, &mut |settled| self.report.push_classic(settled))
    }

    fn job(subject: &Subject, identities: &[Reference]) -> Result<Job, TrustError> {
        let wanted = identities.iter().map(|identity| Wanted::new(subject.digest(), identity));
        Ok(Job { place: Place::of_signatures(subject), wanted: wanted.collect::<Result<_, _>>()? })
    }

    fn write_bundle(&mut self, subject: &Subject) -> Result<(), TrustError> {
        let (at, outcome) = ensure_bundle(self.request.store, subject, self.request.signer, &self.own)?;
        self.report.push(subject, Format::Bundle, None, ManifestRef::Digest(at), outcome);
        Ok(())
    }
}

/// The bundle in which this signer signs a manifest, written where there is none.
///
/// Any bundle makes cosign, Kyverno and Conforma look at bundles alone, so whatever else is attached wants this one beside it.
/// `own` knows the signer's signatures again.
pub(super) fn ensure_bundle(store: &dyn Store, subject: &Subject, signer: &Signer, own: &Trusted) -> Result<(Digest, Outcome), TrustError> {
    if let Some(found) = referrer::find(store, subject.digest(), own)? {
        return Ok((found, Outcome::AlreadyThere));
    }
    let statement = dsse::signature_statement(subject.digest())?;
    Ok((referrer::state(store, subject, signer, dsse::COSIGN_SIGN, &statement)?, Outcome::Added))
}

impl SignReport {
    fn push_classic(&mut self, settled: Settled) {
        let Settled { place: Place { subject, tag }, wanted, squatters } = settled;
        for Wanted { identity, outcome, .. } in wanted {
            self.push(&subject, Format::Classic, Some(identity), tag.clone(), outcome);
        }
        for media_type in squatters {
            let warning = SignWarning::ForeignLayer { tag: tag.clone(), media_type };
            tracing::warn!("{warning}");
            self.warnings.push(warning);
        }
    }

    fn push(&mut self, subject: &Subject, format: Format, identity: Option<String>, at: ManifestRef, outcome: Outcome) {
        let (digest, platform) = (subject.digest(), subject.platform.clone());
        self.signatures.push(Signature { digest, platform, format, identity, at, outcome });
    }

    /// The manifests of this manifest's bundles.
    pub(super) fn bundles_of(&self, digest: Digest) -> Vec<Digest> {
        let bundles = self.signatures.iter().filter(|signature| signature.digest == digest && signature.format == Format::Bundle);
        let digests = bundles.filter_map(|bundle| match bundle.at {
            ManifestRef::Digest(digest) => Some(digest),
            ManifestRef::Tag(_) => None,
        });
        digests.collect()
    }
}

/// What people call such a key.
pub(super) fn kind(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => "ECDSA P-256",
        Algorithm::EcdsaP384Sha256 | Algorithm::EcdsaP384Sha384 => "ECDSA P-384",
        Algorithm::RsaSha256 => "RSA",
    }
}

#[cfg(test)]
mod tests;
