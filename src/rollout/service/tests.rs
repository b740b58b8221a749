use super::render::{PatchForm, render};
use super::*;
use crate::kserve::{Mode, Protocol};

#[test]
fn a_runtime_that_a_layout_gets_passes_for_that_layout_and_no_other() {
    let servers = [Runtime::Ovms, Runtime::Triton, Runtime::Mlserver];
    for layout in servers {
        for runtime in Generation::all().filter_map(|generation| layout.shipped_as("sklearn", generation)) {
            assert!(check_layout(runtime, Some(layout)).is_ok(), "{runtime}");
            for other in servers.into_iter().filter(|other| *other != layout) {
                let error = check_layout(runtime, Some(other)).unwrap_err();
                assert!(error.to_string().contains(runtime) && error.hint().unwrap().contains(layout.name()), "{error}");
            }
            assert!(check_layout(runtime, Some(Runtime::Raw)).is_ok() && check_layout(runtime, None).is_ok());
        }
    }
    assert!(check_layout("my-triton", Some(Runtime::Ovms)).is_ok());
}

#[test]
fn who_has_to_name_a_runtime_hears_which_server_the_platform_ships() {
    for (format, layout, generation, server) in [
        ("xgboost", Runtime::Xgbserver, Generation::Rhoai3_4, Some("--runtime mlserver")),
        ("onnx", Runtime::Triton, Generation::Rhoai2_25, Some("--runtime ovms")),
        ("sklearn", Runtime::Sklearnserver, Generation::Rhoai2_25, None),
    ] {
        let service = Service {
            format: ModelFormat { name: format.to_owned(), version: None },
            layout: Some(layout),
            ..Service::new("m".parse().unwrap(), "quay.io/o/m:v1".parse().unwrap(), generation)
        };
        let hint = service.runtime_of_new().unwrap_err().hint().unwrap();
        assert_eq!(hint.contains("build the image with"), server.is_some(), "{hint}");
        assert!(server.is_none_or(|server| hint.contains(server)) && !hint.contains("Triton"), "{hint}");
    }
}

#[test]
fn an_image_cannot_turn_other_switches_of_the_server() {
    let check = |arg: &str| args::check_args(&[arg.to_owned()]);
    for arg in ["--model=/mnt/models/q4.gguf", "--tokenizer=/mnt/models/tok/tokenizer.json", "--model=/mnt/models/模型 v1.gguf"] {
        assert!(check(arg).is_ok(), "{arg}");
    }
    for arg in [
        "--trust-remote-code",
        "--model=org/name",
        "--model=/mnt/models/../../etc/passwd",
        "--model=/mnt/models/",
        "--model=/mnt/models/a\nb",
        "--model=/mnt/models/$(X)\u{202e}",
        "",
    ] {
        let error = check(arg).unwrap_err();
        assert!(matches!(error, RolloutError::BadArgument { .. }) && error.hint().is_some(), "{arg}");
    }
    let many = vec!["--model=/mnt/models/a".to_owned(); args::MAX_ARGS + 1];
    assert!(args::check_args(&many).is_err());
}

/// An ONNX model for OpenVINO on one KServe.
fn onnx(generation: Generation, settings: Settings) -> Service {
    let image = format!("quay.io/acme/iris:v1@{}", Digest::of(b"v1")).parse().unwrap();
    let format = ModelFormat { name: "onnx".to_owned(), version: None };
    Service { format, layout: Some(Runtime::Ovms), settings, ..Service::new("iris".parse().unwrap(), image, generation) }
}

/// A language model on one KServe.
fn chat(generation: Generation, settings: Settings) -> Service {
    let format = ModelFormat { name: "safetensors".to_owned(), version: None };
    Service { format, layout: Some(Runtime::Vllm), ..onnx(generation, settings) }
}

fn llm(generation: Generation, settings: Settings) -> Service {
    Service { kind: Kind::LlmInferenceService, ..chat(generation, settings) }
}

fn knative() -> Settings {
    Settings { mode: Mode::Knative, ..Settings::default() }
}

