//! What was found about an image: every signature and attestation of every manifest, and what was decided about each.
//! Whether it is enough is another question, which each consumer answers in its own way.

use std::fmt;

use serde_json::value::RawValue;

use super::model_signing::Authorities;
use super::{Certificates, PublicKey, Reason};
use crate::oci::{Digest, Platform};

/// Whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// The holders of these keys.
    pub keys: Vec<PublicKey>,
    /// The holders of these certificates.
    pub certificates: Option<Certificates>,
    /// Whoever has a certificate of these, of signatures of models alone.
    pub authorities: Authorities,
}

impl Trusted {
    /// The holders of these keys and nobody else.
    pub fn keys(keys: Vec<PublicKey>) -> Self {
        Self { keys, ..Self::default() }
    }

    /// Whether nobody is trusted.
    pub fn is_nobody(&self) -> bool {
        self.keys.is_empty() && self.certificates.is_none()
    }

    /// Who of the trusted made this signature with a key.
    pub(super) fn signer(&self, message: &[u8], signature: &[u8]) -> Option<SignedBy> {
        let by = |key: &PublicKey| Some(SignedBy::Key { hint: key.hint(), algorithm: key.verify(message, signature)? });
        self.keys.iter().find_map(by)
    }
}

/// What is known about one manifest.
#[derive(Clone, Debug)]
pub struct ManifestEvidence {
    /// The manifest.
    pub digest: Digest,
    /// Its platform, for a manifest in an index.
    pub platform: Option<Platform>,
    /// False if an index lists it and it is not there.
    pub present: bool,
    /// The tag of its `.sig` image.
    pub signature_tag: SignatureTag,
    /// What is in its `.sig` image.
    pub classic: Vec<Finding>,
    /// Its bundles: signatures and attestations.
    pub bundles: Vec<Finding>,
    /// The attestations in its `.att` image.
    pub attachments: Vec<Finding>,
    /// OpenSSF model signatures, which speak of the model's files and not of the manifest.
    pub model_signatures: Vec<Finding>,
}

/// The tag `sha256-<hex>.sig` of a manifest, apart from what the signatures behind it are worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureTag {
    /// Whether it is there.
    pub present: bool,
    /// Media types of layers that hold no classic signature.
    pub squatters: Vec<String>,
}

/// One signed thing and what was decided about it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The classic payload, or the bundle's manifest.
    pub at: Digest,
    /// What is signed.
    pub says: Says,
    /// The decision.
    pub verdict: Verdict,
}

/// What a signature says.
#[derive(Clone, Debug)]
pub enum Says {
    /// "This is the image", and nothing more.
    Signed,
    /// Something about the image.
    Attested {
        /// What kind of thing, as a URI.
        predicate_type: String,
        /// The thing: a stranger's words until the verdict accepts them.
        predicate: Box<RawValue>,
    },
    /// It cannot be told: damaged, or of an unknown kind.
    Unknown,
}

/// What was decided about one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Accepted(Proof),
    /// It claims to be such a signature and does not pass.
    Refused(Reason),
    /// It is something else, which cannot be checked with what is trusted: keyless, another tool's.
    Other(Reason),
}

/// A good signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who made it.
    pub by: SignedBy,
    /// The name it vouches for; a bundle names none.
    pub name: Option<String>,
}

/// Who made a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedBy {
    /// The holder of a key.
    Key {
        /// The key's hint: see [`PublicKey::hint`].
        hint: String,
        /// How it was made; consumers disagree on more than one kind.
        algorithm: Algorithm,
    },
    /// The holder of a short-lived certificate, which an OIDC token was exchanged for.
    Certificate {
        /// The subject's alternative name: an e-mail address, or the URI of a service account or workflow.
        identity: String,
        /// Whether the identity is an e-mail address, the only kind that podman and CRI-O can be told to trust.
        email: bool,
        /// Who issued the token.
        issuer: String,
        /// How it is known that the certificate was valid when it signed.
        log: Log,
    },
    /// The holder of a certificate of an authority that is trusted with models.
    Authority {
        /// The certificate's subject.
        subject: String,
    },
}

impl fmt::Display for SignedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { hint, .. } => write!(f, "key {hint}"),
            Self::Certificate { identity: name, .. } | Self::Authority { subject: name } => f.write_str(name),
        }
    }
}

/// How a signature was made with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256: what every consumer checks alike.
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-256, as podman and CRI-O hash, and cosign when it verifies.
    EcdsaP384Sha256,
    /// ECDSA over P-384 with SHA-384, as cosign 2 and 3 sign. Neither verifies it unless told `--signature-digest-algorithm=sha384`.
    EcdsaP384Sha384,
    /// RSA PKCS#1 v1.5 with SHA-256.
    RsaSha256,
}

/// What witnesses the time of a keyless signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Log {
    /// An entry in a Rekor log of version 1, whose signed time stamp podman and CRI-O ask for.
    RekorV1,
    /// An entry in a Rekor log of version 2, and a time stamp.
    RekorV2,
    /// A time stamp alone.
    Timestamp,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256Sha256 => "ECDSA P-256 and SHA-256",
            Self::EcdsaP384Sha256 => "ECDSA P-384 and SHA-256",
            Self::EcdsaP384Sha384 => "ECDSA P-384 and SHA-384",
            Self::RsaSha256 => "RSA and SHA-256",
        })
    }
}

impl Finding {
    /// A finding that keeps a predicate only where somebody trusted has signed it: megabytes of a stranger's words are of no use.
    pub(super) fn new(at: Digest, says: Says, verdict: Verdict) -> Self {
        let signed = matches!(verdict, Verdict::Accepted(_) | Verdict::Refused(Reason::WrongDigest { .. }));
        let says = match says {
            Says::Attested { predicate_type, .. } if !signed => Says::Attested { predicate_type, predicate: RawValue::NULL.to_owned() },
            says => says,
        };
        Self { at, says, verdict }
    }

    /// Whether a reader of bundles takes it for one, good or bad, and so looks at bundles only.
    pub(super) fn is_bundle(&self) -> bool {
        !matches!(self.verdict, Verdict::Refused(Reason::NoBundle { .. }))
    }

    /// Whether it is a signature of the image and a good one.
    pub fn is_accepted_signature(&self) -> bool {
        matches!((&self.says, &self.verdict), (Says::Signed, Verdict::Accepted(_)))
    }
}
