//! The annotations of a classic keyless signature: certificate, chain, and the log's signed time stamp
//! (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>). To be verified they become a bundle of version 0.1,
//! which holds the same things.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sigstore_rekor::LogEntry;
use sigstore_types::{
    Bundle, DerCertificate, KindVersion, MediaType, MessageSignature, SignatureBytes, SignatureContent, TransparencyLogEntry,
    VerificationMaterial, VerificationMaterialContent, X509Certificate,
};

use super::certificates;
use super::rekor::hex;
use crate::oci::Annotations;
use crate::trust::Reason;
use crate::trust::classic::image::{CERTIFICATE, SIGNATURE};
use crate::trust::reason::shown;

const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
/// Of the log's entry, in bytes.
const MAX_ENTRY: usize = 128 << 10;

/// What cosign calls a bundle here: the entry, and the log's signature of it.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "SignedEntryTimestamp")]
    signed_entry_timestamp: String,
    #[serde(rename = "Payload")]
    payload: Payload,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    body: String,
    #[serde(rename = "integratedTime")]
    integrated_time: i64,
    #[serde(rename = "logIndex")]
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The annotations of a signature; none if the entry has no signed time stamp.
pub(super) fn write(
    signature: &SignatureBytes,
    certificate: &DerCertificate,
    chain: &[DerCertificate],
    entry: &TransparencyLogEntry,
) -> Option<Annotations> {
    let entry = Entry {
        signed_entry_timestamp: entry.inclusion_promise.as_ref()?.signed_entry_timestamp.to_base64(),
        payload: Payload {
            body: entry.canonicalized_body.to_base64(),
            integrated_time: entry.integrated_time?.as_second(),
            log_index: entry.log_index.as_i64(),
            log_id: hex(entry.log_id.key_id.as_bytes()),
        },
    };
    let pair = |name: &str, value: String| (name.to_owned(), value);
    Some(Annotations::from([
        pair(SIGNATURE, signature.to_base64()),
        pair(CERTIFICATE, certificates::write(certificate)),
        pair(CHAIN, chain.iter().map(certificates::write).collect()),
        pair(BUNDLE, serde_json::to_string(&entry).ok()?),
    ]))
}

/// The same signature as a bundle.
pub(super) fn read(annotations: &Annotations) -> Result<Bundle, Reason> {
    let given = |name: &str| annotations.get(name).map(String::as_str).unwrap_or_default();
    let signature = STANDARD.decode(given(SIGNATURE)).map_err(|_| malformed("its base64 is damaged"))?;
    let mut certificates = certificates::read(given(CERTIFICATE)).map_err(|what| malformed(&what))?;
    if certificates.len() != 1 {
        return Err(malformed("its certificate is not one certificate"));
    }
    certificates.extend(certificates::read(given(CHAIN)).map_err(|what| malformed(&what))?);
    let certificates = certificates.into_iter().map(X509Certificate::new).collect();
    let material = VerificationMaterial::new(VerificationMaterialContent::X509CertificateChain { certificates });
    let entries = match annotations.get(BUNDLE) {
        Some(text) => vec![entry(text)?],
        None => return Err(Reason::NoTime),
    };
    let content = SignatureContent::MessageSignature(MessageSignature::new(SignatureBytes::new(signature)));
    Ok(Bundle::new(MediaType::Bundle0_1, material.with_tlog_entries(entries), content))
}

fn entry(text: &str) -> Result<TransparencyLogEntry, Reason> {
    if text.len() > MAX_ENTRY {
        return Err(Reason::TooLarge { size: text.len() as u64, limit: MAX_ENTRY as u64 });
    }
    let Entry { signed_entry_timestamp, payload } = serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
    let entry = json!({
        "body": payload.body, "integratedTime": payload.integrated_time, "logIndex": payload.log_index, "logID": payload.log_id,
        "verification": {"signedEntryTimestamp": signed_entry_timestamp},
    });
    let entry: LogEntry = serde_json::from_value(entry).map_err(|error| malformed(&error.to_string()))?;
    entry.to_bundle_entry(KindVersion::HashedRekordV001).map_err(|error| malformed(&error.to_string()))
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed { what: shown(what) }
}

