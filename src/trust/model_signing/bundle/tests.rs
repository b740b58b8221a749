use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::trust::PrivateKey;
use crate::trust::model_signing::statement::{ModelFiles, write};
use crate::trust::model_signing::testing::{Authority, past, pem, today};

fn signer() -> Signer {
    Signer::Key(PrivateKey::generate().unwrap())
}

fn public(signer: &Signer) -> PublicKey {
    let Signer::Key(key) = signer else { unreachable!("these tests sign with keys") };
    key.public()
}

fn payload() -> Vec<u8> {
    write("model", &ModelFiles::from([("a".to_owned(), Digest::of(b"x"))])).unwrap()
}

fn opened(bundle: &[u8], trusted: &Trusted, authorities: &Authorities) -> Result<ModelAuthor, String> {
    let trust = ModelTrust { trusted, authorities };
    open(bundle, &trust, SystemTime::now()).map(|(_, author)| author).map_err(|refusal| refusal.to_string())
}

fn by_key(bundle: &[u8], signer: &Signer) -> Result<ModelAuthor, String> {
    opened(bundle, &signer.trusted().unwrap(), &Authorities::default())
}

/// A chain for this key, and the authority above it; in files, as users have them.
fn certified_by(root: &Authority, leaf: &x509_cert::Certificate) -> (CertificateChain, Authorities) {
    let home = tempfile::tempdir().unwrap();
    let (chain, authority) = (home.path().join("chain.pem"), home.path().join("root.pem"));
    std::fs::write(&chain, pem(&[leaf, &root.certificate])).unwrap();
    std::fs::write(&authority, pem(&[&root.certificate])).unwrap();
    (CertificateChain::load(&chain).unwrap(), Authorities::load(&authority).unwrap())
}

/// The same bundle with one thing changed.
fn with(bundle: &[u8], pointer: &str, value: Value) -> Vec<u8> {
    let mut document: Value = serde_json::from_slice(bundle).unwrap();
    *document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    serde_json::to_vec(&document).unwrap()
}

#[test]
fn the_hint_is_the_hash_of_the_keys_text() {
    let signer = signer();
    let bundle: Value = serde_json::from_slice(&ModelSigner::new(&signer).sign(&payload()).unwrap()).unwrap();
    let expected = Digest::of(public(&signer).to_pem().as_bytes()).hex();
    assert_eq!(bundle["verificationMaterial"]["publicKey"]["hint"], expected);
    assert!(public(&signer).to_pem().ends_with("-----END PUBLIC KEY-----\n"));
}

#[test]
fn passes_under_its_key_and_no_other() {
    let [signer, other] = [signer(), signer()];
    let bundle = ModelSigner::new(&signer).sign(&payload()).unwrap();
    assert!(matches!(by_key(&bundle, &signer), Ok(ModelAuthor::Trusted(_))));
    assert!(by_key(&bundle, &other).unwrap_err().contains("signed by another key"));
    assert_eq!(ModelSigner::new(&signer).sign(&payload()).unwrap(), bundle, "signing again gives other bytes");
}

#[test]
fn passes_under_its_authority_and_no_other() {
    let (signer, root, other) = (signer(), Authority::root("CN=root", 1), Authority::root("CN=other", 2));
    let (chain, authorities) = certified_by(&root, &root.issue(&public(&signer), today()));
    let bundle = ModelSigner::with_chain(&signer, chain).unwrap().sign(&payload()).unwrap();
    let document: Value = serde_json::from_slice(&bundle).unwrap();
    assert_eq!(document["verificationMaterial"]["x509CertificateChain"]["certificates"].as_array().unwrap().len(), 2);
    assert!(document["verificationMaterial"].get("publicKey").is_none());
    let author = opened(&bundle, &Trusted::default(), &authorities).unwrap();
    assert_eq!(author, ModelAuthor::Certificate { subject: "CN=models,O=Example".to_owned() });
    // neither its key alone nor another authority will do
    assert!(by_key(&bundle, &signer).unwrap_err().contains("no trusted authority"));
    let (_, others) = certified_by(&other, &other.issue(&public(&signer), today()));
    assert!(opened(&bundle, &Trusted::default(), &others).unwrap_err().contains("no trusted authority"));
}

