//! What single servers insist on.

use super::MOUNT;
use crate::kserve::Runtime;
use crate::model::ModelError;
use crate::model::formats::ServedName;

/// Triton's description of a model; it stands beside the version folders, not in one.
pub(super) const TRITON_CONFIG: &str = "config.pbtxt";

/// Refuses a second file that the server would take for the model: a stray `.json` beside XGBoost's is the usual one.
pub(super) fn check_only_file(runtime: Runtime, top: &[&str], models: &[&str]) -> Result<(), ModelError> {
    let counted = runtime.takes_one_of();
    let counts = |path: &&&str| path.rsplit_once('.').is_some_and(|(_, ending)| counted.contains(&ending));
    let found: Vec<_> = top.iter().filter(counts).map(|path| (*path).to_owned()).collect();
    if found.len() < 2 {
        return Ok(());
    }
    let strays = found.iter().filter(|path| !models.contains(&path.as_str())).cloned().collect();
    Err(ModelError::NotOneFile { runtime, counted, found, strays })
}

/// Servers that take the folder for the model.
pub(super) fn reads_whole_folder(runtime: Runtime) -> bool {
    matches!(runtime, Runtime::Vllm | Runtime::Huggingface)
}

/// Whether Triton can tell everything from a file of this name alone. TorchScript, XGBoost and LightGBM carry no names, types or
/// shapes of inputs, so their backends want them written down.
/// <https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html#auto-generated-model-configuration>
pub(super) fn completes_itself(name: ServedName) -> bool {
    match name {
        ServedName::File(file) => ["model.onnx", "model.plan", "model.graphdef"].contains(&file),
        // OpenVINO: model.xml and model.bin.
        ServedName::Stem(stem) => stem == "model",
        ServedName::Folder(folder) => folder == "model.savedmodel",
        ServedName::Kept => false,
    }
}

/// Whether a file has the name that it is served under already.
pub(super) fn is_served(file: &str, name: ServedName) -> bool {
    match name {
        ServedName::File(served) => file == served,
        ServedName::Stem(served) => file.rsplit_once('.').is_some_and(|(stem, _)| stem == served),
        ServedName::Kept => true,
        ServedName::Folder(_) => false,
    }
}

pub(super) fn is_gguf(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("gguf"))
}

/// What the server has to be told: vLLM's ServingRuntimes say `--model=/mnt/models`, and vLLM loads GGUF only by its file. The last
/// `--model` wins. <https://github.com/kserve/kserve/issues/3892>
pub(super) fn args(runtime: Runtime, models: &[&str]) -> Vec<String> {
    let file = models.iter().find(|path| is_gguf(path)).filter(|_| runtime == Runtime::Vllm);
    file.map(|file| format!("--model={MOUNT}/{file}")).into_iter().collect()
}
