//! The policy file: its schema and the program agree, and `verify --policy` asks for what it says, of attestations that the real
//! cosign made.

use std::fs;
use std::process::Output;

use modelcar::trust::Policy;
use serde_json::{Value, json};

use crate::support::verifiers::{Field, Host, REVIEW};
use crate::support::{modelcar, repo_root, schemas, temp_dir};

/// The examples in docs/policy.md.
fn examples() -> Vec<String> {
    let page = fs::read_to_string(repo_root().join("docs/policy.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.filter(|block| block.starts_with("version:")).collect()
}

/// Documents, and whether they are policies.
fn table() -> Vec<(String, bool)> {
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEPhz9eH5u/q1bB3tQVBGQxdXnA2Zf\n1Qu9d7nBg4kQ\n-----END PUBLIC KEY-----\n";
    let with = |change: Value| {
        let mut policy = json!({"version": 1, "images": ["quay.io/edge"], "keys": [{"file": "cosign.pub"}]});
        for (member, value) in change.as_object().unwrap() {
            policy[member] = value.clone();
        }
        policy.to_string()
    };
    let require = |rule: Value| with(json!({"require": [rule]}));
    let identities = |identity: Value| with(json!({"identities": [identity], "trustedRoot": "root.json"}));
    let many = |count: usize| (0..count).map(|number| format!("quay.io/e{number}")).collect::<Vec<_>>();
    let mut table = vec![
        (with(json!({})), true),
        (with(json!({"version": 2})), false),
        (with(json!({"image": ["quay.io"]})), false),
        (with(json!({"images": []})), false),
        (with(json!({"images": many(256)})), true),
        (with(json!({"images": many(257)})), false),
        (with(json!({"keys": []})), false),
        (with(json!({"keys": [{}]})), false),
        (with(json!({"keys": [{"file": ""}]})), false),
        (with(json!({"keys": [{"file": "a", "pem": pem}]})), false),
        (with(json!({"keys": [{"pem": "no key"}]})), false),
        (with(json!({"keys": [{"url": "https://x"}]})), false),
        (with(json!({"consumers": ["openshift", "cosign-v4", "all"]})), true),
        (with(json!({"consumers": ["docker"]})), false),
        (with(json!({"layers": true})), true),
        (with(json!({"layers": "yes"})), false),
        (with(json!({"trustedRoot": "x".repeat(2049)})), false),
        (with(json!({"identities": [{"identity": "a", "issuer": "b"}]})), false),
        (identities(json!({"identity": "a", "issuer": "b"})), true),
        (identities(json!({"identityRegexp": "a.*", "issuerRegexp": "b.*"})), true),
        (identities(json!({"identity": "a", "identityRegexp": "a", "issuer": "b"})), false),
        (identities(json!({"identity": "a"})), false),
        (require(json!({})), false),
        (require(json!({"type": "sbom"})), true),
        (require(json!({"type": "https://example.com/x"})), true),
        (require(json!({"type": "spdx"})), true),
        (require(json!({"type": "bom"})), false),
        (require(json!({"type": "provenance", "maxAge": "30d", "builder": ["b"], "sourceUri": ["s"]})), true),
        (require(json!({"type": "provenance", "builder": []})), false),
        (require(json!({"type": "sbom", "licences": ["MIT"], "maxAge": "720h"})), true),
        (require(json!({"type": "sbom", "licenses": ["MIT"]})), false),
        (require(json!({"type": "provenance", "licences": ["MIT"]})), false),
        (require(json!({"type": "sbom", "builder": ["b"]})), false),
        (require(json!({"type": "sbom", "sourceUri": ["b"]})), false),
        (require(json!({"type": "model-signing", "maxAge": "1d"})), false),
        ("version: 1\nimages: [quay.io]\n".to_owned(), false),
        ("[]\n".to_owned(), false),
    ];
    for age in ["0d", "000s", "1d2h", "30", "1w", "1000000s", "-1d"] {
        table.push((require(json!({"type": "sbom", "maxAge": age})), false));
    }
    let scopes = [
        ("quay.io", true),
        ("*.example.com", true),
        ("localhost:5000/a/b", true),
        ("quay.io/a/", true),
        ("quay.io/a:v1", false),
        ("*", false),
    ];
    table.extend(scopes.map(|(scope, fine)| (with(json!({"images": [scope]})), fine)));
    for scope in ["*.a.com/b", "quay.io//a", "quay.io/A", "-a.io", "a.io/-b", "quay.io/a@sha256:0"] {
        table.push((with(json!({"images": [scope]})), false));
    }
    table.extend(examples().into_iter().map(|example| (example, true)));
    table
}

#[test]
fn the_program_takes_what_the_table_says() {
    assert_eq!(examples().len(), 2);
    for (text, fine) in table() {
        assert_eq!(Policy::check(&text).is_ok(), fine, "{text}: {:?}", Policy::check(&text).err());
    }
}

#[test]
fn the_schema_takes_what_the_table_says() {
    let texts: Vec<String> = table().into_iter().map(|(text, _)| text).collect();
    let Some(judged) = schemas::verdicts(&repo_root().join("docs/policy.schema.json"), &texts) else { return };
    for ((text, fine), judged) in table().into_iter().zip(judged) {
        assert_eq!(judged, fine, "{text}");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asks with a policy; the exit code and what was said.
fn verify(field: &Field, image: &str, policy: &str, words: &[&str]) -> (i32, String) {
    field.write("policy.yaml", policy.as_bytes());
    let output = field.modelcar().args(["verify", image, "--policy", "policy.yaml"]).args(words).output().unwrap();
    (output.status.code().unwrap(), said(&output))
}

#[track_caller]
fn expect((code, said): (i32, String), expected: i32, reason: &str) {
    assert_eq!(code, expected, "{said}");
    assert!(said.contains(reason), "`{reason}` is not in\n{said}");
}

#[test]
fn a_policy_asks_for_attestations_and_options_narrow_it() {
    let (Some(field), Some(host)) = (Field::new(), Host::native()) else { return };
    let image = format!("{}/models/iris:v1", host.host);
    field.build(&image, &[]);
    field.sign(&image, "c", &[]);
    let plain = format!("version: 1\nimages: ['{}/models']\nkeys: [{{file: c.pub}}]\n", host.host);
    expect(verify(&field, &image, &plain, &[]), 0, "verified");

    // who is trusted, and for what
    expect(verify(&field, &image, &plain, &["--key", "c.pub"]), 0, "verified");
    expect(verify(&field, &image, &plain, &["--key", "a.pub"]), 2, "does not trust the key");
    let elsewhere = plain.replace("/models'", "/other'");
    expect(verify(&field, &image, &elsewhere, &[]), 3, "is for ");

    // what must be attested
    let review = format!("{plain}require: [{{type: '{REVIEW}'}}]\n");
    expect(verify(&field, &image, &review, &[]), 3, "is required, and none is attached");
    field.cosign_attest(&image, "a");
    expect(verify(&field, &image, &review, &[]), 3, "does not count: signed by another key");
    field.cosign_attest(&image, "c");
    expect(verify(&field, &image, &review, &[]), 0, "verified");

    // and what it must say
    let provenance = json!({
        "buildDefinition": {"buildType": "https://b", "externalParameters": {"source": "https://hub/acme/iris"}},
        "runDetails": {"builder": {"id": "https://ci"}, "metadata": {"finishedOn": "2020-01-01T00:00:00Z"}},
    });
    field.cosign_attest_type(&image, "c", "https://slsa.dev/provenance/v1", &provenance);
    expect(verify(&field, &image, &plain, &["--builder", "https://ci", "--source-uri", "https://hub/acme"]), 0, "verified");
    expect(verify(&field, &image, &plain, &["--builder", "https://other"]), 3, "the builder `https://ci` is not allowed");
    expect(verify(&field, &image, &plain, &["--source-uri", "https://hub/ac"]), 3, "the source `https://hub/acme/iris` is not allowed");
    expect(verify(&field, &image, &plain, &["--builder", "https://ci", "--max-age", "30d"]), 3, "at most 30d is allowed");
    expect(verify(&field, &image, &plain, &["--licence", "MIT"]), 3, "sbom is required, and none is attached");
    expect(verify(&field, &image, &plain, &["--max-age", "30d"]), 2, "nothing to judge");
    expect(verify(&field, &image, "version: 1\nimagse: []\n", &[]), 2, "imagse");
}

#[test]
fn a_policy_that_cannot_be_used_says_why_and_where() {
    let home = temp_dir();
    let ask = |policy: Option<&str>| {
        let file = home.path().join("policy.yaml");
        policy.map_or_else(|| drop(fs::remove_file(&file)), |policy| fs::write(&file, policy).unwrap());
        let output =
            modelcar(home.path()).current_dir(home.path()).args(["verify", "quay.io/m/iris:v1", "--policy", "policy.yaml"]).output();
        let output = output.unwrap();
        format!("exit code {}\n{}", output.status.code().unwrap(), said(&output))
    };
    let head = "version: 1\nimages: [quay.io/edge]\nkeys: [{file: cosign.pub}]\n";
    let with = |rest: &str| ask(Some(&format!("{head}{rest}\n")));
    let all = [
        ask(None),
        ask(Some(head)),
        with("require: [{type: sbom, licence: [MIT]}]"),
        with("require: [{type: sbom, builder: [x]}]"),
        with("consumers: [docker]"),
        ask(Some("version: 1\nimages: [quay.io/edge]\n")),
    ];
    insta::assert_snapshot!(all.join("\n"));
}
