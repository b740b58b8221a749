//! The pod of a TaskRun: its volumes, and its steps one after the other, as Tekton's entrypoint orders them.
//! <https://github.com/tektoncd/pipeline/blob/v1.15.0/pkg/entrypoint/entrypointer.go>

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::environment::{Environment, expand};
use super::results::{self, Contents, step_folder};
use super::sandbox::{Ended, Mount, Sandbox, Usage};
use super::spec::{EmptyDir, Step, VolumeMount};
use super::substitute::{Variables, refuse_leftovers};
use super::task::{Ready, Reason, StepOutcome, TaskOutcome};
use super::volumes::{Laid, scratch, written};
use super::{Cluster, ParamValue, Refused, refuse, security, units, when};

/// Tekton's default for a TaskRun.
const TIMEOUT: &str = "1h";
const TOO_LARGE: &str = "Termination message is above max allowed size 4096, caused by large task result.";
/// The volume and the place of a pod's service account.
const ACCOUNT: (&str, &str) = ("kube-api-access", "/var/run/secrets/kubernetes.io/serviceaccount");
/// Folders that Tekton gives to every step, and where.
const IMPLICIT: [(&str, &str); 3] =
    [("tekton-internal-workspace", "/workspace"), ("tekton-internal-home", "/tekton/home"), ("tekton-internal-results", "/tekton/results")];

pub(crate) struct Pod<'a> {
    cluster: &'a Cluster,
    name: String,
    ready: Ready,
    folder: PathBuf,
    volumes: BTreeMap<String, Laid>,
    /// `steps.S.results.R` of the steps that ran.
    known: Variables,
    step_results: BTreeMap<String, ParamValue>,
}

impl<'a> Pod<'a> {
    /// Lays its volumes out.
    pub(crate) fn new(cluster: &'a Cluster, name: &str, ready: Ready) -> Result<Self, Refused> {
        let folder = cluster.folder().join("pods").join(name);
        let mut volumes = BTreeMap::new();
        for (volume, _) in IMPLICIT {
            volumes.insert(volume.to_owned(), scratch(folder.join("volumes").join(volume), &EmptyDir::default())?);
        }
        if let Some(account) = &cluster.service_account {
            volumes.insert(ACCOUNT.0.to_owned(), written(folder.join("volumes").join(ACCOUNT.0), &account.files));
        }
        for volume in &ready.volumes {
            let laid = cluster.lay(&ready.of, volume, &folder)?;
            if volumes.insert(volume.name.clone(), laid).is_some() {
                refuse!("{}: volume {:?} is there twice", ready.of, volume.name);
            }
        }
        for step in &ready.steps {
            scratch(folder.join("steps").join(step_folder(step)).join("results"), &EmptyDir::default())?;
            fs::create_dir_all(folder.join("containers").join(&step.name)).unwrap();
        }
        let (known, step_results) = Default::default();
        Ok(Self { cluster, name: name.to_owned(), ready, folder, volumes, known, step_results })
    }

    /// Runs the steps. A step that cannot be created fails the pod before any of them starts, as in Kubernetes.
    pub(crate) fn run(mut self, timeout: Option<&str>) -> Result<TaskOutcome, Refused> {
        let steps = self.ready.steps.clone();
        steps.iter().try_for_each(|step| self.admit(step).map(drop))?;
        let end = Instant::now() + units::duration(timeout.unwrap_or(TIMEOUT))?;
        let mut outcome =
            TaskOutcome { name: self.name.clone(), succeeded: true, message: String::new(), results: BTreeMap::new(), steps: Vec::new() };
        let (mut contents, mut is_over) = (Contents::new(), false);
        for step in &steps {
            let left = end.saturating_duration_since(Instant::now());
            let ran = if is_over { skipped(step) } else { self.step(step, left, &mut contents)? };
            is_over = is_over || !stays_good(step, &ran);
            // a step whose message is too long does not stop the next, but the run has failed
            if outcome.succeeded && (is_over || ran.reason == "ResultsTooLarge") {
                (outcome.succeeded, outcome.message) = (false, failure(&ran));
            }
            outcome.steps.push(ran);
        }
        match results::typed(&self.ready.of, &self.ready.spec.results, &contents, |text| self.of_steps(text)) {
            Ok(found) => outcome.results = found,
            Err(refused) => (outcome.succeeded, outcome.message) = (false, refused.to_string()),
        }
        Ok(outcome)
    }

