//! What a trained model is: the files that belong to it, the format they are in, what that format says about itself, and the
//! folder that each model server wants to find. This room reads and decides; it never writes.
//!
//! ```text
//! path ─► Tree ─► Format::detect ─► Format::read ─► onnx::inline ─► Model ─► lay_out ─► ServingLayout
//!         (walk,  (one table,       (bounded,       (external data           (pure: which file goes
//!          links)  formats/mod.rs)   untrusted)      into the model)          where below /models)
//! ```
//!
//! A new format is one file in `formats/` and one line in its table. Nothing that is derived here depends on the name or the
//! place of the model's own folder: the same files give the same image on every machine.

pub mod card;
mod error;
mod facts;
mod file;
pub mod formats;
pub mod layout;
mod lfs;
pub mod lint;
mod pickles;
mod pieces;
mod stretch;
mod tars;
mod tree;

use std::path::Path;

use formats::Reading;

pub use error::ModelError;
pub use facts::{Dimension, Fact, Facts, TensorInfo};
pub use file::{Content, FileChanged, FileStamp, ModelFile, Piece, ReadSeek};
pub use formats::onnx::inline::OnnxExternal;
pub use layout::{ModelName, PlacedFile, ServingLayout, Wish, lay_out, lay_out_as};
pub use lint::Finding;
pub use stretch::{ByteSource, Stretch};
pub use tree::{HubOrigin, MAX_DEPTH, MAX_FILES, Tree, hub_origin, litter};

/// The name of the format of a model that no format recognises.
pub const UNKNOWN_FORMAT: &str = "unknown";

/// How to read a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Which symbolic links are followed.
    pub follow_links: Links,
    /// What becomes of ONNX external data.
    pub onnx_external: OnnxExternal,
    /// Which files of a folder belong to the model.
    pub patterns: Patterns,
}

/// The user's patterns for the files of a folder, as in a `.gitignore`; a `.modelignore` in the folder counts too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    /// What belongs to the model though something else leaves it out. Secrets come back only by their exact name.
    pub include: Vec<String>,
    /// What does not.
    pub exclude: Vec<String>,
}

/// Which symbolic links are followed. A link is always packed as the file or folder it points to, never as a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Those that stay inside the model's folder, and those of the Hugging Face cache into its own `blobs/`. A model
    /// repository comes from strangers; a link in it to a mounted service-account token would be published with the model.
    #[default]
    Inside,
    /// Every link.
    Anywhere,
}

/// A model that was read: its files as they are on disk now, and what they say.
#[derive(Clone, Debug)]
pub struct Model {
    /// The format's name as in [`formats::FORMATS`], or [`UNKNOWN_FORMAT`].
    pub format: &'static str,
    /// What the model says about itself.
    pub facts: Facts,
    /// The files that belong to it, sorted bytewise by path.
    pub files: Vec<ModelFile>,
    /// The places of the files that a server would load, not those that go with them.
    pub mains: Vec<String>,
    /// What would go wrong later, as far as the files alone tell.
    pub findings: Vec<Finding>,
    /// What a person should know: files left out, links followed, doubts.
    pub notes: Vec<String>,
}

/// Reads the model at `path`, a file or a folder.
///
/// # Errors
/// [`ModelError`] names the file, and for a file that its format cannot read also the byte.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Model, ModelError> {
    read_tree(path, Tree::scan_selected(path, options)?, options)
}

/// Reads a model from files that are not in a folder: those of an image. `name` is what people call it.
///
/// # Errors
/// As [`read`].
pub fn read_files(name: &Path, files: Vec<ModelFile>) -> Result<Model, ModelError> {
    // What is in an image is as it will be served.
    let options = ReadOptions { onnx_external: OnnxExternal::Keep, ..ReadOptions::default() };
    read_tree(name, Tree::of_files(name, files)?, &options)
}

fn read_tree(path: &Path, tree: Tree, options: &ReadOptions) -> Result<Model, ModelError> {
    match formats::detect(&tree) {
        Some(format) => read_as(format, tree, options),
        None => unknown(path, tree),
    }
}

fn read_as(format: &'static formats::Format, tree: Tree, options: &ReadOptions) -> Result<Model, ModelError> {
    let mut reading = (format.read)(&tree).map_err(|error| lfs::blame(error, &tree))?;
    card::facts(&tree, &mut reading.facts);
    formats::repository::describe(&tree, &mut reading.facts);
    reading.findings.extend(pickles::findings(&tree, &reading)?);
    let root = tree.shown("");
    let (mut files, mut notes) = tree.into_parts();
    files.extend(reading.companions);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    notes.extend(reading.notes);
    let Reading { facts, mains, findings, .. } = reading;
    let mut model = Model { format: format.name, facts, files, mains, findings, notes };
    formats::onnx::inline::settle(&mut model, &root, options.onnx_external)?;
    Ok(model)
}

fn unknown(path: &Path, tree: Tree) -> Result<Model, ModelError> {
    let mut facts = Facts::default();
    card::facts(&tree, &mut facts);
    let findings = pickles::findings(&tree, &formats::Reading::default())?;
    let (files, mut notes) = tree.into_parts();
    notes.push(format!("no known format in {}: packed as it is", path.display()));
    Ok(Model { format: UNKNOWN_FORMAT, facts, files, mains: Vec::new(), findings, notes })
}

#[cfg(test)]
mod tests;
