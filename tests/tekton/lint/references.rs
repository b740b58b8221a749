//! Rules about who refers to whom: tasks, pipelines and their results, by name, in a bundle or in Git.

use serde_json::Value;

use super::catalogue::{Catalogue, Kind, Unit, list, name, named, pipeline_tasks, text};
use super::steps::{given, is_pinned};
use super::variables::{Variable, variables};
use super::workspaces::bound_to;

/// What a reference names: the spec that is here, somebody else's, or nothing that there is.
enum Target<'c> {
    Here(&'c Value),
    Elsewhere,
    Missing(String),
}

/// Every reference of a unit, with what refers: pipeline tasks, or the run itself.
fn references<'c>(unit: &Unit<'c>) -> Vec<(String, &'c Value, &'static str, &'static str)> {
    match unit.kind {
        Kind::Pipeline => pipeline_tasks(unit.spec).map(|task| (format!("task {}", name(task)), task, "taskRef", "Task")).collect(),
        Kind::PipelineRun => vec![("run".to_owned(), unit.spec, "pipelineRef", "Pipeline")],
        Kind::TaskRun => vec![("run".to_owned(), unit.spec, "taskRef", "Task")],
        _ => vec![],
    }
}

fn target<'c>(giver: &'c Value, member: &str, kind: &str, catalogue: &'c Catalogue) -> Target<'c> {
    let embedded = ["taskSpec", "pipelineSpec"].iter().find_map(|spec| giver.get(spec));
    if let Some(spec) = embedded {
        return Target::Here(spec);
    }
    let reference = &giver[member];
    let param = |wanted: &str| named(reference, "params", wanted).map_or("", |param| text(param, "value"));
    let wanted = match text(reference, "resolver") {
        "" => text(reference, "name").to_owned(),
        "bundles" | "cluster" => param("name").to_owned(),
        "git" => file_stem(param("pathInRepo")),
        _ => return Target::Elsewhere,
    };
    match catalogue.find(kind, &wanted) {
        Some(document) => Target::Here(&document.value["spec"]),
        None if text(reference, "resolver") == "git" && !param("pathInRepo").starts_with("tekton/") => Target::Elsewhere,
        None => Target::Missing(format!("there is no {kind} {wanted}")),
    }
}

fn file_stem(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().trim_end_matches(".yaml").to_owned()
}

fn each(unit: &Unit, catalogue: &Catalogue, rule: impl Fn(&Value, &Value) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (at, giver, member, kind) in references(unit) {
        if let Target::Here(spec) = target(giver, member, kind, catalogue) {
            found.extend(rule(spec, giver).into_iter().map(|wrong| format!("{at}: {wrong}")));
        }
    }
    found
}

pub(super) fn every_reference_resolves(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    let missing = |(at, giver, member, kind): (String, &Value, &str, &str)| match target(giver, member, kind, catalogue) {
        Target::Missing(what) => Some(format!("{at}: {what}")),
        _ => None,
    };
    references(unit).into_iter().filter_map(missing).collect()
}

pub(super) fn remote_references_are_pinned(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for (at, giver, member, _) in references(unit) {
        let param = |wanted: &str| named(&giver[member], "params", wanted).map_or("", |param| text(param, "value"));
        match text(&giver[member], "resolver") {
            "bundles" if !is_pinned(param("bundle")) => found.push(format!("{at}: the bundle is not by digest")),
            "git" if !is_commit(param("revision")) => found.push(format!("{at}: the revision is no commit")),
            "git" if !exists(param("pathInRepo")) => found.push(format!("{at}: {} is not in the repository", param("pathInRepo"))),
            "hub" | "http" => found.push(format!("{at}: nothing pins it")),
            _ => {}
        }
    }
    found
}

/// Forty hex digits, or what Pipelines-as-Code puts there.
fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit()) || revision.starts_with("$(") || revision.contains("{{")
}

fn exists(path: &str) -> bool {
    !path.starts_with("tekton/") || crate::support::repo_root().join(path).is_file()
}

pub(super) fn no_cluster_tasks(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let odd = references(unit)
        .into_iter()
        .filter(|(_, giver, member, _)| giver[*member].get("bundle").is_some() || giver[*member]["kind"] == "ClusterTask");
    odd.map(|(at, ..)| format!("{at}: ClusterTasks and bundle: are gone from Tekton")).collect()
}

pub(super) fn every_required_param_is_given(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(
        unit,
        catalogue,
        |spec, giver| if giver.get("taskSpec").or(giver.get("pipelineSpec")).is_some() { vec![] } else { given(spec, giver) },
    )
}

