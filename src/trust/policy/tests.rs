use std::fs;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::oci::{Digest, Platform, Timestamp};
use crate::trust::testing::evidence;
use crate::trust::{Algorithm, Finding, ManifestEvidence, PrivateKey, Proof, Reason, Says, SignedBy, Verdict};

const DAY: u64 = 86_400;

fn now() -> Timestamp {
    Timestamp::parse("2026-11-23T12:00:00Z").unwrap()
}

fn finding(predicate_type: &str, predicate: &Value, verdict: Verdict) -> Finding {
    let predicate = RawValue::from_string(predicate.to_string()).unwrap();
    Finding { at: Digest::of(b"at"), says: Says::Attested { predicate_type: predicate_type.to_owned(), predicate }, verdict }
}

fn accepted() -> Verdict {
    let by = SignedBy::Key { hint: "hint".to_owned(), algorithm: Algorithm::EcdsaP256Sha256 };
    Verdict::Accepted(Proof { by, name: None })
}

fn manifest(platform: Option<&str>, bundles: Vec<Finding>) -> ManifestEvidence {
    let digest = Digest::of(platform.unwrap_or_default().as_bytes());
    ManifestEvidence { digest, platform: platform.map(Platform::linux), bundles, ..evidence() }
}

fn provenance(predicate: &Value) -> Finding {
    finding(AttestationKind::Provenance.types()[0], predicate, accepted())
}

fn sbom(predicate: &Value) -> Finding {
    finding(AttestationKind::Sbom.types()[0], predicate, accepted())
}

