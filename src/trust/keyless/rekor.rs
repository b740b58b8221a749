//! Rekor: an entry in a transparency log that says when the signature was there.
//!
//! Two logs with the same name: version 1 signs a time stamp for each entry (<https://github.com/sigstore/rekor/blob/main/openapi.yaml>),
//! version 2 is a log of tiles that proves inclusion alone (<https://github.com/sigstore/rekor-tiles>). Both are asked with our
//! own requests: a second try may meet the entry of the first (status 409), which is success and is found by a header.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sigstore_rekor::LogEntry;
use sigstore_types::{DerCertificate, DsseEnvelope, KindVersion, SignatureBytes, TransparencyLogEntry};
use url::Url;

use super::services::{Rekor, RekorVersion, below};
use super::{KeylessError, Service, certificates};
use crate::store::StoreError;
use crate::store::registry::{Answer, Ask, Web};
use crate::trust::reason::shown;

const JSON: &str = "application/json";
const ENTRIES_V1: &str = "/api/v1/log/entries";
const ENTRIES_V2: &str = "/api/v2/log/entries";
/// An entry with its proof; a statement is in it as a hash.
const MAX_ANSWER: u64 = 1 << 20;
const CONFLICT: u16 = 409;

/// A signature that the log shall witness.
pub(super) enum Signed<'a> {
    /// Of a message.
    Message {
        /// The message.
        message: &'a [u8],
        /// Its signature.
        signature: &'a SignatureBytes,
    },
    /// Of a statement, in its envelope.
    Statement(&'a DsseEnvelope),
}

/// Writes an entry, and checks that what comes back speaks of this signature and this certificate.
pub(super) fn log(
    web: &Web,
    rekor: &Rekor,
    signed: &Signed<'_>,
    certificate: &DerCertificate,
) -> Result<TransparencyLogEntry, KeylessError> {
    let entry = match rekor.version {
        RekorVersion::V1 => log_v1(web, &rekor.url, signed, certificate)?,
        RekorVersion::V2 => log_v2(web, &rekor.url, signed, certificate)?,
    };
    ensure_ours(&entry, rekor.version, signed, certificate)?;
    Ok(entry)
}

fn log_v1(web: &Web, rekor: &Url, signed: &Signed<'_>, certificate: &DerCertificate) -> Result<TransparencyLogEntry, KeylessError> {
    let url = below(rekor, ENTRIES_V1);
    let body = signed.request_v1(certificate)?;
    let mut answer = web.send(&Ask::post(&url, JSON, body, JSON, MAX_ANSWER)).map_err(failed)?;
    if answer.status == CONFLICT {
        let uuid = existing(&answer).ok_or_else(|| unusable("an equivalent entry exists, and it does not say which"))?;
        tracing::debug!("Rekor has the entry already: {uuid}");
        answer = web.send(&Ask::get(&below(rekor, &format!("{ENTRIES_V1}/{uuid}")), JSON, MAX_ANSWER)).map_err(failed)?;
    }
    let body = succeeded(answer)?;
    let entries: BTreeMap<String, LogEntry> = serde_json::from_slice(&body).map_err(|error| unusable(error.to_string()))?;
    let entry = entries.into_values().next().ok_or_else(|| unusable("it holds no entry"))?;
    entry.to_bundle_entry(signed.kind_v1()).map_err(|error| unusable(error.to_string()))
}

fn log_v2(web: &Web, rekor: &Url, signed: &Signed<'_>, certificate: &DerCertificate) -> Result<TransparencyLogEntry, KeylessError> {
    let url = below(rekor, ENTRIES_V2);
    let ask = Ask::post(&url, JSON, signed.request_v2(certificate)?, JSON, MAX_ANSWER);
    let answer = web.send(&ask).map_err(failed)?;
    if answer.status == CONFLICT {
        return Err(KeylessError::LoggedUnseen);
    }
    let body = succeeded(answer)?;
    let entry: TransparencyLogEntry = serde_json::from_slice(&body).map_err(|error| unusable(error.to_string()))?;
    if entry.kind_version != KindVersion::HashedRekordV002 || entry.inclusion_proof.is_none() {
        return Err(unusable("the entry is no hashedrekord 0.0.2 with a proof of inclusion"));
    }
    Ok(entry)
}

fn succeeded(answer: Answer) -> Result<Vec<u8>, KeylessError> {
    if answer.is_success() { Ok(answer.body) } else { Err(failed(answer.refused())) }
}

