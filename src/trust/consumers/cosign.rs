//! `cosign verify`: <https://github.com/sigstore/cosign/blob/main/cmd/cosign/cli/verify/verify.go>.
//!
//! It looks at what the reference names, and at no platform of an index; the name inside a classic signature it ignores.
//! Version 2 reads classic signatures. Version 3 looks for bundles first: if a single one is there, whoever made it, it reads
//! bundles only, and takes any statement about the image for a signature. Version 4 will read bundles only.

use super::Objection;
use super::reading::{Opinion, a_classic, any_bundle, by_curve, by_key, sha256};
use crate::trust::{Finding, Format, ManifestEvidence};

const NOT_LOGGED: &str = "a key's signature that is in no log wants `--insecure-ignore-tlog`";
const ATTESTATION: &str = "it takes an attestation for the signature";

pub(super) fn judge_v2(manifest: &ManifestEvidence) -> Opinion {
    squatters(manifest)?;
    a_classic(manifest, sha256(Format::Classic))
}

pub(super) fn judge_v3(manifest: &ManifestEvidence) -> Opinion {
    if manifest.has_bundle() {
        return judge_v4(manifest).map_err(|objections| shadowed(manifest, objections));
    }
    squatters(manifest)?;
    a_classic(manifest, by_curve(Format::Classic))
}

pub(super) fn judge_v4(manifest: &ManifestEvidence) -> Opinion {
    any_bundle(manifest, by_curve(Format::Bundle))
}

/// A layer without a signature's annotation stops cosign from reading all of them.
fn squatters(manifest: &ManifestEvidence) -> Opinion {
    match manifest.signature_tag.squatters.first() {
        Some(media_type) => Err(vec![Objection::Squatter { media_type: media_type.clone() }]),
        None => Ok(()),
    }
}

/// Says so where a good classic signature goes unread because of a bundle.
pub(super) fn shadowed(manifest: &ManifestEvidence, objections: Vec<Objection>) -> Vec<Objection> {
    if !manifest.classic.iter().any(Finding::is_accepted_signature) {
        return objections;
    }
    let shadowed = |objection| match objection {
        Objection::NoneGood { format: Format::Bundle, reason } => Objection::Shadowed { reason },
        other => other,
    };
    objections.into_iter().map(shadowed).collect()
}

pub(super) fn notes(manifest: &ManifestEvidence) -> Vec<&'static str> {
    let logless = by_key(manifest).then_some(NOT_LOGGED);
    logless.into_iter().chain(attestation_only(manifest)).collect()
}

/// Where no bundle is a signature, and one of them passes for one.
pub(super) fn attestation_only(manifest: &ManifestEvidence) -> Option<&'static str> {
    let lax = manifest.has_bundle() && !manifest.bundles.iter().any(Finding::is_accepted_signature);
    lax.then_some(ATTESTATION)
}