fn scaled(text: &str) -> Settings {
    Settings { scale: Some(text.parse().unwrap()), ..Settings::default() }
}

fn spoken(protocol: Protocol) -> Settings {
    Settings { protocol: Some(protocol), ..Settings::default() }
}

#[test]
fn refuses_what_the_generation_or_the_mode_cannot_do_and_says_what_to_do() {
    use Generation::{Rhoai3_5, V0_15, V0_20, V0_21};
    let base = Settings::default;
    let replicas = |min, max| Settings { min_replicas: min, max_replicas: max, ..base() };
    for (service, said) in vec![
        (onnx(Rhoai3_5, knative()), "has no mode `knative`"),
        (onnx(V0_20, Settings { strategy: Strategy::Recreate, ..knative() }), "`recreate`: KServe takes a deployment strategy in mode"),
        (onnx(V0_20, scaled("rps=5")), "`scale`: in mode `standard` no autoscaler measures `rps`"),
        (onnx(V0_20, Settings { mode: Mode::Knative, ..scaled("cpu=80") }), "in mode `knative` no autoscaler measures `cpu`"),
        (onnx(V0_20, scaled("cpu=0")), "0 is no target"),
        (onnx(V0_20, scaled("memory=101")), "101 is no target"),
        (onnx(V0_20, replicas(Some(0), None)), "a Deployment keeps at least one pod"),
        (onnx(V0_20, replicas(Some(3), Some(2))), "lower than the fewest pods, 3"),
        (onnx(V0_20, replicas(None, Some(0))), "lower than the fewest pods, 1"),
        (onnx(V0_20, Settings { connection: Some("oci".to_owned()), ..base() }), "KServe 0.20 has no connections"),
        (onnx(V0_20, Settings { pull_secrets: vec!["Quay".to_owned()], ..base() }), "not a valid pull secret's name"),
        (onnx(V0_20, Settings { service_account: Some("a b".to_owned()), ..base() }), "not a valid service account's name"),
        (onnx(V0_20, Settings { args: vec!["--a\u{202e}".to_owned()], ..base() }), "`args`"),
        (onnx(V0_20, Settings { env: BTreeMap::from([("A B".to_owned(), String::new())]), ..base() }), "`env`"),
        (onnx(Rhoai3_5, spoken(Protocol::V1)), "the ServingRuntime for ovms on OpenShift AI 3.5 does not speak `v1`"),
        (onnx(V0_20, spoken(Protocol::GrpcV1)), "does not speak `grpc-v1`"),
        (llm(V0_15, base()), "KServe 0.15 has no LLMInferenceService"),
        (llm(V0_20, knative()), "`mode`"),
        (Service { delivery: Delivery::Fetch, ..llm(V0_21, base()) }, "`delivery`"),
        (Service { layout: Some(Runtime::Ovms), ..llm(V0_20, base()) }, "laid out for a server of other models"),
        (Service { runtime: Some("mine".to_owned()), layout: None, ..llm(V0_20, base()) }, "`serving-runtime`"),
        (Service { args: vec!["--model=/mnt/models/q4.gguf".to_owned()], ..llm(V0_20, base()) }, "which file to load"),
        (llm(V0_20, replicas(Some(1), Some(2))), "`max-replicas`"),
        (llm(V0_20, spoken(Protocol::V2)), "`protocol`"),
        (llm(V0_20, Settings { strategy: Strategy::Recreate, ..base() }), "`recreate`"),
        (llm(V0_20, Settings { args: vec!["--x".to_owned()], ..base() }), "`args`"),
    ] {
        let error = service.check().unwrap_err();
        assert!(error.to_string().contains(said) && error.hint().is_some(), "{said}: {error}");
    }
    for service in [
        onnx(V0_15, Settings { min_replicas: Some(0), max_replicas: Some(3), scale: "rps=5".parse().ok(), ..knative() }),
        onnx(V0_20, Settings { max_replicas: Some(3), ..scaled("cpu=80") }),
        onnx(Rhoai3_5, spoken(Protocol::GrpcV2)),
        Service { runtime: Some("mine".to_owned()), ..chat(V0_20, spoken(Protocol::GrpcV1)) },
        llm(Rhoai3_5, Settings { connection: Some("oci".to_owned()), min_replicas: Some(2), ..base() }),
    ] {
        assert!(service.check().is_ok(), "{:?}", service.check());
    }
}

