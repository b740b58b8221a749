//! Signing without a key of one's own, and checking who did: Sigstore's way, with the services of the user's own deployment.
//!
//! ```text
//! token ─► Fulcio: a certificate for a fresh key that lives ten minutes
//!                 └► the signature ─► Rekor, a time-stamp authority: it was there while the certificate lived
//! ```
//!
//! | file | job |
//! |---|---|
//! | `token` | finds the identity token, and says what Fulcio will not like about it |
//! | `services`, `root` | which services, and whose word counts: files, a TUF mirror |
//! | `fulcio`, `rekor`, `tsa` | one service each |
//! | `session` | one certificate for all signatures of a run |
//! | `annotations`, `certificates` | how classic signatures hold what bundles hold |
//! | `identity`, `verify` | whose certificates count, and whether a signature is theirs |
//!
//! This is the only place that knows the `sigstore-*` crates, whose every minor version breaks their API. They give the types,
//! the trusted root and the verifier; the services are asked with our own requests, because the crates' clients ask for a
//! certificate per signature, never try again, take "exists already" for a failure, and read answers of any size.
//!
//! Nothing is ever asked of the public <https://sigstore.dev> unless its services are named.

use std::time::{SystemTime, UNIX_EPOCH};

mod annotations;
mod certificates;
mod error;
mod files;
mod fulcio;
mod identity;
mod rekor;
mod root;
mod services;
mod session;
mod token;
mod tsa;
mod verify;

pub use annotations::fuzz as fuzz_annotations;
pub use error::{KeylessError, Service};
pub use identity::{CertificateIdentity, Expected};
pub use root::{RootSource, TrustRoot, TufMirror, public_good_services, services_of_file};
pub use services::{Rekor, RekorVersion, Services};
pub use session::{Session, SessionOptions};
pub use token::{Claims, Preflight, Token, TokenSource, fuzz as fuzz_token};
pub use verify::Certificates;

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}
