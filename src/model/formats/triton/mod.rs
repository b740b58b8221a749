//! Triton's model repository: `NAME/config.pbtxt` and `NAME/VERSION/model.*`, whatever the models are; and one model of it, with its
//! version folders at the top. Only what no single format claims is read here.
//! <https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html>

mod config;
mod error;
mod pbtxt;

use std::collections::{BTreeMap, BTreeSet};

use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::{Facts, ModelError, ModelFile, Tree};

pub use config::Config;
pub use error::{Defect, PbtxtError};

/// A repository of models, or one model with its configuration.
pub const FORMAT: Format = Format {
    name: "triton",
    detect: |tree| !models(tree).is_empty() || is_single(tree),
    read,
    servings: &[Serving { runtime: Runtime::Triton, place: Place::Repository, name: ServedName::Kept }],
};

/// The description of a model.
pub(super) const CONFIG: &str = "config.pbtxt";
/// Configurations that are read.
const MAX_CONFIGS: usize = 256;

/// The models of a repository: each folder with a configuration or with a version that Triton could load.
pub(super) fn models(tree: &Tree) -> BTreeSet<&str> {
    tree.files().iter().filter_map(|file| model_of(&file.path)).collect()
}

fn model_of(path: &str) -> Option<&str> {
    match path.split('/').collect::<Vec<_>>()[..] {
        [model, CONFIG] => Some(model),
        [model, version, file] | [model, version, file, _] if is_version(version) && file.starts_with("model.") => Some(model),
        _ => None,
    }
}

/// One model's folder: its configuration and its versions.
fn is_single(tree: &Tree) -> bool {
    tree.file(CONFIG).is_some() && tree.files().iter().any(|file| file.path.split_once('/').is_some_and(|(first, _)| is_version(first)))
}

fn is_version(name: &str) -> bool {
    !name.starts_with('0') && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let mut reading = Reading { mains: mains(tree), ..Reading::default() };
    let configs = configs(tree)?;
    if let [(_, only)] = &configs[..] {
        describe(only, &mut reading.facts);
    }
    let names: Vec<_> = models(tree).into_iter().collect();
    reading.facts.add("models", "models", cut_list(names.iter(), 16));
    reading.facts.add("backends", "backends", backends(&configs));
    reading.facts.add("ensembles", "ensembles", ensembles(&configs));
    reading.notes = misnamed(&configs);
    Ok(reading)
}

/// What Triton would load.
fn mains(tree: &Tree) -> Vec<String> {
    let in_version = |path: &str| match path.split('/').collect::<Vec<_>>()[..] {
        [version, file] | [_, version, file] => is_version(version) && file.starts_with("model."),
        _ => false,
    };
    tree.files().iter().filter(|file| in_version(&file.path)).map(|file| file.path.clone()).collect()
}

/// Each configuration with its model's folder; the folder of a single model has no name yet.
fn configs(tree: &Tree) -> Result<Vec<(String, Config)>, ModelError> {
    let folder = |path: &str| match path.split_once('/') {
        None if path == CONFIG => Some(String::new()),
        Some((model, CONFIG)) => Some(model.to_owned()),
        _ => None,
    };
    let files = tree.files().iter().filter_map(|file| Some((folder(&file.path)?, file))).take(MAX_CONFIGS);
    files.map(|(model, file)| Ok((model, config(tree, file)?))).collect()
}

fn config(tree: &Tree, file: &ModelFile) -> Result<Config, ModelError> {
    Config::of(file).map_err(|error| ModelError::Unreadable {
        path: tree.shown(&file.path),
        format: "a Triton configuration",
        source: error.into(),
        hint: None,
    })
}

fn describe(config: &Config, facts: &mut Facts) {
    if config.max_batch_size > 0 {
        facts.add("max-batch-size", "max batch size", config.max_batch_size.to_string());
    }
    if config.dynamic_batching {
        facts.add("dynamic-batching", "dynamic batching", "yes");
    }
    facts.inputs.clone_from(&config.inputs);
    facts.outputs.clone_from(&config.outputs);
}

