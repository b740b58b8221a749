//! Conforma, `ec validate image`: <https://github.com/conforma/cli>.
//!
//! It wants a signature and at least one attestation by the same signer, which its rules take for SLSA provenance. If a bundle is
//! there it reads both from bundles, else from the `.sig` and `.att` tags.

use super::reading::{Opinion, a_classic, any_bundle, by_key, sha256};
use super::{Objection, cosign};
use crate::trust::{Finding, Format, ManifestEvidence, Says, Verdict};

const SLSA: &str = "https://slsa.dev/provenance/";
const NOT_LOGGED: &str = "with a key and no log, ec needs --ignore-rekor";

pub(super) fn judge(manifest: &ManifestEvidence) -> Opinion {
    let attestations = if manifest.has_bundle() {
        any_bundle(manifest, sha256(Format::Bundle)).map_err(|objections| cosign::shadowed(manifest, objections))?;
        &manifest.bundles
    } else {
        a_classic(manifest, sha256(Format::Classic))?;
        &manifest.attachments
    };
    if attestations.iter().any(is_provenance) { Ok(()) } else { Err(vec![Objection::NoProvenance]) }
}

fn is_provenance(finding: &Finding) -> bool {
    matches!((&finding.says, &finding.verdict), (Says::Attested { predicate_type, .. }, Verdict::Accepted(_)) if predicate_type.starts_with(SLSA))
}

pub(super) fn notes(manifest: &ManifestEvidence) -> Vec<&'static str> {
    by_key(manifest).then_some(NOT_LOGGED).into_iter().collect()
}
