//! safetensors: weights without code. Alone they are a model that no server loads; with a configuration beside them they are
//! [`super::huggingface`]'s.

mod document;
mod dtype;
mod error;
mod header;
mod weights;

use std::collections::BTreeMap;

use super::small::has_extension;
use super::{Format, Reading};
use crate::model::facts::{cut_list, printable, slug};
use crate::model::{Facts, ModelError, Tree};

pub use error::{Conflict, Defect, SafetensorsError};
pub use header::{Cut, Header};
pub(super) use weights::Weights;

/// `*.safetensors` without a configuration.
pub const FORMAT: Format = Format {
    name: "safetensors",
    detect: |tree| tree.files().iter().any(|file| is_safetensors(&file.path)),
    read,
    // Weights do not say of which network they are.
    servings: &[],
};

/// The longest header that is read. The largest real ones have some 10 MiB: a hundred thousand tensors in one file.
const MAX_HEADER: u64 = 16 << 20;
/// Tensors of one model. The largest real ones have some 200 000.
const MAX_TENSORS: usize = 1 << 19;

/// How much of what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tensors.
    pub tensors: usize,
    /// Elements by type: `bfloat16`.
    pub elements: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, dtype: String, elements: u64) {
        self.tensors += 1;
        let sum = self.elements.entry(dtype).or_default();
        *sum = sum.saturating_add(elements);
    }

    fn merge(&mut self, other: &Self) {
        self.tensors += other.tensors;
        for (dtype, elements) in &other.elements {
            let sum = self.elements.entry(dtype.clone()).or_default();
            *sum = sum.saturating_add(*elements);
        }
    }

    /// All elements.
    pub fn total(&self) -> u64 {
        self.elements.values().fold(0, |sum, elements| sum.saturating_add(*elements))
    }

    /// Adds the facts, if there are tensors.
    pub(super) fn tell(&self, facts: &mut Facts) {
        if self.tensors > 0 {
            facts.add("parameters", "parameters", self.total().to_string());
            self.tell_types(facts);
        }
    }

    /// Adds the facts for weights of which several are packed into one element: their number does not count parameters.
    pub(super) fn tell_packed(&self, facts: &mut Facts) {
        if self.tensors > 0 {
            facts.add("stored-values", "stored values", format!("{} (several parameters in one)", self.total()));
            self.tell_types(facts);
        }
    }

    fn tell_types(&self, facts: &mut Facts) {
        let types = self.elements.iter().map(|(dtype, elements)| format!("{dtype} {elements}"));
        facts.add("parameter-types", "parameter types", cut_list(types, 32));
        facts.add("tensors", "tensors", self.tensors.to_string());
    }
}

pub(super) fn is_safetensors(path: &str) -> bool {
    has_extension(path, "safetensors")
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| is_safetensors(&file.path)).collect();
    let weights = Weights::read(tree, files.iter().copied())?;
    let mut facts = Facts::default();
    weights.tally(|_| true).tell(&mut facts);
    for (key, value) in weights.metadata() {
        tell_metadata(&mut facts, key, value);
    }
    let mains = files.iter().map(|file| file.path.clone()).collect();
    let note = if tree.file("config.json").is_some() {
        "config.json names no network of transformers (`architectures` or `model_type`): no server can tell which one to load"
    } else {
        "weights without config.json: no server can tell of which network they are"
    };
    let note = note.to_owned();
    Ok(Reading { facts, mains, findings: weights.findings, notes: vec![note], ..Reading::default() })
}

/// What the author added. A key that is no word in Latin letters has no place in an annotation's name.
fn tell_metadata(facts: &mut Facts, key: &str, value: &str) {
    let word = slug(key);
    if !word.is_empty() {
        facts.add(&format!("metadata-{word}"), &printable(key), value);
    }
}

#[cfg(test)]
pub(super) mod tests;
