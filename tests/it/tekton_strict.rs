//! Every document below `tekton/` is what a cluster takes: by the strict schemas, and by Tekton's own webhook code.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{crd, need, schemas, temp_dir};
use crate::tekton::catalog::{folder, read};
use crate::tekton::strict::{trigger_schema, unfolded};

/// What is wrong with documents and with what they embed; `None` where a judge is missing.
fn refusals(documents: &[Value]) -> Option<Vec<String>> {
    let all: Vec<Value> = documents.iter().flat_map(unfolded).filter(|document| document["kind"] != "Kustomization").collect();
    let (triggers, others): (Vec<Value>, Vec<Value>) = all.into_iter().partition(|document| trigger_schema(document).is_some());
    let by_list = |document: &Value| {
        let violations = crd::violations(&trigger_schema(document).unwrap(), document);
        violations.into_iter().map(|wrong| format!("{}: {wrong}", document["kind"].as_str().unwrap())).collect::<Vec<_>>()
    };
    // A run's name may be left to the cluster; the judges of names want one.
    let named = others.into_iter().map(|mut document| {
        if document["metadata"].get("name").is_none() {
            document["metadata"] = serde_json::json!({"name": "generated"});
        }
        document
    });
    let mut found = schemas::refusals(&named.collect::<Vec<_>>())?;
    found.extend(triggers.iter().flat_map(by_list));
    Some(found)
}

#[test]
fn every_document_is_what_its_schema_wants() {
    let documents: Vec<Value> = read(&folder()).into_iter().map(|document| document.value).collect();
    let Some(refusals) = refusals(&documents) else { return };
    assert_eq!(refusals, Vec::<String>::new());
}

const TASK: &str = "{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: t}, spec: {steps: [{name: s, image: i}]}}";
const PIPELINE: &str = "{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: p}, spec: {tasks: [{name: a, taskSpec: {steps: [{name: s, image: i}]}}]}}";
const RUN: &str = "{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {generateName: r-}, spec: {pipelineSpec: {tasks: [{name: a, taskSpec: {steps: [{name: s, image: i}], volumes: [{name: v, emptyDir: {}}]}}]}}}";
const TEMPLATE: &str = "{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, metadata: {name: t}, spec: {params: [{name: a}], resourcetemplates: [{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {generateName: r-}, spec: {taskRef: {name: t}}}]}}";
const LISTENER: &str = "{apiVersion: triggers.tekton.dev/v1beta1, kind: EventListener, metadata: {name: l}, spec: {serviceAccountName: s, triggers: [{name: a, interceptors: [{ref: {name: cel}}], bindings: [{ref: b}], template: {ref: t}}]}}";
const ACCOUNT: &str = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: a}, secrets: [{name: s}]}";
const REPOSITORY: &str =
    "{apiVersion: pipelinesascode.tekton.dev/v1alpha1, kind: Repository, metadata: {name: r}, spec: {url: https://g/r}}";

#[test]
fn what_a_cluster_would_refuse_or_drop_is_found_at_any_depth() {
    let sound = [TASK, PIPELINE, RUN, TEMPLATE, LISTENER, ACCOUNT, REPOSITORY].map(|text| serde_saphyr::from_str(text).unwrap());
    let Some(found) = refusals(&sound) else { return };
    assert_eq!(found, Vec::<String>::new());
    let broken = [
        (TASK, "image: i", "image: i, imagePull: Always"),
        (TASK, "steps: [", "step: [], steps: ["),
        (PIPELINE, "image: i", "image: 1"),
        (PIPELINE, "taskSpec: {", "taskSpec: {stepTemplates: {}, "),
        (RUN, "image: i", "imagee: i"),
        (RUN, "emptyDir: {}", "emptyDir: {sizeLimits: 8Mi}"),
        (TEMPLATE, "taskRef: {name: t}", "taskRef: {names: t}"),
        (TEMPLATE, "params: [{name: a}]", "params: [{name: a, type: string}]"),
        (LISTENER, "template: {ref: t}", "template: {name: t}"),
        (LISTENER, "ref: {name: cel}", "cel: {filter: x}"),
        (ACCOUNT, "secrets: [", "secret: ["),
        (REPOSITORY, "url:", "uri:"),
    ];
    for (text, from, to) in broken {
        assert!(text.contains(from), "{from}");
        let document: Value = serde_saphyr::from_str(&text.replacen(from, to, 1)).unwrap();
        assert!(!refusals(&[document]).unwrap().is_empty(), "{to}");
    }
}

fn yaml_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = read(&folder()).into_iter().map(|document| folder().join(document.path)).collect();
    files.dedup();
    files
}

#[test]
fn tektons_own_code_takes_every_document() {
    let Some(tekton) = need("tekton-validate") else { return };
    let output = Command::new(tekton).args(yaml_files()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let wrong: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!((wrong, output.status.code()), (vec![], Some(0)), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = |document: &crate::tekton::catalog::Document| {
        let version = document.value["apiVersion"].as_str().unwrap_or_default();
        version.starts_with("tekton.dev/") || version.starts_with("triggers.tekton.dev/")
    };
    assert_eq!(said.lines().count(), read(&folder()).iter().filter(|document| ours(document)).count(), "each is judged");
}

/// What no schema finds.
#[test]
fn tektons_own_code_refuses_what_its_webhook_would() {
    let Some(tekton) = need("tekton-validate") else { return };
    let dir = temp_dir();
    let file = dir.path().join("broken.yaml");
    for (text, from, to, said) in [
        (TASK, "image: i", "image: i, args: [\"$(params.X)\"]", "non-existent variable"),
        (TASK, "steps: [", "steps: [{name: s, image: i}, ", "expected exactly one"),
        (PIPELINE, "name: a,", "name: a, runAfter: [b],", "b"),
        (TASK, "image: i", "imagee: i", "unknown field"),
        (LISTENER, "triggers: [", "triggers: [{name: b}, ", "got neither"),
    ] {
        let document: Value = serde_saphyr::from_str(&text.replacen(from, to, 1)).unwrap();
        std::fs::write(&file, document.to_string()).unwrap();
        let output = Command::new(&tekton).arg(&file).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(found.starts_with("wrong ") && found.contains(said) && output.status.code() == Some(1), "{to}: {found}");
    }
}
