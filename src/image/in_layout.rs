//! The files of a model where they lie: in the plain layers of an image in a layout. Headers are read, contents are skipped, so that a
//! model of a hundred gigabytes is listed at once. No digest is checked here: `verify` and `extract` do that.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use tar::{Archive, Entry, EntryType};

use super::extract::{Guarded, MAX_HEADERS, below_models};
use super::{ImageError, platforms};
use crate::model::{ByteSource, MAX_FILES, ModelFile, Stretch};
use crate::oci::{Descriptor, Digest, RawManifest, media_type};
use crate::store::Store;

/// A layer's blob in a layout directory.
#[derive(Debug)]
struct LayerFile(PathBuf);

impl ByteSource for LayerFile {
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// The files of the model below `/models`, of the first platform: they are all the same model. `dir` is the layout of `store`.
///
/// # Errors
/// [`ImageError::Compressed`] where a layer is compressed, [`ImageError::Entry`] for links, [`ImageError::NoModels`] where there are none.
pub fn model_files(store: &dyn Store, dir: &Path, raw: &RawManifest) -> Result<Vec<ModelFile>, ImageError> {
    let images = platforms::images(store, raw, None)?;
    let mut files = BTreeMap::new();
    for layer in &images.first().ok_or(ImageError::NoModels)?.layers {
        list(dir, layer, &mut files)?;
    }
    if files.is_empty() { Err(ImageError::NoModels) } else { Ok(files.into_values().collect()) }
}

fn list(dir: &Path, layer: &Descriptor, files: &mut BTreeMap<String, ModelFile>) -> Result<(), ImageError> {
    if layer.media_type != media_type::LAYER_TAR {
        return Err(ImageError::Compressed { digest: layer.digest });
    }
    let path = dir.join("blobs").join("sha256").join(layer.digest.hex());
    let unpacking = |source| ImageError::Unpacking { digest: layer.digest, source };
    let budget = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = Archive::new(Guarded { inner: File::open(&path).map_err(unpacking)?, budget: budget.clone() });
    let mut entries = archive.entries_with_seek().map_err(unpacking)?;
    let source: Arc<dyn ByteSource> = Arc::new(LayerFile(path));
    loop {
        budget.set(MAX_HEADERS);
        let Some(entry) = entries.next() else { return Ok(()) };
        add(layer.digest, &entry.map_err(unpacking)?, &source, files)?;
    }
}

fn add<R: Read>(
    digest: Digest,
    entry: &Entry<'_, R>,
    source: &Arc<dyn ByteSource>,
    files: &mut BTreeMap<String, ModelFile>,
) -> Result<(), ImageError> {
    let name = entry.path_bytes().into_owned();
    let refuse = |reason| ImageError::Entry { digest, path: String::from_utf8_lossy(&name).escape_debug().to_string(), reason };
    let Some(path) = below_models(&name).map_err(refuse)? else { return Ok(()) };
    let path = path.strip_prefix("models").ok().and_then(Path::to_str).unwrap_or_default().to_owned();
    match entry.header().entry_type() {
        _ if path.split('/').any(|name| name.starts_with(".wh.")) => Err(refuse("it deletes files of a lower layer")),
        EntryType::Directory | EntryType::XGlobalHeader => Ok(()),
        EntryType::Regular | EntryType::Continuous if files.len() >= MAX_FILES => Err(refuse("it is one file too many")),
        EntryType::Regular | EntryType::Continuous => {
            let stretch = Stretch { source: source.clone(), offset: entry.raw_file_position() };
            files.insert(path.clone(), ModelFile::within(path, stretch, entry.size()));
            Ok(())
        }
        _ => Err(refuse("it is a link or no file")),
    }
}

impl<R: Seek> Seek for Guarded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
    use crate::oci::{ImageManifest, ManifestRef};
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

    /// The files, and the layout that they lie in.
    fn listed(layers: &[(&str, Vec<u8>)]) -> (Result<Vec<ModelFile>, ImageError>, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(home.path(), Access::Write).unwrap();
        let put = |media_type: &str, bytes: &Vec<u8>| {
            let descriptor = Descriptor::of(media_type, bytes);
            store.put_blob(&descriptor, bytes).unwrap();
            descriptor
        };
        let layers = layers.iter().map(|(media_type, bytes)| put(media_type, bytes)).collect();
        let raw = RawManifest::image(&ImageManifest::new(put(media_type::CONFIG, &b"{}".to_vec()), layers)).unwrap();
        store.put_manifest(&raw, &ManifestRef::Tag("v1".to_owned())).unwrap();
        (model_files(&store, home.path(), &raw), home)
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
            (media_type::LAYER_GZIP, layer(&[("models/a", "x")]), "is compressed"),
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
