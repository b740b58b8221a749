//! Our own description of KServe's kinds against KServe's: names, types, and everything that this tool writes.

use std::collections::{BTreeMap, HashMap};

use modelcar::kserve::schema::{self, check, check_on, check_patch};
use modelcar::kserve::{CanaryWay, Delivery, Generation, Kind, Mode, Protocol, Runtime};
use modelcar::oci::Digest;
use modelcar::rollout::{
    Beside, ModelFormat, ModelSource, PatchForm, Resources, RolloutError, Scale, Service, Settings, Strategy as Replacing, render,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::crd;

/// The schema of a kind in the newest version of it that the CRD has.
fn crd_of(kind: Kind, version: &str) -> Option<Value> {
    Some(crd::schema(&crd::crd_dir()?, "serving.kserve.io", kind.kind(), version))
}

/// The node of a structural schema at a path such as `spec.canary[].predictor`.
fn node<'s>(schema: &'s Value, path: &str) -> Option<&'s Value> {
    path.split('.').try_fold(schema, |at, part| {
        let (name, items) = part.strip_suffix("[]").map_or((part, false), |name| (name, true));
        let member = at["properties"].get(name)?;
        Some(if items { &member["items"] } else { member })
    })
}

/// What the CRD leaves to the API server, or to whoever writes the object by hand.
fn is_of_the_api_server(path: &str) -> bool {
    path.starts_with("metadata")
}

#[test]
fn every_member_that_we_describe_is_one_of_kserves() {
    let newest = [(Kind::InferenceService, &["v1beta1"][..]), (Kind::LlmInferenceService, &["v1alpha1", "v1alpha2"])];
    for (kind, versions) in newest {
        let Some(schemas) = versions.iter().map(|version| crd_of(kind, version)).collect::<Option<Vec<_>>>() else { return };
        let mut compared = 0;
        for (path, wanted) in schema::members(kind).into_iter().filter(|(path, _)| !is_of_the_api_server(path)) {
            let found = schemas.iter().find_map(|schema| node(schema, &path)).unwrap_or_else(|| panic!("{path} is not in the CRD"));
            let is = found["type"].as_str();
            assert!(wanted.is_none() || is.is_none() || is == wanted, "{path}: {wanted:?} is {is:?} in the CRD");
            compared += usize::from(wanted.is_some() && is.is_some());
        }
        assert!(compared > 300, "{compared}");
    }
}

/// Where people write: all names there have to be known, or a right one would be called wrong.
#[test]
fn every_member_of_kserves_at_the_places_that_people_write_is_described() {
    let Some(service) = crd_of(Kind::InferenceService, "v1beta1") else { return };
    let places = [
        "spec",
        "spec.predictor",
        "spec.predictor.model",
        "spec.predictor.model.modelFormat",
        "spec.predictor.model.storage",
        "spec.predictor.model.env[]",
        "spec.predictor.model.ports[]",
        "spec.predictor.model.resources",
        "spec.predictor.storageUris[]",
        "spec.predictor.containers[]",
        "spec.predictor.initContainers[]",
        "spec.predictor.deploymentStrategy",
        "spec.predictor.deploymentStrategy.rollingUpdate",
        "spec.predictor.logger",
        "spec.predictor.batcher",
        "spec.predictor.workerSpec",
        "spec.predictor.tolerations[]",
        "spec.predictor.imagePullSecrets[]",
        "spec.transformer",
        "spec.explainer",
        "spec.canary[]",
        "spec.canary[].predictor",
        "spec.canary[].predictor.model",
    ];
    expect_all_known(Kind::InferenceService, &service, &places);
    for version in ["v1alpha1", "v1alpha2"] {
        let Some(service) = crd_of(Kind::LlmInferenceService, version) else { return };
        let places = [
            "spec",
            "spec.model",
            "spec.model.lora",
            "spec.router",
            "spec.router.gateway",
            "spec.router.route",
            "spec.router.scheduler",
            "spec.parallelism",
            "spec.scaling",
            "spec.prefill",
            "spec.template",
            "spec.worker",
            "spec.template.containers[]",
            "spec.tracing",
            "spec.storageInitializer",
            "spec.baseRefs[]",
        ];
        expect_all_known(Kind::LlmInferenceService, &service, &places);
    }
}

fn expect_all_known(kind: Kind, crd: &Value, places: &[&str]) {
    let ours: HashMap<_, _> = schema::members(kind).into_iter().collect();
    for place in places {
        let members = node(crd, place).unwrap_or_else(|| panic!("{place} is not in the CRD"))["properties"].as_object().unwrap();
        assert!(!members.is_empty());
        for name in members.keys() {
            assert!(ours.contains_key(&format!("{place}.{name}")), "{place}.{name} is in the CRD and not in our tables");
        }
    }
}

