//! Executes Tekton Tasks and Pipelines on this machine, as their YAML says and as Tekton v1.15 does it.
//!
//! A [`Cluster`] is the namespace of a run: its catalogue, images, Secrets, ConfigMaps and claims. [`Cluster::run_task`] and
//! [`Cluster::run_pipeline`] take a [`Run`] (what a TaskRun or PipelineRun says) and give back what happened to every step.
//!
//! As Tekton does:
//! - [variables](https://tekton.dev/docs/pipelines/variables/) are replaced in the fields that take them and in Tekton's order
//!   (parameters, context, workspaces, results), and Kubernetes then expands `$(NAME)` from the step's environment in `command`, `args` and
//!   `env` (`substitute.rs`, `environment.rs`);
//! - [parameters](https://tekton.dev/docs/pipelines/tasks/#specifying-parameters): defaults, types, keys of objects; what nobody declared
//!   but a run gives is ignored, what a Task names but did not declare is refused (`params.rs`);
//! - [`stepTemplate`](https://tekton.dev/docs/pipelines/tasks/#specifying-a-step-template) is merged, and
//!   [step actions](https://tekton.dev/docs/pipelines/stepactions/) are taken in (`steps.rs`);
//! - [workspaces](https://tekton.dev/docs/pipelines/workspaces/): optional, isolated, read-only, with `subPath`; no second claim in one
//!   TaskRun, as the affinity assistant demands (`workspaces.rs`);
//! - [results](https://tekton.dev/docs/pipelines/tasks/#emitting-results) are read after every step into its termination message, whose 4096
//!   bytes (and the pod's 12 KiB) they share with Tekton's own entries; types are checked at the end (`results.rs`);
//! - a step is a container: runc, a user that no image knows with group 0, no capabilities, no new privileges, a read-only root,
//!   a memory limit from `computeResources` (`sandbox.rs`), volumes as the kubelet lays them out, `..data` links included (`volumes.rs`).
//!   A step whose `securityContext` OpenShift's restricted-v2 would not admit is refused (`security.rs`);
//! - [pipelines](https://tekton.dev/docs/pipelines/pipelines/): the graph by results and `runAfter`, `when`, `matrix`, `retries`, `timeout`,
//!   `onError`, `finally`, statuses, results (`pipeline/`).
//!
//! Other than Tekton:
//! - fields that it does not know are refused (sidecars, scripts, `envFrom` but of Secrets, CEL, bundles, cluster resolver, propagated parameters);
//! - a variable that nothing replaces is refused; Tekton would pass its text on;
//! - tasks that could run side by side run one after the other; only the memory of `computeResources` is kept;
//! - the seccomp profile must be declared, but is not applied; nor is SELinux. The network is this machine's;
//! - where a service account is mounted at all, it is one for every pod, whatever a run says of accounts;
//! - `emptyDir.sizeLimit` is a tmpfs of that size, which counts as memory of the step that writes it: the kubelet would evict the pod instead;
//! - credentials of the service account are not put into the home folder (<https://tekton.dev/docs/pipelines/auth/>).

mod environment;
mod fields;
pub(crate) mod images;
mod params;
mod pipeline;
mod pod;
mod results;
mod sandbox;
mod security;
mod spec;
mod steps;
mod substitute;
mod task;
mod units;
mod value;
mod volumes;
mod when;
mod workspaces;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::catalog::{self, Document};
use crate::support::runc::{Runc, busybox_root};
use crate::support::temp_dir;
pub(crate) use images::Image;
pub(crate) use pipeline::{PipelineOutcome, Status};
pub(crate) use task::TaskOutcome;
pub(crate) use value::ParamValue;

/// What Tekton or Kubernetes would not run, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(pub(crate) String);

/// An early end with a reason.
macro_rules! refuse {
    ($($words:tt)*) => { return Err($crate::tekton::run::Refused(format!($($words)*))) };
}
pub(crate) use refuse;

/// The files of a Secret or ConfigMap.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;
type Tokens = Rc<dyn Fn(&str) -> String>;
/// A task of a pipeline, and what somebody else does once it ended.
type Meanwhile = (String, Box<dyn Fn(&TaskOutcome)>);

/// What Kubernetes gives every pod: the files of its account, and where the API server is.
#[derive(Clone, Default)]
struct ServiceAccount {
    files: Files,
    environment: Vec<(String, String)>,
}

/// The namespace in which runs happen.
pub(crate) struct Cluster {
    pub(crate) runc: Runc,
    /// The namespace's name.
    pub(crate) namespace: String,
    folder: tempfile::TempDir,
    documents: Vec<Document>,
    images: BTreeMap<String, Image>,
    secrets: BTreeMap<String, Files>,
    config_maps: BTreeMap<String, Files>,
    claims: BTreeMap<String, PathBuf>,
    tokens: Tokens,
    meanwhile: Option<Meanwhile>,
    service_account: Option<ServiceAccount>,
    runs: Cell<usize>,
}

impl Cluster {
    /// An empty one. `None`, said on stderr, where this machine cannot start containers.
    pub(crate) fn new() -> Option<Self> {
        let folder = temp_dir();
        let runc = Runc::new(&busybox_root(folder.path())?)?;
        let (documents, images, secrets, config_maps, claims, meanwhile, service_account) = Default::default();
        let tokens: Tokens = Rc::new(|audience| format!("token for {audience}"));
        let (namespace, runs) = ("edge-models".to_owned(), Cell::new(0));
        Some(Self { runc, namespace, folder, documents, images, secrets, config_maps, claims, tokens, meanwhile, service_account, runs })
    }

