//! The files of a model where they lie: in the plain layers of an image, in whatever store. Headers are read and contents are reached by
//! offset, so that a model of a hundred gigabytes in a registry is looked at with a few small requests. No digest is checked here:
//! `verify` and `extract` do that.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::compose::MODELS;
use super::compress::Compression;
use super::extract::below_models;
use super::listing::{Entry, Kind, list_layer};
use super::{ImageError, platforms};
use crate::model::{ByteSource, MAX_FILES, ModelFile, Stretch};
use crate::oci::{Descriptor, RawManifest};
use crate::store::Store;

/// An uncompressed layer in a store.
pub(super) struct Layer {
    pub(super) store: Arc<dyn Store>,
    pub(super) blob: Descriptor,
}

impl ByteSource for Layer {
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self.store.get_blob_from(&self.blob, offset).map_err(io::Error::other)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.blob.digest, self.store.name())
    }
}

/// The files of the model below `/models`, of the first platform: they are all the same model.
///
/// # Errors
/// [`ImageError::Compressed`] where a layer with files of the model is compressed, [`ImageError::Entry`] for links,
/// [`ImageError::NoModels`] where there are none.
pub fn model_files(store: &Arc<dyn Store>, raw: &RawManifest) -> Result<Vec<ModelFile>, ImageError> {
    let images = platforms::images(store.as_ref(), raw, None)?;
    let mut files = BTreeMap::new();
    for (number, blob) in images.first().ok_or(ImageError::NoModels)?.layers.iter().enumerate() {
        let entries = list_layer(store.as_ref(), blob, number)?.entries;
        let layer: Arc<dyn ByteSource> = Arc::new(Layer { store: store.clone(), blob: blob.clone() });
        for entry in &entries {
            add(blob, entry, &layer, &mut files)?;
        }
    }
    if files.is_empty() { Err(ImageError::NoModels) } else { Ok(files.into_values().collect()) }
}

fn add(blob: &Descriptor, entry: &Entry, layer: &Arc<dyn ByteSource>, files: &mut BTreeMap<String, ModelFile>) -> Result<(), ImageError> {
    let refuse = |reason| ImageError::Entry { digest: blob.digest, path: entry.name.escape_debug().to_string(), reason };
    let Some(path) = below_models(entry.name.as_bytes()).map_err(refuse)? else { return Ok(()) };
    let path = path.strip_prefix(MODELS).ok().and_then(Path::to_str).unwrap_or_default().to_owned();
    match entry.kind {
        _ if path.split('/').any(|name| name.starts_with(".wh.")) => Err(refuse("it deletes files of a lower layer")),
        Kind::Directory => Ok(()),
        Kind::File if Compression::of(&blob.media_type) != Some(Compression::None) => Err(ImageError::Compressed { digest: blob.digest }),
        Kind::File if files.len() >= MAX_FILES => Err(refuse("it is one file too many")),
        Kind::File => {
            let stretch = Stretch { source: layer.clone(), offset: entry.offset };
            files.insert(path.clone(), ModelFile::within(path, stretch, entry.size));
            Ok(())
        }
        _ => Err(refuse("it is a link or no file")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
    use crate::oci::{ImageManifest, ManifestRef, media_type};
    use crate::store::Access;
    use crate::store::layout::LayoutStore;

    /// A layer with these files; a content that begins with `->` makes a link.
    fn layer(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = header("models", EntryKind::Directory, 0);
        for (path, content) in files {
            if let Some(target) = content.strip_prefix("->") {
                tar.extend(header(path, EntryKind::Symlink { target }, 0));
                continue;
            }
            let size = content.len() as u64;
            tar.extend(header(path, EntryKind::File { size, executable: false }, 0));
            tar.extend(content.as_bytes());
            tar.resize(tar.len() + usize::try_from(padding(size)).unwrap(), 0);
        }
        tar.extend(TRAILER);
        tar
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The files, and the layout that they lie in.
    fn listed(layers: &[(&str, Vec<u8>)]) -> (Result<Vec<ModelFile>, ImageError>, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(LayoutStore::open(home.path(), Access::Write).unwrap());
        let put = |media_type: &str, bytes: &Vec<u8>| {
            let descriptor = Descriptor::of(media_type, bytes);
            store.put_blob(&descriptor, bytes).unwrap();
            descriptor
        };
        let layers = layers.iter().map(|(media_type, bytes)| put(media_type, bytes)).collect();
        let raw = RawManifest::image(&ImageManifest::new(put(media_type::CONFIG, &b"{}".to_vec()), layers)).unwrap();
        store.put_manifest(&raw, &ManifestRef::Tag("v1".to_owned())).unwrap();
        (model_files(&store, &raw), home)
    }

    #[test]
    fn every_file_is_read_from_its_own_place() {
        let lower = layer(&[("models/a", "old"), ("models/sub/b", "bytes of b"), ("bin/sh", "shell")]);
        let upper = layer(&[("models/a", "the new a"), ("models/empty", "")]);
        let (files, _home) = listed(&[(media_type::LAYER_TAR, lower), (media_type::LAYER_TAR, upper)]);
        let files = files.unwrap();
        let read: Vec<_> =
            files.iter().map(|file| (file.path.as_str(), file.size, io::read_to_string(file.open().unwrap()).unwrap())).collect();
        let expected = [("a", 9, "the new a"), ("empty", 0, ""), ("sub/b", 10, "bytes of b")];
        assert_eq!(read, expected.map(|(path, size, text)| (path, size, text.to_owned())));
    }

    #[test]
    fn what_cannot_be_looked_at_in_place_is_refused() {
        let tar = media_type::LAYER_TAR;
        for (media_type, bytes, expected) in [
            (media_type::LAYER_GZIP, gzipped(&layer(&[("models/a", "x")])), "is compressed"),
            (tar, layer(&[("models/a", "->b")]), "it is a link or no file"),
            (tar, layer(&[("models/.wh.a", "")]), "it deletes files of a lower layer"),
            (tar, layer(&[("models/../a", "x")]), "climbs with `..`"),
            (tar, layer(&[("etc/passwd", "x")]), "no files under /models"),
            (tar, b"no tar at all, but long enough".repeat(40), "cannot be unpacked"),
        ] {
            let error = listed(&[(media_type, bytes)]).0.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_name_of_a_gigabyte_is_not_read() {
        let mut block = header("././@LongLink", EntryKind::File { size: 1 << 30, executable: false }, 0);
        block[156] = b'L';
        let mut fixed = tar::Header::from_byte_slice(&block).clone();
        fixed.set_cksum();
        let mut bytes = fixed.as_bytes().to_vec();
        bytes.resize(bytes.len() + (2 << 20), b'x');
        let error = listed(&[(media_type::LAYER_TAR, bytes)]).0.unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("larger than 1 MiB"), "{error:?}");
    }
}
