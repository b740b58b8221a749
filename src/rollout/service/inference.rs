//! The shape of an InferenceService.

use serde_json::{Map, Value, json};

use super::{IMAGE_ANNOTATION, Metric, Service, Strategy, URIS, merged_args};
use crate::kserve::{Mode, Protocol, Runtime};
use crate::rollout::RolloutError;

const DEPLOYMENT_MODE: &str = "serving.kserve.io/deploymentMode";
/// Lets OpenShift AI put the connection's pull secret into the pods.
pub(super) const CONNECTIONS: &str = "opendatahub.io/connections";
/// Makes OpenShift AI's controller give a service of plain Deployments a Route (`kserve_raw_route_reconciler.go`).
const VISIBILITY: &str = "networking.kserve.io/visibility";

/// Where servers for language models write; their home is not theirs under a random user.
/// <https://github.com/kserve/kserve/issues/3043>
const WRITABLE: [(&str, &str); 3] = [("HOME", "/tmp"), ("HF_HOME", "/tmp/hf_home"), ("VLLM_CACHE_ROOT", "/tmp/vllm")];

/// An object of the members that have a value.
pub(super) fn object(members: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Value {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>().into()
}

/// A list, or nothing where it would be empty.
pub(super) fn filled(items: impl IntoIterator<Item = Value>) -> Option<Value> {
    let items: Vec<_> = items.into_iter().collect();
    if items.is_empty() { None } else { Some(Value::Array(items)) }
}

/// The predictor beside which a canary runs, as far as the canary has to know it.
#[derive(Clone, Debug, Default)]
pub struct Beside<'a> {
    /// Its `modelFormat`, where it is known.
    pub format: Option<&'a Value>,
    /// Its arguments: a list in the entry takes the place of them.
    pub args: Vec<String>,
    /// The names of predictors that are taken.
    pub taken: Vec<&'a str>,
}

impl Service {
    /// An entry of `spec.canary[]`, which runs this image beside the stable one.
    ///
    /// KServe lays the entry over the stable predictor, so it has to say little; but its schema wants `name` and `modelFormat` of every
    /// model here, though not in the stable predictor. An empty name is what KServe accepts; the format is the stable predictor's, or the
    /// entry would change it. The image as it was shipped is noted in the predictor's own annotations: those of the InferenceService are
    /// copied to every pod, and a canary must restart nothing but itself. Without requests KServe makes no pod unless one is asked for.
    ///
    /// # Errors
    /// As [`Self::canary_way`] and [`Self::predictor_name`]; several images, which would stand beside the stable predictor's one.
    pub fn canary_entry(&self, percent: u8, beside: &Beside<'_>) -> Result<Value, RolloutError> {
        self.canary_way()?;
        self.check_single()?;
        let format = beside.format.cloned().unwrap_or_else(|| self.format_of(self.runtime_of_new().ok().flatten()));
        let wanted = self.patch_args();
        let args = if wanted.is_empty() { Vec::new() } else { merged_args(beside.args.clone(), &wanted) };
        let model = object([
            ("name", Some(json!(""))),
            ("modelFormat", Some(format)),
            ("runtime", self.runtime.as_ref().map(|name| json!(name))),
            ("args", filled(args.into_iter().map(Value::String))),
            ("storageUri", Some(json!(self.uri()?))),
        ]);
        let predictor = object([
            ("annotations", self.tagged().map(|image| json!({IMAGE_ANNOTATION: image}))),
            ("name", Some(json!(self.predictor_name(&beside.taken)?))),
            ("minReplicas", (percent == 0).then(|| json!(1))),
            ("model", Some(model)),
        ]);
        Ok(json!({"trafficPercent": percent, "predictor": predictor}))
    }

    /// Refuses several images where they would stand beside the one of another predictor.
    pub(in crate::rollout) fn check_single(&self) -> Result<(), RolloutError> {
        if self.sources.is_empty() {
            return Ok(());
        }
        let reason = "`storageUris` of a canary would stand beside the `storageUri` that it is laid over, and KServe takes one of them";
        Err(RolloutError::setting("source", reason, "deploy it without a canary; `modelcar rollback` is the way back"))
    }

    pub(super) fn inference_patch(&self) -> Result<Value, RolloutError> {
        let place = self.place()?;
        let runtime = self.runtime.as_ref().map(|runtime| json!(runtime));
        if place.keys == URIS {
            // The two exclude each other; null takes away the one that may be there.
            let model = object([("runtime", runtime), ("storageUri", Some(Value::Null))]);
            return Ok(json!({"predictor": {"model": model, "storageUris": place.value}}));
        }
        Ok(json!({"predictor": {"model": object([("runtime", runtime), ("storageUri", Some(place.value))])}}))
    }

    pub(super) fn inference_skeleton(&self) -> Result<Value, RolloutError> {
        Ok(json!({
            "apiVersion": self.kind.api_version(self.generation)?,
            "kind": self.kind.kind(),
            "metadata": self.metadata(),
            "spec": {"predictor": self.predictor()?},
        }))
    }

    fn metadata(&self) -> Value {
        let settings = &self.settings;
        let annotations = object([
            (CONNECTIONS, settings.connection.as_ref().map(|name| json!(name))),
            (DEPLOYMENT_MODE, Some(json!(self.generation.mode_word(settings.mode)))),
        ]);
        // Everywhere else a service is reached from outside unless it says otherwise.
        let labelled = settings.exposed && self.generation.is_rhoai() && settings.mode == Mode::Standard;
        object([
            ("annotations", Some(annotations)),
            ("labels", labelled.then(|| json!({VISIBILITY: "exposed"}))),
            ("name", Some(json!(self.name.as_str()))),
            ("namespace", self.namespace_of_new().map(|namespace| json!(namespace))),
        ])
    }

