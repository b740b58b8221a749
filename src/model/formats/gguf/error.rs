//! Why a GGUF file cannot be read.

use std::io;

/// Why a GGUF file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are no GGUF header.
    #[error("byte {offset}: {defect}")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// What is wrong there.
        defect: Defect,
    },
}

/// What is wrong with the bytes. Names are quoted: they come from the model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Defect {
    /// Another kind of file.
    #[error("it does not begin with `GGUF`")]
    Magic,
    /// A version that is not known.
    #[error("version {version} is not known")]
    Version {
        /// The version.
        version: u32,
    },
    /// The file ends too early, or a length is wrong.
    #[error("{wanted} bytes are announced, {left} are left")]
    Truncated {
        /// Bytes announced.
        wanted: u64,
        /// Bytes left in the file.
        left: u64,
    },
    /// More of something than would fit into the rest of the file.
    #[error("{count} {what} are announced, and {left} bytes are left")]
    Count {
        /// How many.
        count: u64,
        /// "tensors", "values".
        what: &'static str,
        /// Bytes left in the file.
        left: u64,
    },
    /// More of something than any real model has.
    #[error("more than {limit} {what}")]
    TooMany {
        /// "tensors", "dimensions".
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A type of value that is not known.
    #[error("{number} is no type of value")]
    ValueType {
        /// Its number.
        number: u32,
    },
    /// Lists within lists without end.
    #[error("lists are nested more than {limit} deep")]
    Depth {
        /// The limit.
        limit: u8,
    },
    /// Readers differ in which one counts.
    #[error("{what} {name:?} is there twice")]
    Twice {
        /// "key", "tensor".
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// An alignment that is no power of two.
    #[error("the alignment {alignment} is no power of two")]
    Alignment {
        /// What `general.alignment` says.
        alignment: u64,
    },
    /// A shape whose product is beyond 64 bits, or whose rows are no whole blocks.
    #[error("tensor {tensor:?} has a shape that {kind} cannot have")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// Its type.
        kind: String,
    },
    /// Tensors that overlap, or lie where no writer puts them.
    #[error("tensor {tensor:?} begins at {offset} of the data, and should at {expected}")]
    Place {
        /// The tensor's name.
        tensor: String,
        /// Where it says that it begins.
        offset: u64,
        /// Where the tensors before it end.
        expected: u64,
    },
}

impl GgufError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Malformed { defect: Defect::Truncated { .. } | Defect::Count { .. }, .. } => {
                "the file may be incomplete; copy or download it again"
            }
            Self::Malformed { defect: Defect::Magic, .. } => "it may be a model in another format, or a broken download",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
