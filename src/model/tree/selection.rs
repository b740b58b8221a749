//! Which files of a folder belong to the model: the user's patterns, `.modelignore`, and what training and other frameworks leave
//! beside the weights.
//!
//! All patterns are those of gitignore (<https://git-scm.com/docs/gitignore>) and match the places of files in the model, never what a
//! link leads to. `--include` wins over everything but litter and secrets, which come back only by their exact name.

use std::fs;
use std::io::Read;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::names;
use crate::model::{ModelError, Patterns};

/// The file of patterns in a model's folder.
pub(super) const IGNORE_FILE: &str = ".modelignore";
/// The largest such file, in bytes; and the most patterns that the user, or all such files together, may give: sixty folders within each
/// other would otherwise bring sixty thousand.
const MAX_IGNORE_FILE: u64 = 64 << 10;
pub(super) const MAX_PATTERNS: usize = 1000;

/// The user's patterns, ready to match.
#[derive(Debug)]
pub(super) struct Selection {
    include: Gitignore,
    exclude: Gitignore,
    /// The include patterns that name one file or folder: without wildcards and slashes around.
    exact: Vec<String>,
}

/// What is to be done with a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It belongs to the model.
    Taken,
    /// It does, because the user says so.
    Included,
    /// It does not.
    LeftOut(&'static str),
}

/// Where something lies, as far as it matters for the verdict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    /// In the model.
    pub(super) path: &'a str,
    pub(super) is_folder: bool,
    /// The names beside it.
    pub(super) siblings: &'a Siblings,
    /// What holds for its folder.
    pub(super) folder: Verdict,
}

impl Selection {
    /// Reads the user's patterns.
    pub(super) fn new(patterns: &Patterns) -> Result<Self, ModelError> {
        let exact = patterns.include.iter().filter(|pattern| !pattern.contains(['*', '?', '[', '\\', '!']));
        Ok(Self {
            include: globs(&patterns.include)?,
            exclude: globs(&patterns.exclude)?,
            exact: exact.map(|pattern| pattern.trim_matches('/').to_owned()).collect(),
        })
    }

    /// Whether something may be brought back from a folder that is left out.
    pub(super) fn may_bring_back(&self) -> bool {
        !self.include.is_empty()
    }

    /// Judges a file or folder; `ignored` are the patterns of the folders above it, the innermost last.
    pub(super) fn judge(&self, candidate: &Candidate<'_>, ignored: &[IgnoreFile]) -> Verdict {
        let Candidate { path, is_folder, siblings, folder } = *candidate;
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(why) = names::litter(path) {
            return if self.names(path, name) { Verdict::Included } else { Verdict::LeftOut(why) };
        }
        if name == IGNORE_FILE {
            return Verdict::LeftOut("its patterns are for the build, not for a server");
        }
        if folder == Verdict::Included || self.include.matched(path, is_folder).is_ignore() {
            return Verdict::Included;
        }
        if let Verdict::LeftOut(why) = folder {
            return Verdict::LeftOut(why);
        }
        if self.exclude.matched(path, is_folder).is_ignore() {
            return Verdict::LeftOut("--exclude");
        }
        match verdict_of(ignored, path, is_folder) {
            Some(verdict) => verdict,
            None => siblings.leftover(name, is_folder).map_or(Verdict::Taken, Verdict::LeftOut),
        }
    }

    fn names(&self, path: &str, name: &str) -> bool {
        self.exact.iter().any(|exact| exact == path || exact == name)
    }
}

fn globs(patterns: &[String]) -> Result<Gitignore, ModelError> {
    let mut builder = GitignoreBuilder::new("");
    if patterns.len() > MAX_PATTERNS {
        return Err(ModelError::pattern(&patterns[MAX_PATTERNS], "there are too many patterns"));
    }
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|error| ModelError::pattern(pattern, error))?;
    }
    builder.build().map_err(|error| ModelError::pattern(&patterns.join(" "), error))
}

/// The patterns of one folder.
#[derive(Debug)]
pub(super) struct IgnoreFile {
    /// The folder in the model; the patterns are relative to it.
    folder: String,
    patterns: Gitignore,
}

