//! Rekor v1: entries `hashedrekord` and `dsse` 0.0.1, each with a promise (SET), a proof and a checkpoint.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::hex;
use super::http::{Answer, Request};
use super::merkle::{self, Hash};
use super::pki::{Key, PemVerifier, now, random, sha256};

const TREE_ID: u64 = 3_904_496_407_287_907_110;
/// Entries of an earlier shard, so that the index in the log is not the index in the tree, as in the public log.
const EARLIER: usize = 4_163_431;
const ENTRIES: &str = "/api/v1/log/entries";

pub struct Rekor {
    pub key: Key,
    /// Its host name, by which some verifiers find the key of a checkpoint.
    pub host: String,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// Of all entries, also those of others that were there first.
    leaves: Vec<Hash>,
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    body: String,
    at: usize,
    time: u64,
}

impl Entry {
    fn uuid(&self) -> String {
        format!("{TREE_ID:016x}{}", hex(&merkle::hash_leaf(self.body.as_bytes())))
    }

    fn index(&self) -> usize {
        EARLIER + self.at
    }
}

impl Rekor {
    pub fn new(host: &str) -> Self {
        // a tree of one leaf would have an empty proof, which verifies too easily
        let log = Log { leaves: (0..5).map(|_| random()).collect(), entries: Vec::new() };
        Self { key: Key::generate(), host: host.to_owned(), log: Mutex::new(log) }
    }

    pub fn answer(&self, request: &Request) -> Answer {
        let path = request.path.as_str();
        match (request.method.as_str(), path) {
            ("POST", ENTRIES) => match body_of(&request.json()) {
                Ok(body) => self.add(body),
                Err(why) => Answer::refused(400, format_args!("error processing entry: {why}")),
            },
            ("GET", "/api/v1/log/publicKey") => Answer::new(200, "application/x-pem-file", self.key.public().pem()),
            ("GET", _) => self.find(path).map_or_else(|| Answer::refused(404, ""), |entry| Answer::json(200, &self.told(&entry))),
            _ => Answer::refused(404, ""),
        }
    }

    fn add(&self, body: String) -> Answer {
        let mut log = self.log.lock().unwrap();
        if let Some(known) = log.entries.iter().find(|entry| entry.body == body) {
            let uuid = known.uuid();
            let message = format!("an equivalent entry already exists in the transparency log with UUID {uuid}");
            return Answer::refused(409, message).with_header("location", format!("{ENTRIES}/{uuid}"));
        }
        let entry = Entry { at: log.leaves.len(), time: now().as_secs(), body };
        log.leaves.push(merkle::hash_leaf(entry.body.as_bytes()));
        log.entries.push(entry.clone());
        drop(log);
        // cosign finds the entry in the answer by the ETag, and crashes without
        let uuid = entry.uuid();
        Answer::json(201, &self.told(&entry)).with_header("location", format!("{ENTRIES}/{uuid}")).with_header("etag", uuid)
    }

    /// By `?logIndex=`, or by UUID with or without the tree's id.
    fn find(&self, path: &str) -> Option<Entry> {
        let rest = path.strip_prefix(ENTRIES)?;
        let log = self.log.lock().unwrap();
        if let Some(index) = rest.strip_prefix("?logIndex=") {
            let index: usize = index.parse().ok()?;
            return log.entries.iter().find(|entry| entry.index() == index).cloned();
        }
        let uuid = rest.strip_prefix('/').filter(|uuid| uuid.len() >= 64)?;
        log.entries.iter().find(|entry| entry.uuid().ends_with(uuid)).cloned()
    }

