//! modelcar's own rule, on top of what consumers say: every manifest has a signature by somebody trusted, in one of the formats.
//!
//! Consumers are laxer in places: to cosign any statement is a signature, Quay shows its shield for any tag. An image that nobody
//! trusted has signed passes for none of them here.

use super::Refused;
use super::reading::{self, Opinion, a_classic, a_signing_bundle};
use crate::trust::ManifestEvidence;

/// Why modelcar itself refuses the image.
pub(in crate::trust) fn own_refusals(manifests: &[ManifestEvidence]) -> Vec<Refused> {
    reading::each(manifests, is_signed)
}

fn is_signed(manifest: &ManifestEvidence) -> Opinion {
    let (classic, bundle) = (a_classic(manifest, |_| Ok(())), a_signing_bundle(manifest));
    match (classic, bundle) {
        (Err(classic), Err(bundle)) => Err([classic, bundle].concat()),
        _ => Ok(()),
    }
}
