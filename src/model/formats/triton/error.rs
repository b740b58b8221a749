//! Why a `config.pbtxt` was not read.

use std::io;

/// Why a `config.pbtxt` was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PbtxtError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// Larger than a description of a model is.
    #[error("it has {size} bytes; a description of a model has at most {limit}")]
    TooLarge {
        /// Bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("it is not UTF-8 from byte {offset} on")]
    NotText {
        /// In bytes.
        offset: usize,
    },
    /// Text that is not protobuf's.
    #[error("at byte {offset}: {defect}")]
    Text {
        /// In bytes.
        offset: usize,
        /// What is wrong there.
        defect: Defect,
    },
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Something that is no field's name.
    #[error("a field's name is missing")]
    NoName,
    /// A name and nothing after it.
    #[error("the field has no value")]
    NoValue,
    /// A bracket that is not closed.
    #[error("the file ends within a message or a list")]
    Ends,
    /// A string that is not closed in its line.
    #[error("the string does not end in its line")]
    OpenString,
    /// Messages within messages.
    #[error("messages are nested too deeply")]
    TooDeep,
    /// A file that has no end.
    #[error("there are too many fields")]
    TooMany,
}
