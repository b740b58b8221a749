//! A pipeline of several models, usually one that draws: `model_index.json` and a folder for each part.
//! <https://huggingface.co/docs/diffusers/main/en/using-diffusers/loading>

use super::outline;
use crate::model::facts::cut_list;
use crate::model::formats::json::Outline;
use crate::model::formats::safetensors::{Weights, is_safetensors};
use crate::model::formats::{Format, Reading};
use crate::model::{Facts, ModelError, Tree};

/// `model_index.json`.
pub const FORMAT: Format = Format {
    name: "diffusers",
    detect: |tree| tree.file(PIPELINE).is_some(),
    read,
    // KServe ships no server for it.
    servings: &[],
};

const PIPELINE: &str = "model_index.json";

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let pipeline = outline(tree, PIPELINE)?;
    let weights = Weights::read(tree, tree.files().iter().filter(|file| is_safetensors(&file.path)))?;
    let mut facts = Facts::default();
    tell(&pipeline, &mut facts);
    weights.tally(is_loaded).tell(&mut facts);
    let note = "no model server that KServe ships loads a diffusers pipeline".to_owned();
    Ok(Reading { facts, mains: vec![PIPELINE.to_owned()], findings: weights.findings, notes: vec![note], ..Reading::default() })
}

fn tell(pipeline: &Outline, facts: &mut Facts) {
    facts.add("architecture", "architecture", pipeline.get("_class_name").to_string());
    facts.add("library", "library", format!("diffusers {}", pipeline.get("_diffusers_version")));
    let Outline::Object(entries) = pipeline else { return };
    let parts: Vec<_> = entries.iter().filter(|(_, value)| !value.texts().is_empty() && matches!(value, Outline::List(_))).collect();
    let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name} ({})", value.texts().last().unwrap_or(&""))).collect();
    facts.add("parts", "parts", cut_list(parts.iter(), 16));
}

/// The parts' weights in their usual precision; `….fp16.safetensors` are the same weights once more, and files at the top the whole.
fn is_loaded(path: &str) -> bool {
    let Some((_, name)) = path.split_once('/') else { return false };
    name.matches('.').count() == 1
}
