//! Rules about workspaces: declared, used, and keys only where they are needed.

use super::catalogue::{Catalogue, Kind, Unit, list, name, named};
use super::step::Step;
use super::variables::{strings, variables};

/// Workspaces that only a step which signs may see.
const KEYS: [&str; 2] = ["signing-key", "identity-token"];

pub(super) fn every_workspace_is_used(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let unused = |wanted: &&str| match unit.kind {
        Kind::Task => !is_used_by_a_step(unit, wanted),
        Kind::Pipeline => {
            !super::catalogue::pipeline_tasks(unit.spec).any(|task| list(task, "workspaces").iter().any(|bound| bound_to(bound) == *wanted))
        }
        _ => false,
    };
    let names = list(unit.spec, "workspaces").iter().map(name);
    names.filter(unused).map(|workspace| format!("nothing uses the workspace {workspace}")).collect()
}

/// By its path, by asking for it, or because a path that a user gives lies there.
fn is_used_by_a_step(unit: &Unit, workspace: &str) -> bool {
    let by_path = variables(unit.spec).iter().any(|variable| variable.after(&["workspaces", workspace]).is_some());
    let asked = list(unit.spec, "steps").iter().any(|step| named(step, "workspaces", workspace).is_some());
    let told = |spec: &&serde_json::Value| strings(spec).iter().any(|text| text.contains(&format!("/workspace/{workspace}/")));
    by_path || asked || [unit.spec].iter().chain(&unit.around).any(told)
}

/// The name, in the pipeline, of what a task's workspace is bound to.
pub(super) fn bound_to(binding: &serde_json::Value) -> &str {
    binding["workspace"].as_str().unwrap_or_else(|| name(binding))
}

pub(super) fn every_named_workspace_is_declared(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if !matches!(unit.kind, Kind::Task | Kind::StepAction) {
        return vec![];
    }
    let variables = variables(unit.spec);
    let by_path = variables.iter().filter_map(|variable| variable.after(&["workspaces"])).map(|rest| rest[0].as_str());
    let asked = list(unit.spec, "steps").iter().flat_map(|step| list(step, "workspaces")).map(name);
    let unknown = by_path.chain(asked).filter(|wanted| named(unit.spec, "workspaces", wanted).is_none());
    unknown.map(|workspace| format!("the workspace {workspace} is not declared")).collect()
}

/// Tekton shows a workspace to every step of a task, unless steps ask for it: then to those alone.
pub(super) fn a_key_is_seen_by_the_step_that_signs_alone(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    let steps = Step::all(unit, catalogue);
    let signs = |step: &Step| step.verb() == Some("sign");
    let mut found = Vec::new();
    for key in KEYS.into_iter().filter(|key| named(unit.spec, "workspaces", key).is_some()) {
        let asks = |step: &&Step| named(step.own, "workspaces", key).is_some();
        let seeing: Vec<&Step> =
            if steps.iter().any(|step| asks(&step)) { steps.iter().filter(asks).collect() } else { steps.iter().collect() };
        found.extend(seeing.into_iter().filter(|step| !signs(step)).map(|step| format!("the step {} sees {key}", step.name())));
    }
    found
}

/// The pod of a task is placed beside one volume; two may never meet on one node.
pub(super) fn one_volume_at_most(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let count = match unit.kind {
        Kind::Task => list(unit.spec, "workspaces").iter().filter(|workspace| workspace["optional"] != true).count(),
        Kind::TaskRun | Kind::PipelineRun => list(unit.spec, "workspaces").iter().filter(|binding| is_volume(binding)).count(),
        _ => 0,
    };
    if count > 1 { vec![format!("{count} workspaces have to be volumes")] } else { vec![] }
}

fn is_volume(binding: &serde_json::Value) -> bool {
    binding.get("persistentVolumeClaim").is_some() || binding.get("volumeClaimTemplate").is_some()
}

pub(super) fn what_is_read_only_is_said_to_be(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if unit.kind != Kind::Task {
        return vec![];
    }
    let writable = list(unit.spec, "workspaces").iter().filter(|workspace| workspace["readOnly"] != true && name(workspace) != "source");
    writable.map(|workspace| format!("the workspace {} may be written to", name(workspace))).collect()
}
