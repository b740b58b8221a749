//! Why a consumer refuses, in the user's words, and what to do about it.

use crate::oci::Digest;
use crate::trust::{Algorithm, Format, Reason, Unmet};

/// Why somebody would refuse a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Objection {
    /// An index lists it, and it is not there.
    #[error("the manifest is not there, or not what its digest says")]
    NoManifest,
    /// No signature of this kind passes.
    #[error("{format}: {reason}")]
    NoneGood {
        /// Of which kind.
        format: Format,
        /// Why one of them does not pass.
        reason: Reason,
    },
    /// No bundle passes, and because of the bundles nothing else is looked at.
    #[error("bundle: {reason}; and where a bundle is, the good classic signature is not read")]
    Shadowed {
        /// Why one of the bundles does not pass.
        reason: Reason,
    },
    /// Signed with a hash that this consumer does not use for such a key.
    #[error("{format}: made with {algorithm}, and it hashes otherwise for such a key")]
    Hash {
        /// Of which kind.
        format: Format,
        /// How it was made.
        algorithm: Algorithm,
    },
    /// A certificate for somebody without an e-mail address.
    #[error("classic signature: keyless by `{identity}`, which is no e-mail address, and it can be told to trust no other")]
    NoEmail {
        /// The identity.
        identity: String,
    },
    /// A keyless signature that is not in a log of the kind it asks for.
    #[error("classic signature: keyless without an entry in a Rekor log of version 1, which it asks for")]
    NoRekorV1,
    /// A signature, but no provenance.
    #[error("no SLSA provenance by the same signer")]
    NoProvenance,
    /// No `.sig` tag.
    #[error("no `.sig` tag is there")]
    NoSignatureTag,
    /// An attestation that the caller asks for.
    #[error(transparent)]
    Unmet(Box<Unmet>),
    /// An index in an index, whose manifests nobody has looked at.
    #[error("an index inside the index: its configs and layers are not read")]
    Nested,
    /// A blob that is not what the manifest says.
    #[error("changed or lost: blob {blob} cannot be read as its digest says")]
    Blob {
        /// The blob.
        blob: Digest,
    },
}

impl Objection {
    /// What the user can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoManifest | Self::Blob { .. } => "copy or push the image again; what is there already is not sent twice",
            Self::NoneGood { reason, .. } | Self::Shadowed { reason } => of(reason),
            Self::Nested => "list the images themselves in the index",
            Self::Hash { .. } => "sign with a P-256 key (`modelcar keygen`), which every consumer checks alike",
            Self::NoEmail { .. } => "sign with a key as well: `modelcar sign --key`",
            Self::NoRekorV1 => "sign with a key as well, or with a Rekor of version 1",
            Self::NoProvenance => "attach it with `modelcar attest --type slsa`, or let Tekton Chains do it",
            Self::NoSignatureTag => "run `modelcar sign`, which writes it",
            Self::Unmet(unmet) => unmet.remedy(),
        }
    }
}

fn of(reason: &Reason) -> &'static str {
    match reason {
        Reason::NoSignature => {
            "`modelcar sign` signs for both kinds of readers; an image copied by another tool may have lost its signatures"
        }
        Reason::Identity { .. } => "sign it under this name too: `modelcar sign --sign-identity`; or name the signed one: `--identity`",
        Reason::IdentityWithoutTag { .. } => "run `modelcar sign`, which signs the name with its tag",
        Reason::Attestation { .. } | Reason::NoBundle { .. } => "run `modelcar sign`, which adds a signature to what is attached",
        Reason::Keyless => "name the certificate that is trusted: `--certificate-identity`",
        Reason::OtherKey { .. } | Reason::NoKeyMatches => {
            "name the key that it was signed with: `--key`; or sign it with yours: `modelcar sign`"
        }
        _ => "`modelcar verify` lists every signature that it looked at, with `--format json` for scripts; `modelcar sign` adds a good one",
    }
}
