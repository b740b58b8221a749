//! What is printed for each KServe, each delivery and each form: reviewed once, then kept byte for byte.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it rollout_patch` writes the files again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use modelcar::kserve::{Delivery, Generation, KserveError, Runtime};
use modelcar::rollout::{ModelFormat, PatchForm, RolloutError, Service, render};

use crate::support::{crd, need};

const DIGEST: &str = "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
const FORMS: [PatchForm; 4] = [PatchForm::Merge, PatchForm::Json6902, PatchForm::Kustomize, PatchForm::Manifest];

pub fn service(generation: Generation, delivery: Delivery) -> Service {
    Service {
        delivery,
        format: ModelFormat { name: "onnx".to_owned(), version: Some("1".to_owned()) },
        layout: Some(Runtime::Ovms),
        ..Service::new("iris".parse().unwrap(), format!("quay.io:8443/acme/iris:v1.0@{DIGEST}").parse().unwrap(), generation)
    }
}

/// KServe 0.15 ships no OpenVINO runtime, so there the user has to name one.
fn complete(generation: Generation, delivery: Delivery) -> Service {
    let runtime = (generation == Generation::V0_15).then(|| "my-ovms".to_owned());
    Service { runtime, ..service(generation, delivery) }
}

fn all() -> impl Iterator<Item = (Generation, Delivery)> {
    Generation::all().flat_map(|generation| generation.deliveries().iter().map(move |delivery| (generation, *delivery)))
}

/// Compares with the reviewed text in `tests/golden`.
pub fn expect_golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{}", file.display());
}

#[test]
fn prints_the_reviewed_text_for_every_generation_delivery_and_form() {
    for (generation, delivery) in all() {
        let service = complete(generation, delivery);
        let text = FORMS.map(|form| format!("#### {form:?}\n{}", render(&service, form).unwrap())).concat();
        expect_golden(&format!("patch/{}-{delivery}.txt", generation.name()), &text);
    }
}

/// A model of a format, as it is laid out for a server.
fn served(format: &str, layout: Runtime, generation: Generation) -> Service {
    let args = if format == "gguf" { vec!["--model=/mnt/models/q4.gguf".to_owned()] } else { Vec::new() };
    let format = ModelFormat { name: format.to_owned(), version: None };
    Service { format, layout: Some(layout), args, ..service(generation, Delivery::Modelcar) }
}

const SERVED: [(&str, Runtime, Generation); 20] = [
    ("openvino", Runtime::Ovms, Generation::V0_20),
    ("openvino", Runtime::Ovms, Generation::Rhoai3_4),
    ("openvino", Runtime::Triton, Generation::V0_17),
    ("savedmodel", Runtime::TensorflowServing, Generation::V0_15),
    ("savedmodel", Runtime::Ovms, Generation::Rhoai2_25),
    ("tflite", Runtime::Ovms, Generation::Rhoai3_5),
    ("torchscript", Runtime::Triton, Generation::V0_21),
    ("torchserve", Runtime::Torchserve, Generation::V0_17),
    ("sklearn", Runtime::Sklearnserver, Generation::V0_15),
    ("sklearn", Runtime::Mlserver, Generation::Rhoai3_4),
    ("xgboost", Runtime::Xgbserver, Generation::V0_20),
    ("lightgbm", Runtime::Lgbserver, Generation::V0_20),
    ("pmml", Runtime::Pmmlserver, Generation::V0_20),
    ("huggingface", Runtime::Vllm, Generation::V0_17),
    ("huggingface", Runtime::Vllm, Generation::V0_20),
    ("huggingface", Runtime::Vllm, Generation::Rhoai3_5),
    ("huggingface", Runtime::Huggingface, Generation::V0_21),
    ("gguf", Runtime::Vllm, Generation::V0_21),
    ("gguf", Runtime::Vllm, Generation::Rhoai3_4),
    ("triton", Runtime::Triton, Generation::V0_20),
];

