//! TensorFlow's SavedModel: a folder with `saved_model.pb`, `variables/`, `assets/` and what Keras adds.
//!
//! The format is called `tensorflow`, as KServe and OpenShift AI call it.

mod error;
mod schema;
mod types;

use super::files::{beside, parsed, reading_of, told, unreadable};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::lint::{Finding, rules};
use crate::model::{Facts, ModelError, ModelFile, Tree};

pub use error::SavedModelError;
pub use schema::SavedModel;

/// A folder with `saved_model.pb`.
pub const FORMAT: Format = Format {
    name: "tensorflow",
    detect: |tree| tree.files().iter().any(is_graph),
    read,
    servings: &[
        Serving { runtime: Runtime::Ovms, place: Place::Version, name: ServedName::Kept },
        Serving { runtime: Runtime::TensorflowServing, place: Place::Version, name: ServedName::Kept },
        Serving { runtime: Runtime::Triton, place: Place::Repository, name: ServedName::Folder("model.savedmodel") },
    ],
};

const GRAPH: &str = "saved_model.pb";
const INDEX: &str = "variables/variables.index";
const SHARD: &str = "variables/variables.data-";
/// Shards that are looked for; TensorFlow writes one unless it runs on many machines.
const MAX_SHARDS: u64 = 10_000;

fn is_graph(file: &ModelFile) -> bool {
    file.path == GRAPH || file.path.ends_with("/saved_model.pb")
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| is_graph(file)).collect();
    let mut reading = reading_of(&files);
    for file in &files {
        refuse_alone(tree, file)?;
        let model = parsed(tree, file, "SavedModel", SavedModel::read)?;
        reading.findings.extend(findings(tree, file, &model));
        if files.len() == 1 {
            reading.facts = facts(&model, &mut reading.notes);
        }
    }
    Ok(reading)
}

/// The graph without its variables would be packed without a word.
fn refuse_alone(tree: &Tree, file: &ModelFile) -> Result<(), ModelError> {
    let place = beside(&file.path, INDEX);
    if tree.file(&place).is_none() && tree.named(&place)?.is_some() {
        return Err(unreadable(tree, file, "SavedModel", SavedModelError::Alone { place }));
    }
    Ok(())
}

fn findings(tree: &Tree, file: &ModelFile, model: &SavedModel) -> Vec<Finding> {
    let mut findings: Vec<_> = missing(tree, file, model).iter().map(|place| absent(place)).collect();
    if !model.file_operators.is_empty() {
        let names = cut_list(model.file_operators.iter(), 16);
        findings.push(Finding::at(&rules::TF_FILE_OPS, &file.path, format!("operators: {names}")));
    }
    findings
}

fn absent(place: &str) -> Finding {
    Finding::at(&rules::MISSING_SHARD, place, "the variables of the SavedModel are not whole without it")
}

/// Files of the variables that are not there.
fn missing(tree: &Tree, file: &ModelFile, model: &SavedModel) -> Vec<String> {
    let (index, prefix) = (beside(&file.path, INDEX), beside(&file.path, SHARD));
    let shards = shards(tree, &prefix);
    let mut wanted = Vec::new();
    if model.has_variables || !shards.is_empty() {
        wanted.push(index);
        let count = shards.first().map_or(1, |(_, count)| *count).min(MAX_SHARDS);
        wanted.extend((0..count).map(|number| format!("{prefix}{number:05}-of-{count:05}")));
    }
    wanted.retain(|place| tree.file(place).is_none());
    wanted.truncate(8);
    wanted
}

/// Number and count of each shard that is there: `00000-of-00002`.
fn shards(tree: &Tree, prefix: &str) -> Vec<(u64, u64)> {
    let suffixes = tree.files().iter().filter_map(|file| file.path.strip_prefix(prefix));
    let parts = suffixes.filter_map(|suffix| suffix.split_once("-of-"));
    parts.filter_map(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?))).collect()
}

fn facts(model: &SavedModel, notes: &mut Vec<String>) -> Facts {
    let mut facts = Facts::default();
    facts.add("producer", "producer", if model.version.is_empty() { String::new() } else { format!("TensorFlow {}", model.version) });
    facts.add("tags", "tags", cut_list(model.tags.iter(), 16));
    facts.add("signatures", "signatures", model.signatures.shown());
    facts.add("signature", "signature told", if model.signature == "serving_default" { "" } else { &model.signature });
    facts.add("nodes", "operators", model.operators.to_string());
    facts.inputs = told("inputs", &model.inputs, notes);
    facts.outputs = told("outputs", &model.outputs, notes);
    facts
}

#[cfg(test)]
mod tests;
