//! `config.json` in words. The names of a setting differ by network; for networks of several parts it is in the text part's object.

use crate::model::Facts;
use crate::model::formats::json::Outline;

/// The objects in which the text part of a network with several parts is described.
const TEXT_PARTS: [&str; 3] = ["text_config", "llm_config", "language_config"];
const CONTEXT: [&str; 7] =
    ["max_position_embeddings", "n_positions", "n_ctx", "seq_length", "max_seq_len", "max_sequence_length", "max_target_positions"];
const LAYERS: [&str; 5] = ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"];
const HIDDEN: [&str; 4] = ["hidden_size", "n_embd", "d_model", "dim"];
const HEADS: [&str; 4] = ["num_attention_heads", "n_head", "n_heads", "num_heads"];
const EXPERTS: [&str; 4] = ["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"];
/// Quantisation methods that leave one parameter in one element.
const UNPACKED: [&str; 4] = ["fp8", "fbgemm_fp8", "modelopt", "ptpc_fp8"];
/// What stands for "no limit" in `model_max_length`.
const NO_LIMIT: u64 = 1 << 40;

/// The first architecture.
pub(super) fn architecture(config: &Outline) -> Option<&str> {
    config.get("architectures").texts().first().copied()
}

/// Which network it is.
pub(super) fn tell_network(config: &Outline, facts: &mut Facts) {
    facts.add("architecture", "architecture", config.get("architectures").texts().join(", "));
    facts.add("model-type", "model type", config.get("model_type").text().unwrap_or_default());
}

/// The precision it was trained in, and how it was quantised.
pub(super) fn tell_precision(config: &Outline, modelopt: &Outline, facts: &mut Facts) {
    let dtype = first(config, &["dtype", "torch_dtype"]).map_or_else(String::new, ToString::to_string);
    facts.add("dtype", "dtype", dtype);
    facts.add("quantization", "quantization", quantization(quantization_config(config)));
    let algorithm = modelopt.get("quantization").get("quant_algo").to_string();
    facts.add("quantization", "quantization", if algorithm.is_empty() { algorithm } else { format!("modelopt, {algorithm}") });
}

fn quantization_config(config: &Outline) -> &Outline {
    first(config, &["quantization_config", "compression_config"]).unwrap_or(&Outline::Nothing)
}

/// `gptq, 4 bits, groups of 128`.
fn quantization(config: &Outline) -> String {
    let mut words: Vec<String> = config.get("quant_method").texts().into_iter().map(str::to_owned).collect();
    words.extend(config.get("format").text().map(str::to_owned));
    words.extend(bits(config).map(|bits| format!("{bits} bits")));
    words.extend(config.get("group_size").count().map(|size| format!("groups of {size}")));
    words.join(", ")
}

fn bits(config: &Outline) -> Option<u64> {
    let group = config.get("config_groups").get("group_0").get("weights").get("num_bits").count();
    let flag = |name: &str, bits| (*config.get(name) == Outline::Bool(true)).then_some(bits);
    let named = config.get("bits").count().or_else(|| config.get("w_bit").count()).or(group);
    named.or_else(|| flag("load_in_4bit", 4)).or_else(|| flag("load_in_8bit", 8))
}

/// Whether several parameters are packed into one integer of the weights.
pub(super) fn packs_values(config: &Outline) -> bool {
    let config = quantization_config(config);
    let method = config.get("quant_method").text().unwrap_or_default();
    config.is_something() && !UNPACKED.contains(&method) && bits(config).is_none_or(|bits| bits < 8)
}

/// How long its input may be, and how large it is.
pub(super) fn tell_size(config: &Outline, tokenizer: &Outline, facts: &mut Facts) {
    facts.add("context-length", "context length", text(count(config, &CONTEXT).or_else(|| max_length(tokenizer))));
    facts.add("rope-scaling", "rope scaling", rope_scaling(config));
    facts.add("sliding-window", "sliding window", text(sliding_window(config)));
    facts.add("vocabulary", "vocabulary", text(count(config, &["vocab_size", "padded_vocab_size"])));
    facts.add("layers", "layers", text(count(config, &LAYERS)));
    facts.add("hidden-size", "hidden size", text(count(config, &HIDDEN)));
    facts.add("attention-heads", "attention heads", text(count(config, &HEADS)));
    facts.add("kv-heads", "key-value heads", text(count(config, &["num_key_value_heads"])));
    facts.add("experts", "experts", text(count(config, &EXPERTS)));
}

fn text(count: Option<u64>) -> String {
    count.map_or_else(String::new, |count| count.to_string())
}

/// A tokenizer knows a length too; without a limit it says 10³⁰, which is no whole number here.
fn max_length(tokenizer: &Outline) -> Option<u64> {
    tokenizer.get("model_max_length").count().filter(|length| *length < NO_LIMIT)
}

