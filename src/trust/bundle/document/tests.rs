use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::trust::{Algorithm, PublicKey};

fn digest() -> Digest {
    Digest::of(b"manifest")
}

fn made_by(key: &PrivateKey) -> Value {
    serde_json::from_slice(&signed(key)).unwrap()
}

/// A bundle that is a signature of the manifest.
fn signed(key: &PrivateKey) -> Vec<u8> {
    sign(&dsse::signature_statement(digest()).unwrap(), key, key.public().hint()).unwrap()
}

fn trusted(keys: &[PublicKey]) -> Trusted {
    Trusted::keys(keys.to_vec())
}

fn accepted(key: &PublicKey) -> Verdict {
    Verdict::Accepted(Proof { by: SignedBy::Key { hint: key.hint(), algorithm: Algorithm::EcdsaP256Sha256 }, name: None })
}

fn judged(bundle: &Value, keys: &[PublicKey]) -> Verdict {
    judge(&serde_json::to_vec(bundle).unwrap(), digest(), &trusted(keys)).1
}

/// A bundle with a good signature over any statement.
fn over(key: &PrivateKey, statement: &Value) -> Value {
    let payload = serde_json::to_vec(statement).unwrap();
    let mut bundle = made_by(key);
    bundle["dsseEnvelope"]["payload"] = STANDARD.encode(&payload).into();
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = STANDARD.encode(key.sign(&dsse::pae(dsse::PAYLOAD_TYPE, &payload)).unwrap()).into();
    bundle
}

fn statement() -> Value {
    serde_json::from_slice(&dsse::signature_statement(digest()).unwrap()).unwrap()
}

#[test]
fn has_the_form_that_cosign_and_npm_accept() {
    let key = PrivateKey::generate().unwrap();
    let text = String::from_utf8(signed(&key)).unwrap();
    let head = format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{"hint":"{}"}},"tlogEntries":[],"timestampVerificationData":{{}}}},"dsseEnvelope":{{"payloadType":"application/vnd.in-toto+json","payload":""#,
        key.public().hint()
    );
    assert!(text.starts_with(&head), "{text}");
    let bundle = made_by(&key);
    assert_eq!(bundle["dsseEnvelope"]["signatures"].as_array().unwrap().len(), 1);
}

#[test]
fn passes_under_its_key_and_is_equal_when_made_again() {
    let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    assert_eq!(signed(&key), signed(&key));
    let verdict = judged(&made_by(&key), &[other.public(), key.public()]);
    assert_eq!(verdict, accepted(&key.public()));
}

#[test]
fn passes_when_cosign_3_made_it() {
    let keys = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys");
    let bytes = std::fs::read(keys.join("cosign-3.1.3.bundle.json")).unwrap();
    let key = PublicKey::load(&keys.join("cosign.pub")).unwrap();
    let signed = "sha256:bb859aba7ed3533782e98d52733f57fdf06c941acd85debf04491db929ff1bdf".parse().unwrap();
    assert_eq!(judge(&bytes, signed, &trusted(std::slice::from_ref(&key))).1, accepted(&key));
    let hint = key.hint();
    let stranger = [PrivateKey::generate().unwrap().public()];
    assert_eq!(judge(&bytes, signed, &trusted(&stranger)).1, Verdict::Refused(Reason::OtherKey { hint }));
}

#[test]
fn passes_with_members_and_log_entries_it_does_not_know() {
    let key = PrivateKey::generate().unwrap();
    let mut bundle = made_by(&key);
    bundle["verificationMaterial"]["tlogEntries"] = json!([{"logIndex": "1"}]);
    bundle["verificationMaterial"]["timestampVerificationData"] = json!({"rfc3161Timestamps": []});
    bundle["x"] = json!(1);
    assert!(matches!(judged(&bundle, &[key.public()]), Verdict::Accepted(_)));
}

#[test]
fn tells_another_key_from_a_change() {
    let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    let hint = key.public().hint();
    assert_eq!(judged(&made_by(&key), &[other.public()]), Verdict::Refused(Reason::OtherKey { hint }));
    let mut changed = made_by(&key);
    let other_statement = dsse::signature_statement(Digest::of(b"other")).unwrap();
    changed["dsseEnvelope"]["payload"] = STANDARD.encode(other_statement).into();
    assert_eq!(judged(&changed, &[key.public()]), Verdict::Refused(Reason::Changed));
}

