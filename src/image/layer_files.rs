//! What the files of a model in an image come to: the digest of each, taken from the layer's own bytes, which are verified whole.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;

use tar::{Archive, Entry, EntryType};

use super::ImageError;
use super::compress::unpacked;
use super::extract::below_models;
use super::listing::{Guarded, MAX_HEADERS};
use crate::model::MAX_FILES;
use crate::oci::{Descriptor, Digest};
use crate::store::{Store, StoreError};

/// The most bytes of all names of a layer.
const MAX_NAMES: usize = 12 << 20;

/// The files that a layer brings to `/models`: their paths below it and their digests. The layer is read as a stream.
///
/// # Errors
/// A layer that is not what its digest says, or is no tar; links, devices and deletions below `/models`.
pub fn model_file_digests(store: &dyn Store, layer: &Descriptor) -> Result<BTreeMap<String, Digest>, ImageError> {
    let mut blob = store.get_blob(layer)?;
    let digests = read(layer, &mut blob);
    // The digest is known only at the very end, behind the tar's trailer; a wrong one explains whatever else went wrong.
    io::copy(&mut blob, &mut io::sink()).map_err(|source| StoreError::reading(layer, store, source))?;
    digests
}

fn read(layer: &Descriptor, blob: &mut Box<dyn Read + Send>) -> Result<BTreeMap<String, Digest>, ImageError> {
    let unpacking = |source| ImageError::Unpacking { digest: layer.digest, source };
    let budget = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = Archive::new(Guarded { inner: unpacked(layer, blob)?, budget: budget.clone() });
    let mut entries = archive.entries().map_err(unpacking)?;
    let (mut files, mut names) = (BTreeMap::new(), 0);
    loop {
        budget.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { return Ok(files) };
        let mut entry = entry.map_err(unpacking)?;
        budget.set(u64::MAX);
        let Some(path) = model_file(&entry).map_err(|reason| refused(layer, &entry, reason))? else {
            // else its content would count as headers of the next one
            io::copy(&mut entry, &mut io::sink()).map_err(unpacking)?;
            continue;
        };
        names += path.len();
        if files.len() >= MAX_FILES || names > MAX_NAMES {
            return Err(refused(layer, &entry, "it is one file too many"));
        }
        files.insert(path, Digest::of_reader(&mut entry).map_err(unpacking)?);
    }
}

/// The path below `/models` of a regular file there; none for folders and the rest of the image.
fn model_file<R: Read>(entry: &Entry<'_, R>) -> Result<Option<String>, &'static str> {
    let Some(path) = below_models(&entry.path_bytes())? else { return Ok(None) };
    if path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".wh.")) {
        return Err("it deletes files of a lower layer");
    }
    match entry.header().entry_type() {
        EntryType::Directory | EntryType::XGlobalHeader => Ok(None),
        EntryType::Regular | EntryType::Continuous => {
            let below = path.strip_prefix("models").ok().and_then(|path| path.to_str()).filter(|path| !path.is_empty());
            below.map(|path| Some(path.to_owned())).ok_or("`/models` is no folder")
        }
        _ => Err("it is a link or no file"),
    }
}

fn refused<R: Read>(layer: &Descriptor, entry: &Entry<'_, R>, reason: &'static str) -> ImageError {
    let path = String::from_utf8_lossy(&entry.path_bytes()).escape_debug().to_string();
    ImageError::Entry { digest: layer.digest, path, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::Tar;
    use crate::oci::media_type;
    use crate::store::Access;
    use crate::store::layout::LayoutStore;

    fn digests(media_type: &str, bytes: &[u8]) -> Result<BTreeMap<String, Digest>, ImageError> {
        let home = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(home.path(), Access::Write).unwrap();
        let layer = Descriptor::of(media_type, bytes);
        store.put_blob(&layer, &bytes.to_vec()).unwrap();
        model_file_digests(&store, &layer)
    }

    #[test]
    fn hashes_the_files_below_models_and_nothing_else() {
        let large = vec![7; (768 << 10) + 1];
        let program = vec![9; 3 << 20];
        let tar = Tar::default().file("bin/tool", &program).directory("models").file("models/a", b"x");
        let tar = tar.file("./models/1/b", &large).file("etc/passwd", b"y").end();
        let expected = BTreeMap::from([("a".to_owned(), Digest::of(b"x")), ("1/b".to_owned(), Digest::of(&large))]);
        assert_eq!(digests(media_type::LAYER_TAR, &tar).unwrap(), expected);
        let zstd = zstd::encode_all(tar.as_slice(), 1).unwrap();
        assert_eq!(digests(media_type::LAYER_ZSTD, &zstd).unwrap(), expected);
    }

    #[test]
    fn refuses_what_is_not_a_plain_file() {
        for (tar, reason) in [
            (Tar::default().link("models/a", "b"), "link or no file"),
            (Tar::default().other("models/a", b'1', "models/b"), "link or no file"),
            (Tar::default().other("models/a", b'3', ""), "link or no file"),
            (Tar::default().file("models/.wh.a", b""), "deletes files"),
            (Tar::default().file("models/.wh..wh..opq", b""), "deletes files"),
            (Tar::default().file(".wh.models", b""), "deletes files"),
            (Tar::default().file("models/../x", b""), "climbs"),
            (Tar::default().file("models", b""), "no folder"),
        ] {
            let error = digests(media_type::LAYER_TAR, &tar.end()).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
    }

    #[test]
    fn refuses_a_layer_that_is_not_what_its_digest_says() {
        let home = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(home.path(), Access::Write).unwrap();
        let tar = Tar::default().file("models/a", b"x").end();
        let layer = Descriptor::of(media_type::LAYER_TAR, &tar);
        store.put_blob(&layer, &tar).unwrap();
        let blob = home.path().join("blobs/sha256").join(layer.digest.hex());
        let mut changed = std::fs::read(&blob).unwrap();
        changed[512] ^= 1;
        std::fs::remove_file(&blob).unwrap();
        std::fs::write(&blob, changed).unwrap();
        assert!(matches!(model_file_digests(&store, &layer), Err(ImageError::Store(_))));
    }
}
