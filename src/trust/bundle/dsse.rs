//! DSSE envelopes around in-toto statements: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md>,
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::oci::{Digest, canonical};

/// What an envelope with a statement inside says of its payload.
pub(in crate::trust) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The predicate of an image signature: "signed", nothing more.
pub(in crate::trust) const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

const STATEMENT_V0_1: &str = "https://in-toto.io/Statement/v0.1";
const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

/// The bytes that are signed: type and body, each with its length, so that neither can pass for the other.
pub(in crate::trust) fn pae(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len());
    [head.as_bytes(), body].concat()
}

/// The statement "this manifest is signed", in canonical bytes.
pub(in crate::trust) fn signature_statement(digest: Digest) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Empty {}
    statement(digest, COSIGN_SIGN, &Empty {})
}

/// A statement about a manifest, in canonical bytes.
pub(in crate::trust) fn statement(digest: Digest, predicate_type: &str, predicate: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    statement_about(Subject::of(digest), predicate_type, predicate)
}

/// A statement about a subject, in canonical bytes.
pub(in crate::trust) fn statement_about(subject: Subject, predicate_type: &str, predicate: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct New<'a, P> {
        #[serde(rename = "_type")]
        kind: &'static str,
        subject: [Subject; 1],
        #[serde(rename = "predicateType")]
        predicate_type: &'a str,
        predicate: &'a P,
    }
    canonical::to_vec(&New { kind: STATEMENT_V1, subject: [subject], predicate_type, predicate })
}

/// What a statement says of whom. The predicate itself stays unread.
#[derive(Debug, Deserialize)]
pub(in crate::trust) struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    /// What kind of thing is said.
    #[serde(rename = "predicateType")]
    pub(in crate::trust) predicate_type: String,
    /// The thing that is said, as it is written.
    #[serde(default = "nothing")]
    pub(in crate::trust) predicate: Box<RawValue>,
}

fn nothing() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

/// What a statement is about.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::trust) struct Subject {
    // Nobody compares it, so it is not read; Conforma's schema of SLSA provenance wants it written.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

impl Subject {
    /// A manifest.
    pub(in crate::trust) fn of(digest: Digest) -> Self {
        Self { name: None, digest: BTreeMap::from([("sha256".to_owned(), digest.hex())]) }
    }

    /// The same with the name of its repository, if that is known.
    pub(in crate::trust) fn named(self, name: Option<&str>) -> Self {
        Self { name: name.map(str::to_owned), ..self }
    }
}

impl Statement {
    pub(in crate::trust) fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// Version 1; of what is no signature also version 0.1, which `cosign attest` writes.
    pub(in crate::trust) fn is_known(&self) -> bool {
        self.kind == STATEMENT_V1 || (self.kind == STATEMENT_V0_1 && self.predicate_type != COSIGN_SIGN)
    }

    /// Whether one of the subjects is this manifest.
    pub(in crate::trust) fn is_about(&self, digest: Digest) -> bool {
        let hex = digest.hex();
        self.subject.iter().any(|subject| subject.digest.get("sha256") == Some(&hex))
    }

    /// The first subject, for messages.
    pub(in crate::trust) fn subject(&self) -> String {
        let hex = self.subject.iter().find_map(|subject| subject.digest.get("sha256"));
        hex.map_or_else(|| "nothing".to_owned(), |hex| format!("sha256:{}", hex.chars().take(64).collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_example_of_the_specification() {
        assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn writes_cosigns_statement() {
        let text = String::from_utf8(signature_statement(Digest::of(b"")).unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#
        );
        let statement = Statement::parse(text.as_bytes()).unwrap();
        assert!(statement.is_known() && statement.is_about(Digest::of(b"")) && !statement.is_about(Digest::of(b"x")));
    }
}
