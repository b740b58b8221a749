//! The reader of a file that is put together from others, such as an ONNX model with its external data inside.
//!
//! Nothing is copied beforehand: each range is read from its own file when its turn comes, and a file that is not what it was when the
//! model was read is an error before the last bytes of the range are handed out.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::file::{FileStamp, ModelFile, Piece, changed};

/// Files that are kept open. A rewritten model goes back and forth between itself and a data file or two.
const MAX_OPEN: usize = 8;

/// One piece after the other.
pub(super) struct PiecesReader {
    pieces: Arc<[Piece]>,
    /// Where each piece ends.
    ends: Vec<u64>,
    at: u64,
    files: Vec<OpenFile>,
}

/// A file that ranges are read from.
struct OpenFile {
    of: Arc<ModelFile>,
    file: File,
    path: PathBuf,
    stamp: FileStamp,
}

/// The bytes of a range that are still to be read.
struct Rest<'a> {
    file: &'a Arc<ModelFile>,
    offset: u64,
    length: u64,
}

impl PiecesReader {
    pub(super) fn new(pieces: Arc<[Piece]>) -> Self {
        let sum = |end: &mut u64, piece: &Piece| {
            *end = end.saturating_add(piece.length());
            Some(*end)
        };
        let ends = pieces.iter().scan(0, sum).collect();
        Self { pieces, ends, at: 0, files: Vec::new() }
    }

    /// Some bytes of the piece that we are in; none at the end.
    fn read_piece(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let index = self.ends.partition_point(|end| *end <= self.at);
        let pieces = self.pieces.clone();
        let (Some(piece), Some(end)) = (pieces.get(index), self.ends.get(index)) else { return Ok(0) };
        let left = end - self.at;
        let count = match piece {
            Piece::Bytes(bytes) => copy(&bytes[bytes.len() - in_memory(left)..], buffer),
            Piece::Range { file, offset, length } => {
                self.read_range(&Rest { file, offset: offset + (length - left), length: left }, buffer)?
            }
        };
        self.at += count as u64;
        Ok(count)
    }

    fn read_range(&mut self, rest: &Rest, buffer: &mut [u8]) -> io::Result<usize> {
        let want = in_memory(rest.length).min(buffer.len());
        let OpenFile { file, path, stamp, .. } = self.open(rest.file)?;
        let count = file.read_at(&mut buffer[..want], rest.offset)?;
        if count == 0 {
            return Err(changed(path, format!("it ended {} bytes early", rest.length)));
        }
        if count as u64 == rest.length {
            stamp.check(path, file)?;
        }
        Ok(count)
    }

    fn open(&mut self, of: &Arc<ModelFile>) -> io::Result<&OpenFile> {
        let index = match self.files.iter().position(|open| Arc::ptr_eq(&open.of, of)) {
            Some(index) => index,
            None => self.open_anew(of)?,
        };
        Ok(&self.files[index])
    }

    /// Opens a file, in place of the one that was opened first where there are too many.
    fn open_anew(&mut self, of: &Arc<ModelFile>) -> io::Result<usize> {
        let (file, path, stamp) = of.open_unchanged()?;
        if self.files.len() >= MAX_OPEN {
            self.files.remove(0);
        }
        self.files.push(OpenFile { of: of.clone(), file, path, stamp });
        Ok(self.files.len() - 1)
    }
}

fn in_memory(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
    count
}

impl Read for PiecesReader {
    /// Fills the buffer across pieces: a model of ten thousand small tensors would otherwise feed its hasher crumbs.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_piece(&mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }
}

impl Seek for PiecesReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.ends.last().copied().unwrap_or_default().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::model::FileChanged;

    fn on_disk(path: &Path, content: &[u8]) -> Arc<ModelFile> {
        fs::write(path, content).unwrap();
        Arc::new(ModelFile::new("w".to_owned(), path.to_owned(), &fs::metadata(path).unwrap()))
    }

    fn range(file: &Arc<ModelFile>, offset: u64, length: u64) -> Piece {
        Piece::Range { file: file.clone(), offset, length }
    }

    #[test]
    fn pieces_are_one_file_for_whoever_reads_or_seeks() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (on_disk(&dir.path().join("a"), b"0123456789"), on_disk(&dir.path().join("b"), b"abcdefghij"));
        let bytes = |text: &str| Piece::Bytes(text.as_bytes().to_vec());
        let pieces = vec![bytes("<"), range(&a, 2, 3), bytes(""), range(&b, 0, 0), range(&b, 9, 1), range(&a, 0, 10), bytes("end>")];
        let file = ModelFile::of_pieces("m".to_owned(), pieces);
        let expected = b"<234j0123456789end>";
        assert_eq!(file.size, expected.len() as u64);
        for step in [1, 2, 5, 100] {
            let (mut reader, mut found, mut buffer) = (file.open().unwrap(), Vec::new(), vec![0; step]);
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    count => found.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(found, expected, "{step} at a time");
        }
        let mut reader = file.open_to_seek().unwrap();
        for at in 0..=expected.len() {
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, expected[at..], "from {at}");
        }
        assert_eq!(reader.seek(SeekFrom::End(-4)).unwrap(), 15);
        assert!(reader.seek(SeekFrom::Current(-16)).is_err());
    }

    #[test]
    fn more_files_than_may_be_open_are_read_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..3 * MAX_OPEN).map(|n| on_disk(&dir.path().join(n.to_string()), &[u8::try_from(n).unwrap()])).collect();
        let twice: Vec<_> = files.iter().chain(&files).map(|file| range(file, 0, 1)).collect();
        let mut reader = PiecesReader::new(twice.into());
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        let expected: Vec<u8> = (0..24).chain(0..24).collect();
        assert_eq!(found, expected);
        assert_eq!(reader.files.len(), MAX_OPEN);
    }

    #[test]
    fn a_file_that_changes_while_its_range_is_read_never_gives_its_last_bytes() {
        type Change = fn(&Path);
        let cases: [(&str, Change); 3] = [
            ("it was written to", |path| {
                let file = File::options().write(true).open(path).unwrap();
                file.write_at(b"W", 0).unwrap();
                file.set_modified(std::time::UNIX_EPOCH).unwrap();
            }),
            ("it had 8 bytes, now 9", |path| File::options().write(true).open(path).unwrap().set_len(9).unwrap()),
            ("it ended 2 bytes early", |path| File::options().write(true).open(path).unwrap().set_len(4).unwrap()),
        ];
        for (expected, apply) in cases {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("w");
            let file = on_disk(&path, b"weights!");
            let mut reader = ModelFile::of_pieces("m".to_owned(), vec![range(&file, 2, 4)]).open().unwrap();
            reader.read_exact(&mut [0; 2]).unwrap();
            apply(&path);
            let error = reader.read(&mut [0; 2]).unwrap_err();
            let change = error.get_ref().and_then(|inner| inner.downcast_ref::<FileChanged>()).expect("a FileChanged");
            assert_eq!(change.what, expected);
        }
    }

    #[test]
    fn a_file_that_changed_before_its_turn_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = on_disk(&dir.path().join("w"), b"weights!");
        let mut reader = PiecesReader::new(vec![Piece::Bytes(vec![1]), range(&file, 0, 8)].into());
        fs::remove_file(dir.path().join("w")).unwrap();
        reader.read_exact(&mut [0]).unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