/// What the stable predictor may leave out, a canary has to say.
#[test]
fn a_canarys_model_requires_what_kserves_does() {
    let Some(service) = crd_of(Kind::InferenceService, "v1beta1") else { return };
    let required = |path: &str| node(&service, path).unwrap()["required"].clone();
    assert_eq!(required("spec.canary[].predictor.model"), serde_json::json!(["modelFormat", "name"]));
    assert_eq!(required("spec.canary[]"), serde_json::json!(["predictor", "trafficPercent"]));
    assert_eq!(required("spec.predictor.model"), Value::Null);
}

fn image(name: &str) -> modelcar::oci::Reference {
    format!("quay.io/acme/{name}:v1@{}", Digest::of(name.as_bytes())).parse().unwrap()
}

const FORMATS: [(&str, Option<Runtime>); 9] = [
    ("onnx", Some(Runtime::Ovms)),
    ("onnx", Some(Runtime::Triton)),
    ("openvino", Some(Runtime::Ovms)),
    ("sklearn", Some(Runtime::Mlserver)),
    ("sklearn", Some(Runtime::Sklearnserver)),
    ("savedmodel", Some(Runtime::TensorflowServing)),
    ("safetensors", Some(Runtime::Vllm)),
    ("gguf", Some(Runtime::Vllm)),
    ("safetensors", Some(Runtime::Huggingface)),
];

fn settings() -> impl Strategy<Value = Settings> {
    let replicas = (prop::option::of(0u32..4), prop::option::of(0u32..4));
    let scale = prop::option::of(prop::sample::select(vec!["cpu=80", "memory", "rps=10", "concurrency", "cpu=0"]));
    let access = (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY, prop::bool::ANY);
    let strategy = prop::sample::select(vec![Replacing::Platform, Replacing::Recreate, Replacing::InPlace]);
    let protocol = prop::option::of(prop::sample::select(Protocol::ALL.to_vec()));
    let resources = (prop::option::of(prop::sample::select(vec!["500m", "2"])), 0u32..3);
    (prop::sample::select(Mode::ALL.to_vec()), replicas, scale, access, strategy, protocol, resources).prop_map(
        |(mode, (min_replicas, max_replicas), scale, (secret, connection, account, exposed), strategy, protocol, (cpu, gpus))| {
            let named = |there: bool| there.then(|| "quay".to_owned());
            Settings {
                mode,
                min_replicas,
                max_replicas,
                scale: scale.map(|text| text.parse::<Scale>().unwrap()),
                protocol,
                pull_secrets: named(secret).into_iter().collect(),
                connection: named(connection),
                service_account: named(account),
                exposed,
                strategy,
                resources: Resources { cpu: cpu.map(|text| text.parse().unwrap()), memory: None, gpus },
                env: if account { BTreeMap::from([("VLLM_LOGGING_LEVEL".to_owned(), "DEBUG".to_owned())]) } else { BTreeMap::new() },
                args: if secret { vec!["--max-model-len=4096".to_owned()] } else { Vec::new() },
                ..Settings::default()
            }
        },
    )
}

fn any_service() -> impl Strategy<Value = Service> {
    let generation = prop::sample::select(Generation::all().collect::<Vec<_>>());
    let format = prop::sample::select(FORMATS.to_vec());
    let (delivery, kind) = (prop::sample::select(Delivery::ALL.to_vec()), prop::sample::select(Kind::ALL.to_vec()));
    let rest = (prop::bool::ANY, prop::bool::ANY, 0usize..3);
    (generation, format, delivery, kind, rest, settings()).prop_map(
        |(generation, (format, layout), delivery, kind, (named, placed, adapters), settings)| Service {
            namespace: placed.then(|| "models".to_owned()),
            delivery,
            format: ModelFormat { name: format.to_owned(), version: None },
            runtime: named.then(|| "my-runtime".to_owned()),
            layout,
            args: if format == "gguf" { vec!["--model=/mnt/models/q4.gguf".to_owned()] } else { Vec::new() },
            kind,
            sources: (0..adapters).map(|at| ModelSource { name: format!("a{at}"), image: image(&format!("a{at}")) }).collect(),
            settings,
            ..Service::new("iris".parse().unwrap(), image("iris"), generation)
        },
    )
}

