//! Rules about steps: no shell, no root, nothing to write to, an image by digest, a size and an end.

use serde_json::{Value, json};

use super::catalogue::{Catalogue, Kind, Unit, list, name, named, text, type_of};
use super::step::{Step, list_of};
use super::variables::{strings, variables};

/// Applies a rule to each step of a task, and to a step action.
fn each(unit: &Unit, catalogue: &Catalogue, rule: impl Fn(&Step) -> Vec<String>) -> Vec<String> {
    let named = |step: &Step| rule(step).into_iter().map(|wrong| format!("step {}: {wrong}", step.name())).collect::<Vec<_>>();
    Step::all(unit, catalogue).iter().flat_map(named).collect()
}

fn unless(fine: bool, wrong: &str) -> Vec<String> {
    if fine { vec![] } else { vec![wrong.to_owned()] }
}

pub(super) fn no_script(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    let sidecars = list(unit.spec, "sidecars").iter().filter(|sidecar| sidecar.get("script").is_some());
    let sidecars = sidecars.map(|sidecar| format!("sidecar {}: it has a script", name(sidecar)));
    each(unit, catalogue, |step| unless(step.own.get("script").is_none(), "it has a script")).into_iter().chain(sidecars).collect()
}

pub(super) fn the_command_is_modelcar(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        unless(step.is_foreign() || list_of(step.member("command")) == ["modelcar"], "its command is not modelcar")
    })
}

pub(super) fn options_are_the_verbs(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        if step.is_foreign() {
            return vec![];
        }
        let Some(verb) = step.verb() else { return vec!["it names no verb".to_owned()] };
        let mut command = modelcar::cli::command();
        command.build();
        let Some(command) = command.find_subcommand(verb) else { return vec![format!("modelcar has no verb {verb}")] };
        let known =
            |option: &str| command.get_arguments().any(|arg| arg.get_long_and_visible_aliases().unwrap_or_default().contains(&option));
        let options = step.args().into_iter().take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("--"));
        let options = options.map(|word| word.split('=').next().unwrap_or_default());
        options.filter(|option| !known(option)).map(|option| format!("modelcar {verb} has no --{option}")).collect()
    })
}

/// A param may be empty, or begin with a dash.
pub(super) fn any_value_is_harmless(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        if step.is_foreign() {
            return vec![];
        }
        let given = step.args().iter().any(|word| word.starts_with("--") && word.contains("=$(") && !word.contains(".path)"));
        let mut found = unless(!given || step.args().contains(&"--omit-empty"), "without --omit-empty an empty value is given");
        let positional = |word: &str| word.starts_with("$(");
        let (options, after): (Vec<&str>, Vec<&str>) = halves(&step.args());
        let is_list = |word: &str| word.ends_with("[*])");
        found.extend(
            options
                .iter()
                .filter(|word| positional(word) && !is_list(word))
                .map(|word| format!("{word} may be an option: put it behind --")),
        );
        let spec = step.action.filter(|_| step.is_by_reference()).unwrap_or(step.unit.spec);
        let optional = |word: &str| {
            let variables = variables(&json!(word));
            variables
                .iter()
                .filter(|v| v.is_whole())
                .any(|v| v.after(&["params"]).and_then(|rest| named(spec, "params", &rest[0])).is_some_and(|p| p["default"] == ""))
        };
        found.extend(after.iter().filter(|word| optional(word)).map(|word| format!("{word} may be empty, and is given even then")));
        found
    })
}

fn halves<'a>(args: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let end = args.iter().position(|word| *word == "--").unwrap_or(args.len());
    (args[..end].to_vec(), args[(end + 1).min(args.len())..].to_vec())
}

pub(super) fn params_reach_arguments_alone(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        let places = ["command", "script"].map(|member| step.member(member));
        let clean = places.into_iter().all(|place| variables(place).is_empty());
        unless(clean, "a variable is in a command or a script")
    })
}

pub(super) fn images_are_required_params_by_digest(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        let image = variables(step.member("image"));
        let Some(wanted) = image.first().filter(|v| v.is_whole()).and_then(|v| v.after(&["params"])) else {
            return vec!["its image is not a param".to_owned()];
        };
        // A task within a pipeline is described there.
        let specs = [step.unit.spec].into_iter().chain(step.unit.around.iter().copied()).chain(step.action);
        let declared: Vec<&Value> = specs.filter_map(|spec| named(spec, "params", &wanted[0])).collect();
        let Some(param) = declared.first() else { return vec![] };
        let said = declared.iter().map(|param| text(param, "description")).any(|said| said.contains("digest") && said.contains("@sha256:"));
        [unless(param.get("default").is_none(), "its image has a default"), unless(said, "its image is not said to be by digest")].concat()
    })
}

pub(super) fn nothing_runs_with_rights(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        let wanted = [
            ("/runAsNonRoot", json!(true)),
            ("/allowPrivilegeEscalation", json!(false)),
            ("/readOnlyRootFilesystem", json!(true)),
            ("/capabilities/drop", json!(["ALL"])),
            ("/seccompProfile/type", json!("RuntimeDefault")),
        ];
        let missing =
            wanted.iter().filter(|(at, value)| step.security(at) != Some(value)).map(|(at, value)| format!("{at} is not {value}"));
        let forbidden = ["/runAsUser", "/runAsGroup", "/privileged", "/capabilities/add"];
        let set = forbidden.into_iter().filter(|at| step.security(at).is_some()).map(|at| format!("{at} is set"));
        missing.chain(set).collect()
    })
}

