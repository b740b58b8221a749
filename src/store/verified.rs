//! A reader that vouches for what it gave.

use std::io::{self, Read};

use super::StoreError;
use crate::oci::{Descriptor, Digest, Hasher};

/// Passes bytes through and fails instead of ending unless their number and digest are the descriptor's.
pub struct VerifiedReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    seen: u64,
}

impl<R: Read> VerifiedReader<R> {
    /// Checks `inner` against `blob`.
    pub fn new(inner: R, blob: &Descriptor) -> Self {
        Self { inner, hasher: Some(Hasher::default()), digest: blob.digest, size: blob.size, seen: 0 }
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        if self.seen != self.size {
            return Err(StoreError::size_mismatch(self.digest, self.size, self.seen));
        }
        let found = hasher.finish();
        if found == self.digest { Ok(()) } else { Err(StoreError::digest_mismatch(self.digest, found)) }
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        self.seen += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        // A body that goes on past its size is refused at once, not read to its end.
        if self.seen > self.size {
            return Err(StoreError::size_mismatch(self.digest, self.size, self.seen));
        }
        if count == 0 {
            self.finish()?;
        }
        Ok(count)
    }
}