pub(super) fn every_workspace_is_bound(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |spec, giver| {
        let missing = list(spec, "workspaces")
            .iter()
            .filter(|workspace| workspace["optional"] != true && named(giver, "workspaces", name(workspace)).is_none());
        let missing = missing.map(|workspace| format!("nothing is bound to the workspace {}", name(workspace)));
        let unknown = list(giver, "workspaces").iter().filter(|bound| named(spec, "workspaces", name(bound)).is_none());
        missing.chain(unknown.map(|bound| format!("it has no workspace {}", name(bound)))).chain(unfit(unit, spec, giver)).collect()
    })
}

/// Bindings to workspaces that the pipeline does not have, or that may be missing where the task needs one.
fn unfit(unit: &Unit, spec: &Value, task: &Value) -> Vec<String> {
    if unit.kind != Kind::Pipeline {
        return vec![];
    }
    let mut found = Vec::new();
    for bound in list(task, "workspaces") {
        let needed = named(spec, "workspaces", name(bound)).is_some_and(|workspace| workspace["optional"] != true);
        match named(unit.spec, "workspaces", bound_to(bound)) {
            None => found.push(format!("the pipeline has no workspace {}", bound_to(bound))),
            Some(outer) if needed && outer["optional"] == true => found.push(format!("{} may be missing", bound_to(bound))),
            Some(_) => {}
        }
    }
    found
}

/// The tasks and results that a variable names: `tasks.T.results.R` or `finally.T.results.R`.
fn result_of(variable: &Variable) -> Option<(&str, &str, &str)> {
    match &variable.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [section @ ("tasks" | "finally"), task, "results", result, ..] => Some((section, task, result)),
        _ => None,
    }
}

pub(super) fn every_consumed_result_is_there(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    if unit.kind != Kind::Pipeline {
        return vec![];
    }
    let wrong = |variable: &Variable| {
        let (section, wanted, result) = result_of(variable)?;
        let Some(task) = named(unit.spec, section, wanted) else { return Some(format!("there is no task {wanted} in {section}")) };
        let Target::Here(spec) = target(task, "taskRef", "Task", catalogue) else { return None };
        let whole = variable.index.as_deref() == Some("*");
        match named(spec, "results", result) {
            None => Some(format!("the task {wanted} has no result {result}")),
            Some(_) if task.get("matrix").is_some() != whole => {
                Some(format!("{wanted} runs many times: {} is a list", variable.path.join(".")))
            }
            Some(_) => None,
        }
    };
    variables(unit.spec).iter().filter_map(wrong).collect()
}

/// A task of `finally` that names a missing result is skipped without a word.
pub(super) fn finally_needs_no_result_that_may_be_missing(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for task in list(unit.spec, "finally") {
        let variables = variables(task);
        for (_, wanted, result) in variables.iter().filter_map(result_of) {
            if !is_guarded(task, wanted, unit.spec) {
                found.push(format!("task {}: {result} of {wanted} may be missing, and nothing in when says so", name(task)));
            }
        }
    }
    found
}

fn is_guarded(task: &Value, wanted: &str, pipeline: &Value) -> bool {
    let only = |values: &Value, allowed: &[&str]| {
        values.as_array().is_some_and(|values| values.iter().all(|value| allowed.iter().any(|word| value == word)))
    };
    list(task, "when").iter().filter(|when| when["operator"] == "in").any(|when| {
        let input = text(when, "input");
        let by_task = input == format!("$(tasks.{wanted}.status)") && only(&when["values"], &["Succeeded"]);
        let sure = named(pipeline, "tasks", wanted).is_some_and(|task| task.get("when").is_none() && task.get("onError").is_none());
        let by_all = input == "$(tasks.status)"
            && (only(&when["values"], &["Succeeded"]) || sure && only(&when["values"], &["Succeeded", "Completed"]));
        by_task || by_all
    })
}

pub(super) fn statuses_are_known(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for task in pipeline_tasks(unit.spec) {
        for when in list(task, "when") {
            let input = text(when, "input");
            let known: &[&str] = match input {
                "$(tasks.status)" => &["Succeeded", "Failed", "Completed", "None"],
                _ if input.starts_with("$(tasks.") && input.ends_with(".status)") => &["Succeeded", "Failed", "None"],
                _ => continue,
            };
            let unknown = list(when, "values").iter().filter(|value| !known.iter().any(|word| value == word));
            found.extend(unknown.map(|value| format!("task {}: {input} is never {value}", name(task))));
        }
    }
    let statuses = variables(unit.spec)
        .into_iter()
        .filter(|variable| variable.path.len() == 3 && variable.path[0] == "tasks" && variable.path[2] == "status");
    let missing = statuses.filter(|variable| unit.kind == Kind::Pipeline && named(unit.spec, "tasks", &variable.path[1]).is_none());
    found.extend(missing.map(|variable| format!("there is no task {} that has a status", variable.path[1])));
    found
}