    fn predictor(&self) -> Result<Value, RolloutError> {
        let settings = &self.settings;
        let scale = settings.scale;
        Ok(object([
            ("minReplicas", settings.min_replicas.map(|number| json!(number))),
            ("maxReplicas", settings.max_replicas.map(|number| json!(number))),
            ("scaleMetric", scale.map(|scale| json!(scale.metric.name()))),
            ("scaleTarget", scale.and_then(|scale| scale.target).map(|target| json!(target))),
            ("deploymentStrategy", self.strategy()),
            ("imagePullSecrets", filled(settings.pull_secrets.iter().map(|name| json!({"name": name})))),
            ("serviceAccountName", settings.service_account.as_ref().map(|name| json!(name))),
            ("model", Some(self.model()?)),
        ]))
    }

    fn strategy(&self) -> Option<Value> {
        match self.settings.strategy {
            Strategy::Platform => None,
            Strategy::Recreate => Some(json!({"type": "Recreate"})),
            Strategy::InPlace => Some(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})),
        }
    }

    fn model(&self) -> Result<Value, RolloutError> {
        let runtime = self.runtime_of_new()?;
        let own = if self.server_args().is_empty() { &self.settings.args[..] } else { &[] };
        Ok(object([
            ("modelFormat", Some(self.format_of(runtime))),
            ("runtime", runtime.map(|runtime| json!(runtime))),
            ("protocolVersion", self.settings.protocol.map(|protocol| json!(protocol.name()))),
            ("ports", self.ports(runtime)),
            ("resources", self.resources(runtime)),
            ("env", filled(self.env())),
            ("args", filled(own.iter().map(|arg| json!(arg)))),
        ]))
    }

    fn format_of(&self, runtime: Option<&str>) -> Value {
        object([("name", Some(json!(self.format_for(runtime)))), ("version", self.format.version.as_ref().map(|version| json!(version)))])
    }

    /// The gRPC port by its name; the ServingRuntimes of the platforms name none, and then clients get HTTP alone.
    fn ports(&self, runtime: Option<&str>) -> Option<Value> {
        self.settings.protocol.filter(|protocol| protocol.is_grpc())?;
        let server = runtime.and_then(Runtime::behind).or(self.layout)?;
        let port = server.grpc_port(self.generation)?;
        Some(json!([{"containerPort": port, "name": Protocol::port_name(self.settings.mode), "protocol": "TCP"}]))
    }

    /// Requests and limits alike: a pod that asks for what it may use is the last that a full node evicts.
    pub(super) fn resources(&self, runtime: Option<&str>) -> Option<Value> {
        let resources = &self.settings.resources;
        let gpus = (resources.gpus > 0).then(|| json!(resources.gpus.to_string()));
        let amounts = object([
            ("cpu", resources.cpu.as_ref().map(|cpu| json!(cpu.to_string()))),
            ("memory", resources.memory.as_ref().map(|memory| json!(memory.to_string()))),
            (Runtime::accelerator(runtime), gpus),
        ]);
        let is_empty = amounts.as_object().is_none_or(Map::is_empty);
        (!is_empty).then(|| json!({"requests": amounts, "limits": amounts}))
    }

    fn env(&self) -> Vec<Value> {
        let own = &self.settings.env;
        let is_llm = matches!(self.layout, Some(Runtime::Vllm | Runtime::Huggingface));
        let writable = WRITABLE.into_iter().filter(|(name, _)| is_llm && !own.contains_key(*name));
        let all = writable.chain(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        all.map(|(name, value)| json!({"name": name, "value": value})).collect()
    }

    /// What is wrong with the number of pods and what it follows.
    pub(super) fn check_scale(&self) -> Result<(), RolloutError> {
        let settings = &self.settings;
        let refuse = |setting, reason: String, instead: &str| Err(RolloutError::setting(setting, reason, instead));
        if settings.min_replicas == Some(0) && settings.mode == Mode::Standard {
            return refuse(
                "min-replicas",
                "a Deployment keeps at least one pod".to_owned(),
                "1 is the fewest; `--mode knative` scales to zero",
            );
        }
        let (min, max) = (settings.min_replicas.unwrap_or(1), settings.max_replicas);
        if max.is_some_and(|max| max < min.max(1)) {
            return refuse("max-replicas", format!("it is lower than the fewest pods, {min}"), "give it at least that number");
        }
        let Some(scale) = settings.scale else { return Ok(()) };
        if scale.metric.mode() != settings.mode {
            let reason = format!("in mode `{}` no autoscaler measures `{}`", settings.mode, scale.metric);
            let known: Vec<_> = Metric::ALL.into_iter().filter(|metric| metric.mode() == settings.mode).map(Metric::name).collect();
            return refuse("scale", reason, &format!("measure {}", known.join(" or ")));
        }
        let most = if settings.mode == Mode::Standard { 100 } else { u32::MAX };
        match scale.target {
            Some(target) if !(1..=most).contains(&target) => refuse(
                "scale",
                format!("{target} is no target for `{}`", scale.metric),
                "cpu and memory are percent of the request, from 1 to 100",
            ),
            _ => Ok(()),
        }
    }
}
