//! Every rule.

use super::{Rule, Severity};

/// All of them, by id.
pub static RULES: &[&Rule] =
    &[&DANGEROUS_PICKLE, &EXTERNAL_DATA, &LFS_POINTER, &MISSING_CONFIG, &MISSING_SHARD, &MISSING_TOKENIZER, &PICKLE, &TRUNCATED_WEIGHTS];

/// A pickle that imports what no model needs.
pub static DANGEROUS_PICKLE: Rule = Rule {
    id: "dangerous-pickle",
    severity: Severity::Error,
    why: "loading it runs code that no model needs: a shell, the network, the file system or an evaluator",
    link: Some("https://docs.python.org/3/library/pickle.html#module-pickle"),
    fix: "do not load it anywhere; get the model again from a source that you trust",
};

/// ONNX weights outside the model file.
pub static EXTERNAL_DATA: Rule = Rule {
    id: "external-data",
    severity: Severity::Warning,
    why: "onnxruntime from 1.24 and most OpenVINO versions cannot load external data through KServe's modelcar link",
    link: Some("https://github.com/microsoft/onnxruntime/issues/27353"),
    fix: "let modelcar inline the data (below 2 GiB), or deliver with native or fetch",
};

/// Git LFS left its pointer instead of the file.
pub static LFS_POINTER: Rule = Rule {
    id: "lfs-pointer",
    severity: Severity::Error,
    why: "the file is a Git LFS pointer, not the weights",
    link: Some("https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"),
    fix: "run `git lfs pull` in the clone and build again",
};

/// No `config.json`.
pub static MISSING_CONFIG: Rule = Rule {
    id: "missing-config",
    severity: Severity::Error,
    why: "vLLM and the Hugging Face server cannot tell the architecture without config.json",
    link: None,
    fix: "download config.json from the model's repository too",
};

/// A shard that the index names and that is not there.
pub static MISSING_SHARD: Rule = Rule {
    id: "missing-shard",
    severity: Severity::Error,
    why: "the index names a weight file that is not there, so no server can load the model",
    link: None,
    fix: "download the missing file, or export the model again",
};

/// No tokenizer.
pub static MISSING_TOKENIZER: Rule = Rule {
    id: "missing-tokenizer",
    severity: Severity::Warning,
    why: "a text model without its tokenizer cannot take text",
    link: None,
    fix: "download tokenizer.json or tokenizer.model and tokenizer_config.json too",
};

/// Any pickle.
pub static PICKLE: Rule = Rule {
    id: "pickle",
    severity: Severity::Error,
    why: "whoever loads a pickle runs the code that its author put there",
    link: Some("https://docs.python.org/3/library/pickle.html#module-pickle"),
    fix: "convert it (safetensors, ONNX, skops), or pack it with --allow-pickle if you trust its author",
};

/// A weight file that ends too early.
pub static TRUNCATED_WEIGHTS: Rule = Rule {
    id: "truncated-weights",
    severity: Severity::Error,
    why: "the file is shorter than its own header says, as after a broken download",
    link: None,
    fix: "download or copy the file again",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_rule_is_whole() {
        assert!(RULES.is_sorted_by_key(|rule| rule.id));
        for rule in RULES {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
            assert!(!rule.why.is_empty() && !rule.fix.is_empty(), "{}", rule.id);
        }
    }
}
