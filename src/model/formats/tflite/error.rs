//! Why a LiteRT model cannot be read.

use crate::model::formats::files::FormatError;
use crate::model::formats::input::InputError;

/// Why a LiteRT model was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TfliteError {
    /// The file ends too early, an offset leads out of it, or it cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Another file identifier.
    #[error("byte 4: the file identifier is not `TFL3`")]
    Identifier,
    /// A table whose description cannot be.
    #[error("byte {offset}: a table has an impossible description")]
    Table {
        /// Offset into the file, in bytes.
        offset: u64,
    },
    /// More of something than any real model has.
    #[error("byte {offset}: more than {limit} {what}")]
    TooMany {
        /// Offset into the file, in bytes.
        offset: u64,
        /// "inputs".
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An input or output that is no tensor of its graph.
    #[error("tensor {index} does not exist")]
    Tensor {
        /// Its number.
        index: i32,
    },
    /// No graph.
    #[error("it has no graph in it, so it is no model")]
    NoGraph,
}

impl FormatError for TfliteError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Input(error) => error.hint(),
            _ => None,
        }
    }
}
