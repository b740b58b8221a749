//! Canaries on every KServe: each step's change as it was reviewed, built by the real kustomize, strictly valid, and allowed by KServe's
//! own rules.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it rollout_canary` writes the files of `tests/golden/rollout` again.

use std::fmt::Write as _;
use std::path::Path;

use modelcar::kserve::{Delivery, Generation};
use modelcar::oci::Digest;
use modelcar::rollout::{
    CanaryBy, CanaryError, CanaryRequest, Intent, ModelState, Planned, RolloutError, Service, Site, SiteFacts, SiteName, plan_intent,
    read_state,
};
use serde_json::{Value, json};

use crate::rollout_patch::{expect_golden, service};
use crate::rollout_site::{build, get, put};
use crate::support::{crd, lacks};

pub fn iris(generation: Generation, version: &str) -> Service {
    let image = format!("quay.io:8443/acme/iris:{version}@{}", Digest::of(version.as_bytes()));
    // KServe 0.15 ships no OpenVINO runtime.
    let runtime = (generation == Generation::V0_15).then(|| "my-ovms".to_owned());
    Service { image: image.parse().unwrap(), runtime, ..service(generation, Delivery::Modelcar) }
}

pub fn site(generation: Generation, rest: &str) -> Site {
    let name: SiteName = "edge".parse().unwrap();
    let text = format!("version: 1\nkserve: {}\n{rest}", generation.name());
    Site { name, facts: Some(SiteFacts::parse(Path::new("site.yaml"), &text).unwrap()) }
}

pub fn deploy(generation: Generation, version: &str) -> Intent {
    Intent::Deploy { service: Box::new(iris(generation, version)), canary: None }
}

pub fn canary(generation: Generation, version: &str, percent: u8, by: CanaryBy) -> Intent {
    Intent::Deploy { service: Box::new(iris(generation, version)), canary: Some(CanaryRequest { percent, by }) }
}

pub fn promote(version: Option<&str>) -> Intent {
    Intent::Promote { model: "iris".parse().unwrap(), canary: version.map(|version| Digest::of(version.as_bytes())) }
}

pub fn roll_back(to: Option<&str>) -> Intent {
    let image = |version: &str| format!("quay.io:8443/acme/iris:{version}@{}", Digest::of(version.as_bytes())).parse().unwrap();
    Intent::Rollback { model: "iris".parse().unwrap(), to: to.map(image) }
}

pub fn carry_out(root: &Path, site: &Site, intent: &Intent) -> Result<Planned, RolloutError> {
    let planned = plan_intent(root, site, intent)?;
    planned.change.write()?;
    Ok(planned)
}

pub fn state(root: &Path) -> ModelState {
    let state = read_state(root, &"edge".parse().unwrap()).unwrap();
    assert_eq!(state.findings, []);
    state.models.into_iter().find(|model| model.name.as_str() == "iris").unwrap()
}

/// `v1` for the digest of `v1`.
fn version(digest: Option<Digest>) -> String {
    let known = (1..10).map(|number| format!("v{number}"));
    known.into_iter().find(|version| Some(Digest::of(version.as_bytes())) == digest).unwrap_or_else(|| "?".to_owned())
}

fn told(state: &ModelState) -> String {
    let canaries = state.canaries.iter().map(|canary| format!(", {} {} %", version(canary.placed.digest()), canary.percent));
    format!("{}{}", version(state.stable.digest()), canaries.collect::<String>())
}

/// A site's way through several steps, each with what is running afterwards.
fn walk(name: &str, root: &Path, site: &Site, steps: &[(&str, Intent, &str)]) {
    let (mut text, mut before) = (String::new(), None);
    for (title, intent, runs) in steps {
        let planned = carry_out(root, site, intent).unwrap_or_else(|error| panic!("{name}, {title}: {error} {:?}", error.hint()));
        let _ = write!(text, "#### {title}: {runs}\n{}", planned.change.diff());
        for note in planned.notes.iter().chain(&planned.change.warnings) {
            let _ = writeln!(text, "note: {note}");
        }
        assert_eq!(told(&state(root)), *runs, "{name}, {title}");
        assert!(plan_intent(root, site, intent).map_or(true, |again| again.change.is_empty()), "{name}, {title}: twice is once");
        let Some(objects) = build(&root.join("sites/edge")) else { continue };
        before = Some(expect_allowed(&format!("{name}, {title}"), before.as_deref(), objects, runs));
    }
    expect_golden(&format!("rollout/{name}.txt"), &text);
}

