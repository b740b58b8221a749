//! Digests that a hub's own tools keep beside the files they fetched, believed when the user says so.
//!
//! In its cache huggingface_hub names large files by their SHA-256 (`blobs/<hex>`, behind the links of `snapshots/`); beside a plain
//! download it writes the same into `.cache/huggingface/download/<path>.metadata`
//! (<https://huggingface.co/docs/huggingface_hub/guides/manage-cache>). Nothing checks that a file still is what its name says, so one of
//! them is hashed: an editor that wrote through a link, or a disk that lost a block, is told loudly.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ImageError;
use super::tar::LayerTar;
use super::watch::Watch;
use crate::model::{Content, FileStamp, ModelFile};
use crate::oci::Digest;

/// Three short lines.
const MAX_METADATA: u64 = 4096;
/// Smaller files are hashed as fast as they are asked about, in bytes.
const LARGE: u64 = 1 << 20;

/// What the hub's tools say of the large files of these layers.
///
/// # Errors
/// [`ImageError::HubDigest`] where the smallest of them is something else.
pub fn digests(tars: &[LayerTar], watch: &Watch) -> Result<HashMap<FileStamp, Digest>, ImageError> {
    let mut said = HashMap::new();
    let mut smallest: Option<(&ModelFile, Digest)> = None;
    for file in tars.iter().flat_map(LayerTar::files).filter(|file| file.size >= LARGE) {
        let Content::Disk { source, stamp } = &file.content else { continue };
        let Some(digest) = in_cache(source).or_else(|| beside(source, &file.path, stamp)) else { continue };
        said.insert(*stamp, digest);
        if smallest.is_none_or(|(other, _)| file.size < other.size) {
            smallest = Some((file, digest));
        }
    }
    smallest.map_or(Ok(()), |(file, digest)| check(file, digest, watch))?;
    Ok(said)
}

/// `…/models--ORG--NAME/blobs/<sha256>`. Small files are named by a shorter Git hash there.
fn in_cache(source: &Path) -> Option<Digest> {
    let blobs = source.parent().filter(|folder| folder.ends_with("blobs"))?;
    let repository = blobs.parent()?.file_name()?.to_str()?;
    repository.starts_with("models--").then(|| digest_of_hex(source.file_name()?.to_str()?)).flatten()
}

/// The second line of a download's metadata is its ETag, a large file's SHA-256. Metadata older than the file are about another one; the
/// hub's own tools leave a second between the two clocks.
fn beside(source: &Path, path: &str, stamp: &FileStamp) -> Option<Digest> {
    let root = root(source, path)?;
    let metadata = root.join(".cache/huggingface/download").join(format!("{path}.metadata"));
    let mut text = String::new();
    File::open(metadata).ok()?.take(MAX_METADATA).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let (_commit, etag, written) = (lines.next()?, lines.next()?, lines.next()?);
    let written: f64 = written.trim().parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a second more or less is in the comparison already")]
    let modified = stamp.mtime_ns as f64 / 1e9;
    digest_of_hex(etag.trim()).filter(|_| modified <= written + 1.0)
}

/// The folder below which `source` is `path`.
fn root(source: &Path, path: &str) -> Option<PathBuf> {
    if !source.ends_with(path) {
        return None;
    }
    source.ancestors().nth(Path::new(path).components().count()).map(Path::to_owned)
}

fn digest_of_hex(hex: &str) -> Option<Digest> {
    format!("sha256:{hex}").parse().ok()
}

fn check(file: &ModelFile, said: Digest, watch: &Watch) -> Result<(), ImageError> {
    watch.go_on().map_err(|_| ImageError::Stopped)?;
    let found = file.open().and_then(|mut content| Digest::of_reader(&mut content)).map_err(ImageError::Reading)?;
    if found == said { Ok(()) } else { Err(ImageError::HubDigest { path: file.path.clone(), said, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tar::TarEntry;
    use std::fs;

    fn tar(dir: &Path, path: &str, source: &str) -> LayerTar {
        let file = ModelFile::on_disk(path.to_owned(), &dir.join(source)).unwrap();
        LayerTar::new(vec![TarEntry::File { path: format!("models/{path}"), file }], 0)
    }

    fn write(dir: &Path, path: &str, content: &[u8]) {
        fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        fs::write(dir.join(path), content).unwrap();
    }

    #[test]
    fn a_hub_cache_names_large_files_by_their_digest() {
        let dir = tempfile::tempdir().unwrap();
        let content = vec![7; 1 << 20];
        let (digest, other) = (Digest::of(&content), Digest::of(b"other"));
        let (right, wrong) = (format!("models--a--b/blobs/{}", digest.hex()), format!("models--a--b/blobs/{}", other.hex()));
        write(dir.path(), &right, &content);
        let tars = [tar(dir.path(), "w.bin", &right)];
        assert_eq!(digests(&tars, &Watch::silent()).unwrap().into_values().collect::<Vec<_>>(), [digest]);
        // Larger, so that the true one is the one that is looked at; then alone.
        write(dir.path(), &wrong, &vec![8; 2 << 20]);
        let both = [tars[0].clone(), tar(dir.path(), "x.bin", &wrong)];
        assert_eq!(digests(&both, &Watch::silent()).unwrap().len(), 2);
        let error = digests(&both[1..], &Watch::silent()).unwrap_err();
        assert!(matches!(&error, ImageError::HubDigest { path, said, .. } if path == "x.bin" && *said == other), "{error}");
    }

    #[test]
    fn names_that_only_look_like_it_tell_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let hex = Digest::of(b"x").hex();
        let content = vec![7; 1 << 20];
        for path in [format!("other/blobs/{hex}"), format!("models--a--b/{hex}"), "models--a--b/blobs/0123".to_owned()] {
            write(dir.path(), &path, &content);
            assert!(digests(&[tar(dir.path(), "w.bin", &path)], &Watch::silent()).unwrap().is_empty(), "{path}");
        }
        let small = format!("models--a--b/blobs/{hex}");
        write(dir.path(), &small, b"small");
        assert!(digests(&[tar(dir.path(), "w.bin", &small)], &Watch::silent()).unwrap().is_empty());
    }

    #[test]
    fn a_download_keeps_its_digests_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let content = vec![7; 1 << 20];
        let digest = Digest::of(&content);
        write(dir.path(), "sub/w.bin", &content);
        let tars = [tar(dir.path(), "sub/w.bin", "sub/w.bin")];
        let metadata = ".cache/huggingface/download/sub/w.bin.metadata";
        let future = "99999999999.5";
        for (text, expected) in [
            (format!("commit\n{}\n{future}\n", digest.hex()), Some(digest)),
            (format!("commit\n{}\n1.5\n", digest.hex()), None),
            (format!("commit\nW/\"abc\"\n{future}\n"), None),
            (format!("commit\n{}\n", digest.hex()), None),
            (String::new(), None),
        ] {
            write(dir.path(), metadata, text.as_bytes());
            assert_eq!(digests(&tars, &Watch::silent()).unwrap().into_values().next(), expected, "{text}");
        }
    }
}
