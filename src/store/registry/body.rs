//! The body of an upload: a plain thread reads, the socket's task takes.
//!
//! Four buffers travel round: the thread waits for one to come back from the socket before it reads on, so memory stays constant
//! however fast the disk and however slow the network. Plain threads read faster than `tokio::fs`, and recycled buffers spare
//! musl's allocator an `mmap` per piece.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::transport::Progress;
use crate::oci::Descriptor;
use crate::store::StoreError;

/// Larger pieces gain nothing; hyper holds one more beside those in [`BUFFERS`].
const BUFFER: usize = 256 << 10;
/// Pieces on their way between disk and socket.
const BUFFERS: usize = 4;

/// A stream of exactly the announced number of bytes, or an error.
pub(super) struct Feed {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    progress: Progress,
    size: u64,
}

/// Why the source did not give what it promised, where it did not.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<io::Error>>>);

impl Fault {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl Feed {
    /// Starts to read `source` on a thread of its own, which ends when the feed is dropped.
    pub(super) fn start(source: Box<dyn Read + Send>, blob: &Descriptor) -> io::Result<(Self, Fault)> {
        let (sender, pieces) = mpsc::channel(BUFFERS);
        let fault = Fault::default();
        let pump = Pump { source, promised: blob.clone(), read: 0, pool: Pool::new(), sender };
        let told = fault.clone();
        std::thread::Builder::new().name("modelcar-read".to_owned()).spawn(move || pump.run(&told))?;
        Ok((Self { pieces, progress: Progress::of(blob.size), size: blob.size }, fault))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Stream for Feed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.pieces.poll_recv(context);
        if let Poll::Ready(Some(Ok(bytes))) = &piece {
            self.progress.advance(bytes.len());
        }
        piece
    }
}

struct Pump {
    source: Box<dyn Read + Send>,
    promised: Descriptor,
    read: u64,
    pool: Pool,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Pump {
    fn run(mut self, fault: &Fault) {
        while let Some(piece) = self.piece().transpose() {
            let piece = piece.map_err(|error| {
                let told = io::Error::new(error.kind(), "the source failed");
                fault.set(error);
                told
            });
            let over = piece.is_err();
            // the upload may have been given up meanwhile
            if self.sender.blocking_send(piece).is_err() || over {
                return;
            }
        }
    }

    /// The next piece; `None` at the promised end.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.read == self.promised.size && self.read > 0 {
            return Ok(None);
        }
        let Some(mut buffer) = self.pool.take() else { return Ok(None) };
        let count = fill(&mut self.source, &mut buffer.bytes)?;
        self.read += count as u64;
        buffer.filled = count;
        // The last piece may only leave when the end is certain: with it the registry has all bytes it waits for.
        let ended = count < BUFFER || self.read >= self.promised.size && fill(&mut self.source, &mut [0])? == 0;
        if self.read > self.promised.size || ended != (self.read == self.promised.size) {
            return Err(StoreError::size_mismatch(self.promised.digest, self.promised.size, self.read));
        }
        Ok((count > 0).then(|| Bytes::from_owner(buffer)))
    }
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Buffers that come back when the last reader of their bytes lets go.
struct Pool {
    made: usize,
    back: std_mpsc::Receiver<Vec<u8>>,
    home: std_mpsc::Sender<Vec<u8>>,
}

struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    home: std_mpsc::Sender<Vec<u8>>,
}

impl Pool {
    fn new() -> Self {
        let (home, back) = std_mpsc::channel();
        Self { made: 0, back, home }
    }

    fn take(&mut self) -> Option<Buffer> {
        let bytes = match self.back.try_recv() {
            Ok(bytes) => bytes,
            Err(_) if self.made < BUFFERS => {
                self.made += 1;
                vec![0; BUFFER]
            }
            Err(_) => self.back.recv().ok()?,
        };
        Some(Buffer { bytes, filled: 0, home: self.home.clone() })
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // the pump may be over
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn collect(source: impl Read + Send + 'static, size: u64) -> (io::Result<Vec<u8>>, Option<String>) {
        let blob = Descriptor::new("x", crate::oci::Digest::of(b""), size);
        let (mut feed, fault) = Feed::start(Box::new(source), &blob).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let all = runtime.block_on(async {
            let mut all = Vec::new();
            while let Some(piece) = feed.next().await {
                all.extend_from_slice(&piece?);
            }
            Ok(all)
        });
        (all, fault.take().map(|error| error.to_string()))
    }

    fn pattern(size: usize) -> Vec<u8> {
        (0..=250).cycle().map(|byte: u8| byte.wrapping_mul(31)).take(size).collect()
    }

    #[test]
    fn gives_the_sources_bytes_in_order() {
        for size in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER, 9 * BUFFER + 17] {
            let (all, fault) = collect(io::Cursor::new(pattern(size)), size as u64);
            assert!(all.unwrap() == pattern(size), "{size}");
            assert_eq!(fault, None);
        }
    }

    #[test]
    fn a_source_of_another_length_never_completes() {
        for size in [0, 1, 100, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER] {
            for wrong in [size + 1, size + BUFFER, size.saturating_sub(1), 0].into_iter().filter(|wrong| *wrong != size) {
                let (all, fault) = collect(io::Cursor::new(pattern(wrong)), size as u64);
                assert!(all.is_err(), "{wrong} bytes for {size} gave all");
                assert!(fault.unwrap().contains(&format!("should have {size} bytes")), "{wrong} bytes for {size}");
            }
        }
    }

    #[test]
    fn a_source_that_fails_is_told_with_its_own_words() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is on fire"))
            }
        }
        let (all, fault) = collect(io::Cursor::new(pattern(BUFFER)).chain(Failing), 2 * BUFFER as u64);
        assert!(all.is_err());
        assert_eq!(fault.as_deref(), Some("the disk is on fire"));
    }

    #[test]
    fn a_reader_of_small_pieces_fills_whole_buffers() {
        struct Slow(usize);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(1000).min(self.0);
                self.0 -= count;
                buffer[..count].fill(7);
                Ok(count)
            }
        }
        let (all, _) = collect(Slow(BUFFER * 2), BUFFER as u64 * 2);
        assert_eq!(all.unwrap(), vec![7; BUFFER * 2]);
    }

    #[test]
    fn a_dropped_feed_ends_its_thread_and_closes_the_source() {
        struct Endless(std_mpsc::Sender<()>);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                Ok(buffer.len())
            }
        }
        impl Drop for Endless {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (closed, wait) = std_mpsc::channel();
        let blob = Descriptor::new("x", crate::oci::Digest::of(b""), 1 << 40);
        drop(Feed::start(Box::new(Endless(closed)), &blob).unwrap());
        assert!(wait.recv_timeout(std::time::Duration::from_secs(20)).is_ok());
    }
}
