//! Why a pickle could not be followed to its end.

use std::io;

/// Where and why reading a pickle stopped.
#[derive(Debug, thiserror::Error)]
#[error("byte {offset}: {defect}")]
pub struct PickleError {
    /// Offset in bytes; in what was decompressed, where the file is compressed.
    pub offset: u64,
    /// What is wrong there.
    #[source]
    pub defect: Defect,
}

/// What is wrong in a pickle. Everything before it may already have run when a loader comes here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    /// The file could not be read, or its compression is broken.
    #[error("reading failed: {0}")]
    Io(io::Error),
    /// No more bytes.
    #[error("the pickle is cut off")]
    Truncated,
    /// A byte that is no opcode.
    #[error("0x{code:02x} is no opcode")]
    Opcode {
        /// The byte.
        code: u8,
    },
    /// A protocol that no Python has.
    #[error("protocol {version} is unknown")]
    Protocol {
        /// What it says.
        version: u8,
    },
    /// An opcode that takes more from the stack than there is.
    #[error("`{opcode}` takes what is not on the stack")]
    Underflow {
        /// Its name.
        opcode: &'static str,
    },
    /// A decimal or a length that is none, or that readers understand differently.
    #[error("a number of `{opcode}` cannot be read")]
    Number {
        /// Its name.
        opcode: &'static str,
    },
    /// A memo entry that was never written.
    #[error("memo entry {index} does not exist")]
    Memo {
        /// Its number.
        index: u64,
    },
    /// Which number `MEMOIZE` takes after others that were not kept.
    #[error("the number of a memo entry cannot be told")]
    MemoCount,
    /// More values on the stack than any model needs.
    #[error("more than {limit} values are on the stack")]
    Stack {
        /// The limit.
        limit: usize,
    },
    /// More opcodes than any model needs.
    #[error("there are more than {limit} opcodes")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// More bytes than the compressed file could honestly hold.
    #[error("it decompresses to more than {limit} bytes")]
    Bomb {
        /// The limit.
        limit: u64,
    },
    /// An array of joblib whose bytes cannot be stepped over.
    #[error("the size of an embedded array cannot be told: {why}")]
    Array {
        /// Why not.
        why: &'static str,
    },
}

impl Defect {
    /// Whether it is only this reader that goes no further: Python may well.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::Io(_)
            | Self::Number { .. }
            | Self::MemoCount
            | Self::Stack { .. }
            | Self::TooLong { .. }
            | Self::Bomb { .. }
            | Self::Array { .. } => true,
            Self::Truncated | Self::Opcode { .. } | Self::Protocol { .. } | Self::Underflow { .. } | Self::Memo { .. } => false,
        }
    }
}

/// Travels inside an [`io::Error`] from a stream that has given all it may.
#[derive(Debug, thiserror::Error)]
#[error("more than {limit} bytes")]
pub(super) struct OverBudget {
    pub(super) limit: u64,
}

impl From<io::Error> for Defect {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<OverBudget>()) {
            Some(over) => Self::Bomb { limit: over.limit },
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            None => Self::Io(error),
        }
    }
}
