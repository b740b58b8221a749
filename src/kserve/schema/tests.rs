use serde_json::json;

use super::*;
use crate::kserve::{Generation, Mode};

/// A service that KServe would take, with a canary.
fn service() -> Value {
    json!({
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "iris", "annotations": {"serving.kserve.io/deploymentMode": "Standard"}},
        "spec": {
            "predictor": {
                "minReplicas": 2,
                "model": {"modelFormat": {"name": "onnx"}, "storageUri": "oci://quay.io/a/iris@sha256:1"},
            },
            "canary": [{
                "trafficPercent": 20,
                "predictor": {
                    "name": "m2",
                    "model": {"name": "kserve-container", "modelFormat": {"name": "onnx"}, "storageUri": "oci://quay.io/a/iris@sha256:2"},
                },
            }],
        },
    })
}

/// The service with one member set to a value; null takes it away.
fn with(pointer: &str, value: Value) -> Value {
    let mut service = service();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = service.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items.push(value),
        Value::Object(members) if value.is_null() => drop(members.remove(name)),
        parent => parent[name] = value,
    }
    service
}

fn told(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_right_service_has_nothing_wrong_with_it() {
    assert_eq!(told(&check(&service())), "");
    assert_eq!(told(&check_on(&service(), Generation::V0_20, Mode::Standard)), "");
}

#[test]
fn a_slip_is_told_with_its_place_and_what_was_meant() {
    for (pointer, value, said) in [
        ("/spec/predictor/model/storageURI", json!("x"), "spec.predictor.model.storageURI: is not known: did you mean `storageUri`?"),
        ("/spec/predictor/minReplica", json!(1), "spec.predictor.minReplica: is not known: did you mean `minReplicas`?"),
        ("/spec/predictor/storageUri", json!("x"), "spec.predictor.storageUri: is not known: did you mean `storageUris`?"),
        ("/spec/predictor/model/zzz", json!(1), "spec.predictor.model.zzz: is not known"),
        ("/spec/predictors", json!({}), "spec.predictors: is not known: did you mean `predictor`?"),
        ("/spec/predictor/minReplicas", json!("2"), "spec.predictor.minReplicas: should be a whole number without quotes"),
        ("/spec/predictor/minReplicas", json!(1.5), "spec.predictor.minReplicas: should be a whole number"),
        ("/spec/predictor/model/runtime", json!(["a"]), "spec.predictor.model.runtime: should be text"),
        ("/spec/predictor/model/args", json!("--x"), "spec.predictor.model.args: should be a list"),
        ("/spec/predictor/model/args", json!([1]), "spec.predictor.model.args[0]: should be text"),
        ("/spec/predictor/model/env", json!([{"nam": "A"}]), "spec.predictor.model.env[0].nam: is not known: did you mean `name`?"),
        ("/spec/predictor/model/resources", json!({"limits": {"cpu": true}}), "resources.limits.cpu: should be text"),
        ("/spec/predictor/scaleMetric", json!("load"), "spec.predictor.scaleMetric: should be one of cpu, memory, concurrency, rps"),
        ("/spec/predictor/model/protocolVersion", json!("grpcv2"), "protocolVersion: should be one of v1, v2, grpc-v1, grpc-v2"),
        ("/metadata/annotations", json!({"a": 1}), "metadata.annotations.a: should be text"),
        ("/spec/predictor/model/modelFormat", json!({}), "spec.predictor.model.modelFormat.name: is missing"),
        ("/spec/predictor/model/modelFormat", json!(null), "spec.predictor.model.modelFormat: is missing"),
        ("/spec/predictor/storageUris", json!([{"mountPath": "/mnt/models"}]), "spec.predictor.storageUris[0].uri: is missing"),
        ("/metadata/name", json!(null), "metadata.name: is missing"),
        ("/spec/predictor", json!(null), "spec.predictor: is missing"),
        ("/metadata/name", json!("Iris"), "metadata.name: should be lower-case"),
        ("/metadata/name", json!("1iris"), "metadata.name: should be lower-case"),
    ] {
        let found = told(&check(&with(pointer, value)));
        assert!(found.contains(said), "{pointer}: {found}");
    }
}

#[test]
fn rules_of_the_webhook_hold() {
    let knative = json!({"serving.kserve.io/deploymentMode": "Knative"});
    for (pointer, value, said) in [
        ("/spec/predictor/canaryTrafficPercent", json!(10), "silently ignored in mode Standard"),
        ("/metadata/annotations", knative, "spec.canary: is for mode Standard alone"),
        ("/spec/predictor/storageUris", json!([{"uri": "oci://a", "mountPath": "/mnt/models/a/m"}]), "exclude each other"),
        ("/spec/predictor/sklearn", json!({}), "spec.predictor: has model and sklearn"),
        ("/spec/predictor/maxReplicas", json!(1), "spec.predictor.maxReplicas: is lower than `minReplicas`, 2"),
        ("/spec/predictor/minReplicas", json!(-1), "cannot be negative"),
        ("/spec/predictor/scaleMetric", json!("rps"), "is for mode Knative alone"),
    ] {
        let found = told(&check(&with(pointer, value)));
        assert!(found.contains(said), "{pointer}: {found}");
    }
    let mut served = with("/spec/canary", json!(null));
    served["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] = json!("Serverless");
    served["spec"]["predictor"]["deploymentStrategy"] = json!({"type": "Recreate"});
    served["spec"]["predictor"]["scaleMetric"] = json!("cpu");
    served["spec"]["predictor"]["canaryTrafficPercent"] = json!(101);
    let found = told(&check(&served));
    for said in ["deploymentStrategy: is for mode Standard alone", "scaleMetric: is for mode Standard alone", "should be from 0 to 100"] {
        assert!(found.contains(said), "{found}");
    }
    served["metadata"]["annotations"]["autoscaling.knative.dev/class"] = json!("hpa.autoscaling.knative.dev");
    assert!(!told(&check(&served)).contains("scaleMetric"));
}

/// The rules of kserve v0.20's `validateCanarySpecs`, one by one.
#[test]
fn every_rule_for_canaries_holds() {
    let model = json!({"name": "kserve-container", "modelFormat": {"name": "onnx"}});
    let entry = |name: &str, percent: i64| json!({"trafficPercent": percent, "predictor": {"name": name, "model": model}});
    let second = |name: &str, percent| with("/spec/canary/-", entry(name, percent));
    for (service, said) in [
        (second("m3", 80), ""),
        (second("m3", 81), "spec.canary: the canaries together get 101 percent"),
        (second("m2", 0), "spec.canary[1].predictor.name: `m2` is there twice"),
        (second("", 0), "spec.canary[1].predictor.name: is missing"),
        (second("m3", -1), "spec.canary[1].trafficPercent: should be from 0 to 100"),
        (second("m3", 101), "spec.canary[1].trafficPercent: should be from 0 to 100"),
        (with("/spec/predictor/name", json!("m2")), "spec.canary[0].predictor.name: `m2` is the stable predictor's"),
        (with("/spec/predictor/name", json!("m1")), ""),
        (with("/spec/canary/0/predictor/maxReplicas", json!(2)), "predictor.maxReplicas: is forbidden"),
        (with("/spec/canary/0/predictor/scaleTarget", json!(2)), "predictor.scaleTarget: is forbidden"),
        (with("/spec/canary/0/predictor/scaleMetric", json!("cpu")), "predictor.scaleMetric: is forbidden"),
        (with("/spec/canary/0/predictor/autoScaling", json!({})), "predictor.autoScaling: is forbidden"),
        (with("/spec/canary/0/predictor/workerSpec", json!({})), "predictor.workerSpec: is forbidden"),
        (with("/spec/canary/0/predictor/minReplicas", json!(2)), ""),
        (with("/spec/canary/0/predictor/minReplicas", json!(3)), "predictor.minReplicas: exceeds the stable predictor's, 2"),
        (with("/spec/canary/0/predictor/model", json!(null)), "spec.canary[0].predictor: needs exactly one model"),
        (with("/spec/canary/0/predictor/model/name", json!(null)), "spec.canary[0].predictor.model.name: is missing"),
        (with("/spec/canary/0/predictor/model/modelFormat", json!(null)), "spec.canary[0].predictor.model.modelFormat: is missing"),
        (with("/spec/canary/0/trafficPercent", json!(null)), "spec.canary[0].trafficPercent: is missing"),
        (with("/spec/canary/0/predictor/storageUris", json!([{"uri": "oci://a"}])), "spec.canary[0].predictor: `storageUris` and"),
        (with("/spec/predictor/model", json!(null)), "spec.canary: needs a stable predictor with a model"),
    ] {
        let found = told(&check(&service));
        assert!(if said.is_empty() { found.is_empty() } else { found.contains(said) }, "{said}: {found}");
    }
}

#[test]
fn mount_paths_have_to_be_ones_that_kserve_can_mount() {
    let paths = |paths: &[&str]| {
        let entries: Vec<_> = paths.iter().map(|path| json!({"uri": "oci://quay.io/a@sha256:1", "mountPath": path})).collect();
        let mut service = with("/spec/canary", json!(null));
        service["spec"]["predictor"] = json!({"storageUris": entries, "model": {"modelFormat": {"name": "vLLM"}}});
        told(&check(&service))
    };
    assert_eq!(paths(&["/mnt/models/base/model", "/mnt/models/lora/model"]), "");
    assert_eq!(paths(&["/mnt/models"]), "");
    for (wrong, said) in [
        (&["/mnt/models/a", "/mnt/models/b"][..], "a folder of its own"),
        (&["/mnt/models/a/m", "/opt/models/m"], "a common folder"),
        (&["mnt/models"], "a path from the root"),
        (&["/mnt/../etc"], "a path from the root"),
        (&["/"], "a path from the root"),
    ] {
        assert!(paths(wrong).contains(said), "{wrong:?}: {}", paths(wrong));
    }
}

#[test]
fn an_older_kserve_does_not_know_what_came_later() {
    let native = with("/spec/predictor/model/storageUri", json!("oci+native://quay.io/a@sha256:1"));
    let mut percent = with("/spec/canary", json!(null));
    percent["metadata"]["annotations"] = json!({});
    percent["spec"]["predictor"]["canaryTrafficPercent"] = json!(10);
    let mut several = with("/spec/canary", json!(null));
    several["spec"]["predictor"] = json!({"storageUris": [{"uri": "oci://a"}], "model": {"modelFormat": {"name": "vLLM"}}});
    let mut knative = with("/spec/canary", json!(null));
    knative["metadata"]["annotations"] = json!({"serving.kserve.io/deploymentMode": "Knative"});
    for (object, generation, mode, said) in [
        (&service(), Generation::V0_17, Mode::Standard, "spec.canary: is dropped by KServe 0.17"),
        (&service(), Generation::Rhoai3_4, Mode::Standard, "spec.canary: is dropped by OpenShift AI 3.4"),
        (&service(), Generation::Rhoai3_5, Mode::Standard, ""),
        (&native, Generation::V0_17, Mode::Standard, "spec.predictor.model.storageUri: KServe 0.17 has no delivery `native`"),
        (&percent, Generation::V0_17, Mode::Standard, "canaryTrafficPercent: is silently ignored"),
        (&percent, Generation::V0_17, Mode::Knative, ""),
        (&several, Generation::V0_17, Mode::Standard, "storageUris: mounts no images on KServe 0.17"),
        (&several, Generation::V0_20, Mode::Standard, ""),
        (&knative, Generation::Rhoai3_5, Mode::Standard, "OpenShift AI 3.5 has no mode `knative`"),
        (&knative, Generation::V0_17, Mode::Standard, ""),
    ] {
        let found = told(&check_on(object, generation, mode));
        assert!(if said.is_empty() { found.is_empty() } else { found.contains(said) }, "{said}: {found}");
    }
}

#[test]
fn an_llm_service_is_read_too() {
    let llm = |version: &str, uri: &str| {
        json!({
            "apiVersion": format!("serving.kserve.io/{version}"), "kind": "LLMInferenceService", "metadata": {"name": "chat"},
            "spec": {"model": {"uri": uri}, "replicas": 1, "template": {"containers": [{"name": "main"}]}},
        })
    };
    for (object, generation, said) in [
        (llm("v1alpha2", "oci://a@sha256:1"), Generation::V0_20, ""),
        (llm("v1alpha1", "oci://a@sha256:1"), Generation::V0_20, ""),
        (llm("v1alpha1", "oci://a@sha256:1"), Generation::Rhoai3_3, ""),
        (llm("v1alpha2", "oci://a@sha256:1"), Generation::Rhoai3_3, "apiVersion: OpenShift AI 3.3 has serving.kserve.io/v1alpha1 alone"),
        (llm("v1alpha2", "oci+fetch://a@sha256:1"), Generation::V0_21, "spec.model.uri: an LLMInferenceService knows"),
        (llm("v1alpha2", "oci+native://a@sha256:1"), Generation::V0_17, "spec.model.uri: KServe 0.17 has no delivery"),
        (llm("v1alpha1", "oci://a@sha256:1"), Generation::V0_15, "kind: KServe 0.15 has no LLMInferenceService"),
    ] {
        let found = told(&check_on(&object, generation, Mode::Standard));
        assert!(if said.is_empty() { found.is_empty() } else { found.contains(said) }, "{said}: {found}");
    }
    let mut slip = llm("v1alpha2", "oci://a");
    slip["spec"]["replica"] = json!(1);
    slip["spec"]["template"]["container"] = json!([]);
    let found = told(&check(&slip));
    assert!(found.contains("did you mean `replicas`?") && found.contains("did you mean `containers`?"), "{found}");
}

#[test]
fn a_patch_leaves_out_and_takes_away_but_makes_no_slips() {
    let patch = json!({
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "spec": {"predictor": {"model": {"storageUri": null, "runtime": "x"}}},
    });
    assert_eq!(told(&check_patch(&patch)), "");
    assert!(told(&check(&patch)).contains("metadata: is missing"));
    let mut slip = patch;
    slip["spec"]["predictor"]["model"]["storageurl"] = json!("x");
    assert!(told(&check_patch(&slip)).contains("did you mean `storageUri`?"));
}

#[test]
fn other_kinds_are_not_judged_and_a_flood_of_slips_is_cut() {
    assert!(check(&json!({"apiVersion": "v1", "kind": "ConfigMap", "data": 1})).is_empty());
    assert!(check(&json!({"apiVersion": "other.io/v1", "kind": "InferenceService"})).is_empty());
    assert!(check(&json!([])).is_empty() && check(&json!("x")).is_empty());
    let mut many = service();
    (0..500).for_each(|at| many["spec"]["predictor"][format!("slip{at}")] = json!(1));
    assert_eq!(check(&many).len(), MAX_VIOLATIONS);
    let mut long = service();
    long["x".repeat(100_000)] = json!(1);
    assert!(told(&check(&long)).len() < 200);
    let twice = "m\u{1b}[2J".repeat(1000);
    let mut hostile = with("/spec/predictor/name", json!(twice));
    hostile["spec"]["canary"][0]["predictor"]["name"] = json!(twice);
    hostile["spec"]["a\u{1b}[2J"] = json!(1);
    let found = told(&check(&hostile));
    assert!(found.len() < 1000 && !found.contains('\u{1b}') && found.contains("spec.a?[2J: is not known"), "{found}");
}

#[test]
fn no_member_is_described_twice() {
    for kind in Kind::ALL {
        let all = members(kind);
        let names: std::collections::HashSet<_> = all.iter().map(|(path, _)| path).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() > 300, "{}", all.len());
    }
}