    /// The entry with its promise, and its proof in the tree of now.
    fn told(&self, entry: &Entry) -> Value {
        let leaves = self.log.lock().unwrap().leaves.clone();
        let (id, body) = (hex(&self.key.public().id()), STANDARD.encode(&entry.body));
        // serde_json's maps are sorted, and there is nothing to escape: this is canonical JSON (RFC 8785)
        let promised = json!({"body": body, "integratedTime": entry.time, "logID": id, "logIndex": entry.index()}).to_string();
        let set = STANDARD.encode(self.key.sign(promised.as_bytes()));
        let hashes: Vec<String> = merkle::path(entry.at, &leaves).iter().map(|hash| hex(hash)).collect();
        json!({entry.uuid(): {
            "body": body, "integratedTime": entry.time, "logID": id, "logIndex": entry.index(),
            "verification": {"signedEntryTimestamp": set, "inclusionProof": {
                "checkpoint": self.checkpoint(&leaves), "hashes": hashes, "logIndex": entry.at,
                "rootHash": hex(&merkle::root(&leaves)), "treeSize": leaves.len(),
            }},
        }})
    }

    fn checkpoint(&self, leaves: &[Hash]) -> String {
        let hint = self.key.public().id()[..4].try_into().unwrap();
        merkle::signed_note(&format!("{} - {TREE_ID}", self.host), &self.host, leaves, hint, |text| self.key.sign(text))
    }
}

/// What the log keeps of a proposed entry, once its signature is found good.
fn body_of(entry: &Value) -> Result<String, &'static str> {
    let spec = match (entry["kind"].as_str(), entry["apiVersion"].as_str()) {
        (Some("hashedrekord"), Some("0.0.1")) => hashedrekord(&entry["spec"])?,
        (Some("dsse"), Some("0.0.1")) => dsse(&entry["spec"])?,
        _ => return Err("unknown kind or version of entry"),
    };
    Ok(json!({"apiVersion": "0.0.1", "kind": entry["kind"], "spec": spec}).to_string())
}

fn hashedrekord(spec: &Value) -> Result<Value, &'static str> {
    let hash = &spec["data"]["hash"];
    let digest = hash["value"].as_str().and_then(super::unhex).filter(|digest| digest.len() == 32).ok_or("invalid digest")?;
    if hash["algorithm"] != "sha256" {
        return Err("unsupported digest algorithm");
    }
    let signature = decoded(&spec["signature"]["content"])?;
    let verifier = verifier(&spec["signature"]["publicKey"]["content"])?;
    if !verifier.key.accepts_digest(&digest, &signature) {
        return Err("verifying signature: invalid signature when validating ASN.1 encoded signature");
    }
    Ok(json!({
        "data": {"hash": hash},
        "signature": {"content": spec["signature"]["content"], "publicKey": {"content": STANDARD.encode(verifier.pem)}},
    }))
}

fn dsse(spec: &Value) -> Result<Value, &'static str> {
    let proposed = &spec["proposedContent"];
    let text = proposed["envelope"].as_str().ok_or("proposed content envelope is missing")?;
    let envelope: Value = serde_json::from_str(text).map_err(|_| "the envelope is no JSON")?;
    let payload = decoded(&envelope["payload"])?;
    let (Some([signature]), Some([key])) = (list(&envelope["signatures"]), list(&proposed["verifiers"])) else {
        return Err("the stand-in takes one signature and one verifier");
    };
    let verifier = verifier(key)?;
    let pae = pae(envelope["payloadType"].as_str().unwrap_or_default(), &payload);
    if !verifier.key.accepts(&pae, &decoded(&signature["sig"])?) {
        return Err("could not verify envelope");
    }
    let sha256 = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(bytes))});
    Ok(json!({
        "envelopeHash": sha256(text.as_bytes()),
        "payloadHash": sha256(&payload),
        "signatures": [{"signature": signature["sig"], "verifier": STANDARD.encode(verifier.pem)}],
    }))
}

/// What DSSE signs.
fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat()
}

fn list(value: &Value) -> Option<&[Value]> {
    value.as_array().map(Vec::as_slice)
}

fn decoded(value: &Value) -> Result<Vec<u8>, &'static str> {
    value.as_str().and_then(|text| STANDARD.decode(text).ok()).ok_or("invalid base64")
}

fn verifier(value: &Value) -> Result<PemVerifier, &'static str> {
    PemVerifier::parse(&decoded(value)?).ok_or("invalid public key: neither a certificate nor a P-256 key")
}