impl IgnoreFile {
    /// Reads the `.modelignore` at `source`; links are resolved. `left` is how many lines there may still be.
    pub(super) fn read(folder: &str, source: &Path, left: &mut usize) -> Result<Self, ModelError> {
        let text = text(source)?;
        let mut builder = GitignoreBuilder::new("");
        for (at, line) in text.lines().enumerate() {
            let refused =
                |why: &dyn std::fmt::Display| ModelError::IgnoreFile { path: source.to_owned(), line: at + 1, why: why.to_string() };
            if *left == 0 {
                return Err(refused(&format!("it has more than {MAX_PATTERNS} lines, with those of the folders before it")));
            }
            *left -= 1;
            builder.add_line(None, line).map_err(|error| refused(&error))?;
        }
        let patterns =
            builder.build().map_err(|error| ModelError::IgnoreFile { path: source.to_owned(), line: 1, why: error.to_string() })?;
        Ok(Self { folder: folder.to_owned(), patterns })
    }

    fn matched(&self, path: &str, is_folder: bool) -> Match<()> {
        let below =
            if self.folder.is_empty() { Some(path) } else { path.strip_prefix(&self.folder).and_then(|path| path.strip_prefix('/')) };
        below.map_or(Match::None, |below| self.patterns.matched(below, is_folder).map(|_| ()))
    }
}

fn text(source: &Path) -> Result<String, ModelError> {
    let unreadable = ModelError::io("read", source);
    let mut text = String::new();
    let read = fs::File::open(source).and_then(|file| file.take(MAX_IGNORE_FILE + 1).read_to_string(&mut text));
    let size = read.map_err(unreadable)?;
    if size as u64 > MAX_IGNORE_FILE {
        let why = format!("the file is larger than {MAX_IGNORE_FILE} bytes");
        return Err(ModelError::IgnoreFile { path: source.to_owned(), line: text.lines().count(), why });
    }
    Ok(text)
}

/// The innermost file that says something decides, as with git.
fn verdict_of(ignored: &[IgnoreFile], path: &str, is_folder: bool) -> Option<Verdict> {
    ignored.iter().rev().find_map(|file| match file.matched(path, is_folder) {
        Match::Ignore(()) => Some(Verdict::LeftOut(IGNORE_FILE)),
        // `!pattern` takes a file out of the patterns before it and out of what is left out by custom.
        Match::Whitelist(()) => Some(Verdict::Taken),
        Match::None => None,
    })
}

/// What else is in a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Siblings {
    /// Hugging Face weights as safetensors.
    safetensors: bool,
    /// What a trainer leaves.
    trained: bool,
}

impl Siblings {
    /// Of the names in a folder.
    pub(super) fn of(names: &[&str]) -> Self {
        let is_shard = |name: &str| name.starts_with("model-") && name.contains("-of-") && name.ends_with(".safetensors");
        let is_weights = |name: &str| name == "model.safetensors" || name == "model.safetensors.index.json" || is_shard(name);
        let safetensors = names.contains(&"config.json") && names.iter().any(|name| is_weights(name));
        let trained = safetensors || names.contains(&"training_args.bin") || names.contains(&"trainer_state.json");
        Self { safetensors, trained }
    }

    /// Why a file or folder is left out by custom: training leaves it, or it is the same weights once more. Only what is certain:
    /// weights of other frameworks go only where the safetensors are.
    fn leftover(self, name: &str, is_folder: bool) -> Option<&'static str> {
        const TRAINING: &str = "left by training";
        const TWICE: &str = "the weights are there as safetensors";
        let Self { safetensors, trained } = self;
        let is = |start: &str, end: &str| name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end);
        if is_folder {
            return match name {
                "original" if safetensors => Some(TWICE),
                "runs" if trained => Some(TRAINING),
                _ if trained && is_checkpoint(name) => Some(TRAINING),
                _ => None,
            };
        }
        let duplicate = is("consolidated", ".safetensors")
            || is("consolidated", ".pth")
            || is("pytorch_model", ".bin")
            || is("tf_model", ".h5")
            || is("flax_model", ".msgpack")
            || ["pytorch_model.bin.index.json", "consolidated.safetensors.index.json", "rust_model.ot"].contains(&name);
        let training = name == "training_args.bin"
            || is("rng_state", ".pth")
            || name.starts_with("events.out.tfevents")
            || (trained && ["optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt"].contains(&name));
        match () {
            () if safetensors && duplicate => Some(TWICE),
            () if training => Some(TRAINING),
            () if is("", ".lock") => Some("a lock, no part of a model"),
            () => None,
        }
    }
}