#[test]
fn grpc_gets_a_port_that_the_platform_recognises() {
    for (generation, settings, port) in [
        (Generation::Rhoai3_5, spoken(Protocol::GrpcV2), json!([{"containerPort": 8001, "name": "grpc", "protocol": "TCP"}])),
        (Generation::V0_20, spoken(Protocol::GrpcV2), json!([{"containerPort": 9000, "name": "grpc", "protocol": "TCP"}])),
        (
            Generation::V0_20,
            Settings { mode: Mode::Knative, ..spoken(Protocol::GrpcV2) },
            json!([{"containerPort": 9000, "name": "h2c", "protocol": "TCP"}]),
        ),
        (Generation::V0_20, spoken(Protocol::V2), Value::Null),
        (Generation::V0_20, Settings::default(), Value::Null),
    ] {
        let skeleton = onnx(generation, settings.clone()).skeleton().unwrap();
        let model = &skeleton["spec"]["predictor"]["model"];
        assert_eq!(model["ports"], port, "{generation}");
        assert_eq!(model["protocolVersion"].as_str(), settings.protocol.map(Protocol::name), "{generation}");
    }
}

#[test]
fn the_label_for_a_route_is_there_where_somebody_reads_it() {
    let exposed = || Settings { exposed: true, ..Settings::default() };
    for (service, labelled) in [
        (onnx(Generation::Rhoai3_5, exposed()), true),
        (onnx(Generation::Rhoai2_25, exposed()), true),
        (onnx(Generation::Rhoai2_25, Settings { mode: Mode::Knative, ..exposed() }), false),
        (onnx(Generation::V0_20, exposed()), false),
        (onnx(Generation::Rhoai3_5, Settings::default()), false),
    ] {
        let skeleton = service.skeleton().unwrap();
        let label = &skeleton["metadata"]["labels"]["networking.kserve.io/visibility"];
        assert_eq!(label == "exposed", labelled, "{skeleton}");
    }
    let routed = llm(Generation::V0_20, exposed()).skeleton().unwrap();
    assert_eq!(routed["spec"]["router"], json!({"gateway": {}, "route": {}}));
}

#[test]
fn gpus_are_asked_for_by_the_accelerators_name() {
    let gpu = || Settings { resources: Resources { gpus: 2, memory: "8Gi".parse().ok(), cpu: None }, ..Settings::default() };
    for (runtime, resource) in
        [("vllm-cuda-runtime", "nvidia.com/gpu"), ("vllm-rocm-runtime", "amd.com/gpu"), ("vllm-gaudi-runtime", "habana.ai/gaudi")]
    {
        let service = Service { runtime: Some(runtime.to_owned()), ..chat(Generation::Rhoai3_5, gpu()) };
        let resources = &service.skeleton().unwrap()["spec"]["predictor"]["model"]["resources"];
        let amounts = json!({resource: "2", "memory": "8Gi"});
        assert_eq!(*resources, json!({"requests": amounts, "limits": amounts}), "{runtime}");
    }
}

#[test]
fn a_new_service_gets_a_runtime_that_the_site_has() {
    let site = |runtimes: &[&str]| Settings { runtimes: runtimes.iter().map(|name| (*name).to_owned()).collect(), ..Settings::default() };
    for (service, runtime) in [
        (onnx(Generation::V0_20, site(&["kserve-tritonserver", "kserve-openvino"])), Some("kserve-openvino")),
        (onnx(Generation::V0_20, site(&["kserve-tritonserver", "kserve-ovms"])), Some("kserve-ovms")),
        (chat(Generation::Rhoai3_5, site(&["kserve-ovms", "vllm-rocm-runtime"])), Some("vllm-rocm-runtime")),
        (chat(Generation::Rhoai3_5, site(&[])), None),
    ] {
        assert_eq!(service.runtime_of_new().unwrap(), runtime);
    }
    let none = onnx(Generation::V0_20, site(&["kserve-tritonserver"]));
    assert!(matches!(none.runtime_of_new(), Err(RolloutError::RuntimeNeeded { .. })));
    let named = Service { runtime: Some("mine".to_owned()), ..none };
    assert_eq!(named.runtime_of_new().unwrap(), Some("mine"));
}

