//! What a service cannot be told on its KServe, refused before anything is written.

use super::{Service, Strategy};
use crate::kserve::{Kind, Mode, Runtime};
use crate::oci::is_harmless;
use crate::rollout::RolloutError;
use crate::rollout::names::check_label;

/// The longest argument or value of a variable, in bytes.
const MAX_TEXT: usize = 4096;
/// The most arguments and variables.
const MAX_ENTRIES: usize = 100;

impl Service {
    pub(super) fn check_settings(&self) -> Result<(), RolloutError> {
        self.check_names()?;
        self.check_server_words()?;
        self.check_connection()?;
        match self.kind {
            Kind::InferenceService => self.check_inference(),
            Kind::LlmInferenceService => self.check_llm(),
        }
    }

    fn check_names(&self) -> Result<(), RolloutError> {
        let settings = &self.settings;
        settings.namespace.iter().try_for_each(|name| check_label("namespace", name))?;
        settings.pull_secrets.iter().try_for_each(|name| check_label("pull secret's name", name))?;
        settings.connection.iter().try_for_each(|name| check_label("connection's name", name))?;
        settings.service_account.iter().try_for_each(|name| check_label("service account's name", name))
    }

    /// Arguments and variables end up in YAML that people review: nothing in them may be invisible.
    fn check_server_words(&self) -> Result<(), RolloutError> {
        let settings = &self.settings;
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.as_bytes()[0].is_ascii_digit()
        };
        let is_text = |text: &str| text.len() <= MAX_TEXT && text.chars().all(is_harmless);
        let args = settings.args.len() <= MAX_ENTRIES && settings.args.iter().all(|arg| !arg.is_empty() && is_text(arg));
        let env = settings.env.len() <= MAX_ENTRIES && settings.env.iter().all(|(name, value)| is_name(name) && is_text(value));
        match (args, env) {
            (true, true) => Ok(()),
            (false, _) => Err(RolloutError::setting("args", "an argument is empty, too long or has control characters", "leave it out")),
            _ => Err(RolloutError::setting(
                "env",
                "a name is not like HF_HOME, or a value is too long or has control characters",
                "leave it out",
            )),
        }
    }

    /// The annotation means something to OpenShift AI's webhook alone.
    fn check_connection(&self) -> Result<(), RolloutError> {
        if self.settings.connection.is_none() || self.generation.is_rhoai() {
            return Ok(());
        }
        let reason = format!("{} has no connections, OpenShift AI has", self.generation);
        Err(RolloutError::setting("connection", reason, "use `--pull-secret`, in site.yaml `pullSecret`"))
    }

    fn check_inference(&self) -> Result<(), RolloutError> {
        self.generation.runs(self.settings.mode)?;
        if self.settings.strategy != Strategy::Platform && self.settings.mode == Mode::Knative {
            // `validateScalingKPACompExtension` of kserve/kserve.
            let reason = "KServe takes a deployment strategy in mode `standard` alone";
            return Err(RolloutError::setting("recreate", reason, "leave it out, or use `--mode standard`"));
        }
        self.check_scale()?;
        self.check_protocol()
    }

    /// KServe refuses a ServingRuntime that does not list the protocol.
    fn check_protocol(&self) -> Result<(), RolloutError> {
        let Some(protocol) = self.settings.protocol else { return Ok(()) };
        let server = self.runtime_of_new().ok().flatten().and_then(Runtime::behind).or(self.layout);
        let spoken = server.map_or(&[][..], |server| server.protocols(self.generation));
        if spoken.is_empty() || spoken.contains(&protocol) {
            return Ok(());
        }
        let server = server.map(Runtime::name).unwrap_or_default();
        let spoken: Vec<_> = spoken.iter().map(|protocol| format!("`--protocol {protocol}`")).collect();
        let reason = format!("the ServingRuntime for {server} on {} does not speak `{protocol}`", self.generation);
        Err(RolloutError::setting("protocol", reason, format!("use {}", spoken.join(" or "))))
    }
}
