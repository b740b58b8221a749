//! Rules about triggers: events reach runs, through params that somebody gives.

use std::collections::BTreeSet;

use serde_json::Value;

use super::catalogue::{Catalogue, list, name, named, text};
use super::variables::variables;
use crate::tekton::catalog::Document;

const INTERCEPTORS: [&str; 5] = ["cel", "github", "gitlab", "bitbucket", "slack"];

/// The params that a TriggerTemplate's runs name.
fn template_uses(spec: &Value) -> BTreeSet<String> {
    let all = variables(&spec["resourcetemplates"]).into_iter();
    all.filter_map(|variable| Some(variable.after(&["tt", "params"])?[0].clone())).collect()
}

pub(super) fn a_template_has_the_params_it_uses(document: &Document, _: &Catalogue) -> Vec<String> {
    if document.kind() != "TriggerTemplate" {
        return vec![];
    }
    let spec = &document.value["spec"];
    let uses = template_uses(spec);
    let declared: BTreeSet<String> = list(spec, "params").iter().map(|param| name(param).to_owned()).collect();
    let unknown = uses.difference(&declared).map(|param| format!("$(tt.params.{param}) is not declared"));
    unknown.chain(declared.difference(&uses).map(|param| format!("nothing uses the param {param}"))).collect()
}

pub(super) fn a_listener_refers_to_what_is_there(document: &Document, catalogue: &Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for trigger in triggers(document) {
        let template = text(&trigger["template"], "ref");
        if !template.is_empty() && catalogue.find("TriggerTemplate", template).is_none() {
            found.push(format!("there is no TriggerTemplate {template}"));
        }
        let bindings = list(trigger, "bindings").iter().map(|binding| text(binding, "ref")).filter(|binding| !binding.is_empty());
        found.extend(
            bindings
                .filter(|binding| catalogue.find("TriggerBinding", binding).is_none())
                .map(|binding| format!("there is no TriggerBinding {binding}")),
        );
        let interceptors = list(trigger, "interceptors").iter().filter_map(|interceptor| interceptor["ref"]["name"].as_str());
        found.extend(
            interceptors.filter(|known| !INTERCEPTORS.contains(known)).map(|unknown| format!("Tekton has no interceptor {unknown}")),
        );
    }
    found
}

fn triggers(document: &Document) -> Vec<&Value> {
    match document.kind() {
        "EventListener" => list(&document.value["spec"], "triggers").iter().collect(),
        "Trigger" => vec![&document.value["spec"]],
        _ => vec![],
    }
}

/// Without them the run is made with `$(tt.params.X)` as it stands.
pub(super) fn a_trigger_gives_its_template_what_it_needs(document: &Document, catalogue: &Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for trigger in triggers(document) {
        let Some(template) = catalogue.find("TriggerTemplate", text(&trigger["template"], "ref")) else { continue };
        let given: Vec<&str> = list(trigger, "bindings").iter().flat_map(|binding| bound(binding, catalogue)).collect();
        let needed = list(&template.value["spec"], "params").iter().filter(|param| param.get("default").is_none());
        found.extend(
            needed
                .filter(|param| !given.contains(&name(param)))
                .map(|param| format!("{} does not get the param {}", template.name(), name(param))),
        );
        let surplus = given.iter().filter(|given| named(&template.value["spec"], "params", given).is_none());
        found.extend(surplus.map(|given| format!("{} has no param {given}", template.name())));
    }
    found
}

fn bound<'c>(binding: &'c Value, catalogue: &'c Catalogue) -> Vec<&'c str> {
    match catalogue.find("TriggerBinding", text(binding, "ref")) {
        Some(document) => list(&document.value["spec"], "params").iter().map(name).collect(),
        None => vec![name(binding)],
    }
}

/// Whoever reaches the listener could start runs.
pub(super) fn an_event_proves_who_sent_it(document: &Document, _: &Catalogue) -> Vec<String> {
    let secret = |trigger: &&Value| !list(trigger, "interceptors").is_empty();
    let open = triggers(document).into_iter().filter(|trigger| !secret(trigger) && trigger.get("triggerRef").is_none());
    open.map(|trigger| format!("the trigger {} takes any event", name(trigger))).collect()
}
