//! The trust room: keys, signatures for both worlds, and checking them.
//!
//! There are two worlds, and neither reads the other's signatures. podman, skopeo, CRI-O and OpenShift's `ClusterImagePolicy`
//! read the classic image behind the tag `sha256-<hex>.sig`; cosign 3, Kyverno and Conforma prefer Sigstore bundles, attached
//! as OCI referrers. [`sign()`] writes both, [`verify()`] wants both.
//!
//! | file | job |
//! |---|---|
//! | `keys`, `encrypted`, `pem`, `password`, `keygen` | P-256 key files, as cosign and openssl write them |
//! | `identity`, `payload`, `signature_image` | classic signatures: whom they speak for, what they say, how they are kept |
//! | `dsse`, `bundle` | bundles: a signed statement, and the document around it |
//! | `classic`, `referrer`, `fetch`, `subject` | both of them in a [`Store`](crate::store::Store) |
//! | `sign`, `verify` | the two verbs |
//!
//! Whatever is read here was written by strangers: every size and count has a limit, and a damaged signature is a reason to
//! refuse it, never to stop looking at the next. No secret is ever part of an error, a log line or a debug print.

use std::fmt;

mod bundle;
mod classic;
mod dsse;
mod encrypted;
mod error;
mod fetch;
mod identity;
mod key_error;
mod keygen;
mod keys;
mod password;
mod payload;
mod pem;
mod reason;
mod referrer;
mod sign;
mod signature_image;
mod subject;
#[cfg(test)]
mod testing;
mod verify;

pub use error::TrustError;
pub use key_error::{InvalidKey, KeyError};
pub use keygen::{KeyPair, keygen};
pub use keys::{PrivateKey, PublicKey};
pub use password::PasswordSource;
pub use reason::{Reason, Verdict};
pub use sign::{Outcome, SignReport, SignRequest, SignWarning, Signature, sign};
pub use signature_image::merge as merge_signatures;
pub use verify::{Finding, ManifestReport, Refusal, VerifyReport, VerifyRequest, verify};

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