#[test]
fn refuses_a_good_signature_of_something_else() {
    let key = PrivateKey::generate().unwrap();
    let named = Digest::of(b"other").to_string();
    let other = over(&key, &serde_json::from_slice(&dsse::signature_statement(Digest::of(b"other")).unwrap()).unwrap());
    assert_eq!(judged(&other, &[key.public()]), Verdict::Refused(Reason::WrongDigest { named }));
}

#[test]
fn tells_an_attestation_from_a_signature() {
    let key = PrivateKey::generate().unwrap();
    let mut slsa = statement();
    slsa["predicateType"] = "https://slsa.dev/provenance/v1".into();
    // cosign 3.1 attests with version 0.1
    for version in ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] {
        slsa["_type"] = version.into();
        let bytes = serde_json::to_vec(&over(&key, &slsa)).unwrap();
        let (says, verdict) = judge(&bytes, digest(), &trusted(&[key.public()]));
        assert!(matches!(says, Says::Attested { predicate_type, .. } if predicate_type == "https://slsa.dev/provenance/v1"), "{version}");
        assert_eq!(verdict, accepted(&key.public()), "{version}");
    }
}

#[test]
fn leaves_keyless_bundles_to_others() {
    let key = PrivateKey::generate().unwrap();
    for material in [json!({"certificate": {"rawBytes": "AAAA"}}), json!({"x509CertificateChain": {"certificates": []}})] {
        let mut bundle = made_by(&key);
        bundle["verificationMaterial"] = material;
        assert_eq!(judged(&bundle, &[key.public()]), Verdict::Other(Reason::Keyless));
    }
}

#[test]
fn refuses_what_deviates_from_the_form() {
    let key = PrivateKey::generate().unwrap();
    let second = made_by(&key)["dsseEnvelope"]["signatures"][0].clone();
    let mut old_statement = statement();
    old_statement["_type"] = "https://in-toto.io/Statement/v0.1".into();
    let table: [(&str, Value, &str); 6] = [
        ("/mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.2".into(), "0.3"),
        ("/dsseEnvelope/payloadType", "text/plain".into(), "text/plain"),
        ("/dsseEnvelope/signatures", json!([]), "0 signatures"),
        ("/dsseEnvelope/signatures", json!([second, second]), "2 signatures"),
        ("/dsseEnvelope/payload", "***".into(), "base64"),
        ("/dsseEnvelope/payload", over(&key, &old_statement)["dsseEnvelope"]["payload"].clone(), "version 1"),
    ];
    for (pointer, value, reason) in table {
        let mut bundle = made_by(&key);
        *bundle.pointer_mut(pointer).unwrap() = value;
        let Verdict::Refused(found) = judged(&bundle, &[key.public()]) else { panic!("{pointer} passed") };
        assert!(found.to_string().contains(reason), "{pointer}: {found}");
    }
}

#[test]
fn a_signature_of_a_file_is_another_kind() {
    let mut bundle = made_by(&PrivateKey::generate().unwrap());
    bundle.as_object_mut().unwrap().remove("dsseEnvelope");
    bundle["messageSignature"] = json!({"signature": "AAAA"});
    assert_eq!(judged(&bundle, &[]), Verdict::Other(Reason::MessageSignature));
}

#[test]
fn text_of_strangers_cannot_reach_the_terminal() {
    let key = PrivateKey::generate().unwrap();
    let mut bundle = made_by(&key);
    bundle["verificationMaterial"]["publicKey"]["hint"] = format!("\u{1b}[2J{}", "x".repeat(5000)).into();
    let Verdict::Refused(reason) = judged(&bundle, &[PrivateKey::generate().unwrap().public()]) else { panic!("passed") };
    let text = reason.to_string();
    assert!(text.len() < 300 && !text.contains('\u{1b}'), "{text}");
}

proptest! {
    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_, verdict) = judge(&bytes, digest(), &trusted(&[]));
        prop_assert!(!matches!(verdict, Verdict::Accepted(_)), "accepted without a key");
    }

    #[test]
    fn a_changed_byte_is_refused_or_means_the_same(at: prop::sample::Index, bit in 0..8_u32) {
        let key = PrivateKey::generate().unwrap();
        let good = signed(&key);
        let mut changed = good.clone();
        changed[at.index(good.len())] ^= 1 << bit;
        if let Verdict::Accepted(_) = judge(&changed, digest(), &trusted(&[key.public()])).1 {
            let text = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["dsseEnvelope"].clone();
            prop_assert_eq!(text(&changed)["payload"].clone(), text(&good)["payload"].clone());
            prop_assert_eq!(text(&changed)["signatures"].clone(), text(&good)["signatures"].clone());
        }
    }
}
