//! From files to an OCI image.
//!
//! [`plan`] decides which file goes into which layer. [`tar`] lays each layer out as a deterministic tar of known length that can
//! be read as often as wanted. [`transfer`] hashes one layer while others are sent. [`compose`] writes the documents around them
//! (pure), and [`build`] does all of it in order: blobs, configs, manifests, and the tag last. [`base`] is what lies below the
//! model: modelcar's own shell (`shell.rs`), nothing, or another image. [`copy`] and [`extract`] go the other way.
//!
//! Same model, same options: same digest, on any machine, in any file order, under any umask or time zone.

use std::io;
use std::path::PathBuf;

use crate::oci::{Digest, ManifestRef, Platform};
use crate::store::StoreError;

pub mod annotations;
pub mod base;
pub mod build;
pub mod check;
mod companion;
pub mod compare;
pub mod compose;
pub mod compress;
pub mod contents;
pub mod copy;
pub mod digest_cache;
pub mod earlier;
pub mod extract;
pub mod hash;
pub mod hub;
pub mod inspect;
pub mod layer_files;
pub mod listing;
pub mod model_files;
pub mod plan;
pub mod platforms;
pub mod preview;
pub mod replace;
pub mod rootfs;
mod shell;
pub mod tar;
#[cfg(test)]
mod testing;
pub mod transfer;
pub mod watch;

pub use base::Base;
pub use build::{Build, Built, ImageSpec};
pub use compress::Compression;
pub use contents::Contents;

pub use transfer::Transfer;
pub use watch::{Event, Watch};