/// `onnxruntime (2), python (1)`.
fn backends(configs: &[(String, Config)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for backend in configs.iter().filter_map(|(_, config)| config.backend.as_deref()) {
        *counts.entry(backend).or_default() += 1;
    }
    cut_list(counts.iter().map(|(backend, count)| format!("{backend} ({count})")), 16)
}

/// `pipeline = pre + net + post`.
fn ensembles(configs: &[(String, Config)]) -> String {
    let ensembles: Vec<_> = configs.iter().filter(|(_, config)| !config.steps.is_empty()).collect();
    cut_list(ensembles.iter().map(|(model, config)| format!("{model} = {}", config.steps.join(" + "))), 8)
}

/// Triton refuses a model whose configuration names another folder than its own.
fn misnamed(configs: &[(String, Config)]) -> Vec<String> {
    let differs = |(model, config): &&(String, Config)| !model.is_empty() && config.name.as_ref().is_some_and(|name| name != model);
    let told = |(model, config): &(String, Config)| {
        let name = crate::model::facts::printable(config.name.as_deref().unwrap_or_default());
        format!("{model}/{CONFIG} says `name: \"{name}\"`; Triton loads it only from a folder of that name")
    };
    configs.iter().filter(differs).take(8).map(told).collect()
}

#[cfg(test)]
mod tests {
    use crate::kserve::Runtime;
    use crate::model::formats::testing::{folder, read_folder};
    use crate::model::lay_out;

    const IMPORTANT: &str = "name: \"net\" backend: \"python\" max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP16 dims: -1 }";

    #[test]
    fn a_repository_of_any_backend_is_read_and_kept() {
        let dir = folder(&[("net/config.pbtxt", IMPORTANT), ("net/1/model.py", "print()"), ("net/1/helper.py", "x")]);
        let model = read_folder(&dir);
        assert_eq!(model.format, "triton");
        assert_eq!(model.mains, ["net/1/model.py"]);
        for (key, value) in [("repository", "triton, 1 model"), ("backends", "python (1)"), ("max-batch-size", "4"), ("models", "net")] {
            assert_eq!(model.facts.get(key), Some(value));
        }
        assert_eq!(model.facts.inputs[0].to_string(), "x: float16[?]");
        let layout = lay_out(&model, None, "other").unwrap();
        assert_eq!(layout.runtime, Runtime::Triton);
        assert!(layout.files.iter().all(|placed| placed.target == placed.file.path));
    }

    #[test]
    fn several_models_and_their_ensemble_are_told() {
        let ensemble = "platform: \"ensemble\" ensemble_scheduling { step { model_name: \"pre\" } step { model_name: \"net\" } }";
        let dir = folder(&[
            ("all/config.pbtxt", ensemble),
            ("all/1/.keep", "x"),
            ("net/1/model.plan", "w"),
            ("pre/config.pbtxt", "name: \"before\" backend: \"python\""),
            ("pre/1/model.py", "x"),
        ]);
        let model = read_folder(&dir);
        assert_eq!(model.facts.get("repository"), Some("triton, 3 models"));
        assert_eq!(model.facts.get("ensembles"), Some("all = pre + net"));
        assert_eq!(model.notes, ["pre/config.pbtxt says `name: \"before\"`; Triton loads it only from a folder of that name"]);
    }

    #[test]
    fn one_model_with_its_versions_goes_into_the_folder_that_it_names() {
        let dir = folder(&[("config.pbtxt", IMPORTANT), ("1/model.py", "x"), ("2/model.py", "y")]);
        let layout = lay_out(&read_folder(&dir), None, "other").unwrap();
        let targets: Vec<_> = layout.files.iter().map(|placed| placed.target.as_str()).collect();
        assert_eq!(targets, ["net/1/model.py", "net/2/model.py", "net/config.pbtxt"]);
    }

    #[test]
    fn a_configuration_that_triton_could_not_read_is_named_with_the_byte() {
        let dir = folder(&[("net/config.pbtxt", "name: \"net"), ("net/1/model.py", "x")]);
        let error = crate::model::read(dir.path(), &crate::model::ReadOptions::default()).unwrap_err();
        assert!(error.to_string().ends_with("net/config.pbtxt as a Triton configuration"), "{error}");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "at byte 7: the string does not end in its line");
    }

    #[test]
    fn folders_that_only_look_alike_are_not_taken() {
        for files in [&["net/01/model.py"][..], &["net/v1/model.py"], &["a/b/config.pbtxt"], &["config.pbtxt"], &["1/other.bin"]] {
            let files: Vec<_> = files.iter().map(|path| (*path, "x")).collect();
            assert_ne!(read_folder(&folder(&files)).format, "triton", "{files:?}");
        }
    }
}
