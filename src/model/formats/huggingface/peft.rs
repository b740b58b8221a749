//! An adapter (LoRA and its relatives): a few weights that change a base model. `adapter_config.json`, as PEFT writes it.
//! <https://huggingface.co/docs/peft/main/en/developer_guides/checkpoint>

use super::outline;
use super::weight_files::is_weights;
use crate::model::formats::json::Outline;
use crate::model::formats::safetensors::{Weights, is_safetensors};
use crate::model::formats::small::is_at_top;
use crate::model::formats::{Format, Reading};
use crate::model::{Facts, ModelError, Tree};

/// `adapter_config.json`.
pub const FORMAT: Format = Format {
    name: "peft",
    detect,
    read,
    // An adapter is nothing without its base; servers take it as an argument beside that.
    servings: &[],
};

const ADAPTER: &str = "adapter_config.json";

/// Adapters come with their base's tokenizer, some even with its configuration; what they lack is its weights.
fn detect(tree: &Tree) -> bool {
    let at_top = || tree.files().iter().map(|file| file.path.as_str()).filter(|path| is_at_top(path));
    tree.file(ADAPTER).is_some() && at_top().any(is_adapter) && at_top().all(|path| is_adapter(path) || !is_weights(path))
}

fn is_adapter(path: &str) -> bool {
    path.starts_with("adapter_model")
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let config = outline(tree, ADAPTER)?;
    let weights = Weights::read(tree, tree.files().iter().filter(|file| is_at_top(&file.path) && is_safetensors(&file.path)))?;
    let mut facts = Facts::default();
    tell(&config, &mut facts);
    weights.tally(|_| true).tell(&mut facts);
    let base = facts.get("base-model").unwrap_or("its base model").to_owned();
    let note = format!("an adapter: a server loads it beside {base}, never alone");
    Ok(Reading { facts, mains: vec![ADAPTER.to_owned()], findings: weights.findings, notes: vec![note], ..Reading::default() })
}

fn tell(config: &Outline, facts: &mut Facts) {
    facts.add("adapter", "adapter", config.get("peft_type").to_string());
    facts.add("base-model", "base model", config.get("base_model_name_or_path").to_string());
    facts.add("task", "task", config.get("task_type").to_string());
    facts.add("rank", "rank", config.get("r").to_string());
    facts.add("alpha", "alpha", config.get("lora_alpha").to_string());
    facts.add("target-modules", "target modules", config.get("target_modules").texts().join(", "));
}
