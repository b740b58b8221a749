//! A TUF repository with two targets: how private deployments hand out their trusted root and where their services are.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::hex;
use super::http::{Answer, Request};
use super::pki::sha256;

pub const TRUSTED_ROOT: &str = "trusted_root.json";
pub const SIGNING_CONFIG: &str = "signing_config.v0.2.json";

/// Its files by path, all of the first version, all roles by one key.
pub struct Repository {
    files: BTreeMap<String, String>,
}

impl Repository {
    /// Metadata that is good until `expires` (RFC 3339).
    pub fn new(targets: &[(&str, &Value)], expires: &str) -> Self {
        let signer = Signer { key: Ed25519KeyPair::generate().unwrap(), expires };
        let (mut files, mut described) = (BTreeMap::new(), BTreeMap::new());
        for (name, content) in targets {
            let content = content.to_string();
            files.insert(format!("/targets/{}.{name}", hex(&sha256(content.as_bytes()))), content.clone());
            described.insert(*name, file(&content));
        }
        let targets = signer.sign(json!({"_type": "targets", "targets": described}));
        let snapshot = signer.sign(json!({"_type": "snapshot", "meta": {"targets.json": metadata(&targets)}}));
        let timestamp = signer.sign(json!({"_type": "timestamp", "meta": {"snapshot.json": metadata(&snapshot)}}));
        let named =
            [("/1.root.json", signer.root()), ("/1.targets.json", targets), ("/1.snapshot.json", snapshot), ("/timestamp.json", timestamp)];
        files.extend(named.map(|(path, text)| (path.to_owned(), text)));
        Self { files }
    }

    /// What a client has to be given first.
    pub fn root(&self) -> &str {
        &self.files["/1.root.json"]
    }

    pub fn answer(&self, request: &Request) -> Answer {
        self.files
            .get(&request.path)
            .map_or_else(|| Answer::refused(404, "no such file"), |text| Answer::new(200, "application/json", text.as_str()))
    }
}

struct Signer<'a> {
    key: Ed25519KeyPair,
    expires: &'a str,
}

impl Signer<'_> {
    fn key(&self) -> Value {
        json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": hex(self.key.public_key().as_ref())}})
    }

    fn key_id(&self) -> String {
        hex(&sha256(self.key().to_string().as_bytes()))
    }

    fn root(&self) -> String {
        let role = json!({"keyids": [self.key_id()], "threshold": 1});
        self.sign(json!({
            "_type": "root", "consistent_snapshot": true, "keys": {self.key_id(): self.key()},
            "roles": {"root": role, "targets": role, "snapshot": role, "timestamp": role},
        }))
    }

    /// Canonical JSON, as TUF understands that: sorted, and here without anything that would have to be escaped.
    fn sign(&self, mut signed: Value) -> String {
        signed["spec_version"] = json!("1.0.31");
        signed["version"] = json!(1);
        signed["expires"] = json!(self.expires);
        let signature = hex(self.key.sign(signed.to_string().as_bytes()).as_ref());
        json!({"signed": signed, "signatures": [{"keyid": self.key_id(), "sig": signature}]}).to_string()
    }
}

fn metadata(text: &str) -> Value {
    let mut file = file(text);
    file["version"] = json!(1);
    file
}

fn file(text: &str) -> Value {
    json!({"length": text.len(), "hashes": {"sha256": hex(&sha256(text.as_bytes()))}})
}
