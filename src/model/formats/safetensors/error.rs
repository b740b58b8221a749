//! Why a safetensors file cannot be read.

use std::io;

/// Why a safetensors file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The header is none.
    #[error("byte {offset}: {defect}")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// What is wrong there.
        defect: Defect,
    },
    /// The header contradicts itself or the file. Names are quoted: they come from the model.
    #[error("tensor {tensor:?}: {conflict}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        conflict: Conflict,
    },
}

/// What is wrong with the bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Defect {
    /// Not even the header's length.
    #[error("the length of the header takes 8 bytes, the file has {size}")]
    NoLength {
        /// The file's size in bytes.
        size: u64,
    },
    /// The header would be longer than the file.
    #[error("a header of {announced} bytes is announced, {left} are left")]
    LongHeader {
        /// Bytes announced.
        announced: u64,
        /// Bytes left in the file.
        left: u64,
    },
    /// A header that no real model has.
    #[error("a header of {announced} bytes is announced, and more than {limit} are not read")]
    HugeHeader {
        /// Bytes announced.
        announced: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The header is no JSON, or no list of tensors.
    #[error("{reason}")]
    Json {
        /// What is wrong, in words that are safe to print.
        reason: String,
    },
    /// More tensors than any real model has.
    #[error("the model has more than {limit} tensors")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Bytes that belong to no tensor.
    #[error("{count} bytes after the last tensor belong to none")]
    Trailing {
        /// How many.
        count: u64,
    },
}

/// What is wrong with a tensor. Offsets count from the end of the header.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Conflict {
    /// Readers differ in which one counts.
    #[error("it is there twice")]
    Twice,
    /// Its bytes belong to another one too.
    #[error("its data begin at {begin}, inside the tensor before it, which ends at {end}")]
    Overlap {
        /// Where its data begin.
        begin: u64,
        /// Where those before it end.
        end: u64,
    },
    /// Bytes between tensors, which readers refuse.
    #[error("its data begin at {begin}, and the tensor before it ends at {end}")]
    Hole {
        /// Where its data begin.
        begin: u64,
        /// Where those before it end.
        end: u64,
    },
}

impl SafetensorsError {
    pub(super) fn malformed(offset: u64, defect: Defect) -> Self {
        Self::Malformed { offset, defect }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Malformed { defect: Defect::LongHeader { .. } | Defect::NoLength { .. }, .. } => {
                "the file may be incomplete, or no safetensors file; copy or download it again"
            }
            Self::Malformed { defect: Defect::Trailing { .. }, .. } | Self::Tensor { .. } => {
                "no safetensors library loads it: save it again with save_file"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
