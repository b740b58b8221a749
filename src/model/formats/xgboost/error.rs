//! Why an XGBoost model cannot be read.

use crate::model::formats::files::FormatError;
use crate::model::formats::input::InputError;

/// Why an XGBoost model was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XgboostError {
    /// The file ends too early or cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The bytes are neither JSON nor UBJSON as XGBoost writes them.
    #[error("byte {offset}: {defect}")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// What is wrong there.
        defect: Defect,
    },
    /// It is JSON or UBJSON, but no model.
    #[error("it has no {missing}, so it is no XGBoost model")]
    NotAModel {
        /// The place in the document: `learner/learner_model_param/num_feature`.
        missing: &'static str,
    },
    /// Neither of the three forms.
    #[error("it is neither XGBoost's JSON nor UBJSON nor its old binary form")]
    UnknownForm,
}

/// What is wrong with the bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Defect {
    /// Another byte than the grammar wants.
    #[error("{} found, {wanted} expected", byte_text(*found))]
    Unexpected {
        /// The byte.
        found: u8,
        /// "a value", "`,` or `]`".
        wanted: &'static str,
    },
    /// Arrays in arrays without end.
    #[error("values are nested more than {limit} deep")]
    Depth {
        /// The limit.
        limit: usize,
    },
    /// A negative length or count.
    #[error("{length} is no length")]
    Length {
        /// What is written.
        length: i64,
    },
    /// A word that is no number, `true`, `false` or `null`.
    #[error("{word:?} is no value")]
    Word {
        /// The word, cut.
        word: String,
    },
}

fn byte_text(byte: u8) -> String {
    if byte.is_ascii_graphic() { format!("`{}`", char::from(byte)) } else { format!("byte {byte:#04x}") }
}

impl XgboostError {
    pub(super) fn malformed(offset: u64, defect: Defect) -> Self {
        Self::Malformed { offset, defect }
    }
}

impl FormatError for XgboostError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Input(error) => error.hint(),
            Self::NotAModel { .. } => Some("save the model with Booster.save_model; dump_model writes text for people".to_owned()),
            _ => None,
        }
    }
}
