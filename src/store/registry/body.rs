//! The bodies of an upload: a plain thread reads, the sockets' tasks take.
//!
//! Four buffers travel round: the thread waits for one to come back from the socket before it reads on, so memory stays constant
//! however fast the disk and however slow the network. Plain threads read faster than `tokio::fs`, and recycled buffers spare
//! musl's allocator an `mmap` per piece.
//!
//! One [`Supply`] serves a whole blob, also where it goes up in many chunks: each request takes its [`Portion`].

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::pace::Pace;
use super::transport::Progress;
use crate::oci::{Digest, Hasher};
use crate::store::{BlobSource, StoreError};

/// Larger pieces gain nothing; hyper holds one more beside those in [`BUFFERS`].
const BUFFER: usize = 128 << 10;
/// Pieces on their way between disk and socket.
const BUFFERS: usize = 4;

/// By what a blob's bytes are known.
pub(super) enum Identity {
    /// By their digest.
    Known(Digest),
    /// Not yet: they are hashed as they pass.
    Hashing(Hasher),
}

impl Identity {
    fn saw(&mut self, bytes: &[u8]) {
        if let Self::Hashing(hasher) = self {
            hasher.update(bytes);
        }
    }

    fn digest(&mut self) -> Digest {
        match self {
            Self::Known(digest) => *digest,
            Self::Hashing(hasher) => std::mem::take(hasher).finish(),
        }
    }
}

/// Exactly the announced number of bytes, or an error; read by a thread that ends when supply and portions are dropped.
pub(super) struct Supply {
    pieces: Arc<Mutex<Pieces>>,
    outcome: Outcome,
}

struct Pieces {
    coming: mpsc::Receiver<io::Result<Bytes>>,
    /// What the last portion left of a piece.
    rest: Bytes,
}

/// How the reading ended.
#[derive(Clone, Default)]
struct Outcome(Arc<Mutex<Ending>>);

#[derive(Default)]
struct Ending {
    fault: Option<io::Error>,
    digest: Option<Digest>,
}

impl Supply {
    /// Starts to read the part of `source` that begins at `from`, of `size` bytes in all. Bytes that are hashed are read from the first one
    /// whatever `from` says.
    pub(super) fn start(source: &dyn BlobSource, size: u64, from: u64, identity: Identity, pace: &Pace) -> io::Result<Self> {
        let (reader, read) = match identity {
            Identity::Known(_) => (source.open_from(from)?, from),
            Identity::Hashing(_) => (source.open()?, 0),
        };
        let (sender, coming) = mpsc::channel(BUFFERS);
        let outcome = Outcome::default();
        let pump =
            Pump { source: reader, size, from, read, identity, pool: Pool::new(), sender, outcome: outcome.clone(), pace: pace.clone() };
        std::thread::Builder::new().name("modelcar-read".to_owned()).spawn(move || pump.run())?;
        Ok(Self { pieces: Arc::new(Mutex::new(Pieces { coming, rest: Bytes::new() })), outcome })
    }

    /// The next so many bytes, as the body of a request.
    pub(super) fn portion(&self, size: u64) -> Portion {
        Portion { pieces: Arc::clone(&self.pieces), progress: Progress::of(size), size, left: size }
    }

    /// Why the source did not give what it promised, where it did not.
    pub(super) fn fault(&self) -> Option<io::Error> {
        self.outcome.lock().fault.take()
    }

    /// Waits for the end of a source whose bytes are all taken; the digest of all of them.
    pub(super) fn finish(&self) -> io::Result<Digest> {
        let mut pieces = lock(&self.pieces);
        while let Some(piece) = pieces.coming.blocking_recv() {
            if piece.is_err() {
                break;
            }
        }
        let mut ending = self.outcome.lock();
        match (ending.fault.take(), ending.digest) {
            (None, Some(digest)) => Ok(digest),
            (fault, _) => Err(fault.unwrap_or_else(|| io::Error::other("the reading thread stopped"))),
        }
    }
}