/// Every object as an API server would take it, and the InferenceService by KServe's rules.
fn expect_allowed(what: &str, before: Option<&[Value]>, objects: Vec<Value>, runs: &str) -> Vec<Value> {
    for object in &objects {
        let (kind, before) = (object["kind"].as_str().unwrap(), before.unwrap_or_default());
        if kind == "InferenceService" {
            let old = before.iter().find(|old| old["metadata"]["name"] == object["metadata"]["name"] && old["kind"] == kind);
            assert_eq!(refusals(old, object), Vec::<String>::new(), "{what}");
        }
        match (kind, crd::crd_dir()) {
            ("InferenceService", Some(_)) => {
                assert_eq!(crd::violations(crd::inference_service().unwrap(), object), Vec::<String>::new(), "{what}");
            }
            ("Route", Some(dir)) => {
                assert_eq!(
                    crd::violations(&crd::schema(&dir, "route.openshift.io", "Route", "v1"), object),
                    Vec::<String>::new(),
                    "{what}"
                );
            }
            ("HTTPRoute", Some(_)) => lacks::<()>("the CRD of HTTPRoute").unwrap_or(()),
            (_, None) => {}
            (other, _) => panic!("{other} was not expected"),
        }
    }
    let stable = objects.iter().find(|object| object["kind"] == "InferenceService" && object["metadata"]["name"] == "iris").unwrap();
    let uri = stable["spec"]["predictor"]["model"]["storageUri"].as_str().unwrap();
    let digest = uri.strip_prefix("oci://quay.io:8443/acme/iris@").unwrap_or_else(|| panic!("{what}: {uri}"));
    assert_eq!(version(digest.parse().ok()), runs.split(',').next().unwrap(), "{what}: status and the built site agree");
    objects
}

/// What KServe refuses (`inference_service_validation.go` of v0.20).
fn refusals(old: Option<&Value>, new: &Value) -> Vec<String> {
    let (mut found, canaries) = (Vec::new(), new["spec"]["canary"].as_array().cloned().unwrap_or_default());
    let predictor = &new["spec"]["predictor"];
    let mode = &new["metadata"]["annotations"]["serving.kserve.io/deploymentMode"];
    let mut refuse = |broken: bool, why: &str| found.extend(broken.then(|| why.to_owned()));
    refuse(!canaries.is_empty() && mode != "Standard", "canary is only supported in Standard deployment mode");
    let names: Vec<_> = canaries.iter().map(|canary| canary["predictor"]["name"].as_str().unwrap_or_default()).collect();
    refuse(names.contains(&""), "predictor.name is required");
    refuse(names.iter().any(|name| names.iter().filter(|other| *other == name).count() > 1), "predictor.name is duplicated");
    refuse(names.iter().any(|name| predictor["name"] == *name), "predictor.name conflicts with stable predictor name");
    let parts: Vec<_> = canaries.iter().map(|canary| canary["trafficPercent"].as_i64().unwrap_or(-1)).collect();
    refuse(parts.iter().any(|part| !(0..=100).contains(part)), "trafficPercent must be between 0 and 100");
    refuse(parts.iter().sum::<i64>() > 100, "sum of canary trafficPercent values must be <= 100");
    for member in ["workerSpec", "maxReplicas", "scaleTarget", "scaleMetric", "autoScaling"] {
        refuse(canaries.iter().any(|canary| !canary["predictor"][member].is_null()), member);
    }
    let least = predictor["minReplicas"].as_i64().unwrap_or(1);
    let more = |canary: &Value| canary["predictor"]["minReplicas"].as_i64().is_some_and(|own| own > least);
    refuse(canaries.iter().any(more), "minReplicas must not exceed stable predictor minReplicas");
    refuse(canaries.iter().any(|canary| canary["predictor"]["model"]["storageUri"].is_null()), "no implementation");
    if let Some(old) = old {
        let same = |keys: [&str; 2]| old["spec"]["predictor"][keys[0]][keys[1]] == predictor[keys[0]][keys[1]];
        let renamed = old["spec"]["predictor"]["name"] != predictor["name"];
        refuse(renamed && same(["model", "storageUri"]), "predictor.name change requires a model change");
        let was = &old["metadata"]["annotations"]["serving.kserve.io/deploymentMode"];
        refuse(was != mode, "deploymentMode cannot change");
    }
    found
}