#[test]
fn refuses_a_chain_for_another_key_or_one_that_has_expired() {
    let (signer, root) = (signer(), Authority::root("CN=root", 1));
    let stranger = PrivateKey::generate().unwrap().public();
    let (chain, _) = certified_by(&root, &root.issue(&stranger, today()));
    assert!(matches!(ModelSigner::with_chain(&signer, chain), Err(ModelSigningError::OtherKey)));
    let (chain, authorities) = certified_by(&root, &root.issue(&public(&signer), past()));
    let bundle = ModelSigner::with_chain(&signer, chain).unwrap().sign(&payload()).unwrap();
    assert!(opened(&bundle, &Trusted::default(), &authorities).unwrap_err().contains("expired"));
}

#[test]
fn every_change_is_found() {
    let (signer, root) = (signer(), Authority::root("CN=root", 1));
    let (chain, authorities) = certified_by(&root, &root.issue(&public(&signer), today()));
    let other = write("model", &ModelFiles::from([("a".to_owned(), Digest::of(b"y"))])).unwrap();
    let other_kind = crate::trust::bundle::dsse::signature_statement(Digest::of(b"")).unwrap();
    let signature = json!({"sig": STANDARD.encode(b"nonsense")});
    let table = [
        ("/dsseEnvelope/payload", json!(STANDARD.encode(other)), "does not match"),
        ("/dsseEnvelope/payload", json!(STANDARD.encode(other_kind)), "not a model signature"),
        ("/dsseEnvelope/payload", json!("***"), "base64"),
        ("/dsseEnvelope/payloadType", json!("text/plain"), "statement"),
        ("/dsseEnvelope/signatures", json!([]), "0 signatures"),
        ("/dsseEnvelope/signatures", json!([signature, signature]), "2 signatures"),
        ("/dsseEnvelope/signatures/0", signature.clone(), "does not match"),
        ("/dsseEnvelope", Value::Null, "of a file"),
        ("/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.2+json"), "0.3"),
    ];
    let signers = [ModelSigner::new(&signer), ModelSigner::with_chain(&signer, chain).unwrap()];
    for (by, (pointer, value, reason)) in signers.iter().flat_map(|by| table.iter().map(move |row| (by, row))) {
        let changed = with(&by.sign(&payload()).unwrap(), pointer, value.clone());
        let refusal = opened(&changed, &signer.trusted().unwrap(), &authorities).unwrap_err();
        assert!(refusal.contains(reason), "{pointer} (chain: {}): {refusal}", by.has_chain());
    }
}

/// A chain that says nothing must not turn into a signature by nobody.
#[test]
fn refuses_a_chain_without_certificates_and_one_that_is_too_long() {
    let signer = signer();
    let bundle = ModelSigner::new(&signer).sign(&payload()).unwrap();
    let certificate = json!({"rawBytes": "AAAA"});
    for (count, reason) in [(0, "no PEM certificates"), (17, "17 certificates"), (1, "damaged")] {
        let material = json!({"x509CertificateChain": {"certificates": vec![&certificate; count]}});
        let refusal = by_key(&with(&bundle, "/verificationMaterial", material), &signer).unwrap_err();
        assert!(refusal.contains(reason), "{refusal}");
    }
}

#[test]
fn accepts_the_key_forms_of_older_versions() {
    let signer = signer();
    let bundle = ModelSigner::new(&signer).sign(&payload()).unwrap();
    let older = json!({"publicKey": {"rawBytes": "AAAA", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}});
    assert!(by_key(&with(&bundle, "/verificationMaterial", older), &signer).is_ok());
    let mut document: Value = serde_json::from_slice(&bundle).unwrap();
    document["dsseEnvelope"]["signatures"][0]["keyid"] = Value::Null;
    document["verificationMaterial"].as_object_mut().unwrap().remove("tlogEntries");
    assert!(by_key(&serde_json::to_vec(&document).unwrap(), &signer).is_ok());
}

#[test]
fn reads_the_vectors_of_the_specification() {
    let vector = |name: &str| {
        let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "testdata/model-signing", &format!("{name}.bundle.json")].iter().collect();
        std::fs::read(file).unwrap()
    };
    for name in ["key", "certificate", "sigstore"] {
        let statement = statement(&vector(name)).unwrap();
        let paths: Vec<&str> = statement.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["signme-1", "signme-2"], "{name}");
        assert!(is_model_signature(&vector(name)));
    }
    assert!(!is_model_signature(&vector("wrong-predicate")));
    let refusal = |name: &str| by_key(&vector(name), &signer()).unwrap_err();
    assert!(refusal("key").contains("signed by another key"), "{}", refusal("key"));
    assert!(refusal("certificate").contains("not trusted"), "{}", refusal("certificate"));
}
