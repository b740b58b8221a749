//! Why a LightGBM model cannot be read.

use crate::model::formats::files::FormatError;
use crate::model::formats::input::InputError;

/// Why a LightGBM model was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LightgbmError {
    /// The file ends too early or cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It does not begin with the word `tree`.
    #[error("its first line is not `tree`")]
    FirstLine,
    /// A line of the header that LightGBM needs is not there.
    #[error("its header has no `{missing}=`")]
    Missing {
        /// The name before the `=`.
        missing: &'static str,
    },
    /// The header does not end.
    #[error("byte {offset}: the header has more than {limit} lines")]
    Endless {
        /// Offset into the file, in bytes.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// A size that is no number, or sizes beyond 64 bits.
    #[error("`tree_sizes` has {word:?} in it, which is no size")]
    TreeSize {
        /// The word, cut.
        word: String,
    },
}

impl FormatError for LightgbmError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Input(error) => error.hint(),
            Self::Missing { .. } => Some("save the model with Booster.save_model".to_owned()),
            _ => None,
        }
    }
}
