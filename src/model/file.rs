//! One file of a model, and the reader that notices when it changes.
//!
//! A layer's length is announced before its bytes are read, and its digest is computed while a first pass reads it. A file that
//! shrinks in between would otherwise become a corrupt layer without any error (the `tar` crate does exactly that).

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::pieces::PiecesReader;
use super::stretch::{Stretch, StretchReader};

/// A file that belongs to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Its place in the model: relative, `/`-separated, without `.` and `..`.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
    /// Where its bytes are.
    pub content: Content,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In a file on disk.
    Disk {
        /// Its path: links are resolved.
        source: PathBuf,
        /// What it was when the model was read.
        stamp: FileStamp,
    },
    /// Put together from these, in order: a file that is generated, or one that is rewritten on the way into the image.
    Pieces(Arc<[Piece]>),
    /// In something larger, such as a layer of an image. Such a model is looked at, not packed again.
    Within(Stretch),
}

/// A run of bytes in a file that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These.
    Bytes(Vec<u8>),
    /// Those of a file from an offset on.
    Range {
        /// The file: one on disk.
        file: Arc<ModelFile>,
        /// Where they begin, in bytes.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// What tells that a file was changed or replaced, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileStamp {
    /// The device.
    pub dev: u64,
    /// The inode on it.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Last change of content or inode, in nanoseconds since 1970. Cannot be set back.
    pub ctime_ns: i128,
}

/// A file is not what it was when the model was read. Travels inside [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("{} changed while it was being packed: {what}", path.display())]
pub struct FileChanged {
    /// The file.
    pub path: PathBuf,
    /// What about it.
    pub what: String,
}

impl ModelFile {
    /// The regular file with this metadata.
    pub(super) fn new(path: String, source: PathBuf, metadata: &Metadata) -> Self {
        let executable = metadata.mode() & 0o100 != 0;
        let content = Content::Disk { source, stamp: FileStamp::of(metadata) };
        Self { path, size: metadata.len(), executable, content }
    }

    /// The regular file at `source`, under another path. Links are followed.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub fn on_disk(path: String, source: &Path) -> io::Result<Self> {
        let source = source.canonicalize()?;
        let metadata = source.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Self::new(path, source, &metadata))
    }

    /// A file that is generated.
    pub(crate) fn generated(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::of_pieces(path.into(), vec![Piece::Bytes(bytes.into())])
    }

    /// A file that is put together; ranges lie within their files.
    pub(crate) fn of_pieces(path: String, pieces: Vec<Piece>) -> Self {
        let size = pieces.iter().fold(0, |size: u64, piece| size.saturating_add(piece.length()));
        Self { path, size, executable: false, content: Content::Pieces(pieces.into()) }
    }

    /// A file that lies within something larger.
    pub(crate) fn within(path: String, stretch: Stretch, size: u64) -> Self {
        Self { path, size, executable: false, content: Content::Within(stretch) }
    }

    /// Opens it for one pass of exactly [`ModelFile::size`] bytes.
    ///
    /// # Errors
    /// Here or at the last read with a [`FileChanged`] inside where it is no longer the file that was read.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match &self.content {
            Content::Disk { .. } => {
                let (file, path, stamp) = self.open_unchanged()?;
                Ok(Box::new(SteadyReader { file, path, stamp, left: self.size }))
            }
            Content::Pieces(pieces) => Ok(Box::new(PiecesReader::new(pieces.clone()))),
            Content::Within(stretch) => Ok(Box::new(StretchReader::new(stretch.clone(), self.size))),
        }
    }

    /// Opens it for readers that seek: formats look at headers and skip the weights.
    ///
    /// # Errors
    /// A file on disk that is no longer the one that was read.
    pub(super) fn open_to_seek(&self) -> io::Result<Box<dyn ReadSeek>> {
        match &self.content {
            Content::Disk { .. } => Ok(Box::new(self.open_unchanged()?.0)),
            Content::Pieces(pieces) => Ok(Box::new(PiecesReader::new(pieces.clone()))),
            Content::Within(stretch) => Ok(Box::new(StretchReader::new(stretch.clone(), self.size))),
        }
    }

    /// The file on disk, its path and its stamp.
    pub(super) fn open_unchanged(&self) -> io::Result<(File, PathBuf, FileStamp)> {
        let Content::Disk { source, stamp } = &self.content else { return Err(io::Error::from(io::ErrorKind::Unsupported)) };
        let file = open_without_following(source)?;
        stamp.check(source, &file)?;
        Ok((file, source.clone(), *stamp))
    }
}

impl Piece {
    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range { length, .. } => *length,
        }
    }
}

/// Bytes in which a reader may jump.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Neither follows a link nor waits for a writer: what was a regular file may have been replaced since.
fn open_without_following(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => Err(changed(path, "it is a link now".to_owned())),
        Err(other) => Err(other.into()),
    }
}

pub(super) fn changed(path: &Path, what: String) -> io::Error {
    io::Error::other(FileChanged { path: path.to_owned(), what })
}

