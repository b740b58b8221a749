//! The body of a download as a blocking reader.

use std::io::{self, Read};

use bytes::{Buf, Bytes};

use super::transport::Chunks;

/// Reads what arrives; a connection that breaks off or stalls is an error, never an early end.
pub(super) struct BodyReader {
    chunks: Chunks,
    current: Bytes,
}

impl BodyReader {
    pub(super) fn new(chunks: Chunks) -> Self {
        Self { chunks, current: Bytes::new() }
    }
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !buffer.is_empty() {
            match self.chunks.next().map_err(|failure| io::Error::other(failure.error))? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
