//! Why a SavedModel cannot be read.

use crate::model::formats::files::FormatError;
use crate::model::formats::protobuf::WireError;

/// Why a SavedModel was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SavedModelError {
    /// The bytes are no protobuf message of TensorFlow's schema.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It is a protobuf message, but no SavedModel.
    #[error("it has no graph in it, so it is no SavedModel")]
    NoGraph,
    /// One file of a folder was given.
    #[error("it is one file of a SavedModel; {place:?} lies beside it and belongs to it")]
    Alone {
        /// The place beside it.
        place: String,
    },
}

impl FormatError for SavedModelError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Wire(_) => "the file may be incomplete; copy or download it again",
            Self::Alone { .. } => "give the folder that holds saved_model.pb",
            Self::NoGraph => return None,
        };
        Some(text.to_owned())
    }
}