impl FileStamp {
    /// The stamp of a file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(super) fn check(&self, path: &Path, file: &File) -> io::Result<()> {
        match self.difference(&Self::of(&file.metadata()?)) {
            Some(what) => Err(changed(path, what)),
            None => Ok(()),
        }
    }

    fn difference(&self, now: &Self) -> Option<String> {
        if self == now {
            return None;
        }
        Some(if (self.dev, self.ino) != (now.dev, now.ino) {
            "another file took its place".to_owned()
        } else if self.size != now.size {
            format!("it had {} bytes, now {}", self.size, now.size)
        } else if self.mtime_ns != now.mtime_ns {
            "it was written to".to_owned()
        } else {
            "its mode, owner or links changed".to_owned()
        })
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(rest)
}

/// Gives exactly the bytes that the file had when the model was read, or fails. Reads go straight to the file: no buffer between.
#[derive(Debug)]
struct SteadyReader {
    file: File,
    path: PathBuf,
    stamp: FileStamp,
    left: u64,
}

impl Read for SteadyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let count = self.file.read(&mut buffer[..want])?;
        if count == 0 {
            return Err(changed(&self.path, format!("it ended {} bytes early", self.left)));
        }
        let left = self.left - count as u64;
        if left == 0 {
            // Before the last bytes are handed out: a caller that counts bytes may never come back for the end.
            self.stamp.check(&self.path, &self.file)?;
        }
        self.left = left;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    /// Two chunks of a reader that is asked for 4 bytes at a time.
    const CONTENT: &[u8] = b"weights!";

    fn file_in(dir: &Path) -> ModelFile {
        let source = dir.join("w.bin");
        fs::write(&source, CONTENT).unwrap();
        let metadata = fs::metadata(&source).unwrap();
        ModelFile::new("w.bin".to_owned(), source, &metadata)
    }

    fn change(error: &io::Error) -> &str {
        &error.get_ref().and_then(|inner| inner.downcast_ref::<FileChanged>()).expect("a FileChanged").what
    }

    #[test]
    fn an_unchanged_file_is_given_byte_by_byte() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        file_in(dir.path()).open().unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, CONTENT);
    }

    #[test]
    fn a_file_that_changed_before_it_is_opened_is_an_error() {
        type Change = fn(&Path);
        let cases: [(&str, Change); 5] = [
            ("it had 8 bytes, now 9", |path| fs::write(path, b"weights!!").unwrap()),
            ("it was written to", |path| {
                fs::write(path, b"WEIGHTS!").unwrap();
                File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            }),
            ("another file took its place", |path| {
                fs::write(path.with_extension("new"), CONTENT).unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("it is a link now", |path| {
                fs::rename(path, path.with_extension("old")).unwrap();
                std::os::unix::fs::symlink("w.old", path).unwrap();
            }),
            ("its mode, owner or links changed", |path| {
                let before = fs::metadata(path).unwrap().ctime_nsec();
                while fs::metadata(path).unwrap().ctime_nsec() == before {
                    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
                }
            }),
        ];
        for (expected, apply) in cases {
            let dir = tempfile::tempdir().unwrap();
            let file = file_in(dir.path());
            apply(&dir.path().join("w.bin"));
            assert_eq!(change(&file.open().err().unwrap()), expected);
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_never_gives_its_last_bytes() {
        type Change = fn(&Path);
        let cases: [(&str, Change); 3] = [
            ("it ended 4 bytes early", |path| File::options().write(true).open(path).unwrap().set_len(4).unwrap()),
            ("it had 8 bytes, now 9", |path| File::options().append(true).open(path).unwrap().write_all(b"!").unwrap()),
            ("it was written to", |path| {
                let file = File::options().write(true).open(path).unwrap();
                (&file).write_all(b"W").unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }),
        ];
        for (expected, apply) in cases {
            let dir = tempfile::tempdir().unwrap();
            let file = file_in(dir.path());
            let mut reader = file.open().unwrap();
            let mut half = [0; 4];
            reader.read_exact(&mut half).unwrap();
            apply(&dir.path().join("w.bin"));
            let error = reader.read(&mut [0; 4]).unwrap_err();
            assert_eq!(change(&error), expected);
        }
    }

    #[test]
    fn a_large_buffer_is_filled_by_one_read() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("big");
        fs::write(&source, vec![7; 1 << 20]).unwrap();
        let file = ModelFile::new("big".to_owned(), source.clone(), &fs::metadata(&source).unwrap());
        let mut buffer = vec![0; 256 << 10];
        assert_eq!(file.open().unwrap().read(&mut buffer).unwrap(), buffer.len());
    }

    #[test]
    fn an_empty_file_is_an_empty_stream() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("__init__.py");
        fs::write(&source, b"").unwrap();
        let file = ModelFile::new("__init__.py".to_owned(), source.clone(), &fs::metadata(&source).unwrap());
        assert_eq!(file.open().unwrap().read(&mut [0; 4]).unwrap(), 0);
    }
}