pub(super) fn resources_and_an_end_are_set(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    if unit.kind != Kind::Task {
        return vec![];
    }
    each(unit, catalogue, |step| {
        let resources = &step.own["computeResources"];
        let asked = ["/requests/cpu", "/requests/memory", "/limits/memory"];
        let missing = asked.into_iter().filter(|at| resources.pointer(at).is_none()).map(|at| format!("computeResources{at} is not set"));
        missing.chain(unless(step.own.get("timeout").is_some(), "it has no timeout")).collect()
    })
}

/// The root file system is read-only, and a random user has no home.
pub(super) fn home_is_a_place_to_write(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        let empty = |volume: &&str| named(unit.spec, "volumes", volume).is_some_and(|volume| volume.get("emptyDir").is_some());
        let mounted = |path: &str| step.mounts().into_iter().any(|(volume, at)| at == path && empty(&volume));
        let fine = |variable| step.env(variable).is_some_and(|path| path == "/tekton/home" || mounted(path));
        ["HOME", "TMPDIR"]
            .into_iter()
            .filter(|variable| !fine(variable))
            .map(|variable| format!("{variable} is no place to write"))
            .collect()
    })
}

pub(super) fn volumes_are_small_known_and_used(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    if unit.kind != Kind::Task {
        return vec![];
    }
    let steps = Step::all(unit, catalogue);
    let mut found = Vec::new();
    for volume in list(unit.spec, "volumes") {
        if !steps.iter().any(|step| step.mounts().iter().any(|(mounted, _)| *mounted == name(volume))) {
            found.push(format!("nothing mounts the volume {}", name(volume)));
        }
        if volume.get("emptyDir").is_some_and(|empty| empty.get("sizeLimit").is_none()) {
            found.push(format!("the volume {} may grow", name(volume)));
        }
        if !["emptyDir", "configMap", "secret", "projected"].iter().any(|kind| volume.get(kind).is_some()) {
            found.push(format!("the volume {} is of a kind that restricted-v2 or we do not take", name(volume)));
        }
    }
    let missing = steps
        .iter()
        .flat_map(Step::mounts)
        .filter(|(mounted, _)| !mounted.starts_with("$(") && named(unit.spec, "volumes", mounted).is_none());
    found.extend(missing.map(|(mounted, _)| format!("there is no volume {mounted} to mount")));
    found
}

pub(super) fn every_step_action_is_here_and_gets_its_params(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    each(unit, catalogue, |step| {
        if !step.is_by_reference() || step.own["ref"].get("resolver").is_some() {
            return vec![];
        }
        let Some(action) = step.action else { return vec![format!("there is no StepAction {}", name(&step.own["ref"]))] };
        given(action, step.own)
    })
}

/// What is wrong with the params that something gives to what it refers to.
pub(super) fn given(target: &Value, giver: &Value) -> Vec<String> {
    let matrix =
        list(&giver["matrix"], "params").iter().chain(list(&giver["matrix"], "include").iter().flat_map(|one| list(one, "params")));
    let matrix: Vec<&str> = matrix.map(name).collect();
    let mut found = Vec::new();
    for param in list(target, "params") {
        match (named(giver, "params", name(param)), param.get("default")) {
            (None, None) if !matrix.contains(&name(param)) => found.push(format!("it does not get the param {}", name(param))),
            (Some(value), _) if given_kind(&value["value"]) != type_of(param) => {
                found.push(format!(
                    "the param {} is given as {}, and is of type {}",
                    name(param),
                    given_kind(&value["value"]),
                    type_of(param)
                ));
            }
            _ => {}
        }
    }
    let names = list(giver, "params").iter().map(name).chain(matrix);
    found.extend(names.filter(|given| named(target, "params", given).is_none()).map(|given| format!("it gets {given}, which is no param")));
    found
}

/// What a value is once its variables are replaced.
fn given_kind(value: &Value) -> &'static str {
    let whole = variables(value).into_iter().find(|variable| value.is_string() && variable.is_whole());
    match whole {
        Some(variable) if variable.index.as_deref() == Some("*") => "array",
        _ => super::params::kind_of(value),
    }
}

/// What is written in a run is what runs: nobody replaces it by a digest later.
pub(super) fn runs_pin_what_they_run(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if !matches!(unit.kind, Kind::TaskRun | Kind::PipelineRun) {
        return vec![];
    }
    let images = list(unit.spec, "params").iter().filter(|param| name(param).ends_with("_IMAGE"));
    let loose = images.filter(|param| !is_pinned(text(param, "value"))).map(|param| format!("{} is not by digest", name(param)));
    let steps = strings(&unit.spec["taskSpec"]["steps"]);
    let inline = steps.into_iter().filter(|word| word.contains(":latest")).map(|word| format!("{word} moves"));
    loose.chain(inline).collect()
}

/// By digest, or by a param that is.
pub(super) fn is_pinned(image: &str) -> bool {
    let digest = image.split_once("@sha256:").map(|(_, hex)| hex);
    image.starts_with("$(") || digest.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(super) fn runs_have_an_end(unit: &Unit, _: &Catalogue) -> Vec<String> {
    match unit.kind {
        Kind::PipelineRun => unless(unit.spec["timeouts"]["pipeline"].is_string(), "timeouts.pipeline is not set"),
        Kind::TaskRun => unless(unit.spec["timeout"].is_string(), "timeout is not set"),
        _ => vec![],
    }
}
