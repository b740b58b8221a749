//! The small texts of a model, one at a time: configurations, and whatever is short enough to be a pointer or a key. Bounded, because a
//! stranger chose the files.

use std::io::Read;

use crate::model::{ModelError, PlacedFile, ServingLayout};

/// The longest configuration that is read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// The longest file of any other name that is read, in bytes: a private key or an LFS pointer has less.
const MAX_OTHER: u64 = 16 << 10;
/// All that is read of one model, in bytes.
const MAX_TOTAL: u64 = 16 << 20;
/// All files that are opened.
const MAX_OPENED: usize = 20_000;

/// How the names of configurations end.
const CONFIG_ENDINGS: [&str; 9] = ["json", "pbtxt", "properties", "yaml", "yml", "toml", "ini", "cfg", "conf"];
/// Words, not settings: of a vocabulary nothing follows.
const VOCABULARIES: [&str; 5] = ["tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json", "merges.json"];

/// A file of the layout and what is in it.
pub(super) struct Text<'a> {
    pub(super) placed: &'a PlacedFile,
    pub(super) content: String,
}

impl Text<'_> {
    /// Its place in the model.
    pub(super) fn path(&self) -> &str {
        &self.placed.file.path
    }

    pub(super) fn name(&self) -> &str {
        file_name(self.path())
    }

    pub(super) fn is_config(&self) -> bool {
        is_config(self.path())
    }
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The ending of a path, without the dot.
pub(super) fn ending(path: &str) -> &str {
    file_name(path).rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn is_config(path: &str) -> bool {
    let is_word_list = VOCABULARIES.contains(&file_name(path)) || path.ends_with(".index.json");
    CONFIG_ENDINGS.contains(&ending(path)) && !is_word_list
}

/// Shows every small text of a layout.
///
/// # Errors
/// A file that cannot be read, or that changed since the model was read.
pub(super) fn each(layout: &ServingLayout, mut show: impl FnMut(&Text<'_>)) -> Result<(), ModelError> {
    let mut left = MAX_TOTAL;
    for placed in layout.files.iter().filter(|placed| is_small(placed)).take(MAX_OPENED) {
        let size = placed.file.size;
        let Some(rest) = left.checked_sub(size) else {
            tracing::debug!("read {MAX_TOTAL} bytes of configurations; {} and what follows is not looked at", placed.file.path);
            return Ok(());
        };
        left = rest;
        show(&Text { placed, content: read(placed)? });
    }
    Ok(())
}

fn is_small(placed: &PlacedFile) -> bool {
    let most = if is_config(&placed.file.path) { MAX_CONFIG } else { MAX_OTHER };
    (1..=most).contains(&placed.file.size)
}

fn read(placed: &PlacedFile) -> Result<String, ModelError> {
    let mut bytes = Vec::new();
    let mut file = placed.file.open().map_err(ModelError::io("read", &placed.file.path))?.take(MAX_CONFIG);
    file.read_to_end(&mut bytes).map_err(ModelError::io("read", &placed.file.path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kserve::Runtime;
    use crate::model::ModelFile;

    fn layout(files: Vec<ModelFile>) -> ServingLayout {
        let files = files.into_iter().map(|file| PlacedFile { target: file.path.clone(), file }).collect();
        ServingLayout { runtime: Runtime::Raw, why: String::new(), files, args: Vec::new(), notes: Vec::new() }
    }

    fn shown(layout: &ServingLayout) -> Vec<String> {
        let mut paths = Vec::new();
        each(layout, |text| paths.push(text.path().to_owned())).unwrap();
        paths
    }

    #[test]
    fn shows_configurations_to_a_mebibyte_and_all_that_is_short() {
        let file = |path: &str, size: u64| ModelFile::generated(path, vec![b'x'; usize::try_from(size).unwrap()]);
        let files = vec![
            file("a/config.json", MAX_CONFIG),
            file("b.json", MAX_CONFIG + 1),
            file("empty.json", 0),
            file("key", MAX_OTHER),
            file("model.bin", MAX_OTHER + 1),
            file("tokenizer.json", MAX_OTHER + 1),
        ];
        assert_eq!(shown(&layout(files)), ["a/config.json", "key"]);
    }

    #[test]
    fn ten_thousand_configurations_are_not_read_to_the_end() {
        let big = ModelFile::generated("c.json", vec![b'x'; usize::try_from(MAX_CONFIG).unwrap()]);
        assert_eq!(shown(&layout(vec![big; 100])).len(), 16);
    }

    #[test]
    fn names_end_behind_the_last_slash_and_dot() {
        for (path, name, end) in [("a.b/c", "c", ""), ("a/b.tar.gz", "b.tar.gz", "gz"), (".env", ".env", "env"), ("x", "x", "")] {
            assert_eq!((file_name(path), ending(path)), (name, end));
        }
    }
}
