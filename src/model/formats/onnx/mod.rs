//! ONNX: `*.onnx`, and the files that hold its external data.

mod describe;
mod error;
mod external;
pub mod inline;
mod schema;
mod tensor;
mod types;
mod value;

use std::collections::BTreeSet;

use super::files::{beside, reading_of};
use super::{Format, Place, Reading, ServedName, Serving};
use crate::kserve::Runtime;
use crate::model::{ModelError, ModelFile, Tree};

pub use error::{Defect, OnnxError, Refusal};
pub use external::ExternalFile;
pub use schema::{OnnxModel, Tally};

/// `*.onnx`.
pub const FORMAT: Format = Format {
    name: "onnx",
    detect: |tree| tree.files().iter().any(|file| is_onnx(&file.path)),
    read,
    servings: &[
        Serving { runtime: Runtime::Ovms, place: Place::Version, name: NAME },
        Serving { runtime: Runtime::Triton, place: Place::Repository, name: NAME },
        Serving { runtime: Runtime::Mlserver, place: Place::Top, name: NAME },
    ],
};

/// Triton and MLServer look for this name; OpenVINO Model Server takes any.
const NAME: ServedName = ServedName::File("model.onnx");

/// What a data file that no model refers to may look like, and from which size it is worth a word.
const DATA_SUFFIXES: [&str; 4] = [".data", ".onnx_data", ".weight", ".weights"];
const LARGE: u64 = 1 << 20;

pub(super) fn is_onnx(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("onnx"))
}

/// Reads every ONNX file; facts are told where there is only one.
fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let files: Vec<_> = tree.files().iter().filter(|file| is_onnx(&file.path)).collect();
    let mut reading = reading_of(&files);
    let mut used = BTreeSet::new();
    for file in &files {
        let (model, data) = read_one(tree, file).map_err(|error| error.of(tree, file))?;
        if files.len() == 1 {
            reading.facts = describe::facts(&model, &mut reading.notes);
        }
        used.extend(data.iter().map(|file| file.path.clone()));
        reading.companions.extend(data);
    }
    reading.notes.extend(doubts(tree, &used));
    Ok(reading)
}

/// One file, and the data files it names.
fn read_one(tree: &Tree, file: &ModelFile) -> Result<(OnnxModel, Vec<ModelFile>), ReadError> {
    let input = file.open_to_seek().map_err(|source| OnnxError::Io { offset: 0, source })?;
    let model = OnnxModel::read(input)?;
    let mut data = Vec::new();
    for (location, external) in &model.external {
        let place = beside(&file.path, location);
        if place == file.path {
            let refusal = Refusal::Location { location: location.clone(), why: "is the model file itself" };
            return Err(OnnxError::external(&external.last_tensor, refusal).into());
        }
        let found = tree.named(&place)?;
        if found.is_none() && tree.leaves_out(&place) {
            return Err(OnnxError::external(&external.last_tensor, Refusal::LeftOut { location: location.clone() }).into());
        }
        external.check_size(location, found.as_ref().map(|file| file.size))?;
        data.extend(found);
    }
    Ok((model, data))
}

/// A defect of the file, or of the folder around it.
enum ReadError {
    Onnx(OnnxError),
    Model(ModelError),
}

impl From<OnnxError> for ReadError {
    fn from(error: OnnxError) -> Self {
        Self::Onnx(error)
    }
}

impl From<ModelError> for ReadError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl ReadError {
    fn of(self, tree: &Tree, file: &ModelFile) -> ModelError {
        let path = tree.shown(&file.path);
        match self {
            Self::Model(error) => error,
            Self::Onnx(OnnxError::Io { source, .. }) => ModelError::io("read", path)(source),
            Self::Onnx(error) => {
                let hint = error.hint();
                ModelError::Unreadable { path, format: "ONNX", source: error.into(), hint }
            }
        }
    }
}

/// What may be a mistake.
fn doubts(tree: &Tree, used: &BTreeSet<String>) -> Vec<String> {
    let looks_like_data = |path: &str| DATA_SUFFIXES.iter().any(|suffix| path.ends_with(suffix));
    let unused = tree.files().iter().filter(|file| file.size >= LARGE && looks_like_data(&file.path) && !used.contains(&file.path));
    unused.take(8).map(|file| format!("{} ({} bytes) is used by no ONNX file", file.path, file.size)).collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod writer;
