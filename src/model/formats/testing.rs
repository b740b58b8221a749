//! Folders and files for tests.

use std::io::{self, Read, Seek, SeekFrom};

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

/// A file that counts how many bytes are read of it.
pub(crate) struct Counted<R> {
    inner: R,
    pub(crate) count: u64,
}

impl<R> Counted<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, count: 0 }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Counted<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}
