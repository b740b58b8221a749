//! All that can go wrong with a model.

use std::io;
use std::path::PathBuf;

use super::formats::onnx::inline::Obstacle;
use super::tree::{MAX_DEPTH, MAX_FILES};
use crate::exit_code;
use crate::kserve::Runtime;

/// Why a model was not read, or has no place for a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing is there.
    #[error("there is no model at {}", path.display())]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// A file or folder that cannot be read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: "read", "list".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Neither file, folder nor link.
    #[error("{} is {kind}, not a file", path.display())]
    Special {
        /// Which one.
        path: PathBuf,
        /// "a socket", "a named pipe".
        kind: &'static str,
    },
    /// No file in it, or none with a byte in it.
    #[error("{} holds no model: {}", path.display(), if *files == 0 { "it has no files" } else { "there is not one byte in it" })]
    Empty {
        /// The folder or file.
        path: PathBuf,
        /// How many files it has.
        files: usize,
    },
    /// A name that cannot stand in an image. Quoted, because it may hold anything.
    #[error("the name {path:?} cannot stand in an image: {why}")]
    Name {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// More files than [`MAX_FILES`].
    #[error("{} has more than {MAX_FILES} files", path.display())]
    TooManyFiles {
        /// The model's folder.
        path: PathBuf,
    },
    /// Deeper than [`MAX_DEPTH`].
    #[error("{} lies more than {MAX_DEPTH} folders deep", path.display())]
    TooDeep {
        /// The folder where reading stopped.
        path: PathBuf,
    },
    /// A link that points out of the model's folder.
    #[error("{} is a link to {target:?}, outside the model's folder", path.display())]
    LinkLeaves {
        /// The link.
        path: PathBuf,
        /// Where it leads in the end.
        target: PathBuf,
    },
    /// A link into `.git`, where clones keep credentials.
    #[error("{} is a link into version control: {target:?}", path.display())]
    LinkIntoGit {
        /// The link.
        path: PathBuf,
        /// Where it leads in the end.
        target: PathBuf,
    },
    /// A link that leads back to a folder it lies in.
    #[error("{} is a link that leads back to itself", path.display())]
    LinkLoop {
        /// The link.
        path: PathBuf,
    },
    /// A link to nothing.
    #[error("{} is a link to {target:?}, which is not there", path.display())]
    LinkBroken {
        /// The link.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// A pattern that is no glob.
    #[error("{pattern:?} is not a pattern of files: {why}")]
    Pattern {
        /// What was written, shortened.
        pattern: String,
        /// Why not.
        why: String,
    },
    /// A `.modelignore` that cannot be read.
    #[error("cannot read line {line} of {}: {why}", path.display())]
    IgnoreFile {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why not.
        why: String,
    },
    /// A repository of the Hugging Face cache that does not say which snapshot is meant.
    #[error("{} is a Hugging Face cache with {}", path.display(), snapshots(found))]
    Snapshots {
        /// The repository.
        path: PathBuf,
        /// The snapshots.
        found: Vec<String>,
    },
    /// A file that is not what its name says. The format's own error says where and why.
    #[error("cannot read {} as {format}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// The format's own error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// What the user can do.
        hint: Option<String>,
    },
    /// A pointer of Git LFS where the model should be.
    #[error("{} is a Git LFS pointer, not the {format} file", path.display())]
    LfsPointer {
        /// The file.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
    },
    /// External data that were to be inlined and cannot be.
    #[error("cannot take the external data of {} into the file", path.display())]
    NotInlined {
        /// The ONNX file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Obstacle,
    },
    /// A server that loads one model, and a folder with several (or none where the server looks).
    #[error("{runtime} serves one {format} model at the top of the folder, here {}", listed(found))]
    NotOneModel {
        /// The server.
        runtime: Runtime,
        /// The format's name.
        format: &'static str,
        /// The model files.
        found: Vec<String>,
    },
    /// A server that cannot load this format, as far as is known.
    #[error("{runtime} cannot be laid out for a model of format `{format}`; {} can", able(runtimes))]
    WrongRuntime {
        /// The server.
        runtime: Runtime,
        /// The format's name.
        format: &'static str,
        /// The servers that can.
        runtimes: Vec<Runtime>,
    },
    /// A server that loads the only file with its endings, and a folder with several of them.
    #[error("{runtime} takes the only {} at the top of the folder for the model, here {}", endings(counted), listed(found))]
    NotOneFile {
        /// The server.
        runtime: Runtime,
        /// The endings that it counts, without the dot.
        counted: &'static [&'static str],
        /// The files at the top that have one.
        found: Vec<String>,
        /// Those of them that are no model.
        strays: Vec<String>,
    },
    /// A model that Triton cannot load without a description that only its author can give.
    #[error("triton needs a config.pbtxt for a model of format `{format}`: the file does not say what goes in and comes out")]
    TritonConfig {
        /// The format's name.
        format: &'static str,
    },
    /// Two files for one place.
    #[error("{first} and {second} would both become {target}")]
    Clash {
        /// The place, below `/models`.
        target: String,
        /// A file of the model.
        first: String,
        /// Another.
        second: String,
    },
    /// A model name that cannot name a folder.
    #[error("{name:?} cannot be a model's name: {why}")]
    ModelName {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
}

