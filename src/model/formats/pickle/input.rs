//! The bytes of a pickle: read once, in order, with long payloads stepped over.

use std::io::{self, Read, Seek, SeekFrom};

use super::error::{Defect, OverBudget};

/// What is read at once.
const BUFFER: usize = 16 << 10;

/// Bytes that can be stepped over.
pub(crate) trait Source: Read {
    /// Leaves out so many bytes; [`io::ErrorKind::UnexpectedEof`] where there are fewer.
    fn step_over(&mut self, count: u64) -> io::Result<()>;
}

/// A range of a file: stepping over it costs nothing.
pub(crate) struct Window<R> {
    inner: R,
    left: u64,
}

impl<R: Read + Seek> Window<R> {
    /// From where `inner` stands now to its end.
    pub(crate) fn rest_of(mut inner: R) -> io::Result<Self> {
        let start = inner.stream_position()?;
        let end = inner.seek(SeekFrom::End(0))?;
        inner.seek(SeekFrom::Start(start))?;
        Ok(Self { inner, left: end.saturating_sub(start) })
    }
}

impl<R: Read> Read for Window<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.inner).take(self.left).read(buffer)?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Source for Window<R> {
    fn step_over(&mut self, count: u64) -> io::Result<()> {
        self.left = self.left.checked_sub(count).ok_or(io::ErrorKind::UnexpectedEof)?;
        let count = i64::try_from(count).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        self.inner.seek(SeekFrom::Current(count)).map(drop)
    }
}

/// A stream that can only be read, and not for ever: what comes out of a decompressor.
pub(crate) struct Stream<R> {
    inner: R,
    limit: u64,
    given: u64,
}

impl<R: Read> Stream<R> {
    /// At most `limit` bytes of `inner`; more are an error.
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, given: 0 }
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.given += count as u64;
        if self.given > self.limit {
            return Err(io::Error::other(OverBudget { limit: self.limit }));
        }
        Ok(count)
    }
}

impl<R: Read> Source for Stream<R> {
    fn step_over(&mut self, count: u64) -> io::Result<()> {
        match io::copy(&mut self.take(count), &mut io::sink())? {
            stepped if stepped == count => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The bytes and how far they were read.
pub(crate) struct Input<'a> {
    source: Box<dyn Source + 'a>,
    buffer: Vec<u8>,
    next: usize,
    at: u64,
}

impl<'a> Input<'a> {
    /// Reads from where `source` stands.
    pub(crate) fn new(source: impl Source + 'a) -> Self {
        Self { source: Box::new(source), buffer: Vec::new(), next: 0, at: 0 }
    }

    /// How many bytes were read or stepped over.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Whether there are no more.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, Defect> {
        Ok(self.buffered()?.is_empty())
    }

    /// What is known of the bytes ahead, at least one where there is one.
    pub(crate) fn buffered(&mut self) -> Result<&[u8], Defect> {
        if self.next == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.next..).unwrap_or_default())
    }

    fn fill(&mut self) -> Result<(), Defect> {
        self.buffer.resize(BUFFER, 0);
        self.next = 0;
        let read = loop {
            match self.source.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop).map_err(Defect::from)
    }

    fn consume(&mut self, count: usize) {
        self.next += count;
        self.at += count as u64;
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, Defect> {
        let byte = *self.buffered()?.first().ok_or(Defect::Truncated)?;
        self.consume(1);
        Ok(byte)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Defect> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    /// The next `length` bytes where they are at most `most`; otherwise they are stepped over.
    pub(crate) fn payload(&mut self, length: u64, most: u64) -> Result<Option<Vec<u8>>, Defect> {
        if length > most {
            return self.step_over(length).map(|()| None);
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            let missing = length - bytes.len() as u64;
            let ahead = self.buffered()?;
            let count = usize::try_from(missing).unwrap_or(usize::MAX).min(ahead.len());
            if count == 0 {
                return Err(Defect::Truncated);
            }
            bytes.extend_from_slice(&ahead[..count]);
            self.consume(count);
        }
        Ok(Some(bytes))
    }

    /// The bytes before the next line feed where they are at most `most`; the line is read in any case.
    pub(crate) fn line(&mut self, most: usize) -> Result<Option<Vec<u8>>, Defect> {
        let mut line = Vec::new();
        let mut length = 0;
        loop {
            let ahead = self.buffered()?;
            if ahead.is_empty() {
                return Err(Defect::Truncated);
            }
            let end = ahead.iter().position(|byte| *byte == b'\n');
            let part = &ahead[..end.unwrap_or(ahead.len())];
            line.extend_from_slice(&part[..part.len().min(most.saturating_sub(line.len()))]);
            length += part.len();
            let consumed = part.len() + usize::from(end.is_some());
            self.consume(consumed);
            if end.is_some() {
                return Ok((length <= most).then_some(line));
            }
        }
    }

    /// Leaves out so many bytes.
    pub(crate) fn step_over(&mut self, count: u64) -> Result<(), Defect> {
        let ahead = (self.buffer.len() - self.next) as u64;
        let buffered = usize::try_from(count.min(ahead)).unwrap_or_default();
        self.consume(buffered);
        let rest = count - buffered as u64;
        if rest > 0 {
            self.source.step_over(rest)?;
            self.at = self.at.saturating_add(rest);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn both(bytes: &[u8], check: impl Fn(Input<'_>)) {
        check(Input::new(Window::rest_of(Cursor::new(bytes)).unwrap()));
        check(Input::new(Stream::new(bytes, 1 << 20)));
    }

    #[test]
    fn what_is_stepped_over_is_counted_and_must_be_there() {
        let bytes: Vec<u8> = (0..50_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        both(&bytes, |mut input| {
            assert_eq!(input.byte().unwrap(), 0);
            input.step_over(40_000).unwrap();
            assert_eq!((input.at(), input.byte().unwrap()), (40_001, u8::try_from(40_001 % 251).unwrap()));
            assert!(matches!(input.step_over(10_000), Err(Defect::Truncated)));
        });
    }

    #[test]
    fn a_line_too_long_is_read_and_not_kept() {
        both(b"abc\nabcd\n\nx", |mut input| {
            assert_eq!(input.line(3).unwrap(), Some(b"abc".to_vec()));
            assert_eq!(input.line(3).unwrap(), None);
            assert_eq!(input.line(3).unwrap(), Some(vec![]));
            assert!(matches!(input.line(3), Err(Defect::Truncated)));
        });
    }

    #[test]
    fn a_payload_is_kept_only_where_it_is_short() {
        both(b"abcdefgh", |mut input| {
            assert_eq!(input.payload(3, 3).unwrap(), Some(b"abc".to_vec()));
            assert_eq!(input.payload(4, 3).unwrap(), None);
            assert_eq!(input.at(), 7);
            assert!(matches!(input.payload(2, 3), Err(Defect::Truncated)));
        });
        both(b"", |mut input| assert!(matches!(input.payload(u64::MAX, 3), Err(Defect::Truncated))));
    }

    #[test]
    fn a_stream_gives_no_more_than_it_may() {
        let mut input = Input::new(Stream::new(io::repeat(0), 100_000));
        assert!(matches!(input.step_over(200_000), Err(Defect::Bomb { limit: 100_000 })));
    }
}
