//! What the consumers have in common: which manifests they look at, and that one good signature is enough.

use std::collections::HashSet;

use super::{Objection, Refused};
use crate::trust::{Algorithm, Finding, Format, ManifestEvidence, Proof, Reason, Says, SignedBy, Verdict};

/// What a consumer says of one manifest.
pub(super) type Opinion = Result<(), Vec<Objection>>;

/// Asks about every manifest.
pub(super) fn each(manifests: &[ManifestEvidence], judge: impl Fn(&ManifestEvidence) -> Opinion) -> Vec<Refused> {
    manifests.iter().flat_map(|manifest| refusals(manifest, &judge)).collect()
}

/// Asks about what the reference names, and about no platform of it.
pub(super) fn named(manifests: &[ManifestEvidence], judge: impl Fn(&ManifestEvidence) -> Opinion) -> Vec<Refused> {
    manifests.first().map(|manifest| refusals(manifest, &judge)).unwrap_or_default()
}

fn refusals(manifest: &ManifestEvidence, judge: &impl Fn(&ManifestEvidence) -> Opinion) -> Vec<Refused> {
    let opinion = if manifest.present { judge(manifest) } else { Err(vec![Objection::NoManifest]) };
    opinion.err().unwrap_or_default().into_iter().map(|objection| manifest.refused(objection)).collect()
}

impl ManifestEvidence {
    pub(in crate::trust) fn refused(&self, objection: Objection) -> Refused {
        Refused { digest: self.digest, platform: self.platform.clone(), objection }
    }
}

/// One classic signature that fits.
pub(super) fn a_classic(manifest: &ManifestEvidence, fits: impl Fn(&Proof) -> Result<(), Objection>) -> Opinion {
    one(Format::Classic, &manifest.classic, |_, proof| fits(proof))
}

/// One bundle that fits, whatever its statement says of the image: the statement's type is looked at by nobody but modelcar.
pub(super) fn any_bundle(manifest: &ManifestEvidence, fits: impl Fn(&Proof) -> Result<(), Objection>) -> Opinion {
    one(Format::Bundle, &manifest.bundles, |_, proof| fits(proof))
}

/// One bundle that says "signed" and nothing else.
pub(super) fn a_signing_bundle(manifest: &ManifestEvidence) -> Opinion {
    one(Format::Bundle, &manifest.bundles, |says, _| match says {
        Says::Attested { predicate_type, .. } => {
            Err(Objection::NoneGood { format: Format::Bundle, reason: Reason::attestation(predicate_type) })
        }
        Says::Signed | Says::Unknown => Ok(()),
    })
}

/// One good signature is enough; otherwise each different objection once, those to bad signatures before those to another kind.
fn one(format: Format, findings: &[Finding], fits: impl Fn(&Says, &Proof) -> Result<(), Objection>) -> Opinion {
    let (mut bad, mut other) = (Vec::new(), Vec::new());
    for finding in findings {
        match &finding.verdict {
            Verdict::Accepted(proof) => match fits(&finding.says, proof) {
                Ok(()) => return Ok(()),
                Err(objection) if objection.is_foreign() => other.push(objection),
                Err(objection) => bad.push(objection),
            },
            Verdict::Refused(reason) => bad.push(Objection::NoneGood { format, reason: reason.clone() }),
            Verdict::Other(reason) => other.push(Objection::NoneGood { format, reason: reason.clone() }),
        }
    }
    if bad.is_empty() {
        bad.push(Objection::NoneGood { format, reason: Reason::NoSignature });
    }
    bad.sort_by_key(distance);
    let mut seen = HashSet::new();
    Err(bad.into_iter().chain(other).filter(|objection| seen.insert(objection.to_string())).collect())
}

/// How far a signature is from being good: under another name of the same image, of another image, or not good at all.
fn distance(objection: &Objection) -> u8 {
    match objection {
        Objection::NoneGood { reason: Reason::Identity { signed, asked }, .. } if repository(signed) != repository(asked) => 1,
        Objection::NoneGood { reason: Reason::Identity { .. } | Reason::IdentityWithoutTag { .. }, .. } => 0,
        _ => 2,
    }
}

/// A name without tag and digest.
fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

impl Objection {
    fn is_foreign(&self) -> bool {
        matches!(self, Self::NoneGood { reason, .. } if reason.is_foreign())
    }
}

/// With SHA-256, which all of them use for every key: cosign signs with P-384 over SHA-384, and its own `verify` refuses that unless it
/// is told `--signature-digest-algorithm=sha384` (measured with 2.6.5 and 3.1.3).
pub(super) fn sha256(format: Format) -> impl Fn(&Proof) -> Result<(), Objection> {
    move |proof| match proof.by {
        SignedBy::Key { algorithm: algorithm @ Algorithm::EcdsaP384Sha384, .. } => Err(Objection::Hash { format, algorithm }),
        _ => Ok(()),
    }
}

/// Whether some good statement in either format was made with a key.
pub(super) fn by_key(manifest: &ManifestEvidence) -> bool {
    let by_key = |finding: &Finding| matches!(&finding.verdict, Verdict::Accepted(Proof { by: SignedBy::Key { .. }, .. }));
    manifest.classic.iter().chain(&manifest.bundles).any(by_key)
}
