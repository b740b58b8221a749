//! All that can go wrong between a digest and a commit.

use std::io;
use std::path::{Path, PathBuf};

use crate::exit_code;
use crate::kserve::{Generation, KserveError, Runtime};

/// Why a rollout was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// A KServe that is not known, or cannot do what is asked.
    #[error(transparent)]
    Kserve(#[from] KserveError),
    /// A word outside a fixed list.
    #[error("`{text}` is not a {what}")]
    UnknownWord {
        /// What the word should be: "patch form".
        what: &'static str,
        /// What was written.
        text: String,
        /// The words there are.
        known: &'static str,
    },
    /// A name that Kubernetes, KServe or the folder layout cannot carry.
    #[error("`{text}` is not a valid {what}: {reason}")]
    InvalidName {
        /// What it names.
        what: &'static str,
        /// What was written.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// An image that could mean something else tomorrow.
    #[error("{image} is not pinned to a digest")]
    NoDigest {
        /// The reference as given.
        image: String,
    },
    /// OpenShift AI mounts nothing for this pair: neither of its two branches takes it (kserve.md §1.5).
    #[error("{generation} mounts no model for the MLServer runtime with delivery `native`")]
    MlserverNative {
        /// The site's KServe.
        generation: Generation,
    },
    /// Automatic selection would take no runtime, or the wrong one.
    #[error("an InferenceService for `{format}` on {generation} must name its ServingRuntime")]
    RuntimeNeeded {
        /// The model format.
        format: String,
        /// The site's KServe.
        generation: Generation,
        /// The servers that the platform ships for the format, with other folders than the image's.
        shipped: Vec<Runtime>,
    },
    /// The folders inside the image are those of another server.
    #[error("the ServingRuntime `{runtime}` wants the folders of {wants}, and the image is laid out for {layout}")]
    RuntimeMismatch {
        /// The ServingRuntime that the site or the user names.
        runtime: String,
        /// The layout that it reads.
        wants: Runtime,
        /// The image's layout.
        layout: Runtime,
    },
    /// An image may come from anywhere, and its annotation goes into the InferenceService.
    #[error("the image calls its model's format {text:?}, which is no name of a format")]
    BadFormat {
        /// What the annotation says, shortened.
        text: String,
    },
    /// An image may come from anywhere, and its arguments go to the server.
    #[error("the image wants the server to be started with {text:?}, which no image may ask for")]
    BadArgument {
        /// The argument, shortened.
        text: String,
    },
    /// A patch for kubectl cannot say where it applies.
    #[error("a {form} patch cannot carry the namespace `{namespace}`")]
    NamespaceInPatch {
        /// "merge", "json6902".
        form: &'static str,
        /// The namespace.
        namespace: String,
    },
    /// The InferenceService is there already, and it is the user's.
    #[error("the site's InferenceService `{name}` is not in the namespace `{namespace}`")]
    OtherNamespace {
        /// The InferenceService.
        name: String,
        /// The namespace asked for.
        namespace: String,
    },
    /// A JSON patch cannot add to annotations that may not exist.
    #[error("a JSON 6902 patch cannot carry annotations: adding to `/metadata/annotations` fails on an object that has none")]
    AnnotationsInJsonPatch,
    /// A value could not be written as YAML or JSON.
    #[error("cannot write {what}")]
    Serialize {
        /// What was to be written.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file or folder refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: "read", "write".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Text that is not YAML.
    #[error("cannot read {} as YAML", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More than modelcar is willing to read.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// A Helm template: YAML only after rendering.
    #[error("{} is a template (`{{{{`), not YAML", path.display())]
    Templated {
        /// The file.
        path: PathBuf,
    },
    /// YAML, but not what the tool knows how to edit.
    #[error("cannot edit {}: {reason}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is not as expected.
        reason: String,
    },
    /// The edit would have changed more, or less, than intended. Nothing was written.
    #[error("editing {} would not change exactly what was meant:\n{diff}", path.display())]
    NotProven {
        /// The file.
        path: PathBuf,
        /// What would have been written.
        diff: String,
    },
    /// A symbolic link on the way to a file of the site.
    #[error("{} is a symbolic link", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Somebody edited the file between plan and write.
    #[error("{} was changed by someone else in the meantime", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// There is no `git` to run.
    #[error("cannot run `git`")]
    NoGit {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder is in no repository, or in a bare one.
    #[error("{} is not in a git work tree: {output}", dir.display())]
    NoWorkTree {
        /// The folder.
        dir: PathBuf,
        /// What git said.
        output: String,
    },
    /// Git does not know whose commit it would be.
    #[error("git does not know who commits in {}", dir.display())]
    NoIdentity {
        /// The folder.
        dir: PathBuf,
    },
    /// A repository without files.
    #[error("{} is a bare repository: there are no files to edit", dir.display())]
    Bare {
        /// The folder.
        dir: PathBuf,
    },
    /// A commit now would become part of something else.
    #[error("a {operation} is in progress in {}", dir.display())]
    InProgress {
        /// The folder.
        dir: PathBuf,
        /// What git is in the middle of: "merge", "rebase".
        operation: &'static str,
    },
    /// No branch would carry the commit.
    #[error("{} is on no branch: a commit there would reach nobody", dir.display())]
    Detached {
        /// The folder.
        dir: PathBuf,
    },
    /// A file of the rollout that git is told not to see.
    #[error("git ignores {files} in {}", dir.display())]
    Ignored {
        /// The folder.
        dir: PathBuf,
        /// The files, separated by `, `.
        files: String,
    },
    /// Another git works on the same repository.
    #[error("another git process holds the lock of {}: {output}", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// What git said.
        output: String,
    },
    /// The files that would be edited carry somebody's uncommitted work.
    #[error("{files} in {} has changes that are not committed", dir.display())]
    Uncommitted {
        /// The folder.
        dir: PathBuf,
        /// The files, separated by `, `.
        files: String,
    },
    /// Git, or one of its hooks, said no.
    #[error("`git {command}` failed in {}: {output}", dir.display())]
    Git {
        /// The sub-command.
        command: String,
        /// The folder.
        dir: PathBuf,
        /// What git and its hooks said, shortened.
        output: String,
    },
}

impl RolloutError {
    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A file that is not as expected.
    pub(super) fn shape(path: &Path, reason: impl Into<String>) -> Self {
        Self::Shape { path: path.to_owned(), reason: reason.into() }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kserve(error) => return error.hint(),
            Self::UnknownWord { known, .. } => format!("one of {known}"),
            Self::InvalidName { .. } => "use lower-case letters, digits and `-`, such as edge-site-01".to_owned(),
            Self::NoDigest { image } => format!("`modelcar inspect {image}` prints the digest; tags can move, so KServe never gets one"),
            Self::MlserverNative { .. } => {
                "use `--delivery modelcar`: this platform mounts oci:// as an image volume for MLServer anyway".to_owned()
            }
            Self::RuntimeNeeded { shipped, .. } => {
                let build = |server: &Runtime| format!("build the image with `--runtime {server}`, whose ServingRuntime is there; or ");
                let others: String = shipped.first().map(build).unwrap_or_default();
                format!(
                    "{others}name one with `--serving-runtime` (`oc get servingruntimes,clusterservingruntimes` lists what is there): \
                     automatic selection would take none, or one that wants other folders"
                )
            }
            Self::RuntimeMismatch { wants, layout, .. } => {
                format!("build the image with `--runtime {wants}`, or name a ServingRuntime for {layout} with `--serving-runtime`")
            }
            Self::BadFormat { .. } => "build the image again; modelcar writes `onnx`, `sklearn` and the like".to_owned(),
            Self::BadArgument { .. } => {
                "only `--model` and `--tokenizer` with a file below /mnt/models are taken; write others into the InferenceService"
                    .to_owned()
            }
            Self::NamespaceInPatch { namespace, .. } => {
                format!("leave it out and say it when applying: `kubectl -n {namespace} patch …`; or use `--as kustomize`")
            }
            Self::OtherNamespace { namespace, .. } => {
                format!("it is yours to edit: set `namespace: {namespace}` there or in the kustomization, or leave out `--namespace`")
            }
            Self::AnnotationsInJsonPatch => "use `--as merge` or `--as kustomize`".to_owned(),
            Self::Templated { .. } => {
                "point the site folder at rendered manifests, or let the chart take the image from a value and set that".to_owned()
            }
            Self::Shape { .. } => "edit the file by hand once; `modelcar patch` prints what to put in".to_owned(),
            Self::NotProven { .. } => "nothing was written; make the change by hand, or write the file in a simpler style".to_owned(),
            Self::Symlink { .. } => "git cannot commit files behind a link: put a real file or folder there".to_owned(),
            Self::Changed { .. } => "nothing was written; run it again".to_owned(),
            Self::NoGit { .. } => "install git; `modelcar patch` prints the change without it".to_owned(),
            Self::NoWorkTree { dir, .. } => format!("`git init {}` makes it a repository", dir.display()),
            Self::NoIdentity { .. } => {
                "`git config user.name NAME` and `git config user.email ADDRESS`, or set GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL, \
                 GIT_COMMITTER_NAME and GIT_COMMITTER_EMAIL"
                    .to_owned()
            }
            Self::Bare { dir } => format!("`git clone {} DIR` makes a work tree; name that one", dir.display()),
            Self::InProgress { operation, .. } => format!("finish it, or `git {operation} --abort`; then run again"),
            Self::Detached { .. } => "`git switch BRANCH` first".to_owned(),
            Self::Ignored { .. } => "take them out of .gitignore (`git check-ignore -v FILE` names the line)".to_owned(),
            Self::Locked { .. } => {
                "wait for it and run again; where no git is at work, a crashed one left the lock file: delete it".to_owned()
            }
            Self::Uncommitted { .. } => "commit or stash them first, so that they do not slip into the rollout's commit".to_owned(),
            Self::Git { .. } => "the files are as they were before; run again once the cause is gone: nothing is sent twice".to_owned(),
            Self::Serialize { .. } | Self::Io { .. } | Self::Yaml { .. } | Self::TooLarge { .. } => return None,
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Kserve(error) => error.exit_code(),
            Self::UnknownWord { .. } | Self::InvalidName { .. } => exit_code::USAGE,
            Self::Changed { .. } | Self::Locked { .. } => exit_code::CONFLICT,
            _ => exit_code::FAILED,
        }
    }
}