    /// Whether its root is read-only, where it may run at all.
    fn admit(&self, step: &Step) -> Result<bool, Refused> {
        let place = self.place(step);
        if step.command.is_empty() {
            refuse!("{place}: the runner does not look up an image's entrypoint; say the command");
        }
        if !self.cluster.images.contains_key(&step.image) {
            refuse!("{place}: ImagePullBackOff: {:?} is no image of this cluster", step.image);
        }
        step.compute_resources.memory_limit().map(|limit| units::bytes(&limit)).transpose()?;
        self.mounts(step)?;
        security::admit(&place, step.security_context.as_ref())
    }

    fn place(&self, step: &Step) -> String {
        format!("{}, step {}", self.ready.of, step.name)
    }

    fn step(&mut self, step: &Step, left: Duration, contents: &mut Contents) -> Result<StepOutcome, Refused> {
        let mut step = step.clone();
        step.put(&self.known);
        let place = self.place(&step);
        step.command.iter().chain(&step.args).try_for_each(|word| refuse_leftovers(&place, word, &["steps"]))?;
        if !when::all_hold(&place, &step.when)? {
            return Ok(StepOutcome { exit_code: Some(0), ..skipped(&step) });
        }
        let environment = self.cluster.environment(&place, &step)?;
        let command: Vec<String> = step.command.iter().chain(&step.args).map(|word| expand(word, &environment)).collect();
        let ended = self.contained(&step, &command, &environment, left)?;
        let mut ran = outcome(&step, command, ended);
        self.keep_results(&step, &mut ran, contents)?;
        Ok(ran)
    }

    fn contained(&self, step: &Step, command: &[String], environment: &Environment, left: Duration) -> Result<Ended, Refused> {
        let limit = step.timeout.as_deref().map(units::duration).transpose()?;
        let name = format!("{}-{}", self.name, step.name);
        let sandbox = Sandbox {
            name: &name,
            image: &self.cluster.images[&step.image],
            command,
            environment,
            working_dir: step.working_dir.as_deref().unwrap_or("/"),
            mounts: &self.mounts(step)?,
            read_only_root: self.admit(step)?,
            memory_limit: step.compute_resources.memory_limit().map(|limit| units::bytes(&limit)).transpose()?,
            time_limit: limit.unwrap_or(left).min(left),
            scratch: &self.volumes.values().filter(|laid| laid.is_scratch).collect::<Vec<_>>(),
            folder: &self.folder.join("containers").join(&step.name),
        };
        Ok(sandbox.run(self.cluster))
    }

    /// Reads what a step left, good or not, and what it may say of it.
    fn keep_results(&mut self, step: &Step, ran: &mut StepOutcome, contents: &mut Contents) -> Result<(), Refused> {
        let (place, folder) = (self.place(step), self.folder.join("steps").join(step_folder(step)));
        if stays_good(step, ran) {
            fs::write(folder.join("exitCode"), ran.exit_code.unwrap_or_default().to_string()).unwrap();
        }
        let of_task = results::read(&place, &self.volumes["tekton-internal-results"].path, &self.ready.spec.results)?;
        let of_step = results::read(&place, &folder.join("results"), &step.results)?;
        ran.message_length = results::message_length(&of_task, &of_step);
        if ran.message_length > results::budget(self.ready.steps.len()) {
            ran.reason = if stays_good(step, ran) { "ResultsTooLarge" } else { ran.reason };
            return Ok(());
        }
        *contents = of_task;
        for result in &step.results {
            let Some(value) = of_step.get(&result.name).map(|text| results::of_kind(result, text)) else { continue };
            self.known.value(&format!("steps.{}.results", step.name), &result.name, &value);
            self.step_results.insert(format!("$(steps.{}.results.{})", step.name, result.name), value);
        }
        Ok(())
    }