/// Why an image could not be made, copied or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A model file could not be read, or changed while it was read.
    #[error("cannot read the model")]
    Reading(#[source] io::Error),
    /// Another part of the work failed first.
    #[error("stopped because another part failed")]
    Stopped,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document could not be serialised.
    #[error("cannot write an image document")]
    Json(#[source] serde_json::Error),
    /// An image config that is not one.
    #[error("image config {digest} cannot be read")]
    Config {
        /// The config's digest.
        digest: Digest,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// No image for a platform that was asked for, or for any.
    #[error("the image has nothing for {wanted}; it has {}", list(there))]
    NoPlatform {
        /// Asked for; `any platform`.
        wanted: String,
        /// What there is.
        there: Vec<Platform>,
    },
    /// The own shell does not exist for a platform.
    #[error("modelcar's shell is not built for {platform}")]
    NoShell {
        /// Asked for.
        platform: Platform,
    },
    /// An index in an index.
    #[error("{digest} is an index inside an index")]
    NestedIndex {
        /// The inner index.
        digest: Digest,
    },
    /// A base whose config and manifest disagree.
    #[error("the base's config names {diff_ids} layers, its manifest {layers}")]
    BaseLayers {
        /// In the config.
        diff_ids: usize,
        /// In the manifest.
        layers: usize,
    },
    /// A base with files under `/models`.
    #[error("the base has a model of its own: `/{path}`")]
    BaseHasModel {
        /// One of its files or folders.
        path: String,
    },
    /// A base that leaves no layer for the model.
    #[error("the base has {layers} layers, and an image with {most} or more cannot be mounted everywhere")]
    BaseTooDeep {
        /// In the base.
        layers: usize,
        /// The limit.
        most: usize,
    },
    /// A tag for signatures that holds something else at the target.
    #[error("the target holds something else than signatures under `{tag}`")]
    Attachment {
        /// The tag.
        tag: ManifestRef,
    },
    /// Others change the signatures at the target again and again.
    #[error("others keep changing the signatures under `{tag}`")]
    Contended {
        /// The tag.
        tag: ManifestRef,
    },
    /// A layer that is no file system layer.
    #[error("layer {digest} is `{media_type}`, which this image cannot hold")]
    LayerType {
        /// The layer.
        digest: Digest,
        /// What it is.
        media_type: String,
    },
    /// A layer that cannot be read from any place on.
    #[error("layer {digest} is compressed, so the model cannot be looked at where it lies")]
    Compressed {
        /// The layer.
        digest: Digest,
    },
    /// An image that cannot be taken apart and put together again.
    #[error("the image is not as modelcar makes them: {reason}")]
    NotOurs {
        /// What is different.
        reason: String,
    },
    /// A file to replace or remove that the image has not.
    #[error("the image has no file `{path}`")]
    NoSuchFile {
        /// Below `/models`.
        path: String,
        /// Files of that name elsewhere in it, or some of all.
        there: Vec<String>,
    },
    /// A file to add that the image has.
    #[error("the image has a file `{path}` already")]
    FileExists {
        /// Below `/models`.
        path: String,
    },
    /// A digest that a hub's tools keep of a file, and that is not true.
    #[error("`{path}` has the digest {found}, and the hub's tools say {said}")]
    HubDigest {
        /// The file.
        path: String,
        /// What they say.
        said: Digest,
        /// What it is.
        found: Digest,
    },
    /// An image without `/models`.
    #[error("the image has no files under /models")]
    NoModels,
    /// A tar entry that would not stay below the directory, or is none that a model holds.
    #[error("layer {digest} holds `{path}`, which is refused: {reason}")]
    Entry {
        /// The layer.
        digest: Digest,
        /// The entry's path, made printable.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// A layer that is no tar.
    #[error("layer {digest} cannot be unpacked")]
    Unpacking {
        /// The layer.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An image that would fill the memory.
    #[error("the image holds more than {most} files on all its platforms")]
    TooManyFiles {
        /// The limit.
        most: usize,
    },
    /// An image whose links lead in circles.
    #[error("the image's symbolic links are too many, or lead in circles")]
    TooManyLinks,
    /// An image whose file system would fill the memory.
    #[error("the names in the image make more than {limit} bytes of folders that it does not hold")]
    DeepNames {
        /// The limit.
        limit: usize,
    },
    /// The directory to extract into is in the way.
    #[error("{} exists and is not an empty directory", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// A file or directory refused.
    #[error("cannot write {}", path.display())]
    Writing {
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() { "no platform at all".to_owned() } else { names.join(", ") }
}

impl ImageError {
    /// Whether this only follows from another error: [`Stopped`](Self::Stopped), bare or carried through a reader.
    fn is_stop(&self) -> bool {
        let carries_stop =
            |source: &io::Error| matches!(source.get_ref().and_then(|inner| inner.downcast_ref::<Self>()), Some(Self::Stopped));
        match self {
            Self::Stopped => true,
            Self::Reading(source) | Self::Store(StoreError::Source { source, .. } | StoreError::Unhashed { source, .. }) => {
                carries_stop(source)
            }
            _ => false,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::NoShell { .. } => {
                Some("linux/amd64, linux/arm64, linux/ppc64le and linux/s390x are there; for others use --base".to_owned())
            }
            Self::NoPlatform { there, .. } if !there.is_empty() => Some(format!("use --platform {}", there[0])),
            Self::TooManyFiles { .. } => Some("check one platform at a time: --platform linux/amd64".to_owned()),
            Self::Writing { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some space or name a directory on another disk; nothing half-written was left behind".to_owned())
            }
            Self::Occupied { .. } => Some("name a directory that does not exist yet; nothing was written".to_owned()),
            Self::Attachment { .. } => Some("look at it with `modelcar inspect`, then move or delete that tag".to_owned()),
            Self::BaseTooDeep { .. } => Some("use a smaller base, or none: modelcar brings its own shell".to_owned()),
            Self::Compressed { .. } => Some("`modelcar extract REF DIR` unpacks it; then look at DIR".to_owned()),
            Self::BaseHasModel { .. } => {
                Some("servers would see both models as one; use a base without /models, or none: modelcar brings its own shell".to_owned())
            }
            Self::NotOurs { .. } => Some("`modelcar extract REF DIR` takes the model out; then build DIR anew".to_owned()),
            Self::HubDigest { .. } => Some("fetch the model anew; without `--trust-hub-digests` it is packed as it is".to_owned()),
            Self::NoSuchFile { there, .. } => Some(format!("it has {}; `modelcar inspect REF` shows its layers", there.join(", "))),
            Self::FileExists { path } => Some(format!("to put another one in its place: {path}=FILE without --add")),
            Self::NoModels => Some("modelcar reads images that hold a model under /models; `modelcar inspect` shows the layers".to_owned()),
            _ => None,
        }
    }

    /// The process exit code, see [`crate::exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::Entry { .. } | Self::HubDigest { .. } => crate::exit_code::REFUSED,
            Self::Contended { .. } => crate::exit_code::CONFLICT,
            _ => crate::exit_code::FAILED,
        }
    }
}
