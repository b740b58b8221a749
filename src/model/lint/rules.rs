//! Every rule.

use super::{Rule, Severity};

/// All of them, by id.
pub static RULES: &[&Rule] = &[
    &ABSOLUTE_PATH,
    &CASE_CLASH,
    &DANGEROUS_PICKLE,
    &EMPTY_FILE,
    &EXTERNAL_DATA,
    &INDEX_MISMATCH,
    &LATEST_TAG,
    &LAYER_SIZE,
    &LFS_POINTER,
    &MISSING_CONFIG,
    &MISSING_SHARD,
    &MISSING_TOKENIZER,
    &ORPHAN_WEIGHTS,
    &PICKLE,
    &REALPATH_TRAP,
    &REMOTE_CODE,
    &SECRET_FILE,
    &SEVERAL_MODELS,
    &STRAY_JSON,
    &TF_FILE_OPS,
    &TRITON_DYNAMIC_BATCH,
    &TRUNCATED_WEIGHTS,
    &UNKNOWN_FORMAT,
    &UNREADABLE,
    &UNSERVED,
    &WRITES_TO_OWN_FOLDER,
];

/// The rule with this id.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// A path of the machine where the model was made.
pub static ABSOLUTE_PATH: Rule = Rule {
    id: "absolute-path",
    severity: Severity::Warning,
    why: "the path is one of the machine where the model was made; in the pod the model lies under /mnt/models",
    link: None,
    fix: "write a path relative to the file, or one below /mnt/models",
};

/// Names that are one on macOS and Windows.
pub static CASE_CLASH: Rule = Rule {
    id: "case-clash",
    severity: Severity::Warning,
    why: "the names differ only in upper and lower case, so whoever unpacks the image on macOS or Windows gets one file of the two",
    link: None,
    fix: "rename one of them",
};

/// A pickle that imports what no model needs.
pub static DANGEROUS_PICKLE: Rule = Rule {
    id: "dangerous-pickle",
    severity: Severity::Error,
    why: "loading it runs code that no model needs: a shell, the network, the file system or an evaluator",
    link: Some("https://docs.python.org/3/library/pickle.html#module-pickle"),
    fix: "do not load it anywhere; get the model again from a source that you trust",
};

/// A file without a byte.
pub static EMPTY_FILE: Rule = Rule {
    id: "empty-file",
    severity: Severity::Error,
    why: "a weight file without a byte is what a full disk or a broken download leaves, and no server loads it",
    link: None,
    fix: "get the file again, or leave it out of the model's folder",
};

/// ONNX weights outside the model file.
pub static EXTERNAL_DATA: Rule = Rule {
    id: "external-data",
    severity: Severity::Warning,
    why: "onnxruntime from 1.24 and most OpenVINO versions cannot load external data through KServe's modelcar link",
    link: Some("https://github.com/microsoft/onnxruntime/issues/27353"),
    fix: "let modelcar inline the data (below 2 GiB), or deliver with native or fetch",
};

/// An index that names a tensor which its file does not hold.
pub static INDEX_MISMATCH: Rule = Rule {
    id: "index-mismatch",
    severity: Severity::Error,
    why: "the index and the weight files are of different exports, so loading ends at a tensor that is not there",
    link: None,
    fix: "download the index and all weight files again, of one revision",
};

/// A tag that everybody moves.
pub static LATEST_TAG: Rule = Rule {
    id: "latest-tag",
    severity: Severity::Warning,
    why: "Kubernetes pulls `latest` at every start, so a site without its registry cannot start the model, and nobody knows which one runs",
    link: Some("https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting"),
    fix: "name a version, such as :v1; patches of modelcar name the digest",
};

