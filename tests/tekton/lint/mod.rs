//! What schemas cannot say of Tekton's YAML: who names what, who may see what, and what the project promises of its tasks.
//!
//! | file | job |
//! |---|---|
//! | `catalogue` | the documents, and the specs within them |
//! | `variables` | what strings refer to |
//! | `step` | a step with what it has from elsewhere |
//! | the others | the rules, small functions that say what is wrong |

pub(crate) mod catalogue;
mod documents;
mod params;
mod references;
mod results;
mod step;
mod steps;
mod triggers;
mod variables;
mod workspaces;

use catalogue::{Catalogue, Unit};

use super::catalog::Document;

/// A rule, with its name.
pub(crate) type Rule = (&'static str, Check);

/// What a rule looks at.
pub(crate) enum Check {
    /// A task, step action, pipeline or run, wherever it is written.
    Spec(fn(&Unit, &Catalogue) -> Vec<String>),
    /// A document.
    Whole(fn(&Document, &Catalogue) -> Vec<String>),
    /// The text of a file.
    Text(fn(&str) -> Vec<String>),
}

/// All rules. Each has a broken twin in `tests/it/tekton_lint.rs`.
pub(crate) const RULES: &[Rule] = &[
    ("param-used", Check::Spec(params::every_param_is_used)),
    ("param-declared", Check::Spec(params::every_use_is_of_a_declared_param)),
    ("param-type", Check::Spec(params::every_param_is_used_as_what_it_is)),
    ("param-given", Check::Spec(references::every_required_param_is_given)),
    ("names-unique", Check::Spec(params::names_are_unique)),
    ("names-style", Check::Spec(params::names_are_in_their_style)),
    ("described", Check::Spec(params::everything_is_described)),
    ("result-written", Check::Spec(results::every_result_is_written)),
    ("result-declared", Check::Spec(results::every_written_result_is_declared)),
    ("result-file", Check::Spec(results::a_file_of_a_result_is_read_only_where_it_is_declared)),
    ("result-type", Check::Spec(results::every_result_has_its_type)),
    ("result-budget", Check::Spec(results::results_fit_into_the_budget)),
    ("result-consumed", Check::Spec(references::every_consumed_result_is_there)),
    ("finally-result", Check::Spec(references::finally_needs_no_result_that_may_be_missing)),
    ("when-status", Check::Spec(references::statuses_are_known)),
    ("workspace-used", Check::Spec(workspaces::every_workspace_is_used)),
    ("workspace-declared", Check::Spec(workspaces::every_named_workspace_is_declared)),
    ("workspace-bound", Check::Spec(references::every_workspace_is_bound)),
    ("workspace-one-volume", Check::Spec(workspaces::one_volume_at_most)),
    ("workspace-read-only", Check::Spec(workspaces::what_is_read_only_is_said_to_be)),
    ("key-isolated", Check::Spec(workspaces::a_key_is_seen_by_the_step_that_signs_alone)),
    ("reference-resolves", Check::Spec(references::every_reference_resolves)),
    ("reference-pinned", Check::Spec(references::remote_references_are_pinned)),
    ("no-cluster-task", Check::Spec(references::no_cluster_tasks)),
    ("step-action", Check::Spec(steps::every_step_action_is_here_and_gets_its_params)),
    ("step-script", Check::Spec(steps::no_script)),
    ("step-command", Check::Spec(steps::the_command_is_modelcar)),
    ("step-interpolation", Check::Spec(steps::params_reach_arguments_alone)),
    ("step-options", Check::Spec(steps::options_are_the_verbs)),
    ("step-any-value", Check::Spec(steps::any_value_is_harmless)),
    ("step-image", Check::Spec(steps::images_are_required_params_by_digest)),
    ("step-security", Check::Spec(steps::nothing_runs_with_rights)),
    ("step-resources", Check::Spec(steps::resources_and_an_end_are_set)),
    ("step-home", Check::Spec(steps::home_is_a_place_to_write)),
    ("step-volumes", Check::Spec(steps::volumes_are_small_known_and_used)),
    ("run-pinned", Check::Spec(steps::runs_pin_what_they_run)),
    ("run-timeout", Check::Spec(steps::runs_have_an_end)),
    ("metadata", Check::Whole(documents::a_catalogue_can_show_it)),
    ("place", Check::Whole(documents::it_lies_where_its_name_and_version_say)),
    ("api-version", Check::Whole(documents::versions_are_todays)),
    ("once", Check::Whole(documents::it_is_there_once)),
    ("plain-yaml", Check::Text(documents::the_yaml_is_plain)),
    ("trigger-params", Check::Whole(triggers::a_template_has_the_params_it_uses)),
    ("trigger-resolves", Check::Whole(triggers::a_listener_refers_to_what_is_there)),
    ("trigger-given", Check::Whole(triggers::a_trigger_gives_its_template_what_it_needs)),
    ("trigger-sender", Check::Whole(triggers::an_event_proves_who_sent_it)),
];

/// Everything that is wrong, a line each: `RULE: WHERE: WHAT`.
pub(crate) fn lint(catalogue: &Catalogue) -> Vec<String> {
    let units = catalogue.units();
    RULES.iter().flat_map(|(rule, check)| checked(rule, check, catalogue, &units)).collect()
}

fn checked(rule: &str, check: &Check, catalogue: &Catalogue, units: &[Unit]) -> Vec<String> {
    let line = |at: &str, wrong: String| format!("{rule}: {at}: {wrong}");
    match check {
        Check::Spec(check) => {
            units.iter().flat_map(|unit| check(unit, catalogue).into_iter().map(move |wrong| line(&unit.at, wrong))).collect()
        }
        Check::Whole(check) => {
            let at = |document: &Document| format!("{} {}/{}", document.path.display(), document.kind(), document.name());
            let all = catalogue.documents.iter();
            all.flat_map(|document| check(document, catalogue).into_iter().map(move |wrong| line(&at(document), wrong))).collect()
        }
        Check::Text(check) => {
            let all = catalogue.texts.iter();
            all.flat_map(|(path, text)| check(text).into_iter().map(move |wrong| line(&path.display().to_string(), wrong))).collect()
        }
    }
}
