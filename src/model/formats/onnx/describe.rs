//! An ONNX model in words for people and annotations.

use super::schema::{OnnxModel, domain_name};
use crate::model::Facts;
use crate::model::facts::{cut_list, printable, slug};
use crate::model::formats::files::told;

/// The facts of a model; what was cut is told in a note.
pub(super) fn facts(model: &OnnxModel, notes: &mut Vec<String>) -> Facts {
    let mut facts = Facts::default();
    add_origin(&mut facts, model);
    add_size(&mut facts, model);
    add_external(&mut facts, model);
    for (key, value) in &model.metadata {
        add_metadata(&mut facts, key, value);
    }
    facts.inputs = told("inputs", &model.inputs, notes);
    facts.outputs = told("outputs", &model.outputs, notes);
    facts
}

fn add_origin(facts: &mut Facts, model: &OnnxModel) {
    facts.add("producer", "producer", format!("{} {}", model.producer, model.producer_version));
    facts.add("domain", "domain", &model.domain);
    facts.add("model-version", "model version", number(model.model_version));
    facts.add("description", "description", &model.description);
    facts.add("graph", "graph", &model.graph);
    facts.add("ir-version", "IR version", number(model.ir_version));
    facts.add("opset", "opset", opsets(model));
}

/// Zero is none: a model without a version, or one whose weights are all attributes of its operators.
fn number(number: impl Into<i128>) -> String {
    match number.into() {
        0 => String::new(),
        number => number.to_string(),
    }
}

fn opsets(model: &OnnxModel) -> String {
    let mut sets: Vec<_> = model.opsets.iter().map(|(domain, version)| format!("{} {version}", domain_name(domain))).collect();
    sets.sort_unstable();
    sets.join(", ")
}

fn add_size(facts: &mut Facts, model: &OnnxModel) {
    let tally = &model.tally;
    let elements = tally.elements.values().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let types = tally.elements.iter().map(|(name, count)| format!("{name} {count}"));
    facts.add("nodes", "operators", number(tally.nodes));
    facts.add("operator-domains", "operator domains", cut_list(tally.domains.iter(), 16));
    facts.add("parameters", "parameters", number(elements));
    facts.add("parameter-types", "parameter types", cut_list(types, 32));
}

fn add_external(facts: &mut Facts, model: &OnnxModel) {
    if !model.external.is_empty() {
        facts.add("external-data", "external data", cut_list(model.external.keys(), 8));
    }
}

/// What the author added. A key that is no word in Latin letters has no place in an annotation's name.
fn add_metadata(facts: &mut Facts, key: &str, value: &str) {
    let word = slug(key);
    if !word.is_empty() {
        facts.add(&format!("metadata-{word}"), &printable(key), value);
    }
}
