//! Several images in one service: a base model and its adapters.
//!
//! KServe wants the mount paths of images to have a common parent, and its modelcar mode wants each to have a parent of its own, because a
//! link is made in it (`validateMultipleStorageURIsSpec` and `pkg/utils/storage.go` of kserve/kserve). So every image has a folder
//! below `/mnt/models`, and the model is in it.

use serde_json::{Value, json};

use super::Service;
use crate::kserve::{Kind, Runtime};
use crate::oci::Reference;
use crate::rollout::RolloutError;
use crate::rollout::names::check_label;

/// The name of the service's first image among its sources.
const BASE: &str = "base";
/// The most images in a pod: `MaxOCISourcesPerPod` of kserve/kserve.
const MAX_SOURCES: usize = 10;
/// Where an image's model is, when it is the only one.
const MOUNT: &str = "/mnt/models";

const LORA: &str = "--enable-lora";
const LORA_MODULES: &str = "--lora-modules";

/// A further image of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSource {
    /// By which the server knows it: a DNS label. `base` is the service's own image.
    pub name: String,
    /// The image, with a digest.
    pub image: Reference,
}

/// Where the model of a source is mounted.
fn mount_path(name: &str) -> String {
    format!("{MOUNT}/{name}/model")
}

/// Arguments without those that several images made the server need.
pub(in crate::rollout) fn without_sources(args: Vec<String>) -> Vec<String> {
    let is_ours = |arg: &str| {
        let mounted = arg.split_once('=').is_some_and(|(name, path)| path == mount_path(name) || path.starts_with(&mount_path(BASE)));
        mounted || [LORA, LORA_MODULES].contains(&arg)
    };
    args.into_iter().filter(|arg| !is_ours(arg)).collect()
}

impl Service {
    /// The arguments that a patch carries: what the image asks for, or what names the sources; then those of the settings. Empty where the
    /// base can keep the settings' own.
    pub fn patch_args(&self) -> Vec<String> {
        let mut args = self.server_args();
        if !args.is_empty() {
            args.extend(self.settings.args.iter().cloned());
        }
        args
    }

    /// What the model and its sources make the server need. KServe appends them to those of the ServingRuntime, and the last one counts.
    pub(super) fn server_args(&self) -> Vec<String> {
        if self.sources.is_empty() {
            return self.args.clone();
        }
        let moved = |arg: &String| arg.replacen(MOUNT, &mount_path(BASE), 1);
        let mut args: Vec<_> = self.args.iter().map(moved).collect();
        if !args.iter().any(|arg| arg.starts_with("--model=")) {
            args.insert(0, format!("{}={}", self.model_switch(), mount_path(BASE)));
        }
        args.extend([LORA, LORA_MODULES].map(str::to_owned));
        args.extend(self.sources.iter().map(|source| format!("{}={}", source.name, mount_path(&source.name))));
        args
    }

