//! The shape of an LLMInferenceService: KServe brings the server's command line itself, from its configuration for the cluster.

use serde_json::{Value, json};

use super::inference::{CONNECTIONS, filled, object};
use super::{Service, Strategy};
use crate::kserve::{Mode, Runtime};
use crate::rollout::RolloutError;

/// The container of the server in KServe's templates.
const CONTAINER: &str = "main";

impl Service {
    pub(super) fn llm_patch(&self) -> Result<Value, RolloutError> {
        Ok(json!({"model": {"uri": self.uri()?}}))
    }

    pub(super) fn llm_skeleton(&self) -> Result<Value, RolloutError> {
        let annotations = self.settings.connection.as_ref().map(|name| json!({CONNECTIONS: name}));
        let metadata = object([
            ("annotations", annotations),
            ("name", Some(json!(self.name.as_str()))),
            ("namespace", self.namespace_of_new().map(|namespace| json!(namespace))),
        ]);
        let spec = object([
            ("model", Some(json!({"name": self.name.as_str()}))),
            ("replicas", Some(json!(self.settings.min_replicas.unwrap_or(1)))),
            ("router", self.settings.exposed.then(|| json!({"gateway": {}, "route": {}}))),
            ("template", self.template()),
        ]);
        let api_version = self.kind.api_version(self.generation)?;
        Ok(json!({"apiVersion": api_version, "kind": self.kind.kind(), "metadata": metadata, "spec": spec}))
    }

    /// What KServe's own pod template lacks; KServe lays it over that.
    fn template(&self) -> Option<Value> {
        let settings = &self.settings;
        let env = settings.env.iter().map(|(name, value)| json!({"name": name, "value": value}));
        let (env, resources) = (filled(env), self.resources(None));
        let has_container = env.is_some() || resources.is_some();
        let container = object([("name", Some(json!(CONTAINER))), ("env", env), ("resources", resources)]);
        let template = object([
            ("containers", has_container.then(|| json!([container]))),
            ("imagePullSecrets", filled(settings.pull_secrets.iter().map(|name| json!({"name": name})))),
            ("serviceAccountName", settings.service_account.as_ref().map(|name| json!(name))),
        ]);
        template.as_object().is_some_and(|members| !members.is_empty()).then_some(template)
    }

    /// What an LLMInferenceService cannot be told.
    pub(super) fn check_llm(&self) -> Result<(), RolloutError> {
        self.kind.api_version(self.generation)?;
        let settings = &self.settings;
        let is_llm = self.layout.is_none_or(|layout| matches!(layout, Runtime::Vllm | Runtime::Huggingface));
        for (is_wrong, setting, reason) in [
            (!is_llm, "kind", "the image is laid out for a server of other models"),
            (!self.kind.takes(self.delivery), "delivery", "an LLMInferenceService knows `oci://` and `oci+native://` alone"),
            (settings.mode != Mode::Standard, "mode", "an LLMInferenceService is always made of Deployments"),
            (self.runtime.is_some(), "serving-runtime", "an LLMInferenceService has none"),
            (
                !self.args.is_empty(),
                "kind",
                "the image needs the server to be told which file to load, which KServe's own command line does",
            ),
            (!settings.args.is_empty(), "args", "KServe brings the server's command line"),
            (settings.protocol.is_some(), "protocol", "an LLMInferenceService speaks OpenAI's"),
            (
                settings.scale.is_some() || settings.max_replicas.is_some(),
                "max-replicas",
                "an LLMInferenceService has a fixed number of pods here",
            ),
            // https://github.com/opendatahub-io/kserve/issues/1822
            (settings.strategy != Strategy::Platform, "recreate", "an LLMInferenceService has no deployment strategy"),
        ] {
            if is_wrong {
                return Err(RolloutError::setting(setting, reason, "leave it out, or use `--kind isvc`"));
            }
        }
        Ok(())
    }
}
