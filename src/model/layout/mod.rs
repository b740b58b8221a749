//! The folder that a model server wants to find below `/models`. Pure: from a [`Model`] to places, nothing is touched.
//!
//! | runtime | one model file `net.onnx` and what is beside it |
//! |---|---|
//! | `ovms`, `tensorflow-serving` | `1/net.onnx`, `1/…`: OpenVINO Model Server before 2026.3 loads numbered version folders only |
//! | `triton` | `NAME/1/model.onnx`, `NAME/1/…`, `NAME/config.pbtxt` |
//! | `mlserver` | `model.onnx`, `…` |
//! | `torchserve` | `model-store/net.mar`, `config/config.properties` |
//! | `sklearnserver`, `xgbserver`, `lgbserver`, `pmmlserver` | as it is, with exactly one file that the server would take |
//! | `vllm`, `huggingface` | as it is; for GGUF an argument names the file |
//! | `raw` | as it is |
//!
//! A folder that is already a repository of its server stays as it is. Layouts depend on the format only through
//! [`Format::servings`](super::formats::Format::servings): which servers load it, where and under which name.

mod folder;
mod places;
mod servers;
mod torchserve;

use std::num::NonZeroU32;

use super::formats::Serving;
use super::{Model, ModelError, ModelFile};
use crate::kserve::Runtime;
use folder::Folder;

/// Where KServe mounts the model, whatever the delivery.
pub const MOUNT: &str = "/mnt/models";

/// What is wanted of a layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The server; without one it follows from the format where the folder leaves no doubt.
    pub runtime: Option<Runtime>,
    /// The version folder, for servers that want one; without a wish it is 1.
    pub version: Option<NonZeroU32>,
    /// The model's name; only Triton's repository has it in its paths.
    pub name: ModelName,
}

/// A model's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelName {
    /// The user gave it.
    Given(String),
    /// It follows from something else; what the model says about itself wins.
    Usual(String),
}

impl Default for ModelName {
    fn default() -> Self {
        Self::Usual("model".to_owned())
    }
}

/// A model as a server wants it.
#[derive(Clone, Debug)]
pub struct ServingLayout {
    /// For which server.
    pub runtime: Runtime,
    /// Why this server, for people.
    pub why: String,
    /// Every file of the model, sorted bytewise by target; no target twice.
    pub files: Vec<PlacedFile>,
    /// What the server has to be told beside the folder: further arguments of its command line.
    pub args: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// A file and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Below `/models`: `1/model.onnx`.
    pub target: String,
    /// What is there.
    pub file: ModelFile,
}

/// Decides where each file goes, with the usual version. See [`lay_out_as`].
///
/// # Errors
/// Those of [`lay_out_as`].
pub fn lay_out(model: &Model, runtime: Option<Runtime>, name: &str) -> Result<ServingLayout, ModelError> {
    lay_out_as(model, &Wish { runtime, version: None, name: ModelName::Usual(name.to_owned()) })
}

/// Decides where each file goes. Without a runtime the usual one of the format is taken where the folder leaves no doubt, and `raw`
/// where it does.
///
/// # Errors
/// [`ModelError::WrongRuntime`], [`ModelError::NotOneModel`], [`ModelError::NotOneFile`] and [`ModelError::TritonConfig`] where the
/// server could not load the result, [`ModelError::ModelName`] and [`ModelError::Clash`] where the places cannot be.
pub fn lay_out_as(model: &Model, wish: &Wish) -> Result<ServingLayout, ModelError> {
    decide(&Folder::new(model), model, wish)
}

fn decide(folder: &Folder<'_>, model: &Model, wish: &Wish) -> Result<ServingLayout, ModelError> {
    let choice = match wish.runtime {
        Some(runtime) => folder.asked_for(runtime)?,
        None => folder.usual()?,
    };
    let name = places::name(model, wish)?;
    let placing = places::Placing { arrangement: &choice.arrangement, version: wish.version.map_or(1, NonZeroU32::get), name: &name };
    let files = placing.place(model)?;
    let mut notes = choice.notes;
    notes.extend(wish.version.filter(|_| !choice.arrangement.has_version()).map(|version| without_version(version, choice.runtime)));
    let args = servers::args(choice.runtime, &folder.models);
    Ok(ServingLayout { runtime: choice.runtime, why: choice.why, files, args, notes })
}

/// The servers that a model can be laid out for, the usual one first.
pub fn servers(model: &Model) -> Vec<Runtime> {
    Folder::new(model).servings().iter().map(|serving| serving.runtime).collect()
}

/// The servers of a format by its name, the usual one first; none for a name that is not known.
pub fn servers_of(format: &str) -> impl Iterator<Item = Runtime> {
    super::formats::by_name(format).into_iter().flat_map(|format| format.servings).map(|serving| serving.runtime)
}

fn without_version(version: NonZeroU32, runtime: Runtime) -> String {
    format!("the model's version {version} is in no path: {runtime} gets no version folder here")
}

/// How the files lie now, and so what is to be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Arrangement {
    /// One model file at the top; it gets the name and the folder that the server wants.
    One(String, Serving),
    /// One model with its version folders; as a whole it goes into a folder of its name.
    Versions,
    /// Already in the shape that the server wants, or in one that is not ours to judge.
    Kept,
}

impl Arrangement {
    /// Whether the version is ours to give.
    fn has_version(&self) -> bool {
        use super::formats::Place::{Repository, Version};
        matches!(self, Self::One(_, Serving { place: Version | Repository, .. }))
    }
}

/// A server, and what is to be done for it.
struct Choice {
    runtime: Runtime,
    arrangement: Arrangement,
    why: String,
    notes: Vec<String>,
}

impl Choice {
    fn new(runtime: Runtime, arrangement: Arrangement, why: impl Into<String>) -> Self {
        Self { runtime, arrangement, why: why.into(), notes: Vec::new() }
    }

    fn kept(runtime: Runtime, why: impl Into<String>) -> Self {
        Self::new(runtime, Arrangement::Kept, why)
    }
}

#[cfg(test)]
mod tests;