/// Qwen's networks name a window and switch it off.
fn sliding_window(config: &Outline) -> Option<u64> {
    let off = first(config, &["use_sliding_window"]) == Some(&Outline::Bool(false));
    count(config, &["sliding_window"]).filter(|_| !off)
}

/// `yarn, factor 4 from 32768`.
fn rope_scaling(config: &Outline) -> String {
    let Some(scaling) = first(config, &["rope_scaling", "rope_parameters"]) else { return String::new() };
    let kind = scaling.get("rope_type").text().or_else(|| scaling.get("type").text()).unwrap_or_default();
    let factor = scaling.get("factor").to_string();
    if kind.is_empty() || kind == "default" || factor.is_empty() {
        return String::new();
    }
    let from = scaling.get("original_max_position_embeddings").count().map_or_else(String::new, |from| format!(" from {from}"));
    format!("{kind}, factor {factor}{from}")
}

fn count(config: &Outline, names: &[&str]) -> Option<u64> {
    places(config).flat_map(|place| names.iter().map(|name| place.get(name))).find_map(Outline::count)
}

fn first<'a>(config: &'a Outline, names: &[&str]) -> Option<&'a Outline> {
    places(config).flat_map(|place| names.iter().map(|name| place.get(name))).find(|value| value.is_something())
}

/// Where a setting may be: at the top, then in a text part.
fn places(config: &Outline) -> impl Iterator<Item = &Outline> {
    [config].into_iter().chain(TEXT_PARTS.iter().map(|part| config.get(part)))
}

/// What a person should know.
pub(super) fn doubts(config: &Outline) -> Option<String> {
    let custom = config.get("auto_map").is_something();
    custom.then(|| "config.json names Python code of its own (`auto_map`): servers run it only with `--trust-remote-code`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Outline {
        Outline::parse(text.into()).unwrap()
    }

    fn size(config: &str, tokenizer: &str) -> Vec<(String, String)> {
        let mut facts = Facts::default();
        tell_size(&outline(config), &outline(tokenizer), &mut facts);
        facts.items.into_iter().map(|fact| (fact.key, fact.value)).collect()
    }

    #[test]
    fn finds_the_context_length_under_every_name() {
        for (config, tokenizer, expected) in [
            (r#"{"max_position_embeddings": 8192, "n_ctx": 1}"#, "{}", Some("8192")),
            (r#"{"n_positions": 1024}"#, r#"{"model_max_length": 9}"#, Some("1024")),
            (r#"{"n_ctx": 1024}"#, "{}", Some("1024")),
            (r#"{"seq_length": 32768}"#, "{}", Some("32768")),
            (r#"{"text_config": {"max_position_embeddings": 131072}}"#, "{}", Some("131072")),
            ("{}", r#"{"model_max_length": 512}"#, Some("512")),
            ("{}", r#"{"model_max_length": 1000000000000000019884624838656}"#, None),
            (r#"{"max_position_embeddings": -1}"#, "{}", None),
        ] {
            let facts = size(config, tokenizer);
            let found = facts.iter().find(|(key, _)| key == "context-length").map(|(_, value)| value.as_str());
            assert_eq!(found, expected, "{config} {tokenizer}");
        }
    }

    #[test]
    fn tells_how_rope_is_stretched() {
        for (config, expected) in [
            (
                r#"{"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}"#,
                "yarn, factor 4 from 32768",
            ),
            (r#"{"text_config": {"rope_scaling": {"type": "linear", "factor": 2.5}}}"#, "linear, factor 2.5"),
            (r#"{"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}"#, ""),
            (r#"{"rope_scaling": null}"#, ""),
        ] {
            assert_eq!(rope_scaling(&outline(config)), expected, "{config}");
        }
    }

    #[test]
    fn tells_how_it_was_quantised_and_whether_elements_are_packed() {
        for (config, expected, packed) in [
            (r#"{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}"#, "gptq, 4 bits, groups of 128", true),
            (r#"{"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}}"#, "bitsandbytes, 4 bits", true),
            (r#"{"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true}}"#, "bitsandbytes, 8 bits", false),
            (r#"{"quantization_config": {"quant_method": "mxfp4"}}"#, "mxfp4", true),
            (r#"{"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}"#, "fp8", false),
            (
                r#"{"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized",
                    "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}}"#,
                "compressed-tensors, pack-quantized, 4 bits",
                true,
            ),
            ("{}", "", false),
        ] {
            let config = outline(config);
            assert_eq!(quantization(quantization_config(&config)), expected);
            assert_eq!(packs_values(&config), packed, "{expected}");
        }
    }

    #[test]
    fn a_window_that_is_switched_off_is_none() {
        assert_eq!(sliding_window(&outline(r#"{"sliding_window": 4096, "use_sliding_window": false}"#)), None);
        assert_eq!(sliding_window(&outline(r#"{"sliding_window": 4096}"#)), Some(4096));
    }
}