impl ModelError {
    /// What helps against a pointer.
    pub(super) const LFS_HINT: &'static str = "run `git lfs pull` in the clone and build again";

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// A pattern of the user.
    pub(super) fn pattern(pattern: &str, why: impl std::fmt::Display) -> Self {
        Self::Pattern { pattern: pattern.chars().take(200).collect(), why: why.to_string() }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => Some("MODEL is a file such as model.onnx, or the folder that holds the model".to_owned()),
            Self::LinkLeaves { .. } => Some(
                "a link could publish a secret of this machine with the model; copy the file into the folder, \
                 or pass `--follow-links` if you trust every link in it"
                    .to_owned(),
            ),
            Self::LinkIntoGit { .. } => Some("`.git` may hold credentials; put the file itself into the folder".to_owned()),
            Self::TooManyFiles { .. } | Self::TooDeep { .. } => Some("give the folder that holds only the model".to_owned()),
            Self::Unreadable { hint, .. } => hint.clone(),
            Self::LfsPointer { .. } => Some(Self::LFS_HINT.to_owned()),
            Self::NotInlined { .. } => Some(
                "leave them where they are with `--onnx-external keep`, and deliver with native or fetch: through the modelcar link \
                 most servers cannot load them"
                    .to_owned(),
            ),
            Self::NotOneModel { .. } => {
                Some("give the one file to serve as MODEL, or keep the folder as it is with `--runtime raw`".to_owned())
            }
            Self::Pattern { .. } | Self::IgnoreFile { .. } => {
                Some("patterns are those of a .gitignore: `*.bin`, `/original/`, `!keep.bin`".to_owned())
            }
            Self::Snapshots { path, found } => match found.first() {
                Some(first) => Some(format!("give one of them as MODEL, such as {}", path.join("snapshots").join(first).display())),
                None => Some("download the model first, such as with `hf download`".to_owned()),
            },
            Self::NotOneFile { found, strays, .. } => {
                let leave_out = match &strays[..] {
                    [stray] if found.len() == 2 => format!("leave it out with `--exclude {}`", super::facts::printable(stray)),
                    _ => "leave out the others with `--exclude NAME`".to_owned(),
                };
                Some(format!("{leave_out}, give the one file to serve as MODEL, or keep the folder as it is with `--runtime raw`"))
            }
            Self::TritonConfig { .. } => Some(
                "put a config.pbtxt with `backend`, `max_batch_size`, `input` and `output` beside the model: \
                 https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html"
                    .to_owned(),
            ),
            Self::WrongRuntime { .. } => Some("arrange the folder as the server wants it and keep it so with `--runtime raw`".to_owned()),
            _ => None,
        }
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        exit_code::FAILED
    }
}

/// A few names; never a screenful.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "are none".to_owned(),
        1 => format!("is only {shown}"),
        count if count <= SHOWN => format!("are {shown}"),
        count => format!("are {shown} … and {} more", count - SHOWN),
    }
}

fn snapshots(found: &[String]) -> String {
    match found.len() {
        0 => "no snapshot".to_owned(),
        _ => format!("several snapshots: {}", super::facts::cut_list(found.iter().map(|name| super::facts::printable(name)), 5)),
    }
}

fn endings(counted: &[&str]) -> String {
    counted.iter().map(|ending| format!("*.{ending}")).collect::<Vec<_>>().join(", ")
}

fn able(runtimes: &[Runtime]) -> String {
    runtimes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
