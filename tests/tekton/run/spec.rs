//! The fields that the runner executes; one that it does not know is refused, so that nothing is quietly left out.
//! <https://tekton.dev/docs/pipelines/pipeline-api/#tekton.dev/v1>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ParamValue, Refused};

/// Reads a spec, or says which field the runner does not execute.
pub(crate) fn read<T: serde::de::DeserializeOwned>(of: &str, value: &Value) -> Result<T, Refused> {
    serde_json::from_value(value.clone()).map_err(|error| Refused(format!("{of}: {error}")))
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ParamSpec {
    pub(crate) name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Value>,
    pub(crate) default: Option<ParamValue>,
    #[serde(default, rename = "enum")]
    pub(crate) choices: Vec<String>,
}

impl ParamSpec {
    /// As Tekton's defaulting has it.
    pub(crate) fn kind(&self) -> &str {
        let by_properties = || if self.properties.is_empty() { "string" } else { "object" };
        self.kind.as_deref().unwrap_or_else(|| self.default.as_ref().map_or_else(by_properties, ParamValue::kind))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Param {
    pub(crate) name: String,
    pub(crate) value: ParamValue,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResultSpec {
    pub(crate) name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Value>,
    /// Where it comes from a step's result.
    pub(crate) value: Option<String>,
}

impl ResultSpec {
    pub(crate) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or(if self.properties.is_empty() { "string" } else { "object" })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkspaceSpec {
    pub(crate) name: String,
    #[serde(default, rename = "description")]
    _description: String,
    pub(crate) mount_path: Option<String>,
    #[serde(default)]
    pub(crate) read_only: bool,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TaskSpec {
    #[serde(default, rename = "displayName")]
    _display_name: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "metadata")]
    _metadata: Value,
    #[serde(default)]
    pub(crate) params: Vec<ParamSpec>,
    #[serde(default)]
    pub(crate) results: Vec<ResultSpec>,
    #[serde(default)]
    pub(crate) workspaces: Vec<WorkspaceSpec>,
    pub(crate) step_template: Option<Value>,
    pub(crate) steps: Vec<Value>,
    #[serde(default)]
    pub(crate) volumes: Vec<Volume>,
}

/// A step after the template and its step action.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Step {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default, rename = "displayName")]
    _display_name: String,
    #[serde(default)]
    pub(crate) image: String,
    #[serde(default, rename = "imagePullPolicy")]
    _image_pull_policy: String,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: Vec<EnvVar>,
    #[serde(default)]
    pub(crate) env_from: Vec<EnvFrom>,
    pub(crate) working_dir: Option<String>,
    #[serde(default)]
    pub(crate) volume_mounts: Vec<VolumeMount>,
    pub(crate) security_context: Option<Value>,
    #[serde(default)]
    pub(crate) compute_resources: ComputeResources,
    pub(crate) on_error: Option<String>,
    pub(crate) timeout: Option<String>,
    #[serde(default)]
    pub(crate) when: Vec<When>,
    #[serde(default)]
    pub(crate) results: Vec<ResultSpec>,
    #[serde(default)]
    pub(crate) workspaces: Vec<WorkspaceUsage>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComputeResources {
    #[serde(default, rename = "requests")]
    _requests: BTreeMap<String, Value>,
    #[serde(default)]
    limits: BTreeMap<String, Value>,
}

impl ComputeResources {
    /// The limit of memory as it is written.
    pub(crate) fn memory_limit(&self) -> Option<String> {
        let limit = self.limits.get("memory")?;
        Some(limit.as_str().map_or_else(|| limit.to_string(), str::to_owned))
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) value: String,
    pub(crate) value_from: Option<ValueFrom>,
}

/// All keys of a Secret as variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EnvFrom {
    pub(crate) secret_ref: NamedSource,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ValueFrom {
    pub(crate) secret_key_ref: Option<KeyRef>,
    pub(crate) config_map_key_ref: Option<KeyRef>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRef {
    pub(crate) name: String,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VolumeMount {
    pub(crate) name: String,
    pub(crate) mount_path: String,
    pub(crate) sub_path: Option<String>,
    #[serde(default)]
    pub(crate) read_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WorkspaceUsage {
    pub(crate) name: String,
    pub(crate) mount_path: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    #[serde(default)]
    pub(crate) input: String,
    pub(crate) operator: String,
    pub(crate) values: Vec<String>,
}

/// A volume of a Task, or what a run binds to a workspace.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Volume {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sub_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) empty_dir: Option<EmptyDir>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<SecretSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) config_map: Option<NamedSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) projected: Option<Projected>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) persistent_volume_claim: Option<Claim>,
    /// A claim that Tekton makes for the run. The runner reads it and makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(clippy::struct_field_names, reason = "the name is the field's own")]
    pub(crate) volume_claim_template: Option<Value>,
}

impl Volume {
    /// The claim behind it; one that is yet to be made has the volume's name.
    pub(crate) fn claim(&self) -> Option<&str> {
        let is_made = self.volume_claim_template.as_ref().map(|_| self.name.as_str());
        self.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str()).or(is_made)
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct EmptyDir {
    pub(crate) size_limit: Option<String>,
    pub(crate) medium: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SecretSource {
    pub(crate) secret_name: String,
    pub(crate) items: Option<Vec<Item>>,
    pub(crate) optional: bool,
    pub(crate) default_mode: Option<u32>,
}

/// A ConfigMap, or a projected ConfigMap or Secret.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct NamedSource {
    pub(crate) name: String,
    pub(crate) items: Option<Vec<Item>>,
    pub(crate) optional: bool,
    pub(crate) default_mode: Option<u32>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) path: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Projected {
    pub(crate) sources: Vec<ProjectedSource>,
    pub(crate) default_mode: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ProjectedSource {
    pub(crate) secret: Option<NamedSource>,
    pub(crate) config_map: Option<NamedSource>,
    pub(crate) service_account_token: Option<TokenSource>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenSource {
    #[serde(default)]
    pub(crate) audience: String,
    #[serde(default)]
    pub(crate) expiration_seconds: Option<u64>,
    pub(crate) path: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Claim {
    pub(crate) claim_name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct StepActionSpec {
    #[serde(default)]
    pub(crate) params: Vec<ParamSpec>,
    /// All other fields, which are those of a step.
    #[serde(flatten)]
    pub(crate) step: serde_json::Map<String, Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reference {
    pub(crate) name: Option<String>,
    #[serde(default, rename = "kind")]
    _kind: String,
    #[serde(default, rename = "apiVersion")]
    _api_version: String,
    pub(crate) resolver: Option<String>,
    #[serde(default)]
    pub(crate) params: Vec<Param>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RunSpec {
    pub(crate) task_ref: Option<Reference>,
    pub(crate) task_spec: Option<Value>,
    pub(crate) pipeline_ref: Option<Reference>,
    pub(crate) pipeline_spec: Option<Value>,
    #[serde(default)]
    pub(crate) params: Vec<Param>,
    #[serde(default)]
    pub(crate) workspaces: Vec<Volume>,
    pub(crate) timeout: Option<String>,
    #[serde(default, rename = "timeouts")]
    _timeouts: Value,
    #[serde(default, rename = "serviceAccountName")]
    _service_account_name: String,
    #[serde(default, rename = "taskRunTemplate")]
    _task_run_template: Value,
    #[serde(default, rename = "taskRunSpecs")]
    _task_run_specs: Value,
    #[serde(default, rename = "podTemplate")]
    _pod_template: Value,
}