/// Each rule catches what it is there for: a checker that passes everything would prove nothing.
#[test]
fn kserves_rules_refuse_what_kserve_refuses() {
    let good = json!({
        "metadata": {"annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": {
            "predictor": {"name": "a", "model": {"storageUri": "oci://x@sha256:1"}},
            "canary": [
                {"trafficPercent": 10, "predictor": {"name": "b", "minReplicas": 1, "model": {"storageUri": "oci://x@sha256:2"}}},
                {"trafficPercent": 90, "predictor": {"name": "c", "model": {"storageUri": "oci://x@sha256:3"}}},
            ],
        },
    });
    assert_eq!(refusals(Some(&good), &good), Vec::<String>::new());
    for (pointer, value, rule) in [
        ("/metadata/annotations/serving.kserve.io~1deploymentMode", json!("RawDeployment"), "Standard"),
        ("/spec/canary/0/predictor/name", json!(null), "required"),
        ("/spec/canary/0/predictor/name", json!("c"), "duplicated"),
        ("/spec/canary/0/predictor/name", json!("a"), "conflicts"),
        ("/spec/canary/0/trafficPercent", json!(-1), "between"),
        ("/spec/canary/1/trafficPercent", json!(91), "sum"),
        ("/spec/canary/0/predictor/minReplicas", json!(2), "exceed"),
        ("/spec/predictor/name", json!("z"), "requires a model change"),
        ("/spec/canary/1/predictor/model/storageUri", json!(null), "implementation"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(refusals(Some(&good), &bad).iter().any(|why| why.contains(rule)), "{pointer}");
    }
    let mut bad = good.clone();
    bad["spec"]["canary"][0]["predictor"]["maxReplicas"] = json!(2);
    assert_eq!(refusals(None, &bad), ["maxReplicas"]);
}

const STANDARD: &str = "mode: standard\nnamespace: models\n";

#[test]
fn kserve_splits_by_a_list_of_canaries() {
    for generation in [Generation::V0_20, Generation::V0_21, Generation::Rhoai3_5] {
        let by = CanaryBy::Kserve;
        let dir = tempfile::tempdir().unwrap();
        let steps = [
            ("deploy v1", deploy(generation, "v1"), "v1"),
            ("canary v2 10", canary(generation, "v2", 10, by), "v1, v2 10 %"),
            ("canary v2 50", canary(generation, "v2", 50, by), "v1, v2 50 %"),
            ("canary v3 20", canary(generation, "v3", 20, by), "v1, v2 50 %, v3 20 %"),
            ("promote v2", promote(Some("v2")), "v2, v3 20 %"),
            ("rollback", roll_back(None), "v2"),
            ("dark launch of v4", canary(generation, "v4", 0, by), "v2, v4 0 %"),
            ("canary v4 5", canary(generation, "v4", 5, by), "v2, v4 5 %"),
            ("deploy v4, the canary", deploy(generation, "v4"), "v4"),
            ("rollback to v2", roll_back(Some("v2")), "v2"),
            ("deploy v5", deploy(generation, "v5"), "v5"),
            ("canary v4 again", canary(generation, "v4", 30, by), "v5, v4 30 %"),
            ("rollback to v2 with a canary", roll_back(Some("v2")), "v2"),
        ];
        walk(generation.name(), dir.path(), &site(generation, STANDARD), &steps);
    }
}

const KNATIVE: &str = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: iris\n  annotations: \
                       {serving.kserve.io/deploymentMode: Serverless}\nspec:\n  predictor:\n    model:\n      modelFormat: {name: onnx}\n      runtime: \
                       my-ovms\n";

#[test]
fn knative_splits_by_percent() {
    for generation in [Generation::V0_15, Generation::V0_17, Generation::V0_20, Generation::Rhoai2_25] {
        let by = CanaryBy::Kserve;
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "sites/edge/base/iris.yaml", KNATIVE);
        put(dir.path(), "sites/edge/kustomization.yaml", "resources: [base/iris.yaml] # mine\n");
        let steps = [
            ("deploy v1", deploy(generation, "v1"), "v1"),
            ("canary v2 10", canary(generation, "v2", 10, by), "v2, v2 10 %"),
            ("canary v2 50", canary(generation, "v2", 50, by), "v2, v2 50 %"),
            ("promote", promote(None), "v2"),
            ("canary v3 10", canary(generation, "v3", 10, by), "v3, v3 10 %"),
            ("rollback to v2", roll_back(Some("v2")), "v2"),
            ("deploy v4", deploy(generation, "v4"), "v4"),
            ("canary v5 25", canary(generation, "v5", 25, by), "v5, v5 25 %"),
            ("deploy v5, the canary", deploy(generation, "v5"), "v5"),
        ];
        walk(&format!("{}-knative", generation.name()), dir.path(), &site(generation, "mode: knative\n"), &steps);
    }
}

#[test]
fn a_second_service_and_a_route_split_where_kserve_cannot() {
    for generation in Generation::all() {
        let by = CanaryBy::Route;
        let dir = tempfile::tempdir().unwrap();
        let steps = [
            ("deploy v1", deploy(generation, "v1"), "v1"),
            ("canary v2 10", canary(generation, "v2", 10, by), "v1, v2 10 %"),
            ("canary v2 50", canary(generation, "v2", 50, by), "v1, v2 50 %"),
            ("promote", promote(None), "v2"),
            ("canary v3 0", canary(generation, "v3", 0, by), "v2, v3 0 %"),
            ("canary v4 in its place", canary(generation, "v4", 10, by), "v2, v4 10 %"),
            ("rollback", roll_back(None), "v2"),
        ];
        walk(&format!("{}-route", generation.name()), dir.path(), &site(generation, STANDARD), &steps);
        let left: Vec<_> =
            walkdir::WalkDir::new(dir.path()).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).collect();
        assert_eq!(left.len(), 3, "base, patch and kustomization: {left:?}");
    }
}

