//! What clients are given to find and to trust the services.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::pki::{Authority, PublicKey};
use super::{Service, Sigstore};

/// Before anything was signed.
const START: &str = "2024-01-01T00:00:00Z";

pub fn trusted_root(services: &Sigstore) -> Value {
    let (fulcio, tsa) = (&services.parts.fulcio, &services.parts.tsa);
    let (rekor, rekor_v2) = (&services.parts.rekor, &services.parts.rekor_v2);
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [
            ecdsa_log(&services.rekor_url, &rekor.key.public()),
            log(&services.rekor_v2_url, "PKIX_ED25519", &rekor_v2.spki(), &rekor_v2.id()),
        ],
        "certificateAuthorities": [authority(&services.fulcio_url, &[&fulcio.intermediate, &fulcio.root])],
        "ctlogs": [ecdsa_log("http://127.0.0.1/ctfe", &fulcio.ct.key.public())],
        "timestampAuthorities": [authority(&services.tsa_url, &[&tsa.signer, &tsa.root])],
    })
}

fn ecdsa_log(url: &str, key: &PublicKey) -> Value {
    log(url, "PKIX_ECDSA_P256_SHA_256", &key.spki, &key.id())
}

fn log(url: &str, details: &str, spki: &[u8], id: &[u8]) -> Value {
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": STANDARD.encode(spki), "keyDetails": details, "validFor": {"start": START}},
        "logId": {"keyId": STANDARD.encode(id)},
    })
}

/// A chain from below, the root last.
fn authority(url: &str, chain: &[&Authority]) -> Value {
    let certificates: Vec<Value> = chain.iter().map(|one| json!({"rawBytes": STANDARD.encode(one.der())})).collect();
    json!({
        "subject": {"organization": "stand-in", "commonName": "stand-in"},
        "uri": url,
        "certChain": {"certificates": certificates},
        "validFor": {"start": START},
    })
}

pub fn signing_config(services: &Sigstore, named: &[Service]) -> Value {
    let service = |service: Service, url: &str, version: u32| -> Vec<Value> {
        let entry = json!({"url": url, "majorApiVersion": version, "validFor": {"start": START}, "operator": "stand-in"});
        if named.contains(&service) { vec![entry] } else { vec![] }
    };
    let rekor = [service(Service::RekorV2, &services.rekor_v2_url, 2), service(Service::Rekor, &services.rekor_url, 1)].concat();
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service(Service::Fulcio, &services.fulcio_url, 1),
        "oidcUrls": [],
        "rekorTlogUrls": rekor,
        "tsaUrls": service(Service::Tsa, &services.tsa_url, 1),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    })
}
