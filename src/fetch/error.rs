//! All that can go wrong while a model is fetched. No variant holds a token, a key or a query string.

use std::io;
use std::path::PathBuf;

use crate::exit_code;
use crate::image::ImageError;
use crate::model::ModelError;
use crate::oci::InvalidReference;
use crate::store::StoreError;

/// Why a model was not fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Words that name no source.
    #[error("`{text}` names no source of a model: {reason}")]
    Source {
        /// What was written, without its query.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A source that other tools read.
    #[error("modelcar does not read {scheme}:// sources")]
    Elsewhere {
        /// The scheme.
        scheme: String,
    },
    /// A folder cannot be fetched into another one.
    #[error("{} is here already", path.display())]
    Local {
        /// The folder.
        path: PathBuf,
    },
    /// Credentials that cannot be used.
    #[error("cannot use the credentials in {origin}: {reason}")]
    Credentials {
        /// The file or variable.
        origin: String,
        /// Why not; never what they say.
        reason: String,
    },
    /// A token would travel in the clear.
    #[error("will not send a token to {host} unencrypted")]
    Exposed {
        /// The host.
        host: String,
    },
    /// A pattern that cannot be read.
    #[error("`{pattern}` is no pattern")]
    Pattern {
        /// As given.
        pattern: String,
        /// Why.
        #[source]
        source: ignore::Error,
    },
    /// The source said no.
    #[error("{what} was answered with status {status}{}", after_colon(message))]
    Refused {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The server's own words.
        message: String,
        /// What the user can do.
        hint: Option<&'static str>,
    },
    /// An answer that is not what the source's API promises.
    #[error("{what} gave an unusable answer: {reason}")]
    Answer {
        /// What was asked.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to fetch.
    #[error("{uri} has no file that is wanted")]
    Nothing {
        /// The source.
        uri: String,
    },
    /// A file that may not be written.
    #[error("the source names a file `{path}`: {reason}")]
    Name {
        /// As the source names it, made printable.
        path: String,
        /// Why not.
        reason: &'static str,
    },
    /// Two files that cannot lie beside each other everywhere.
    #[error("the source names both `{first}` and `{second}`")]
    Clash {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// More than a model has.
    #[error("the source has more than {most}")]
    TooMuch {
        /// The limit, with its unit.
        most: String,
    },
    /// The disk is too small.
    #[error("{} needs {needed} bytes, and {free} are free", path.display())]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes to be written.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Another process fetches into the folder.
    #[error("another fetch into {} is under way", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// A link or file where a folder is needed, or the other way round.
    #[error("cannot write {}: {reason}", path.display())]
    Occupied {
        /// What lies in the way.
        path: PathBuf,
        /// What it is.
        reason: &'static str,
    },
    /// A file or folder refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The download broke off.
    #[error("the download of `{path}` broke off after {at} bytes")]
    Broken {
        /// The file.
        path: String,
        /// Bytes that are there.
        at: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Other bytes than those that the source, or the user, names.
    #[error("`{path}` should have {expected}, but has {found}")]
    Content {
        /// The file.
        path: String,
        /// Size or digest.
        expected: String,
        /// Size or digest.
        found: String,
    },
    /// The file changed at the source between two requests.
    #[error("`{path}` changed at the source while it was fetched")]
    Changed {
        /// The file.
        path: String,
    },
    /// A layer that cannot be unpacked.
    #[error("layer `{layer}` cannot be unpacked")]
    Unpacking {
        /// Its name or digest.
        layer: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An artifact that tells no file names.
    #[error("{uri} is no model that modelcar knows: {reason}")]
    Artifact {
        /// Where it is.
        uri: String,
        /// Why not.
        reason: String,
    },
    /// Another file failed first.
    #[error("stopped because another file failed")]
    Stopped,
    /// An image's name that cannot be read.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// From a registry or a web server.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// From an image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// From the model room.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// What others do that modelcar does not.
const INITIALIZER: &str = "KServe's storage initializer reads it: run its image as a step before, with the arguments SOURCE and DIR, \
                           and then `modelcar fetch DIR`";

impl FetchError {
    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether trying again from where it broke off may help.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Source { .. } => {
                "a source is https://HOST/FILE, hf://ORG/MODEL[@REVISION][/PATH], s3://BUCKET/PREFIX, oci://REF, oci:DIR:NAME or a folder"
            }
            Self::Elsewhere { .. } => INITIALIZER,
            Self::Local { .. } => "leave DIR out: nothing has to be copied",
            Self::Credentials { .. } => "a mounted secret is a folder with a file for each name; a token file holds the token alone",
            Self::Exposed { .. } => "use the server's https:// address",
            Self::Pattern { .. } => "patterns are those of gitignore, such as '*.safetensors' or 'onnx/**'",
            Self::Refused { hint, .. } => return hint.map(str::to_owned),
            Self::Nothing { .. } => "check the path, --include and --exclude; `--dry-run` lists what would be fetched",
            Self::Name { .. } | Self::Clash { .. } => "leave it out with --exclude, or ask whoever made the source to rename it",
            Self::NoSpace { .. } => "free some space, or leave files out with --exclude",
            Self::Busy { .. } => "wait for it, or fetch into another folder",
            Self::Broken { .. } => "run the same command again: what is there already is not fetched again",
            Self::Content { .. } => "nothing was written under its name; if it stays so, the source is damaged or was tampered with",
            Self::Changed { .. } => "run it again when nobody writes there any more, or name a fixed revision",
            Self::Artifact { .. } => {
                "modelcar reads images with a folder /models, KitOps ModelKits, CNCF ModelPacks, and artifacts as oras writes them"
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "free some space; then the same command goes on",
            Self::Reference(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Image(error) => return error.hint(),
            Self::Model(error) => return error.hint(),
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Source { .. } | Self::Elsewhere { .. } | Self::Local { .. } | Self::Pattern { .. } | Self::Reference(_) => {
                exit_code::USAGE
            }
            Self::Content { .. } | Self::Name { .. } | Self::Clash { .. } => exit_code::REFUSED,
            Self::Busy { .. } => exit_code::CONFLICT,
            Self::Store(error) => error.exit_code(),
            Self::Image(error) => error.exit_code(),
            Self::Model(error) => error.exit_code(),
            _ => exit_code::FAILED,
        }
    }
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
