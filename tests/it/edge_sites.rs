//! `site.yaml`: its schema and the program agree, and the shipped sites bring what they say.

use modelcar::kserve::Generation;
use modelcar::rollout::SiteFacts;
use serde_json::{Value, json};

use crate::edge_tree::{built, sites, tree};
use crate::support::kustomize::{self, all, one};
use crate::support::schemas;

/// Documents, and whether they say what a site is.
fn table() -> Vec<(String, bool)> {
    let with = |change: Value| {
        let mut site = json!({"version": 1, "kserve": "0.21"});
        for (member, value) in change.as_object().unwrap() {
            site[member] = value.clone();
        }
        site.to_string()
    };
    let verify = |trust: Value| with(json!({"verify": trust}));
    let mirror = |entry: Value| with(json!({"mirrors": [entry]}));
    let many = |count: usize| (0..count).map(|number| format!("r{number}")).collect::<Vec<_>>();
    let mut table = vec![
        (with(json!({})), true),
        (with(json!({"version": 2})), false),
        (json!({"version": 1}).to_string(), false),
        (json!({"kserve": "0.20"}).to_string(), false),
        (with(json!({"rings": "pilot"})), false),
        (with(json!({"pull_secret": "quay"})), false),
        (with(json!({"platforms": ["linux/amd64", "linux/arm64/v8"]})), true),
        (with(json!({"platforms": ["amd64"]})), false),
        (with(json!({"platforms": ["windows/amd64"]})), false),
        (with(json!({"platforms": "linux/amd64"})), false),
        (with(json!({"runtimes": many(100)})), true),
        (with(json!({"runtimes": many(101)})), false),
        (with(json!({"runtimes": ["Kserve"]})), false),
        (with(json!({"nodes": 3, "gpus": 1, "exposed": true})), true),
        (with(json!({"nodes": -1})), false),
        (with(json!({"gpus": "one"})), false),
        (with(json!({"exposed": "perhaps"})), false),
        (with(json!({"labels": {"region": "north"}})), true),
        (with(json!({"labels": ["north"]})), false),
        (mirror(json!({"source": "quay.io", "mirror": "edge:5000"})), true),
        (mirror(json!({"source": "quay.io/acme", "mirror": "edge:5000/acme", "rewrite": true})), true),
        (mirror(json!({"source": "quay.io/acme"})), false),
        (mirror(json!({"source": "quay.io/acme", "mirror": "edge", "insecure": true})), false),
        (mirror(json!({"source": "oci://quay.io/acme", "mirror": "edge"})), false),
        (mirror(json!({"source": "quay.io/acme/", "mirror": "edge"})), false),
        (mirror(json!({"source": "quay.io/acme@sha256", "mirror": "edge"})), false),
        (verify(json!({})), true),
        (verify(json!({"consumers": ["openshift", "cosign-v3"], "policy": "policy.yaml", "keys": ["keys/release.pub"]})), true),
        (verify(json!({"consumers": ["docker"]})), false),
        (verify(json!({"keys": ["../release.pub"]})), false),
        (verify(json!({"keys": ["keys/../../release.pub"]})), false),
        (verify(json!({"policy": "/etc/policy.yaml"})), false),
        (verify(json!({"policies": []})), false),
        ("[]".to_owned(), false),
    ];
    table.extend(Generation::all().map(|generation| (with(json!({"kserve": generation.name()})), true)));
    let words = [
        ("kserve", "rhoai-2.25.1", true),
        ("kserve", "v0.20.0", true),
        ("kserve", "0.16", false),
        ("kserve", "rhoai", false),
        ("kserve", "3.5", false),
        ("mode", "standard", true),
        ("mode", "knative", true),
        ("mode", "raw", false),
        ("delivery", "fetch", true),
        ("delivery", "oci", false),
        ("style", "images", true),
        ("style", "helm", false),
        ("namespace", "edge-models", true),
        ("namespace", "Edge", false),
        ("namespace", "-edge", false),
        ("disk", "40Gi", true),
        ("disk", "500M", true),
        ("disk", "1000", true),
        ("disk", "40GB", false),
        ("disk", "1.5Gi", false),
        ("disk", "-1Gi", false),
        ("ring", "canary", true),
        ("ring", "a b", false),
        ("pullSecret", "quay-pull", true),
        ("connection", "quay", true),
        ("connection", "Quay", false),
    ];
    table.extend(words.map(|(member, word, fine)| (with(json!({member: word})), fine)));
    table.extend(schema()["examples"].as_array().unwrap().iter().map(|example| (example.to_string(), true)));
    table.extend(sites().into_iter().map(|(site, _)| (std::fs::read_to_string(file(site.as_str())).unwrap(), true)));
    table
}

fn file(site: &str) -> std::path::PathBuf {
    tree().join("sites").join(site).join("site.yaml")
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(tree().join("sites/site.schema.json")).unwrap()).unwrap()
}

#[test]
fn the_program_takes_what_the_table_says() {
    for (text, fine) in table() {
        let read = SiteFacts::parse(&file("any"), &text);
        assert_eq!(read.is_ok(), fine, "{text}: {:?}", read.err());
    }
}

#[test]
fn the_schema_takes_what_the_table_says() {
    let texts: Vec<String> = table().into_iter().map(|(text, _)| text).collect();
    let Some(judged) = schemas::verdicts(&tree().join("sites/site.schema.json"), &texts) else { return };
    for ((text, fine), judged) in table().into_iter().zip(judged) {
        assert_eq!(judged, fine, "{text}");
    }
}

#[test]
fn every_member_is_described_and_refuses_what_it_does_not_know() {
    fn check(schema: &Value, at: &str) {
        let Some(members) = schema["properties"].as_object() else { return };
        assert_eq!(schema["additionalProperties"], false, "{at}");
        for (name, member) in members {
            assert!(member["description"].is_string(), "{at}.{name}");
            check(member, &format!("{at}.{name}"));
            check(&member["items"], &format!("{at}.{name}[]"));
        }
    }
    check(&schema(), "");
}

#[test]
fn a_site_brings_what_it_says_it_has() {
    let fleet = kustomize::documents(&std::fs::read_to_string(tree().join("fleet.yaml")).unwrap()).remove(0);
    for (site, facts) in sites() {
        let ring = facts.ring.as_ref().unwrap().as_str();
        assert!(fleet["rings"].as_array().unwrap().contains(&json!(ring)), "{site}");
        let Some(objects) = built(&tree(), &site) else { return };
        let runtimes: Vec<_> = all(&objects, "ServingRuntime").iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect();
        assert_eq!(runtimes, facts.runtimes, "{site}");
        let namespace = facts.namespace.as_deref().unwrap();
        one(&objects, "Namespace", namespace);
        let placed = objects.iter().filter(|object| object["kind"] != "Namespace");
        assert!(placed.into_iter().all(|object| object["metadata"]["namespace"] == namespace), "{site}");
        for service in all(&objects, "InferenceService") {
            let mode = &service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"];
            assert_eq!(mode, facts.generation.mode_word(facts.mode), "{site}");
            let exposed = service["metadata"]["labels"]["networking.kserve.io/visibility"] == "exposed";
            assert_eq!(exposed, facts.exposed, "{site}");
        }
    }
}
