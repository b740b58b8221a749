//! What each KServe can do. The facts come from the sources of kserve/kserve v0.15–v0.20 and of OpenShift AI's branches.

use std::fmt;
use std::str::FromStr;

use super::RolloutError;

/// What a site's KServe is able to do: an upstream release, or the OpenShift AI release that carries one.
///
/// OpenShift AI has generations of its own, because it ships other serving runtimes and other image mounts than the KServe below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// KServe 0.15.
    V0_15,
    /// KServe 0.17 to 0.19.
    V0_17,
    /// KServe 0.20: image volumes, `spec.canary[]`.
    V0_20,
    /// KServe 0.21: the storage initializer pulls images.
    V0_21,
    /// OpenShift AI 2.25, on KServe 0.15.
    Rhoai2_25,
    /// OpenShift AI 3.3, on KServe 0.15.
    Rhoai3_3,
    /// OpenShift AI 3.4, on KServe 0.17.
    Rhoai3_4,
    /// OpenShift AI 3.5, on KServe 0.20.
    Rhoai3_5,
}

/// How the model comes from the image into the pod. One image serves all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// A sidecar and a symbolic link.
    Modelcar,
    /// A Kubernetes image volume.
    Native,
    /// The storage initializer pulls and unpacks.
    Fetch,
}

const NAMES: [(Generation, &str); 8] = [
    (Generation::V0_15, "0.15"),
    (Generation::V0_17, "0.17"),
    (Generation::V0_20, "0.20"),
    (Generation::V0_21, "0.21"),
    (Generation::Rhoai2_25, "rhoai-2.25"),
    (Generation::Rhoai3_3, "rhoai-3.3"),
    (Generation::Rhoai3_4, "rhoai-3.4"),
    (Generation::Rhoai3_5, "rhoai-3.5"),
];

impl Generation {
    /// Every generation, upstream first, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(generation, _)| generation)
    }

    /// The names that [`FromStr`] takes, for messages and help.
    pub fn known() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }

    /// The name that [`FromStr`] takes: `0.17`, `rhoai-3.4`.
    pub fn name(self) -> &'static str {
        NAMES.into_iter().find(|(generation, _)| *generation == self).map_or("", |(_, name)| name)
    }

    /// Whether it is OpenShift AI.
    pub fn is_rhoai(self) -> bool {
        matches!(self, Self::Rhoai2_25 | Self::Rhoai3_3 | Self::Rhoai3_4 | Self::Rhoai3_5)
    }

    /// The deliveries it has, the default first.
    pub fn deliveries(self) -> &'static [Delivery] {
        match self {
            Self::V0_15 | Self::V0_17 | Self::Rhoai2_25 | Self::Rhoai3_3 | Self::Rhoai3_4 => &[Delivery::Modelcar],
            Self::V0_20 | Self::Rhoai3_5 => &[Delivery::Modelcar, Delivery::Native],
            Self::V0_21 => &[Delivery::Modelcar, Delivery::Native, Delivery::Fetch],
        }
    }

    /// Whether it can deliver that way.
    ///
    /// # Errors
    /// [`RolloutError::Unsupported`]; its hint says since when and what to use instead.
    pub fn supports(self, delivery: Delivery) -> Result<(), RolloutError> {
        if self.deliveries().contains(&delivery) { Ok(()) } else { Err(RolloutError::Unsupported { generation: self, delivery }) }
    }

    /// The value of `serving.kserve.io/deploymentMode` for plain Deployments.
    ///
    /// KServe 0.16 renamed `RawDeployment` to `Standard` and rewrites the old word when it stores the object, which a GitOps
    /// controller would then report as drift for ever.
    pub(super) fn deployment_mode(self) -> &'static str {
        match self {
            Self::V0_15 | Self::Rhoai2_25 | Self::Rhoai3_3 => "RawDeployment",
            Self::V0_17 | Self::V0_20 | Self::V0_21 | Self::Rhoai3_4 | Self::Rhoai3_5 => "Standard",
        }
    }
}

impl fmt::Display for Generation {
    /// For people: `KServe 0.17`, `OpenShift AI 3.4`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name().strip_prefix("rhoai-") {
            Some(version) => write!(f, "OpenShift AI {version}"),
            None => write!(f, "KServe {}", self.name()),
        }
    }
}

impl FromStr for Generation {
    type Err = RolloutError;

