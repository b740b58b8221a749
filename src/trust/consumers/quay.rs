//! The shield in Quay's pages: it stands beside every tag for which there is a tag `sha256-<hex>.sig`, whatever that holds
//! (<https://github.com/quay/quay/blob/master/web/src/libs/cosign.ts>). Bundles it does not show.

use super::Objection;
use super::reading::Opinion;
use crate::trust::ManifestEvidence;

/// What the shield is worth.
pub(super) const NO_CHECK: &str = "but its shield checks nothing";

pub(super) fn judge(manifest: &ManifestEvidence) -> Opinion {
    if manifest.signature_tag.present { Ok(()) } else { Err(vec![Objection::NoSignatureTag]) }
}
