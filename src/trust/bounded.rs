//! A store that ends: whatever a registry lists, verification asks for so much, holds so much and takes so long, and no more.
//!
//! Each document has a limit of its own where it is read. But a stranger may list thousands of referrers for each of hundreds of
//! platforms, each as large as is allowed, and send them slowly.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::oci::{Descriptor, Digest, ManifestRef, RawManifest};
use crate::store::{BlobSource, Store, StoreError};

/// Documents of one verification, in bytes: an SBOM of 1 MiB on each of a dozen platforms is far below.
const MAX_BYTES: u64 = 32 << 20;
/// Requests of one verification: enough for 4096 referrers of one image.
const MAX_REQUESTS: u64 = 10_000;
/// A verification takes no longer, however slowly a registry answers.
const MAX_TIME: Duration = Duration::from_secs(600);
/// What an entry of a list of referrers costs, about.
const ENTRY: u64 = 256;

/// Passes on what is read, until it is too much. It writes nothing.
pub(super) struct Bounded<'a> {
    store: &'a dyn Store,
    limits: Limits,
    end: Instant,
    bytes: AtomicU64,
    requests: AtomicU64,
}

/// What a verification may cost.
#[derive(Clone, Copy)]
struct Limits {
    bytes: u64,
    requests: u64,
    time: Duration,
}

impl<'a> Bounded<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        Self::with(store, Limits { bytes: MAX_BYTES, requests: MAX_REQUESTS, time: MAX_TIME })
    }

    fn with(store: &'a dyn Store, limits: Limits) -> Self {
        Self { store, limits, end: Instant::now() + limits.time, bytes: AtomicU64::new(0), requests: AtomicU64::new(0) }
    }

    /// Before a request.
    fn ask(&self) -> Result<(), StoreError> {
        if Instant::now() > self.end {
            return Err(self.too_much(format!("{} seconds", self.limits.time.as_secs())));
        }
        if self.requests.fetch_add(1, Ordering::Relaxed) >= self.limits.requests {
            return Err(self.too_much(format!("{} requests", self.limits.requests)));
        }
        Ok(())
    }

    /// Before bytes are read whose number is known, or after they were read where it is not.
    fn take(&self, bytes: u64) -> Result<(), StoreError> {
        let before = self.bytes.fetch_add(bytes.min(self.limits.bytes), Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limits.bytes {
            return Err(self.too_much(format!("{} bytes", self.limits.bytes)));
        }
        Ok(())
    }

    fn too_much(&self, limit: String) -> StoreError {
        StoreError::TooMuch { store: self.name(), what: "the signatures and attestations of one image", limit }
    }
}

impl Store for Bounded<'_> {
    fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
        self.ask()?;
        self.store.has_blob(blob)
    }

    fn put_blob(&self, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
        self.store.put_blob(blob, source)
    }

    fn get_blob(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        self.ask()?;
        self.take(blob.size)?;
        Ok(Box::new(Punctual { inner: self.store.get_blob(blob)?, end: self.end }))
    }

    fn put_manifest(&self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
        self.store.put_manifest(manifest, at)
    }

    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        self.ask()?;
        let raw = self.store.get_manifest(at)?;
        self.take(raw.bytes.len() as u64)?;
        Ok(raw)
    }

    fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        self.ask()?;
        let referrers = self.store.referrers(subject)?;
        self.take(referrers.len() as u64 * ENTRY)?;
        Ok(referrers)
    }

    fn tags(&self) -> Result<Vec<String>, StoreError> {
        self.ask()?;
        self.store.tags()
    }

    fn name(&self) -> String {
        self.store.name()
    }
}

/// A reader that gives up at a point in time.
struct Punctual {
    inner: Box<dyn Read + Send>,
    end: Instant,
}

impl Read for Punctual {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() > self.end {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it is sent too slowly"));
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::testing::{self, MemoryStore};

    fn bounded(store: &MemoryStore, bytes: u64, requests: u64, time: Duration) -> Bounded<'_> {
        Bounded::with(store, Limits { bytes, requests, time })
    }

    #[test]
    fn ends_after_so_many_requests_bytes_or_seconds() {
        let store = MemoryStore::default();
        let raw = testing::image(&store, "amd64");
        let (at, size, hour) = (ManifestRef::Digest(raw.digest()), raw.bytes.len() as u64, Duration::from_secs(3600));
        let reads = |bounded: &Bounded<'_>| std::iter::repeat_with(|| bounded.get_manifest(&at)).take(10).take_while(Result::is_ok).count();
        assert_eq!(reads(&bounded(&store, u64::MAX, 3, hour)), 3);
        assert_eq!(reads(&bounded(&store, 2 * size, 99, hour)), 2);
        assert_eq!(reads(&bounded(&store, 10 * size, 10, hour)), 10);
        let late = Bounded { end: Instant::now().checked_sub(Duration::from_secs(1)).unwrap(), ..bounded(&store, u64::MAX, 99, hour) };
        let error = late.get_manifest(&at).unwrap_err().to_string();
        assert_eq!(error, "memory: more than 3600 seconds for the signatures and attestations of one image");
    }

    #[test]
    fn blobs_count_by_what_their_descriptor_promises_before_they_are_opened() {
        let store = MemoryStore::default();
        let blob = Descriptor::new("x", Digest::of(b"not there"), 11);
        let error = bounded(&store, 10, 99, Duration::from_secs(60)).get_blob(&blob).err().unwrap();
        assert!(error.to_string().contains("more than 10 bytes"), "{error}");
        assert!(!error.is_not_found());
        let huge = Descriptor::new("x", Digest::of(b"not there"), u64::MAX);
        let bounded = bounded(&store, 10, 99, Duration::from_secs(60));
        assert!(bounded.get_blob(&huge).is_err() && bounded.get_blob(&blob).is_err(), "a sum does not wrap around");
    }

    #[test]
    fn a_reader_gives_up_in_time() {
        let end = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let mut reader = Punctual { inner: Box::new(io::repeat(0)), end };
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