    /// Takes `0.17`, `v0.17`, `0.17.2`, `rhoai-3.4`.
    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let unknown = || RolloutError::UnknownGeneration { text: text.chars().take(100).collect() };
        let (family, version) = match text.strip_prefix("rhoai-") {
            Some(version) => ("rhoai-", version),
            None => ("", text.strip_prefix('v').unwrap_or(text)),
        };
        let parts: Vec<_> = version.split('.').collect();
        let numeric = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit()));
        let name = match parts[..] {
            [major, minor] | [major, minor, _] if numeric => format!("{family}{major}.{minor}"),
            _ => return Err(unknown()),
        };
        NAMES.into_iter().find(|(_, known)| *known == name).map(|(generation, _)| generation).ok_or_else(unknown)
    }
}

impl Delivery {
    /// The scheme of `storageUri`.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Modelcar => "oci",
            Self::Native => "oci+native",
            Self::Fetch => "oci+fetch",
        }
    }

    /// The delivery of a `storageUri`; `None` where the model comes from no image.
    pub(super) fn of_uri(uri: &str) -> Option<Self> {
        let (scheme, _) = uri.split_once("://")?;
        [Self::Modelcar, Self::Native, Self::Fetch].into_iter().find(|delivery| delivery.scheme() == scheme)
    }

    /// The first releases that have it.
    pub(super) fn since(self) -> &'static str {
        match self {
            Self::Modelcar => "KServe 0.12",
            Self::Native => "KServe 0.20 and OpenShift AI 3.5",
            Self::Fetch => "KServe 0.21",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Modelcar => "modelcar",
            Self::Native => "native",
            Self::Fetch => "fetch",
        })
    }
}

impl FromStr for Delivery {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        match text {
            "modelcar" => Ok(Self::Modelcar),
            "native" => Ok(Self::Native),
            "fetch" => Ok(Self::Fetch),
            _ => Err(RolloutError::UnknownWord {
                what: "delivery",
                text: text.chars().take(100).collect(),
                known: "modelcar, native, fetch",
            }),
        }
    }
}

/// The ServingRuntime that a platform ships for a folder layout (`ovms`, `triton`, `mlserver`) and a model format; `None` where the
/// user has to bring one.
///
/// KServe ships an OpenVINO runtime since 0.17; its MLServer lists no ONNX. OpenShift AI ships no Triton, and an MLServer that reads
/// ONNX since 3.4.
pub fn serving_runtime(layout_runtime: &str, format: &str, generation: Generation) -> Option<&'static str> {
    match (layout_runtime, generation) {
        ("ovms", generation) if generation.is_rhoai() => Some("kserve-ovms"),
        ("ovms", Generation::V0_17 | Generation::V0_20 | Generation::V0_21) => Some("kserve-openvino"),
        ("mlserver", Generation::Rhoai3_4 | Generation::Rhoai3_5) => Some("mlserver-runtime"),
        ("mlserver", generation) if !generation.is_rhoai() && format != "onnx" => Some("kserve-mlserver"),
        ("triton", generation) if !generation.is_rhoai() => Some("kserve-tritonserver"),
        _ => None,
    }
}

/// The folder layout that a well-known ServingRuntime reads; `None` for a name that says nothing.
pub(super) fn layout_of(serving_runtime: &str) -> Option<&'static str> {
    match serving_runtime {
        "kserve-ovms" | "kserve-openvino" => Some("ovms"),
        "kserve-tritonserver" => Some("triton"),
        "kserve-mlserver" | "mlserver-cuda-runtime" => Some("mlserver"),
        name if name.starts_with("mlserver-runtime") => Some("mlserver"),
        _ => None,
    }
}

