//! What formats share about the files of a model: endings, first bytes, and how an error names a file.

use super::Reading;
use super::small::first_bytes;
use crate::model::facts::{MAX_TEXT, cut_list, printable};
use crate::model::file::ReadSeek;
use crate::model::{Dimension, ModelError, ModelFile, TensorInfo, Tree};

/// Inputs or outputs that are told.
const MAX_TENSORS: usize = 256;

/// What a format's own error can advise.
pub(super) trait FormatError: std::error::Error + Send + Sync + 'static {
    /// What the user can do.
    fn hint(&self) -> Option<String>;
}

/// Whether the name ends with a dot and one of these, in upper or lower case.
pub(super) fn has_ending(path: &str, endings: &[&str]) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|one| ending.eq_ignore_ascii_case(one)))
}

/// The first bytes of a file, for a guess at its format; none where it cannot be read: the format that reads it will say so.
pub(super) fn head(file: &ModelFile, limit: u64) -> Vec<u8> {
    first_bytes(file, limit).unwrap_or_default()
}

/// The place of a file that another one names.
pub(super) fn beside(file: &str, name: &str) -> String {
    file.rsplit_once('/').map_or(name.to_owned(), |(folder, _)| format!("{folder}/{name}"))
}

/// Reads one file by its format's parser.
pub(super) fn parsed<T, E: FormatError>(
    tree: &Tree,
    file: &ModelFile,
    format: &'static str,
    parse: fn(Box<dyn ReadSeek>) -> Result<T, E>,
) -> Result<T, ModelError> {
    let input = file.open_to_seek().map_err(ModelError::io("read", tree.shown(&file.path)))?;
    parse(input).map_err(|error| unreadable(tree, file, format, error))
}

/// The error for a file that its format cannot read.
pub(super) fn unreadable(tree: &Tree, file: &ModelFile, format: &'static str, error: impl FormatError) -> ModelError {
    let hint = error.hint();
    ModelError::Unreadable { path: tree.shown(&file.path), format, source: Box::new(error), hint }
}

/// A reading of these files. Of several models only the list is told: which one counts is not known.
pub(super) fn reading_of(files: &[&ModelFile]) -> Reading {
    let mut reading = Reading { mains: files.iter().map(|file| file.path.clone()).collect(), ..Reading::default() };
    if files.len() > 1 {
        reading.facts.add("models", "models", cut_list(files.iter().map(|file| &file.path), 16));
    }
    reading
}

/// Inputs or outputs with harmless texts, cut with a note.
pub(super) fn told(what: &str, all: &[TensorInfo], notes: &mut Vec<String>) -> Vec<TensorInfo> {
    if all.len() > MAX_TENSORS {
        notes.push(format!("{what}: the first {MAX_TENSORS} are told, … and {} more", all.len() - MAX_TENSORS));
    }
    all.iter().take(MAX_TENSORS).map(harmless).collect()
}

fn harmless(tensor: &TensorInfo) -> TensorInfo {
    let dimension = |dimension: &Dimension| match dimension {
        Dimension::Named(name) => Dimension::Named(printable(name)),
        other => other.clone(),
    };
    TensorInfo {
        name: printable(&tensor.name),
        element_type: printable(&tensor.element_type),
        shape: tensor.shape.as_ref().map(|shape| shape.iter().map(dimension).collect()),
    }
}

/// A long list that is counted, and told by its first items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The first few, cut.
    pub first: Vec<String>,
    /// How many there are.
    pub count: u64,
}

impl Sample {
    const KEPT: usize = 8;

    /// Counts one, and keeps it if it is one of the first.
    pub(super) fn push(&mut self, item: &str) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(item.chars().take(MAX_TEXT / Self::KEPT).collect());
        }
    }

    /// `a, b … and 3 more`.
    pub(super) fn shown(&self) -> String {
        let more = self.count - self.first.len() as u64;
        let first = self.first.join(", ");
        if more == 0 { first } else { format!("{first} … and {more} more") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_that_of_the_name() {
        for (path, expected) in [("a.bst", true), ("x/A.BST", true), ("a.json", false), ("bst", false), ("a.bst/b", false), ("", false)] {
            assert_eq!(has_ending(path, &["bst", "ubj"]), expected, "{path}");
        }
    }

    #[test]
    fn a_place_is_beside_the_file() {
        assert_eq!(beside("a.xml", "a.bin"), "a.bin");
        assert_eq!(beside("1/a.xml", "a.bin"), "1/a.bin");
    }

    #[test]
    fn a_sample_keeps_few_and_counts_all() {
        let mut sample = Sample::default();
        (0..10).for_each(|n| sample.push(&n.to_string()));
        assert_eq!(sample.shown(), "0, 1, 2, 3, 4, 5, 6, 7 … and 2 more");
        sample.push(&"x".repeat(10_000));
        assert!(sample.shown().len() < 1024);
    }
}
