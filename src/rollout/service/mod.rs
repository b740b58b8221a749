//! An InferenceService as modelcar sees it, and the checks that hold for every way to write it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::names::check_label;
use super::{RolloutError, ServiceName};
use crate::kserve::{CanaryWay, Delivery, Generation, Kind, Runtime, model_format, predictor_name};
use crate::model::layout::servers_of;
use crate::oci::{Digest, Reference};

mod args;
mod check;
mod inference;
mod llm;
mod place;
mod quantity;
pub(super) mod render;
mod settings;
mod sources;

pub(super) use args::{ARGS, merged_args, strings};
pub use inference::Beside;
pub use place::Place;
pub(super) use place::{LLM_URI, URI, URIS};
pub use quantity::Quantity;
pub use settings::{Metric, Resources, Scale, Settings, Strategy};
pub use sources::ModelSource;
pub(super) use sources::without_sources;

/// `apiVersion` of an InferenceService.
pub(super) const API_VERSION: &str = "serving.kserve.io/v1beta1";
/// The image as it was shipped, tag and all: for people, since the digest says it to machines.
pub(super) const IMAGE_ANNOTATION: &str = "io.modelcar/image";
/// The model's format.
const FORMAT_ANNOTATION: &str = "io.modelcar/format";
/// The longest name of a format, in bytes; KServe's own have at most a dozen.
const MAX_FORMAT: usize = 63;

/// One model served on one KServe.
#[derive(Clone, Debug)]
pub struct Service {
    /// The InferenceService's name.
    pub name: ServiceName,
    /// Its namespace; without one, whoever applies it decides.
    pub namespace: Option<String>,
    /// The image, with a digest. A tag beside the digest is recorded for people and never given to KServe.
    pub image: Reference,
    /// What the site's KServe can do.
    pub generation: Generation,
    /// How the model gets into the pod.
    pub delivery: Delivery,
    /// The format that KServe is told.
    pub format: ModelFormat,
    /// The ServingRuntime that the user named; it goes into every form. `None` leaves the runtime of an existing service alone.
    pub runtime: Option<String>,
    /// The server whose folders are inside the image, from which a new service gets its runtime when none is named.
    pub layout: Option<Runtime>,
    /// What the image says that the server has to be told: `--model=/mnt/models/q4.gguf`.
    pub args: Vec<String>,
    /// Further annotations of the InferenceService.
    pub annotations: BTreeMap<String, String>,
    /// The kind of object that serves it.
    pub kind: Kind,
    /// Further images mounted beside the first: adapters.
    pub sources: Vec<ModelSource>,
    /// What the nodes are told to pull where it is not the image's own name: a mirror's.
    pub pull_from: Option<Reference>,
    /// What a new service is told beyond its model.
    pub settings: Settings,
}

/// The model's format, as modelcar calls it; `spec.predictor.model.modelFormat` may have another word for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFormat {
    /// `onnx`, `sklearn`, ….
    pub name: String,
    /// The format's version as the ServingRuntime lists it.
    pub version: Option<String>,
}

impl ModelFormat {
    /// The name may come from a stranger's image.
    fn check(&self) -> Result<(), RolloutError> {
        let letter = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let name = self.name.as_bytes();
        let valid = name.len() <= MAX_FORMAT && name.first().is_some_and(letter) && name.iter().all(|b| letter(b) || b"_-".contains(b));
        if valid { Ok(()) } else { Err(RolloutError::BadFormat { text: self.name.chars().take(MAX_FORMAT).collect() }) }
    }
}

/// Refuses a well-known ServingRuntime that would look for other folders than those in the image. An image laid out for no server in
/// particular ([`Runtime::Raw`]) may be anything.
pub(super) fn check_layout(serving_runtime: &str, layout: Option<Runtime>) -> Result<(), RolloutError> {
    match (Runtime::behind(serving_runtime), layout) {
        (Some(wants), Some(layout)) if !wants.reads_folders_of(layout) && layout != Runtime::Raw => {
            Err(RolloutError::RuntimeMismatch { runtime: serving_runtime.to_owned(), wants, layout })
        }
        _ => Ok(()),
    }
}

impl Service {
    /// An InferenceService for an image of which nothing else is known.
    pub fn new(name: ServiceName, image: Reference, generation: Generation) -> Self {
        Self {
            name,
            namespace: None,
            image,
            generation,
            delivery: Delivery::Modelcar,
            format: ModelFormat { name: "unknown".to_owned(), version: None },
            runtime: None,
            layout: None,
            args: Vec::new(),
            annotations: BTreeMap::new(),
            kind: Kind::InferenceService,
            sources: Vec::new(),
            pull_from: None,
            settings: Settings::default(),
        }
    }

    /// How a new version gets a part of the requests here.
    ///
    /// # Errors
    /// [`RolloutError::Setting`]: an LLMInferenceService has no canaries.
    pub fn canary_way(&self) -> Result<CanaryWay, RolloutError> {
        match self.kind {
            Kind::InferenceService => Ok(self.generation.canary(self.settings.mode)),
            Kind::LlmInferenceService => Err(RolloutError::setting(
                "canary",
                "an LLMInferenceService has one version",
                "deploy the new version under a second name and weigh the two in an HTTPRoute, or deploy it in place; git has the way back",
            )),
        }
    }