/// The CRD that stands for a service's KServe, by kind and version.
fn schema_of(service: &Service) -> Option<&'static Value> {
    use std::sync::OnceLock;
    static LLM: OnceLock<Option<[Value; 2]>> = OnceLock::new();
    match service.kind {
        Kind::InferenceService => crd::inference_service(),
        Kind::LlmInferenceService => {
            let llm = |version| crd_of(Kind::LlmInferenceService, version);
            let both = LLM.get_or_init(|| Some([llm("v1alpha1")?, llm("v1alpha2")?])).as_ref()?;
            let version = service.kind.api_version(service.generation).unwrap();
            Some(if version.ends_with("v1alpha1") { &both[0] } else { &both[1] })
        }
    }
}

/// A patch as it is applied: what is null goes.
fn merged(below: &mut Value, above: &Value) {
    let (Value::Object(below), Value::Object(above)) = (&mut *below, above) else { return *below = above.clone() };
    for (key, value) in above {
        if value.is_null() {
            below.remove(key);
        } else {
            merged(below.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn told(service: &Service, object: &Value) -> Vec<String> {
    let mut all: Vec<_> = check_on(object, service.generation, service.settings.mode).iter().map(ToString::to_string).collect();
    all.extend(schema_of(service).map(|schema| crd::violations(schema, object)).unwrap_or_default());
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whatever is asked of whatever KServe: it is refused with a hint, or what is written is right by KServe's schema and ours.
    #[test]
    fn what_is_written_is_right_for_every_generation_mode_format_and_setting(service in any_service()) {
        let manifest = match render(&service, PatchForm::Manifest) {
            Ok(text) => yaml(&text),
            Err(error) => {
                prop_assert!(error.hint().is_some(), "{error}");
                return Ok(());
            }
        };
        prop_assert_eq!(told(&service, &manifest), Vec::<String>::new());

        let mut patch = yaml(&render(&Service { namespace: None, ..service.clone() }, PatchForm::Merge).unwrap());
        let mut applied = manifest.clone();
        merged(&mut applied, &patch);
        prop_assert_eq!(told(&service, &applied), Vec::<String>::new());
        patch["apiVersion"] = manifest["apiVersion"].clone();
        patch["kind"] = manifest["kind"].clone();
        prop_assert_eq!(check_patch(&patch), Vec::new());

        if matches!(service.canary_way(), Ok(CanaryWay::List)) && service.sources.is_empty() {
            let mut beside = manifest;
            let format = beside["spec"]["predictor"]["model"]["modelFormat"].clone();
            let newer = Service { image: image("newer"), ..service.clone() };
            beside["spec"]["canary"] = serde_json::json!([newer.canary_entry(10, &Beside { format: Some(&format), ..Beside::default() }).unwrap()]);
            prop_assert_eq!(told(&service, &beside), Vec::<String>::new());
        }
    }
}

/// The checker is no echo of the writer: a slip in what is written is found by both.
#[test]
fn a_slip_in_what_is_written_is_found_by_kserves_schema_and_ours() {
    let service = Service {
        format: ModelFormat { name: "onnx".to_owned(), version: None },
        layout: Some(Runtime::Ovms),
        ..Service::new("iris".parse().unwrap(), image("iris"), Generation::V0_20)
    };
    let manifest = render(&service, PatchForm::Manifest).unwrap();
    for (from, to) in
        [("storageUri:", "storageURI:"), ("modelFormat:", "modelformat:"), ("predictor:", "predictors:"), ("model:", "models:")]
    {
        assert!(manifest.contains(from), "{from}");
        let broken = yaml(&manifest.replace(from, to));
        let found: Vec<_> = check(&broken).iter().filter(|one| one.nearest == from.strip_suffix(':')).cloned().collect();
        assert_eq!(found.len(), 1, "{from}: {:?}", check(&broken));
        if let Some(schema) = crd::inference_service() {
            assert!(!crd::violations(schema, &broken).is_empty());
        }
    }
}

#[test]
fn an_image_in_a_json_patch_stands_at_the_place_of_its_kind() {
    let llm = Service {
        kind: Kind::LlmInferenceService,
        layout: Some(Runtime::Vllm),
        ..Service::new("chat".parse().unwrap(), image("chat"), Generation::V0_20)
    };
    let patch = render(&llm, PatchForm::Json6902).unwrap();
    assert!(patch.contains("\"path\": \"/spec/model/uri\""), "{patch}");
    let source = ModelSource { name: "legal".to_owned(), image: image("legal") };
    let several = Service { kind: Kind::InferenceService, sources: vec![source], ..llm };
    assert!(matches!(render(&several, PatchForm::Json6902), Err(RolloutError::Setting { setting: "source", .. })));
    let merge = yaml(&render(&several, PatchForm::Merge).unwrap());
    assert!(merge["spec"]["predictor"]["model"].as_object().unwrap()["storageUri"].is_null());
}
