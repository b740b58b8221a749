//! A GGUF model in words for people and annotations.

use super::file::GgufFile;
use super::tensors::Tensors;
use super::types;
use super::values::Value;
use crate::model::Facts;
use crate::model::facts::cut_list;

/// Facts of a key below the architecture's name: `llama.context_length`.
const OF_ARCHITECTURE: [(&str, &str, &str); 6] = [
    ("context_length", "context-length", "context length"),
    ("block_count", "layers", "layers"),
    ("embedding_length", "hidden-size", "hidden size"),
    ("attention.head_count", "attention-heads", "attention heads"),
    ("attention.head_count_kv", "kv-heads", "key-value heads"),
    ("expert_count", "experts", "experts"),
];

/// Types that are told: all that are known.
const MAX_TYPES: usize = 40;

/// The facts of a model; `tensors` are those of all its parts.
pub(super) fn facts(file: &GgufFile, tensors: &Tensors) -> Facts {
    let mut facts = Facts::default();
    let architecture = file.text("general.architecture").unwrap_or_default();
    facts.add("architecture", "architecture", architecture);
    facts.add("name", "name", file.text("general.name").unwrap_or_default());
    add_tensors(&mut facts, tensors);
    facts.add("quantization", "quantization", file.count("general.file_type").map_or_else(String::new, types::file_type));
    for (key, fact, label) in OF_ARCHITECTURE {
        facts.add(fact, label, number(file, &format!("{architecture}.{key}")));
    }
    facts.add("vocabulary", "vocabulary", vocabulary(file, architecture));
    add_tokenizer(&mut facts, file);
    add_origin(&mut facts, file);
    facts
}

fn add_tensors(facts: &mut Facts, tensors: &Tensors) {
    let elements = tensors.types.iter().map(|(kind, count)| format!("{kind} {}", count.elements));
    let counts = tensors.types.iter().map(|(kind, count)| format!("{kind} {}", count.tensors));
    facts.add("parameters", "parameters", tensors.elements().to_string());
    facts.add("parameter-types", "parameter types", cut_list(elements, MAX_TYPES));
    facts.add("tensor-types", "tensor types", cut_list(counts, MAX_TYPES));
}

/// Without a value where it is a list: some networks have another number in each layer.
fn number(file: &GgufFile, key: &str) -> String {
    file.count(key).map_or_else(String::new, |number| number.to_string())
}

fn vocabulary(file: &GgufFile, architecture: &str) -> String {
    match file.values.get("tokenizer.ggml.tokens") {
        Some(Value::List(length)) => length.to_string(),
        _ => number(file, &format!("{architecture}.vocab_size")),
    }
}

fn add_tokenizer(facts: &mut Facts, file: &GgufFile) {
    let words = ["tokenizer.ggml.model", "tokenizer.ggml.pre"].into_iter().filter_map(|key| file.text(key));
    facts.add("tokenizer", "tokenizer", words.collect::<Vec<_>>().join(", "));
    let template = file.text("tokenizer.chat_template").is_some_and(|template| !template.is_empty());
    facts.add("chat-template", "chat template", if template { "in the file" } else { "" });
}

fn add_origin(facts: &mut Facts, file: &GgufFile) {
    let first = |keys: &[&str]| keys.iter().find_map(|key| file.text(key)).unwrap_or_default().to_owned();
    facts.add("licence", "licence", first(&["general.license"]));
    facts.add("base-model", "base model", first(&["general.base_model.0.repo_url", "general.base_model.0.name"]));
    facts.add("organization", "organization", first(&["general.organization", "general.author"]));
    facts.add("gguf-version", "GGUF version", file.version.to_string());
}
