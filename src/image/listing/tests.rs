use std::io::Write as _;
use std::sync::Mutex;

use super::*;
use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
use crate::oci::{ManifestRef, RawManifest, media_type};
use crate::store::BlobSource;

/// One blob, and what was read of it.
struct OneBlob {
    bytes: Vec<u8>,
    read: Mutex<u64>,
}

impl Store for OneBlob {
    fn has_blob(&self, _: &Descriptor) -> Result<bool, StoreError> {
        Ok(true)
    }
    fn put_blob(&self, _: &Descriptor, _: &dyn BlobSource) -> Result<(), StoreError> {
        Ok(())
    }
    fn get_blob(&self, _: &Descriptor) -> Result<Box<dyn Read + Send>, StoreError> {
        Ok(Box::new(io::Cursor::new(self.bytes.clone())))
    }
    fn get_blob_from(&self, _: &Descriptor, offset: u64) -> Result<Box<dyn Read + Send>, StoreError> {
        let rest = self.bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default().to_vec();
        *self.read.lock().unwrap() += 1;
        Ok(Box::new(io::Cursor::new(rest)))
    }
    fn put_manifest(&self, _: &RawManifest, _: &ManifestRef) -> Result<(), StoreError> {
        Ok(())
    }
    fn get_manifest(&self, at: &ManifestRef) -> Result<RawManifest, StoreError> {
        Err(StoreError::ManifestNotFound { store: self.name(), manifest: at.clone() })
    }
    fn referrers(&self, _: &Digest) -> Result<Vec<Descriptor>, StoreError> {
        Ok(Vec::new())
    }
    fn tags(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
    fn name(&self) -> String {
        "one blob".to_owned()
    }
}

fn tar(files: &[(&str, usize)]) -> Vec<u8> {
    let mut tar = header("models", EntryKind::Directory, 0);
    for (path, size) in files {
        let size = *size as u64;
        tar.extend(header(path, EntryKind::File { size, executable: false }, 0));
        tar.resize(tar.len() + usize::try_from(size + padding(size)).unwrap(), 7);
    }
    tar.extend(header("models/link", EntryKind::Symlink { target: "a" }, 0));
    tar.extend(TRAILER);
    tar
}

fn store(bytes: &[u8]) -> OneBlob {
    OneBlob { bytes: bytes.to_vec(), read: Mutex::new(0) }
}

fn listed(media_type: &str, bytes: &[u8]) -> Result<LayerListing, ImageError> {
    list_layer(&store(bytes), &Descriptor::of(media_type, bytes), 3)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_layer_is_listed_by_its_headers_and_a_compressed_one_alike() {
    let long = format!("models/{}", "n".repeat(300));
    let plain = tar(&[("models/a", 3_000_000), (&long, 10), ("./models/b", 0)]);
    let jumped = listed(media_type::LAYER_TAR, &plain).unwrap();
    let names: Vec<&str> = jumped.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["models/", "models/a", &long, "./models/b", "models/link"]);
    assert_eq!(jumped.entries[1].offset, 1024);
    assert_eq!((jumped.entries[1].size, jumped.entries[1].mode, jumped.entries[1].layer), (3_000_000, 0o644, 3));
    assert_eq!(jumped.entries[4].kind, Kind::Symlink("a".to_owned()));
    assert_eq!(jumped.entries[3].path(), "models/b");

    let unzipped = listed(media_type::LAYER_GZIP, &gzip(&plain)).unwrap();
    assert_eq!(unzipped.entries, jumped.entries);
    assert_eq!((unzipped.diff_id, unzipped.further_members), (Some(Digest::of(&plain)), 0));
    let members = plain.chunks(1024).map(gzip).collect::<Vec<_>>();
    let cut = listed(media_type::LAYER_GZIP, &members.concat()).unwrap();
    assert_eq!((cut.entries, cut.diff_id, cut.further_members), (unzipped.entries, unzipped.diff_id, members.len() - 1));
}

#[test]
fn what_lies_between_headers_is_passed_over_and_not_read() {
    let bytes = tar(&[("models/a", 5_000_000), ("models/b", 5_000_000), ("models/c", 10)]);
    let store = store(&bytes);
    list_layer(&store, &Descriptor::of(media_type::LAYER_TAR, &bytes), 0).unwrap();
    assert_eq!(*store.read.lock().unwrap(), 3, "from the start, and behind each large file");
}

#[test]
fn content_is_read_from_any_layer() {
    let mut bytes = tar(&[("models/a", 100_000), ("models/b", 5)]);
    for (media_type, bytes) in [(media_type::LAYER_TAR, bytes.clone()), (media_type::LAYER_GZIP, gzip(&bytes))] {
        let (store, layer) = (store(&bytes), Descriptor::of(media_type, &bytes));
        let entries = list_layer(&store, &layer, 0).unwrap().entries;
        let found = entries.iter().find(|entry| entry.name == "models/b").unwrap();
        assert_eq!(content(&store, &layer, found, 100).unwrap(), [7; 5]);
        assert_eq!(content(&store, &layer, found, 2).unwrap(), [7; 2]);
    }
    bytes.truncate(50_000);
    assert!(listed(media_type::LAYER_TAR, &bytes).is_err(), "a layer that ends in a file");
    assert!(listed(media_type::LAYER_GZIP, &gzip(&bytes)).is_err());
}

#[test]
fn a_part_of_a_blob_that_ends_early_is_no_end_of_the_tar() {
    let bytes = tar(&[("models/a", 3_000_000), ("models/b", 5)]);
    let layer = Descriptor::of(media_type::LAYER_TAR, &bytes);
    let listing = list_layer(&store(&bytes), &layer, 0).unwrap();
    for end in [512, 1024, listing.entries[2].offset - 512, listing.entries[2].offset + 5] {
        let short = store(&bytes[..usize::try_from(end).unwrap()]);
        assert!(list_layer(&short, &layer, 0).is_err(), "{end}");
    }
    let error = content(&store(&bytes[..2000]), &layer, &listing.entries[1], 5000).unwrap_err();
    assert!(matches!(error, ImageError::Unpacking { .. }), "{error:?}");
}

#[test]
fn a_size_in_a_pax_record_is_noticed() {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_size(10);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(b"10 size=5\n");
    bytes.resize(1024, 0);
    bytes.extend(&tar(&[("models/a", 5)])[512..]);
    let entries = listed(media_type::LAYER_TAR, &bytes).unwrap().entries;
    assert_eq!(entries.iter().map(|entry| entry.pax_size).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_name_without_end_is_refused() {
    let mut long = header(&"x".repeat(5000), EntryKind::File { size: 0, executable: false }, 0);
    long.extend(TRAILER);
    let error = listed(media_type::LAYER_TAR, &long).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("4096"), "{error:?}");
}

#[test]
fn a_layer_that_is_no_tar_is_an_error() {
    assert!(matches!(listed("application/octet-stream", b"x"), Err(ImageError::LayerType { .. })));
    assert!(matches!(listed(media_type::LAYER_TAR, &[b'x'; 600]), Err(ImageError::Unpacking { .. })));
    assert!(matches!(listed(media_type::LAYER_GZIP, b"not gzip at all"), Err(ImageError::Unpacking { .. })));
}

proptest::proptest! {
    #[test]
    fn survives_a_tar_with_any_bytes_in_it(at in 0_usize..4096, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..600)) {
        let mut tar = tar(&[("models/a", 600), (&format!("models/{}", "n".repeat(300)), 10), ("models/c", 0)]);
        let end = tar.len().min(at + bytes.len());
        tar[at.min(end)..end].copy_from_slice(&bytes[..end - at.min(end)]);
        for packed in [tar.clone(), gzip(&tar)] {
            let kind = if packed == tar { media_type::LAYER_TAR } else { media_type::LAYER_GZIP };
            if let Ok(listing) = listed(kind, &packed) {
                let _ = crate::image::rootfs::Rootfs::of([listing.entries.as_slice()]);
            }
        }
    }
}
