//! What a long transfer tells while it runs, and how it is stopped.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ImageError;
use crate::store::BlobSource;

/// Something that happened to a blob. `blob` is its position in the list that is being transferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The whole work: bytes to hash, and the blobs with their names and sizes.
    Begun {
        /// Bytes that will be hashed first.
        hash: u64,
        /// Name and size in bytes of each blob.
        blobs: Vec<(String, u64)>,
    },
    /// So many more bytes are hashed.
    Hashed {
        /// Bytes.
        bytes: u64,
    },
    /// The store has the blob already.
    Present {
        /// Which.
        blob: usize,
    },
    /// The blob is sent from its first byte; a second time after a retry.
    Sending {
        /// Which.
        blob: usize,
    },
    /// So many more bytes of the blob are sent.
    Sent {
        /// Which.
        blob: usize,
        /// Bytes.
        bytes: u64,
    },
    /// The blob is in the store.
    Stored {
        /// Which.
        blob: usize,
    },
}

/// Hears events, from several threads.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// Tells events and carries the wish to stop.
#[derive(Clone)]
pub struct Watch {
    listener: Listener,
    stopped: Arc<AtomicBool>,
}

impl Watch {
    /// Tells a listener.
    pub fn new(listener: Listener) -> Self {
        Self { listener, stopped: Arc::default() }
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(Arc::new(|_| ()))
    }

    /// Tells the listener.
    pub fn tell(&self, event: Event) {
        (self.listener)(event);
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// An error once the work is stopped. Not `ErrorKind::Interrupted`, which readers answer by trying again.
    pub(super) fn go_on(&self) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) { Err(io::Error::other(ImageError::Stopped)) } else { Ok(()) }
    }
}

/// A source that tells how much of it was read, and ends when the work is stopped.
pub(super) struct Metered<'a> {
    pub(super) source: &'a dyn BlobSource,
    pub(super) blob: usize,
    pub(super) watch: Watch,
}

impl BlobSource for Metered<'_> {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.watch.tell(Event::Sending { blob: self.blob });
        Ok(self.metered(self.source.open()?))
    }

    fn open_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self.watch.tell(Event::Sending { blob: self.blob });
        self.watch.tell(Event::Sent { blob: self.blob, bytes: offset });
        Ok(self.metered(self.source.open_from(offset)?))
    }

    fn open_unverified(&self) -> io::Result<Box<dyn Read + Send>> {
        self.watch.tell(Event::Sending { blob: self.blob });
        Ok(self.metered(self.source.open_unverified()?))
    }
}

impl Metered<'_> {
    fn metered(&self, inner: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        Box::new(MeteredReader { inner, blob: self.blob, watch: self.watch.clone() })
    }
}

struct MeteredReader {
    inner: Box<dyn Read + Send>,
    blob: usize,
    watch: Watch,
}

impl Read for MeteredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.go_on()?;
        let count = self.inner.read(buffer)?;
        self.watch.tell(Event::Sent { blob: self.blob, bytes: count as u64 });
        Ok(count)
    }
}
