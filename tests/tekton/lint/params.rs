//! Rules about params: each is declared, used, and used as what it is.

use serde_json::Value;

use super::catalogue::{Catalogue, Kind, Unit, list, name, named, type_of};
use super::variables::{Variable, variables};

/// The variables of a spec that name params: all of them but those in the declarations themselves.
fn uses(spec: &Value) -> Vec<Variable> {
    let members = spec.as_object().into_iter().flatten().filter(|(member, _)| *member != "params");
    members.flat_map(|(_, value)| variables(value)).filter(|variable| variable.after(&["params"]).is_some()).collect()
}

fn is_run(unit: &Unit) -> bool {
    matches!(unit.kind, Kind::TaskRun | Kind::PipelineRun)
}

pub(super) fn every_param_is_used(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if is_run(unit) {
        return vec![];
    }
    let used = uses(unit.spec);
    let is_used = |param: &&Value| used.iter().any(|variable| variable.path[1] == name(param));
    list(unit.spec, "params")
        .iter()
        .filter(|param| !is_used(param))
        .map(|param| format!("nothing uses the param {}", name(param)))
        .collect()
}

pub(super) fn every_use_is_of_a_declared_param(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if is_run(unit) {
        return vec![];
    }
    let declared = |wanted: &str| unit.around.iter().chain([&unit.spec]).any(|spec| named(spec, "params", wanted).is_some());
    // An embedded task is judged by itself.
    let own = without_embedded(unit.spec);
    let unknown = uses(&own).into_iter().filter(|variable| !declared(&variable.path[1]));
    unknown.map(|variable| format!("$(params.{}) is not declared", variable.path[1])).collect()
}

/// A pipeline without the specs of its tasks, which declare params of their own.
fn without_embedded(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for member in ["tasks", "finally"] {
        for task in spec.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            task.remove("taskSpec");
        }
    }
    spec
}

pub(super) fn every_param_is_used_as_what_it_is(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let types = |wanted: &str| named(unit.spec, "params", wanted).map(type_of);
    let odd = |variable: &Variable| {
        let kind = types(&variable.path[1])?;
        let fine = match kind {
            "array" => {
                variable.index.as_deref() != Some("*") && variable.index.is_some() || variable.is_whole() && variable.index.is_some()
            }
            "object" => variable.path.len() == 3 || variable.index.as_deref() == Some("*"),
            _ => variable.index.is_none() && variable.path.len() == 2,
        };
        (!fine).then(|| format!("{} is of type {kind}, and is not used as one: {}", variable.path[1], variable.within))
    };
    let own = without_embedded(unit.spec);
    let uses: Vec<String> = uses(&own).iter().filter_map(odd).collect();
    let defaults =
        list(unit.spec, "params").iter().filter(|param| param.get("default").is_some_and(|value| kind_of(value) != type_of(param)));
    let defaults = defaults.filter(|_| !is_run(unit)).map(|param| format!("the default of {} is not of its type", name(param)));
    uses.into_iter().chain(defaults).collect()
}

/// What a given value is.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        _ => "string",
    }
}

pub(super) fn names_are_unique(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    repeated(unit.spec, "", &mut found);
    found
}

/// Lists of named things in which a name is there twice, at any depth.
fn repeated(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(member, value)| repeated(value, &format!("{at}.{member}"), found)),
        Value::Array(items) => {
            let names: Vec<&str> = items.iter().map(name).filter(|name| !name.is_empty()).collect();
            // Several volumeMounts of one volume are fine.
            let twice = names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name) && !at.ends_with("volumeMounts"));
            found.extend(twice.map(|(_, name)| format!("{at} has {name} twice")));
            for item in items {
                repeated(item, at, found);
            }
        }
        _ => {}
    }
}

pub(super) fn names_are_in_their_style(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if is_run(unit) {
        return vec![];
    }
    let upper = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let kebab = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let odd = |member: &'static str, fine: fn(&str) -> bool| {
        list(unit.spec, member)
            .iter()
            .map(name)
            .filter(move |name| !fine(name))
            .map(move |name| format!("{member}: {name} is not in the style of the others"))
    };
    odd("params", upper).chain(odd("results", upper)).chain(odd("workspaces", kebab)).collect()
}

pub(super) fn everything_is_described(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if is_run(unit) || !unit.around.is_empty() {
        return vec![];
    }
    let lists = ["params", "results", "workspaces"].into_iter().flat_map(|member| list(unit.spec, member));
    let silent = lists
        .filter(|item| item["description"].as_str().unwrap_or_default().is_empty())
        .map(|item| format!("{} is not described", name(item)));
    let whole = unit.spec["description"].as_str().unwrap_or_default().is_empty().then(|| "it is not described".to_owned());
    silent.chain(whole).collect()
}
