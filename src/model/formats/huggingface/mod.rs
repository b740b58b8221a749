//! A Hugging Face folder: `config.json`, weights and a tokenizer, as `save_pretrained` writes it and vLLM loads it.
//! <https://huggingface.co/docs/transformers/en/main_classes/model>
//!
//! Two relatives have formats of their own, because these servers cannot load them: an adapter ([`peft`]) and a pipeline of
//! several models ([`diffusers`]).

mod config;
pub mod diffusers;
mod index;
pub mod peft;
mod tokenizer;
mod weight_files;

use super::json::Outline;
use super::safetensors::is_safetensors;
use super::small::is_at_top;
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::lint::{Finding, rules};
use crate::model::{Facts, ModelError, Tree};
use tokenizer::Tokenizer;
use weight_files::WeightFiles;

pub use index::{Index, Shard};

/// `config.json` and weights.
pub const FORMAT: Format = Format {
    name: "huggingface",
    detect,
    read,
    servings: &[
        Serving { runtime: Runtime::Vllm, place: Place::Top, name: ServedName::Kept },
        Serving { runtime: Runtime::Huggingface, place: Place::Top, name: ServedName::Kept },
    ],
};

/// For people.
const NAME: &str = "Hugging Face";
const CONFIG: &str = "config.json";
/// What Mistral's own form has in its place, beside `consolidated.safetensors` and `tekken.json`. vLLM finds it by these files, older
/// ones with a word of help: <https://github.com/vllm-project/vllm/pull/28659>.
const PARAMS: &str = "params.json";
/// Where sentence-transformers lists the steps of its pipeline.
const MODULES: &str = "modules.json";

/// Architectures that take text or give it, by the ends of their names.
const TEXT_ARCHITECTURES: [&str; 3] = ["ForCausalLM", "LMHeadModel", "ForConditionalGeneration"];

/// Weights at the top, and a configuration that names a network. A tokenizer tells as much: then the configuration was forgotten.
fn detect(tree: &Tree) -> bool {
    has_weights(tree)
        && match tree.file(CONFIG).map(|file| Outline::of(tree, file, NAME)) {
            Some(Ok(config)) => config.get("architectures").is_something() || config.get("model_type").is_something(),
            Some(Err(_)) => true,
            None => Tokenizer::find(tree).is_some() || tree.file(MODULES).is_some(),
        }
}

/// Whether Hugging Face weights lie at the top, or an index that names them: then a GGUF or ONNX file beside them is an extra.
pub(super) fn has_weights(tree: &Tree) -> bool {
    tree.files().iter().any(|file| is_at_top(&file.path) && (weight_files::is_weights(&file.path) || weight_files::is_index(&file.path)))
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let config = outline(tree, CONFIG)?;
    let weights = WeightFiles::read(tree)?;
    let tokenizer = Tokenizer::find(tree);
    let settings = outline(tree, tokenizer::SETTINGS)?;
    let mut facts = Facts::default();
    config::tell_network(&config, &mut facts);
    facts.add("library", "library", if tree.file(MODULES).is_some() { "sentence-transformers" } else { "" });
    weights.tell(config::packs_values(&config), &mut facts);
    config::tell_precision(&config, &outline(tree, "hf_quant_config.json")?, &mut facts);
    config::tell_size(&config, &settings, &mut facts);
    if let Some(tokenizer) = &tokenizer {
        tokenizer.tell(tree, &settings, &mut facts);
    }
    let main = match tree.file(CONFIG) {
        Some(_) => CONFIG,
        None if is_mistral(tree) => PARAMS,
        None => &weights.first,
    };
    let main = main.to_owned();
    let mut findings = missing(tree, &config, tokenizer.is_some());
    findings.extend(weights.findings);
    let notes = weights.notes.into_iter().chain(config::doubts(&config)).chain(mistral(tree)).collect();
    Ok(Reading { facts, mains: vec![main], findings, notes, ..Reading::default() })
}

/// The outline of a file at the top; empty where there is none.
fn outline(tree: &Tree, path: &str) -> Result<Outline, ModelError> {
    tree.file(path).map_or(Ok(Outline::Nothing), |file| Outline::of(tree, file, NAME))
}

/// What is not there.
fn missing(tree: &Tree, config: &Outline, has_tokenizer: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if tree.file(CONFIG).is_none() && !is_mistral(tree) {
        findings.push(Finding::of_model(&rules::MISSING_CONFIG, "weights and a tokenizer, and no config.json"));
    }
    let architecture = config::architecture(config).unwrap_or_default();
    let takes_text = TEXT_ARCHITECTURES.iter().any(|end| architecture.ends_with(end)) || tree.file(MODULES).is_some();
    if takes_text && !has_tokenizer {
        let what =
            format!("{} has no tokenizer.json, tokenizer.model or vocabulary", if architecture.is_empty() { "it" } else { architecture });
        findings.push(Finding::of_model(&rules::MISSING_TOKENIZER, what));
    }
    findings
}

/// Whether a folder has Mistral's own form.
fn is_mistral(tree: &Tree) -> bool {
    let is_whole = |path: &str| path.starts_with("consolidated") && is_safetensors(path);
    tree.file(PARAMS).is_some() && tree.files().iter().any(|file| is_whole(&file.path))
}

/// That form is vLLM's alone.
fn mistral(tree: &Tree) -> Option<String> {
    let is_alone = tree.file(CONFIG).is_none() && is_mistral(tree);
    is_alone.then(|| {
        format!(
            "{PARAMS} without {CONFIG} is Mistral's own form: only vLLM loads it, an older one with the argument --tokenizer-mode=mistral"
        )
    })
}

#[cfg(test)]
mod tests;
