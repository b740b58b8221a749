//! Which files of a source are wanted. Pure.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::FetchError;

/// The most patterns.
const MAX_PATTERNS: usize = 1000;

/// Patterns as in a `.gitignore`. Without any, everything is wanted.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    include: Option<Gitignore>,
    exclude: Option<Gitignore>,
}

impl Globs {
    /// Reads patterns: what is wanted (nothing: everything), and what is not.
    ///
    /// # Errors
    /// A pattern that cannot be read, or more than a thousand.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, FetchError> {
        Ok(Self { include: matcher(include)?, exclude: matcher(exclude)? })
    }

    /// Whether there is no pattern.
    pub(super) fn is_everything(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }

    /// Whether a file is wanted.
    pub fn want(&self, path: &str) -> bool {
        let matches = |globs: &Gitignore| globs.matched_path_or_any_parents(path, false).is_ignore();
        self.include.as_ref().is_none_or(matches) && !self.exclude.as_ref().is_some_and(matches)
    }
}

fn matcher(patterns: &[String]) -> Result<Option<Gitignore>, FetchError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    if patterns.len() > MAX_PATTERNS {
        return Err(FetchError::TooMuch { most: format!("{MAX_PATTERNS} patterns") });
    }
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        let refused = |source| FetchError::Pattern { pattern: pattern.clone(), source };
        builder.add_line(None, pattern).map_err(refused)?;
    }
    builder.build().map(Some).map_err(|source| FetchError::Pattern { pattern: patterns.join(" "), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_and_not_excluded_is_wanted() {
        let list = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>();
        for (include, exclude, path, wanted) in [
            (&[][..], &[][..], "a.bin", true),
            (&["*.onnx", "*.json"], &[], "onnx/model.onnx", true),
            (&["*.onnx"], &[], "model.bin", false),
            (&["onnx/"], &[], "onnx/q8/model.onnx", true),
            (&[], &["*.msgpack", "*.h5"], "flax_model.msgpack", false),
            (&["*.bin"], &["training_args.bin"], "training_args.bin", false),
            (&["/config.json"], &[], "sub/config.json", false),
        ] {
            let globs = Globs::new(&list(include), &list(exclude)).unwrap();
            assert_eq!(globs.want(path), wanted, "{include:?} {exclude:?} {path}");
        }
        assert!(Globs::new(&list(&["[z-a]"]), &[]).unwrap_err().to_string().contains("[z-a]"));
        assert!(Globs::new(&[], &vec!["x".to_owned(); 1001]).is_err());
    }
}