    /// One with everything of the project's `tekton/` folder.
    pub(crate) fn with_catalog() -> Option<Self> {
        let mut cluster = Self::new()?;
        cluster.documents = catalog::read(&catalog::folder());
        Some(cluster)
    }

    /// Adds the documents of a YAML text, which take the place of others of their kind and name.
    pub(crate) fn apply(&mut self, yaml: &str) {
        let values: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        for value in values {
            let document = Document { path: PathBuf::from("applied.yaml"), value };
            self.documents.retain(|known| (known.kind(), known.name()) != (document.kind(), document.name()));
            self.documents.push(document);
        }
    }

    /// Says what an image reference stands for.
    pub(crate) fn image(&mut self, reference: &str, image: &Image) {
        self.images.insert(reference.to_owned(), image.clone());
    }

    pub(crate) fn secret(&mut self, name: &str, files: &[(&str, &str)]) {
        self.secrets.insert(name.to_owned(), as_files(files));
    }

    pub(crate) fn config_map(&mut self, name: &str, files: &[(&str, &str)]) {
        self.config_maps.insert(name.to_owned(), as_files(files));
    }

    /// A claim whose volume is an empty folder; gives the folder.
    pub(crate) fn claim(&mut self, name: &str) -> PathBuf {
        let folder = self.folder().join(format!("claim-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        self.claims.insert(name.to_owned(), folder.clone());
        folder
    }

    /// Who makes the tokens of the service account, by audience.
    pub(crate) fn tokens(&mut self, make: impl Fn(&str) -> String + 'static) {
        self.tokens = Rc::new(make);
    }

    /// The account that every pod has, by its folder and what the environment says of the API server.
    pub(crate) fn service_account(&mut self, folder: &Path, environment: &[(&str, String)]) {
        let files = ["token", "namespace", "ca.crt"].map(|name| (name.to_owned(), std::fs::read(folder.join(name)).unwrap()));
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.service_account = Some(ServiceAccount { files: files.into(), environment });
    }

    /// What somebody else does between a task of a pipeline and the next.
    pub(crate) fn meanwhile(&mut self, task: &str, act: impl Fn(&TaskOutcome) + 'static) {
        self.meanwhile = Some((task.to_owned(), Box::new(act)));
    }

    /// A folder that goes with the cluster.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn document(&self, kind: &str, name: &str) -> Result<&Value, Refused> {
        let found = self.documents.iter().find(|document| document.kind() == kind && document.name() == name);
        found.map(|document| &document.value).ok_or_else(|| Refused(format!("{kind} {name:?} not found in the catalogue")))
    }

    /// A name that no run of this cluster has, and none of another test.
    fn unique(&self, prefix: &str) -> String {
        self.runs.set(self.runs.get() + 1);
        let test = self.folder().file_name().unwrap().to_string_lossy().replace("modelcar-test-", "").to_lowercase();
        format!("{prefix}-{test}-{}", self.runs.get())
    }
}

fn as_files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
}

/// What a TaskRun or a PipelineRun says.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The Task or Pipeline by name, or its spec.
    pub(crate) target: Target,
    pub(crate) params: BTreeMap<String, ParamValue>,
    pub(crate) workspaces: Vec<spec::Volume>,
    /// The name of the run; one is made up where it is empty.
    pub(crate) name: String,
    pub(crate) timeout: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Named(String),
    Embedded(Value),
}

impl Run {
    pub(crate) fn of(name: &str) -> Self {
        Self::new(Target::Named(name.to_owned()))
    }

    pub(crate) fn new(target: Target) -> Self {
        Self { target, params: BTreeMap::new(), workspaces: Vec::new(), name: String::new(), timeout: None }
    }

    /// What the document of a TaskRun or PipelineRun says; a sample of the catalogue.
    ///
    /// # Panics
    /// Where it is none, or says what the runner does not know.
    pub(crate) fn read(document: &Value) -> Self {
        let run: spec::RunSpec = serde_json::from_value(document["spec"].clone()).unwrap();
        let named = run.task_ref.or(run.pipeline_ref).and_then(|target| target.name).map(Target::Named);
        let target = named.or(run.task_spec.or(run.pipeline_spec).map(Target::Embedded)).unwrap();
        let params = run.params.into_iter().map(|param| (param.name, param.value)).collect();
        Self { params, workspaces: run.workspaces, timeout: run.timeout, ..Self::new(target) }
    }

    #[must_use]
    pub(crate) fn param(mut self, name: &str, value: impl Into<ParamValue>) -> Self {
        self.params.insert(name.to_owned(), value.into());
        self
    }

    /// Binds a workspace to a volume source: `json!({"secret": {"secretName": "key"}})`.
    #[must_use]
    pub(crate) fn workspace(mut self, name: &str, mut source: Value) -> Self {
        source["name"] = name.into();
        self.workspaces.push(serde_json::from_value(source).unwrap());
        self
    }

    /// Binds a workspace to a claim of the cluster.
    #[must_use]
    pub(crate) fn claim(self, name: &str, claim: &str) -> Self {
        self.workspace(name, serde_json::json!({"persistentVolumeClaim": {"claimName": claim}}))
    }

    /// Binds a workspace to a Secret of the cluster.
    #[must_use]
    pub(crate) fn secret(self, name: &str, secret: &str) -> Self {
        self.workspace(name, serde_json::json!({"secret": {"secretName": secret}}))
    }
}
