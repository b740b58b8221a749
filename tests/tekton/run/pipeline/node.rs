//! A task of a pipeline: its TaskRuns.

use std::collections::BTreeMap;

use serde_json::Value;

use super::outcome::{NodeOutcome, Status};
use super::spec::{Matrix, PipelineTask, PipelineWorkspace};
use super::{Running, matrix};
use crate::tekton::run::spec::{TaskSpec, Volume, WorkspaceSpec};
use crate::tekton::run::substitute::{Variables, refuse_leftovers, variables};
use crate::tekton::run::{ParamValue, Refused, Run, Target, TaskOutcome, when};

/// What a pipeline may name in its tasks' fields.
const OF_PIPELINE: [&str; 5] = ["params", "context", "tasks", "workspaces", "finally"];

/// A task of a pipeline, its Task found.
pub(super) struct Node {
    pub(super) spec: PipelineTask,
    pub(super) matrix: Option<Matrix>,
    /// The task as it is written.
    pub(super) written: Value,
    pub(super) target: Target,
    pub(super) task: TaskSpec,
    pub(super) parents: Vec<String>,
    pub(super) is_last: bool,
}

impl Node {
    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// `onError: continue`
    pub(super) fn forgives(&self) -> bool {
        self.spec.on_error.as_deref() == Some("continue")
    }

    /// `tasks.T.results.R`, as it is written in its fields; an embedded Task's own do not count.
    pub(super) fn result_references(&self) -> Vec<String> {
        let mut fields = self.written.clone();
        fields.as_object_mut().and_then(|fields| fields.remove("taskSpec"));
        let named = texts(&fields).into_iter().flat_map(|text| variables(&text));
        named.filter(|name| name.split('.').nth(2).is_some_and(|word| word.starts_with("results")) && name.starts_with("tasks.")).collect()
    }

    pub(super) fn all_hold(&self, known: &Variables) -> Result<bool, Refused> {
        let mut expressions = self.spec.when.clone();
        for when in &mut expressions {
            when.put(known);
        }
        when::all_hold(&format!("task {}", self.name()), &expressions)
    }
}

/// Every text in a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

impl Running<'_> {
    /// The TaskRuns of a task: one, or one for each combination of its matrix.
    pub(super) fn run_node(&self, node: &Node) -> Result<NodeOutcome, Refused> {
        let place = format!("task {}", node.name());
        let mut common = BTreeMap::new();
        for param in &node.spec.params {
            let value = self.known.in_value(&param.value);
            refuse_leftovers(&place, &serde_json::to_string(&value).unwrap(), &OF_PIPELINE)?;
            common.insert(param.name.clone(), value);
        }
        let combinations = match &node.matrix {
            Some(matrix) => matrix::combinations(&place, matrix, &self.known)?,
            None => vec![BTreeMap::new()],
        };
        if combinations.is_empty() {
            return Ok(NodeOutcome::skipped("Matrix Parameters have an empty array"));
        }
        let mut outcome = NodeOutcome { status: Status::Succeeded, reason: String::new(), runs: Vec::new(), attempts: 0 };
        for (number, own) in combinations.iter().enumerate() {
            let params = common.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect();
            self.with_retries(node, number, &params, &mut outcome)?;
        }
        Ok(outcome)
    }

    fn with_retries(
        &self,
        node: &Node,
        number: usize,
        params: &BTreeMap<String, ParamValue>,
        outcome: &mut NodeOutcome,
    ) -> Result<(), Refused> {
        let mut attempt = 0;
        let run = loop {
            let run = self.one_run(node, number, attempt, params)?;
            attempt += 1;
            // what was refused before it started is not tried again
            if run.succeeded || run.steps.is_empty() || attempt > node.spec.retries {
                break run;
            }
        };
        outcome.attempts += attempt;
        if !run.succeeded && outcome.status != Status::Failed {
            (outcome.status, outcome.reason) = (Status::Failed, run.message.clone());
        }
        outcome.runs.push(run);
        Ok(())
    }

    fn one_run(&self, node: &Node, number: usize, attempt: usize, params: &BTreeMap<String, ParamValue>) -> Result<TaskOutcome, Refused> {
        let name = match (&node.matrix, attempt) {
            (Some(_), _) => format!("{}-{}-{number}", self.name, node.name()),
            (None, _) => format!("{}-{}", self.name, node.name()),
        };
        let name = if attempt == 0 { name } else { format!("{name}-retry{attempt}") };
        let workspaces = self.workspaces(node)?;
        let timeout = node.spec.timeout.clone();
        let run = Run { params: params.clone(), workspaces, name: name.clone(), timeout, ..Run::new(node.target.clone()) };
        Ok(self.cluster.run_task(&run).unwrap_or_else(|refused| TaskOutcome::refused(&name, &refused)))
    }

    /// What the run bound to the pipeline's workspaces, for those of the Task; `subPath` below that of the run.
    fn workspaces(&self, node: &Node) -> Result<Vec<Volume>, Refused> {
        let mut bound = Vec::new();
        for usage in &node.spec.workspaces {
            let of_pipeline = usage.workspace.as_ref().unwrap_or(&usage.name);
            let Some(binding) = self.run.workspaces.iter().find(|volume| volume.name == *of_pipeline) else { continue };
            let sub_path = self.sub_path(node, usage, binding)?;
            bound.push(Volume { name: usage.name.clone(), sub_path, ..binding.clone() });
        }
        Ok(bound)
    }

    fn sub_path(&self, node: &Node, usage: &PipelineWorkspace, binding: &Volume) -> Result<Option<String>, Refused> {
        let own = usage.sub_path.as_deref().map(|path| self.known.in_text(path));
        let place = format!("task {}, workspace {}", node.name(), usage.name);
        own.iter().try_for_each(|path| refuse_leftovers(&place, path, &OF_PIPELINE))?;
        let parts: Vec<String> = binding.sub_path.clone().into_iter().chain(own).filter(|part| !part.is_empty()).collect();
        Ok((!parts.is_empty()).then(|| parts.join("/")))
    }
}

/// Whether a Task wants this workspace.
pub(super) fn requires(task: &TaskSpec, name: &str) -> bool {
    task.workspaces.iter().any(|spec: &WorkspaceSpec| spec.name == name && !spec.optional)
}
