//! Which version of a server a platform ships, and what of a model that version cannot open through the modelcar link.
//!
//! Upstream versions are those of `config/runtimes/kustomization.yaml` at kserve/kserve's tags; its OpenVINO Model Server carries no
//! version there, and where the releases of one generation differ none is told. OpenShift AI's are those of the templates in
//! red-hat-data-services/odh-model-controller, branches `rhoai-*`.
//!
//! KServe's modelcar makes `/mnt/models` a link to `/proc/<pid>/root/models`. Opening a file through it works; asking for its real path
//! gives `/models/…`, which exists in the sidecar only. Loaders that do so were found by loading models through such a link.

use super::{Generation, Runtime};

/// What of a model some loaders open by its real path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByRealPath {
    /// Weights of an ONNX model in files beside it.
    OnnxExternalData,
    /// An XGBoost model, whatever its ending.
    Xgboost,
}

/// Whether a server opens it through the modelcar link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThroughLink {
    /// It does, or there is no link.
    Opens,
    /// It does not; and which server that is.
    Fails(&'static str),
    /// Some versions do not, and which one runs is not known; and which these are.
    Depends(&'static str),
}

impl Runtime {
    /// The version of this server that a platform ships, where its sources tell.
    pub fn shipped_version(self, generation: Generation) -> Option<&'static str> {
        use Generation::{Rhoai2_25, Rhoai3_3, Rhoai3_4, Rhoai3_5, V0_15, V0_17, V0_20};
        Some(match (self, generation) {
            (Self::Ovms, Rhoai2_25) => "2025.2.1",
            (Self::Ovms, Rhoai3_3) => "2025.4",
            (Self::Ovms, Rhoai3_4 | Rhoai3_5) => "2026.1.0",
            (Self::Vllm, Rhoai2_25) => "0.10.1.1",
            (Self::Vllm, Rhoai3_3) => "0.13.0",
            (Self::Vllm, Rhoai3_4) => "0.18.0",
            (Self::Vllm, Rhoai3_5) => "0.24.0",
            (Self::Mlserver, V0_15) => "1.5.0",
            (Self::Mlserver, V0_20) => "1.7.1",
            (Self::Triton, V0_15 | V0_17 | V0_20) => "23.05",
            _ => return None,
        })
    }

    /// Whether the platform mounts an `oci://` model of this server as an image volume, without a link: OpenShift AI from 3.4 does it for
    /// MLServer (`mutator_oci_odh.go` in opendatahub-io/kserve).
    pub fn is_mounted_as_volume(self, generation: Generation) -> bool {
        self == Self::Mlserver && matches!(generation, Generation::Rhoai3_4 | Generation::Rhoai3_5)
    }

    /// Whether this server opens such a file through the modelcar link; `None` for a generation that is not known.
    pub fn through_link(self, what: ByRealPath, generation: Option<Generation>) -> ThroughLink {
        if generation.is_some_and(|generation| self.is_mounted_as_volume(generation)) {
            return ThroughLink::Opens;
        }
        match what {
            ByRealPath::OnnxExternalData => self.external_data_through_link(generation),
            ByRealPath::Xgboost => self.xgboost_through_link(generation),
        }
    }

    /// Loaded through a link with onnxruntime 1.22.1, 1.23.2 and OpenVINO 2026.1.0; refused by onnxruntime 1.24.1, 1.32.0 and OpenVINO
    /// 2025.2.0, 2025.4.0, 2026.2.0, 2026.3.0, 2026.4.1. <https://github.com/microsoft/onnxruntime/issues/27353>
    fn external_data_through_link(self, generation: Option<Generation>) -> ThroughLink {
        match (self, generation) {
            (Self::Ovms, Some(Generation::Rhoai2_25)) => ThroughLink::Fails("OpenVINO Model Server 2025.2"),
            (Self::Ovms, Some(Generation::Rhoai3_3)) => ThroughLink::Fails("OpenVINO Model Server 2025.4"),
            (Self::Ovms, Some(Generation::Rhoai3_4 | Generation::Rhoai3_5)) => ThroughLink::Opens,
            (Self::Ovms, _) => ThroughLink::Depends("every OpenVINO Model Server but 2026.1"),
            _ => ThroughLink::Depends("onnxruntime from 1.24"),
        }
    }

    /// XGBoost resolves the path that it is given. KServe's own server hands it bytes since 0.16 (kserve/kserve#4746), MLServer does not
    /// (SeldonIO/MLServer#2352, #2353).
    fn xgboost_through_link(self, generation: Option<Generation>) -> ThroughLink {
        match (self, generation) {
            (Self::Xgbserver, Some(Generation::V0_15 | Generation::Rhoai2_25 | Generation::Rhoai3_3)) => {
                ThroughLink::Fails("xgbserver before KServe 0.16")
            }
            (Self::Xgbserver, Some(_)) => ThroughLink::Opens,
            (Self::Xgbserver, None) => ThroughLink::Depends("xgbserver before KServe 0.16"),
            (Self::Mlserver, Some(_)) => ThroughLink::Fails("MLServer"),
            (Self::Mlserver, None) => ThroughLink::Depends("every MLServer but the one of OpenShift AI from 3.4"),
            _ => ThroughLink::Depends("MLServer, and xgbserver before KServe 0.16"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_data_open_where_they_were_seen_to_open() {
        use ThroughLink::{Depends, Fails, Opens};
        let (fails, opens) = (Fails(""), Opens);
        for (runtime, generation, expected) in [
            (Runtime::Ovms, Some("rhoai-2.25"), fails),
            (Runtime::Ovms, Some("rhoai-3.3"), fails),
            (Runtime::Ovms, Some("rhoai-3.4"), opens),
            (Runtime::Ovms, Some("rhoai-3.5"), opens),
            (Runtime::Ovms, Some("0.20"), Depends("")),
            (Runtime::Ovms, None, Depends("")),
            (Runtime::Mlserver, Some("rhoai-3.4"), opens),
            (Runtime::Mlserver, Some("rhoai-3.3"), Depends("")),
        ] {
            let generation = generation.map(|name| name.parse().unwrap());
            let seen = runtime.through_link(ByRealPath::OnnxExternalData, generation);
            assert_eq!(std::mem::discriminant(&seen), std::mem::discriminant(&expected), "{runtime} on {generation:?}: {seen:?}");
        }
    }

    #[test]
    fn a_verdict_names_the_version_that_the_platform_ships() {
        for generation in Generation::all() {
            let ThroughLink::Fails(server) = Runtime::Ovms.through_link(ByRealPath::OnnxExternalData, Some(generation)) else { continue };
            let version = Runtime::Ovms.shipped_version(generation).unwrap();
            assert!(version.starts_with(server.rsplit(' ').next().unwrap()), "{server}, {version}");
        }
    }

    #[test]
    fn xgboost_opens_where_the_server_hands_it_bytes_or_there_is_no_link() {
        use ThroughLink::{Fails, Opens};
        let seen = |runtime: Runtime, generation: &str| runtime.through_link(ByRealPath::Xgboost, Some(generation.parse().unwrap()));
        for generation in ["0.15", "rhoai-2.25", "rhoai-3.3"] {
            assert!(matches!(seen(Runtime::Xgbserver, generation), Fails(_)), "{generation}");
        }
        for generation in ["0.17", "0.21", "rhoai-3.5"] {
            assert_eq!(seen(Runtime::Xgbserver, generation), Opens, "{generation}");
        }
        assert!(matches!(seen(Runtime::Mlserver, "0.21"), Fails(_)));
        assert_eq!(seen(Runtime::Mlserver, "rhoai-3.4"), Opens);
    }

    #[test]
    fn a_version_is_told_only_for_what_the_platform_ships() {
        for generation in Generation::all() {
            for runtime in [Runtime::Ovms, Runtime::Mlserver, Runtime::Triton] {
                let shipped = runtime.shipped_as("sklearn", generation).is_some();
                assert!(runtime.shipped_version(generation).is_none() || shipped, "{runtime} on {generation}");
            }
        }
    }
}
