//! An InferenceService as modelcar sees it, and the checks that hold for every way to write it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::names::check_label;
use super::{RolloutError, ServiceName};
use crate::kserve::{Delivery, Generation, Runtime, model_format};
use crate::model::layout::servers_of;
use crate::oci::{Digest, Reference, is_harmless};

/// `apiVersion` of an InferenceService.
pub(super) const API_VERSION: &str = "serving.kserve.io/v1beta1";
/// `kind` of an InferenceService.
pub(super) const KIND: &str = "InferenceService";
/// The image as it was shipped, tag and all: for people, since the digest says it to machines.
pub(super) const IMAGE_ANNOTATION: &str = "io.modelcar/image";
/// The model's format.
const FORMAT_ANNOTATION: &str = "io.modelcar/format";
/// The longest name of a format, in bytes; KServe's own have at most a dozen.
const MAX_FORMAT: usize = 63;
const DEPLOYMENT_MODE: &str = "serving.kserve.io/deploymentMode";

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

/// The arguments that an image may ask for, each with the path of a file below the mount. Whoever makes an image must not be able to
/// turn a server's other switches, such as `--trust-remote-code`.
const ARGS: [&str; 2] = ["--model=/mnt/models/", "--tokenizer=/mnt/models/"];
const MAX_ARGS: usize = 8;

fn check_args(args: &[String]) -> Result<(), RolloutError> {
    let is_path =
        |path: &str| path.len() <= 1024 && path.chars().all(is_harmless) && path.split('/').all(|name| !["", ".", ".."].contains(&name));
    let allowed = |arg: &str| ARGS.iter().filter_map(|start| arg.strip_prefix(start)).any(is_path);
    match args.iter().enumerate().find(|(at, arg)| *at >= MAX_ARGS || !allowed(arg)) {
        Some((_, arg)) => Err(RolloutError::BadArgument { text: arg.chars().take(100).collect() }),
        None => Ok(()),
    }
}

/// Where servers for language models write; their home is not theirs under a random user.
/// <https://github.com/kserve/kserve/issues/3043>
const WRITABLE: [(&str, &str); 3] = [("HOME", "/tmp"), ("HF_HOME", "/tmp/hf_home"), ("VLLM_CACHE_ROOT", "/tmp/vllm")];

impl Service {
    /// What a patch or manifest needs to be right on this KServe.
    pub(super) fn check(&self) -> Result<(), RolloutError> {
        self.digest()?;
        self.namespace.iter().try_for_each(|namespace| check_label("namespace", namespace))?;
        self.format.check()?;
        check_args(&self.args)?;
        self.generation.supports(self.delivery)?;
        self.runtime.iter().try_for_each(|name| check_layout(name, self.layout))?;
        let mlserver = self.layout == Some(Runtime::Mlserver) || self.runtime.as_deref().is_some_and(|name| name.starts_with("mlserver"));
        if self.generation.is_rhoai() && self.delivery == Delivery::Native && mlserver {
            return Err(RolloutError::MlserverNative { generation: self.generation });
        }
        Ok(())
    }

    /// The digest that the image is pinned to.
    pub(super) fn digest(&self) -> Result<Digest, RolloutError> {
        self.image.digest().copied().ok_or_else(|| RolloutError::NoDigest { image: self.image.to_string() })
    }

    /// `oci://host/repository@sha256:…`: by digest alone, because a tag beside it breaks the fetch delivery.
    pub(super) fn storage_uri(&self) -> Result<String, RolloutError> {
        Ok(format!("{}://{}", self.delivery.scheme(), self.image.at(self.digest()?)))
    }

    /// The annotations of a patch: what the tool records and what the user asked for.
    pub(super) fn patch_annotations(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([(FORMAT_ANNOTATION.to_owned(), self.format.name.clone())]);
        if let Some(tag) = self.image.tag() {
            all.insert(IMAGE_ANNOTATION.to_owned(), format!("{}:{tag}", self.image.name()));
        }
        all.extend(self.annotations.clone());
        all
    }