/// Refuses a well-known ServingRuntime that would look for other folders than those in the image. An image laid out for no server in
/// particular (`raw`) may be anything.
pub(super) fn check_layout(serving_runtime: &str, layout: Option<&str>) -> Result<(), RolloutError> {
    match (layout_of(serving_runtime), layout) {
        (Some(wants), Some(layout @ ("ovms" | "triton" | "mlserver"))) if wants != layout => {
            Err(RolloutError::RuntimeMismatch { runtime: serving_runtime.to_owned(), wants, layout: layout.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_name_it_gives() {
        for generation in Generation::all() {
            assert_eq!(generation.name().parse::<Generation>().unwrap(), generation);
        }
        for delivery in [Delivery::Modelcar, Delivery::Native, Delivery::Fetch] {
            assert_eq!(delivery.to_string().parse::<Delivery>().unwrap(), delivery);
        }
    }

    #[test]
    fn takes_a_version_as_people_write_it_and_no_other() {
        for (text, generation) in [("v0.20", Generation::V0_20), ("0.17.2", Generation::V0_17), ("rhoai-2.25.1", Generation::Rhoai2_25)] {
            assert_eq!(text.parse::<Generation>().unwrap(), generation);
        }
        for text in ["", "0.16", "0.2", "0.20.", "0..20", "0.17.1.2", "rhoai-v3.4", "3.4", "rhoai-", "0.20-rc0", "0.20.x"] {
            let error = text.parse::<Generation>().unwrap_err();
            assert_eq!(error.exit_code(), crate::exit_code::USAGE, "{text}");
            assert!(error.hint().unwrap().contains("rhoai-3.4"), "{text}");
        }
    }

    #[test]
    fn refuses_a_delivery_before_its_time_and_says_since_when_and_what_instead() {
        use Delivery::{Fetch, Native};
        for (generation, delivery, said) in [
            (Generation::V0_15, Native, "native came with KServe 0.20 and OpenShift AI 3.5; use `--delivery modelcar` here"),
            (Generation::V0_17, Fetch, "fetch came with KServe 0.21; use `--delivery modelcar` here"),
            (Generation::V0_20, Fetch, "fetch came with KServe 0.21; use `--delivery modelcar` or `--delivery native` here"),
            (Generation::Rhoai3_4, Native, "native came with KServe 0.20 and OpenShift AI 3.5; use `--delivery modelcar` here"),
            (Generation::Rhoai3_5, Fetch, "fetch came with KServe 0.21; use `--delivery modelcar` or `--delivery native` here"),
        ] {
            let error = generation.supports(delivery).unwrap_err();
            assert!(error.hint().unwrap().starts_with(said), "{:?}", error.hint());
            assert!(error.to_string().contains(&generation.to_string()), "{error}");
        }
        assert!(Generation::V0_21.supports(Fetch).is_ok() && Generation::Rhoai3_5.supports(Native).is_ok());
    }

    #[test]
    fn names_only_runtimes_that_the_platform_ships() {
        for (layout, format, generation, runtime) in [
            ("ovms", "onnx", Generation::V0_15, None),
            ("ovms", "onnx", Generation::V0_17, Some("kserve-openvino")),
            ("ovms", "onnx", Generation::Rhoai2_25, Some("kserve-ovms")),
            ("triton", "onnx", Generation::V0_15, Some("kserve-tritonserver")),
            ("triton", "onnx", Generation::Rhoai3_5, None),
            ("mlserver", "onnx", Generation::V0_21, None),
            ("mlserver", "sklearn", Generation::V0_21, Some("kserve-mlserver")),
            ("mlserver", "onnx", Generation::Rhoai3_3, None),
            ("mlserver", "onnx", Generation::Rhoai3_4, Some("mlserver-runtime")),
            ("raw", "onnx", Generation::V0_21, None),
        ] {
            assert_eq!(serving_runtime(layout, format, generation), runtime, "{layout}, {format} on {generation}");
        }
    }

    #[test]
    fn a_runtime_that_it_names_for_a_layout_passes_for_that_layout_and_no_other() {
        for layout in ["ovms", "triton", "mlserver"] {
            for runtime in Generation::all().filter_map(|generation| serving_runtime(layout, "sklearn", generation)) {
                assert!(check_layout(runtime, Some(layout)).is_ok(), "{runtime}");
                for other in ["ovms", "triton", "mlserver"].into_iter().filter(|other| *other != layout) {
                    let error = check_layout(runtime, Some(other)).unwrap_err();
                    assert!(error.to_string().contains(runtime) && error.hint().unwrap().contains(layout), "{error}");
                }
                assert!(check_layout(runtime, Some("raw")).is_ok() && check_layout(runtime, None).is_ok());
            }
        }
        assert!(check_layout("my-triton", Some("ovms")).is_ok());
    }

    #[test]
    fn knows_every_delivery_by_its_scheme() {
        for delivery in [Delivery::Modelcar, Delivery::Native, Delivery::Fetch] {
            assert_eq!(Delivery::of_uri(&format!("{}://quay.io/a@sha256:0", delivery.scheme())), Some(delivery));
        }
        assert_eq!(Delivery::of_uri("pvc://models/iris"), None);
    }
}
