//! The steps of a Task: step actions taken in and the template merged.
//! <https://tekton.dev/docs/pipelines/stepactions/>, <https://tekton.dev/docs/pipelines/tasks/#specifying-a-step-template>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::spec::{self, Param, Reference, Step, StepActionSpec, TaskSpec};
use super::substitute::{Variables, refuse_leftovers};
use super::{Cluster, ParamValue, Refused, params, refuse};

/// A step that takes in a step action may say this of its own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StepByReference {
    #[serde(rename = "ref")]
    reference: Reference,
    #[serde(default)]
    params: Vec<Param>,
    /// All that may stand beside `ref`.
    name: Option<Value>,
    on_error: Option<Value>,
    timeout: Option<Value>,
    when: Option<Value>,
    compute_resources: Option<Value>,
    image_pull_policy: Option<Value>,
    workspaces: Option<Value>,
}

impl Cluster {
    /// All steps as they are to run, before the Task's variables are put in (but those for the parameters of step actions).
    pub(crate) fn steps(&self, of: &str, task: &TaskSpec, known: &Variables) -> Result<Vec<Step>, Refused> {
        let mut steps = Vec::new();
        for (number, step) in task.steps.iter().enumerate() {
            let place = format!("{of}, step {}", step["name"].as_str().map_or_else(|| number.to_string(), str::to_owned));
            let mut step = if step.get("ref").is_some() { self.taken_in(&place, step, known)? } else { step.clone() };
            if let Some(template) = &task.step_template {
                step = merged(template, &step);
            }
            let mut step: Step = spec::read(&place, &step)?;
            if step.name.is_empty() {
                step.name = format!("unnamed-{number}");
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn taken_in(&self, place: &str, step: &Value, known: &Variables) -> Result<Value, Refused> {
        let own: StepByReference = spec::read(place, step)?;
        let (Some(name), None) = (&own.reference.name, &own.reference.resolver) else {
            refuse!("{place}: the runner takes in step actions by name only");
        };
        let action: StepActionSpec = spec::read(place, &self.document("StepAction", name)?["spec"])?;
        let given: BTreeMap<String, ParamValue> =
            own.params.iter().map(|param| (param.name.clone(), known.in_value(&param.value))).collect();
        let values = params::given(&params::resolve(&format!("{place}, StepAction {name}"), &action.params, &given)?);
        let mut taken = in_fields(&Value::Object(of_step(action.step)), &values);
        refuse_leftovers(&format!("StepAction {name}"), &taken.to_string(), &["params"])?;
        let beside = [
            ("name", own.name),
            ("onError", own.on_error),
            ("timeout", own.timeout),
            ("when", own.when),
            ("computeResources", own.compute_resources),
            ("imagePullPolicy", own.image_pull_policy),
            ("workspaces", own.workspaces),
        ];
        beside.into_iter().filter_map(|(field, value)| Some((field, value?))).for_each(|(field, value)| taken[field] = value);
        Ok(taken)
    }
}

fn of_step(mut fields: Map<String, Value>) -> Map<String, Value> {
    fields.remove("description");
    fields.remove("displayName");
    fields
}

/// Variables put into every text; lists of texts are words.
fn in_fields(value: &Value, known: &Variables) -> Value {
    match value {
        Value::String(text) => known.in_text(text).into(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let words: Vec<String> = items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
            known.in_words(&words).into()
        }
        Value::Array(items) => items.iter().map(|item| in_fields(item, known)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), in_fields(field, known))).collect(),
        other => other.clone(),
    }
}

/// Kubernetes' strategic merge: maps by key, `env` by name, `volumeMounts` by path, other lists as a whole.
fn merged(template: &Value, step: &Value) -> Value {
    let (Value::Object(template), Value::Object(step)) = (template, step) else { return step.clone() };
    let mut fields = template.clone();
    for (name, own) in step {
        let value = match (name.as_str(), fields.get(name)) {
            ("env", Some(common)) => merged_by("name", common, own),
            ("volumeMounts", Some(common)) => merged_by("mountPath", common, own),
            (_, Some(common)) => merged(common, own),
            (_, None) => own.clone(),
        };
        fields.insert(name.clone(), value);
    }
    Value::Object(fields)
}

fn merged_by(key: &str, common: &Value, own: &Value) -> Value {
    let (Some(common), Some(own)) = (common.as_array(), own.as_array()) else { return own.clone() };
    let mut items = common.clone();
    for item in own {
        match items.iter_mut().find(|known| known[key] == item[key]) {
            Some(known) => *known = merged(known, item),
            None => items.push(item.clone()),
        }
    }
    items.into()
}

mod tests {
    use super::merged;
    use serde_json::json;

    #[test]
    fn a_template_is_merged_as_kubernetes_does() {
        let template = json!({
            "image": "a", "args": ["x"], "env": [{"name": "HOME", "value": "/a"}, {"name": "B", "value": "b"}],
            "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        });
        let step = json!({
            "name": "s", "args": ["y"], "env": [{"name": "HOME", "value": "/s"}, {"name": "C", "value": "c"}],
            "securityContext": {"readOnlyRootFilesystem": true}, "volumeMounts": [{"name": "other", "mountPath": "/tmp"}],
        });
        let expected = json!({
            "name": "s", "image": "a", "args": ["y"],
            "env": [{"name": "HOME", "value": "/s"}, {"name": "B", "value": "b"}, {"name": "C", "value": "c"}],
            "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true},
            "volumeMounts": [{"name": "other", "mountPath": "/tmp"}],
        });
        assert_eq!(merged(&template, &step), expected);
    }
}
