//! Rules about results: each is written by a step, each use is of one that is there, and all fit into what Tekton carries.

use modelcar::report::tekton::{BUDGET, Kind as ResultKind, RESULTS, entry_bytes};

use super::catalogue::{Catalogue, Kind, Unit, list, name, named, type_of};
use super::step::Step;
use super::variables::{strings, variables};

/// Room that Tekton's own words have in the message.
const OWN: usize = 256;

/// The longest values that a task has to have room for: repository names of 255 characters, tags of 128, three platforms and
/// their index, 255 characters of any other name or address.
const LONGEST: [(&str, usize); 22] = [
    ("IMAGE_URL", REPOSITORY + 1 + TAG),
    ("IMAGE_DIGEST", DIGEST),
    ("IMAGE_REF", REFERENCE),
    ("IMAGES", 3 * (REFERENCE + 1)),
    ("BASE_IMAGE_REF", REFERENCE),
    ("BASE_IMAGE_DIGEST", DIGEST),
    ("MODEL_ARTIFACT_INPUTS", 24 + ADDRESS + DIGEST),
    ("SBOM_BLOB_URL", REFERENCE),
    ("FINDINGS", 10),
    ("MODEL_FORMAT", 32),
    ("MODEL_PATH", ADDRESS),
    ("SOURCE_URI", ADDRESS),
    ("SOURCE_DIGEST", DIGEST),
    ("COMMIT", 64),
    ("BRANCH", 255),
    ("PULL_REQUEST", ADDRESS),
    ("SITES", 2048),
    ("REGISTERED_MODEL_ID", 20),
    ("MODEL_VERSION_ID", 20),
    ("MODEL_ARTIFACT_ID", 20),
    ("OUTCOME", 6),
    ("MAX_DIFFERENCE", 24),
];
const REPOSITORY: usize = 255;
const TAG: usize = 128;
const DIGEST: usize = 71;
const REFERENCE: usize = REPOSITORY + 1 + DIGEST;
const ADDRESS: usize = 255;

fn longest(name: &str) -> Option<usize> {
    LONGEST.iter().find(|(known, _)| *known == name).map(|(_, length)| *length)
}

pub(super) fn results_fit_into_the_budget(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if unit.kind != Kind::Task {
        return vec![];
    }
    let (mut found, mut bytes) = (Vec::new(), OWN);
    for result in list(unit.spec, "results").iter().map(name) {
        match longest(result) {
            Some(length) => bytes += entry_bytes(result, &"x".repeat(length)),
            None => found.push(format!("nobody knows how long {result} may be")),
        }
    }
    if bytes > BUDGET {
        found.push(format!("the results may have {bytes} bytes, and Tekton carries {BUDGET}"));
    }
    found
}

pub(super) fn every_result_is_written(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    let steps = Step::all(unit, catalogue);
    if steps.is_empty() {
        return vec![];
    }
    let unwritten = list(unit.spec, "results").iter().filter(|result| !is_written(unit, name(result), &steps));
    unwritten.map(|result| format!("no step writes the result {}", name(result))).collect()
}

fn is_written(unit: &Unit, result: &str, steps: &[Step]) -> bool {
    let handed_on = named(unit.spec, "results", result).is_some_and(|declared| declared.get("value").is_some());
    let own = |step: &Step| {
        let knows = step.verb_results().iter().any(|known| known.name == result);
        let whole = step.args().contains(&"--tekton-results=/tekton/results") && unit.kind == Kind::Task;
        let single = step.single_results().iter().any(|(name, _)| *name == result);
        let foreign = step.verb().is_none() && variables(step.own).iter().any(|v| v.after(&["results", result]).is_some());
        knows && (whole || single) || foreign
    };
    handed_on || steps.iter().any(own)
}

pub(super) fn every_written_result_is_declared(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    if !matches!(unit.kind, Kind::Task | Kind::StepAction) {
        return vec![];
    }
    let mut found = Vec::new();
    for step in Step::all(unit, catalogue) {
        for (result, file) in step.single_results() {
            let wanted = [format!("$(step.results.{result}.path)"), format!("$(results.{result}.path)")];
            if !step.verb_results().iter().any(|known| known.name == result) {
                found.push(format!("{} does not write {result}", step.verb().unwrap_or("a foreign command")));
            } else if !wanted.iter().any(|path| path == file) {
                found.push(format!("{result} is written to {file}"));
            }
        }
    }
    found.extend(dangling(unit, catalogue));
    found
}

/// Uses of results that the task, or one of its steps, does not have.
fn dangling(unit: &Unit, catalogue: &Catalogue) -> Vec<String> {
    let steps = Step::all(unit, catalogue);
    let step_has = |wanted: &str, result: &str| {
        let step = steps.iter().find(|known| known.name() == wanted);
        step.is_some_and(|step| step.member("results").as_array().into_iter().flatten().any(|known| name(known) == result))
    };
    let own = |result: &str| named(unit.spec, "results", result).is_some();
    let missing = |variable: &super::variables::Variable| match &variable.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["step", "results", result, ..] | ["results", result, ..] => !own(result),
        ["steps", step, "results", result, ..] => !step_has(step, result),
        _ => false,
    };
    let all = variables(unit.spec).into_iter().filter(missing);
    all.map(|variable| format!("{} is no declared result", variable.path.join("."))).collect()
}

pub(super) fn a_file_of_a_result_is_read_only_where_it_is_declared(unit: &Unit, _: &Catalogue) -> Vec<String> {
    let files = strings(unit.spec).into_iter().filter_map(|text| text.strip_prefix("@/tekton/results/"));
    let unknown = files.filter(|result| named(unit.spec, "results", result).is_none());
    unknown.map(|result| format!("@/tekton/results/{result} is no declared result")).collect()
}

pub(super) fn every_result_has_its_type(unit: &Unit, _: &Catalogue) -> Vec<String> {
    if !matches!(unit.kind, Kind::Task | Kind::StepAction) {
        return vec![];
    }
    let ours = |result: &&serde_json::Value| RESULTS.iter().find(|known| known.name == name(result)).map(|known| known.kind);
    let odd = list(unit.spec, "results").iter().filter(|result| {
        ours(result)
            .is_some_and(|kind| kind.word() != type_of(result) || (kind == ResultKind::Artifact) != result.get("properties").is_some())
    });
    odd.map(|result| format!("{} is declared as {}", name(result), type_of(result))).collect()
}

mod tests {
    use super::{RESULTS, longest};

    #[test]
    fn the_longest_value_of_every_result_is_known() {
        for result in RESULTS {
            assert!(longest(result.name).is_some(), "{}", result.name);
        }
    }
}
