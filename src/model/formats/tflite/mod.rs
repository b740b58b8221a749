//! LiteRT, formerly TensorFlow Lite: `*.tflite`.
//!
//! The format is called `tflite` after its files; OpenVINO Model Server is the one server of KServe that loads it.

mod error;
mod flatbuffer;
mod operators;
mod schema;

use super::files::{has_ending, parsed, reading_of, told};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::{Facts, ModelError, Tree};

pub use error::TfliteError;
pub use schema::TfliteModel;

/// `*.tflite`.
pub const FORMAT: Format = Format {
    name: "tflite",
    detect: |tree| tree.files().iter().any(|file| has_ending(&file.path, &["tflite"])),
    read,
    servings: &[Serving { runtime: Runtime::Ovms, place: Place::Version, name: ServedName::Kept }],
};

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| has_ending(&file.path, &["tflite"])).collect();
    let mut reading = reading_of(&files);
    for file in &files {
        let model = parsed(tree, file, "TFLite", TfliteModel::read)?;
        if !model.custom.is_empty() {
            let names = cut_list(model.custom.iter().map(|name| crate::model::facts::printable(name)).collect::<Vec<_>>().iter(), 8);
            reading.notes.push(format!("{} has operators that a server must bring itself: {names}", file.path));
        }
        if files.len() == 1 {
            reading.facts = facts(&model, &mut reading.notes);
        }
    }
    Ok(reading)
}

fn facts(model: &TfliteModel, notes: &mut Vec<String>) -> Facts {
    let mut facts = Facts::default();
    facts.add("description", "description", &model.description);
    facts.add("schema-version", "schema version", model.version.to_string());
    facts.add("min-runtime-version", "least LiteRT", &model.min_runtime);
    facts.add("signatures", "signatures", model.signatures.shown());
    facts.add("nodes", "operators", model.operators.to_string());
    facts.add("operator-kinds", "kinds of operators", cut_list(model.builtin.iter(), 24));
    facts.add("custom-operators", "custom operators", cut_list(model.custom.iter(), 24));
    facts.add("quantisation", "quantisation", cut_list(model.quantised.iter(), 8));
    facts.add("metadata", "metadata", model.metadata.shown());
    facts.inputs = told("inputs", &model.inputs, notes);
    facts.outputs = told("outputs", &model.outputs, notes);
    facts
}

#[cfg(test)]
mod tests;
