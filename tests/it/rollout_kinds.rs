//! Sites whose models have several images, or are LLMInferenceServices: written where KServe looks for them, built by the real kustomize,
//! and read back.

use std::path::Path;

use modelcar::kserve::{Generation, Kind, Runtime};
use modelcar::oci::Digest;
use modelcar::rollout::{
    CanaryBy, CanaryRequest, Intent, ModelFormat, ModelSource, ModelState, Planned, RolloutError, Service, Site, plan_intent, read_state,
};
use serde_json::{Value, json};

use crate::rollout_canary::{carry_out, site};
use crate::rollout_site::{build, get, put};
use crate::support::crd;

const GENERATION: Generation = Generation::V0_20;

fn image(name: &str, version: &str) -> modelcar::oci::Reference {
    format!("quay.io:8443/acme/{name}:{version}@{}", Digest::of(version.as_bytes())).parse().unwrap()
}

fn chat(version: &str) -> Service {
    Service {
        format: ModelFormat { name: "huggingface".to_owned(), version: None },
        layout: Some(Runtime::Vllm),
        ..Service::new("chat".parse().unwrap(), image("chat", version), GENERATION)
    }
}

fn adapted(version: &str) -> Service {
    let legal = ModelSource { name: "legal".to_owned(), image: image("legal-lora", "legal") };
    Service { sources: vec![legal], ..chat(version) }
}

fn llm(version: &str) -> Service {
    Service { kind: Kind::LlmInferenceService, ..chat(version) }
}

fn deploy(service: Service) -> Intent {
    Intent::Deploy { service: Box::new(service), canary: None }
}

fn canary(service: Service, by: CanaryBy) -> Intent {
    Intent::Deploy { service: Box::new(service), canary: Some(CanaryRequest { percent: 10, by }) }
}

fn roll_back(version: &str) -> Intent {
    Intent::Rollback { model: "chat".parse().unwrap(), to: Some(image("chat", version)) }
}

/// Carries out a step, which twice is once, and tells what the site says then.
fn step(root: &Path, site: &Site, intent: &Intent) -> (Planned, ModelState) {
    let planned = carry_out(root, site, intent).unwrap_or_else(|error| panic!("{error} {:?}", error.hint()));
    assert!(plan_intent(root, site, intent).unwrap().change.is_empty(), "twice is once");
    let mut state = read_state(root, &site.name).unwrap();
    assert_eq!((state.findings.len(), state.models.len()), (0, 1));
    (planned, state.models.remove(0))
}

fn refused(root: &Path, site: &Site, intent: &Intent) -> String {
    let error: RolloutError = plan_intent(root, site, intent).unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    error.to_string()
}

/// The one service of the built site, which the API server would take; `None` without kustomize.
fn built(root: &Path, version: &str) -> Option<Value> {
    let service = build(&root.join("sites/edge"))?.remove(0);
    if let Some(dir) = crd::crd_dir() {
        let schema = crd::schema(&dir, "serving.kserve.io", service["kind"].as_str().unwrap(), version);
        assert_eq!(crd::violations(&schema, &service), Vec::<String>::new(), "{service:#}");
    }
    Some(service)
}

fn uri(version: &str) -> String {
    format!("oci://quay.io:8443/acme/chat@{}", Digest::of(version.as_bytes()))
}

#[test]
fn several_images_go_into_a_site_and_out_again() {
    let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, ""));
    let root = dir.path();
    step(root, &site, &deploy(chat("v1")));
    let (_, state) = step(root, &site, &deploy(adapted("v2")));
    assert_eq!(state.stable.uri(), uri("v2"));
    if let Some(service) = built(root, "v1beta1") {
        let predictor = &service["spec"]["predictor"];
        assert!(predictor["model"].get("storageUri").is_none(), "{predictor:#}");
        assert_eq!(predictor["storageUris"][0], json!({"uri": uri("v2"), "mountPath": "/mnt/models/base/model"}));
        assert_eq!(predictor["storageUris"].as_array().unwrap().len(), 2);
        let args = ["--model=/mnt/models/base/model", "--enable-lora", "--lora-modules", "legal=/mnt/models/legal/model"];
        assert_eq!(predictor["model"]["args"], json!(args));
    }
    let (_, state) = step(root, &site, &roll_back("v1"));
    assert_eq!(state.stable.uri(), uri("v1"));
    let text = get(root, "sites/edge/models/chat.yaml");
    assert!(text.contains(&uri("v1")) && text.contains("legal-lora@") && !text.contains("storageUri:"), "{text}");
    let (planned, state) = step(root, &site, &deploy(chat("v3")));
    assert!(planned.change.warnings[0].contains("legal-lora@"), "{:?}", planned.change.warnings);
    assert_eq!(state.stable.uri(), uri("v3"));
    let text = get(root, "sites/edge/models/chat.yaml");
    assert!(!text.contains("lora") && !text.contains("storageUris") && !text.contains("args"), "{text}");
}

