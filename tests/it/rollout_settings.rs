//! What a new service is told on each KServe: reviewed once, then kept byte for byte; and how options and a site's facts lead there.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it rollout_settings` writes the files again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use modelcar::kserve::{CanaryWay, Generation, Kind, Mode, Protocol, Runtime};
use modelcar::oci::Digest;
use modelcar::rollout::{
    Beside, ModelFormat, ModelSource, PatchForm, Resources, RolloutError, Service, Settings, SiteFacts, Strategy, render,
};

use crate::rollout_patch::expect_golden;
use crate::support::{modelcar, temp_dir};
use crate::the_whole_way::{bench, command, ship};

fn image(name: &str) -> modelcar::oci::Reference {
    format!("quay.io/acme/{name}:v1.0@{}", Digest::of(name.as_bytes())).parse().unwrap()
}

fn onnx(generation: Generation, settings: Settings) -> Service {
    let format = ModelFormat { name: "onnx".to_owned(), version: None };
    let runtime = (generation == Generation::V0_15).then(|| "my-ovms".to_owned());
    Service { format, runtime, layout: Some(Runtime::Ovms), settings, ..Service::new("iris".parse().unwrap(), image("iris"), generation) }
}

fn chat(generation: Generation, settings: Settings) -> Service {
    let format = ModelFormat { name: "safetensors".to_owned(), version: None };
    Service { format, layout: Some(Runtime::Vllm), settings, ..Service::new("chat".parse().unwrap(), image("chat"), generation) }
}

/// Everything that a predictor of plain Deployments can be told.
fn full(generation: Generation) -> Settings {
    Settings {
        namespace: Some("models".to_owned()),
        min_replicas: Some(1),
        max_replicas: Some(3),
        scale: "cpu=80".parse().ok(),
        protocol: Some(Protocol::GrpcV2),
        pull_secrets: vec!["quay-pull".to_owned()],
        connection: generation.is_rhoai().then(|| "quay".to_owned()),
        service_account: Some("models".to_owned()),
        exposed: true,
        strategy: Strategy::InPlace,
        resources: Resources { cpu: "2".parse().ok(), memory: "4Gi".parse().ok(), gpus: 0 },
        env: BTreeMap::from([("OMP_NUM_THREADS".to_owned(), "2".to_owned())]),
        ..Settings::default()
    }
}

fn knative() -> Settings {
    Settings {
        mode: Mode::Knative,
        min_replicas: Some(0),
        max_replicas: Some(3),
        scale: "concurrency=10".parse().ok(),
        ..Settings::default()
    }
}

/// A single node with one GPU.
fn one_gpu(generation: Generation) -> Settings {
    let text = format!("version: 1\nkserve: '{}'\ngpus: 1\nexposed: true\n", generation.name());
    Settings::of_site(&SiteFacts::parse(Path::new("site.yaml"), &text).unwrap(), Some(Runtime::Vllm))
}

/// The services of one generation, by what is special about them.
fn services(generation: Generation) -> Vec<(&'static str, Service)> {
    let legal = ModelSource { name: "legal".to_owned(), image: image("legal-lora") };
    let llm = Settings { strategy: Strategy::Platform, ..one_gpu(generation) };
    vec![
        ("everything that can be told", onnx(generation, full(generation))),
        ("Knative", onnx(generation, knative())),
        ("a language model on a single node with one GPU", chat(generation, one_gpu(generation))),
        ("a language model and an adapter", Service { sources: vec![legal], ..chat(generation, Settings::default()) }),
        ("LLMInferenceService", Service { kind: Kind::LlmInferenceService, ..chat(generation, llm) }),
    ]
}

fn manifest(service: &Service) -> String {
    match render(service, PatchForm::Manifest) {
        Ok(text) => text,
        Err(error) => format!("refused: {error}\nhint: {}\n", error.hint().unwrap_or_default()),
    }
}

fn canary(generation: Generation) -> String {
    let service = onnx(generation, Settings::default());
    match service.canary_way().unwrap() {
        CanaryWay::List => serde_json::to_string_pretty(&service.canary_entry(10, &Beside::default()).unwrap()).unwrap() + "\n",
        other => format!("{other:?}\n"),
    }
}

#[test]
fn a_new_service_is_told_the_reviewed_words_of_its_generation() {
    for generation in Generation::all() {
        let all = services(generation).into_iter().map(|(what, service)| (what, manifest(&service)));
        let mut text = String::new();
        for (what, shown) in all.chain([("a canary", canary(generation))]) {
            text.extend(["#### ", what, "\n", &shown]);
        }
        expect_golden(&format!("service/{}.txt", generation.name()), &text);
    }
}

