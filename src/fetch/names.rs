//! Which places in a folder a stranger may name. Pure.

use std::collections::BTreeMap;

use super::FetchError;
use crate::model::MAX_DEPTH;
use crate::oci::printable;

/// What Linux opens, in bytes.
const MAX_PATH: usize = 4096;
/// What file systems store, in bytes.
const MAX_NAME: usize = 255;

/// Why nothing may be written to a place, if that is so.
pub(super) fn objection(path: &str) -> Option<&'static str> {
    let parts = || path.split('/');
    match () {
        () if path.is_empty() => Some("it is empty"),
        () if path.len() > MAX_PATH => Some("it has more than 4096 bytes"),
        () if path.starts_with('/') => Some("it is absolute"),
        () if parts().any(|part| matches!(part, "" | "." | "..")) => Some("it climbs or goes through no folder"),
        () if parts().any(|part| part.len() > MAX_NAME) => Some("a part of it has more than 255 bytes"),
        () if parts().count() > MAX_DEPTH => Some("it has more than 64 folders within each other"),
        () if path.contains('\\') => Some("it holds a backslash"),
        () if path.chars().any(char::is_control) => Some("it holds a control character"),
        // https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
        () if parts().any(|part| part.starts_with(".wh.")) => Some("in an image layer it means a deletion"),
        () => None,
    }
}

/// Refuses a place that nothing may be written to.
pub(super) fn ensure_plain(path: &str) -> Result<(), FetchError> {
    objection(path).map_or(Ok(()), |reason| Err(FetchError::Name { path: printable(path, 200), reason }))
}

/// Refuses files that cannot all lie in one folder: the same name twice, also where letters count alike in upper and lower case (a volume
/// may be such a file system), and a file where another one needs a folder.
pub(super) fn ensure_apart<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), FetchError> {
    let mut files = BTreeMap::new();
    let mut folders = BTreeMap::new();
    for path in paths {
        let folded = path.to_lowercase();
        if let Some(other) = files.insert(folded.clone(), path) {
            return Err(clash(other, path));
        }
        for (end, _) in folded.match_indices('/') {
            folders.entry(folded[..end].to_owned()).or_insert(path);
        }
    }
    match folders.iter().find_map(|(folder, below)| files.get(folder).map(|file| (*file, *below))) {
        Some((file, below)) => Err(clash(file, below)),
        None => Ok(()),
    }
}

fn clash(first: &str, second: &str) -> FetchError {
    FetchError::Clash { first: printable(first, 200), second: printable(second, 200) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_lies_below_the_folder_and_has_a_plain_name() {
        for path in ["model.onnx", "1/model.onnx", "模型 v1 (final).onnx", "..data", "a..b/c"] {
            assert_eq!(objection(path), None, "{path}");
        }
        let (long, deep) = ("x".repeat(256), "a/".repeat(64) + "b");
        let endless = "ab/".repeat(2000) + "b";
        let refused = ["", "/etc/passwd", "..", "a/../b", "a//b", "./a", "a/", "a\\b", "a\0b", "a\nb", "a/.wh.b", &long, &deep, &endless];
        for path in refused {
            assert!(ensure_plain(path).is_err(), "{path:?}");
        }
        let error = ensure_plain("a/\u{1b}[2J").unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn files_lie_beside_each_other_on_every_file_system() {
        for (paths, apart) in [
            (&["a", "b/a", "b/c"][..], true),
            (&["a", "a"], false),
            (&["Model.onnx", "model.onnx"], false),
            (&["straße/É", "straße/é"], false),
            (&["a", "a/b"], false),
            (&["A/b", "a"], false),
            (&["ab", "a/b"], true),
        ] {
            assert_eq!(ensure_apart(paths.iter().copied()).is_ok(), apart, "{paths:?}");
        }
    }
}
