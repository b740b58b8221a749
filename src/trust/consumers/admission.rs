//! Policies that a cluster asks before a pod is admitted. Both resolve the tag and look at what it names.
//!
//! Kyverno's `ImageValidatingPolicy` reads bundles where there are any, else classic signatures
//! (<https://github.com/kyverno/kyverno/issues/15327>). Sigstore's policy-controller reads classic signatures unless
//! `signatureFormat: bundle` is set, and then keyless ones only
//! (<https://github.com/sigstore/policy-controller/blob/main/pkg/webhook/validator.go>).

use super::cosign;
use super::reading::{Opinion, a_classic, any_bundle, by_key, sha256};
use crate::trust::{Format, ManifestEvidence};

const KYVERNO_KEYS: &str = "but 1.19.0 refuses bundles by a key: kyverno#17363";

pub(super) fn judge_kyverno(manifest: &ManifestEvidence) -> Opinion {
    if manifest.has_bundle() {
        return any_bundle(manifest, sha256(Format::Bundle)).map_err(|objections| cosign::shadowed(manifest, objections));
    }
    a_classic(manifest, sha256(Format::Classic))
}

pub(super) fn kyverno_notes(manifest: &ManifestEvidence) -> Vec<&'static str> {
    let keys = (manifest.has_bundle() && by_key(manifest)).then_some(KYVERNO_KEYS);
    keys.into_iter().chain(cosign::attestation_only(manifest)).collect()
}

pub(super) fn judge_policy_controller(manifest: &ManifestEvidence) -> Opinion {
    a_classic(manifest, sha256(Format::Classic))
}
