//! OpenVINO's intermediate representation: `NAME.xml` with the graph, `NAME.bin` with the weights. A folder may hold several, as a
//! language model with its tokenizer does.

mod error;
mod schema;
mod types;

use super::files::{has_ending, head, parsed, reading_of, told, unreadable};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::lint::{Finding, rules};
use crate::model::{Facts, ModelError, ModelFile, Tree};

pub use error::OpenvinoError;
pub use schema::OpenvinoModel;

/// `.xml` whose outermost element is `net`.
pub const FORMAT: Format = Format {
    name: "openvino",
    detect: |tree| tree.files().iter().any(is_graph),
    read,
    servings: &[
        // Any stem will do where graph and weights share it.
        Serving { runtime: Runtime::Ovms, place: Place::Version, name: ServedName::Kept },
        Serving { runtime: Runtime::Triton, place: Place::Repository, name: ServedName::Stem("model") },
    ],
};

/// What OpenVINO Model Server needs to serve a generative model.
const GRAPH: &str = "graph.pbtxt";

fn is_graph(file: &ModelFile) -> bool {
    has_ending(&file.path, &["xml"]) && String::from_utf8_lossy(&head(file, 512)).contains("<net ")
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| is_graph(file)).collect();
    let mut reading = reading_of(&files);
    for file in &files {
        let model = parsed(tree, file, "OpenVINO IR", OpenvinoModel::read)?;
        if let Some(weights) = weights(tree, file, &model)? {
            reading.findings.extend(shortness(&weights, &model));
            reading.companions.push(weights);
        }
        if files.len() == 1 {
            reading.facts = facts(&model, &mut reading.notes);
        }
    }
    generative(tree, &mut reading);
    Ok(reading)
}

/// The file with the weights; it may be missing where no constant needs it.
fn weights(tree: &Tree, file: &ModelFile, model: &OpenvinoModel) -> Result<Option<ModelFile>, ModelError> {
    let stem = file.path.rsplit_once('.').map_or(file.path.as_str(), |(stem, _)| stem);
    let place = format!("{stem}.bin");
    match tree.named(&place)? {
        None if model.weights_end > 0 => Err(unreadable(tree, file, "OpenVINO IR", OpenvinoError::NoWeights { place })),
        found => Ok(found),
    }
}

fn shortness(weights: &ModelFile, model: &OpenvinoModel) -> Option<Finding> {
    let what = || format!("the graph needs {} bytes of weights, it has {}", model.weights_end, weights.size);
    (weights.size < model.weights_end).then(|| Finding::at(&rules::TRUNCATED_WEIGHTS, &weights.path, what()))
}

/// A language model as `optimum-cli export openvino` writes it, ready for the model server or not.
fn generative(tree: &Tree, reading: &mut Reading) {
    let has_graph = tree.file(GRAPH).is_some();
    if has_graph {
        reading.facts.add("graph", "graph", GRAPH);
    }
    if !has_graph && reading.mains.iter().any(|path| path == "openvino_tokenizer.xml") {
        let note = "a generative model: OpenVINO Model Server needs graph.pbtxt at the top of the folder to serve it";
        reading.notes.push(note.to_owned());
    }
}

fn facts(model: &OpenvinoModel, notes: &mut Vec<String>) -> Facts {
    let mut facts = Facts::default();
    let types = model.elements.iter().map(|(kind, count)| format!("{kind} {count}"));
    let parameters = model.elements.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
    facts.add("producer", "producer", if model.producer.is_empty() { String::new() } else { format!("OpenVINO {}", model.producer) });
    facts.add("framework", "converted from", &model.framework);
    facts.add("model-name", "model name", &model.name);
    facts.add("ir-version", "IR version", &model.ir_version);
    facts.add("layers", "layers", model.layers.to_string());
    facts.add("parameters", "parameters", if parameters == 0 { String::new() } else { parameters.to_string() });
    facts.add("parameter-types", "parameter types", cut_list(types, 32));
    facts.add("quantisation", "quantisation", &model.compression);
    facts.inputs = told("inputs", &model.inputs, notes);
    facts.outputs = told("outputs", &model.outputs, notes);
    facts
}

#[cfg(test)]
mod tests;
