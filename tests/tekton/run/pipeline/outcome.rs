//! What became of a PipelineRun and of its tasks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::tekton::run::{ParamValue, TaskOutcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Succeeded,
    Failed,
    Skipped,
}

impl Status {
    /// As `$(tasks.T.status)` says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Skipped => "None",
        }
    }
}

/// The one reason that does not take the tasks after it with it.
pub(super) const BY_WHEN: &str = "When Expressions evaluated to false";

/// What became of a task of a pipeline.
#[derive(Clone, Debug)]
pub(crate) struct NodeOutcome {
    pub(crate) status: Status,
    /// Why it failed or was skipped.
    pub(crate) reason: String,
    /// The last TaskRun of each combination of its matrix; of one without a matrix the only one.
    pub(crate) runs: Vec<TaskOutcome>,
    /// How many TaskRuns there were, retries among them.
    pub(crate) attempts: usize,
}

impl NodeOutcome {
    pub(super) fn skipped(reason: &str) -> Self {
        Self { status: Status::Skipped, reason: reason.to_owned(), runs: Vec::new(), attempts: 0 }
    }

    pub(super) fn is_by_when(&self) -> bool {
        self.status == Status::Skipped && self.reason == BY_WHEN
    }

    /// Its results; those of a matrix as an array of all its runs.
    pub(super) fn results(&self, is_matrix: bool) -> BTreeMap<String, ParamValue> {
        if !is_matrix {
            return self.runs.last().map(|run| run.results.clone()).unwrap_or_default();
        }
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.runs.iter().flat_map(|run| &run.results) {
            lists.entry(name.clone()).or_default().extend(value.text().map(str::to_owned));
        }
        lists.into_iter().map(|(name, items)| (name, ParamValue::List(items))).collect()
    }
}

/// What became of a PipelineRun.
#[derive(Clone, Debug)]
pub(crate) struct PipelineOutcome {
    /// The name of the PipelineRun.
    pub(crate) name: String,
    /// `Succeeded`, `Completed` (some were skipped), `Failed`.
    pub(crate) reason: &'static str,
    /// Why it failed.
    pub(crate) message: String,
    pub(crate) results: BTreeMap<String, ParamValue>,
    pub(crate) nodes: BTreeMap<String, NodeOutcome>,
    /// The tasks in the order they ended.
    pub(crate) order: Vec<String>,
}

impl PipelineOutcome {
    #[track_caller]
    pub(crate) fn status(&self, task: &str) -> Status {
        self.nodes.get(task).unwrap_or_else(|| panic!("no task {task} in {}", self.log())).status
    }

    /// The only TaskRun of a task.
    #[track_caller]
    pub(crate) fn task(&self, task: &str) -> &TaskOutcome {
        self.nodes.get(task).and_then(|node| node.runs.first()).unwrap_or_else(|| panic!("{task} did not run in {}", self.log()))
    }

    /// A result that is a string.
    #[track_caller]
    pub(crate) fn result(&self, name: &str) -> &str {
        let text = self.results.get(name).and_then(ParamValue::text);
        text.unwrap_or_else(|| panic!("no result {name} in {:?}\n{}", self.results, self.log()))
    }

    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        assert_ne!(self.reason, "Failed", "{}", self.log());
        self
    }

    /// All that was printed, for people.
    pub(crate) fn log(&self) -> String {
        let mut log = format!("PipelineRun {}: {} {}\n", self.name, self.reason, self.message);
        for name in &self.order {
            let node = &self.nodes[name];
            let _ = writeln!(log, "--- {name}: {:?} {}", node.status, node.reason);
            log.extend(node.runs.iter().map(TaskOutcome::log));
        }
        log
    }
}
