use std::fs;
use std::path::Path;

use crate::kserve::Runtime;
use crate::model::formats::safetensors::tests::tensors;
use crate::model::{Model, ModelError, ReadOptions, lay_out, read as read_model};

const LLAMA: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": 32000,
    "max_position_embeddings": 8192, "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}"#;

struct Folder(tempfile::TempDir);

impl Folder {
    /// A whole small model in two files with an index, and a third file that is not in it.
    fn llama() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("config.json", LLAMA);
        folder.write("tokenizer.json", "{}");
        folder.write("tokenizer_config.json", r#"{"tokenizer_class": "LlamaTokenizerFast", "chat_template": "{{ messages }}"}"#);
        folder.write("model-1.safetensors", tensors(&[("a", 3), ("b", 4)]));
        folder.write("model-2.safetensors", tensors(&[("c", 5)]));
        folder.write(
            "model.safetensors.index.json",
            index(&[("a", "model-1.safetensors"), ("b", "model-1.safetensors"), ("c", "model-2.safetensors")]),
        );
        folder
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
        self
    }

    fn remove(&self, path: &str) -> &Self {
        fs::remove_file(self.0.path().join(path)).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn try_read(&self) -> Result<Model, ModelError> {
        read_model(self.path(), &ReadOptions::default())
    }

    fn read(&self) -> Model {
        self.try_read().unwrap()
    }

    fn findings(&self) -> Vec<String> {
        let place = |finding: &crate::model::Finding| finding.path.clone().unwrap_or_else(|| "-".to_owned());
        self.read().findings.iter().map(|finding| format!("{} {}: {}", finding.rule.id, place(finding), finding.what)).collect()
    }
}

fn index(entries: &[(&str, &str)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(tensor, file)| format!(r#""{tensor}": "{file}""#)).collect();
    format!(r#"{{"metadata": {{"total_size": 48}}, "weight_map": {{{}}}}}"#, entries.join(", "))
}

#[track_caller]
fn assert_facts(model: &Model, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(model.facts.get(key), Some(*value), "{key}");
    }
}

#[test]
fn tells_what_a_person_wants_to_know_and_counts_no_weight_twice() {
    let folder = Folder::llama();
    folder.write("extra.safetensors", tensors(&[("a", 3), ("b", 4), ("c", 5)]));
    folder.write(
        "README.md",
        "---\nlicense: apache-2.0\nbase_model: org/base\npipeline_tag: text-generation\nlanguage: [en, de]\n---\n# It\n",
    );
    let model = folder.read();
    assert_eq!((model.format, &model.mains[..]), ("huggingface", &["config.json".to_owned()][..]));
    assert_facts(
        &model,
        &[
            ("architecture", "LlamaForCausalLM"),
            ("model-type", "llama"),
            ("parameters", "12"),
            ("parameter-types", "float32 12"),
            ("tensors", "3"),
            ("weight-files", "model-1.safetensors, model-2.safetensors"),
            ("dtype", "bfloat16"),
            ("context-length", "8192"),
            ("vocabulary", "32000"),
            ("layers", "2"),
            ("kv-heads", "2"),
            ("tokenizer", "LlamaTokenizerFast, tokenizer.json"),
            ("chat-template", "tokenizer_config.json"),
            ("licence", "apache-2.0"),
            ("base-model", "org/base"),
            ("task", "text-generation"),
            ("languages", "en, de"),
        ],
    );
    let orphan = "orphan-weights extra.safetensors: model.safetensors.index.json does not name it";
    assert_eq!(folder.findings(), [orphan]);
}

#[test]
fn the_folder_stays_flat_for_the_servers_that_load_it() {
    let model = Folder::llama().read();
    for runtime in [None, Some(Runtime::Vllm), Some(Runtime::Huggingface)] {
        let layout = lay_out(&model, runtime, "llama").unwrap();
        assert_eq!(layout.runtime, runtime.unwrap_or(Runtime::Vllm));
        assert!(layout.files.iter().all(|placed| placed.target == placed.file.path));
    }
    assert!(lay_out(&model, Some(Runtime::Ovms), "llama").is_err());
}

#[test]
fn a_shard_that_is_not_there_is_named() {
    let folder = Folder::llama();
    folder.remove("model-2.safetensors");
    assert_eq!(folder.findings(), ["missing-shard model.safetensors.index.json: \"model-2.safetensors\" is not there"]);
}

#[test]
fn many_missing_shards_are_counted() {
    let folder = Folder::llama();
    let names: Vec<_> = (0..40).map(|number| (format!("t{number}"), format!("m{number}.safetensors"))).collect();
    let entries: Vec<_> = names.iter().map(|(tensor, file)| (tensor.as_str(), file.as_str())).collect();
    folder.write("model.safetensors.index.json", index(&entries));
    let findings = folder.findings();
    assert_eq!(findings.iter().filter(|finding| finding.starts_with("missing-shard")).count(), 17);
    assert!(findings.iter().any(|finding| finding.ends_with("24 more files are not there")), "{findings:?}");
}

#[test]
fn a_tensor_that_its_file_does_not_hold_is_named() {
    let folder = Folder::llama();
    folder.write("model-2.safetensors", tensors(&[("other", 5)]));
    assert_eq!(folder.findings(), ["index-mismatch model.safetensors.index.json: tensor \"c\" is not in \"model-2.safetensors\""]);
}

#[test]
fn a_shard_that_ends_early_is_a_finding() {
    let folder = Folder::llama();
    let whole = tensors(&[("c", 5)]);
    folder.write("model-2.safetensors", &whole[..whole.len() - 1]);
    assert_eq!(folder.findings().len(), 1);
    assert!(folder.findings()[0].starts_with("truncated-weights model-2.safetensors: tensor \"c\""));
}

#[test]
fn weights_with_a_tokenizer_lack_their_configuration() {
    let folder = Folder::llama();
    folder.remove("config.json");
    let model = folder.read();
    assert_eq!((model.format, model.mains.len()), ("huggingface", 1));
    assert_eq!(folder.findings(), ["missing-config -: weights and a tokenizer, and no config.json"]);
}

/// As `mistralai/Pixtral-12B-2409` is.
#[test]
fn mistrals_own_form_needs_no_configuration_of_transformers() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write("params.json", r#"{"dim": 5120}"#);
    folder.write("tekken.json", "{}");
    folder.write("consolidated.safetensors", tensors(&[("a", 5)]));
    let model = folder.read();
    assert_eq!((model.format, &model.mains[..]), ("huggingface", &["params.json".to_owned()][..]));
    assert!(folder.findings().is_empty(), "{:?}", folder.findings());
    assert!(model.notes.iter().any(|note| note.contains("only vLLM loads it")), "{:?}", model.notes);
    folder.remove("consolidated.safetensors").write("model.safetensors", tensors(&[("a", 5)]));
    assert_eq!(folder.findings().len(), 1, "somebody else's params.json");
}

/// As timm writes it.
#[test]
fn weights_beside_another_librarys_configuration_are_only_weights() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write("config.json", r#"{"architecture": "resnet18", "num_classes": 1000}"#);
    folder.write("model.safetensors", tensors(&[("a", 5)]));
    let model = folder.read();
    assert_eq!(model.format, "safetensors");
    assert!(model.notes.iter().any(|note| note.starts_with("config.json names no network of transformers")), "{:?}", model.notes);
}

#[test]
fn a_text_model_lacks_its_tokenizer_and_a_classifier_of_pictures_does_not() {
    let folder = Folder::llama();
    folder.remove("tokenizer.json");
    assert_eq!(folder.findings(), ["missing-tokenizer -: LlamaForCausalLM has no tokenizer.json, tokenizer.model or vocabulary"]);
    folder.write("config.json", r#"{"architectures": ["ViTForImageClassification"]}"#);
    assert!(folder.findings().is_empty());
}

#[test]
fn pickled_weights_are_listed_and_their_index_is_checked() {
    let folder = Folder::llama();
    for path in ["model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"] {
        folder.remove(path);
    }
    folder
        .write("pytorch_model-1.bin", "PK")
        .write("pytorch_model.bin.index.json", index(&[("a", "pytorch_model-1.bin"), ("b", "pytorch_model-2.bin")]));
    assert_facts(&folder.read(), &[("weight-files", "pytorch_model-1.bin (pickle)")]);
    assert_eq!(folder.findings(), ["missing-shard pytorch_model.bin.index.json: \"pytorch_model-2.bin\" is not there"]);
}

#[test]
fn packed_elements_are_not_called_parameters() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder
        .write("config.json", r#"{"model_type": "llama", "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}"#);
    let header = r#"{"q":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}"#;
    folder.write("model.safetensors", crate::model::formats::safetensors::tests::file(header, 8));
    let model = folder.read();
    assert_eq!(model.facts.get("parameters"), None);
    assert_facts(&model, &[("stored-values", "2 (several parameters in one)"), ("quantization", "gptq, 4 bits, groups of 128")]);
}

#[test]
fn code_of_its_own_is_told() {
    let folder = Folder::llama();
    folder.write("config.json", LLAMA.replacen('{', r#"{"auto_map": {"AutoConfig": "code.Config"}, "#, 1));
    assert!(folder.read().notes.iter().any(|note| note.contains("--trust-remote-code")));
}

#[test]
fn a_broken_configuration_is_refused_with_its_byte() {
    let folder = Folder::llama();
    folder.write("config.json", r#"{"architectures": ["#);
    let error = folder.try_read().unwrap_err();
    assert!(error.to_string().ends_with("config.json as Hugging Face"), "{error}");
    assert!(std::error::Error::source(&error).unwrap().to_string().starts_with("byte 19: EOF"));
}

#[test]
fn relatives_are_told_apart() {
    type Make = fn(&Folder);
    let cases: [(&str, &str, Make); 8] = [
        ("an adapter with its base's tokenizer", "peft", |folder| {
            folder
                .write("adapter_config.json", "{}")
                .write("adapter_model.safetensors", tensors(&[("a", 1)]))
                .write("tokenizer.json", "{}");
        }),
        ("a pipeline of models", "diffusers", |folder| {
            folder.write("model_index.json", "{}").write("unet/config.json", "{}").write("unet/model.safetensors", tensors(&[("a", 1)]));
        }),
        ("a configuration of something else", "safetensors", |folder| {
            folder.write("config.json", r#"{"lr": 1}"#).write("model.safetensors", tensors(&[("a", 1)]));
        }),
        ("ONNX at the top", "onnx", |folder| {
            folder.write("config.json", LLAMA).write("model.onnx", onnx()).write("extra/m.gguf", "GGUF");
        }),
        ("ONNX beside weights", "huggingface", |folder| {
            folder.write("config.json", LLAMA).write("model.onnx", "x").write("model.safetensors", tensors(&[("a", 1)]));
        }),
        ("GGUF beside a configuration", "gguf", |folder| {
            folder.write("config.json", LLAMA).write("m.gguf", [&b"GGUF\x03\0\0\0"[..], &[0; 16]].concat());
        }),
        ("GGUF beside weights", "huggingface", |folder| {
            folder.write("config.json", LLAMA).write("m.gguf", "x").write("model.safetensors", tensors(&[("a", 1)]));
        }),
        ("weights in a folder below", "safetensors", |folder| {
            folder.write("config.json", LLAMA).write("sub/model.safetensors", tensors(&[("a", 1)]));
        }),
    ];
    for (what, format, make) in cases {
        let folder = Folder(tempfile::tempdir().unwrap());
        make(&folder);
        assert_eq!(folder.read().format, format, "{what}");
    }
}

fn onnx() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models/iris/logreg_iris.onnx")).unwrap()
}

#[test]
fn an_adapter_tells_its_base() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let config = r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 16, "lora_alpha": 32, "target_modules": ["q_proj", "v_proj"]}"#;
    folder.write("adapter_config.json", config).write("adapter_model.safetensors", tensors(&[("a", 7)]));
    let model = folder.read();
    assert_facts(
        &model,
        &[
            ("adapter", "LORA"),
            ("base-model", "org/base"),
            ("rank", "16"),
            ("alpha", "32"),
            ("target-modules", "q_proj, v_proj"),
            ("parameters", "7"),
        ],
    );
    assert!(model.notes.iter().any(|note| note.contains("beside org/base")));
}

#[test]
fn a_pipeline_tells_its_parts_and_counts_each_weight_once() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder.write(
        "model_index.json",
        r#"{"_class_name": "FluxPipeline", "_diffusers_version": "0.30.0", "vae": ["diffusers", "AutoencoderKL"], "feature_extractor": [null, null]}"#,
    );
    for path in ["vae/model.safetensors", "vae/model.fp16.safetensors", "whole.safetensors"] {
        folder.write(path, tensors(&[("a", 7)]));
    }
    let model = folder.read();
    assert_facts(
        &model,
        &[("architecture", "FluxPipeline"), ("library", "diffusers 0.30.0"), ("parts", "vae (AutoencoderKL)"), ("parameters", "7")],
    );
    assert_eq!(lay_out(&model, None, "flux").unwrap().runtime, Runtime::Raw);
}

#[test]
fn sentence_transformers_are_told_by_their_modules() {
    let folder = Folder(tempfile::tempdir().unwrap());
    folder
        .write("config.json", r#"{"architectures": ["BertModel"]}"#)
        .write("modules.json", "[]")
        .write("model.safetensors", tensors(&[("a", 1)]));
    assert_facts(&folder.read(), &[("library", "sentence-transformers")]);
    assert_eq!(folder.findings(), ["missing-tokenizer -: BertModel has no tokenizer.json, tokenizer.model or vocabulary"]);
}

#[test]
fn weights_that_did_not_come_along_are_missed_with_an_index_and_without() {
    let folder = Folder::llama();
    folder.remove("model-1.safetensors").remove("model-2.safetensors");
    assert_eq!(folder.read().format, "huggingface");
    let missing = |name: &str| format!("missing-shard model.safetensors.index.json: \"{name}\" is not there");
    assert_eq!(folder.findings(), [missing("model-1.safetensors"), missing("model-2.safetensors")]);

    let folder = Folder::llama();
    folder.remove("model.safetensors.index.json").remove("model-1.safetensors").remove("model-2.safetensors");
    folder.write("model-00001-of-00003.safetensors", tensors(&[("a", 3)])).write("model-00003-of-00003.safetensors", tensors(&[("b", 4)]));
    assert_eq!(folder.findings(), ["missing-shard model: of 3 parts there is no part 2"]);
}