    /// How the server is told where the model is.
    fn model_switch(&self) -> &'static str {
        let server = self.runtime_of_new().ok().flatten().and_then(Runtime::behind).or(self.layout);
        if server == Some(Runtime::Huggingface) { "--model_dir" } else { "--model" }
    }

    /// `spec.predictor.storageUris`: the service's own image first.
    pub(super) fn storage_uris(&self) -> Result<Value, RolloutError> {
        let entry = |name: &str, uri: String| json!({"uri": uri, "mountPath": mount_path(name)});
        let mut entries = vec![entry(BASE, self.uri()?)];
        for source in &self.sources {
            let digest = source.image.digest().copied().ok_or_else(|| RolloutError::NoDigest { image: source.image.to_string() })?;
            entries.push(entry(&source.name, format!("{}://{}", self.delivery.scheme(), source.image.at(digest))));
        }
        Ok(Value::Array(entries))
    }

    /// Whether this service can have these sources.
    pub(super) fn check_sources(&self) -> Result<(), RolloutError> {
        if self.sources.is_empty() {
            return Ok(());
        }
        let refuse = |reason: String, instead: &str| Err(RolloutError::setting("source", reason, instead));
        if self.kind == Kind::LlmInferenceService {
            // `workload_lora.go`: https://github.com/kserve/kserve/issues/6094
            return refuse("an LLMInferenceService takes no adapters from images".to_owned(), "use `--kind isvc`");
        }
        self.generation.supports_several_sources()?;
        if !matches!(self.layout, Some(Runtime::Vllm | Runtime::Huggingface)) {
            return refuse(
                "of the known servers only vLLM reads a second model, as an adapter of the first".to_owned(),
                "put all files into one image, or build the image with `--runtime vllm`",
            );
        }
        if self.sources.len() >= MAX_SOURCES {
            return refuse(format!("KServe mounts at most {MAX_SOURCES} images in a pod"), "leave some out");
        }
        self.check_source_names()
    }

    fn check_source_names(&self) -> Result<(), RolloutError> {
        for (at, source) in self.sources.iter().enumerate() {
            check_label("source name", &source.name)?;
            let taken = source.name == BASE || self.sources[..at].iter().any(|other| other.name == source.name);
            if taken {
                let reason = format!("the name `{}` is taken", source.name);
                return Err(RolloutError::setting("source", reason, "name each source once; `base` is the service's own image"));
            }
        }
        self.storage_uris().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kserve::Generation;
    use crate::oci::Digest;

    fn adapted(names: &[&str]) -> Service {
        let image = |name: &str| format!("quay.io/acme/{name}:v1@{}", Digest::of(name.as_bytes())).parse().unwrap();
        let sources = names.iter().map(|name| ModelSource { name: (*name).to_owned(), image: image(&name.to_lowercase()) }).collect();
        let service = Service::new("chat".parse().unwrap(), image("llama"), Generation::V0_20);
        Service { sources, layout: Some(Runtime::Vllm), ..service }
    }

    #[test]
    fn mount_paths_share_a_parent_and_none_has_another_ones() {
        let uris = adapted(&["legal", "medical"]).storage_uris().unwrap();
        let paths: Vec<_> = uris.as_array().unwrap().iter().map(|entry| entry["mountPath"].as_str().unwrap()).collect();
        assert_eq!(paths, ["/mnt/models/base/model", "/mnt/models/legal/model", "/mnt/models/medical/model"]);
        let parents: std::collections::HashSet<_> = paths.iter().map(|path| path.rsplit_once('/').unwrap().0).collect();
        assert_eq!(parents.len(), paths.len());
        assert!(uris.as_array().unwrap().iter().all(|entry| !entry["uri"].as_str().unwrap().contains(":v1@")));
    }

    #[test]
    fn the_server_is_told_where_the_model_and_its_adapters_are() {
        let args = adapted(&["legal", "medical"]).patch_args();
        let adapters = ["--enable-lora", "--lora-modules", "legal=/mnt/models/legal/model", "medical=/mnt/models/medical/model"];
        assert_eq!(args[0], "--model=/mnt/models/base/model");
        assert_eq!(args[1..], adapters);
        let gguf = Service { args: vec!["--model=/mnt/models/q4.gguf".to_owned()], ..adapted(&["legal"]) };
        assert_eq!(gguf.patch_args()[0], "--model=/mnt/models/base/model/q4.gguf");
        let face = Service { layout: Some(Runtime::Huggingface), ..adapted(&["legal"]) };
        assert_eq!(face.patch_args()[0], "--model_dir=/mnt/models/base/model");
    }

    #[test]
    fn refuses_sources_that_kserve_or_the_server_would_not_read() {
        let many: Vec<_> = (0..MAX_SOURCES).map(|at| format!("a{at}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let unpinned = ModelSource { name: "legal".to_owned(), image: "quay.io/acme/legal:v1".parse().unwrap() };
        for (service, said) in [
            (Service { generation: Generation::V0_17, ..adapted(&["legal"]) }, "KServe 0.17 mounts one model image"),
            (Service { generation: Generation::Rhoai3_4, ..adapted(&["legal"]) }, "OpenShift AI 3.4 mounts one model image"),
            (Service { kind: Kind::LlmInferenceService, ..adapted(&["legal"]) }, "takes no adapters"),
            (Service { layout: Some(Runtime::Ovms), ..adapted(&["legal"]) }, "only vLLM"),
            (adapted(&["base"]), "`base` is taken"),
            (adapted(&["legal", "legal"]), "`legal` is taken"),
            (adapted(&["Legal"]), "not a valid source name"),
            (adapted(&many), "at most 10 images"),
            (Service { sources: vec![unpinned], ..adapted(&[]) }, "not pinned"),
        ] {
            let error = service.check_sources().unwrap_err();
            assert!(error.to_string().contains(said) && error.hint().is_some(), "{error}");
        }
        assert!(adapted(&["legal"]).check_sources().is_ok() && adapted(&[]).check_sources().is_ok());
    }
}
