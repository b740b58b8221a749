//! The bytes of a header, from front to back. Every length is compared with what is left of the file before anything is read or skipped,
//! and nothing is allocated that was not read.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::error::{Defect, GgufError};

/// Vocabularies are skipped string by string.
const BUFFER: usize = 64 << 10;

/// Where reading is, and how numbers are written there.
#[derive(Debug)]
pub(super) struct Bytes<R> {
    input: BufReader<R>,
    pub(super) at: u64,
    pub(super) end: u64,
    /// Whether numbers are big-endian.
    pub(super) swapped: bool,
    /// Whether lengths have four bytes, as in version 1.
    pub(super) short: bool,
}

impl<R: Read + Seek> Bytes<R> {
    pub(super) fn new(mut input: R) -> Result<Self, GgufError> {
        let size = input.seek(SeekFrom::End(0)).and_then(|end| input.rewind().map(|()| end));
        let end = size.map_err(|source| GgufError::Io { offset: 0, source })?;
        Ok(Self { input: BufReader::with_capacity(BUFFER, input), at: 0, end, swapped: false, short: false })
    }

    pub(super) fn left(&self) -> u64 {
        self.end - self.at
    }

    /// The next bytes.
    pub(super) fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], GgufError> {
        self.check(COUNT as u64)?;
        let mut bytes = [0; COUNT];
        self.input.read_exact(&mut bytes).map_err(|source| GgufError::Io { offset: self.at, source })?;
        self.at += COUNT as u64;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        let bytes = self.take()?;
        Ok(if self.swapped { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        let bytes = self.take()?;
        Ok(if self.swapped { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A length or a count.
    pub(super) fn length(&mut self) -> Result<u64, GgufError> {
        if self.short { self.u32().map(u64::from) } else { self.u64() }
    }

    /// The bytes that a length takes.
    pub(super) fn length_width(&self) -> u64 {
        if self.short { 4 } else { 8 }
    }

    /// A text, of which at most `limit` bytes are kept.
    pub(super) fn text(&mut self, limit: u64) -> Result<String, GgufError> {
        let length = self.length()?;
        self.check(length)?;
        let mut bytes = Vec::new();
        let kept = length.min(limit);
        (&mut self.input).take(kept).read_to_end(&mut bytes).map_err(|source| GgufError::Io { offset: self.at, source })?;
        self.at += kept;
        self.skip(length - kept)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn skip_text(&mut self) -> Result<(), GgufError> {
        let length = self.length()?;
        self.skip(length)
    }

    pub(super) fn skip(&mut self, count: u64) -> Result<(), GgufError> {
        self.check(count)?;
        let jump = i64::try_from(count).map_err(|_| self.malformed(Defect::Truncated { wanted: count, left: self.left() }))?;
        self.input.seek_relative(jump).map_err(|source| GgufError::Io { offset: self.at, source })?;
        self.at += count;
        Ok(())
    }

    /// Refuses a count of things of which each takes at least `width` bytes, where the file is too short for them.
    pub(super) fn check_count(&self, count: u64, width: u64, what: &'static str) -> Result<(), GgufError> {
        match count.checked_mul(width) {
            Some(total) if total <= self.left() => Ok(()),
            _ => Err(self.malformed(Defect::Count { count, what, left: self.left() })),
        }
    }

    fn check(&self, wanted: u64) -> Result<(), GgufError> {
        let left = self.left();
        if wanted <= left { Ok(()) } else { Err(self.malformed(Defect::Truncated { wanted, left })) }
    }

    /// A defect here.
    pub(super) fn malformed(&self, defect: Defect) -> GgufError {
        GgufError::Malformed { offset: self.at, defect }
    }
}
