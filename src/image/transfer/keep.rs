//! Keeps an image's blobs where they are until the manifest is there that holds them.
//!
//! A registry forgets blobs that no manifest names. Quay does so after an hour (`PUSH_TEMP_TAG_EXPIRATION_SEC`), which a push of many gigabytes
//! outlasts; others clean up at any moment. So before a manifest is put, old news of a blob is renewed, and what is gone is sent again.

use std::time::{Duration, Instant};

use super::super::ImageError;
use super::Blob;
use crate::oci::{ManifestRef, RawManifest};
use crate::store::Store;

/// How old the news of a blob may be when a manifest is put that names it: half of Quay's hour.
const FRESH: Duration = Duration::from_secs(30 * 60);

/// The blobs of an image whose manifests are still to come.
pub struct Unheld<'a> {
    store: &'a dyn Store,
    blobs: Vec<Blob>,
    confirmed: Instant,
    fresh: Duration,
}

impl<'a> Unheld<'a> {
    /// Blobs that were seen in the store at `confirmed` or later.
    pub fn new(store: &'a dyn Store, blobs: Vec<Blob>, confirmed: Instant) -> Self {
        Self { store, blobs, confirmed, fresh: FRESH }
    }

    /// Puts a manifest. Blobs that the store has lost meanwhile are sent again, once.
    ///
    /// # Errors
    /// Whatever the store answers; a file that cannot be read, or has changed, where a blob must be sent again.
    pub fn put_manifest(&mut self, manifest: &RawManifest, at: &ManifestRef) -> Result<(), ImageError> {
        if self.confirmed.elapsed() >= self.fresh {
            self.confirm()?;
        }
        match self.store.put_manifest(manifest, at) {
            Err(error) if error.may_miss_a_blob() && self.confirm()? > 0 => Ok(self.store.put_manifest(manifest, at)?),
            answered => Ok(answered?),
        }
    }

    /// Looks whether the blobs are there, and sends those that are not; how many these were.
    fn confirm(&mut self) -> Result<usize, ImageError> {
        let (now, mut lost) = (Instant::now(), 0);
        for blob in &self.blobs {
            if self.store.has_blob(&blob.descriptor)? {
                continue;
            }
            tracing::warn!("{} has lost {} before its manifest came; it is sent again", self.store.name(), blob.descriptor.digest);
            self.store.put_blob(&blob.descriptor, &*blob.source)?;
            lost += 1;
        }
        self.confirmed = now;
        Ok(lost)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::oci::{Descriptor, Digest, media_type};
    use crate::store::registry::RegistryError;
    use crate::store::{BlobSource, StoreError};

    /// A registry that has lost a blob, or all of them.
    #[derive(Default)]
    struct Forgetful {
        has: Mutex<Vec<Digest>>,
        log: Mutex<Vec<&'static str>>,
        /// It keeps losing what it gets.
        sieve: bool,
    }

    impl Store for Forgetful {
        fn has_blob(&self, blob: &Descriptor) -> Result<bool, StoreError> {
            self.log.lock().unwrap().push("head");
            Ok(self.has.lock().unwrap().contains(&blob.digest))
        }

        fn put_blob(&self, blob: &Descriptor, _: &dyn BlobSource) -> Result<(), StoreError> {
            self.log.lock().unwrap().push("blob");
            if !self.sieve {
                self.has.lock().unwrap().push(blob.digest);
            }
            Ok(())
        }

        fn get_blob(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
            unreachable!()
        }

        fn put_manifest(&self, _: &RawManifest, _: &ManifestRef) -> Result<(), StoreError> {
            self.log.lock().unwrap().push("manifest");
            if self.has.lock().unwrap().len() == 2 {
                return Ok(());
            }
            let message = "blob unknown to registry (MANIFEST_BLOB_UNKNOWN)".to_owned();
            Err(RegistryError::Unexpected { method: "PUT".to_owned(), url: "x".to_owned(), status: 404, message }.into())
        }

        fn get_manifest(&self, _: &ManifestRef) -> Result<RawManifest, StoreError> {
            unreachable!()
        }

        fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, StoreError> {
            unreachable!()
        }

        fn tags(&self) -> Result<Vec<String>, StoreError> {
            unreachable!()
        }

        fn name(&self) -> String {
            "forgetful".to_owned()
        }
    }

    fn put(store: &Forgetful, fresh: Duration) -> Result<(), ImageError> {
        let blob = |bytes: &[u8]| Blob::new(Descriptor::of(media_type::LAYER_TAR, bytes), Arc::new(bytes.to_vec()));
        let manifest = RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: b"{}".to_vec() };
        let mut unheld = Unheld { fresh, ..Unheld::new(store, vec![blob(b"a"), blob(b"b")], Instant::now()) };
        unheld.put_manifest(&manifest, &ManifestRef::Tag("v1".to_owned()))
    }

    fn store(has: &[&[u8]]) -> Forgetful {
        Forgetful { has: Mutex::new(has.iter().map(|bytes| Digest::of(bytes)).collect()), ..Forgetful::default() }
    }

    #[test]
    fn blobs_that_were_seen_a_moment_ago_are_not_asked_for_again() {
        let store = store(&[b"a", b"b"]);
        put(&store, FRESH).unwrap();
        assert_eq!(*store.log.lock().unwrap(), ["manifest"]);
    }

    #[test]
    fn old_news_is_renewed_before_the_manifest() {
        let store = store(&[b"b"]);
        put(&store, Duration::ZERO).unwrap();
        assert_eq!(*store.log.lock().unwrap(), ["head", "blob", "head", "manifest"]);
    }

    #[test]
    fn a_blob_that_the_registry_misses_is_sent_again() {
        let store = store(&[b"a"]);
        put(&store, FRESH).unwrap();
        assert_eq!(*store.log.lock().unwrap(), ["manifest", "head", "head", "blob", "manifest"]);
    }

    #[test]
    fn a_registry_that_has_all_and_still_complains_is_told_as_it_is() {
        let lying = store(&[b"a", b"b", b"c"]);
        assert!(put(&lying, FRESH).is_err());
        assert_eq!(*lying.log.lock().unwrap(), ["manifest", "head", "head"]);
    }

    #[test]
    fn what_is_lost_again_and_again_is_an_error() {
        let sieve = Forgetful { sieve: true, ..store(&[b"a"]) };
        assert!(put(&sieve, FRESH).unwrap_err().to_string().contains("BLOB_UNKNOWN"));
        assert_eq!(*sieve.log.lock().unwrap(), ["manifest", "head", "head", "blob", "manifest"]);
    }
}
