//! Checking an image: gathering what is there, in all formats, then asking each consumer what it would make of it.
//!
//! podman and OpenShift read only the classic signatures. cosign 3 reads only bundles as soon as one is there. So there is no one
//! answer: an image is verified if those consumers that the caller names would let it through, and if modelcar's own rule holds:
//! somebody trusted has signed what the reference names and, in an index, each platform.

use std::fmt;

use super::bounded::Bounded;
use super::bundle::referrer;
use super::consumers::own_refusals;
use super::layers::{self, Layers};
use super::model_signing::Reading;
use super::subject::{Subject, subjects};
use super::{
    Asked, Consumer, Finding, Judgement, ManifestEvidence, Objection, Refused, Requirement, SignReport, TrustError, Trusted, Unmet, fetch,
};
use super::{AttestationKind, attest, classic, model_signing};
use crate::image::watch::Watch;
use crate::oci::{RawManifest, Timestamp};
use crate::store::Store;

/// What to check, for whom, with which keys.
pub struct VerifyRequest<'a> {
    /// Where the image and its signatures are.
    pub store: &'a dyn Store,
    /// The image or index, as resolved by the caller.
    pub manifest: RawManifest,
    /// Whose signatures count.
    pub trusted: &'a Trusted,
    /// The reference as asked for, `host/repo:tag` or `host/repo@digest`; without one, any name in a signature will do.
    pub identity: Option<&'a str>,
    /// Who has to accept the image.
    pub consumers: &'a [Consumer],
    /// Attestations that have to be there.
    pub required: &'a [Requirement],
    /// What time it is, for those that must not be old.
    pub now: Timestamp,
    /// Whether every config and layer is hashed again, and who hears of the progress.
    pub layers: Option<&'a Watch>,
    /// What [`sign`](super::sign()) has just written here. Quay shows a new referrer up to 60 s late, so bundles that are known
    /// are read by digest.
    pub just_signed: Option<&'a SignReport>,
}

/// All that was found, and what everybody would say of it.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// What the reference names, then the manifests of an index.
    pub manifests: Vec<ManifestEvidence>,
    /// What each consumer would say, in the order of [`Consumer::ALL`].
    pub judgements: Vec<Judgement>,
    /// Who has to accept the image.
    pub named: Vec<Consumer>,
    /// Where modelcar's own rule is broken.
    pub unsigned: Vec<Refused>,
    /// Attestations that have to be there, and the statement that meets each.
    pub required: Vec<(Requirement, Result<Finding, Unmet>)>,
    /// What was hashed again.
    pub layers: Option<Layers>,
}

/// Why an image is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who asks for what is not there.
    pub by: Demand,
    /// Which manifest is refused, and why.
    pub refused: Refused,
}

/// Who asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A consumer that the caller named.
    Consumer(Consumer),
    /// modelcar: every manifest is signed by somebody trusted.
    Signature,
    /// The caller, for an attestation.
    Attestation,
    /// The caller, for blobs as their digests say.
    Layers,
}

/// Looks at every signature of the image and of each manifest in an index.
///
/// # Errors
/// Only if it could not be found out. A signature that does not pass is in the report.
pub fn verify(request: &VerifyRequest<'_>) -> Result<VerifyReport, TrustError> {
    if request.trusted.is_nobody() {
        return Err(TrustError::NoKey);
    }
    let asked = Asked::by(request.identity)?;
    let mut manifests = gather(request)?;
    // What nobody trusted has signed is refused anyhow, and its layers are a stranger's, of any size.
    let is_signed = own_refusals(&manifests).is_empty();
    if is_signed && request.required.iter().any(|required| *required.kind() == AttestationKind::ModelSigning) {
        add_model_signatures(request, &mut manifests)?;
    }
    let layers = request.layers.map(|watch| layers::rehash(request.store, &manifests, watch)).transpose()?;
    Ok(VerifyReport {
        judgements: Consumer::ALL.iter().map(|consumer| consumer.judge(&manifests, &asked)).collect(),
        named: request.consumers.to_vec(),
        unsigned: own_refusals(&manifests),
        required: request.required.iter().map(|one| (one.clone(), one.met_by(&manifests, request.now).cloned())).collect(),
        layers,
        manifests,
    })
}

