//! A TaskRun: a Task's spec made ready, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::params::given;
use super::pod::Pod;
use super::sandbox::Usage;
use super::spec::{self, Step, TaskSpec, Volume};
use super::substitute::Variables;
use super::{Cluster, ParamValue, Refused, Run, Target, params, refuse, results, workspaces};

/// Why a step ended; `Completed` is the good one.
pub(crate) type Reason = &'static str;

/// What became of a step.
#[derive(Clone, Debug)]
pub(crate) struct StepOutcome {
    pub(crate) name: String,
    /// `Completed`, `Error`, `OOMKilled`, `TimeoutExceeded`, `ResultsTooLarge`, `Skipped`.
    pub(crate) reason: Reason,
    pub(crate) exit_code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) usage: Usage,
    /// The length of its termination message, of which 4096 bytes are allowed.
    pub(crate) message_length: usize,
    /// Its command line, as it was started.
    pub(crate) command: Vec<String>,
}

/// What became of a TaskRun.
#[derive(Clone, Debug)]
pub(crate) struct TaskOutcome {
    /// The name of the TaskRun.
    pub(crate) name: String,
    pub(crate) succeeded: bool,
    /// Why it failed.
    pub(crate) message: String,
    pub(crate) results: BTreeMap<String, ParamValue>,
    pub(crate) steps: Vec<StepOutcome>,
}

impl TaskOutcome {
    /// One that never started.
    pub(crate) fn refused(name: &str, refused: &Refused) -> Self {
        Self { name: name.to_owned(), succeeded: false, message: refused.to_string(), results: BTreeMap::new(), steps: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn step(&self, name: &str) -> &StepOutcome {
        self.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name} in {}", self.log()))
    }

    /// A result that is a string.
    #[track_caller]
    pub(crate) fn result(&self, name: &str) -> &str {
        let text = self.results.get(name).and_then(ParamValue::text);
        text.unwrap_or_else(|| panic!("no result {name} in {:?}\n{}", self.results, self.log()))
    }

    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        assert!(self.succeeded, "{}", self.log());
        self
    }

    /// All that was printed, for people.
    pub(crate) fn log(&self) -> String {
        let mut log = format!("TaskRun {}: {}\n", self.name, if self.succeeded { "Succeeded" } else { &self.message });
        for step in &self.steps {
            let _ =
                writeln!(log, "[{}] {} {:?} {:?}\n{}{}", step.name, step.reason, step.exit_code, step.command, step.stdout, step.stderr);
        }
        log
    }
}

/// A Task with everything put in, ready to be laid out as a pod.
pub(crate) struct Ready {
    pub(crate) of: String,
    pub(crate) spec: TaskSpec,
    pub(crate) steps: Vec<Step>,
    /// Those of the Task and those behind its workspaces.
    pub(crate) volumes: Vec<Volume>,
}

impl Cluster {
    /// Runs a Task to its end.
    ///
    /// # Errors
    /// Where Tekton or Kubernetes would not start it.
    pub(crate) fn run_task(&self, run: &Run) -> Result<TaskOutcome, Refused> {
        let name = if run.name.is_empty() { self.unique("task") } else { run.name.clone() };
        let ready = self.ready(run, &name)?;
        Pod::new(self, &name, ready)?.run(run.timeout.as_deref())
    }

    /// What Tekton checks before it makes the pod of a Task; gives the names of its steps.
    ///
    /// # Errors
    /// Where Tekton would not start it.
    pub(crate) fn check_task(&self, run: &Run) -> Result<Vec<String>, Refused> {
        Ok(self.ready(run, "checked")?.steps.into_iter().map(|step| step.name).collect())
    }

    /// A run's Task by name or as it is embedded: its name and its spec.
    pub(crate) fn task_spec(&self, target: &Target) -> Result<(String, TaskSpec), Refused> {
        let (name, value) = match target {
            Target::Named(name) => (name.as_str(), &self.document("Task", name)?["spec"]),
            Target::Embedded(value) => ("", value),
        };
        Ok((name.to_owned(), spec::read(&format!("Task {name}"), value)?))
    }

