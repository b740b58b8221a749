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

/// The ServingRuntimes that platforms ship, by name.
const SERVING_RUNTIMES: [(&str, Runtime); 13] = [
    ("kserve-ovms", Runtime::Ovms),
    ("kserve-openvino", Runtime::Ovms),
    ("kserve-tritonserver", Runtime::Triton),
    ("kserve-mlserver", Runtime::Mlserver),
    ("mlserver-cuda-runtime", Runtime::Mlserver),
    ("kserve-tensorflow-serving", Runtime::TensorflowServing),
    ("kserve-torchserve", Runtime::Torchserve),
    ("kserve-sklearnserver", Runtime::Sklearnserver),
    ("kserve-xgbserver", Runtime::Xgbserver),
    ("kserve-lgbserver", Runtime::Lgbserver),
    ("kserve-pmmlserver", Runtime::Pmmlserver),
    ("kserve-huggingfaceserver", Runtime::Huggingface),
    ("kserve-vllmserver", Runtime::Vllm),
];

/// What people also write, beside the names of ServingRuntimes.
const ALIASES: [(&str, Runtime); 15] = [
    ("openvino", Runtime::Ovms),
    ("openvino-model-server", Runtime::Ovms),
    ("tritonserver", Runtime::Triton),
    ("tfserving", Runtime::TensorflowServing),
    ("tf-serving", Runtime::TensorflowServing),
    ("tensorflow", Runtime::TensorflowServing),
    ("sklearn", Runtime::Sklearnserver),
    ("xgboost", Runtime::Xgbserver),
    ("lightgbm", Runtime::Lgbserver),
    ("lgbm", Runtime::Lgbserver),
    ("pmml", Runtime::Pmmlserver),
    ("hf", Runtime::Huggingface),
    ("huggingfaceserver", Runtime::Huggingface),
    ("vllmserver", Runtime::Vllm),
    ("none", Runtime::Raw),
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

    /// The ServingRuntime that a platform ships for this server and a model format; `None` where the user has to bring one, or where
    /// the platform ships several and the user has to choose.
    ///
    /// Upstream: `config/runtimes` of kserve/kserve. KServe ships an OpenVINO runtime since 0.17 and one for vLLM since 0.20 (before, its
    /// Hugging Face server runs vLLM inside); its MLServer lists no ONNX. OpenShift AI ships OpenVINO, MLServer since 3.4, and one
    /// vLLM per accelerator.
    pub fn shipped_as(self, format: &str, generation: Generation) -> Option<&'static str> {
        if generation.is_rhoai() { self.shipped_by_openshift_ai(generation) } else { self.shipped_upstream(format, generation) }
    }

    fn shipped_by_openshift_ai(self, generation: Generation) -> Option<&'static str> {
        match self {
            Self::Ovms => Some("kserve-ovms"),
            Self::Mlserver if matches!(generation, Generation::Rhoai3_4 | Generation::Rhoai3_5) => Some("mlserver-runtime"),
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

    fn shipped_upstream(self, format: &str, generation: Generation) -> Option<&'static str> {
        let has_vllm = matches!(generation, Generation::V0_20 | Generation::V0_21);
        Some(match self {
            Self::Ovms if generation != Generation::V0_15 => "kserve-openvino",
            Self::Mlserver if format != "onnx" => "kserve-mlserver",
            Self::Triton => "kserve-tritonserver",
            Self::TensorflowServing => "kserve-tensorflow-serving",
            Self::Torchserve => "kserve-torchserve",
            Self::Sklearnserver => "kserve-sklearnserver",
            Self::Xgbserver => "kserve-xgbserver",
            Self::Lgbserver => "kserve-lgbserver",
            Self::Pmmlserver => "kserve-pmmlserver",
            Self::Huggingface => "kserve-huggingfaceserver",
            Self::Vllm if has_vllm => "kserve-vllmserver",
            Self::Vllm if format != "gguf" => "kserve-huggingfaceserver",
            Self::Ovms | Self::Mlserver | Self::Vllm | Self::Raw => return None,
        })
    }

    /// The extended resource by which a ServingRuntime's pods ask for an accelerator: `opendatahub.io/recommended-accelerators` of OpenShift
    /// AI's templates, NVIDIA's where the name says nothing.
    pub fn accelerator(serving_runtime: Option<&str>) -> &'static str {
        let named = |word: &str| serving_runtime.is_some_and(|name| name.contains(word));
        match () {
            () if named("rocm") => "amd.com/gpu",
            () if named("gaudi") => "habana.ai/gaudi",
            () => "nvidia.com/gpu",
        }
    }

    /// Whether KServe, told no ServingRuntime, can only choose one that reads these folders.
    ///
    /// OpenShift AI's vLLM runtimes are the only ones for their model format, and a namespace has the one for its accelerator.
    pub fn selects_itself(self, generation: Generation) -> bool {
        generation.is_rhoai() && self == Self::Vllm
    }

    /// Whether a server finds its model in the folders laid out for another one.
    pub fn reads_folders_of(self, layout: Self) -> bool {
        let flat = [Self::Vllm, Self::Huggingface];
        let versions = [Self::Ovms, Self::TensorflowServing];
        self == layout || [flat, versions].iter().any(|group| group.contains(&self) && group.contains(&layout))
    }

    /// The server behind a well-known ServingRuntime; `None` for a name that says nothing.
    pub fn behind(serving_runtime: &str) -> Option<Self> {
        let named = SERVING_RUNTIMES.into_iter().find(|(name, _)| *name == serving_runtime).map(|(_, runtime)| runtime);
        named.or_else(|| {
            let family = |start: &str| serving_runtime.strip_prefix(start).is_some_and(|rest| rest.contains("runtime"));
            match serving_runtime {
                name if name.starts_with("mlserver-runtime") => Some(Self::Mlserver),
                _ if family("vllm-") => Some(Self::Vllm),
                _ => None,
            }
        })
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Runtime {
    type Err = KserveError;

    /// Takes [`Self::name`], the usual other spellings, and the names of well-known ServingRuntimes.
    fn from_str(text: &str) -> Result<Self, KserveError> {
        let named = NAMES.into_iter().find(|(_, name)| *name == text).map(|(runtime, _)| runtime);
        let alias = || ALIASES.into_iter().find(|(name, _)| *name == text).map(|(_, runtime)| runtime);
        named.or_else(alias).or_else(|| Self::behind(text)).ok_or_else(|| KserveError::unknown_word("runtime", text, Self::all()))
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
    fn the_usual_spellings_name_the_same_server() {
        for (text, runtime) in [
            ("openvino", Runtime::Ovms),
            ("kserve-ovms", Runtime::Ovms),
            ("tfserving", Runtime::TensorflowServing),
            ("sklearn", Runtime::Sklearnserver),
            ("hf", Runtime::Huggingface),
            ("vllm-cuda-runtime", Runtime::Vllm),
            ("none", Runtime::Raw),
        ] {
            assert_eq!(text.parse(), Ok(runtime), "{text}");
        }
        let spellings = ALIASES.into_iter().chain(SERVING_RUNTIMES);
        assert!(spellings.into_iter().all(|(alias, _)| NAMES.into_iter().all(|(_, name)| name != alias)));
    }

    #[test]
    fn only_servers_with_the_same_folders_share_an_image() {
        for (server, layout, shares) in [
            (Runtime::Vllm, Runtime::Huggingface, true),
            (Runtime::TensorflowServing, Runtime::Ovms, true),
            (Runtime::Triton, Runtime::Ovms, false),
            (Runtime::Sklearnserver, Runtime::Mlserver, false),
            (Runtime::Raw, Runtime::Ovms, false),
        ] {
            assert_eq!((server.reads_folders_of(layout), layout.reads_folders_of(server)), (shares, shares), "{server}, {layout}");
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
            (Runtime::Vllm, "huggingface", Generation::V0_17, Some("kserve-huggingfaceserver")),
            (Runtime::Vllm, "gguf", Generation::V0_17, None),
            (Runtime::Vllm, "gguf", Generation::V0_20, Some("kserve-vllmserver")),
            (Runtime::Vllm, "huggingface", Generation::Rhoai3_5, None),
            (Runtime::Huggingface, "huggingface", Generation::V0_15, Some("kserve-huggingfaceserver")),
            (Runtime::Sklearnserver, "sklearn", Generation::V0_15, Some("kserve-sklearnserver")),
            (Runtime::Sklearnserver, "sklearn", Generation::Rhoai3_5, None),
            (Runtime::Xgbserver, "xgboost", Generation::V0_21, Some("kserve-xgbserver")),
            (Runtime::Lgbserver, "lightgbm", Generation::V0_21, Some("kserve-lgbserver")),
            (Runtime::Pmmlserver, "pmml", Generation::V0_21, Some("kserve-pmmlserver")),
            (Runtime::TensorflowServing, "savedmodel", Generation::V0_17, Some("kserve-tensorflow-serving")),
            (Runtime::Torchserve, "torchserve", Generation::V0_17, Some("kserve-torchserve")),
            (Runtime::Torchserve, "torchserve", Generation::Rhoai2_25, None),
            (Runtime::Raw, "onnx", Generation::V0_21, None),
        ] {
            assert_eq!(runtime.shipped_as(format, generation), expected, "{runtime}, {format} on {generation}");
        }
    }

    #[test]
    fn a_serving_runtime_leads_back_to_its_server() {
        for runtime in Runtime::all() {
            for name in Generation::all().filter_map(|generation| runtime.shipped_as("sklearn", generation)) {
                assert!(Runtime::behind(name).unwrap().reads_folders_of(runtime), "{name}");
            }
        }
        for (name, runtime) in
            [("vllm-cuda-runtime", Runtime::Vllm), ("vllm-cpu-x86-runtime", Runtime::Vllm), ("mlserver-runtime-v2", Runtime::Mlserver)]
        {
            assert_eq!(Runtime::behind(name), Some(runtime), "{name}");
        }
        assert_eq!(Runtime::behind("my-triton"), None);
    }
}