impl Signed<'_> {
    fn signature(&self) -> &SignatureBytes {
        match self {
            Self::Message { signature, .. } => signature,
            Self::Statement(envelope) => &envelope.signature.sig,
        }
    }

    /// The SHA-256 of the bytes that were signed.
    fn signed_hash(&self) -> [u8; 32] {
        match self {
            Self::Message { message, .. } => Sha256::digest(message).into(),
            Self::Statement(envelope) => Sha256::digest(envelope.pae()).into(),
        }
    }

    /// What version 1 logs: the hash of a message, or of an envelope's payload.
    fn logged_hash_v1(&self) -> String {
        let hash: [u8; 32] = match self {
            Self::Message { .. } => self.signed_hash(),
            Self::Statement(envelope) => Sha256::digest(envelope.payload.as_bytes()).into(),
        };
        hex(&hash)
    }

    fn kind_v1(&self) -> KindVersion {
        match self {
            Self::Message { .. } => KindVersion::HashedRekordV001,
            Self::Statement(_) => KindVersion::DsseV001,
        }
    }

    fn request_v1(&self, certificate: &DerCertificate) -> Result<Bytes, KeylessError> {
        let verifier = STANDARD.encode(certificates::write(certificate));
        bytes(&match self {
            Self::Message { signature, .. } => json!({
                "apiVersion": "0.0.1", "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": {"algorithm": "sha256", "value": self.logged_hash_v1()}},
                    "signature": {"content": signature.to_base64(), "publicKey": {"content": verifier}},
                },
            }),
            Self::Statement(envelope) => json!({
                "apiVersion": "0.0.1", "kind": "dsse",
                "spec": {"proposedContent": {
                    "envelope": serde_json::to_string(envelope).map_err(|error| unusable(error.to_string()))?,
                    "verifiers": [verifier],
                }},
            }),
        })
    }

    fn request_v2(&self, certificate: &DerCertificate) -> Result<Bytes, KeylessError> {
        bytes(&json!({"hashedRekordRequestV002": {
            "digest": STANDARD.encode(self.signed_hash()),
            "signature": {
                "content": self.signature().to_base64(),
                "verifier": {
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "x509Certificate": {"rawBytes": certificate.to_base64()},
                },
            },
        }}))
    }
}

fn bytes(request: &Value) -> Result<Bytes, KeylessError> {
    serde_json::to_vec(request).map(Bytes::from).map_err(|error| unusable(error.to_string()))
}

/// The UUID of the entry that is there: in the header, else in the message.
fn existing(answer: &Answer) -> Option<String> {
    existing_in(answer.location.as_deref().unwrap_or_default(), &answer.body)
}

fn existing_in(location: &str, body: &[u8]) -> Option<String> {
    let last = location.rsplit('/').next().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let words = body.split(|character: char| !character.is_ascii_hexdigit());
    // 32 bytes, behind 8 of the tree's id where the log has several trees.
    let is_uuid = |word: &&str| matches!(word.len(), 64 | 80) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    std::iter::once(last).chain(words).find(is_uuid).map(str::to_owned)
}

/// Whether the log's words are about this signature: hash, signature and certificate. The log's own signature takes a trusted root.
fn ensure_ours(
    entry: &TransparencyLogEntry,
    version: RekorVersion,
    signed: &Signed<'_>,
    certificate: &DerCertificate,
) -> Result<(), KeylessError> {
    let body: Value = serde_json::from_slice(entry.canonicalized_body.as_bytes()).map_err(|error| unusable(error.to_string()))?;
    let paths = Paths::of(version, signed);
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let hash = match version {
        RekorVersion::V1 => signed.logged_hash_v1(),
        RekorVersion::V2 => STANDARD.encode(signed.signed_hash()),
    };
    let logged = match version {
        RekorVersion::V1 => pem_at(text(paths.certificate)),
        RekorVersion::V2 => DerCertificate::from_base64(text(paths.certificate)).ok(),
    };
    let same = text(paths.hash) == hash && text(paths.signature) == signed.signature().to_base64() && logged.as_ref() == Some(certificate);
    if same { Ok(()) } else { Err(unusable("the entry is about another signature")) }
}

/// Where an entry's body holds what matters.
struct Paths {
    hash: &'static str,
    signature: &'static str,
    certificate: &'static str,
}

impl Paths {
    fn of(version: RekorVersion, signed: &Signed<'_>) -> Self {
        match (version, signed) {
            (RekorVersion::V1, Signed::Message { .. }) => Self {
                hash: "/spec/data/hash/value",
                signature: "/spec/signature/content",
                certificate: "/spec/signature/publicKey/content",
            },
            (RekorVersion::V1, Signed::Statement(_)) => Self {
                hash: "/spec/payloadHash/value",
                signature: "/spec/signatures/0/signature",
                certificate: "/spec/signatures/0/verifier",
            },
            (RekorVersion::V2, _) => Self {
                hash: "/spec/hashedRekordV002/data/digest",
                signature: "/spec/hashedRekordV002/signature/content",
                certificate: "/spec/hashedRekordV002/signature/verifier/x509Certificate/rawBytes",
            },
        }
    }
}

