//! Why a model could not be signed, or could not be checked. A signature that does not pass is a
//! [`ModelRefusal`](super::ModelRefusal), not an error.

use std::io;
use std::path::PathBuf;

use super::{AttachReport, InvalidCertificate};
use crate::exit_code;
use crate::image::ImageError;
use crate::oci::{Digest, InvalidManifest};
use crate::store::StoreError;
use crate::trust::{KeyError, TrustError, run_again};

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelSigningError {
    /// A signature of the image could not be read or written.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The image could not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A certificate file that cannot be used.
    #[error("cannot use the certificates in {path}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidCertificate,
    },
    /// The chain is somebody else's.
    #[error("the first certificate is not for the key that signs")]
    OtherKey,
    /// A chain goes with a key.
    #[error("a certificate chain needs the private key of its first certificate")]
    ChainWithoutKey,
    /// `model_signing` hashes for P-384 with SHA-384, and knows no RSA.
    #[error("model signatures are made with P-256 keys")]
    Algorithm,
    /// A file or folder of the model could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a thing that can be signed.
    #[error("{path} cannot be part of a signed model: {why}")]
    Unsignable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// No files.
    #[error("there are no files to sign in {place}")]
    Empty {
        /// The folder, or the image.
        place: String,
    },
    /// A layer's annotations break their own rules.
    #[error("layer {layer} is annotated as a file of the model, but {why}")]
    Annotation {
        /// The layer.
        layer: Digest,
        /// What is wrong.
        why: String,
    },
    /// An index with more than one model.
    #[error("the images of {index} hold different models, so no one signature covers them")]
    Models {
        /// The index.
        index: Digest,
    },
    /// A statement so long that readers would refuse it.
    #[error("the model has {files} files, and their signature would be larger than {limit} bytes")]
    TooLarge {
        /// How many.
        files: usize,
        /// The limit of a bundle, in bytes.
        limit: u64,
    },
    /// The signature would be a file of the model that it signs.
    #[error("{signature} lies inside the model, so it would be an unsigned file of it")]
    Inside {
        /// Where it was to be written.
        signature: PathBuf,
    },
    /// A file that could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No model signature where one is asked for.
    #[error("{place} has no model signature")]
    NoSignature {
        /// The image.
        place: String,
    },
    /// Some are there.
    #[error("stopped with {} model signatures in place", attached.signatures.len())]
    Incomplete {
        /// What is public already.
        attached: Box<AttachReport>,
        /// Why it stopped.
        #[source]
        source: Box<ModelSigningError>,
    },
}

impl From<StoreError> for ModelSigningError {
    fn from(error: StoreError) -> Self {
        Self::Trust(error.into())
    }
}

impl From<KeyError> for ModelSigningError {
    fn from(error: KeyError) -> Self {
        Self::Trust(error.into())
    }
}

impl From<InvalidManifest> for ModelSigningError {
    fn from(error: InvalidManifest) -> Self {
        Self::Trust(error.into())
    }
}

impl From<serde_json::Error> for ModelSigningError {
    fn from(error: serde_json::Error) -> Self {
        Self::Trust(error.into())
    }
}

impl ModelSigningError {
    /// Whether it is the model itself, as it lies in the image, that no signature can be about, rather than something on the way to it.
    pub fn is_about_the_model(&self) -> bool {
        match self {
            Self::Image(error) => !matches!(error, ImageError::Store(_) | ImageError::Reading(_) | ImageError::Stopped),
            Self::Empty { .. } | Self::Annotation { .. } | Self::Models { .. } | Self::TooLarge { .. } => true,
            _ => false,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Trust(error) => return error.hint(),
            Self::Image(error) => return error.hint(),
            Self::Algorithm => "sign with a P-256 key; `modelcar keygen` makes one",
            Self::OtherKey => "the file begins with the certificate of the signing key; those of its authorities follow",
            Self::ChainWithoutKey => "sign with --key, or without a chain",
            Self::Models { .. } => "sign the images one by one, each by its digest",
            Self::TooLarge { .. } => "leave `model-signing` out of what is attested, or keep the files in fewer, larger ones",
            Self::Inside { .. } => "write it beside the folder",
            Self::Incomplete { .. } => return Some(run_again(self.remedy())),
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// The hint about what went wrong in the first place, where this tells what it left unfinished.
    pub(crate) fn remedy(&self) -> Option<String> {
        match self {
            Self::Trust(error) => error.remedy(),
            Self::Incomplete { source, .. } => source.remedy(),
            _ => self.hint(),
        }
    }

    /// The process exit code, see [`crate::exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Trust(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Incomplete { source, .. } if source.exit_code() == exit_code::CONFLICT => exit_code::CONFLICT,
            Self::Incomplete { .. } => exit_code::UNSIGNED,
            Self::NoSignature { .. } => exit_code::REFUSED,
            _ => exit_code::FAILED,
        }
    }
}
