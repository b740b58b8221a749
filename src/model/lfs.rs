//! Git LFS pointers: what a clone without LFS has in the place of its large files, and so the commonest broken model.
//! See <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>.

use std::io;

use super::{ModelError, ModelFile, Tree};

/// A pointer is shorter, in bytes.
const LIMIT: u64 = 1024;
/// Files that are looked at when a model cannot be read: its small files, not a hundred thousand.
const MAX_LOOKS: usize = 1000;

/// Whether this text is a pointer.
pub(super) fn is_pointer_text(text: &str) -> bool {
    text.starts_with("version https://git-lfs.github.com/spec/")
}

/// Whether a file is one.
pub(super) fn is_pointer(file: &ModelFile) -> bool {
    let text = || io::read_to_string(file.open().ok()?).ok();
    file.size < LIMIT && text().is_some_and(|text| is_pointer_text(&text))
}

/// The error of a format that met a pointer, or a model that lacks its weights for one: told as what it is.
pub(super) fn blame(error: ModelError, tree: &Tree) -> ModelError {
    let ModelError::Unreadable { path, format, source, hint } = error else { return error };
    let small = tree.files().iter().filter(|file| file.size < LIMIT).take(MAX_LOOKS);
    let pointers: Vec<_> = small.filter(|file| is_pointer(file)).map(|file| tree.shown(&file.path)).collect();
    if pointers.contains(&path) {
        return ModelError::LfsPointer { path, format };
    }
    let pointer = pointers.first().map(|pointer| format!("{} is a Git LFS pointer: {}", pointer.display(), ModelError::LFS_HINT));
    ModelError::Unreadable { path, format, source, hint: pointer.or(hint) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::is_pointer;
    use crate::model::{ModelError, ModelFile, ReadOptions, read};

    const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";

    #[test]
    fn knows_a_pointer_from_a_model() {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
        for (bytes, expected) in [(pointer.to_owned(), true), (pointer.repeat(100), false), ("version 2".to_owned(), false)] {
            assert_eq!(is_pointer(&ModelFile::generated("w.safetensors", bytes)), expected);
        }
    }

    #[test]
    fn a_model_that_is_a_pointer_is_called_one() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("net.onnx");
        fs::write(&model, POINTER).unwrap();
        for path in [dir.path(), &model] {
            let error = read(path, &ReadOptions::default()).unwrap_err();
            assert_eq!(error.to_string(), format!("{} is a Git LFS pointer, not the ONNX file", model.display()));
            assert!(error.hint().unwrap().contains("git lfs pull"));
        }
    }

    #[test]
    fn a_pointer_beside_a_model_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("net.onnx"), "damaged").unwrap();
        let hint = || {
            let error = read(dir.path(), &ReadOptions::default()).unwrap_err();
            assert!(matches!(error, ModelError::Unreadable { .. }));
            error.hint().unwrap_or_default()
        };
        assert!(!hint().contains("git lfs pull"));
        fs::write(dir.path().join("net.data"), POINTER).unwrap();
        assert!(hint().contains("net.data is a Git LFS pointer: ") && hint().contains("git lfs pull"), "{}", hint());
        fs::write(dir.path().join("net.data"), format!("{POINTER}{}", " ".repeat(1024))).unwrap();
        assert!(!hint().contains("git lfs pull"), "a pointer is short");
    }
}
