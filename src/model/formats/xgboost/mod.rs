//! XGBoost: `.json`, `.ubj`, and `.bst` or `.model`, which may hold either of these or the old binary form.
//!
//! Names say little: `.json` is also a tokenizer's, `.bst` also LightGBM's. So the first bytes decide.

mod error;
mod json;
mod legacy;
mod schema;
mod token;
mod ubjson;

use super::files::{has_ending, head, parsed, reading_of};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::lint::{Finding, rules};
use crate::model::{Dimension, Facts, ModelError, ModelFile, TensorInfo, Tree};

pub use error::{Defect, XgboostError};
pub use schema::XgboostModel;

/// JSON, UBJSON and the old binary form.
pub const FORMAT: Format = Format {
    name: "xgboost",
    detect: |tree| tree.files().iter().any(is_xgboost),
    read,
    servings: &[
        Serving { runtime: Runtime::Xgbserver, place: Place::Top, name: NAME },
        Serving { runtime: Runtime::Mlserver, place: Place::Top, name: NAME },
    ],
};

/// MLServer looks for `model.bst`, `model.json` and `model.ubj`; KServe's own server takes any stem with these endings.
const NAME: ServedName = ServedName::Stem("model");
/// What may hold one.
const ENDINGS: [&str; 5] = ["bst", "json", "ubj", "model", "xgb"];
/// Enough for the first members of a document; feature names may come before the rest, but not before `learner`.
const SNIFFED: u64 = 1024;

fn is_xgboost(file: &ModelFile) -> bool {
    has_ending(&file.path, &ENDINGS) && XgboostModel::starts(&head(file, SNIFFED))
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| is_xgboost(file)).collect();
    let mut reading = reading_of(&files);
    for file in &files {
        let model = parsed(tree, file, "XGBoost", XgboostModel::read)?;
        if files.len() == 1 {
            reading.facts = facts(&model);
        }
        reading.notes.extend(doubts(file, &model));
    }
    reading.findings = strays(tree, &reading.mains);
    Ok(reading)
}

fn doubts(file: &ModelFile, model: &XgboostModel) -> Vec<String> {
    let mut notes = Vec::new();
    if model.form == "binary" {
        notes.push(format!("{} is in XGBoost's old binary form, which XGBoost cannot load from 3.1 on", file.path));
    }
    if !has_ending(&file.path, Runtime::Xgbserver.takes_one_of()) {
        notes.push(format!("{}: model servers look for .bst, .json or .ubj; rename it", file.path));
    }
    notes
}

fn facts(model: &XgboostModel) -> Facts {
    let mut facts = Facts::default();
    facts.add(
        "producer",
        "producer",
        if model.version.is_empty() { String::new() } else { format!("XGBoost {}", model.version.join(".")) },
    );
    facts.add("encoding", "encoding", model.form);
    facts.add("objective", "objective", &model.objective);
    facts.add("booster", "booster", &model.booster);
    facts.add("trees", "trees", &model.trees);
    facts.add("features", "features", &model.features);
    facts.add("classes", "classes", some(&model.classes, "0"));
    facts.add("targets", "targets", some(&model.targets, "1"));
    facts.add("base-score", "base score", &model.base_score);
    facts.add("feature-names", "feature names", model.feature_names.shown());
    facts.add("feature-types", "feature types", model.feature_types.shown());
    facts.inputs = vec![input(&model.features)];
    facts
}

/// The value, unless it says nothing.
fn some<'a>(value: &'a str, usual: &str) -> &'a str {
    if value == usual { "" } else { value }
}

/// XGBoost gives its input no name; servers take a matrix.
fn input(features: &str) -> TensorInfo {
    let width = features.parse().map_or(Dimension::Unknown, Dimension::Fixed);
    let shape = Some(vec![Dimension::Named("batch".to_owned()), width]);
    TensorInfo { name: "input".to_owned(), element_type: "float32".to_owned(), shape }
}

/// Files at the top that KServe's server would take for another model.
fn strays(tree: &Tree, mains: &[String]) -> Vec<Finding> {
    let counted = |file: &&ModelFile| !file.path.contains('/') && has_ending(&file.path, Runtime::Xgbserver.takes_one_of());
    let others = tree.files().iter().filter(counted).filter(|file| !mains.contains(&file.path));
    others.take(8).map(|file| Finding::at(&rules::STRAY_JSON, &file.path, "it lies beside the XGBoost model")).collect()
}

#[cfg(test)]
mod tests;
