//! The headers of all weight files of a model, taken together.

use std::collections::BTreeMap;

use super::error::{Defect, SafetensorsError};
use super::{Header, MAX_TENSORS, Tally};
use crate::model::lint::{Finding, rules};
use crate::model::{ModelError, ModelFile, Tree, lfs};

/// The smallest file that can say anything: a length.
const MIN_SIZE: u64 = 8;

/// What the weight files of a model say, and what is wrong with them.
#[derive(Debug, Default)]
pub(in crate::model::formats) struct Weights {
    headers: BTreeMap<String, Header>,
    /// Files that end early or were never downloaded.
    pub(in crate::model::formats) findings: Vec<Finding>,
}

impl Weights {
    /// Reads the headers of these files.
    pub(in crate::model::formats) fn read<'a>(tree: &Tree, files: impl IntoIterator<Item = &'a ModelFile>) -> Result<Self, ModelError> {
        let mut weights = Self::default();
        let mut tensors = 0;
        for file in files {
            tensors += weights.add(file, tensors).map_err(|error| unreadable(error, tree, file))?;
        }
        Ok(weights)
    }

    /// One more file; how many tensors it has.
    fn add(&mut self, file: &ModelFile, before: usize) -> Result<usize, SafetensorsError> {
        if lfs::is_pointer(file) {
            self.findings.push(Finding::at(&rules::LFS_POINTER, &file.path, "a Git LFS pointer, not the weights"));
            return Ok(0);
        }
        if file.size < MIN_SIZE {
            let what = format!("it has {} bytes, not even the length of its header", file.size);
            self.findings.push(Finding::at(&rules::TRUNCATED_WEIGHTS, &file.path, what));
            return Ok(0);
        }
        let header = Header::read(file.open_to_seek().map_err(|source| SafetensorsError::Io { offset: 0, source })?)?;
        let count = header.tally.tensors;
        if before + count > MAX_TENSORS {
            return Err(SafetensorsError::malformed(MIN_SIZE, Defect::TooMany { limit: MAX_TENSORS }));
        }
        if let Some(cut) = &header.cut {
            let what = format!("tensor \"{}\" ends at byte {}, the file has {}", cut.tensor, cut.end, file.size);
            self.findings.push(Finding::at(&rules::TRUNCATED_WEIGHTS, &file.path, what));
        }
        self.headers.insert(file.path.clone(), header);
        Ok(count)
    }

    /// Whether a file holds a tensor; none where its header was not read.
    pub(in crate::model::formats) fn holds(&self, file: &str, tensor: &str) -> Option<bool> {
        self.headers.get(file).map(|header| header.holds(tensor))
    }

    /// How much of what there is in the files that are `used`.
    pub(in crate::model::formats) fn tally(&self, used: impl Fn(&str) -> bool) -> Tally {
        let mut sum = Tally::default();
        for (_, header) in self.headers.iter().filter(|(path, _)| used(path)) {
            sum.merge(&header.tally);
        }
        sum
    }

    /// The first entries of the first file's `__metadata__`.
    pub(in crate::model::formats) fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let first = self.headers.values().next();
        first.into_iter().flat_map(|header| &header.metadata).map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn unreadable(error: SafetensorsError, tree: &Tree, file: &ModelFile) -> ModelError {
    let path = tree.shown(&file.path);
    match error {
        SafetensorsError::Io { source, .. } => ModelError::io("read", path)(source),
        other => {
            let hint = other.hint();
            ModelError::Unreadable { path, format: "safetensors", source: other.into(), hint }
        }
    }
}
