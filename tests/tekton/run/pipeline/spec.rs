//! The fields of a Pipeline. <https://tekton.dev/docs/pipelines/pipeline-api/#tekton.dev/v1.Pipeline>

use serde::Deserialize;
use serde_json::Value;

use crate::tekton::run::ParamValue;
use crate::tekton::run::spec::{Param, ParamSpec, Reference, When, WorkspaceSpec};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PipelineSpec {
    #[serde(default, rename = "displayName")]
    _display_name: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    pub(crate) params: Vec<ParamSpec>,
    #[serde(default)]
    pub(crate) workspaces: Vec<WorkspaceSpec>,
    pub(crate) tasks: Vec<Value>,
    #[serde(default)]
    pub(crate) finally: Vec<Value>,
    #[serde(default)]
    pub(crate) results: Vec<PipelineResult>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PipelineResult {
    pub(crate) name: String,
    #[serde(default, rename = "type")]
    _kind: String,
    #[serde(default, rename = "description")]
    _description: String,
    pub(crate) value: ParamValue,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PipelineTask {
    pub(crate) name: String,
    #[serde(default, rename = "displayName")]
    _display_name: String,
    #[serde(default, rename = "description")]
    _description: String,
    pub(crate) task_ref: Option<Reference>,
    pub(crate) task_spec: Option<Value>,
    #[serde(default)]
    pub(crate) params: Vec<Param>,
    pub(crate) matrix: Option<Matrix>,
    #[serde(default)]
    pub(crate) when: Vec<When>,
    #[serde(default)]
    pub(crate) run_after: Vec<String>,
    #[serde(default)]
    pub(crate) retries: usize,
    pub(crate) timeout: Option<String>,
    pub(crate) on_error: Option<String>,
    #[serde(default)]
    pub(crate) workspaces: Vec<PipelineWorkspace>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PipelineWorkspace {
    pub(crate) name: String,
    pub(crate) workspace: Option<String>,
    pub(crate) sub_path: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Matrix {
    pub(crate) params: Vec<Param>,
    pub(crate) include: Vec<Include>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Include {
    #[serde(default, rename = "name")]
    _name: String,
    #[serde(default)]
    pub(crate) params: Vec<Param>,
}
