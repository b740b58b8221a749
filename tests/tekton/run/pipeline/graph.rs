//! The tasks of a pipeline in an order in which they may run, and what is wrong with them before any of them runs.
//! <https://tekton.dev/docs/pipelines/pipelines/#configuring-the-task-execution-order>

use serde_json::Value;

use super::node::{Node, requires};
use super::spec::{PipelineSpec, PipelineTask};
use crate::support::repo_root;
use crate::tekton::run::spec::{Reference, read};
use crate::tekton::run::substitute::variables;
use crate::tekton::run::{Cluster, Refused, Target, params, refuse};

pub(super) struct Graph {
    /// Each after all that it waits for.
    pub(super) tasks: Vec<Node>,
    pub(super) finally: Vec<Node>,
}

/// `T` of `tasks.T.results.R`.
pub(super) fn task_of(variable: &str) -> &str {
    variable.split('.').nth(1).unwrap_or_default()
}

impl Graph {
    pub(super) fn of(cluster: &Cluster, of: &str, spec: &PipelineSpec) -> Result<Self, Refused> {
        let nodes = |tasks: &[Value]| tasks.iter().map(|task| cluster.node(of, task)).collect::<Result<Vec<_>, _>>();
        let (tasks, mut finally) = (nodes(&spec.tasks)?, nodes(&spec.finally)?);
        for node in &mut finally {
            node.is_last = true;
        }
        let graph = Self { tasks: in_order(of, tasks)?, finally };
        graph.refuse_same_names(of)?;
        for node in graph.tasks.iter().chain(&graph.finally) {
            graph.check(&format!("{of}, task {}", node.name()), spec, node)?;
        }
        Ok(graph)
    }

    fn refuse_same_names(&self, of: &str) -> Result<(), Refused> {
        let mut names: Vec<&str> = self.tasks.iter().chain(&self.finally).map(Node::name).collect();
        names.sort_unstable();
        names.windows(2).find(|two| two[0] == two[1]).map_or(Ok(()), |two| Err(Refused(format!("{of}: task {:?} is there twice", two[0]))))
    }

    fn check(&self, place: &str, spec: &PipelineSpec, node: &Node) -> Result<(), Refused> {
        refuse_odd_fields(place, node)?;
        refuse_workspaces(place, spec, node)?;
        let in_matrix = node.matrix.iter().flat_map(|matrix| matrix.params.iter().chain(matrix.include.iter().flat_map(|one| &one.params)));
        let given: Vec<&String> = node.spec.params.iter().chain(in_matrix).map(|param| &param.name).collect();
        params::refuse_missing(place, &node.task.params, given.into_iter())?;
        node.result_references().iter().try_for_each(|name| self.refuse_unknown_result(place, name))
    }

    fn refuse_unknown_result(&self, place: &str, variable: &str) -> Result<(), Refused> {
        let Some(producer) = self.tasks.iter().find(|node| node.name() == task_of(variable)) else {
            refuse!("{place}: $({variable}) is of no task");
        };
        let rest = variable.splitn(4, '.').nth(3).unwrap_or_default();
        let name = rest.split(['.', '[']).next().unwrap_or_default();
        let Some(result) = producer.task.results.iter().find(|result| result.name == name) else {
            refuse!("{place}: invalid result reference: {name:?} is no result of task {:?}", producer.name());
        };
        if producer.matrix.is_some() && result.kind() != "string" {
            refuse!("{place}: a matrixed task's result {name:?} must be a string, but is {}", result.kind());
        }
        if producer.matrix.is_some() && !rest.ends_with("[*]") {
            refuse!("{place}: a matrixed task's result is consumed as a whole: $(tasks.{}.results.{name}[*])", producer.name());
        }
        Ok(())
    }
}

fn refuse_odd_fields(place: &str, node: &Node) -> Result<(), Refused> {
    if node.forgives() && node.spec.retries > 0 {
        refuse!("{place}: PipelineTask OnError cannot be set to \"continue\" when Retries is greater than 0");
    }
    if node.is_last && !node.spec.run_after.is_empty() {
        refuse!("{place}: no runAfter allowed under spec.finally");
    }
    let is_status = |name: &String| name.starts_with("tasks.") && (name.ends_with(".status") || name.ends_with(".reason"));
    if let Some(status) = variables(&node.written.to_string()).into_iter().find(|name| !node.is_last && is_status(name)) {
        refuse!("{place}: $({status}) is for finally only");
    }
    let twice =
        node.matrix.iter().flat_map(|matrix| &matrix.params).find(|param| node.spec.params.iter().any(|own| own.name == param.name));
    twice.map_or(Ok(()), |param| Err(Refused(format!("{place}: {:?} is in params and in the matrix", param.name))))
}

