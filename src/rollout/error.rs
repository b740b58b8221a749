//! All that can go wrong between a digest and a commit.

use std::io;
use std::path::{Path, PathBuf};

use super::{AskError, CanaryError, ForgeError, GitError};
use crate::exit_code;
use crate::kserve::{Generation, KserveError, Runtime};

/// Why a rollout was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// A KServe that is not known, or cannot do what is asked.
    #[error(transparent)]
    Kserve(#[from] KserveError),
    /// What a site cannot do with canaries, or what has to be decided first.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// A model that the site is told nothing about.
    #[error("{} says nothing about an InferenceService `{model}` with an image", folder.display())]
    NoModel {
        /// The InferenceService.
        model: String,
        /// The site's folder.
        folder: PathBuf,
    },
    /// An application that the site does not have.
    #[error("{}/apps has no application `{app}`", folder.display())]
    NoApp {
        /// What was asked for.
        app: String,
        /// The site's folder.
        folder: PathBuf,
        /// Those there are, separated by `, `.
        known: String,
    },
    /// Nothing to change.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The state of the fleet cannot be told.
    #[error(transparent)]
    Status(#[from] super::status::StatusError),
    /// A model was not asked, or answered wrongly.
    #[error(transparent)]
    Smoke(#[from] super::smoke::SmokeError),
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
    /// Something that this service, on this KServe, cannot be told.
    #[error("cannot set `{setting}`: {reason}")]
    Setting {
        /// What was asked for: "scale", "source".
        setting: &'static str,
        /// Why not.
        reason: String,
        /// What to do instead.
        instead: String,
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
    /// A `site.yaml` that does not say what it should.
    #[error("cannot read the facts of a site in {}: {reason}", path.display())]
    Site {
        /// The file.
        path: PathBuf,
        /// The member and what is wrong with it.
        reason: String,
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
    /// Git, or what stands at its other end, said no.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The forge would not open a pull request.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl RolloutError {
    /// For `map_err` on file operations.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A file that is not as expected.
    pub(crate) fn shape(path: &Path, reason: impl Into<String>) -> Self {
        Self::Shape { path: path.to_owned(), reason: reason.into() }
    }

    /// Something that cannot be set, and what to do instead.
    pub(super) fn setting(setting: &'static str, reason: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Setting { setting, reason: reason.into(), instead: instead.into() }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kserve(error) => return error.hint(),
            Self::Git(error) => return error.hint(),
            Self::Forge(error) => return error.hint(),
            Self::Canary(error) => error.hint(),
            Self::NoModel { .. } => "`modelcar status` shows what a site runs; `modelcar deploy` brings a model to it".to_owned(),
            Self::NoApp { known, .. } if known.is_empty() => "list it under `images:` in apps/kustomization.yaml".to_owned(),
            Self::NoApp { known, .. } => format!("one of {known}; each is an entry of `images:` or a container in apps/"),
            Self::Ask(error) => return error.hint(),
            Self::Status(error) => return error.hint(),
            Self::Smoke(error) => return error.hint(),
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
            Self::Setting { instead, .. } => instead.clone(),
            Self::NamespaceInPatch { namespace, .. } => {
                format!("leave it out and say it when applying: `kubectl -n {namespace} patch …`; or use `--as kustomize`")
            }
            Self::OtherNamespace { namespace, .. } => {
                format!("it is yours to edit: set `namespace: {namespace}` there or in the kustomization, or leave out `--namespace`")
            }
            Self::AnnotationsInJsonPatch => "use `--as merge` or `--as kustomize`".to_owned(),
            Self::Site { .. } => "docs/gitops.md lists what a site.yaml may say".to_owned(),
            Self::Templated { .. } => {
                "point the site folder at rendered manifests, or let the chart take the image from a value and set that".to_owned()
            }
            Self::Shape { .. } => "edit the file by hand once; `modelcar patch` prints what to put in".to_owned(),
            Self::NotProven { .. } => "nothing was written; make the change by hand, or write the file in a simpler style".to_owned(),
            Self::Symlink { .. } => "git cannot commit files behind a link: put a real file or folder there".to_owned(),
            Self::Changed { .. } => "nothing was written; run it again".to_owned(),
            Self::Serialize { .. } | Self::Io { .. } | Self::Yaml { .. } | Self::TooLarge { .. } => return None,
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Kserve(error) => error.exit_code(),
            Self::Git(error) => error.exit_code(),
            Self::Forge(error) => error.exit_code(),
            Self::Status(error) => error.exit_code(),
            Self::Smoke(error) => error.exit_code(),
            Self::UnknownWord { .. } | Self::InvalidName { .. } => exit_code::USAGE,
            Self::Changed { .. } => exit_code::CONFLICT,
            _ => exit_code::FAILED,
        }
    }
}