fn pem_at(base64: &str) -> Option<DerCertificate> {
    let text = String::from_utf8(STANDARD.decode(base64).ok()?).ok()?;
    certificates::read(&text).ok()?.into_iter().next()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn failed(source: StoreError) -> KeylessError {
    KeylessError::Service { service: Service::Rekor, asked: "log the signature", source: Box::new(source) }
}

fn unusable(why: impl AsRef<str>) -> KeylessError {
    KeylessError::Answer { service: Service::Rekor, why: shown(why.as_ref()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigstore_types::{CanonicalizedBody, DsseSignature, KeyId, LogId, LogIndex, LogKeyId, PayloadBytes};

    fn certificate() -> DerCertificate {
        DerCertificate::new(b"certificate".to_vec())
    }

    fn envelope() -> DsseEnvelope {
        let signature = DsseSignature::new(SignatureBytes::from_bytes(b"signature"), KeyId::default());
        DsseEnvelope::new("application/vnd.in-toto+json", PayloadBytes::from_bytes(b"{}"), signature)
    }

    fn entry(body: &Value) -> TransparencyLogEntry {
        let body = CanonicalizedBody::new(body.to_string().into_bytes());
        let log = LogId::new(LogKeyId::from_bytes(&[7; 32]));
        TransparencyLogEntry::new(LogIndex::new(1).unwrap(), log, KindVersion::HashedRekordV001, body)
    }

    fn json_of(bytes: &Bytes) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn believes_only_entries_about_its_own_signature() {
        let signature = SignatureBytes::from_bytes(b"signature");
        let message = Signed::Message { message: b"payload", signature: &signature };
        let request = json_of(&message.request_v1(&certificate()).unwrap());
        let check = |body: &Value| ensure_ours(&entry(body), RekorVersion::V1, &message, &certificate());
        check(&request).unwrap();
        for (path, value) in [
            ("/spec/data/hash/value", hex(&[0; 32])),
            ("/spec/signature/content", "AAAA".to_owned()),
            ("/spec/signature/publicKey/content", STANDARD.encode(certificates::write(&DerCertificate::new(b"other".to_vec())))),
            ("/spec/signature/publicKey/content", "*".to_owned()),
        ] {
            let mut other = request.clone();
            *other.pointer_mut(path).unwrap() = value.into();
            assert!(check(&other).unwrap_err().to_string().contains("about another signature"), "{path}");
        }
        assert!(check(&json!([])).is_err());
    }

    #[test]
    fn knows_its_statements_in_both_logs() {
        let envelope = envelope();
        let statement = Signed::Statement(&envelope);
        let verifier = STANDARD.encode(certificates::write(&certificate()).replace('\n', "\r\n"));
        let v1 = json!({"kind": "dsse", "spec": {
            "payloadHash": {"algorithm": "sha256", "value": hex(&Sha256::digest(b"{}"))},
            "signatures": [{"signature": envelope.signature.sig.to_base64(), "verifier": verifier}],
        }});
        ensure_ours(&entry(&v1), RekorVersion::V1, &statement, &certificate()).unwrap();
        assert!(ensure_ours(&entry(&v1), RekorVersion::V2, &statement, &certificate()).is_err());
        let request = json_of(&statement.request_v2(&certificate()).unwrap())["hashedRekordRequestV002"].clone();
        let v2 = json!({"spec": {"hashedRekordV002": {"data": {"digest": request["digest"]}, "signature": request["signature"]}}});
        ensure_ours(&entry(&v2), RekorVersion::V2, &statement, &certificate()).unwrap();
    }

    #[test]
    fn asks_with_the_envelope_as_text_and_line_feeds() {
        let envelope = envelope();
        let request = json_of(&Signed::Statement(&envelope).request_v1(&certificate()).unwrap());
        let text = request["spec"]["proposedContent"]["envelope"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<DsseEnvelope>(text).unwrap(), envelope);
        let verifier = STANDARD.decode(request["spec"]["proposedContent"]["verifiers"][0].as_str().unwrap()).unwrap();
        assert_eq!(String::from_utf8(verifier).unwrap(), certificates::write(&certificate()));
    }

    #[test]
    fn finds_the_entry_that_is_there_already() {
        let (short, long) = ("a1".repeat(32), "2f".repeat(40));
        let message = |uuid: &str| {
            format!(r#"{{"code":409,"message":"an equivalent entry already exists in the transparency log with UUID {uuid}"}}"#)
        };
        for (location, body, expected) in [
            (format!("/api/v1/log/entries/{long}"), String::new(), Some(&long)),
            (format!("https://r/api/v1/log/entries/{short}"), message(&long), Some(&short)),
            (String::new(), message(&long), Some(&long)),
            ("/api/v1/log/entries/../../evil".to_owned(), message("beef"), None),
        ] {
            assert_eq!(existing_in(&location, body.as_bytes()).as_ref(), expected, "{location} {body}");
        }
    }
}
