//! Rekor v2: entries `hashedrekord` 0.0.2, proved by a checkpoint that an Ed25519 key signs. No promise, no time.

use std::sync::Mutex;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::Decode as _;
use serde_json::{Value, json};

use super::http::{Answer, Request};
use super::merkle::{self, Hash};
use super::pki::{Certificate, PublicKey, random, sha256};

const P256: &str = "PKIX_ECDSA_P256_SHA_256";
/// What stands before the 32 bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

pub struct RekorV2 {
    key: Ed25519KeyPair,
    /// The origin of its checkpoints.
    pub host: String,
    leaves: Mutex<Vec<Hash>>,
}

impl RekorV2 {
    pub fn new(host: &str) -> Self {
        let leaves = Mutex::new((0..3).map(|_| random()).collect());
        Self { key: Ed25519KeyPair::generate().unwrap(), host: host.to_owned(), leaves }
    }

    pub fn spki(&self) -> Vec<u8> {
        [&ED25519_SPKI, self.key.public_key().as_ref()].concat()
    }

    /// The id of the log is that of the key in its notes (C2SP signed-note), which has the origin in it, not just the key.
    pub fn id(&self) -> Hash {
        sha256(&[self.host.as_bytes(), b"\n\x01", self.key.public_key().as_ref()].concat())
    }

    pub fn answer(&self, request: &Request) -> Answer {
        match request.what().as_str() {
            "POST /api/v2/log/entries" => match body_of(&request.json()["hashedRekordRequestV002"]) {
                Ok(body) => self.add(&body),
                Err(why) => Answer::grpc(400, 3, why),
            },
            "GET /api/v2/checkpoint" => Answer::new(200, "text/plain", self.checkpoint(&self.leaves.lock().unwrap())),
            _ => Answer::grpc(404, 5, "Not Found"),
        }
    }

    fn add(&self, body: &str) -> Answer {
        let mut leaves = self.leaves.lock().unwrap();
        let leaf = merkle::hash_leaf(body.as_bytes());
        if let Some(index) = leaves.iter().position(|known| *known == leaf) {
            let message = format_args!("an equivalent entry already exists in the transparency log with index {index}");
            return Answer::grpc(409, 6, message);
        }
        let index = leaves.len();
        leaves.push(leaf);
        let hashes: Vec<String> = merkle::path(index, &leaves).iter().map(|hash| STANDARD.encode(hash)).collect();
        // as protobuf writes JSON: numbers of 64 bits are strings, and what is not there is said to be
        Answer::json(
            201,
            &json!({
                "logIndex": index.to_string(),
                "logId": {"keyId": STANDARD.encode(self.id())},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
                "integratedTime": "0",
                "inclusionPromise": null,
                "inclusionProof": {
                    "logIndex": index.to_string(),
                    "rootHash": STANDARD.encode(merkle::root(&leaves)),
                    "treeSize": leaves.len().to_string(),
                    "hashes": hashes,
                    "checkpoint": {"envelope": self.checkpoint(&leaves)},
                },
                "canonicalizedBody": STANDARD.encode(body),
            }),
        )
    }

    fn checkpoint(&self, leaves: &[Hash]) -> String {
        let hint = self.id()[..4].try_into().unwrap();
        merkle::signed_note(&self.host, &self.host, leaves, hint, |text| self.key.sign(text).as_ref().to_vec())
    }
}

/// What the log keeps of a request, once its signature is found good.
fn body_of(request: &Value) -> Result<String, &'static str> {
    let signature = &request["signature"];
    let decoded = |value: &Value, missing| value.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or(missing);
    let digest = decoded(&request["digest"], "missing digest")?;
    let content = decoded(&signature["content"], "missing signature")?;
    let verifier = &signature["verifier"];
    if verifier["keyDetails"] != P256 || digest.len() != 32 {
        return Err("the stand-in takes P-256 with SHA-256");
    }
    let key = match (&verifier["x509Certificate"]["rawBytes"], &verifier["publicKey"]["rawBytes"]) {
        (Value::Null, key) => PublicKey::from_spki(&decoded(key, "missing verifier")?),
        (certificate, Value::Null) => {
            Certificate::from_der(&decoded(certificate, "missing verifier")?).ok().as_ref().and_then(PublicKey::of)
        }
        _ => return Err("two verifiers"),
    };
    if !key.ok_or("invalid verifier")?.accepts_digest(&digest, &content) {
        return Err("verifying signature: invalid signature when validating ASN.1 encoded signature");
    }
    let data = json!({"algorithm": "SHA2_256", "digest": request["digest"]});
    let spec = json!({"hashedRekordV002": {"data": data, "signature": signature}});
    Ok(json!({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}).to_string())
}
