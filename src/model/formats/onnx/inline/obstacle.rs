//! Why external data stay outside.

/// The largest message that protobuf reads, in bytes: lengths are 32-bit numbers with a sign.
/// See <https://protobuf.dev/programming-guides/proto-limits/>.
pub(super) const MAX_SIZE: u64 = i32::MAX as u64;

/// Why the external data of a model cannot be taken into it.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Beyond protobuf's limit.
    #[error("with them inside it would have {}, and no server loads an ONNX file of 2 GiB or more", super::size_text(*size))]
    TooLarge {
        /// The size that it would have, in bytes.
        size: u64,
    },
    /// More of something than any real model of less than 2 GiB has.
    #[error("it has more than {limit} {what}")]
    TooMany {
        /// "external tensors".
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Texts have no raw form: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>, `raw_data`.
    #[error("tensor {tensor:?} holds texts, which ONNX cannot store as raw data")]
    Text {
        /// The tensor's name.
        tensor: String,
    },
    /// Readers differ in which of the two counts.
    #[error("tensor {tensor:?} has data in the model and outside of it")]
    TwoData {
        /// The tensor's name.
        tensor: String,
    },
    /// Neither a length nor an element type whose size is known.
    #[error("nothing says how long the data of tensor {tensor:?} are")]
    NoLength {
        /// The tensor's name.
        tensor: String,
    },
}
