//! The header of LightGBM's text: `tree`, then lines `name=value` up to an empty one. Lists in it may have a hundred thousand words, so
//! they are read word by word. As in `GBDT::LoadModelFromString` of
//! <https://github.com/microsoft/LightGBM/blob/master/src/boosting/gbdt_model_text.cpp>.

use std::io::{Read, Seek};

use super::error::LightgbmError;
use crate::model::formats::files::Sample;
use crate::model::formats::input::{Input, InputError};

/// Lines of a header; a real one has a dozen.
const MAX_LINES: usize = 128;
/// Bytes of a line, or of a word in a list, that are kept.
const MAX_KEPT: usize = 1024;

/// What a LightGBM model says about itself. Texts are the file's own, cut but not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LightgbmModel {
    /// The version of the text: `v4`.
    pub version: String,
    /// With its parameters: `binary sigmoid:1`.
    pub objective: String,
    /// Classes; 1 for two and for regression.
    pub classes: String,
    /// The number of the last feature.
    pub last_feature: String,
    /// The features' names.
    pub feature_names: Sample,
    /// How many trees there are; none in old versions of the text.
    pub trees: Option<u64>,
    /// Where the trees end, in bytes, as the header says.
    pub end: u64,
}

impl LightgbmModel {
    /// Reads the header.
    ///
    /// # Errors
    /// [`LightgbmError`] with byte and reason.
    pub fn read(input: impl Read + Seek) -> Result<Self, LightgbmError> {
        let mut lines = Lines { input: Input::new(input)? };
        if lines.name()? != "tree" {
            return Err(LightgbmError::FirstLine);
        }
        lines.end()?;
        let mut model = Self::default();
        let mut sizes = 0;
        for _ in 0..MAX_LINES {
            let name = lines.name()?;
            match name.as_str() {
                "" => return model.finished(lines.after_empty()?, sizes),
                "tree_sizes" => sizes = model.tree_sizes(&mut lines)?,
                name => model.set(name, &mut lines)?,
            }
            lines.end()?;
        }
        Err(LightgbmError::Endless { offset: lines.input.at(), limit: MAX_LINES })
    }

