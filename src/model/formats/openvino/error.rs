//! Why an OpenVINO model cannot be read.

use crate::model::formats::files::FormatError;
use crate::model::formats::xml::XmlError;

/// Why an OpenVINO model was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenvinoError {
    /// The XML cannot be read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is XML, but no OpenVINO model.
    #[error("its outermost element is `{found}`, not `net`")]
    Root {
        /// What it is; at most 256 bytes.
        found: String,
    },
    /// It has no layers.
    #[error("it has no layers, so it is no OpenVINO model")]
    NoLayers,
    /// A constant whose place in the weights is no range.
    #[error("layer {layer:?} has its weights at offset {offset:?} with size {size:?}, which is no range")]
    Range {
        /// The layer's name.
        layer: String,
        /// What the file says.
        offset: String,
        /// What the file says.
        size: String,
    },
    /// The weights are not there.
    #[error("its weights {place:?} are missing")]
    NoWeights {
        /// The place in the model.
        place: String,
    },
}

impl FormatError for OpenvinoError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Xml(error) => error.hint(),
            Self::NoWeights { .. } => Some("put the .bin file beside the .xml file, with the same stem".to_owned()),
            _ => None,
        }
    }
}
