//! Rules about files: what a catalogue shows of them, where they lie, and plain YAML in them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::catalogue::Catalogue;
use crate::tekton::catalog::Document;

const LABEL: &str = "app.kubernetes.io/version";
const ANNOTATIONS: [&str; 5] = ["pipelines.minVersion", "displayName", "categories", "tags", "platforms"];

/// Kinds that a catalogue has a folder for.
fn folder_of(kind: &str) -> Option<&'static str> {
    [("Task", "tasks"), ("StepAction", "stepactions"), ("Pipeline", "pipelines")]
        .into_iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, folder)| folder)
}

pub(super) fn a_catalogue_can_show_it(document: &Document, _: &Catalogue) -> Vec<String> {
    if folder_of(document.kind()).is_none() {
        return vec![];
    }
    let metadata = &document.value["metadata"];
    let label = metadata["labels"][LABEL].is_string();
    let missing = ANNOTATIONS
        .into_iter()
        .filter(|annotation| metadata["annotations"][format!("tekton.dev/{annotation}")].as_str().is_none_or(str::is_empty));
    let missing = missing.map(|annotation| format!("the annotation tekton.dev/{annotation} is missing"));
    missing.chain((!label).then(|| format!("the label {LABEL} is missing"))).collect()
}

/// `tasks/NAME/VERSION/NAME.yaml`.
pub(super) fn it_lies_where_its_name_and_version_say(document: &Document, _: &Catalogue) -> Vec<String> {
    let Some(folder) = folder_of(document.kind()).filter(|_| document.path.components().count() > 1 && !is_sample(&document.path)) else {
        return vec![];
    };
    let version = document.value["metadata"]["labels"][LABEL].as_str().unwrap_or_default();
    let wanted = PathBuf::from(format!("{folder}/{name}/{version}/{name}.yaml", name = document.name()));
    if document.path == wanted { vec![] } else { vec![format!("it should be {}", wanted.display())] }
}

fn is_sample(path: &Path) -> bool {
    path.components().any(|part| ["samples", "tests", "triggers", "pac"].iter().any(|folder| part.as_os_str() == *folder))
}

pub(super) fn versions_are_todays(document: &Document, _: &Catalogue) -> Vec<String> {
    let version = document.value["apiVersion"].as_str().unwrap_or_default();
    let wanted = match document.kind() {
        "Task" | "Pipeline" | "TaskRun" | "PipelineRun" => "tekton.dev/v1",
        "StepAction" => "tekton.dev/v1beta1",
        "EventListener" | "TriggerBinding" | "TriggerTemplate" | "Trigger" | "ClusterTriggerBinding" => "triggers.tekton.dev/v1beta1",
        "Repository" => "pipelinesascode.tekton.dev/v1alpha1",
        "ClusterTask" => return vec!["Tekton has no ClusterTask any more".to_owned()],
        _ => return vec![],
    };
    if version == wanted { vec![] } else { vec![format!("it is {version}, and should be {wanted}")] }
}

pub(super) fn it_is_there_once(document: &Document, catalogue: &Catalogue) -> Vec<String> {
    if folder_of(document.kind()).is_none() {
        return vec![];
    }
    let same = catalogue.documents.iter().filter(|other| other.kind() == document.kind() && other.name() == document.name()).count();
    if same > 1 { vec![format!("it is there {same} times")] } else { vec![] }
}

/// YAML that the next reader understands: no tabs, no anchors, no carriage returns.
pub(super) fn the_yaml_is_plain(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.contains('\t') {
        found.push("it has a tab".to_owned());
    }
    if text.contains('\r') {
        found.push("it has a carriage return".to_owned());
    }
    let no_anchors = serde_saphyr::options! { budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0, max_merge_keys: 0 } };
    if let Err(error) = serde_saphyr::from_multiple_with_options::<Value>(text, no_anchors) {
        found.push(format!("it has an anchor, or cannot be read: {error}").lines().next().unwrap_or_default().to_owned());
    }
    found
}