/// A file that registries refuse.
pub static LAYER_SIZE: Rule = Rule {
    id: "layer-size",
    severity: Severity::Warning,
    why: "a file is one layer, and Quay refuses layers above 20 GB in its usual configuration; other registries and proxies even less",
    link: Some("https://github.com/containers/ai-lab-recipes/issues/583"),
    fix: "save the model in shards (`save_pretrained(max_shard_size=\"5GB\")`, `gguf-split`), or raise the registry's limit",
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

/// Weights beside those that are loaded.
pub static ORPHAN_WEIGHTS: Rule = Rule {
    id: "orphan-weights",
    severity: Severity::Advice,
    why: "no server loads the file, and every site pulls it",
    link: None,
    fix: "leave it out with --exclude, or add it to the index",
};

/// Any pickle.
pub static PICKLE: Rule = Rule {
    id: "pickle",
    severity: Severity::Error,
    why: "whoever loads a pickle runs the code that its author put there",
    link: Some("https://docs.python.org/3/library/pickle.html#module-pickle"),
    fix: "convert it (safetensors, ONNX), or pack it with --allow-pickle if you trust its author",
};

/// A loader that asks for the real path.
pub static REALPATH_TRAP: Rule = Rule {
    id: "realpath-trap",
    severity: Severity::Error,
    why: "the server resolves the path of the model, and through KServe's modelcar link that leads to /models, which is not there",
    link: Some("https://github.com/kserve/kserve/issues/4743"),
    fix: "deliver with native or fetch where the site's KServe has it, or serve it with a server that does not; ONNX data can be inlined",
};

/// Python that comes with the model.
pub static REMOTE_CODE: Rule = Rule {
    id: "remote-code",
    severity: Severity::Warning,
    why: "the server runs Python that comes with the model, with all rights of the pod",
    link: Some("https://huggingface.co/docs/transformers/main/en/models#custom-models"),
    fix: "read that code before you sign the image, or use an architecture that the server has itself",
};

/// A key or a token.
pub static SECRET_FILE: Rule = Rule {
    id: "secret-file",
    severity: Severity::Error,
    why: "whoever can pull the image can read the secret, also after a later version left it out",
    link: None,
    fix: "take it out of the model's folder, and replace the secret if an image with it was pushed",
};

/// More than one model for a server of one.
pub static SEVERAL_MODELS: Rule = Rule {
    id: "several-models",
    severity: Severity::Error,
    why: "the server loads exactly one model file and stops where it finds more",
    link: Some("https://github.com/kserve/kserve/blob/v0.20.0/python/sklearnserver/sklearnserver/model.py"),
    fix: "give the one file to serve as MODEL, or leave the others out of the folder",
};

/// A second file that KServe's XGBoost server counts as a model.
pub static STRAY_JSON: Rule = Rule {
    id: "stray-json",
    severity: Severity::Warning,
    why: "KServe's XGBoost server takes every .json, .ubj and .bst at the top for a model and refuses to start with two",
    link: Some("https://github.com/kserve/kserve/blob/master/python/xgbserver/xgbserver/model.py"),
    fix: "leave the file out, or put it into a folder below the model",
};

/// TensorFlow operators that reach outside the model.
pub static TF_FILE_OPS: Rule = Rule {
    id: "tf-file-ops",
    severity: Severity::Advice,
    why: "a TensorFlow graph is a program: these operators read or write files where it is served, or need a Python that servers do not have",
    link: Some("https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md"),
    fix: "serve it only if you trust its author, or export the model without file operators and Python functions",
};

/// Batches that Triton cannot make.
pub static TRITON_DYNAMIC_BATCH: Rule = Rule {
    id: "triton-dynamic-batch",
    severity: Severity::Warning,
    why: "Triton batches only models whose first dimension is open in every input, and refuses max_batch_size above 0 for others",
    link: Some("https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md#maximum-batch-size"),
    fix: "export the model with an open batch dimension, or set max_batch_size to 0 in config.pbtxt",
};

/// A weight file that ends too early.
pub static TRUNCATED_WEIGHTS: Rule = Rule {
    id: "truncated-weights",
    severity: Severity::Error,
    why: "the file is shorter than its own header says, as after a broken download",
    link: None,
    fix: "download or copy the file again",
};

/// No format that is known.
pub static UNKNOWN_FORMAT: Rule = Rule {
    id: "unknown-format",
    severity: Severity::Advice,
    why: "nothing can be checked in files of a format that is not known, and no server's folder can be laid out",
    link: None,
    fix: "arrange the folder as its server wants it; it is packed as it is",
};

/// A model that cannot be read at all.
pub static UNREADABLE: Rule = Rule {
    id: "unreadable",
    severity: Severity::Error,
    why: "a file that cannot be read as what its name says will not be read by a server either; it cannot be allowed",
    link: None,
    fix: "get the file again, or export the model again",
};

/// A folder that is laid out for no server.
pub static UNSERVED: Rule = Rule {
    id: "unserved",
    severity: Severity::Warning,
    why: "the servers of this format look for one model in a place of their own, and would not find it here",
    link: None,
    fix: "give the one file to serve as MODEL, name a server with --runtime, or let a ServingRuntime of your own load the folder as it is",
};

/// A server that writes beside the model.
pub static WRITES_TO_OWN_FOLDER: Rule = Rule {
    id: "writes-to-own-folder",
    severity: Severity::Warning,
    why: "the model's folder is read-only in the pod, whatever the delivery, so caches in it fail or stop the server",
    link: Some("https://github.com/NVIDIA/nim-deploy/issues/64"),
    fix: "put the cache below /tmp or on a volume of its own",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_rule_is_whole() {
        assert!(RULES.is_sorted_by_key(|rule| rule.id));
        for rule in RULES {
            assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
            assert!(std::ptr::eq(by_id(rule.id).unwrap(), *rule));
            assert!(!rule.why.is_empty() && !rule.fix.is_empty(), "{}", rule.id);
        }
    }
}
