//! The trust room: keys, signatures for both worlds, and checking them.
//!
//! There are two worlds, and neither reads the other's signatures. podman, skopeo, CRI-O and OpenShift's `ClusterImagePolicy`
//! read the classic image behind the tag `sha256-<hex>.sig`; cosign 3, Kyverno and Conforma prefer Sigstore bundles, attached
//! as OCI referrers. [`sign()`] writes both, [`verify()`] wants both.
//!
//! | folder or file | job |
//! |---|---|
//! | `keys` | key files, as cosign and openssl write them, and their passwords |
//! | `keyless` | short-lived certificates instead of keys: Sigstore |
//! | `classic` | classic signatures: whom they speak for, what they say, the image that keeps them |
//! | `bundle` | bundles: a signed statement, the document around it, the referrer that holds it |
//! | `attest` | statements about an image: bill of materials, provenance, whatever else is said |
//! | `signer`, `evidence` | who signs; whose signatures count, and what was found |
//! | `model_signing` | the signed list of the model's own files |
//! | `fetch`, `subject` | what is read from a [`Store`](crate::store::Store), and which manifests count |
//! | `consumers`, `emit` | who reads signatures, what each makes of those that were found, and the policies that tell them to |
//! | `policy` | the policy file: who is trusted for which images, and what must be attested |
//! | `layers`, `bounded` | blobs hashed again, an end to what strangers can cost |
//! | `present` | what speaks about an image, without judging it |
//! | `sign`, `verify` | the verbs |
//!
//! Whatever is read here was written by strangers: every size and count has a limit, and a damaged signature is a reason to
//! refuse it, never to stop looking at the next. No secret is ever part of an error, a log line or a debug print.

use std::fmt;

pub mod attest;
mod bounded;
mod bundle;
mod classic;
mod consumers;
mod emit;
mod error;
mod evidence;
mod fetch;
mod keyless;
mod keys;
mod layers;
pub mod model_signing;
mod policy;
mod present;
mod reason;
mod sign;
mod signer;
mod subject;
#[cfg(test)]
mod testing;
#[doc(hidden)]
pub mod untrusted;
mod verify;

pub use attest::{AttestReport, AttestRequest, InvalidPredicate, attest};
pub use classic::image::merge as merge_signatures;
pub use consumers::{Asked, Consumer, Judgement, Objection, Refused};
pub use emit::{EmitError, EmitRequest, Match, Target, TrustedRoot, emit, registries_d};
pub use error::TrustError;
pub(crate) use error::run_again;
pub use evidence::{Algorithm, Finding, Log, ManifestEvidence, Proof, Says, SignatureTag, SignedBy, Trusted, Verdict};
pub use keyless::{
    CertificateIdentity, Certificates, Claims, Expected, KeylessError, Preflight, Rekor, RekorVersion, RootSource, Service, Services,
    Session, SessionOptions, Token, TokenSource, TrustRoot, TufMirror, fuzz_annotations, fuzz_token, public_good_services,
    services_of_file,
};
pub use keys::{InvalidKey, InvalidKeySource, KeyError, KeyPair, KeySource, PasswordSource, PrivateKey, PublicKey, SigningKey, keygen};
pub use layers::Layers;
pub use policy::{AttestationKind, ImageScope, InvalidPolicy, InvalidScope, MaxAge, Policy, PolicyError, Requirement, Rule, Unmet};
pub use present::{Present, present};
pub use reason::Reason;
pub use sign::{Outcome, Scope, SignReport, SignRequest, SignWarning, Signature, sign};
pub use signer::Signer;
pub use verify::{Demand, Refusal, VerifyReport, VerifyRequest, verify};

/// The two worlds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The `.sig` image: podman, skopeo, CRI-O, OpenShift, cosign 1 and 2.
    Classic,
    /// A Sigstore bundle as a referrer: cosign 3 and later, Kyverno, Conforma.
    Bundle,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic signature",
            Self::Bundle => "bundle",
        })
    }
}