#[test]
fn every_format_gets_the_runtime_and_the_words_of_its_platform() {
    let schema = crd::inference_service();
    let mut text = String::new();
    for (format, layout, generation) in SERVED {
        let manifest = render(&served(format, layout, generation), PatchForm::Manifest).unwrap();
        let read: serde_json::Value = serde_saphyr::from_str(&manifest).unwrap();
        if let Some(schema) = schema {
            assert_eq!(crd::violations(schema, &read), Vec::<String>::new(), "{format}");
        }
        let (head, model) = manifest.split_once("    model:\n").unwrap();
        assert!(head.contains(&format!("io.modelcar/format: {format}")), "{head}");
        text.extend(["#### ", format, " for ", layout.name(), " on ", &generation.to_string(), "\n", model]);
    }
    expect_golden("patch/formats.txt", &text);
}

#[test]
fn arguments_stand_in_a_manifest_and_replace_nobodys_list_in_a_patch() {
    let service = served("gguf", Runtime::Vllm, Generation::V0_21);
    for form in FORMS {
        let text = render(&service, form).unwrap();
        assert_eq!(text.contains("--model=/mnt/models/q4.gguf"), form == PatchForm::Manifest, "{form:?}");
    }
    let hostile = Service { args: vec!["--trust-remote-code".to_owned()], ..service };
    for form in FORMS {
        assert!(matches!(render(&hostile, form), Err(RolloutError::BadArgument { .. })));
    }
}

#[test]
fn a_server_that_the_platform_does_not_ship_has_to_be_named() {
    for (format, layout, generation) in [
        ("gguf", Runtime::Vllm, Generation::V0_17),
        ("sklearn", Runtime::Sklearnserver, Generation::Rhoai3_5),
        ("torchserve", Runtime::Torchserve, Generation::Rhoai3_4),
        ("savedmodel", Runtime::Raw, Generation::V0_17),
        ("huggingface", Runtime::Huggingface, Generation::Rhoai3_4),
    ] {
        let service = served(format, layout, generation);
        let error = render(&service, PatchForm::Manifest).unwrap_err();
        assert!(matches!(error, RolloutError::RuntimeNeeded { .. }), "{format}: {error:?}");
        let named = Service { runtime: Some("mine".to_owned()), ..service };
        assert!(render(&named, PatchForm::Manifest).unwrap().contains("runtime: mine"));
    }
}

/// A service as it may lie in a cluster: no annotations, no image.
const BARE: &str = "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: iris\n  namespace: models\n\
                    spec:\n  predictor:\n    model:\n      modelFormat:\n        name: onnx\n";

#[test]
fn kubectl_applies_every_patch_to_a_bare_service() {
    let Some(kubectl) = need("kubectl") else { return };
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("bare.yaml", BARE);
    for (generation, delivery) in
        [(Generation::V0_15, Delivery::Modelcar), (Generation::V0_20, Delivery::Native), (Generation::V0_21, Delivery::Fetch)]
    {
        for (form, args) in [
            (PatchForm::Merge, &["patch", "--local", "-f", "bare.yaml", "-o", "yaml", "--type", "merge", "--patch-file", "patch"][..]),
            (PatchForm::Json6902, &["patch", "--local", "-f", "bare.yaml", "-o", "yaml", "--type", "json", "--patch-file", "patch"][..]),
            (PatchForm::Kustomize, &["kustomize", "."][..]),
        ] {
            let text = render(&complete(generation, delivery), form).unwrap();
            put("patch", &text);
            put("kustomization.yaml", &(text + "resources: [bare.yaml]\n"));
            let done = Command::new(&kubectl).current_dir(dir.path()).args(args).output().unwrap();
            assert!(done.status.success(), "{form:?}: {}", String::from_utf8_lossy(&done.stderr));
            let uri = format!("      storageUri: {}://quay.io:8443/acme/iris@{DIGEST}\n", delivery.scheme());
            let result = String::from_utf8(done.stdout).unwrap();
            assert!(result.contains(&uri) && result.contains("name: onnx"), "{form:?}: {result}");
        }
    }
}