    fn of_steps(&self, text: &str) -> Option<ParamValue> {
        self.step_results.get(&text.replace("[*]", "")).cloned()
    }

    fn mounts(&self, step: &Step) -> Result<Vec<Mount>, Refused> {
        // a folder of Tekton's own gives way to what a Task mounts there
        let is_free = |at: &str| !step.volume_mounts.iter().any(|mount| mount.mount_path.trim_end_matches('/') == at);
        let implicit = IMPLICIT.iter().filter(|(_, at)| is_free(at));
        let implicit =
            implicit.map(|(name, at)| Mount { source: self.volumes[*name].path.clone(), at: (*at).to_owned(), read_only: false });
        let (steps, own) = (self.folder.join("steps"), step_folder(step));
        let all = Mount { source: steps.clone(), at: "/tekton/steps".to_owned(), read_only: true };
        let own = Mount { source: steps.join(&own), at: format!("/tekton/steps/{own}"), read_only: false };
        let account = self.volumes.get(ACCOUNT.0);
        let account = account.map(|laid| Mount { source: laid.path.clone(), at: ACCOUNT.1.to_owned(), read_only: true });
        let mut mounts: Vec<Mount> = implicit.chain([all, own]).chain(account).collect();
        for mount in &step.volume_mounts {
            mounts.push(self.mounted(&self.place(step), mount)?);
        }
        Ok(mounts)
    }

    fn mounted(&self, place: &str, mount: &VolumeMount) -> Result<Mount, Refused> {
        let Some(laid) = self.volumes.get(&mount.name) else { refuse!("{place}: volume mount {:?} is of no volume", mount.name) };
        let mut source = laid.path.clone();
        if let Some(inside) = mount.sub_path.as_deref().filter(|inside| !inside.is_empty()) {
            if Path::new(inside).is_absolute() || inside.split('/').any(|part| part == "..") {
                refuse!("{place}: subPath {inside:?} must be a relative path without ..");
            }
            source.push(inside);
        }
        if !source.exists() {
            scratch(source.clone(), &EmptyDir::default())?;
        }
        Ok(Mount { source, at: mount.mount_path.clone(), read_only: mount.read_only || laid.read_only })
    }
}

fn skipped(step: &Step) -> StepOutcome {
    let (stdout, stderr, command) = Default::default();
    StepOutcome {
        name: step.name.clone(),
        reason: "Skipped",
        exit_code: None,
        stdout,
        stderr,
        usage: Usage::default(),
        message_length: 0,
        command,
    }
}

/// Whether the next step runs.
fn stays_good(step: &Step, ran: &StepOutcome) -> bool {
    let is_forgiven = step.on_error.as_deref() == Some("continue") && matches!(ran.reason, "Error" | "OOMKilled");
    is_forgiven || ran.exit_code == Some(0) && ran.reason != "TimeoutExceeded"
}

fn failure(ran: &StepOutcome) -> String {
    match ran.reason {
        "ResultsTooLarge" => format!("step {}: {TOO_LARGE} ({} bytes)", ran.name, ran.message_length),
        reason => format!("step {} exited with code {}: {reason}", ran.name, ran.exit_code.unwrap_or_default()),
    }
}

fn outcome(step: &Step, command: Vec<String>, ended: Ended) -> StepOutcome {
    let limit = step.compute_resources.memory_limit().and_then(|limit| units::bytes(&limit).ok());
    let is_full = limit.is_some_and(|limit| ended.usage.memory + (64 << 10) >= limit);
    let reason: Reason = match ended.exit_code {
        _ if ended.timed_out => "TimeoutExceeded",
        0 => "Completed",
        137 if is_full => "OOMKilled",
        _ => "Error",
    };
    let (stdout, stderr, usage) = (ended.stdout, ended.stderr, ended.usage);
    StepOutcome { name: step.name.clone(), reason, exit_code: Some(ended.exit_code), stdout, stderr, usage, message_length: 0, command }
}