/// `checkpoint-500`, as the Hugging Face trainer names them.
fn is_checkpoint(name: &str) -> bool {
    name.strip_prefix("checkpoint-").is_some_and(|step| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_only_those_that_are_certain() {
        let hugging_face = Siblings::of(&["config.json", "model-00001-of-00002.safetensors"]);
        let trained = Siblings::of(&["trainer_state.json", "pytorch_model.bin"]);
        let other = Siblings::of(&["model.onnx", "config.json"]);
        for (name, is_folder, expected) in [
            ("original", true, [true, false, false]),
            ("original", false, [false, false, false]),
            ("consolidated.00.pth", false, [true, false, false]),
            ("consolidated.safetensors", false, [true, false, false]),
            ("pytorch_model-00001-of-00002.bin", false, [true, false, false]),
            ("pytorch_model.bin", false, [true, false, false]),
            ("tf_model.h5", false, [true, false, false]),
            ("flax_model.msgpack", false, [true, false, false]),
            ("rust_model.ot", false, [true, false, false]),
            ("runs", true, [true, true, false]),
            ("checkpoint-500", true, [true, true, false]),
            ("checkpoint-best", true, [false, false, false]),
            ("optimizer.pt", false, [true, true, false]),
            ("training_args.bin", false, [true, true, true]),
            ("rng_state_0.pth", false, [true, true, true]),
            ("events.out.tfevents.17.host", false, [true, true, true]),
            ("poetry.lock", false, [true, true, true]),
            ("onnx", true, [false, false, false]),
            ("model.bin", false, [false, false, false]),
            ("model.h5", false, [false, false, false]),
            ("adapter_model.bin", false, [false, false, false]),
        ] {
            let found = [hugging_face, trained, other].map(|siblings| siblings.leftover(name, is_folder).is_some());
            assert_eq!(found, expected, "{name}");
        }
    }

    fn verdict(include: &[&str], exclude: &[&str], path: &str, is_folder: bool) -> Verdict {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let selection = Selection::new(&Patterns { include: owned(include), exclude: owned(exclude) }).unwrap();
        selection.judge(&Candidate { path, is_folder, siblings: &Siblings::default(), folder: Verdict::Taken }, &[])
    }

    #[test]
    fn include_wins_over_exclude() {
        let excluded = Verdict::LeftOut("--exclude");
        for (include, exclude, path, expected) in [
            (&[][..], &["*.bin"][..], "sub/w.bin", excluded),
            (&[], &["*.bin"], "w.safetensors", Verdict::Taken),
            (&["keep.bin"], &["*.bin"], "sub/keep.bin", Verdict::Included),
            (&[], &["/w.bin"], "sub/w.bin", Verdict::Taken),
            (&[], &["sub/**"], "sub/deep/w.bin", excluded),
            (&[], &["*.bin", "!keep.bin"], "keep.bin", Verdict::Taken),
        ] {
            assert_eq!(verdict(include, exclude, path, false), expected, "{include:?} {exclude:?} {path}");
        }
        assert_eq!(verdict(&[], &["sub/"], "sub", true), excluded);
        assert_eq!(verdict(&[], &["sub/"], "sub", false), Verdict::Taken);
    }

    #[test]
    fn a_secret_comes_back_only_by_its_exact_name() {
        for (include, included) in
            [("*", false), (".e*", false), ("**/.env", false), ("[.]env", false), (".env", true), ("a/.env", true), ("/a/.env", true)]
        {
            assert_eq!(verdict(&[include], &[], "a/.env", false) == Verdict::Included, included, "{include}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_named() {
        let error = Selection::new(&Patterns { include: vec!["[z-a]".to_owned()], exclude: vec![] }).unwrap_err();
        assert!(error.to_string().contains("\"[z-a]\""), "{error}");
        let many = vec!["x".to_owned(); MAX_PATTERNS + 1];
        assert!(Selection::new(&Patterns { include: vec![], exclude: many }).is_err());
    }
}
