//! A file that lies within something larger: a file of an image, in one of its layers.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// Something larger whose bytes can be read from any place on.
pub trait ByteSource: Send + Sync + fmt::Debug {
    /// Opens the bytes from this offset on.
    ///
    /// # Errors
    /// Whatever stands in the way of it.
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// A run of bytes in a [`ByteSource`]; how long it is, its file tells.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Where it lies.
    pub source: Arc<dyn ByteSource>,
    /// Where it begins, in bytes.
    pub offset: u64,
}

impl PartialEq for Stretch {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.offset == other.offset
    }
}

impl Eq for Stretch {}

/// Reads a stretch and jumps in it; opens its source only where it is read.
pub(super) struct StretchReader {
    stretch: Stretch,
    size: u64,
    position: u64,
    /// Open at `position`, if at all.
    open: Option<Box<dyn Read + Send>>,
}

impl StretchReader {
    pub(super) fn new(stretch: Stretch, size: u64) -> Self {
        Self { stretch, size, position: 0, open: None }
    }

    fn opened(&mut self) -> io::Result<&mut Box<dyn Read + Send>> {
        if self.open.is_none() {
            let at = self.stretch.offset.checked_add(self.position).ok_or(io::ErrorKind::InvalidInput)?;
            self.open = Some(self.stretch.source.open_at(at)?);
        }
        self.open.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Read for StretchReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let count = self.opened()?.read(&mut buffer[..want])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for StretchReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(distance) => self.size.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.position.checked_add_signed(distance),
        };
        let position = position.ok_or(io::ErrorKind::InvalidInput)?;
        if position != self.position {
            (self.position, self.open) = (position, None);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelFile;

    /// Bytes in memory, and how often they were opened.
    #[derive(Debug)]
    struct Memory(Vec<u8>, std::sync::atomic::AtomicUsize);

    impl ByteSource for Memory {
        fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let rest = self.0.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            Ok(Box::new(io::Cursor::new(rest.to_vec())))
        }
    }

    fn file(bytes: &[u8], offset: u64, size: u64) -> (ModelFile, Arc<Memory>) {
        let source = Arc::new(Memory(bytes.to_vec(), 0.into()));
        (ModelFile::within("w.bin".to_owned(), Stretch { source: source.clone(), offset }, size), source)
    }

    #[test]
    fn gives_its_own_bytes_and_no_others() {
        let (file, _) = file(b"<<weights>>", 2, 7);
        assert_eq!(io::read_to_string(file.open().unwrap()).unwrap(), "weights");
    }

    #[test]
    fn jumps_and_opens_only_where_it_reads() {
        let (file, source) = file(b"<<weights>>", 2, 7);
        let mut reader = file.open_to_seek().unwrap();
        let mut buffer = [0; 3];
        for (to, expected) in [(SeekFrom::Start(1), b"eig"), (SeekFrom::End(-3), b"hts"), (SeekFrom::Current(-7), b"wei")] {
            reader.seek(SeekFrom::Start(6)).unwrap();
            reader.seek(SeekFrom::Start(7)).unwrap();
            reader.seek(to).unwrap();
            reader.read_exact(&mut buffer).unwrap();
            assert_eq!(&buffer, expected);
        }
        assert_eq!(source.1.load(std::sync::atomic::Ordering::Relaxed), 3);
        assert!(reader.seek(SeekFrom::Current(-100)).is_err());
        reader.seek(SeekFrom::Start(1000)).unwrap();
        assert_eq!(reader.read(&mut buffer).unwrap(), 0, "behind the end there is nothing");
    }

    #[test]
    fn a_source_that_ends_early_is_an_error() {
        let (file, _) = file(b"<<wei", 2, 7);
        assert_eq!(io::read_to_string(file.open().unwrap()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
