//! What KServe calls a model's format. A ServingRuntime is refused for a model whose format it does not list, so the word depends on
//! the server and the platform, not on the files alone: `config/runtimes` of kserve/kserve and of odh-model-controller.
//!
//! Versions are never needed: a ServingRuntime that lists `sklearn` in version 1 also takes a model that says `sklearn` alone.

use super::{Generation, Runtime};

/// The formats that Triton's ServingRuntime lists; for every other it has the word `triton`.
const TRITONS_OWN: [&str; 4] = ["onnx", "tensorflow", "pytorch", "tensorrt"];

/// The word for `modelFormat.name`, from the name that modelcar gives the format.
pub fn model_format(format: &str, server: Option<Runtime>, generation: Generation) -> &str {
    match server {
        Some(Runtime::Vllm) if generation.is_rhoai() || has_vllm(generation) => "vLLM",
        Some(Runtime::Vllm | Runtime::Huggingface) => "huggingface",
        Some(Runtime::Triton) => tritons(framework(format)),
        Some(Runtime::Ovms) => openvinos(framework(format), generation),
        // MLServer takes the implementation from model-settings.json; the word only has to be one that its ServingRuntime lists.
        Some(Runtime::Mlserver) if format == "mlserver" => "sklearn",
        _ => openvino_alone(framework(format), generation),
    }
}

/// Upstream has a ServingRuntime for vLLM itself since 0.20.
fn has_vllm(generation: Generation) -> bool {
    matches!(generation, Generation::V0_20 | Generation::V0_21)
}

/// What a file's format is called where frameworks have the say.
fn framework(format: &str) -> &str {
    match format {
        "savedmodel" | "saved-model" | "tensorflow-savedmodel" | "tflite" => "tensorflow",
        "torchscript" | "torchserve" | "mar" => "pytorch",
        "hf" | "safetensors" => "huggingface",
        other => other,
    }
}

fn tritons(framework: &str) -> &str {
    if TRITONS_OWN.contains(&framework) { framework } else { "triton" }
}

/// A repository with a configuration of its own goes by the server's first format: the server reads the configuration.
fn openvinos(framework: &str, generation: Generation) -> &str {
    openvino_alone(if framework == "ovms" { "openvino" } else { framework }, generation)
}

/// OpenShift AI's runtime says how the format is written.
fn openvino_alone(framework: &str, generation: Generation) -> &str {
    if framework == "openvino" && generation.is_rhoai() { "openvino_ir" } else { framework }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_that_the_servers_runtime_lists() {
        for (format, server, generation, expected) in [
            ("onnx", Runtime::Ovms, Generation::Rhoai3_4, "onnx"),
            ("onnx", Runtime::Triton, Generation::V0_21, "onnx"),
            ("openvino", Runtime::Ovms, Generation::V0_20, "openvino"),
            ("openvino", Runtime::Ovms, Generation::Rhoai3_4, "openvino_ir"),
            ("openvino", Runtime::Triton, Generation::V0_20, "triton"),
            ("openvino", Runtime::Raw, Generation::Rhoai3_4, "openvino_ir"),
            ("ovms", Runtime::Ovms, Generation::Rhoai3_4, "openvino_ir"),
            ("savedmodel", Runtime::TensorflowServing, Generation::V0_17, "tensorflow"),
            ("tflite", Runtime::Ovms, Generation::Rhoai3_5, "tensorflow"),
            ("torchscript", Runtime::Triton, Generation::V0_17, "pytorch"),
            ("torchserve", Runtime::Torchserve, Generation::V0_17, "pytorch"),
            ("triton", Runtime::Triton, Generation::V0_17, "triton"),
            ("mlserver", Runtime::Mlserver, Generation::Rhoai3_4, "sklearn"),
            ("xgboost", Runtime::Mlserver, Generation::V0_21, "xgboost"),
            ("gguf", Runtime::Vllm, Generation::V0_21, "vLLM"),
            ("huggingface", Runtime::Vllm, Generation::Rhoai2_25, "vLLM"),
            ("huggingface", Runtime::Vllm, Generation::V0_17, "huggingface"),
            ("safetensors", Runtime::Huggingface, Generation::V0_21, "huggingface"),
        ] {
            assert_eq!(model_format(format, Some(server), generation), expected, "{format} for {server} on {generation}");
        }
    }

    #[test]
    fn without_a_server_the_format_speaks_for_itself() {
        assert_eq!(model_format("sklearn", None, Generation::V0_17), "sklearn");
        assert_eq!(model_format("unknown", None, Generation::V0_17), "unknown");
    }
}
