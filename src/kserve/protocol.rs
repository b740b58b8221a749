//! The inference protocols, and which server speaks which.

use std::fmt;
use std::str::FromStr;

use super::{Generation, KserveError, Mode, Runtime};

/// How clients talk to a model: `protocolVersion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// KServe's first protocol, that of TensorFlow Serving: `/v1/models/NAME:predict`.
    V1,
    /// The Open Inference Protocol over HTTP: `/v2/models/NAME/infer`.
    V2,
    /// TensorFlow Serving's gRPC.
    GrpcV1,
    /// The Open Inference Protocol over gRPC.
    GrpcV2,
}

impl Protocol {
    /// All of them (`constants.go` of kserve/kserve).
    pub const ALL: [Self; 4] = [Self::V1, Self::V2, Self::GrpcV1, Self::GrpcV2];

    /// As in `protocolVersion`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::GrpcV1 => "grpc-v1",
            Self::GrpcV2 => "grpc-v2",
        }
    }

    /// Whether it is gRPC.
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::GrpcV1 | Self::GrpcV2)
    }

    /// The name that a gRPC port needs. KServe gives the Service `appProtocol: kubernetes.io/h2c` where a port's name has `grpc` or `h2c` in
    /// it (`service_reconciler.go`), and Knative takes `h2c` alone.
    pub fn port_name(mode: Mode) -> &'static str {
        match mode {
            Mode::Standard => "grpc",
            Mode::Knative => "h2c",
        }
    }
}

impl Runtime {
    /// The protocols that the platform's ServingRuntime for this server lists; none where it lists none, or where there is no
    /// ServingRuntime: then KServe asks no further. `config/runtimes` of kserve/kserve and of odh-model-controller.
    pub fn protocols(self, generation: Generation) -> &'static [Protocol] {
        use Protocol::{GrpcV1, GrpcV2, V1, V2};
        if generation.is_rhoai() {
            return match self {
                Self::Ovms => &[V2, GrpcV2],
                Self::Mlserver => &[V2],
                _ => &[],
            };
        }
        match self {
            Self::Ovms | Self::Torchserve => &[V1, V2, GrpcV2],
            Self::Triton => &[V2, GrpcV2],
            Self::Mlserver => &[V2],
            Self::TensorflowServing => &[V1, GrpcV1],
            Self::Sklearnserver | Self::Xgbserver | Self::Lgbserver | Self::Pmmlserver | Self::Huggingface => &[V1, V2],
            Self::Vllm | Self::Raw => &[],
        }
    }

    /// The port on which the platform's ServingRuntime lets this server speak gRPC: none of them names it as a port of its container.
    pub fn grpc_port(self, generation: Generation) -> Option<u16> {
        match self {
            Self::Ovms if generation.is_rhoai() => Some(8001),
            Self::Ovms | Self::Triton | Self::TensorflowServing => Some(9000),
            Self::Torchserve => Some(7070),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| KserveError::unknown_word("protocol", text, Self::ALL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_every_name_it_gives() {
        for protocol in Protocol::ALL {
            assert_eq!(protocol.name().parse(), Ok(protocol));
        }
    }

    #[test]
    fn whoever_speaks_grpc_has_a_port_for_it() {
        for (runtime, generation) in Runtime::all().flat_map(|runtime| Generation::all().map(move |generation| (runtime, generation))) {
            let speaks = runtime.protocols(generation).iter().any(|protocol| protocol.is_grpc());
            assert!(!speaks || runtime.grpc_port(generation).is_some(), "{runtime} on {generation}");
        }
    }
}
