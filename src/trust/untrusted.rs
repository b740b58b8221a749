//! The parsers of what strangers wrote, for the fuzzers in `fuzz/`. Nobody else needs them.

use super::bundle::{document, dsse};
use super::classic::Payload;
use super::{Says, Trusted, Verdict};
use crate::oci::Digest;

/// Reads and judges a bundle: what it says of a manifest, and whether somebody trusted says so.
pub fn bundle(bytes: &[u8], digest: Digest, trusted: &Trusted) -> (Says, Verdict) {
    document::judge(bytes, digest, trusted)
}

/// Reads a classic payload: the name and the manifest that it vouches for.
pub fn payload(bytes: &[u8]) -> Option<(String, Digest)> {
    let payload = Payload::parse(bytes).ok()?;
    Some((payload.identity().to_owned(), payload.digest()))
}

/// Reads an in-toto statement: its predicate type, and whether it is about this manifest.
pub fn statement(bytes: &[u8], digest: Digest) -> Option<(String, bool)> {
    let statement = dsse::Statement::parse(bytes).ok()?;
    let about = statement.is_known() && statement.is_about(digest);
    Some((statement.predicate_type, about))
}
