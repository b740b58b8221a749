//! What the steps of `tekton/` say is what the binary understands: every step's arguments parse, with defaults and with each parameter set.

use std::collections::BTreeMap;

use clap::error::ErrorKind;
use serde_json::Value;

use crate::tekton::catalog::{Document, folder, read};

/// An image by digest.
const IMAGE: &str = "quay.io/example/iris@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865";

/// What a parameter holds where somebody sets it.
fn value(name: &str) -> &str {
    match name {
        "REF" | "IMAGE" | "BASE_IMAGE" => IMAGE,
        "MODELCAR_IMAGE" | "MODELCAR_GIT_IMAGE" | "STORAGE_INITIALIZER_IMAGE" => "quay.io/example/modelcar",
        "SOURCE" => "s3://models/iris",
        "DIGEST" | "CANARY_DIGEST" => "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865",
        "SOURCE_DIGEST" => "gitCommit:4f3c1a0d5e6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d",
        "RUNTIME" => "ovms",
        "KSERVE" => "0.17",
        "DELIVERY" => "modelcar",
        "PLATFORMS" => "linux/amd64",
        "ATTEST" | "REQUIRE" => "sbom,model-signing",
        "CONSUMER" => "openshift,cosign-v3",
        "IDENTITY" => "quay.io/example/iris:v1",
        "TLS_VERIFY" => "false",
        "CANARY" | "WAVE_SIZE" | "MAX_FAILURES" => "10",
        "TO" => "v1",
        "FORGE" => "github",
        "AUTHOR" => "Ada <ada@example.com>",
        "TOLERANCE" => "0.001",
        "TIMEOUT" => "20m",
        "OIDC_CLIENT_ID" => "sigstore",
        "SOURCE_URI" => "git+https://git.example.com/acme/iris",
        name if name.ends_with("_URL") || name == "TUF_MIRROR" || name == "CERTIFICATE_OIDC_ISSUER" => "https://host.example.com",
        name if name.ends_with("_ROOT") || name.ends_with("_FILE") || name.ends_with("_KEY") => "/workspace/file",
        _ => "iris",
    }
}

