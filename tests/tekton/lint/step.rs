//! A step as it will run: what it has of its step action, and of the task's stepTemplate.

use serde_json::Value;

use super::catalogue::{Catalogue, Kind, Unit, list, name, text};
use modelcar::report::tekton::{TektonResult, of_verb};

/// The entry points of others that tasks run, each a program and no shell: KServe's own downloader.
const FOREIGN: [&str; 1] = ["/storage-initializer/scripts/initializer-entrypoint"];

/// A step, or a step action, which is one without a task.
pub(crate) struct Step<'c> {
    pub(crate) unit: &'c Unit<'c>,
    pub(crate) own: &'c Value,
    /// What it refers to.
    pub(crate) action: Option<&'c Value>,
}

impl<'c> Step<'c> {
    pub(crate) fn all(unit: &'c Unit<'c>, catalogue: &'c Catalogue) -> Vec<Self> {
        match unit.kind {
            Kind::StepAction => vec![Self { unit, own: unit.spec, action: None }],
            Kind::Task => list(unit.spec, "steps").iter().map(|own| Self { unit, own, action: action(own, catalogue) }).collect(),
            _ => vec![],
        }
    }

    pub(crate) fn name(&self) -> &str {
        name(self.own)
    }

    /// A member of the step: its own, else the action's.
    pub(crate) fn member(&self, member: &str) -> &'c Value {
        match (self.own.get(member), self.action) {
            (None, Some(action)) => &action[member],
            _ => &self.own[member],
        }
    }

    pub(crate) fn is_by_reference(&self) -> bool {
        self.own.get("ref").is_some()
    }

    pub(crate) fn args(&self) -> Vec<&'c str> {
        self.member("args").as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether it runs a program of somebody else that a task may run.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(list_of(self.member("command"))[..], [program] if FOREIGN.contains(&program))
    }

    /// The verb of modelcar that it runs.
    pub(crate) fn verb(&self) -> Option<&'c str> {
        let is_ours = list_of(self.member("command")) == ["modelcar"];
        self.args().first().copied().filter(|word| is_ours && !word.starts_with('-'))
    }

    /// The results that its verb can write.
    pub(crate) fn verb_results(&self) -> &'static [&'static TektonResult] {
        self.verb().map_or(&[], of_verb)
    }

    /// The names that it writes with `--tekton-result=NAME=FILE`, and the files.
    pub(crate) fn single_results(&self) -> Vec<(&'c str, &'c str)> {
        self.args().into_iter().filter_map(|word| word.strip_prefix("--tekton-result=")?.split_once('=')).collect()
    }

    /// A setting of the security context, the step's own before the stepTemplate's.
    pub(crate) fn security(&self, pointer: &str) -> Option<&'c Value> {
        let template = &self.unit.spec["stepTemplate"]["securityContext"];
        self.member("securityContext").pointer(pointer).or_else(|| template.pointer(pointer))
    }

    /// The value of an environment variable.
    pub(crate) fn env(&self, wanted: &str) -> Option<&'c str> {
        let template = list(&self.unit.spec["stepTemplate"], "env");
        let all = list(self.own, "env").iter().chain(self.action.iter().flat_map(|action| list(action, "env"))).chain(template);
        all.filter(|variable| name(variable) == wanted).map(|variable| text(variable, "value")).next()
    }

    /// Where a step's volumes are mounted: `(volume, path)`.
    pub(crate) fn mounts(&self) -> Vec<(&'c str, &'c str)> {
        let template = list(&self.unit.spec["stepTemplate"], "volumeMounts");
        let own = list(self.own, "volumeMounts").iter().chain(self.action.iter().flat_map(|action| list(action, "volumeMounts")));
        own.chain(template).map(|mount| (name(mount), text(mount, "mountPath"))).collect()
    }
}

fn action<'c>(step: &Value, catalogue: &'c Catalogue) -> Option<&'c Value> {
    let wanted = step["ref"]["name"].as_str()?;
    catalogue.find("StepAction", wanted).map(|document| &document.value["spec"])
}

/// The strings of a list.
pub(crate) fn list_of(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
