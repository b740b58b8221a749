//! The documents that are judged together, and the specs within them: a Pipeline may hold tasks, a run a pipeline, a
//! TriggerTemplate runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tekton::catalog::{self, Document};

/// Files, and what is in them.
pub(crate) struct Catalogue {
    pub(crate) documents: Vec<Document>,
    pub(crate) texts: Vec<(PathBuf, String)>,
}

/// What a spec is the spec of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Task,
    StepAction,
    Pipeline,
    TaskRun,
    PipelineRun,
}

/// A spec, wherever it is written.
pub(crate) struct Unit<'c> {
    pub(crate) kind: Kind,
    /// Where it is, for people.
    pub(crate) at: String,
    pub(crate) spec: &'c Value,
    /// The specs around it, whose params it may use.
    pub(crate) around: Vec<&'c Value>,
}

impl Catalogue {
    pub(crate) fn read(folder: &Path) -> Self {
        let documents = catalog::read(folder);
        let mut paths: Vec<PathBuf> = documents.iter().map(|document| document.path.clone()).collect();
        paths.dedup();
        let texts = paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(folder.join(path)).unwrap())).collect();
        Self { documents, texts }
    }

    /// One text as if it were a file.
    pub(crate) fn of(text: &str) -> Self {
        let path = PathBuf::from("catalogue.yaml");
        let values: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let documents = values.into_iter().map(|value| Document { path: path.clone(), value }).collect();
        Self { documents, texts: vec![(path, text.to_owned())] }
    }

    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<&Document> {
        self.documents.iter().find(|document| document.kind() == kind && document.name() == name)
    }

    /// Every spec of tasks, step actions, pipelines and runs.
    pub(crate) fn units(&self) -> Vec<Unit<'_>> {
        let mut units = Vec::new();
        for document in &self.documents {
            let at = format!("{} {}/{}", document.path.display(), document.kind(), document.name());
            add(&mut units, &document.value, at, &[]);
        }
        units
    }
}

fn add<'c>(units: &mut Vec<Unit<'c>>, value: &'c Value, at: String, around: &[&'c Value]) {
    let spec = &value["spec"];
    if value["kind"] == "TriggerTemplate" {
        for (index, template) in list(spec, "resourcetemplates").iter().enumerate() {
            add(units, template, format!("{at} resourcetemplates[{index}]"), &[]);
        }
    }
    let kind = match value["kind"].as_str() {
        Some("Task") => Kind::Task,
        Some("StepAction") => Kind::StepAction,
        Some("Pipeline") => Kind::Pipeline,
        Some("TaskRun") => Kind::TaskRun,
        Some("PipelineRun") => Kind::PipelineRun,
        _ => return,
    };
    add_spec(units, kind, spec, at, around.to_vec());
}

fn add_spec<'c>(units: &mut Vec<Unit<'c>>, kind: Kind, spec: &'c Value, at: String, around: Vec<&'c Value>) {
    let inner: Vec<&Value> = around.iter().copied().chain([spec]).collect();
    if kind == Kind::Pipeline {
        for task in pipeline_tasks(spec).filter(|task| task.get("taskSpec").is_some()) {
            let at = format!("{at} task {}", name(task));
            add_spec(units, Kind::Task, &task["taskSpec"], at, inner.clone());
        }
    }
    for (member, kind) in [("pipelineSpec", Kind::Pipeline), ("taskSpec", Kind::Task)] {
        if let Some(spec) = spec.get(member) {
            add_spec(units, kind, spec, format!("{at} {member}"), inner.clone());
        }
    }
    units.push(Unit { kind, at, spec, around });
}

/// The list at a member; empty where there is none.
pub(crate) fn list<'c>(value: &'c Value, member: &str) -> &'c [Value] {
    value[member].as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

pub(crate) fn text<'c>(value: &'c Value, member: &str) -> &'c str {
    value[member].as_str().unwrap_or_default()
}

/// The item of a list that has a name.
pub(crate) fn named<'c>(value: &'c Value, member: &str, wanted: &str) -> Option<&'c Value> {
    list(value, member).iter().find(|item| name(item) == wanted)
}

/// The tasks of a pipeline, those of `finally` last.
pub(crate) fn pipeline_tasks(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "tasks").iter().chain(list(spec, "finally"))
}

/// What a param, declared so, takes.
pub(crate) fn type_of(declared: &Value) -> &str {
    match declared["type"].as_str() {
        Some(kind) => kind,
        None if declared["default"].is_array() => "array",
        None if declared["default"].is_object() || declared["properties"].is_object() => "object",
        None => "string",
    }
}