/// Every step's command line before substitution, under a name for people; a step action is one step.
fn steps(document: &Document) -> Vec<(String, Vec<String>)> {
    let spec = &document.value["spec"];
    let steps = match document.kind() {
        "Task" => spec["steps"].as_array().unwrap().clone(),
        "StepAction" => vec![spec.clone()],
        _ => Vec::new(),
    };
    let ours = steps.into_iter().filter(|step| step["command"][0] == "modelcar");
    ours.map(|step| (format!("{} {}", document.path.display(), step["name"]), strings(&step["args"]))).collect()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// The parameters of a document: what a run has that sets the required ones alone.
fn defaults(document: &Document) -> BTreeMap<String, Value> {
    let params = document.value["spec"]["params"].as_array().unwrap().iter();
    let said = |param: &Value| match (&param["default"], param["type"].as_str()) {
        (Value::Null, Some("array")) => serde_json::json!(["--task=package=Succeeded", "--result=IMAGE_REF=x"]),
        (Value::Null, _) => value(param["name"].as_str().unwrap()).into(),
        (default, _) => default.clone(),
    };
    params.map(|param| (param["name"].as_str().unwrap().to_owned(), said(param))).collect()
}

/// The words that a step is started with: parameters filled in, workspaces bound or not, empty options left out.
fn words(args: &[String], params: &BTreeMap<String, Value>, workspace: &str) -> Vec<String> {
    let mut words = vec!["modelcar".to_owned()];
    for arg in args {
        if let Some(name) = arg.strip_prefix("$(params.").and_then(|rest| rest.strip_suffix("[*])")) {
            words.extend(strings(&params[name]));
            continue;
        }
        let mut word = arg.clone();
        for (name, value) in params {
            word = word.replace(&format!("$(params.{name})"), value.as_str().unwrap_or_default());
        }
        words.push(filled(&word, workspace));
    }
    words.retain(|word| !(word.starts_with("--") && word.ends_with('=')));
    words
}

/// Workspaces, result files and references that an earlier step wrote.
fn filled(word: &str, workspace: &str) -> String {
    if word.starts_with('@') {
        return IMAGE.to_owned();
    }
    let mut rest = word;
    let mut out = String::new();
    while let Some((before, tail)) = rest.split_once("$(") {
        let (variable, after) = tail.split_once(')').unwrap();
        let known = variable.starts_with("workspaces.") || variable.starts_with("step.results.");
        assert!(known && variable.split('.').next_back() == Some("path"), "{word} has a variable that nobody fills in");
        out += before;
        out += if variable.starts_with("workspaces.") { workspace } else { "/tekton/steps/result" };
        rest = after;
    }
    out + rest
}

/// What clap says, but for options that exclude or need each other: which ones a run sets together is its author's choice.
fn refusal(words: &[String]) -> Option<String> {
    let error = modelcar::cli::command().try_get_matches_from(words).err()?;
    let fine = matches!(error.kind(), ErrorKind::ArgumentConflict);
    (!fine).then(|| format!("{}\n{error}", words.join(" ")))
}

fn documents() -> Vec<Document> {
    let all = read(&folder());
    assert!(all.len() > 20, "the catalogue is there");
    all
}

#[test]
fn every_step_parses_with_defaults_and_with_and_without_its_workspaces() {
    for document in documents() {
        for (name, args) in steps(&document) {
            for workspace in ["", "/workspace/x"] {
                assert_eq!(refusal(&words(&args, &defaults(&document), workspace)), None, "{name}");
            }
        }
    }
}

#[test]
fn every_parameter_of_a_step_is_one_that_the_verb_takes() {
    let mut wrong = Vec::new();
    for document in documents() {
        for (name, args) in steps(&document) {
            for param in defaults(&document).into_iter().filter_map(|(name, value)| value.is_string().then_some(name)) {
                let mut params = defaults(&document);
                for set in [Some(param.as_str()), needs(&param)].into_iter().flatten() {
                    params.insert(set.to_owned(), value(set).into());
                }
                let refused = refusal(&words(&args, &params, ""));
                wrong.extend(refused.map(|why| format!("{name}: {param}: {why}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The parameter without which another one says nothing.
fn needs(param: &str) -> Option<&'static str> {
    match param {
        "FORGE_URL" => Some("FORGE"),
        "REKOR_URL" | "TSA_URL" => Some("FULCIO_URL"),
        "TUF_MIRROR" => Some("TUF_ROOT"),
        "TUF_ROOT" => Some("TUF_MIRROR"),
        _ => None,
    }
}

#[test]
fn a_value_from_outside_is_never_an_option() {
    for document in documents() {
        for (name, args) in steps(&document) {
            let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
            for arg in &args[..end] {
                let array = arg.ends_with("[*])");
                assert!(array || !arg.starts_with("$("), "{name}: {arg} stands before --, where its value could be an option");
            }
        }
    }
}

#[test]
fn every_sample_sets_parameters_that_parse() {
    let all = documents();
    for run in all.iter().filter(|document| document.kind() == "TaskRun") {
        let task = run.value["spec"]["taskRef"]["name"].as_str().unwrap();
        let task = all.iter().find(|document| document.kind() == "Task" && document.name() == task).unwrap();
        let mut params = defaults(task);
        for param in run.value["spec"]["params"].as_array().unwrap() {
            let name = param["name"].as_str().unwrap();
            assert!(
                params.insert(name.to_owned(), param["value"].clone()).is_some(),
                "{}: {name} is none of the task's",
                run.path.display()
            );
        }
        for (_, args) in steps(task) {
            assert_eq!(refusal(&words(&args, &params, "/workspace/x")), None, "{}", run.path.display());
        }
    }
}

#[test]
fn an_unknown_option_would_be_noticed() {
    let args = ["verify", "--omit-empty", "--no-such-option=$(params.REF)", "--", "$(params.REF)"].map(str::to_owned);
    let params = BTreeMap::from([("REF".to_owned(), Value::from(IMAGE))]);
    assert!(refusal(&words(&args, &params, "")).unwrap().contains("--no-such-option"));
}
