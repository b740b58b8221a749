use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::trust::{Expected, PrivateKey};

fn key() -> PublicKey {
    PrivateKey::generate().unwrap().public()
}

fn scopes(texts: &[&str]) -> Vec<ImageScope> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn identity(identity: &str) -> CertificateIdentity {
    CertificateIdentity { identity: Expected::exactly(identity.to_owned()), issuer: Expected::exactly("https://issuer".to_owned()) }
}

fn root() -> TrustedRoot {
    let bytes = |der: &[u8]| json!({"rawBytes": STANDARD.encode(der)});
    let root = json!({"certificateAuthorities": [{"certChain": {"certificates": [bytes(b"leaf"), bytes(b"root")]}}], "tlogs": [{"publicKey": bytes(b"key")}]});
    TrustedRoot::parse(root.to_string().as_bytes()).unwrap()
}

/// A request with everything that a test does not care about.
fn request<'a>(target: Target, scopes: &'a [ImageScope], keys: &'a [PublicKey], identities: &'a [CertificateIdentity]) -> EmitRequest<'a> {
    EmitRequest { target, scopes, keys, identities, trusted_root: None, names: Match::default() }
}

fn parsed(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn openshift_gets_the_key_and_its_own_default_rule() {
    let (keys, scopes) = ([key()], scopes(&["quay.io/edge"]));
    for (target, kind) in [(Target::ClusterImagePolicy, "ClusterImagePolicy"), (Target::ImagePolicy, "ImagePolicy")] {
        let policy = parsed(&emit(&request(target, &scopes, &keys, &[])).unwrap());
        assert_eq!((policy["kind"].as_str(), policy["metadata"]["name"].as_str()), (Some(kind), Some("edge")));
        let spec = &policy["spec"];
        assert_eq!(spec["scopes"], json!(["quay.io/edge"]));
        assert_eq!(spec["policy"]["signedIdentity"], json!({"matchPolicy": "MatchRepoDigestOrExact"}));
        let data = spec["policy"]["rootOfTrust"]["publicKey"]["keyData"].as_str().unwrap();
        assert_eq!(STANDARD.decode(data).unwrap(), keys[0].to_pem().as_bytes());
    }
    let loose = EmitRequest { names: Match::Repository, ..request(Target::ImagePolicy, &scopes, &keys, &[]) };
    assert!(emit(&loose).unwrap().contains("matchPolicy: MatchRepository\n"));
}

#[test]
fn an_email_address_is_the_only_identity_that_openshift_and_podman_know() {
    let (scopes, root) = (scopes(&["quay.io/edge"]), root());
    let emit_for = |target, identity: &CertificateIdentity| {
        let identities = std::slice::from_ref(identity);
        emit(&EmitRequest { trusted_root: Some(&root), ..request(target, &scopes, &[], identities) })
    };
    let policy = parsed(&emit_for(Target::ClusterImagePolicy, &identity("ci@example.com")).unwrap());
    let fulcio = &policy["spec"]["policy"]["rootOfTrust"]["fulcioCAWithRekor"];
    assert_eq!(fulcio["fulcioSubject"], json!({"oidcIssuer": "https://issuer", "signedEmail": "ci@example.com"}));
    let pem = String::from_utf8(STANDARD.decode(fulcio["fulcioCAData"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), 2, "{pem}");
    let policy = parsed(&emit_for(Target::PolicyJson, &identity("ci@example.com")).unwrap());
    assert_eq!(policy["transports"]["docker"]["quay.io/edge"][0]["fulcio"]["subjectEmail"], "ci@example.com");

    for target in [Target::ClusterImagePolicy, Target::PolicyJson] {
        for other in ["https://kubernetes.io/namespaces/a/serviceaccounts/b", "nobody", "a@", "https://user@host", "a b@c"] {
            assert_eq!(emit_for(target, &identity(other)).unwrap_err(), EmitError::NoEmail { identity: other.to_owned() });
        }
        let loose = CertificateIdentity { issuer: Expected::matching(".*").unwrap(), ..identity("ci@example.com") };
        assert!(matches!(emit_for(target, &loose).unwrap_err(), EmitError::Expression { .. }));
        let identities = [identity("ci@example.com")];
        assert_eq!(emit(&request(target, &scopes, &[], &identities)).unwrap_err(), EmitError::NoRoot);
    }
}

#[test]
fn says_what_a_consumers_policy_cannot_say() {
    let (keys, two, one) = ([key()], [key(), key()], scopes(&["quay.io/edge"]));
    let refused = |target, scopes: &[ImageScope], keys: &[PublicKey]| emit(&request(target, scopes, keys, &[])).unwrap_err().to_string();
    let many: Vec<ImageScope> = (0..257).map(|number| format!("quay.io/edge{number}").parse().unwrap()).collect();
    let table = [
        (refused(Target::ClusterImagePolicy, &one, &two), "takes one key or identity, and there are 2"),
        (refused(Target::ClusterImagePolicy, &scopes(&["registry:5000/edge"]), &keys), "neither a dot nor is it localhost"),
        (refused(Target::ImagePolicy, &many, &keys), "257 scopes"),
        (refused(Target::PolicyJson, &[], &keys), "no image"),
        (refused(Target::PolicyJson, &one, &[]), "nobody to trust"),
    ];
    for (said, expected) in table {
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    for target in [Target::Kyverno, Target::PolicyController] {
        let identities = [identity("ci@example.com")];
        assert!(matches!(emit(&request(target, &one, &[], &identities)).unwrap_err(), EmitError::Unsupported { .. }));
    }
    assert!(emit(&request(Target::ClusterImagePolicy, &scopes(&["localhost:5000/edge"]), &keys, &[])).is_ok());
}

#[test]
fn policy_json_rejects_what_it_does_not_name_and_takes_several_keys() {
    let (keys, scopes) = ([key(), key()], scopes(&["127.0.0.1:5000/edge"]));
    let policy: Value = serde_json::from_str(&emit(&request(Target::PolicyJson, &scopes, &keys, &[])).unwrap()).unwrap();
    assert_eq!(policy["default"], json!([{"type": "reject"}]));
    let rule = &policy["transports"]["docker"]["127.0.0.1:5000/edge"][0];
    assert_eq!(rule["signedIdentity"], json!({"type": "matchRepoDigestOrExact"}));
    assert_eq!(rule["keyDatas"].as_array().unwrap().len(), 2);
    assert_eq!(registries_d(&scopes), "docker:\n  \"127.0.0.1:5000/edge\":\n    use-sigstore-attachments: true\n");
}

#[test]
fn admission_controllers_get_patterns_that_match_no_neighbour() {
    let (keys, scopes) = ([key()], scopes(&["quay.io/edge", "host:5000"]));
    let kyverno = parsed(&emit(&request(Target::Kyverno, &scopes, &keys, &[])).unwrap());
    let rule = &kyverno["spec"]["rules"][0]["verifyImages"][0];
    assert_eq!(rule["imageReferences"], json!(["quay.io/edge/*", "quay.io/edge:*", "quay.io/edge@*", "host:5000/*"]));
    let key = &rule["attestors"][0]["entries"][0]["keys"];
    assert_eq!(key["publicKeys"].as_str(), Some(keys[0].to_pem().as_str()));
    assert_eq!((&key["rekor"]["ignoreTlog"], &key["ctlog"]["ignoreSCT"]), (&json!(true), &json!(true)));
    let controller = parsed(&emit(&request(Target::PolicyController, &scopes, &keys, &[])).unwrap());
    assert_eq!(controller["spec"]["images"][0], json!({"glob": "quay.io/edge/**"}));
}