#[test]
fn names_the_digest_and_never_the_tag_in_the_uri() {
    for (generation, delivery) in all() {
        for form in FORMS {
            let text = render(&complete(generation, delivery), form).unwrap();
            let uri = format!("{}://quay.io:8443/acme/iris@{DIGEST}", delivery.scheme());
            assert_eq!(text.matches("://quay.io").count(), 1, "{text}");
            assert!(text.contains(&uri), "{text}");
        }
    }
}

#[test]
fn manifests_pass_the_inference_service_schema() {
    let Some(schema) = crd::inference_service() else { return };
    for (generation, delivery) in all() {
        let service = Service { namespace: Some("models".to_owned()), ..complete(generation, delivery) };
        let manifest = serde_saphyr::from_str(&render(&service, PatchForm::Manifest).unwrap()).unwrap();
        assert_eq!(crd::violations(schema, &manifest), Vec::<String>::new());
    }
}

#[test]
fn the_schema_check_itself_finds_what_is_wrong() {
    let Some(schema) = crd::inference_service() else { return };
    let manifest = render(&service(Generation::V0_20, Delivery::Native), PatchForm::Manifest).unwrap();
    for (from, to, said) in [
        ("storageUri:", "storageURI:", ".spec.predictor.model.storageURI is unknown"),
        ("name: onnx", "nom: onnx", ".spec.predictor.model.modelFormat.name is missing"),
        ("runtime: kserve-openvino", "runtime: 1", ".spec.predictor.model.runtime should be \"string\", is 1"),
        ("spec:", "metadata2: {}\nspec:", ".metadata2 is unknown"),
    ] {
        assert!(manifest.contains(from), "{from} in {manifest}");
        let broken = serde_saphyr::from_str(&manifest.replace(from, to)).unwrap();
        assert!(crd::violations(schema, &broken).contains(&said.to_owned()), "{:?}", crd::violations(schema, &broken));
    }
}

