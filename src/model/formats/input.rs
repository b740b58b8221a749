//! A cursor over a file for parsers of untrusted bytes: it knows where it is, never goes beyond the end that the file had when it was
//! opened, and holds one small buffer.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Small, because most of a model is skipped.
const BUFFER: usize = 8 << 10;

/// Why bytes could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file ends too early, or a length is wrong.
    #[error("byte {offset}: {wanted} bytes are announced, {left} are left")]
    Truncated {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Bytes announced.
        wanted: u64,
        /// Bytes left in the file.
        left: u64,
    },
}

impl InputError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } => None,
            Self::Truncated { .. } => Some("the file may be incomplete; copy or download it again".to_owned()),
        }
    }
}

/// The bytes of a file, from front to back.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: BufReader<R>,
    at: u64,
    size: u64,
}

impl<R: Read + Seek> Input<R> {
    /// All of `reader`, from its beginning.
    pub(super) fn new(mut reader: R) -> Result<Self, InputError> {
        let size = reader.seek(SeekFrom::End(0)).and_then(|end| reader.rewind().map(|()| end));
        let size = size.map_err(|source| InputError::Io { offset: 0, source })?;
        Ok(Self { reader: BufReader::with_capacity(BUFFER, reader), at: 0, size })
    }

    /// The offset of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes follow.
    pub(super) fn left(&self) -> u64 {
        self.size - self.at
    }

    /// The next byte, which stays the next one; none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, InputError> {
        use std::io::BufRead as _;
        if self.left() == 0 {
            return Ok(None);
        }
        let offset = self.at;
        let buffer = self.reader.fill_buf().map_err(|source| InputError::Io { offset, source })?;
        buffer.first().copied().map(Some).ok_or(InputError::Truncated { offset, wanted: self.size - offset, left: 0 })
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, InputError> {
        let byte = self.peek()?.ok_or(InputError::Truncated { offset: self.at, wanted: 1, left: 0 })?;
        self.advance();
        Ok(byte)
    }

    /// Steps over the byte that [`Input::peek`] gave.
    pub(super) fn advance(&mut self) {
        use std::io::BufRead as _;
        self.reader.consume(1);
        self.at += 1;
    }

    /// As many bytes as the buffer takes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), InputError> {
        self.check(buffer.len() as u64)?;
        self.reader.read_exact(buffer).map_err(|source| InputError::Io { offset: self.at, source })?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], InputError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The first `limit` of the next `length` bytes as text; steps over all of them. What is no UTF-8 is replaced.
    pub(super) fn text(&mut self, length: u64, limit: usize) -> Result<String, InputError> {
        self.check(length)?;
        let end = self.at + length;
        let mut kept = vec![0; usize::try_from(length).unwrap_or(limit).min(limit)];
        self.fill(&mut kept)?;
        self.seek(end)?;
        Ok(String::from_utf8_lossy(&kept).into_owned())
    }

    /// Steps over so many bytes.
    pub(super) fn skip(&mut self, count: u64) -> Result<(), InputError> {
        self.check(count)?;
        self.seek(self.at + count)
    }

    /// Goes to an offset, which may be that of the end.
    pub(super) fn seek(&mut self, to: u64) -> Result<(), InputError> {
        if to > self.size {
            return Err(InputError::Truncated { offset: self.at, wanted: to - self.at, left: self.left() });
        }
        let distance = i128::from(to) - i128::from(self.at);
        let sought = match i64::try_from(distance) {
            Ok(distance) => self.reader.seek_relative(distance),
            Err(_) => self.reader.seek(SeekFrom::Start(to)).map(drop),
        };
        sought.map_err(|source| InputError::Io { offset: self.at, source })?;
        self.at = to;
        Ok(())
    }

    /// An error unless so many bytes follow.
    pub(super) fn check(&self, wanted: u64) -> Result<(), InputError> {
        let left = self.left();
        if wanted <= left { Ok(()) } else { Err(InputError::Truncated { offset: self.at, wanted, left }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn input(bytes: &[u8]) -> Input<Cursor<&[u8]>> {
        Input::new(Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn reads_forward_and_jumps() {
        let mut input = input(b"0123456789");
        assert_eq!((input.peek().unwrap(), input.byte().unwrap(), input.at()), (Some(b'0'), b'0', 1));
        assert_eq!(input.text(4, 2).unwrap(), "12");
        assert_eq!((input.at(), input.left()), (5, 5));
        input.skip(4).unwrap();
        assert_eq!(input.array::<1>().unwrap(), *b"9");
        assert_eq!(input.peek().unwrap(), None);
        input.seek(3).unwrap();
        assert_eq!(input.byte().unwrap(), b'3');
    }

    #[test]
    fn nothing_leads_beyond_the_end() {
        type Read = fn(&mut Input<Cursor<&[u8]>>) -> Result<(), InputError>;
        let cases: [(&str, Read); 6] = [
            ("byte 2: 1 bytes are announced, 0 are left", |input| input.skip(2).and_then(|()| input.byte()).map(drop)),
            ("byte 0: 3 bytes are announced, 2 are left", |input| input.skip(3)),
            ("byte 0: 3 bytes are announced, 2 are left", |input| input.array::<3>().map(drop)),
            ("byte 0: 18446744073709551615 bytes are announced, 2 are left", |input| input.text(u64::MAX, 8).map(drop)),
            ("byte 1: 18446744073709551615 bytes are announced, 1 are left", |input| input.skip(1).and_then(|()| input.skip(u64::MAX))),
            ("byte 1: 8 bytes are announced, 1 are left", |input| input.skip(1).and_then(|()| input.seek(9))),
        ];
        for (expected, read) in cases {
            assert_eq!(read(&mut input(b"ab")).unwrap_err().to_string(), expected);
        }
    }
}