    /// The name of the predictor that runs this image as a canary, and after its promotion: one that is not taken.
    ///
    /// # Errors
    /// The image has no digest, or the service's name leaves no room for a second one.
    pub fn predictor_name(&self, taken: &[&str]) -> Result<String, RolloutError> {
        let name = predictor_name(self.name.as_str(), &self.digest()?, taken);
        name.ok_or_else(|| {
            let reason = format!("the name `{}` has more than 42 characters, which leaves no room for a second predictor's", self.name);
            RolloutError::setting("canary", reason, "give the service a shorter name, or deploy without a canary")
        })
    }

    /// What a patch or manifest needs to be right on this KServe.
    pub(super) fn check(&self) -> Result<(), RolloutError> {
        self.digest()?;
        self.namespace.iter().try_for_each(|namespace| check_label("namespace", namespace))?;
        self.format.check()?;
        args::check_args(&self.args)?;
        self.generation.supports(self.delivery)?;
        self.runtime.iter().try_for_each(|name| check_layout(name, self.layout))?;
        let mlserver = self.layout == Some(Runtime::Mlserver) || self.runtime.as_deref().is_some_and(|name| name.starts_with("mlserver"));
        if self.generation.is_rhoai() && self.delivery == Delivery::Native && mlserver {
            return Err(RolloutError::MlserverNative { generation: self.generation });
        }
        self.check_sources()?;
        self.check_settings()
    }

    /// The digest that the image is pinned to.
    pub(super) fn digest(&self) -> Result<Digest, RolloutError> {
        self.image.digest().copied().ok_or_else(|| RolloutError::NoDigest { image: self.image.to_string() })
    }

    /// The annotations of a patch: what the tool records and what the user asked for.
    pub(super) fn patch_annotations(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([(FORMAT_ANNOTATION.to_owned(), self.format.name.clone())]);
        all.extend(self.tagged().map(|image| (IMAGE_ANNOTATION.to_owned(), image)));
        all.extend(self.annotations.clone());
        all
    }

    /// The image as it was shipped, where it had a tag.
    fn tagged(&self) -> Option<String> {
        Some(format!("{}:{}", self.image.name(), self.image.tag()?))
    }

    /// The small strategic-merge or merge patch: annotations, the image's place and the runtime where the user named one.
    pub(super) fn patch(&self) -> Result<Value, RolloutError> {
        Ok(json!({
            "apiVersion": self.kind.api_version(self.generation)?,
            "kind": self.kind.kind(),
            "metadata": {"annotations": self.patch_annotations(), "name": self.name.as_str()},
            "spec": match self.kind {
                Kind::InferenceService => self.inference_patch()?,
                Kind::LlmInferenceService => self.llm_patch()?,
            },
        }))
    }

    /// The service without image and provenance: what stays when versions change.
    pub(super) fn skeleton(&self) -> Result<Value, RolloutError> {
        match self.kind {
            Kind::InferenceService => self.inference_skeleton(),
            Kind::LlmInferenceService => self.llm_skeleton(),
        }
    }

    /// Its namespace, where one is known: that asked for, else the site's.
    fn namespace_of_new(&self) -> Option<&str> {
        self.namespace.as_deref().or(self.settings.namespace.as_deref())
    }

    /// The word for the format that the ServingRuntime lists.
    fn format_for(&self, runtime: Option<&str>) -> &str {
        let server = runtime.and_then(Runtime::behind).or(self.layout.filter(|layout| *layout != Runtime::Raw));
        model_format(&self.format.name, server, self.generation)
    }

    /// The runtime of a new service: the one named, else the site's or the platform's for this layout. None only where automatic
    /// selection can but be right.
    fn runtime_of_new(&self) -> Result<Option<&str>, RolloutError> {
        if let Some(named) = self.runtime.as_deref() {
            return Ok(Some(named));
        }
        let shipped = self.layout.and_then(|layout| layout.shipped_as(&self.format.name, self.generation));
        let runtime = if self.settings.runtimes.is_empty() { shipped } else { self.runtime_of_site(shipped) };
        if runtime.is_none() && !self.selects_itself() {
            let (format, shipped) = (self.format.name.clone(), self.shipped_otherwise());
            return Err(RolloutError::RuntimeNeeded { format, generation: self.generation, shipped });
        }
        Ok(runtime)
    }

    /// Of the ServingRuntimes that a site has, the platform's for this layout, else the first that reads it.
    fn runtime_of_site<'a>(&'a self, shipped: Option<&'a str>) -> Option<&'a str> {
        let present = || self.settings.runtimes.iter().map(String::as_str);
        let reads = |name: &&str| Runtime::behind(name).zip(self.layout).is_some_and(|(server, layout)| server.reads_folders_of(layout));
        shipped.filter(|shipped| present().any(|name| name == *shipped)).or_else(|| present().find(reads))
    }

    /// The servers of the format that the platform ships, besides the one that the image is laid out for.
    fn shipped_otherwise(&self) -> Vec<Runtime> {
        let format = &self.format.name;
        let others = servers_of(format).filter(|server| Some(*server) != self.layout);
        others.filter(|server| server.shipped_as(format, self.generation).is_some()).collect()
    }

    /// ONNX never goes without: OpenShift AI's runtimes do not select themselves for it, and upstream Triton would win over OpenVINO, as it
    /// would for TensorFlow over TensorFlow Serving.
    fn selects_itself(&self) -> bool {
        match self.layout.filter(|layout| *layout != Runtime::Raw) {
            Some(layout) => layout.selects_itself(self.generation),
            None => match model_format(&self.format.name, None, self.generation) {
                "onnx" => false,
                "tensorflow" => self.generation.is_rhoai(),
                _ => true,
            },
        }
    }
}

#[cfg(test)]
mod tests;