    fn set(&mut self, name: &str, lines: &mut Lines<impl Read + Seek>) -> Result<(), LightgbmError> {
        let slot = match name {
            "version" => &mut self.version,
            "objective" => &mut self.objective,
            "num_class" => &mut self.classes,
            "max_feature_idx" => &mut self.last_feature,
            "feature_names" => {
                while let Some(word) = lines.word()? {
                    self.feature_names.push(&word);
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        *slot = lines.value()?;
        Ok(())
    }

    /// Counts the trees and sums up their sizes.
    fn tree_sizes(&mut self, lines: &mut Lines<impl Read + Seek>) -> Result<u64, LightgbmError> {
        let (mut count, mut sum) = (0, 0u64);
        while let Some(word) = lines.word()? {
            let size = word.parse().ok().and_then(|size| sum.checked_add(size));
            sum = size.ok_or(LightgbmError::TreeSize { word })?;
            count += 1;
        }
        self.trees = Some(count);
        Ok(sum)
    }

    fn finished(mut self, start: u64, sizes: u64) -> Result<Self, LightgbmError> {
        for (missing, value) in [("num_class", &self.classes), ("max_feature_idx", &self.last_feature)] {
            if value.is_empty() {
                return Err(LightgbmError::Missing { missing });
            }
        }
        self.end = start.saturating_add(sizes);
        Ok(self)
    }

    /// How many features a row has.
    pub fn features(&self) -> Option<u64> {
        self.last_feature.parse::<u64>().ok()?.checked_add(1)
    }
}

struct Lines<R> {
    input: Input<R>,
}

impl<R: Read + Seek> Lines<R> {
    /// What stands before `=`, which is stepped over, or the whole line; cut.
    fn name(&mut self) -> Result<String, InputError> {
        let name = self.until(b'=', b'\n')?;
        if self.input.peek()? == Some(b'=') {
            self.input.advance();
        }
        Ok(name.trim_end().to_owned())
    }

    /// The rest of the line, cut.
    fn value(&mut self) -> Result<String, InputError> {
        Ok(self.until(b'\n', b'\n')?.trim().to_owned())
    }

    /// The next word of the line, cut.
    fn word(&mut self) -> Result<Option<String>, InputError> {
        while matches!(self.input.peek()?, Some(b' ' | b'\r')) {
            self.input.advance();
        }
        let word = self.until(b' ', b'\n')?;
        Ok(Some(word.trim_end().to_owned()).filter(|word| !word.is_empty()))
    }

    /// Steps over the rest of the line.
    fn end(&mut self) -> Result<(), InputError> {
        while self.input.byte()? != b'\n' {}
        Ok(())
    }

    /// Where the first tree begins.
    fn after_empty(&mut self) -> Result<u64, InputError> {
        if self.input.left() > 0 {
            self.end()?;
        }
        Ok(self.input.at())
    }

    fn until(&mut self, one: u8, other: u8) -> Result<String, InputError> {
        let mut kept = Vec::new();
        while let Some(byte) = self.input.peek()?.filter(|byte| *byte != one && *byte != other) {
            self.input.advance();
            if kept.len() < MAX_KEPT {
                kept.push(byte);
            }
        }
        Ok(String::from_utf8_lossy(&kept).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    const HEADER: &str = "tree\nversion=v4\nnum_class=3\nnum_tree_per_iteration=3\nlabel_index=0\nmax_feature_idx=2\nobjective=multiclass num_class:3\n\
                          feature_names=a b c\nfeature_infos=[0:1] none 1:2\ntree_sizes=10 20\n\nTree=0\n";

    fn read(text: &str) -> Result<LightgbmModel, String> {
        LightgbmModel::read(Cursor::new(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_header_says_what_the_model_is() {
        for text in [HEADER.to_owned(), HEADER.replace('\n', "\r\n")] {
            let model = read(&text).unwrap();
            assert_eq!((model.version.as_str(), model.objective.as_str()), ("v4", "multiclass num_class:3"));
            assert_eq!((model.classes.as_str(), model.features(), model.trees), ("3", Some(3), Some(2)));
            assert_eq!(model.feature_names.shown(), "a, b, c");
            assert_eq!(model.end, text.find("Tree=0").unwrap() as u64 + 30);
        }
    }

    #[test]
    fn old_text_does_not_count_its_trees() {
        assert_eq!(read(&HEADER.replace("tree_sizes=10 20\n", "")).unwrap().trees, None);
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for (text, expected) in [
            ("a tree\n".to_owned(), "its first line is not `tree`"),
            (HEADER.replace("num_class=3\nnum_tree", "num_tree"), "its header has no `num_class=`"),
            (HEADER.replace("max_feature", "min_feature"), "its header has no `max_feature_idx=`"),
            (HEADER.replace("10 20", "10 -20"), "`tree_sizes` has \"-20\" in it, which is no size"),
            (HEADER.replace("10 20", "18446744073709551615 1"), "`tree_sizes` has \"1\" in it, which is no size"),
            ("tree\n".to_owned() + &"a=1\n".repeat(1000), "byte 517: the header has more than 128 lines"),
            (HEADER[..40].to_owned(), "byte 40: 1 bytes are announced, 0 are left"),
        ] {
            assert_eq!(read(&text).unwrap_err(), expected);
        }
    }

    #[test]
    fn a_header_of_one_endless_line_is_read_in_little_memory() {
        let text = HEADER.replace("a b c", &"name ".repeat(400_000)).replace("v4", &"4".repeat(2_000_000));
        let model = read(&text).unwrap();
        assert_eq!((model.version.len(), model.feature_names.count, model.feature_names.first.len()), (MAX_KEPT, 400_000, 8));
    }
}