    /// The small strategic-merge or merge patch: annotations, URI and the runtime where the user named one.
    pub(super) fn patch(&self) -> Result<Value, RolloutError> {
        let mut model = Map::from_iter([("storageUri".to_owned(), json!(self.storage_uri()?))]);
        model.extend(self.runtime.iter().map(|runtime| ("runtime".to_owned(), json!(runtime))));
        Ok(json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"annotations": self.patch_annotations(), "name": self.name.as_str()},
            "spec": {"predictor": {"model": model}},
        }))
    }

    /// The InferenceService without image and provenance: what stays when versions change.
    pub(super) fn skeleton(&self) -> Result<Value, RolloutError> {
        let mut metadata = Map::from_iter([
            ("annotations".to_owned(), json!({DEPLOYMENT_MODE: self.generation.deployment_mode()})),
            ("name".to_owned(), json!(self.name.as_str())),
        ]);
        metadata.extend(self.namespace.iter().map(|namespace| ("namespace".to_owned(), json!(namespace))));
        let runtime = self.runtime_of_new()?;
        let mut format = Map::from_iter([("name".to_owned(), json!(self.format_for(runtime)))]);
        format.extend(self.format.version.iter().map(|version| ("version".to_owned(), json!(version))));
        let mut model = Map::from_iter([("modelFormat".to_owned(), Value::Object(format))]);
        model.extend(runtime.map(|runtime| ("runtime".to_owned(), json!(runtime))));
        if matches!(self.layout, Some(Runtime::Vllm | Runtime::Huggingface)) {
            let env = WRITABLE.map(|(name, value)| json!({"name": name, "value": value}));
            model.insert("env".to_owned(), json!(env));
        }
        Ok(json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"predictor": {"model": model}}}))
    }

    /// The word for the format that the ServingRuntime lists.
    fn format_for(&self, runtime: Option<&str>) -> &str {
        let server = runtime.and_then(Runtime::behind).or(self.layout.filter(|layout| *layout != Runtime::Raw));
        model_format(&self.format.name, server, self.generation)
    }

    /// The runtime of a new service: the one named, else the platform's for this layout. None only where automatic selection can but
    /// be right.
    fn runtime_of_new(&self) -> Result<Option<&str>, RolloutError> {
        let shipped = || self.layout.and_then(|layout| layout.shipped_as(&self.format.name, self.generation));
        let runtime = self.runtime.as_deref().or_else(shipped);
        if runtime.is_none() && !self.selects_itself() {
            let (format, shipped) = (self.format.name.clone(), self.shipped_otherwise());
            return Err(RolloutError::RuntimeNeeded { format, generation: self.generation, shipped });
        }
        Ok(runtime)
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
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_a_layout_gets_passes_for_that_layout_and_no_other() {
        let servers = [Runtime::Ovms, Runtime::Triton, Runtime::Mlserver];
        for layout in servers {
            for runtime in Generation::all().filter_map(|generation| layout.shipped_as("sklearn", generation)) {
                assert!(check_layout(runtime, Some(layout)).is_ok(), "{runtime}");
                for other in servers.into_iter().filter(|other| *other != layout) {
                    let error = check_layout(runtime, Some(other)).unwrap_err();
                    assert!(error.to_string().contains(runtime) && error.hint().unwrap().contains(layout.name()), "{error}");
                }
                assert!(check_layout(runtime, Some(Runtime::Raw)).is_ok() && check_layout(runtime, None).is_ok());
            }
        }
        assert!(check_layout("my-triton", Some(Runtime::Ovms)).is_ok());
    }

    #[test]
    fn who_has_to_name_a_runtime_hears_which_server_the_platform_ships() {
        for (format, layout, generation, server) in [
            ("xgboost", Runtime::Xgbserver, Generation::Rhoai3_4, Some("--runtime mlserver")),
            ("onnx", Runtime::Triton, Generation::Rhoai2_25, Some("--runtime ovms")),
            ("sklearn", Runtime::Sklearnserver, Generation::Rhoai2_25, None),
        ] {
            let service = Service {
                name: "m".parse().unwrap(),
                namespace: None,
                image: "quay.io/o/m:v1".parse().unwrap(),
                generation,
                delivery: Delivery::Modelcar,
                format: ModelFormat { name: format.to_owned(), version: None },
                runtime: None,
                layout: Some(layout),
                args: Vec::new(),
                annotations: BTreeMap::new(),
            };
            let hint = service.runtime_of_new().unwrap_err().hint().unwrap();
            assert_eq!(hint.contains("build the image with"), server.is_some(), "{hint}");
            assert!(server.is_none_or(|server| hint.contains(server)) && !hint.contains("Triton"), "{hint}");
        }
    }

    #[test]
    fn an_image_cannot_turn_other_switches_of_the_server() {
        let check = |arg: &str| check_args(&[arg.to_owned()]);
        for arg in ["--model=/mnt/models/q4.gguf", "--tokenizer=/mnt/models/tok/tokenizer.json", "--model=/mnt/models/模型 v1.gguf"] {
            assert!(check(arg).is_ok(), "{arg}");
        }
        for arg in [
            "--trust-remote-code",
            "--model=org/name",
            "--model=/mnt/models/../../etc/passwd",
            "--model=/mnt/models/",
            "--model=/mnt/models/a\nb",
            "--model=/mnt/models/$(X)\u{202e}",
            "",
        ] {
            let error = check(arg).unwrap_err();
            assert!(matches!(error, RolloutError::BadArgument { .. }) && error.hint().is_some(), "{arg}");
        }
        let many = vec!["--model=/mnt/models/a".to_owned(); MAX_ARGS + 1];
        assert!(check_args(&many).is_err());
    }
}
