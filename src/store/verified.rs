//! A reader that vouches for what it gave.

use std::io::{self, Read};

use super::StoreError;
use crate::oci::{Descriptor, Digest, Hasher};

/// Passes bytes through and fails instead of ending unless their number and digest are the descriptor's.
pub struct VerifiedReader<R> {
    inner: R,
    hasher: Hasher,
    digest: Digest,
    size: u64,
    seen: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// Size and digest were right.
    Right,
    /// They were not: every further read says so again, so that no adapter takes the next one for the end.
    Wrong,
}

impl<R: Read> VerifiedReader<R> {
    /// Checks `inner` against `blob`.
    pub fn new(inner: R, blob: &Descriptor) -> Self {
        Self { inner, hasher: Hasher::default(), digest: blob.digest, size: blob.size, seen: 0, state: State::Reading }
    }

    /// The judgement, once all is read or too much is.
    fn judge(&mut self) -> io::Result<()> {
        if self.state == State::Right {
            return Ok(());
        }
        self.state = State::Wrong;
        if self.seen != self.size {
            return Err(StoreError::size_mismatch(self.digest, self.size, self.seen));
        }
        let found = self.hasher.clone().finish();
        if found != self.digest {
            return Err(StoreError::digest_mismatch(self.digest, found));
        }
        self.state = State::Right;
        Ok(())
    }
}

impl<R: Read> Read for VerifiedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.state == State::Wrong {
            self.judge()?;
        }
        let count = self.inner.read(buffer)?;
        self.seen += count as u64;
        self.hasher.update(&buffer[..count]);
        // A body that goes on past its size is refused at once, not read to its end.
        if count == 0 || self.seen > self.size {
            self.judge()?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(bytes: &'static [u8], promised: &[u8]) -> VerifiedReader<&'static [u8]> {
        VerifiedReader::new(bytes, &Descriptor::of("", promised))
    }

    #[test]
    fn gives_the_bytes_and_ends_where_all_was_right() {
        let mut text = String::new();
        let mut reader = reader(b"weights", b"weights");
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "weights");
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0, "an end stays an end");
    }

    #[test]
    fn never_ends_where_something_was_wrong_however_often_it_is_asked() {
        for (bytes, promised) in [(&b"weightz"[..], &b"weights"[..]), (b"weight", b"weights"), (b"weightss", b"weights"), (b"", b"w")] {
            let mut reader = reader(bytes, promised);
            let mut buffer = [0; 3];
            let first = std::iter::repeat_with(|| reader.read(&mut buffer)).find(|read| !matches!(read, Ok(1..))).unwrap();
            assert!(first.is_err(), "{promised:?} for {bytes:?} ended well");
            assert!(reader.read(&mut buffer).is_err() && reader.read(&mut buffer).is_err());
        }
    }
}
