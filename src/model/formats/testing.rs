//! Folders for tests.

use crate::model::{Model, ReadOptions, read};

/// A folder with these files and texts.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let file = dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    dir
}

/// Reads it with the usual options; only notes about its content stay.
pub(crate) fn read_folder(dir: &tempfile::TempDir) -> Model {
    let mut model = read(dir.path(), &ReadOptions::default()).unwrap();
    model.notes.retain(|note| !note.contains(&dir.path().display().to_string()));
    model
}
