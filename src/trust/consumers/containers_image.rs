//! containers/image, the library below podman, skopeo, buildah, CRI-O and so OpenShift:
//! <https://github.com/containers/image/blob/main/signature/policy_eval_sigstore.go>.
//!
//! It reads classic signatures and nothing else, of the manifest that it has selected for its platform. Its default rule for
//! names is `MatchRepoDigestOrExact`; it hashes with SHA-256 whatever the key; of certificates it can be told to trust those with
//! an e-mail address, logged in a Rekor of version 1.

use super::reading::{Opinion, a_classic, sha256};
use super::{Asked, Objection};
use crate::trust::classic::identity;
use crate::trust::{Format, Log, ManifestEvidence, Proof, SignedBy};

pub(super) fn judge(manifest: &ManifestEvidence, asked: &Asked) -> Opinion {
    a_classic(manifest, |proof| {
        sha256(Format::Classic)(proof)?;
        certificate(&proof.by)?;
        name(asked, proof)
    })
}

fn certificate(by: &SignedBy) -> Result<(), Objection> {
    match by {
        SignedBy::Certificate { email: false, identity, .. } => Err(Objection::NoEmail { identity: identity.clone() }),
        SignedBy::Certificate { log: Log::RekorV2 | Log::Timestamp, .. } => Err(Objection::NoRekorV1),
        // Nobody's signature of an image is accepted for an authority's sake.
        SignedBy::Certificate { .. } | SignedBy::Key { .. } | SignedBy::Authority { .. } => Ok(()),
    }
}

fn name(asked: &Asked, proof: &Proof) -> Result<(), Objection> {
    let (Some(asked), Some(signed)) = (&asked.name, &proof.name) else { return Ok(()) };
    identity::check(asked, signed).map_err(|reason| Objection::NoneGood { format: Format::Classic, reason })
}
