//! `cosign verify`: <https://github.com/sigstore/cosign/blob/main/cmd/cosign/cli/verify/verify.go>.
//!
//! It looks at what the reference names, and at no platform of an index; the name inside a classic signature it ignores, and
//! strange layers beside it too. Versions up to 2.5 read classic signatures. Versions 2.6 and 3 look for bundles first: if a single
//! one is there, whoever made it, they read bundles only, and take any statement about the image for a signature (measured with 2.6.5
//! and 3.1.3). Version 4 will read bundles only (<https://github.com/sigstore/cosign/issues/4696>).

use super::Objection;
use super::reading::{Opinion, a_classic, any_bundle, by_key, sha256};
use crate::trust::{Finding, Format, ManifestEvidence};

const NOT_LOGGED: &str = "with a key and no log, cosign verify needs --insecure-ignore-tlog";
const INDEX_ALONE: &str = "for a platform's own digest it has nothing good";
const TRUSTED_ROOT: &str = "2.6 reads the bundles, and needs a --trusted-root too, be it empty";
const ATTESTATION: &str = "takes an attestation for a signature";

/// All of version 2: what 2.5 reads, and what 2.6 reads instead where there is a bundle.
pub(super) fn judge_v2(manifest: &ManifestEvidence) -> Opinion {
    a_classic(manifest, sha256(Format::Classic))?;
    if manifest.has_bundle() { judge_bundles(manifest) } else { Ok(()) }
}

pub(super) fn judge_v3(manifest: &ManifestEvidence) -> Opinion {
    if manifest.has_bundle() { judge_bundles(manifest) } else { a_classic(manifest, sha256(Format::Classic)) }
}

fn judge_bundles(manifest: &ManifestEvidence) -> Opinion {
    judge_v4(manifest).map_err(|objections| shadowed(manifest, objections))
}

pub(super) fn judge_v4(manifest: &ManifestEvidence) -> Opinion {
    any_bundle(manifest, sha256(Format::Bundle))
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

pub(super) fn notes_v2(manifest: &ManifestEvidence) -> Vec<&'static str> {
    notes(manifest).into_iter().chain(manifest.has_bundle().then_some(TRUSTED_ROOT)).collect()
}

pub(super) fn notes(manifest: &ManifestEvidence) -> Vec<&'static str> {
    let logless = by_key(manifest).then_some(NOT_LOGGED);
    logless.into_iter().chain(attestation_only(manifest)).collect()
}

/// Where somebody who pins a platform's manifest would be refused.
pub(super) fn index_alone(manifests: &[ManifestEvidence], judge: impl Fn(&ManifestEvidence) -> Opinion) -> Option<&'static str> {
    let index_alone = manifests.iter().skip(1).any(|platform| judge(platform).is_err());
    index_alone.then_some(INDEX_ALONE)
}

/// Where no bundle is a signature, and one of them passes for one.
pub(super) fn attestation_only(manifest: &ManifestEvidence) -> Option<&'static str> {
    let lax = manifest.has_bundle() && !manifest.bundles.iter().any(Finding::is_accepted_signature);
    lax.then_some(ATTESTATION)
}
