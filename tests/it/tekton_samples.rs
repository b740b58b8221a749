//! Every TaskRun and PipelineRun that the catalogue shows, up to the moment in which Tekton would make its first pod: parameters,
//! workspaces, results and the tasks that it names fit together.

use serde_json::{Value, json};

use crate::tekton::catalog::{self, Document};
use crate::tekton::run::{Cluster, Run};

/// What a resolver would fetch is what the catalogue has by that name.
fn resolved(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key("resolver") => json!({"name": fetched(value)}),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), resolved(field))).collect(),
        Value::Array(items) => items.iter().map(resolved).collect(),
        other => other.clone(),
    }
}

/// `modelcar-release` of a bundle's `name`, or of a commit's `tekton/pipelines/modelcar-release/0.1/modelcar-release.yaml`.
fn fetched(reference: &Value) -> String {
    let params = reference["params"].as_array().unwrap();
    let param = |name: &str| params.iter().find(|param| param["name"] == name).and_then(|param| param["value"].as_str());
    let name = param("name").or_else(|| param("pathInRepo")?.rsplit('/').next()?.strip_suffix(".yaml"));
    name.unwrap_or_else(|| panic!("{reference} names nothing")).to_owned()
}

/// The pipeline that trains models, which is the user's own.
const THEIRS: &str = "retrain";

/// The runs of a document: itself, or what a trigger makes.
fn runs(document: &Document) -> Vec<Value> {
    let templates = || document.value["spec"]["resourcetemplates"].as_array().unwrap().iter();
    match document.kind() {
        "TaskRun" | "PipelineRun" => vec![resolved(&document.value)],
        "TriggerTemplate" => templates().map(resolved).filter(|run| run["spec"]["pipelineRef"]["name"] != THEIRS).collect(),
        _ => Vec::new(),
    }
}

fn checked(cluster: &Cluster, run: &Value) -> Result<Vec<String>, String> {
    let read = Run::read(run);
    let names = if run["kind"] == "TaskRun" { cluster.check_task(&read) } else { cluster.check_pipeline(&read) };
    names.map_err(|refused| refused.to_string())
}

#[test]
fn every_run_that_is_shown_would_start() {
    let Some(cluster) = Cluster::with_catalog() else { return };
    let documents = catalog::read(&catalog::folder());
    let mut count = 0;
    for document in &documents {
        for run in runs(document) {
            let names = checked(&cluster, &run).unwrap_or_else(|refused| panic!("{}: {refused}", document.path.display()));
            assert!(!names.is_empty());
            count += 1;
        }
    }
    assert!(count > 35, "only {count} runs were found");
}

#[test]
fn a_run_that_would_not_start_is_found() {
    let Some(cluster) = Cluster::with_catalog() else { return };
    let documents = catalog::read(&catalog::folder());
    let run = |kind: &str, name: &str| catalog::find(&documents, kind, name).value.clone();
    let mut lacks = run("PipelineRun", "modelcar-release-1");
    lacks["spec"]["params"].as_array_mut().unwrap().retain(|param| param["name"] != "IMAGE");
    let mut bound = run("TaskRun", "modelcar-promote-1");
    bound["spec"]["workspaces"][0]["name"] = "source".into();
    let mut other = run("PipelineRun", "modelcar-release-1");
    other["spec"]["pipelineRef"]["name"] = "modelcar-relaese".into();
    for (broken, reason) in [(lacks, "IMAGE"), (bound, "does not match any declared workspace"), (other, "not found in the catalogue")] {
        let refused = checked(&cluster, &broken).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
}