impl Outcome {
    fn lock(&self) -> MutexGuard<'_, Ending> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of one request.
pub(super) struct Portion {
    pieces: Arc<Mutex<Pieces>>,
    progress: Progress,
    size: u64,
    left: u64,
}

impl Portion {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Stream for Portion {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = lock(&self.pieces).next(self.left, context);
        if let Poll::Ready(Some(Ok(bytes))) = &piece {
            self.left -= bytes.len() as u64;
            self.progress.advance(bytes.len());
        }
        piece
    }
}

impl Pieces {
    /// The next bytes, at most `most` of them.
    fn next(&mut self, most: u64, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.rest.is_empty() {
            self.rest = match self.coming.poll_recv(context) {
                Poll::Ready(Some(Ok(piece))) => piece,
                Poll::Ready(None) => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                other => return other,
            };
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        Poll::Ready(Some(Ok(self.rest.split_to(count))))
    }
}

struct Pump {
    source: Box<dyn Read + Send>,
    size: u64,
    /// What lies before is hashed and not sent.
    from: u64,
    read: u64,
    identity: Identity,
    pool: Pool,
    sender: mpsc::Sender<io::Result<Bytes>>,
    outcome: Outcome,
    pace: Pace,
}

impl Pump {
    fn run(mut self) {
        loop {
            let piece = match self.piece() {
                Ok(None) => return,
                Ok(Some(piece)) if piece.is_empty() => continue,
                Ok(Some(piece)) => Ok(piece),
                Err(error) => Err(self.failed(error)),
            };
            let over = piece.is_err();
            // the upload may have been given up meanwhile
            if self.sender.blocking_send(piece).is_err() || over {
                return;
            }
        }
    }

    fn failed(&self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), "the source failed");
        self.outcome.lock().fault = Some(error);
        told
    }

    /// The next piece; `None` behind the last one.
    fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.outcome.lock().digest.is_some() {
            return Ok(None);
        }
        let Some(mut buffer) = self.pool.take() else { return Ok(None) };
        let step = self.pace.step(BUFFER);
        let count = fill(&mut self.source, &mut buffer.bytes[..step])?;
        buffer.filled = count;
        self.identity.saw(buffer.as_ref());
        self.read += count as u64;
        // The last piece may only leave when the end is certain: with it the registry has all bytes it waits for.
        let ended = count < step || self.read >= self.size && fill(&mut self.source, &mut [0])? == 0;
        if self.read > self.size || ended != (self.read == self.size) {
            return Err(StoreError::size_mismatch(self.identity.digest(), self.size, self.read));
        }
        if ended {
            self.outcome.lock().digest = Some(self.identity.digest());
        }
        let before = self.from.saturating_sub(self.read - count as u64).min(count as u64);
        let piece = Bytes::from_owner(buffer).slice(usize::try_from(before).unwrap_or(count)..);
        self.pace.pass(piece.len());
        Ok(Some(piece))
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

    /// A source that can be opened once.
    struct Once(Mutex<Option<Box<dyn Read + Send>>>);

    impl BlobSource for Once {
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            Ok(lock(&self.0).take().unwrap())
        }
    }

    fn supply(source: impl Read + Send + 'static, size: u64) -> Supply {
        let source = Once(Mutex::new(Some(Box::new(source))));
        Supply::start(&source, size, 0, Identity::Known(Digest::of(b"")), &Pace::default()).unwrap()
    }

    fn collect(source: impl Read + Send + 'static, size: u64) -> (io::Result<Vec<u8>>, Option<String>) {
        let supply = supply(source, size);
        let mut body = supply.portion(size);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let all = runtime.block_on(async {
            let mut all = Vec::new();
            while let Some(piece) = body.next().await {
                all.extend_from_slice(&piece?);
            }
            Ok(all)
        });
        (all, supply.finish().err().map(|error| error.to_string()))
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
                assert!(all.is_err() || size == 0, "{wrong} bytes for {size} gave all");
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
        drop(supply(Endless(closed), 1 << 40));
        assert!(wait.recv_timeout(std::time::Duration::from_secs(20)).is_ok());
    }
}
