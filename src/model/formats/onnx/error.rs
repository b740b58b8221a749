//! Why an ONNX file cannot be read, or cannot be served from an image.

use std::io;

pub use crate::model::formats::protobuf::Defect;
use crate::model::formats::protobuf::WireError;

/// Why an ONNX file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are not a protobuf message of ONNX's schema.
    #[error("byte {offset}: {defect}")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// What is wrong there.
        defect: Defect,
    },
    /// It is a protobuf message, but no ONNX model.
    #[error("it has no {missing}, so it is no ONNX model")]
    NotAModel {
        /// "graph", "IR version".
        missing: &'static str,
    },
    /// Protobuf reads no message above 2 GiB, so no server loads the file.
    #[error("it has {size} bytes, and no server can load an ONNX file above 2 GiB")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// A tensor whose data are in another file, and cannot be served from there.
    #[error("tensor {tensor:?}: {refusal}")]
    ExternalData {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        refusal: Refusal,
    },
}

/// What is wrong with a reference to external data. Paths are quoted: they come from the model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// No `location`.
    #[error("its external data have no location")]
    NoLocation,
    /// One key twice: readers differ in which one counts.
    #[error("its external data give `{key}` twice")]
    Twice {
        /// The key.
        key: &'static str,
    },
    /// An offset or length that is no number.
    #[error("the {key} of its external data is no number: {value:?}")]
    Number {
        /// The key.
        key: &'static str,
        /// What it says.
        value: String,
    },
    /// A location that is no plain relative path.
    #[error("its external data {location:?} {why}")]
    Location {
        /// What it says.
        location: String,
        /// "is an absolute path", …
        why: &'static str,
    },
    /// The file is not there.
    #[error("its external data {location:?} are missing")]
    Missing {
        /// The place beside the model.
        location: String,
    },
    /// The file is there, and does not belong to the model as it was selected.
    #[error("its external data {location:?} are left out of the model")]
    LeftOut {
        /// The place beside the model.
        location: String,
    },
    /// The file is shorter than the tensor needs.
    #[error("its external data end at byte {end} of {location:?}, which has {size}")]
    Short {
        /// The place beside the model.
        location: String,
        /// The end of the tensor's data.
        end: u64,
        /// The file's size in bytes.
        size: u64,
    },
    /// Length and shape contradict each other.
    #[error("its external data have {length} bytes, its shape needs {needed}")]
    Length {
        /// What `length` says.
        length: u64,
        /// What the shape needs.
        needed: u64,
    },
    /// Offset and length beyond 64 bits.
    #[error("the end of its external data is beyond 64 bits")]
    Overflow,
}

impl From<WireError> for OnnxError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io { offset, source } => Self::Io { offset, source },
            WireError::Malformed { offset, defect } => Self::Malformed { offset, defect },
            WireError::TooLarge { size } => Self::TooLarge { size },
        }
    }
}

impl OnnxError {
    pub(super) fn external(tensor: &str, refusal: Refusal) -> Self {
        Self::ExternalData { tensor: tensor.to_owned(), refusal }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Malformed { defect: Defect::Truncated { .. }, .. } => "the file may be incomplete; copy or download it again",
            Self::TooLarge { .. } => "save it with external data: onnx.save_model(model, path, save_as_external_data=True)",
            Self::ExternalData { refusal: Refusal::LeftOut { .. }, .. } => {
                "a model is packed with its data: change --exclude or .modelignore, or bring the file back with --include"
            }
            Self::ExternalData { refusal: Refusal::Missing { .. } | Refusal::Short { .. }, .. } => {
                "put the data file beside the model, at the path that the model names"
            }
            Self::ExternalData { refusal: Refusal::Location { .. }, .. } => {
                "save it again with the data beside the model: onnx.save_model(model, path, save_as_external_data=True, location=\"weights.data\")"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
