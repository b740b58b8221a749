//! A PipelineRun. <https://tekton.dev/docs/pipelines/pipelines/>, <https://tekton.dev/docs/pipelines/pipelineruns/>

mod graph;
mod matrix;
mod node;
mod outcome;
mod spec;

use std::collections::BTreeMap;

use super::params::{self, given};
use super::spec::read;
use super::substitute::{Variables, variables};
use super::{Cluster, ParamValue, Refused, Run, Target, workspaces};
use graph::Graph;
use node::Node;
use outcome::{BY_WHEN, NodeOutcome};
pub(crate) use outcome::{PipelineOutcome, Status};
use spec::PipelineSpec;

/// A PipelineRun under way.
struct Running<'a> {
    cluster: &'a Cluster,
    run: &'a Run,
    name: String,
    spec: PipelineSpec,
    /// Parameters, context, and the results and statuses of what ended.
    known: Variables,
    nodes: BTreeMap<String, NodeOutcome>,
    /// In the order they ended.
    order: Vec<String>,
    /// Why no further task is started.
    stopped: Option<String>,
}

impl Cluster {
    /// Runs a Pipeline to its end.
    ///
    /// # Errors
    /// Where Tekton would not start it.
    pub(crate) fn run_pipeline(&self, run: &Run) -> Result<PipelineOutcome, Refused> {
        let (pipeline, spec, values, graph) = self.checked(run)?;
        let name = if run.name.is_empty() { self.unique("pipeline") } else { run.name.clone() };
        let known = self.variables_of_pipeline(&pipeline, &name, &spec, run, &values);
        let (nodes, order) = Default::default();
        let mut running = Running { cluster: self, run, name, spec, known, nodes, order, stopped: None };
        for node in &graph.tasks {
            let outcome = running.task(node)?;
            running.keep(node, outcome);
        }
        running.put_statuses(&graph);
        for node in &graph.finally {
            let outcome = running.last_task(node)?;
            running.keep(node, outcome);
        }
        Ok(running.ended())
    }

    /// What Tekton checks before it starts the first task of a Pipeline; gives the names of its tasks.
    ///
    /// # Errors
    /// Where Tekton would not start it.
    pub(crate) fn check_pipeline(&self, run: &Run) -> Result<Vec<String>, Refused> {
        let (_, _, _, graph) = self.checked(run)?;
        Ok(graph.tasks.iter().chain(&graph.finally).map(|node| node.name().to_owned()).collect())
    }

    fn checked(&self, run: &Run) -> Result<(String, PipelineSpec, BTreeMap<String, ParamValue>, Graph), Refused> {
        let (pipeline, spec) = self.pipeline_spec(&run.target)?;
        let of = format!("Pipeline {pipeline}");
        let values = params::resolve(&of, &spec.params, &run.params)?;
        workspaces::refuse_misfits(&of, &spec.workspaces, &run.workspaces)?;
        let graph = Graph::of(self, &of, &spec)?;
        Ok((pipeline, spec, values, graph))
    }

    fn pipeline_spec(&self, target: &Target) -> Result<(String, PipelineSpec), Refused> {
        let (name, value) = match target {
            Target::Named(name) => (name.as_str(), &self.document("Pipeline", name)?["spec"]),
            Target::Embedded(value) => ("", value),
        };
        Ok((name.to_owned(), read(&format!("Pipeline {name}"), value)?))
    }

    fn variables_of_pipeline(
        &self,
        pipeline: &str,
        name: &str,
        spec: &PipelineSpec,
        run: &Run,
        values: &BTreeMap<String, ParamValue>,
    ) -> Variables {
        let mut known = given(values);
        known.text("context.pipeline.name", pipeline);
        known.text("context.pipelineRun.name", name);
        known.text("context.pipelineRun.namespace", self.namespace.as_str());
        known.text("context.pipelineRun.uid", self.uid());
        for declared in &spec.workspaces {
            let is_bound = run.workspaces.iter().any(|volume| volume.name == declared.name);
            known.text(&format!("workspaces.{}.bound", declared.name), is_bound.to_string());
        }
        known
    }
}

