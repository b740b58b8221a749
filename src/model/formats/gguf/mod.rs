//! GGUF: weights, vocabulary and settings of a language model in one file, or in several parts.

mod bytes;
mod describe;
mod error;
mod file;
mod parts;
mod tensors;
mod types;
mod values;

use super::small::{has_extension, is_at_top};
use super::{Format, Place, Reading, ServedName, Serving, huggingface};
use crate::kserve::Runtime;
use crate::model::facts::cut_list;
use crate::model::lint::{Finding, rules};
use crate::model::{ModelError, ModelFile, Tree, lfs};
use parts::Part;
use tensors::Tensors;

pub use error::{Defect, GgufError};
pub use file::GgufFile;
pub use tensors::{Count, Cut};
pub use values::Value;

/// `*.gguf`.
pub const FORMAT: Format =
    Format { name: "gguf", detect, read, servings: &[Serving { runtime: Runtime::Vllm, place: Place::Top, name: ServedName::Kept }] };

/// Of the two, the one at the top is the model and the other an extra; Hugging Face weights are the model in any case.
fn detect(tree: &Tree) -> bool {
    let onnx_at_top = tree.files().iter().any(|file| is_at_top(&file.path) && has_extension(&file.path, "onnx"));
    tree.files().iter().any(|file| is_gguf(&file.path)) && !onnx_at_top && !huggingface::has_weights(tree)
}

fn is_gguf(path: &str) -> bool {
    has_extension(path, "gguf")
}

/// Reads every GGUF file; facts are told where they are of one model.
fn read(tree: &Tree) -> Result<Reading, ModelError> {
    let mut models = Models { tree, all: Vec::new(), reading: Reading::default() };
    for file in tree.files().iter().filter(|file| is_gguf(&file.path)) {
        models.add(file)?;
    }
    Ok(models.finish())
}

/// What was read of one model: its first part, and the tensors of all.
struct Found {
    path: String,
    part: Option<Part>,
    first: Option<GgufFile>,
    tensors: Tensors,
}

/// The models of a folder, as they are read.
struct Models<'a> {
    tree: &'a Tree,
    all: Vec<Found>,
    reading: Reading,
}

impl Models<'_> {
    /// One more file: a model, or a part of one.
    fn add(&mut self, file: &ModelFile) -> Result<(), ModelError> {
        let part = Part::named(&file.path);
        let known =
            part.as_ref().and_then(|part| self.all.iter().position(|other| other.part.as_ref().is_some_and(|other| other.is_beside(part))));
        let first = self.header(file, part.as_ref())?;
        let tensors = first.as_ref().map(|file| file.tensors.clone()).unwrap_or_default();
        if let Some(found) = known.and_then(|at| self.all.get_mut(at)) {
            found.tensors.merge(&tensors);
            return Ok(());
        }
        let others = part.as_ref().map(|part| part.others(self.tree, &file.path)).transpose()?;
        self.all.push(Found { path: file.path.clone(), part, first, tensors });
        self.add_others(others.unwrap_or_default())
    }

    /// The other parts; beside a single file they come along.
    fn add_others(&mut self, (others, missing): (Vec<ModelFile>, Vec<Finding>)) -> Result<(), ModelError> {
        self.reading.findings.extend(missing);
        for file in others.into_iter().filter(|file| self.tree.file(&file.path).is_none()) {
            self.add(&file)?;
            self.reading.companions.push(file);
        }
        Ok(())
    }

    /// What a file says; nothing where it was never downloaded, which is a finding.
    fn header(&mut self, file: &ModelFile, part: Option<&Part>) -> Result<Option<GgufFile>, ModelError> {
        let findings = &mut self.reading.findings;
        if lfs::is_pointer(file) {
            findings.push(Finding::at(&rules::LFS_POINTER, &file.path, "a Git LFS pointer, not the weights"));
            return Ok(None);
        }
        if file.size == 0 {
            findings.push(Finding::at(&rules::TRUNCATED_WEIGHTS, &file.path, "the file is empty"));
            return Ok(None);
        }
        let input = file.open_to_seek().map_err(|source| GgufError::Io { offset: 0, source });
        let header = input.and_then(GgufFile::read).map_err(|error| unreadable(error, self.tree, file))?;
        if let Some(cut) = &header.tensors.cut {
            let what = format!("tensor \"{}\" ends at byte {}, the file has {}", cut.tensor, cut.end, file.size);
            findings.push(Finding::at(&rules::TRUNCATED_WEIGHTS, &file.path, what));
        }
        self.reading.notes.extend(doubts(&file.path, &header));
        self.reading.notes.extend(parts::doubt(&file.path, &header, part));
        Ok(Some(header))
    }

    fn finish(mut self) -> Reading {
        let (models, projectors): (Vec<_>, Vec<_>) = self.all.into_iter().partition(|found| !found.is_projector());
        let models = if models.is_empty() { projectors } else { models };
        self.reading.mains = models.iter().map(|found| found.path.clone()).collect();
        if let [only] = &models[..] {
            only.tell(&mut self.reading);
        } else {
            self.reading.facts.add("models", "models", cut_list(self.reading.mains.iter(), 16));
        }
        self.reading
    }
}

impl Found {
    /// Whether it only turns pictures or sound into input for the model beside it.
    fn is_projector(&self) -> bool {
        let Some(file) = &self.first else { return false };
        file.text("general.type") == Some("mmproj") || file.text("general.architecture") == Some("clip")
    }

    fn tell(&self, reading: &mut Reading) {
        let Some(first) = &self.first else { return };
        reading.facts = describe::facts(first, &self.tensors);
        let Some(part) = &self.part else { return };
        reading.facts.add("parts", "parts", part.count.to_string());
        if part.count > 1 {
            reading.notes.push("vLLM loads a GGUF model from one file only: join the parts with `llama-gguf-split --merge`".to_owned());
        }
    }
}

/// What a server may not take.
fn doubts(path: &str, file: &GgufFile) -> Vec<String> {
    let mut notes = Vec::new();
    if file.big_endian {
        notes.push(format!("{path} is for big-endian machines: no server on amd64 or arm64 loads it"));
    }
    if file.version == 1 {
        notes.push(format!("{path} is GGUF version 1, which current servers no longer load"));
    }
    if let Some(kind) = &file.tensors.unknown {
        notes.push(format!("{path} has tensors of {kind}, which is not known here: their size was not checked"));
    }
    notes
}

fn unreadable(error: GgufError, tree: &Tree, file: &ModelFile) -> ModelError {
    let path = tree.shown(&file.path);
    match error {
        GgufError::Io { source, .. } => ModelError::io("read", path)(source),
        other => {
            let hint = other.hint();
            ModelError::Unreadable { path, format: "GGUF", source: other.into(), hint }
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod writer;
