//! The `.att` image, as cosign 1 and 2 write and read it: one layer per attestation, each a DSSE envelope.
//! <https://github.com/sigstore/cosign/blob/main/specs/ATTESTATION_SPEC.md>

use serde_json::value::RawValue;

use crate::oci::{Annotations, Digest};
use crate::store::Store;
use crate::trust::bundle::document::MAX_BUNDLE;
use crate::trust::bundle::envelope::{Envelope, Sealed, malformed};
use crate::trust::classic::image::{self, Layer, SIGNATURE, SignatureImage};
use crate::trust::reason::shown;
use crate::trust::{Finding, Proof, Reason, Says, SignedBy, TrustError, Trusted, Verdict, fetch};

/// The bytes of all predicates of one image that are kept; what comes behind them is refused.
const MAX_KEPT: usize = 16 << 20;

/// The annotations of a layer: its statement's type, and what the signer has to add. The signature itself is in the envelope; cosign
/// refuses a layer without this annotation, so it is there and empty.
pub(super) fn annotations(predicate_type: &str, signers: Annotations) -> Annotations {
    let own = [("predicateType".to_owned(), predicate_type.to_owned()), (SIGNATURE.to_owned(), String::new())];
    own.into_iter().chain(signers).collect()
}

/// Checks all attestations in a manifest's `.att` image.
pub(in crate::trust) fn examine_attached(store: &dyn Store, digest: Digest, trusted: &Trusted) -> Result<Vec<Finding>, TrustError> {
    let raw = match store.get_manifest(&image::attestations_tag(digest)) {
        Ok(raw) => raw,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let image = match SignatureImage::parse(&raw) {
        Ok(image) => image,
        Err(what) => return Ok(vec![unknown(raw.digest(), malformed(what))]),
    };
    let (mut findings, mut kept) = (Vec::new(), 0);
    for layer in &image.layers {
        let finding = examine_layer(store, layer, digest, trusted)?;
        kept += predicate(&finding).map_or(0, |predicate| predicate.get().len());
        findings.push(if kept > MAX_KEPT { too_many(&finding, kept) } else { finding });
    }
    Ok(findings)
}

fn predicate(finding: &Finding) -> Option<&RawValue> {
    match &finding.says {
        Says::Attested { predicate, .. } => Some(predicate),
        Says::Signed | Says::Unknown => None,
    }
}

fn too_many(finding: &Finding, kept: usize) -> Finding {
    unknown(finding.at, Reason::TooLarge { size: kept as u64, limit: MAX_KEPT as u64 })
}

fn unknown(at: Digest, reason: Reason) -> Finding {
    Finding { at, says: Says::Unknown, verdict: refusal(reason) }
}

fn refusal(reason: Reason) -> Verdict {
    if reason.is_foreign() { Verdict::Other(reason) } else { Verdict::Refused(reason) }
}

fn examine_layer(store: &dyn Store, layer: &Layer, digest: Digest, trusted: &Trusted) -> Result<Finding, TrustError> {
    let at = layer.payload().digest;
    if !layer.is_envelope() {
        return Ok(unknown(at, Reason::NotAttestation { media_type: shown(&layer.payload().media_type) }));
    }
    let bytes = match fetch::blob(store, &layer.payload(), MAX_BUNDLE)? {
        Ok(bytes) => bytes,
        Err(reason) => return Ok(unknown(at, reason)),
    };
    Ok(match open(&bytes) {
        Ok(sealed) => judged(at, sealed, layer, digest, trusted),
        Err(reason) => unknown(at, reason),
    })
}

/// The type and the predicate of the statement in an envelope: a stranger's words.
///
/// # Errors
/// What is wrong with it.
pub fn read_envelope(bytes: &[u8]) -> Result<(String, Box<RawValue>), Reason> {
    let statement = open(bytes)?.statement;
    Ok((statement.predicate_type, statement.predicate))
}

/// Reads an envelope that a stranger wrote.
fn open(bytes: &[u8]) -> Result<Sealed, Reason> {
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    Sealed::open(envelope)
}

fn judged(at: Digest, sealed: Sealed, layer: &Layer, digest: Digest, trusted: &Trusted) -> Finding {
    let verdict = match judge(&sealed, layer, digest, trusted) {
        Ok(by) => Verdict::Accepted(Proof { by, name: None }),
        Err(reason) => refusal(reason),
    };
    let statement = sealed.statement;
    Finding { at, says: Says::Attested { predicate_type: statement.predicate_type, predicate: statement.predicate }, verdict }
}

fn judge(sealed: &Sealed, layer: &Layer, digest: Digest, trusted: &Trusted) -> Result<SignedBy, Reason> {
    let nobody = || if layer.is_keyless() { Reason::Keyless } else { Reason::NoKeyMatches };
    let by = sealed.signer(trusted)?.ok_or_else(nobody)?;
    sealed.check_subject(digest)?;
    Ok(by)
}