#[test]
fn images_style_keeps_digests_in_the_kustomization() {
    for (generation, by) in [(Generation::V0_20, CanaryBy::Kserve), (Generation::Rhoai3_3, CanaryBy::Route)] {
        let dir = tempfile::tempdir().unwrap();
        let steps = [
            ("deploy v1", deploy(generation, "v1"), "v1"),
            ("deploy v2", deploy(generation, "v2"), "v2"),
            ("canary v3 10", canary(generation, "v3", 10, by), "v2, v3 10 %"),
            ("canary v3 50", canary(generation, "v3", 50, by), "v2, v3 50 %"),
            ("promote", promote(None), "v3"),
            ("canary v4 10", canary(generation, "v4", 10, by), "v3, v4 10 %"),
            ("rollback", roll_back(None), "v3"),
            ("rollback to v1", roll_back(Some("v1")), "v1"),
        ];
        walk(&format!("{}-images", generation.name()), dir.path(), &site(generation, "style: images\n"), &steps);
        assert!(!get(dir.path(), "sites/edge/kustomization.yaml").contains("newTag"));
    }
}

/// KServe copies annotations to every pod, so a canary must not touch those of the service.
#[test]
fn promotion_by_list_restarts_nothing() {
    let (dir, generation) = (tempfile::tempdir().unwrap(), Generation::V0_20);
    let site = site(generation, STANDARD);
    carry_out(dir.path(), &site, &deploy(generation, "v1")).unwrap();
    let annotations = || {
        let patch: Value = serde_saphyr::from_str(&get(dir.path(), "sites/edge/models/iris.yaml")).unwrap();
        patch["metadata"]["annotations"].clone()
    };
    let before = annotations();
    carry_out(dir.path(), &site, &canary(generation, "v2", 10, CanaryBy::Kserve)).unwrap();
    assert_eq!(annotations(), before);
    let patch: Value = serde_saphyr::from_str(&get(dir.path(), "sites/edge/models/iris.yaml")).unwrap();
    let mut pods = patch["spec"]["canary"][0]["predictor"].clone();
    carry_out(dir.path(), &site, &promote(None)).unwrap();
    assert_eq!(annotations(), before);
    let patch: Value = serde_saphyr::from_str(&get(dir.path(), "sites/edge/models/iris.yaml")).unwrap();
    for member in ["modelFormat", "name"] {
        pods["model"].as_object_mut().unwrap().remove(member);
    }
    assert_eq!(patch["spec"]["predictor"], pods);
    assert_eq!(state(dir.path()).image.unwrap().to_string(), "quay.io:8443/acme/iris:v2");
}