fn gather(request: &VerifyRequest<'_>) -> Result<Vec<ManifestEvidence>, TrustError> {
    let store = Bounded::new(request.store);
    subjects(&request.manifest)?.iter().map(|subject| examine(&store, request, subject)).collect()
}

/// Costs more than all the rest where the files have to be hashed, so it is done only where it is asked for.
fn add_model_signatures(request: &VerifyRequest<'_>, manifests: &mut [ManifestEvidence]) -> Result<(), TrustError> {
    let reading = if request.layers.is_some() { Reading::Layers } else { Reading::Annotations };
    for (subject, finding) in model_signing::examine(request.store, &request.manifest, request.trusted, reading)? {
        if let Some(manifest) = manifests.iter_mut().find(|manifest| manifest.digest == subject) {
            manifest.model_signatures.push(finding);
        }
    }
    Ok(())
}

fn examine(store: &dyn Store, request: &VerifyRequest<'_>, subject: &Subject) -> Result<ManifestEvidence, TrustError> {
    let (digest, trusted) = (subject.digest(), request.trusted);
    let known = request.just_signed.map(|report| report.bundles_of(digest)).unwrap_or_default();
    let (signature_tag, classic) = classic::examine(store, digest, trusted)?;
    Ok(ManifestEvidence {
        digest,
        platform: subject.platform.clone(),
        present: fetch::manifest(store, &subject.descriptor)?.is_ok(),
        signature_tag,
        classic,
        bundles: referrer::examine(store, digest, trusted, &known)?,
        attachments: attest::examine_attached(store, digest, trusted)?,
        model_signatures: Vec::new(),
    })
}

impl VerifyReport {
    /// Empty if the image is verified: first what the named consumers refuse, then what modelcar and the caller miss.
    pub fn refusals(&self) -> Vec<Refusal> {
        let of = |by: Demand, refused: &[Refused]| refused.iter().map(move |refused| Refusal { by, refused: refused.clone() }).collect();
        let named = self.judgements.iter().filter(|judgement| self.named.contains(&judgement.consumer));
        let mut all: Vec<Refusal> = named.flat_map(|judgement| of(Demand::Consumer(judgement.consumer), &judgement.refusals)).collect();
        let unsigned: Vec<Refused> = self.unsigned.iter().filter(|one| !refuses(&all, one)).cloned().collect();
        all.extend::<Vec<_>>(of(Demand::Signature, &unsigned));
        all.extend::<Vec<_>>(of(Demand::Attestation, &self.missing()));
        all.extend::<Vec<_>>(of(Demand::Layers, self.layers.as_ref().map_or(&[], |layers| &layers.refusals)));
        all
    }

    /// Whether somebody trusted has signed the index and no manifest in it, as `cosign sign` does.
    pub fn is_index_alone_signed(&self) -> bool {
        let is_signed = |manifest: &ManifestEvidence| manifest.classic.iter().chain(&manifest.bundles).any(Finding::is_accepted_signature);
        match self.manifests.as_slice() {
            [index, platforms @ ..] => is_signed(index) && !platforms.is_empty() && !platforms.iter().any(is_signed),
            [] => false,
        }
    }

    /// The refusals for this reason.
    pub fn demanded(&self, by: Demand) -> impl Iterator<Item = Refusal> {
        self.refusals().into_iter().filter(move |refusal| refusal.by == by)
    }

    /// Attestations that have to be there about what the reference names, and are not.
    fn missing(&self) -> Vec<Refused> {
        let Some(named) = self.manifests.first() else { return Vec::new() };
        let unmet = self.required.iter().filter_map(|(_, met)| met.as_ref().err());
        unmet.map(|unmet| named.refused(Objection::Unmet(Box::new(unmet.clone())))).collect()
    }
}

/// Whether somebody refuses this manifest already; saying it twice helps nobody.
fn refuses(refusals: &[Refusal], unsigned: &Refused) -> bool {
    refusals.iter().any(|refusal| refusal.refused.digest == unsigned.digest)
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumer(consumer) => consumer.fmt(f),
            Self::Signature => f.write_str("modelcar"),
            Self::Attestation => f.write_str("required"),
            Self::Layers => f.write_str("--layers"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.by, self.refused)
    }
}

#[cfg(test)]
mod tests;
