//! What an image says and holds: its annotations, and the digest of every file of its model. For bills of materials.
//!
//! A layer that is annotated with its one file's digest is not read: the manifest vouches for the annotation as it does for the layer.
//! Other layers are read whole, and verified, as far as they hold files of the model.

use std::collections::BTreeMap;

use super::annotations::{LAYER_DIGEST, LAYER_PATH, LAYER_TYPE};
use super::build::Built;
use super::compose::{self, MODELS};
use super::compress::Compression;
use super::extract::below_models;
use super::layer_files::model_file_digests;
use super::listing::list_layer;
use super::{ImageError, platforms};
use crate::oci::{Annotations, Descriptor, Digest, Manifest, RawManifest};
use crate::store::{Store, StoreError};

/// An image without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The annotations of the index, or of the only manifest.
    pub annotations: Annotations,
    /// The digest of each file of the model, by its path below `/models`.
    pub files: BTreeMap<String, Digest>,
}

impl Contents {
    /// The image that was just built.
    ///
    /// # Errors
    /// Never for what this room made; parsing is fallible by signature only.
    pub fn of(built: &Built) -> Result<Self, ImageError> {
        let files = built.layers.iter().flat_map(|layer| &layer.files).map(|(path, _, digest)| (path.clone(), *digest));
        Ok(Self { annotations: annotations(built.index())?, files: files.collect() })
    }

    /// An image in a store: the model of its first platform, because all have the same one.
    ///
    /// # Errors
    /// A layer that is not what its digest says, entries that no model holds, [`ImageError::NoModels`].
    pub fn read(store: &dyn Store, raw: &RawManifest) -> Result<Self, ImageError> {
        let images = platforms::images(store, raw, None)?;
        let mut files = BTreeMap::new();
        for (number, layer) in images.first().ok_or(ImageError::NoModels)?.layers.iter().enumerate() {
            match told(layer) {
                Some((path, digest)) => drop(files.insert(path, digest)),
                None if holds_models(store, layer, number)? => files.extend(model_file_digests(store, layer)?),
                None => {}
            }
        }
        if files.is_empty() { Err(ImageError::NoModels) } else { Ok(Self { annotations: annotations(raw)?, files }) }
    }

    /// The digest of the model's content, independent of layers: see [`super::annotations::CONTENT_DIGEST`].
    pub fn digest(&self) -> Digest {
        compose::content_digest(self.files.iter().map(|(path, digest)| (path.as_str(), digest)))
    }
}

fn annotations(raw: &RawManifest) -> Result<Annotations, ImageError> {
    Ok(match raw.parse().map_err(StoreError::from)? {
        Manifest::Index(index) => index.annotations,
        Manifest::Image(manifest) => manifest.annotations,
    })
}

/// The file of a layer that holds one, as olot's annotations tell.
pub(super) fn told(layer: &Descriptor) -> Option<(String, Digest)> {
    let word = |name: &str| layer.annotations.get(name);
    if word(LAYER_TYPE)? != "file" {
        return None;
    }
    let path = word(LAYER_PATH)?.strip_prefix('/')?.strip_prefix(MODELS)?;
    let is_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    Some((path.to_owned(), word(LAYER_DIGEST)?.parse().ok()?)).filter(|_| is_plain)
}

/// Whether a layer has to be read. A plain one is known by its headers, a packed one is read anyhow.
fn holds_models(store: &dyn Store, layer: &Descriptor, number: usize) -> Result<bool, ImageError> {
    if Compression::of(&layer.media_type) != Some(Compression::None) {
        return Ok(true);
    }
    let entries = list_layer(store, layer, number)?.entries;
    // An entry that is refused is reported by the reading.
    Ok(entries.iter().any(|entry| !matches!(below_models(entry.name.as_bytes()), Ok(None))))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Tar;
    use super::*;
    use crate::oci::{ImageManifest, ManifestRef, media_type};
    use crate::store::Access;
    use crate::store::layout::LayoutStore;

    fn read(layers: &[(Vec<u8>, Annotations)]) -> Result<Contents, ImageError> {
        let home = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(home.path(), Access::Write).unwrap();
        let put = |media_type: &str, bytes: &Vec<u8>| {
            let descriptor = Descriptor::of(media_type, bytes);
            store.put_blob(&descriptor, bytes).unwrap();
            descriptor
        };
        let layers = layers.iter().map(|(bytes, annotations)| put(media_type::LAYER_TAR, bytes).annotated(annotations.clone())).collect();
        let raw = RawManifest::image(&ImageManifest::new(put(media_type::CONFIG, &b"{}".to_vec()), layers)).unwrap();
        store.put_manifest(&raw, &ManifestRef::Tag("v1".to_owned())).unwrap();
        Contents::read(&store, &raw)
    }

    fn annotated(path: &str, digest: &str) -> Annotations {
        [("type", "file"), ("inlayerpath", path), ("digest", digest)]
            .map(|(name, text)| (format!("olot.layer.content.{name}"), text.to_owned()))
            .into()
    }

    #[test]
    fn annotations_tell_and_what_they_do_not_is_hashed() {
        let told = Digest::of(b"as annotated");
        let whole = Tar::default().directory("models").file("models/a", b"a").file("models/sub/b", b"b").file("etc/passwd", b"x").end();
        let contents = read(&[
            (Tar::default().file("bin/sh", b"shell").end(), Annotations::new()),
            (whole, Annotations::new()),
            (Tar::default().file("models/c", b"c").end(), annotated("/models/c", &told.to_string())),
        ]);
        let expected = [("a", Digest::of(b"a")), ("c", told), ("sub/b", Digest::of(b"b"))];
        assert_eq!(contents.unwrap().files, expected.map(|(path, digest)| (path.to_owned(), digest)).into());
    }

    #[test]
    fn an_annotation_that_leads_elsewhere_is_not_believed() {
        let digest = Digest::of(b"annotated").to_string();
        for (path, digest) in
            [("/models/../etc/x", digest.as_str()), ("/etc/x", &digest), ("/models/c", "sha256:short"), ("/models/", &digest)]
        {
            let contents = read(&[(Tar::default().file("models/c", b"c").end(), annotated(path, digest))]).unwrap();
            assert_eq!(contents.files, [("c".to_owned(), Digest::of(b"c"))].into(), "{path}");
        }
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for (tar, reason) in [
            (Tar::default().file("bin/sh", b"x"), "no files under /models"),
            (Tar::default().link("models/a", "/etc/passwd"), "a link or no file"),
            (Tar::default().file("models/.wh.a", b""), "deletes files"),
            (Tar::default().file("models/../a", b""), "climbs"),
        ] {
            let error = read(&[(tar.end(), Annotations::new())]).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