fn refused(root: &Path, site: &Site, intent: &Intent) -> CanaryError {
    match plan_intent(root, site, intent) {
        Err(RolloutError::Canary(error)) => {
            assert!(!error.hint().is_empty() && !error.to_string().is_empty());
            error
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refuses_what_the_generation_cannot_do_and_what_is_not_decided() {
    let kserve = CanaryBy::Kserve;
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (Generation::Rhoai3_4, Generation::Rhoai3_5);
    let (older, newer) = (site(old, ""), site(new, ""));
    let root = dir.path();
    assert!(matches!(refused(root, &newer, &canary(new, "v2", 10, kserve)), CanaryError::NoStable { .. }));
    carry_out(root, &newer, &deploy(new, "v1")).unwrap();
    let ignored = refused(root, &older, &canary(old, "v2", 10, kserve));
    assert!(matches!(ignored, CanaryError::Ignored { .. }) && ignored.hint().contains("--canary-by route"));
    assert!(matches!(refused(root, &newer, &canary(new, "v1", 10, kserve)), CanaryError::Same { .. }));
    assert!(matches!(refused(root, &newer, &canary(new, "v2", 101, kserve)), CanaryError::NotAPercentage { .. }));
    assert!(matches!(refused(root, &newer, &promote(None)), CanaryError::None { .. }));
    assert!(matches!(refused(root, &newer, &roll_back(None)), CanaryError::None { .. }));
    carry_out(root, &newer, &canary(new, "v2", 60, kserve)).unwrap();
    assert!(matches!(refused(root, &newer, &canary(new, "v3", 41, kserve)), CanaryError::TooMuch { sum: 101, .. }));
    assert!(matches!(refused(root, &newer, &deploy(new, "v3")), CanaryError::Running { .. }));
    assert!(matches!(refused(root, &newer, &canary(new, "v3", 1, CanaryBy::Route)), CanaryError::OtherWay { .. }));
    assert!(matches!(refused(root, &newer, &promote(Some("v3"))), CanaryError::None { digest: Some(_), .. }));
    carry_out(root, &newer, &canary(new, "v3", 40, kserve)).unwrap();
    assert!(matches!(refused(root, &newer, &promote(None)), CanaryError::Several { .. }));
}

#[test]
fn refuses_knative_canaries_that_nobody_could_take_back() {
    let dir = tempfile::tempdir().unwrap();
    let (generation, kserve) = (Generation::V0_17, CanaryBy::Kserve);
    let site = site(generation, "mode: knative\n");
    carry_out(dir.path(), &site, &deploy(generation, "v1")).unwrap();
    assert!(matches!(refused(dir.path(), &site, &canary(generation, "v2", 0, kserve)), CanaryError::Zero { .. }));
    carry_out(dir.path(), &site, &canary(generation, "v2", 10, kserve)).unwrap();
    assert!(matches!(refused(dir.path(), &site, &roll_back(None)), CanaryError::StableInHistory { .. }));
    let path = "sites/edge/base/iris.yaml";
    put(dir.path(), path, &get(dir.path(), path).replace("  predictor:\n", "  predictor:\n    canaryTrafficPercent: 5\n"));
    assert!(matches!(refused(dir.path(), &site, &promote(None)), CanaryError::Theirs { .. }));
}

#[test]
fn refuses_to_replace_canaries_that_are_not_its_own_and_names_without_room() {
    let generation = Generation::V0_20;
    let (site, kserve) = (site(generation, STANDARD), CanaryBy::Kserve);
    let base = "sites/edge/base/iris.yaml";
    for (from, to, is) in [
        ("spec:\n", "spec:\n  canary: []\n", "canaries of its own"),
        ("  predictor:\n", "  predictor:\n    minReplicas: 0\n", "scale to zero"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        carry_out(dir.path(), &site, &deploy(generation, "v1")).unwrap();
        put(dir.path(), base, &get(dir.path(), base).replace(from, to));
        assert!(refused(dir.path(), &site, &canary(generation, "v2", 0, kserve)).to_string().contains(is));
    }
    for (length, by) in [(43, kserve), (42, CanaryBy::Route)] {
        let dir = tempfile::tempdir().unwrap();
        let long = |version, canary| {
            let service = Service { name: "x".repeat(length).parse().unwrap(), ..iris(generation, version) };
            Intent::Deploy { service: Box::new(service), canary }
        };
        carry_out(dir.path(), &site, &long("v1", None)).unwrap();
        let request = Some(CanaryRequest { percent: 10, by });
        let error = plan_intent(dir.path(), &site, &long("v2", request)).unwrap_err();
        assert!(error.to_string().contains("more than 4") && error.hint().unwrap().contains("shorter name"), "{error}");
    }
}
