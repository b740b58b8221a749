//! zlib streams one after the other, which joblib reads as one.

use std::io::{self, BufRead, Read};

use flate2::bufread::ZlibDecoder;

/// The decompressed bytes of all streams.
pub(super) struct ZlibMembers<R> {
    /// None for a moment only, while one stream gives way to the next.
    current: Option<ZlibDecoder<R>>,
}

impl<R: BufRead> ZlibMembers<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { current: Some(ZlibDecoder::new(inner)) }
    }
}

impl<R: BufRead> Read for ZlibMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(mut decoder) = self.current.take() else { return Ok(0) };
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                self.current = Some(decoder);
                return Ok(count);
            }
            let mut inner = decoder.into_inner();
            if inner.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.current = Some(ZlibDecoder::new(inner));
        }
    }
}