#[test]
fn arguments_of_the_user_stand_in_the_base_unless_the_image_has_some_too() {
    let settings = || Settings { args: vec!["--max-model-len=4096".to_owned()], ..Settings::default() };
    let plain = chat(Generation::V0_20, settings());
    assert_eq!(plain.skeleton().unwrap()["spec"]["predictor"]["model"]["args"], json!(["--max-model-len=4096"]));
    assert!(plain.patch_args().is_empty());
    let gguf = Service { args: vec!["--model=/mnt/models/q4.gguf".to_owned()], ..chat(Generation::V0_20, settings()) };
    assert!(gguf.skeleton().unwrap()["spec"]["predictor"]["model"]["args"].is_null());
    assert_eq!(gguf.patch_args(), ["--model=/mnt/models/q4.gguf", "--max-model-len=4096"]);
}

#[test]
fn a_canary_is_named_by_its_digest_and_says_all_that_the_schema_wants() {
    let service = onnx(Generation::V0_20, Settings::default());
    let entry = service.canary_entry(10, &Beside::default()).unwrap();
    let name = service.predictor_name(&[]).unwrap();
    assert_eq!(entry["predictor"]["name"], json!(name));
    assert_eq!(entry["predictor"]["model"]["name"], json!(""));
    assert_eq!(entry["predictor"]["annotations"], json!({IMAGE_ANNOTATION: "quay.io/acme/iris:v1"}));
    assert!(entry["predictor"]["minReplicas"].is_null());
    assert_eq!(service.canary_entry(0, &Beside::default()).unwrap()["predictor"]["minReplicas"], json!(1));
    assert!(service.image.digest().unwrap().hex().starts_with(&name[1..]), "{name}");
    assert_eq!(entry["predictor"]["model"]["modelFormat"], json!({"name": "onnx"}));
    let stable = json!({"name": "onnx", "version": "1"});
    let beside = Beside { format: Some(&stable), taken: vec![&name], ..Beside::default() };
    assert_eq!(service.canary_entry(10, &beside).unwrap()["predictor"]["model"]["modelFormat"], stable);
    assert_ne!(service.canary_entry(10, &beside).unwrap()["predictor"]["name"], json!(name));
    let long = Service { name: "x".repeat(48).parse().unwrap(), ..service };
    assert!(long.canary_entry(10, &Beside::default()).unwrap_err().hint().unwrap().contains("shorter name"));
}

#[test]
fn an_llm_service_has_no_canary_and_its_image_elsewhere() {
    let service = llm(Generation::V0_20, Settings::default());
    assert!(service.canary_way().unwrap_err().hint().unwrap().contains("HTTPRoute"));
    assert_eq!(service.place().unwrap().keys, ["spec", "model", "uri"]);
    assert_eq!(onnx(Generation::V0_20, knative()).canary_way().unwrap(), CanaryWay::Percent);
    assert_eq!(onnx(Generation::V0_17, Settings::default()).canary_way().unwrap(), CanaryWay::Route);
}

#[test]
fn a_mirror_is_what_kserve_hears_of_and_people_still_see_the_image() {
    let service = Service { pull_from: "edge:5000/acme/iris".parse().ok(), ..onnx(Generation::V0_20, Settings::default()) };
    let manifest = render(&service, PatchForm::Manifest).unwrap();
    assert!(manifest.contains(&format!("storageUri: oci://edge:5000/acme/iris@{}", Digest::of(b"v1"))), "{manifest}");
    assert!(manifest.contains("io.modelcar/image: quay.io/acme/iris:v1"), "{manifest}");
}