#[test]
fn arguments_of_the_owner_stay_when_adapters_come_and_go() {
    let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, ""));
    step(dir.path(), &site, &deploy(adapted("v1")));
    let path = "sites/edge/models/chat.yaml";
    put(dir.path(), path, &get(dir.path(), path).replace("      args:\n", "      args:\n      - --max-model-len=4096\n"));
    step(dir.path(), &site, &deploy(adapted("v2")));
    step(dir.path(), &site, &deploy(chat("v3")));
    let text = get(dir.path(), path);
    assert!(text.contains("--max-model-len=4096") && !text.contains("lora"), "{text}");
}

#[test]
fn the_bases_own_image_makes_room_for_several() {
    let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, ""));
    let base = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: chat}\nspec:\n  predictor:\n    model:\n      \
                modelFormat: {name: vLLM}\n      runtime: mine\n      storageUri: s3://models/chat\n";
    put(dir.path(), "sites/edge/base/chat.yaml", base);
    put(dir.path(), "sites/edge/kustomization.yaml", "resources:\n  - base/chat.yaml\n");
    for version in ["v1", "v2"] {
        let (_, state) = step(dir.path(), &site, &deploy(adapted(version)));
        assert_eq!(state.stable.uri(), uri(version));
        let Some(service) = built(dir.path(), "v1beta1") else { continue };
        assert!(service["spec"]["predictor"]["model"].get("storageUri").is_none(), "{service:#}");
        assert_eq!(service["spec"]["predictor"]["storageUris"][0]["uri"], json!(uri(version)));
    }
    step(dir.path(), &site, &deploy(chat("v3")));
    let Some(service) = built(dir.path(), "v1beta1") else { return };
    assert_eq!(service["spec"]["predictor"]["model"]["storageUri"], json!(uri("v3")));
}

#[test]
fn a_canary_is_one_image_beside_one() {
    let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, ""));
    step(dir.path(), &site, &deploy(chat("v1")));
    for by in [CanaryBy::Kserve, CanaryBy::Route] {
        assert!(refused(dir.path(), &site, &canary(adapted("v2"), by)).contains("`storageUris`"));
    }
    step(dir.path(), &site, &deploy(adapted("v2")));
    for by in [CanaryBy::Kserve, CanaryBy::Route] {
        assert!(refused(dir.path(), &site, &canary(chat("v3"), by)).contains("several images"));
    }
}

#[test]
fn an_llm_service_is_patched_where_it_has_its_image() {
    for (generation, version) in [(GENERATION, "v1alpha2"), (Generation::Rhoai3_3, "v1alpha1")] {
        let (dir, site) = (tempfile::tempdir().unwrap(), site(generation, ""));
        let llm = |version| Service { generation, ..llm(version) };
        for (intent, runs) in [(deploy(llm("v1")), "v1"), (deploy(llm("v2")), "v2"), (roll_back("v1"), "v1")] {
            let (_, state) = step(dir.path(), &site, &intent);
            assert_eq!((state.kind, state.stable.uri()), (Kind::LlmInferenceService, uri(runs)));
            let Some(service) = built(dir.path(), version) else { continue };
            assert_eq!(service["spec"]["model"], json!({"name": "chat", "uri": uri(runs)}));
            assert_eq!(service["apiVersion"], json!(format!("serving.kserve.io/{version}")));
        }
        let overlay = get(dir.path(), "sites/edge/kustomization.yaml");
        assert!(overlay.contains("kind: LLMInferenceService\n      name: chat"), "{overlay}");
    }
}

#[test]
fn refuses_a_canary_of_an_llm_service_and_another_kind_in_its_place() {
    let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, ""));
    step(dir.path(), &site, &deploy(llm("v1")));
    for by in [CanaryBy::Kserve, CanaryBy::Route] {
        assert!(refused(dir.path(), &site, &canary(llm("v2"), by)).contains("one version"));
    }
    assert!(refused(dir.path(), &site, &deploy(chat("v2"))).contains("as an LLMInferenceService"));
    assert!(refused(dir.path(), &site, &canary(chat("v2"), CanaryBy::Route)).contains("as an LLMInferenceService"));
}

#[test]
fn images_style_has_room_for_one_storage_uri() {
    let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, "style: images\n"));
    for service in [llm("v1"), adapted("v1")] {
        assert!(refused(dir.path(), &site, &deploy(service)).contains("style: images"));
    }
    step(dir.path(), &site, &deploy(chat("v1")));
    assert!(refused(dir.path(), &site, &deploy(adapted("v2"))).contains("style: images"));
}

/// Nodes that are told a mirror's name are told it in every style and for canaries too.
#[test]
fn a_rewritten_mirror_is_named_in_canaries_and_images_too() {
    for (style, by) in [("patch", CanaryBy::Kserve), ("images", CanaryBy::Kserve), ("patch", CanaryBy::Route)] {
        let (dir, site) = (tempfile::tempdir().unwrap(), site(GENERATION, &format!("style: {style}\n")));
        let mirrored = |version| Service { pull_from: "edge:5000/acme/chat".parse().ok(), ..chat(version) };
        let (_, state) = step(dir.path(), &site, &deploy(mirrored("v1")));
        assert_eq!(state.stable.image.name(), "edge:5000/acme/chat", "{style}");
        let (_, state) = step(dir.path(), &site, &canary(mirrored("v2"), by));
        assert_eq!(state.canaries[0].placed.image.name(), "edge:5000/acme/chat", "{style}");
    }
}
