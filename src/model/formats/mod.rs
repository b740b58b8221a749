//! The formats that are understood, one file or folder each. A new one is that file and its line in [`FORMATS`].

mod files;
pub mod gguf;
pub mod huggingface;
mod input;
pub mod json;
pub mod lightgbm;
pub mod mlserver;
pub mod onnx;
pub mod openvino;
pub mod ovms;
pub mod pickle;
pub mod pmml;
mod protobuf;
pub mod pytorch;
pub(super) mod repository;
pub mod safetensors;
pub mod savedmodel;
mod settings;
pub mod sklearn;
mod small;
#[cfg(test)]
pub(super) mod testing;
pub mod tflite;
pub mod torchserve;
pub mod triton;
pub mod xgboost;
mod xml;

pub use files::Sample;
pub use input::InputError;
pub use protobuf::WireError;
pub use xml::XmlError;

use super::lint::Finding;
use super::{Facts, ModelError, ModelFile, Tree};
use crate::kserve::Runtime;

/// A model format.
#[derive(Debug)]
pub struct Format {
    /// Lower-case: `onnx`.
    pub name: &'static str,
    /// Whether a model is in this format: by names, and where those say too little by the first bytes of files.
    pub detect: fn(&Tree) -> bool,
    /// Reads what the model says about itself; bounded, whatever is in the files.
    pub read: fn(&Tree) -> Result<Reading, ModelError>,
    /// The servers that load it and how, the usual one first; [`Runtime::Raw`] needs no mention. None
    /// where no server loads it as it is.
    pub servings: &'static [Serving],
}

/// How a server wants a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The server.
    pub runtime: Runtime,
    /// Where below `/models`.
    pub place: Place,
    /// Under which name.
    pub name: ServedName,
}

/// Where a server looks below `/models`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top.
    Top,
    /// In a version folder: `1/…`.
    Version,
    /// In a version folder of a folder that has the model's name: `NAME/1/…`.
    Repository,
}

/// The name under which a server looks for what it loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedName {
    /// Any: it keeps its own.
    Kept,
    /// The file that is loaded has this name.
    File(&'static str),
    /// The file that is loaded, and those that share its stem, have this stem and keep their endings: `model.xml` and `model.bin`.
    Stem(&'static str),
    /// The folder of the file that is loaded, with all that is in it, has this name.
    Folder(&'static str),
}

/// What a format found in a model.
#[derive(Debug, Default)]
pub struct Reading {
    /// What the model says about itself.
    pub facts: Facts,
    /// The places of the files that a server would load, not those that go with them: `net.onnx`, `1/saved_model.pb`.
    pub mains: Vec<String>,
    /// Files that a single model file names, to be packed with it.
    pub companions: Vec<ModelFile>,
    /// What would go wrong later.
    pub findings: Vec<Finding>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// All formats; the first that recognises a model reads it.
pub static FORMATS: &[Format] = &[
    huggingface::diffusers::FORMAT,
    huggingface::peft::FORMAT,
    huggingface::FORMAT,
    gguf::FORMAT,
    onnx::FORMAT,
    openvino::FORMAT,
    savedmodel::FORMAT,
    tflite::FORMAT,
    torchserve::FORMAT,
    pytorch::TORCHSCRIPT,
    xgboost::FORMAT,
    lightgbm::FORMAT,
    pmml::FORMAT,
    sklearn::FORMAT,
    pytorch::PYTORCH,
    safetensors::FORMAT,
    // Folders that a server knows, whatever is in them.
    triton::FORMAT,
    mlserver::FORMAT,
    ovms::FORMAT,
    // Last: what could be anything.
    sklearn::OTHER_PICKLE,
];

/// The format of a model.
pub fn detect(tree: &Tree) -> Option<&'static Format> {
    FORMATS.iter().find(|format| (format.detect)(tree))
}

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