/// RFC 6902 as far as `add` goes: the parent has to be there.
#[test]
fn json_patch_applies_to_a_service_without_annotations_or_uri() {
    let patch: serde_json::Value =
        serde_json::from_str(&render(&complete(Generation::V0_15, Delivery::Modelcar), PatchForm::Json6902).unwrap()).unwrap();
    let mut object = serde_json::json!({"metadata": {"name": "iris"}, "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}}}}});
    for operation in patch.as_array().unwrap() {
        assert_eq!(operation["op"], "add");
        let (parent, key) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = operation["value"].clone();
    }
    assert_eq!(object["spec"]["predictor"]["model"]["runtime"], "my-ovms");
    assert!(object["spec"]["predictor"]["model"]["storageUri"].as_str().unwrap().ends_with(DIGEST));
}

type Expected = fn(&RolloutError) -> bool;

#[test]
fn refuses_what_would_not_run() {
    let ovms = |generation, delivery| service(generation, delivery);
    let mlserver = Service { layout: Some(Runtime::Mlserver), ..service(Generation::Rhoai3_5, Delivery::Native) };
    let triton = Service { layout: Some(Runtime::Triton), ..service(Generation::Rhoai3_4, Delivery::Modelcar) };
    let by_tag = Service { image: "quay.io/acme/iris:v1".parse().unwrap(), ..ovms(Generation::V0_20, Delivery::Modelcar) };
    let annotated =
        Service { annotations: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..ovms(Generation::V0_20, Delivery::Modelcar) };
    let outside = Service { namespace: Some("../up".to_owned()), ..ovms(Generation::V0_20, Delivery::Modelcar) };
    let base = || ovms(Generation::V0_20, Delivery::Modelcar);
    let placed = || Service { namespace: Some("models".to_owned()), ..base() };
    let mismatched = Service { runtime: Some("kserve-tritonserver".to_owned()), ..base() };
    let upstream_mlserver = Service { layout: Some(Runtime::Mlserver), ..base() };
    let cases: [(Service, PatchForm, Expected); 12] = [
        (placed(), PatchForm::Merge, |error| matches!(error, RolloutError::NamespaceInPatch { .. })),
        (placed(), PatchForm::Json6902, |error| matches!(error, RolloutError::NamespaceInPatch { .. })),
        (mismatched, PatchForm::Manifest, |error| matches!(error, RolloutError::RuntimeMismatch { .. })),
        (upstream_mlserver, PatchForm::Manifest, |error| matches!(error, RolloutError::RuntimeNeeded { .. })),
        (ovms(Generation::V0_17, Delivery::Native), PatchForm::Merge, |error| {
            matches!(error, RolloutError::Kserve(KserveError::Unsupported { .. }))
        }),
        (ovms(Generation::Rhoai3_5, Delivery::Fetch), PatchForm::Manifest, |error| {
            matches!(error, RolloutError::Kserve(KserveError::Unsupported { .. }))
        }),
        (ovms(Generation::V0_15, Delivery::Modelcar), PatchForm::Manifest, |error| matches!(error, RolloutError::RuntimeNeeded { .. })),
        (triton, PatchForm::Manifest, |error| matches!(error, RolloutError::RuntimeNeeded { .. })),
        (mlserver, PatchForm::Merge, |error| matches!(error, RolloutError::MlserverNative { .. })),
        (by_tag, PatchForm::Kustomize, |error| matches!(error, RolloutError::NoDigest { .. })),
        (annotated, PatchForm::Json6902, |error| matches!(error, RolloutError::AnnotationsInJsonPatch)),
        (outside, PatchForm::Manifest, |error| matches!(error, RolloutError::InvalidName { .. })),
    ];
    for (service, form, expected) in cases {
        let error = render(&service, form).unwrap_err();
        assert!(expected(&error), "{error:?}");
        assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error:?}");
    }
}

#[test]
fn takes_only_a_name_for_the_format_of_a_strangers_image() {
    for name in ["", "Onnx", "-onnx", "on nx", "onnx\nkind: Secret", "{{ x }}", "onnx:", &"x".repeat(64)] {
        let format = ModelFormat { name: name.to_owned(), version: None };
        let error = render(&Service { format, ..service(Generation::V0_20, Delivery::Native) }, PatchForm::Merge).unwrap_err();
        assert!(matches!(error, RolloutError::BadFormat { .. }), "{error:?}");
    }
}

#[test]
fn a_kustomization_patches_only_in_the_namespace_given() {
    let placed = Service { namespace: Some("models".to_owned()), ..service(Generation::V0_20, Delivery::Native) };
    let text = render(&placed, PatchForm::Kustomize).unwrap();
    let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(read["patches"][0]["target"]["namespace"], "models");
    let Some(kubectl) = need("kubectl") else { return };
    for (resource, patched) in [(BARE.to_owned(), true), (BARE.replace("namespace: models", "namespace: others"), false)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bare.yaml"), resource).unwrap();
        std::fs::write(dir.path().join("kustomization.yaml"), format!("{text}resources: [bare.yaml]\n")).unwrap();
        let done = Command::new(&kubectl).arg("kustomize").arg(dir.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&done.stdout).contains("storageUri: oci+native://"), patched);
    }
}

#[test]
fn keeps_any_annotation_one_string() {
    let hostile = BTreeMap::from([
        ("x".to_owned(), "yes".to_owned()),
        ("y".to_owned(), "a\nkind: Secret # {{".to_owned()),
        ("z".to_owned(), "1e3".to_owned()),
    ]);
    let service = Service { annotations: hostile.clone(), ..service(Generation::V0_20, Delivery::Native) };
    for form in [PatchForm::Merge, PatchForm::Manifest] {
        let read: serde_json::Value = serde_saphyr::from_str(&render(&service, form).unwrap()).unwrap();
        for (key, value) in &hostile {
            assert_eq!(read["metadata"]["annotations"][key], **value, "{form:?}");
        }
    }
    let outer: serde_json::Value = serde_saphyr::from_str(&render(&service, PatchForm::Kustomize).unwrap()).unwrap();
    let inner: serde_json::Value = serde_saphyr::from_str(outer["patches"][0]["patch"].as_str().unwrap()).unwrap();
    assert_eq!(inner["metadata"]["annotations"]["y"], hostile["y"]);
}
