//! A model that is split over several files: `NAME-00002-of-00005.gguf`, as llama.cpp writes and finds them.
//! <https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split>

use super::file::GgufFile;
use crate::model::lint::{Finding, rules};
use crate::model::{ModelError, ModelFile, Tree};

/// Missing parts that are told one by one.
const MAX_FINDINGS: u64 = 8;
/// Missing parts after which no more are looked for: an empty file's name may announce a hundred thousand.
const MAX_ABSENT: u64 = 256;

/// Which part of a model a file is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    prefix: String,
    /// From one.
    pub(super) number: u64,
    pub(super) count: u64,
}

impl Part {
    /// The part that a name tells.
    pub(super) fn named(path: &str) -> Option<Self> {
        let (stem, _) = path.rsplit_once('.')?;
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let part = Self { prefix: prefix.to_owned(), number: five_digits(number)?, count: five_digits(count)? };
        (1..=part.count).contains(&part.number).then_some(part)
    }

    fn path(&self, number: u64) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.prefix, self.count)
    }

    /// Whether both are of one model.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.count == other.count
    }

    /// The other parts that are there, and a finding for each that is not.
    pub(super) fn others(&self, tree: &Tree, path: &str) -> Result<(Vec<ModelFile>, Vec<Finding>), ModelError> {
        let (mut found, mut missing, mut absent) = (Vec::new(), Vec::new(), 0);
        for number in (1..=self.count).filter(|number| *number != self.number) {
            let other = self.path(number);
            if let Some(file) = tree.named(&other)? {
                found.push(file);
                continue;
            }
            absent += 1;
            if absent >= MAX_ABSENT {
                break;
            }
            if absent <= MAX_FINDINGS {
                missing.push(Finding::at(&rules::MISSING_SHARD, path, format!("\"{other}\" is not there")));
            }
        }
        if absent > MAX_FINDINGS {
            let at_least = if absent >= MAX_ABSENT { "at least " } else { "" };
            let what = format!("{at_least}{} more files are not there", absent - MAX_FINDINGS);
            missing.push(Finding::at(&rules::MISSING_SHARD, path, what));
        }
        Ok((found, missing))
    }
}

fn five_digits(text: &str) -> Option<u64> {
    let all = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

/// What the file says about the split that its name does not.
pub(super) fn doubt(path: &str, file: &GgufFile, part: Option<&Part>) -> Option<String> {
    let count = file.count("split.count").filter(|count| *count > 1)?;
    let number = file.count("split.no").unwrap_or(0) + 1;
    match part {
        Some(part) if part.count == count && part.number == number => None,
        _ => Some(format!(
            "{path} is part {number} of {count}, and its name should end in -{number:05}-of-{count:05}.gguf: the other parts are found by name"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_part_by_its_name() {
        let part = |number, count| Some(Part { prefix: "q4/net".to_owned(), number, count });
        for (path, expected) in [
            ("q4/net-00002-of-00005.gguf", part(2, 5)),
            ("q4/net-00006-of-00005.gguf", None),
            ("q4/net-00000-of-00005.gguf", None),
            ("q4/net-2-of-5.gguf", None),
            ("q4/net-+0002-of-00005.gguf", None),
            ("q4/net.gguf", None),
        ] {
            assert_eq!(Part::named(path), expected, "{path}");
        }
        assert_eq!(Part::named("net-00002-of-00005.gguf").unwrap().path(3), "net-00003-of-00005.gguf");
    }

    #[test]
    fn parts_without_number_are_not_looked_for_one_by_one() {
        let dir = crate::model::formats::testing::folder(&[("n-00001-of-99999.gguf", "x")]);
        let tree = Tree::scan(dir.path(), crate::model::Links::Inside).unwrap();
        let (found, missing) = Part::named("n-00001-of-99999.gguf").unwrap().others(&tree, "n").unwrap();
        assert_eq!((found.len(), missing.len()), (0, 9));
        assert_eq!(missing[8].what, "at least 248 more files are not there");
    }
}