/// What a requirement of one rule says of an image with these attestations.
fn answer(rule: Option<Rule>, kind: AttestationKind, bundles: Vec<Finding>) -> String {
    let requirement = rule.into_iter().fold(Requirement::new(kind), |requirement, rule| requirement.with(rule).unwrap());
    match requirement.met_by(&[manifest(None, bundles)], now()) {
        Ok(_) => "ok".to_owned(),
        Err(unmet) => unmet.to_string(),
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_required_attestation_must_be_there_and_count() {
    let other = finding("https://example.com/review", &json!({}), accepted());
    let by_another =
        || finding(AttestationKind::Provenance.types()[0], &json!({}), Verdict::Refused(Reason::OtherKey { hint: "x".to_owned() }));
    let kind = AttestationKind::Provenance;
    assert_eq!(answer(None, kind.clone(), vec![provenance(&json!({}))]), "ok");
    assert_eq!(answer(None, kind.clone(), vec![other.clone()]), "provenance is required, and none is attached");
    assert_eq!(
        answer(None, kind.clone(), vec![by_another()]),
        "provenance is required, and the one that is attached does not count: signed by another key (hint x)"
    );
    assert_eq!(answer(None, kind.clone(), vec![by_another(), provenance(&json!({}))]), "ok", "a stranger's does no harm");
    // the reason is that of somebody trusted
    let builder = Some(Rule::Builder(texts(&["b"])));
    assert_eq!(answer(builder, kind, vec![by_another(), provenance(&json!({}))]), "the provenance names no builder");
    assert_eq!(answer(None, "https://example.com/review".parse().unwrap(), vec![other]), "ok");
}

#[test]
fn the_image_or_each_of_its_platforms_carries_it() {
    let requirement = Requirement::new(AttestationKind::Sbom);
    let with = |platform| manifest(platform, vec![sbom(&json!({}))]);
    let without = |platform| manifest(platform, Vec::new());
    let table = [
        (vec![with(None)], true),
        (vec![with(None), without(Some("amd64"))], true),
        (vec![without(None), with(Some("amd64")), with(Some("arm64"))], true),
        (vec![without(None), with(Some("amd64")), without(Some("arm64"))], false),
        (vec![without(None)], false),
        (vec![], false),
    ];
    for (manifests, met) in table {
        assert_eq!(requirement.met_by(&manifests, now()).is_ok(), met, "{manifests:?}");
    }
}

#[test]
fn one_attestation_passes_all_rules_or_none_does() {
    let of = |builder: &str, finished: &str| {
        provenance(&json!({"runDetails": {"builder": {"id": builder}, "metadata": {"finishedOn": finished}}}))
    };
    let requirement = Requirement::new(AttestationKind::Provenance);
    let requirement = requirement.with(Rule::Builder(texts(&["good"]))).unwrap().with(Rule::MaxAge("1d".parse().unwrap())).unwrap();
    let (fresh, old) = ("2026-11-23T11:00:00Z", "2026-11-01T11:00:00Z");
    let halves = manifest(None, vec![of("good", old), of("bad", fresh)]);
    assert!(requirement.met_by(&[halves], now()).is_err());
    assert!(requirement.met_by(&[manifest(None, vec![of("bad", fresh), of("good", fresh)])], now()).is_ok());
}

#[test]
fn age_is_counted_from_what_the_attestation_says() {
    let rule = || Some(Rule::MaxAge("30d".parse().unwrap()));
    let built = |time: &str| provenance(&json!({"runDetails": {"metadata": {"finishedOn": time}}}));
    let at = |seconds: u64| Timestamp::from_seconds(seconds).to_string();
    let table = [
        (at(now().seconds() - 30 * DAY), "ok".to_owned()),
        (at(now().seconds() - 30 * DAY - 1), "the provenance is of 2026-10-24T11:59:59Z, 30d old; at most 30d is allowed".to_owned()),
        (at(now().seconds() + 299), "ok".to_owned()),
        (at(now().seconds() + 301), "the provenance is of 2026-11-23T12:05:01Z, which is in the future".to_owned()),
        ("yesterday".to_owned(), "the provenance cannot be read: `yesterday` is no time".to_owned()),
    ];
    for (time, expected) in table {
        assert_eq!(answer(rule(), AttestationKind::Provenance, vec![built(&time)]), expected, "{time}");
        let expected = expected.replace("provenance", "sbom");
        assert_eq!(answer(rule(), AttestationKind::Sbom, vec![sbom(&json!({"metadata": {"timestamp": time}}))]), expected, "{time}");
    }
    let silent = answer(rule(), AttestationKind::Provenance, vec![provenance(&json!({}))]);
    assert_eq!(silent, "the provenance names no time at which the build finished");
    let wrong = answer(rule(), AttestationKind::Sbom, vec![sbom(&json!({"metadata": 3}))]);
    assert!(wrong.starts_with("the sbom cannot be read: invalid type"), "{wrong}");
}

#[test]
fn the_builder_is_one_of_those_allowed() {
    let rule = || Some(Rule::Builder(texts(&["https://ci/a", "https://ci/b"])));
    let by = |id: &str| vec![provenance(&json!({"runDetails": {"builder": {"id": id}}}))];
    assert_eq!(answer(rule(), AttestationKind::Provenance, by("https://ci/b")), "ok");
    assert_eq!(
        answer(rule(), AttestationKind::Provenance, by("https://ci/bb")),
        "the builder `https://ci/bb` is not allowed; allowed is https://ci/a, https://ci/b"
    );
}

#[test]
fn the_source_is_what_was_asked_for_or_all_that_went_in() {
    let allowed = texts(&["https://hub/acme", "pkg:oci/base"]);
    let asked =
        |parameters: Value| json!({"buildDefinition": {"externalParameters": parameters, "resolvedDependencies": [{"uri": "x:y"}]}});
    let went_in = |uris: &[&str]| json!({"buildDefinition": {"resolvedDependencies": uris.iter().map(|uri| json!({"uri": uri})).collect::<Vec<_>>()}});
    let refused = |uri: &str| format!("the source `{uri}` is not allowed; allowed is what begins with https://hub/acme, pkg:oci/base");
    let table = [
        (asked(json!({"source": "https://hub/acme/iris"})), "ok".to_owned()),
        (asked(json!({"source": {"uri": "https://hub/acme@v1"}})), "ok".to_owned()),
        (asked(json!({"workflow": {"repository": "https://hub/acme"}})), "ok".to_owned()),
        (asked(json!({"source": "https://hub/acme-evil/iris"})), refused("https://hub/acme-evil/iris")),
        (asked(json!({"source": "https://hub/acme/../evil"})), refused("https://hub/acme/../evil")),
        (asked(json!({"source": "https://hub/acme/%2E%2e/evil"})), refused("https://hub/acme/%2E%2e/evil")),
        (asked(json!({"other": 1})), refused("x:y")),
        (went_in(&["https://hub/acme/iris", "pkg:oci/base@sha256:0"]), "ok".to_owned()),
        (went_in(&["https://hub/acme/iris", "https://evil/x"]), refused("https://evil/x")),
        (went_in(&[]), "the provenance names no source".to_owned()),
    ];
    for (predicate, expected) in table {
        let said = answer(Some(Rule::SourceUri(allowed.clone())), AttestationKind::Provenance, vec![provenance(&predicate)]);
        assert_eq!(said, expected, "{predicate}");
    }
}

#[test]
fn every_licence_is_one_of_those_allowed() {
    let component = |licences: Value| json!({"metadata": {"component": {"name": "iris", "licenses": licences}}});
    let refused = |found: &str| format!("the licence `{found}` of iris is not allowed; allowed is Apache-2.0, MIT");
    let inner = json!({"components": [{"name": "a", "components": [{"name": "iris", "licenses": [{"license": {"id": "GPL-3.0-only"}}]}]}]});
    let table = [
        (component(json!([{"license": {"id": "MIT"}}])), "ok".to_owned()),
        (component(json!([{"license": {"id": "MIT"}}, {"license": {"id": "GPL-3.0-only"}}])), refused("GPL-3.0-only")),
        (component(json!([{"license": {"name": "our own"}}])), refused("our own")),
        (component(json!([{"expression": "GPL-3.0-only OR MIT"}])), "ok".to_owned()),
        (component(json!([{"expression": "GPL-3.0-only AND"}])), refused("GPL-3.0-only AND")),
        (component(json!([{}])), refused("without a name")),
        (component(json!([])), "the sbom names no licence".to_owned()),
        (inner, refused("GPL-3.0-only")),
    ];
    for (bom, expected) in table {
        let rule = Some(Rule::Licences(texts(&["Apache-2.0", "MIT"])));
        assert_eq!(answer(rule, AttestationKind::Sbom, vec![sbom(&bom)]), expected, "{bom}");
    }
    let deep = (0..40).fold(json!({"name": "x"}), |inner, _| json!({"components": [inner]}));
    let said = answer(Some(Rule::Licences(texts(&["MIT"]))), AttestationKind::Sbom, vec![sbom(&deep)]);
    assert!(said.contains("too deep"), "{said}");
}

#[test]
fn keys_lie_beside_the_policy_or_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let [inline, beside] = [(); 2].map(|()| PrivateKey::generate().unwrap().public());
    fs::write(dir.path().join("beside.pub"), beside.to_pem()).unwrap();
    let document = json!({"version": 1, "images": ["quay.io/edge"], "keys": [{"file": "beside.pub"}, {"pem": inline.to_pem()}]});
    let path = dir.path().join("policy.yaml");
    fs::write(&path, document.to_string()).unwrap();
    let policy = Policy::load(&path).unwrap();
    assert_eq!(policy.keys(), [inline, beside]);
    assert!(policy.covers(&"quay.io/edge/iris:v1".parse().unwrap()) && !policy.covers(&"quay.io/other/iris:v1".parse().unwrap()));

    fs::remove_file(dir.path().join("beside.pub")).unwrap();
    let error = Policy::load(&path).unwrap_err();
    assert!(error.to_string().starts_with("cannot use a key of the policy"), "{error}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let table = [
        ("version: 1\nimages: [quay.io]\nkeys: [{file: k}]\nimagess: []\n", "line 4"),
        ("version: 1\nimages: [quay.io]\nkeys: [{file: k, flie: x}]\n", "line 3"),
        ("version: 2\nimages: [quay.io]\nkeys: [{file: k}]\n", "version is 2"),
        ("version: 1\nimages: [quay.io]\n", "trusts nobody"),
        ("version: 1\nimages: []\nkeys: [{file: k}]\n", "images has 0 entries"),
        ("version: 1\nimages: [quay.io, 'quay.io/x:v1']\nkeys: [{file: k}]\n", "images[1]"),
        ("version: 1\nimages: [quay.io]\nkeys: [{}]\n", "keys[0]: a key has either `file` or `pem`"),
        ("version: 1\nimages: [quay.io]\nkeys: [{pem: x}]\n", "keys[0] is no public key"),
        ("version: 1\nimages: [quay.io]\nidentities: [{identity: a, issuer: b}]\n", "trustedRoot"),
        ("version: 1\nimages: [quay.io]\nkeys: [{file: k}]\nconsumers: [openshit]\n", "openshit"),
        ("version: 1\nimages: [quay.io]\nkeys: [{file: k}]\nrequire: [{type: sbom, maxAge: 30}]\n", "require[0].maxAge: `30` is no age"),
        (
            "version: 1\nimages: [quay.io]\nkeys: [{file: k}]\nrequire: [{type: sbom, builder: [x]}]\n",
            "require[0].builder: this rule says nothing about sbom",
        ),
        ("a: &a [x]\nb: *a\n", "line"),
        ("", "line"),
    ];
    for (text, expected) in table {
        let error = Policy::check(text).unwrap_err();
        let said = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let said: Vec<String> = said.map(ToString::to_string).collect();
        assert!(said.join(": ").contains(expected), "`{expected}` is not in {said:?}");
    }
}

#[test]
fn a_policy_that_is_too_large_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.yaml");
    fs::write(&path, "#".repeat(65 << 10)).unwrap();
    assert!(matches!(Policy::load(&path).unwrap_err(), PolicyError::TooLarge { .. }));
    fs::write(&path, [0xff]).unwrap();
    assert!(matches!(Policy::load(&path).unwrap_err(), PolicyError::NotText { .. }));
}