impl Running<'_> {
    /// Runs a task of `tasks`, or says why not; in the order in which Tekton asks.
    fn task(&mut self, node: &Node) -> Result<NodeOutcome, Refused> {
        if self.stopped.is_some() {
            return Ok(NodeOutcome::skipped("PipelineRun was stopping"));
        }
        let missing = self.missing_result(node);
        if let Some(missing) = missing.as_ref().filter(|missing| self.is_lost(node, missing)) {
            let reason = format!("InvalidTaskResultReference: could not find result $({missing}) for task {}", node.name());
            self.stopped = Some(reason.clone());
            return Ok(NodeOutcome::skipped(&reason));
        }
        if !node.all_hold(&self.known)? {
            return Ok(NodeOutcome::skipped(BY_WHEN));
        }
        // a task that its own `when` kept from running does not take those with it that only come after it
        let is_lost = |parent: &String| self.nodes[parent].status == Status::Skipped && !self.nodes[parent].is_by_when();
        if node.parents.iter().any(is_lost) {
            return Ok(NodeOutcome::skipped("Parent Tasks were skipped"));
        }
        if missing.is_some() {
            return Ok(NodeOutcome::skipped("Results were missing"));
        }
        let outcome = self.run_node(node)?;
        if outcome.status == Status::Failed && !node.forgives() {
            self.stopped = Some(format!("task {} failed: {}", node.name(), outcome.reason));
        }
        Ok(outcome)
    }

    /// Whether a result is missing although its task ran, which fails the run.
    fn is_lost(&self, node: &Node, result: &str) -> bool {
        !node.forgives() && self.nodes[graph::task_of(result)].status != Status::Skipped
    }

    /// A task of `finally` runs whatever was before, unless a result that it wants is missing.
    fn last_task(&mut self, node: &Node) -> Result<NodeOutcome, Refused> {
        if self.missing_result(node).is_some() {
            return Ok(NodeOutcome::skipped("Results were missing"));
        }
        if !node.all_hold(&self.known)? {
            return Ok(NodeOutcome::skipped(BY_WHEN));
        }
        let outcome = self.run_node(node)?;
        if outcome.status == Status::Failed && !node.forgives() && self.stopped.is_none() {
            self.stopped = Some(format!("task {} failed: {}", node.name(), outcome.reason));
        }
        Ok(outcome)
    }

    fn missing_result(&self, node: &Node) -> Option<String> {
        let is_missing = |name: &String| self.known.in_value(&format!("$({name})").into()).text() == Some(format!("$({name})").as_str());
        node.result_references().into_iter().find(is_missing)
    }

    fn keep(&mut self, node: &Node, outcome: NodeOutcome) {
        for (name, value) in outcome.results(node.matrix.is_some()) {
            let place = if node.is_last { "finally" } else { "tasks" };
            self.known.value(&format!("{place}.{}.results", node.name()), &name, &value);
        }
        if node.matrix.is_some() {
            self.known.text(&format!("tasks.{}.matrix.length", node.name()), outcome.runs.len().to_string());
        }
        if let (Some((_, act)), Some(run)) = (self.cluster.meanwhile.as_ref().filter(|(task, _)| task == node.name()), outcome.runs.last())
        {
            act(run);
        }
        self.order.push(node.name().to_owned());
        self.nodes.insert(node.name().to_owned(), outcome);
    }

    /// `tasks.T.status` and `tasks.status`, which only `finally` has.
    fn put_statuses(&mut self, graph: &Graph) {
        for node in &graph.tasks {
            let outcome = &self.nodes[node.name()];
            self.known.text(&format!("tasks.{}.status", node.name()), outcome.status.word());
            self.known.text(&format!("tasks.{}.reason", node.name()), outcome.reason.as_str());
        }
        let of_all = |status: Status| self.nodes.values().any(|outcome| outcome.status == status);
        let all = if of_all(Status::Failed) || self.stopped.is_some() {
            "Failed"
        } else if of_all(Status::Skipped) {
            "Completed"
        } else {
            "Succeeded"
        };
        self.known.text("tasks.status", all);
    }

    fn ended(self) -> PipelineOutcome {
        let has_skipped = self.nodes.values().any(|outcome| outcome.status == Status::Skipped);
        let (results, invalid) = self.results();
        let message = self.stopped.or(invalid);
        let reason = match &message {
            Some(_) => "Failed",
            None if has_skipped => "Completed",
            None => "Succeeded",
        };
        PipelineOutcome { name: self.name, reason, message: message.unwrap_or_default(), results, nodes: self.nodes, order: self.order }
    }

    /// The results of the Pipeline; one whose task did not succeed is left out, one that names nothing fails the run.
    fn results(&self) -> (BTreeMap<String, ParamValue>, Option<String>) {
        let (mut results, mut invalid) = (BTreeMap::new(), None);
        for result in &self.spec.results {
            let value = self.known.in_value(&result.value);
            let left = variables(&serde_json::to_string(&value).unwrap());
            let Some(name) = left.first() else {
                results.insert(result.name.clone(), value);
                continue;
            };
            if self.nodes.get(graph::task_of(name)).is_none_or(|outcome| outcome.status == Status::Succeeded) {
                invalid = Some(format!("invalid pipelineresults [{}], the referenced results don't exist", result.name));
            }
        }
        (results, invalid)
    }
}
