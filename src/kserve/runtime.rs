//! The model servers that are known by name, and the ServingRuntimes under which platforms ship them.

use std::fmt;
use std::str::FromStr;

use super::{Generation, KserveError};

/// A model server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Runtime {
    /// OpenVINO Model Server.
    Ovms,
    /// NVIDIA Triton Inference Server.
    Triton,
    /// MLServer.
    Mlserver,
    /// TensorFlow Serving.
    TensorflowServing,
    /// TorchServe.
    Torchserve,
    /// KServe's own server for scikit-learn.
    Sklearnserver,
    /// KServe's own server for XGBoost.
    Xgbserver,
    /// KServe's own server for LightGBM.
    Lgbserver,
    /// KServe's own server for PMML.
    Pmmlserver,
    /// vLLM.
    Vllm,
    /// KServe's own server for Hugging Face models.
    Huggingface,
    /// None in particular: the folder as it is.
    Raw,
}

const NAMES: [(Runtime, &str); 12] = [
    (Runtime::Ovms, "ovms"),
    (Runtime::Triton, "triton"),
    (Runtime::Mlserver, "mlserver"),
    (Runtime::TensorflowServing, "tensorflow-serving"),
    (Runtime::Torchserve, "torchserve"),
    (Runtime::Sklearnserver, "sklearnserver"),
    (Runtime::Xgbserver, "xgbserver"),
    (Runtime::Lgbserver, "lgbserver"),
    (Runtime::Pmmlserver, "pmmlserver"),
    (Runtime::Vllm, "vllm"),
    (Runtime::Huggingface, "huggingface"),
    (Runtime::Raw, "raw"),
];

impl Runtime {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(runtime, _)| runtime)
    }

    /// Lower-case, as on the command line and in annotations.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(runtime, _)| *runtime == self).map_or("", |(_, name)| name)
    }

    /// The ServingRuntime that a platform ships for this server and a model format; `None` where the user has to bring one.
    ///
    /// KServe ships an OpenVINO runtime since 0.17; its MLServer lists no ONNX. OpenShift AI ships no Triton, and an MLServer that
    /// reads ONNX since 3.4.
    pub fn shipped_as(self, format: &str, generation: Generation) -> Option<&'static str> {
        match (self, generation) {
            (Self::Ovms, generation) if generation.is_rhoai() => Some("kserve-ovms"),
            (Self::Ovms, Generation::V0_17 | Generation::V0_20 | Generation::V0_21) => Some("kserve-openvino"),
            (Self::Mlserver, Generation::Rhoai3_4 | Generation::Rhoai3_5) => Some("mlserver-runtime"),
            (Self::Mlserver, generation) if !generation.is_rhoai() && format != "onnx" => Some("kserve-mlserver"),
            (Self::Triton, generation) if !generation.is_rhoai() => Some("kserve-tritonserver"),
            _ => None,
        }
    }

    /// How the names of the files end of which this server loads exactly one, at the top of the folder; nothing for other servers.
    /// Two of them stop it: <https://github.com/kserve/kserve/tree/v0.20.0/python>, `model.py` of each server.
    pub fn takes_one_of(self) -> &'static [&'static str] {
        match self {
            Self::Sklearnserver => &["joblib", "pkl", "pickle"],
            Self::Xgbserver => &["bst", "json", "ubj"],
            Self::Lgbserver => &["bst"],
            Self::Pmmlserver => &["pmml"],
            _ => &[],
        }
    }

    /// The server behind a well-known ServingRuntime; `None` for a name that says nothing.
    pub fn behind(serving_runtime: &str) -> Option<Self> {
        match serving_runtime {
            "kserve-ovms" | "kserve-openvino" => Some(Self::Ovms),
            "kserve-tritonserver" => Some(Self::Triton),
            "kserve-mlserver" | "mlserver-cuda-runtime" => Some(Self::Mlserver),
            name if name.starts_with("mlserver-runtime") => Some(Self::Mlserver),
            _ => None,
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Runtime {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        let named = NAMES.into_iter().find(|(_, name)| *name == text).map(|(runtime, _)| runtime);
        named.ok_or_else(|| KserveError::unknown_word("runtime", text, Self::all()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_reads_back_as_it_is_written() {
        for runtime in Runtime::all() {
            assert_eq!(runtime.to_string().parse(), Ok(runtime));
        }
    }

    #[test]
    fn another_word_is_refused_with_the_list() {
        let hint = "OVMS".parse::<Runtime>().unwrap_err().hint().unwrap();
        assert!(Runtime::all().all(|runtime| hint.contains(runtime.name())), "{hint}");
    }

    #[test]
    fn names_only_runtimes_that_the_platform_ships() {
        for (runtime, format, generation, expected) in [
            (Runtime::Ovms, "onnx", Generation::V0_15, None),
            (Runtime::Ovms, "onnx", Generation::V0_17, Some("kserve-openvino")),
            (Runtime::Ovms, "onnx", Generation::Rhoai2_25, Some("kserve-ovms")),
            (Runtime::Triton, "onnx", Generation::V0_15, Some("kserve-tritonserver")),
            (Runtime::Triton, "onnx", Generation::Rhoai3_5, None),
            (Runtime::Mlserver, "onnx", Generation::V0_21, None),
            (Runtime::Mlserver, "sklearn", Generation::V0_21, Some("kserve-mlserver")),
            (Runtime::Mlserver, "onnx", Generation::Rhoai3_3, None),
            (Runtime::Mlserver, "onnx", Generation::Rhoai3_4, Some("mlserver-runtime")),
            (Runtime::Raw, "onnx", Generation::V0_21, None),
        ] {
            assert_eq!(runtime.shipped_as(format, generation), expected, "{runtime}, {format} on {generation}");
        }
    }

    #[test]
    fn a_serving_runtime_leads_back_to_its_server() {
        for runtime in Runtime::all() {
            for name in Generation::all().filter_map(|generation| runtime.shipped_as("sklearn", generation)) {
                assert_eq!(Runtime::behind(name), Some(runtime), "{name}");
            }
        }
        assert_eq!(Runtime::behind("my-triton"), None);
    }
}
