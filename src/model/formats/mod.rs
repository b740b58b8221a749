//! The formats that are understood, one file or folder each. A new one is that file and its line in [`FORMATS`].

pub mod onnx;

use super::{Facts, ModelError, ModelFile, Runtime, Tree};

/// A model format.
#[derive(Debug)]
pub struct Format {
    /// Lower-case: `onnx`.
    pub name: &'static str,
    /// Whether a model is in this format.
    pub detect: fn(&Tree) -> bool,
    /// Reads what the model says about itself; bounded, whatever is in the files.
    pub read: fn(&Tree) -> Result<Reading, ModelError>,
    /// Whether the file at this place is one that a server loads, not one that goes with it.
    pub is_model_file: fn(&str) -> bool,
    /// The name under which servers look for that file.
    pub served_as: &'static str,
    /// The servers that load it, the usual one first.
    pub runtimes: &'static [Runtime],
}

/// What a format found in a model.
#[derive(Debug, Default)]
pub struct Reading {
    /// What the model says about itself.
    pub facts: Facts,
    /// Files that a single model file names, to be packed with it.
    pub companions: Vec<ModelFile>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// All formats; the first that recognises a model reads it.
pub static FORMATS: &[Format] = &[onnx::FORMAT];

/// The format of a model.
pub fn detect(tree: &Tree) -> Option<&'static Format> {
    FORMATS.iter().find(|format| (format.detect)(tree))
}

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