fn refuse_workspaces(place: &str, spec: &PipelineSpec, node: &Node) -> Result<(), Refused> {
    for usage in &node.spec.workspaces {
        let name = usage.workspace.as_ref().unwrap_or(&usage.name);
        let Some(declared) = spec.workspaces.iter().find(|declared| declared.name == *name) else {
            refuse!("{place}: pipeline workspace {name:?} does not exist");
        };
        if declared.optional && requires(&node.task, &usage.name) {
            refuse!("{place}: pipeline workspace {name:?} is marked optional but pipeline task requires it be provided");
        }
    }
    let is_used = |name: &str| node.spec.workspaces.iter().any(|usage| usage.name == name);
    let missing = node.task.workspaces.iter().find(|declared| !declared.optional && !is_used(&declared.name));
    missing.map_or(Ok(()), |declared| Err(Refused(format!("{place}: expected workspace {:?} to be provided", declared.name))))
}

/// Tasks after those whose results they take and those they name in `runAfter`; else as they are written.
fn in_order(of: &str, mut waiting: Vec<Node>) -> Result<Vec<Node>, Refused> {
    for node in &waiting {
        if let Some(unknown) = node.parents.iter().find(|parent| !waiting.iter().any(|other| other.name() == *parent)) {
            refuse!("{of}: task {} depends on {unknown} but {unknown} wasn't present in Pipeline", node.name());
        }
    }
    let mut ordered: Vec<Node> = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |node: &Node| node.parents.iter().all(|parent| ordered.iter().any(|done| done.name() == parent));
        let Some(next) = waiting.iter().position(is_ready) else { refuse!("{of}: cycle detected at task {}", waiting[0].name()) };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

impl Cluster {
    fn node(&self, of: &str, task: &Value) -> Result<Node, Refused> {
        let spec: PipelineTask = read(of, task)?;
        let place = format!("{of}, task {}", spec.name);
        let target = match (&spec.task_ref, &spec.task_spec) {
            (Some(reference), None) => target(&place, reference)?,
            (None, Some(embedded)) => Target::Embedded(embedded.clone()),
            _ => refuse!("{place}: expected exactly one of taskRef and taskSpec"),
        };
        let (_, found) = self.task_spec(&target).map_err(|refused| Refused(format!("{place}: {refused}")))?;
        let (matrix, written) = (spec.matrix.clone(), task.clone());
        let mut node = Node { spec, matrix, written, target, task: found, parents: Vec::new(), is_last: false };
        let parents = node.result_references().iter().map(|name| task_of(name).to_owned()).collect::<Vec<_>>();
        node.parents = parents.into_iter().chain(node.spec.run_after.clone()).collect();
        Ok(node)
    }
}

/// A Task by name in the catalogue, or from Git at a commit, which is taken to be what the repository has now.
fn target(place: &str, reference: &Reference) -> Result<Target, Refused> {
    let param = |name: &str| reference.params.iter().find(|param| param.name == name).and_then(|param| param.value.text());
    match (reference.resolver.as_deref(), &reference.name) {
        (None, Some(name)) => Ok(Target::Named(name.clone())),
        (Some("git"), None) => {
            let revision = param("revision").unwrap_or_default();
            if revision.len() != 40 || !revision.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                refuse!("{place}: the git resolver's revision {revision:?} is no commit");
            }
            let file = repo_root().join(param("pathInRepo").unwrap_or_default());
            let text = std::fs::read_to_string(&file).map_err(|error| Refused(format!("{place}: {}: {error}", file.display())))?;
            let document: Value = serde_saphyr::from_str(&text).map_err(|error| Refused(format!("{place}: {error}")))?;
            Ok(Target::Embedded(document["spec"].clone()))
        }
        (resolver, _) => refuse!("{place}: the runner does not resolve {:?}; name a Task of the catalogue", resolver.unwrap_or("nothing")),
    }
}
