//! The names in a directory, by `getdents64`.

use super::{CText, Errno, call, close, nr, open};

/// Bytes of a record before its name: inode, offset, record length, type (`struct linux_dirent64`, getdents(2)).
const HEADER: usize = 19;
const LENGTH_AT: usize = 16;

/// An open directory.
pub struct Directory {
    descriptor: usize,
    buffer: [u8; 4096],
    at: usize,
    end: usize,
}

impl Directory {
    pub fn open(path: CText) -> Result<Self, Errno> {
        let descriptor = open(path, nr::O_DIRECTORY)?;
        Ok(Self { descriptor, buffer: [0; 4096], at: 0, end: 0 })
    }

    /// The next name in the file system's order; `None` at the end.
    pub fn next_name(&mut self) -> Result<Option<&[u8]>, Errno> {
        if self.at >= self.end {
            self.end = call(nr::GETDENTS64, self.descriptor, self.buffer.as_mut_ptr() as usize, self.buffer.len(), 0)?;
            self.at = 0;
        }
        let record = match self.buffer.get(self.at..self.end) {
            Some(record) if record.len() > HEADER => record,
            _ => return Ok(None),
        };
        let length = u16::from_ne_bytes([record[LENGTH_AT], record[LENGTH_AT + 1]]);
        self.at += usize::from(length).max(HEADER);
        Ok(record[HEADER..].split(|byte| *byte == 0).next())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        close(self.descriptor);
    }
}