    fn ready(&self, run: &Run, name: &str) -> Result<Ready, Refused> {
        let (task_name, mut spec) = self.task_spec(&run.target)?;
        let of = format!("Task {task_name}");
        let values = given(&params::resolve(&of, &spec.params, &run.params)?);
        workspaces::refuse_misfits(&of, &spec.workspaces, &run.workspaces)?;
        workspaces::refuse_second_claim(&of, &run.workspaces)?;
        spec.workspaces.iter_mut().flat_map(|workspace| &mut workspace.mount_path).for_each(|path| *path = values.in_text(path));
        let mut steps = self.steps(&of, &spec, &values)?;
        workspaces::mount(&of, &spec, &mut steps, &run.workspaces)?;
        let mut volumes = spec.volumes.clone();
        for known in [values, self.context(&task_name, name), of_workspaces(&spec, run), of_results(&spec, &steps)] {
            for step in &mut steps {
                step.put(&known);
            }
            for volume in &mut volumes {
                volume.put(&known);
            }
        }
        for step in &mut steps {
            step.put(&of_own_results(step));
        }
        steps.iter().try_for_each(|step| step.refuse_leftovers(&of))?;
        volumes.iter().try_for_each(|volume| volume.refuse_leftovers(&of))?;
        volumes.extend(behind_workspaces(&run.workspaces));
        refuse_same_names(&of, &steps)?;
        Ok(Ready { of, spec, steps, volumes })
    }

    fn context(&self, task: &str, run: &str) -> Variables {
        let mut known = Variables::default();
        let values = [
            ("context.taskRun.name", run.to_owned()),
            ("context.taskRun.namespace", self.namespace.clone()),
            ("context.taskRun.uid", self.uid()),
            ("context.task.name", task.to_owned()),
        ];
        for (name, value) in values {
            known.text(name, value);
        }
        known
    }

    /// The UID of the newest run.
    pub(crate) fn uid(&self) -> String {
        format!("0a1b2c3d-0000-4000-8000-{:012}", self.runs.get())
    }
}

fn of_workspaces(spec: &TaskSpec, run: &Run) -> Variables {
    let mut known = Variables::default();
    workspaces::put_variables(&mut known, &spec.workspaces, &run.workspaces);
    known
}

fn of_results(spec: &TaskSpec, steps: &[Step]) -> Variables {
    let mut known = Variables::default();
    for folder in steps.iter().map(results::step_folder) {
        known.text(&format!("steps.{folder}.exitCode.path"), format!("/tekton/steps/{folder}/exitCode"));
    }
    for name in spec.results.iter().map(|result| &result.name) {
        for variable in [format!("results.{name}.path"), format!("results['{name}'].path"), format!("results[\"{name}\"].path")] {
            known.text(&variable, format!("/tekton/results/{name}"));
        }
    }
    known
}

/// `step.results.X.path` of a step.
fn of_own_results(step: &Step) -> Variables {
    let mut known = Variables::default();
    let folder = results::step_folder(step);
    for result in &step.results {
        known.text(&format!("step.results.{}.path", result.name), format!("/tekton/steps/{folder}/results/{}", result.name));
    }
    known
}

fn behind_workspaces(bound: &[Volume]) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    for binding in bound {
        let name = workspaces::volume_name(binding);
        if !volumes.iter().any(|volume| volume.name == name) {
            volumes.push(Volume { name, ..binding.clone() });
        }
    }
    volumes
}

fn refuse_same_names(of: &str, steps: &[Step]) -> Result<(), Refused> {
    for (at, step) in steps.iter().enumerate() {
        if steps[..at].iter().any(|other| other.name == step.name) {
            refuse!("{of}: step name {:?} is used twice", step.name);
        }
        let mut paths: Vec<&str> = step.volume_mounts.iter().map(|mount| mount.mount_path.as_str()).collect();
        paths.sort_unstable();
        if let Some([twice, ..]) = paths.windows(2).find(|two| two[0] == two[1]) {
            refuse!("{of}, step {}: {} must be unique among mount paths", step.name, twice);
        }
    }
    Ok(())
}
