//! Why signing or checking could not be done. A signature that is there and does not pass is a
//! [`Refusal`](super::Refusal), not an error.

use super::model_signing::ModelSigningError;
use super::sign::kind;
use super::{Algorithm, AttestReport, InvalidPredicate, KeyError, KeylessError, PolicyError, SignReport};
use crate::exit_code;
use crate::oci::{Digest, InvalidManifest, InvalidReference};
use crate::store::StoreError;

/// How to finish what was begun, once.
pub(crate) fn run_again(remedy: Option<String>) -> String {
    const AGAIN: &str = "run the same command again: nothing is sent or signed twice";
    match remedy {
        Some(remedy) if remedy.contains("run it again") => remedy,
        Some(remedy) => format!("{remedy}; then {AGAIN}"),
        None => AGAIN.to_owned(),
    }
}

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A key could not be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Keyless signing, or a trusted root, did not work.
    #[error(transparent)]
    Keyless(#[from] KeylessError),
    /// A policy could not be used.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store did not give or take something.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What should be signed is neither an image nor an index.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
    /// A document could not be written as JSON.
    #[error("cannot write the signature's JSON")]
    Json(#[from] serde_json::Error),
    /// No name to sign.
    #[error("no image name to sign: a signature without one is refused by podman and OpenShift")]
    NoIdentity,
    /// A name that is no reference.
    #[error("cannot use `{identity}` as the image's name")]
    Identity {
        /// The name.
        identity: String,
        /// Why.
        #[source]
        source: InvalidReference,
    },
    /// A name without the part that OpenShift compares.
    #[error("the image name `{identity}` has no tag")]
    IdentityWithoutTag {
        /// The name.
        identity: String,
    },
    /// cosign 1 and 2 look for a certificate where modelcar does not write one.
    #[error("without a key, attestations are written as bundles only")]
    KeylessEnvelope,
    /// Any bundle makes cosign, Kyverno and Conforma look at bundles alone, and this key signs no image in one.
    #[error(
        "the key is {}, which signs images in classic signatures alone, and beside an attestation in a bundle cosign and Kyverno would \
         not look at those",
        kind(*algorithm)
    )]
    NoBundles {
        /// How it signs.
        algorithm: Algorithm,
    },
    /// No key to verify with.
    #[error("no public key to verify with")]
    NoKey,
    /// The tag for signatures holds something that cannot be added to, and is never replaced.
    #[error("tag `{tag}` holds no signature image that can be added to: {what}")]
    SignatureTag {
        /// The tag.
        tag: String,
        /// What is wrong.
        what: String,
    },
    /// More than an honest repository holds.
    #[error("{what} of {digest}: {count}, at most {limit} are read")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// Of which manifest.
        digest: Digest,
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// Other signers changed the same signature tag again and again.
    #[error("others kept overwriting the signatures of {digest} ({tries} tries)")]
    Contended {
        /// Of which manifest.
        digest: Digest,
        /// How often it was tried.
        tries: usize,
    },
    /// The image is there, but not all of its signatures.
    #[error("signing stopped with {} signatures in place", signed.signatures.len())]
    Incomplete {
        /// What is public already.
        signed: Box<SignReport>,
        /// Why it stopped.
        #[source]
        source: Box<TrustError>,
    },
    /// A model's files could not be compared with their signature.
    #[error(transparent)]
    Model(Box<ModelSigningError>),
    /// What should be attested cannot be.
    #[error("the predicate cannot be attested")]
    Predicate(#[from] InvalidPredicate),
    /// The image is there, but not all of its attestations.
    #[error("attesting stopped with {} of its documents in place", attached.attachments.len())]
    Unattested {
        /// What is public already.
        attached: Box<AttestReport>,
        /// Why it stopped.
        #[source]
        source: Box<TrustError>,
    },
}

impl TrustError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.hint(),
            Self::Keyless(error) => error.hint(),
            Self::Policy(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Identity { source, .. } => source.hint(),
            Self::NoIdentity | Self::IdentityWithoutTag { .. } => {
                Some("name the image as it will be pulled, such as quay.io/org/model:v1".to_owned())
            }
            Self::KeylessEnvelope => Some("leave out `--attestation-format`, or sign with a key".to_owned()),
            Self::NoBundles { .. } => {
                Some("use a P-256 key (`modelcar keygen`), or attest for cosign 1 and 2 alone: `--attestation-format att`".to_owned())
            }
            Self::NoKey => Some("name one with `--key cosign.pub`".to_owned()),
            Self::SignatureTag { tag, .. } => Some(format!("look at it with `modelcar inspect`, then move or delete the tag {tag}")),
            Self::Contended { .. } => Some("run it again; what others wrote was kept".to_owned()),
            Self::Model(error) => error.hint(),
            Self::Predicate(error) => error.hint(),
            Self::Incomplete { .. } | Self::Unattested { .. } => Some(run_again(self.remedy())),
            _ => None,
        }
    }

    /// The hint about what went wrong in the first place, where this tells what it left unfinished.
    pub(crate) fn remedy(&self) -> Option<String> {
        match self {
            Self::Incomplete { source, .. } | Self::Unattested { source, .. } => source.remedy(),
            Self::Model(error) => error.remedy(),
            _ => self.hint(),
        }
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Key(error) => error.exit_code(),
            Self::Keyless(error) => error.exit_code(),
            Self::Policy(error) => error.exit_code(),
            Self::Store(error) => error.exit_code(),
            Self::Model(error) => error.exit_code(),
            Self::Contended { .. } => exit_code::CONFLICT,
            Self::Incomplete { source, .. } | Self::Unattested { source, .. } if source.exit_code() == exit_code::CONFLICT => {
                exit_code::CONFLICT
            }
            Self::Incomplete { .. } | Self::Unattested { .. } => exit_code::UNSIGNED,
            _ => exit_code::FAILED,
        }
    }
}