#[test]
fn a_patch_takes_the_place_of_a_single_uri_with_all_sources() {
    let legal = ModelSource { name: "legal".to_owned(), image: image("legal-lora") };
    let service = Service { sources: vec![legal], ..chat(Generation::V0_20, Settings::default()) };
    for form in [PatchForm::Merge, PatchForm::Kustomize] {
        let text = render(&service, form).unwrap();
        assert!(text.contains("storageUri: null") && text.matches("mountPath: /mnt/models/").count() == 2, "{text}");
    }
    assert!(matches!(render(&service, PatchForm::Json6902), Err(RolloutError::Setting { .. })));
    assert!(!render(&service, PatchForm::Manifest).unwrap().contains("storageUri: null"));
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A layout with the iris model, and what `modelcar patch` makes of it.
fn patch(home: &Path, options: &[&str]) -> Output {
    let model = crate::support::repo_root().join("testdata/models/iris/logreg_iris.onnx");
    if !home.join("layout").exists() {
        let built = modelcar(home)
            .current_dir(home)
            .arg("build")
            .arg(model)
            .args(["-t", "quay.io/acme/iris:v1", "-o", "oci:layout"])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", stderr(&built));
    }
    let words = ["patch", "oci:layout:quay.io/acme/iris:v1", "--name", "iris"];
    modelcar(home).current_dir(home).args(words).args(options).output().unwrap()
}

#[test]
fn options_for_a_new_service_are_in_a_manifest_and_refused_in_a_patch() {
    let home = temp_dir();
    let options =
        ["--kserve", "rhoai-3.5", "--min-replicas", "2", "--memory", "2Gi", "--pull-secret", "quay", "--exposed", "--protocol", "v2"];
    let refused = patch(home.path(), &options);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let said = "--min-replicas, --protocol, --pull-secret, --exposed, --memory is for a new InferenceService";
    assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    let printed = patch(home.path(), &[&options[..], &["--as", "manifest"]].concat());
    let text = String::from_utf8(printed.stdout.clone()).unwrap();
    for line in ["minReplicas: 2", "memory: 2Gi", "- name: quay", "networking.kserve.io/visibility: exposed", "protocolVersion: v2"] {
        assert!(text.contains(line), "{line}: {text}{}", stderr(&printed));
    }
}

#[test]
fn what_cannot_be_set_says_why_and_what_to_do() {
    let home = temp_dir();
    for (options, code, said) in [
        (&["--kserve", "rhoai-3.5", "--mode", "knative"][..], 1, "OpenShift AI 3.5 has no mode `knative`"),
        (&["--kserve", "0.20", "--connection", "quay"], 1, "--pull-secret"),
        (&["--kserve", "0.20", "--kind", "llm"], 1, "laid out for a server of other models"),
        (&["--scale", "load=3"], 2, "cpu, memory, concurrency, rps"),
        (&["--memory", "8GB"], 2, "8Gi"),
        (&["--kind", "pod"], 2, "isvc, llm"),
    ] {
        let refused = patch(home.path(), &[options, &["--as", "manifest"]].concat());
        assert_eq!(refused.status.code(), Some(code), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{said}: {}", stderr(&refused));
    }
}

#[test]
fn ship_takes_from_the_site_what_no_option_says() {
    let home = bench();
    let site = home.path().join("gitops/sites/edge-site-01");
    fs::create_dir_all(&site).unwrap();
    let facts = "version: 1\nkserve: rhoai-3.5\nnamespace: models\nexposed: true\npullSecret: quay\n\
                 mirrors: [{source: quay.io/acme, mirror: 'edge.example.com:5000/acme', rewrite: true}]\n";
    fs::write(site.join("site.yaml"), facts).unwrap();
    let output = ship(home.path(), "oci:layout:quay.io/acme/iris:v1", &["--min-replicas", "2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let base = fs::read_to_string(site.join("base/iris.yaml")).unwrap();
    for line in ["namespace: models", "visibility: exposed", "- name: quay", "minReplicas: 2", "runtime: kserve-ovms", "Mode: Standard"] {
        assert!(base.contains(line), "{line}: {base}");
    }
    let own = fs::read_to_string(site.join("models/iris.yaml")).unwrap();
    assert!(own.contains("storageUri: oci://edge.example.com:5000/acme/iris@sha256:"), "{own}");
    assert!(own.contains("io.modelcar/image: quay.io/acme/iris:v1"), "{own}");
}

#[test]
fn ship_refuses_what_a_sites_patch_cannot_carry_before_anything_is_written() {
    let home = bench();
    for options in [&["--kserve", "0.20", "--kind", "llm"][..], &["--kserve", "rhoai-3.5", "--mode", "knative"]] {
        let output = ship(home.path(), "oci:layout:quay.io/acme/iris:v1", options);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(!home.path().join("gitops/sites").exists() && !home.path().join("layout").exists());
    }
    let help = command(home.path()).args(["ship", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("New InferenceService:"));
}