/// Reads the annotations with any text in the log's entry, for fuzzing.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    for name in [CERTIFICATE, CHAIN, BUNDLE] {
        let mut annotations = Annotations::from([(SIGNATURE.to_owned(), "AAAA".to_owned())]);
        annotations.insert(CERTIFICATE.to_owned(), certificates::write(&DerCertificate::new(vec![0x30, 0])));
        annotations.insert(name.to_owned(), text.clone());
        let _ = read(&annotations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> TransparencyLogEntry {
        let entry = json!({
            "body": STANDARD.encode("{}"), "integratedTime": 1_700_000_000, "logIndex": 42, "logID": "07".repeat(32),
            "verification": {"signedEntryTimestamp": STANDARD.encode("set")},
        });
        let entry: LogEntry = serde_json::from_value(entry).unwrap();
        entry.to_bundle_entry(KindVersion::HashedRekordV001).unwrap()
    }

    fn written() -> Annotations {
        let [leaf, root] = [b"leaf", b"root"].map(|bytes| DerCertificate::new(bytes.to_vec()));
        write(&SignatureBytes::from_bytes(b"signature"), &leaf, &[root], &entry()).unwrap()
    }

    #[test]
    fn writes_numbers_as_numbers_and_the_log_in_hex() {
        let annotations = written();
        let bundle: serde_json::Value = serde_json::from_str(&annotations[BUNDLE]).unwrap();
        assert_eq!(
            bundle,
            json!({
                "SignedEntryTimestamp": STANDARD.encode("set"),
                "Payload": {"body": STANDARD.encode("{}"), "integratedTime": 1_700_000_000, "logIndex": 42, "logID": "07".repeat(32)},
            })
        );
        assert_eq!(annotations[SIGNATURE], STANDARD.encode("signature"));
        assert!(annotations[CERTIFICATE].ends_with("-----END CERTIFICATE-----\n") && !annotations[CHAIN].contains('\r'));
    }

    #[test]
    fn reads_what_it_writes() {
        let bundle = read(&written()).unwrap();
        assert_eq!(bundle.signing_certificate().unwrap().as_bytes(), b"leaf");
        assert_eq!(bundle.verification_material.tlog_entries, vec![entry()]);
    }

    #[test]
    fn gives_no_annotations_for_an_entry_without_a_signed_time() {
        let mut entry = entry();
        entry.inclusion_promise = None;
        assert!(write(&SignatureBytes::from_bytes(b"s"), &DerCertificate::new(vec![]), &[], &entry).is_none());
    }

    #[test]
    fn refuses_damaged_annotations() {
        let one = written()[CERTIFICATE].clone();
        for (name, value, reason) in [
            (BUNDLE, None, "nothing proves when"),
            (BUNDLE, Some("{}".to_owned()), "SignedEntryTimestamp"),
            (BUNDLE, Some(written()[BUNDLE].replace("42", "-1")), "damaged"),
            (BUNDLE, Some(written()[BUNDLE].replace("0707", "zz07")), "hex"),
            (BUNDLE, Some("x".repeat(MAX_ENTRY + 1)), "too large"),
            (CERTIFICATE, None, "not one certificate"),
            (CERTIFICATE, Some(one.repeat(2)), "not one certificate"),
            (CHAIN, Some(one.repeat(17)), "17 certificates"),
            (SIGNATURE, Some("*".to_owned()), "base64"),
        ] {
            let mut annotations = written();
            annotations.remove(name);
            annotations.extend(value.map(|value| (name.to_owned(), value)));
            let error = read(&annotations).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200, byte: u8) {
            fuzz(&bytes);
            let mut text = written()[BUNDLE].clone().into_bytes();
            let at = at % text.len();
            text[at] = byte;
            fuzz(&text);
        }
    }
}
