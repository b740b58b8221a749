//! What there is to say about an image: from its manifests and what speaks about it, never from a layer.

use super::ModelRegistryError;
use crate::image::annotations::{FORMAT, RUNTIME};
use crate::image::{Compression, inspect, platforms};
use crate::kserve::{Generation, Runtime, model_format};
use crate::oci::{Digest, ImageManifest, RawManifest, Reference, printable};
use crate::store::Store;
use crate::trust::{Present, present};

/// What bills of licences and commits are called in an image: <https://github.com/opencontainers/image-spec/blob/main/annotations.md>.
const LICENCE: &str = "org.opencontainers.image.licenses";
const REVISION: &str = "org.opencontainers.image.revision";
/// The longest value taken from an image, in characters; whoever built it wrote it.
const MAX_VALUE: usize = 1024;

/// An image as a registry tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Registry, repository and digest.
    pub image: Reference,
    /// The digest of the index, or of the only manifest.
    pub digest: Digest,
    /// How much room it takes, and in which sense.
    pub size: Size,
    /// `linux/amd64`; none for an artifact.
    pub platforms: Vec<String>,
    /// modelcar's word for the model's format, where the image tells.
    pub format: Option<String>,
    /// KServe's word for it.
    pub kserve_format: Option<String>,
    /// SPDX, where the image tells.
    pub licence: Option<String>,
    /// The commit that the image says it was made from.
    pub commit: Option<String>,
    /// What speaks about it; not verified.
    pub present: Present,
}

/// How much room an image takes, in bytes, by its largest platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// On a node's disk, as its layers are not compressed.
    Unpacked(u64),
    /// In the registry; unpacked it is larger, and only reading it would tell how large.
    Compressed(u64),
}

impl ImageFacts {
    /// Reads them; `name` is what clusters call the image, and the format's word is the one of this KServe.
    ///
    /// # Errors
    /// A manifest that cannot be read, or whatever the store answers.
    pub fn read(store: &dyn Store, raw: &RawManifest, name: &Reference, generation: Generation) -> Result<Self, ModelRegistryError> {
        let inspection = inspect::inspect(store, raw)?;
        let told = |key: &str| inspection.annotations.get(key).map(|value| printable(value, MAX_VALUE)).filter(|value| !value.is_empty());
        let format = told(FORMAT).filter(|format| format != "unknown");
        let server: Option<Runtime> = told(RUNTIME).and_then(|name| name.parse().ok());
        let kserve_format = format.as_deref().map(|format| model_format(format, server, generation).to_owned());
        Ok(Self {
            image: name.at(raw.digest()),
            digest: raw.digest(),
            size: size(&platforms::images(store, raw, None)?),
            format,
            kserve_format,
            licence: told(LICENCE),
            commit: told(REVISION),
            platforms: inspection.platforms,
            present: present(store, raw.digest())?,
        })
    }
}

fn size(images: &[ImageManifest]) -> Size {
    let bytes = |image: &ImageManifest| image.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
    let largest = images.iter().map(bytes).max().unwrap_or_default();
    let is_plain = |media_type: &str| Compression::of(media_type) == Some(Compression::None);
    let plain = images.iter().flat_map(|image| &image.layers).all(|layer| is_plain(&layer.media_type));
    if plain { Size::Unpacked(largest) } else { Size::Compressed(largest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, media_type};

    fn image(layers: &[(&str, u64)]) -> ImageManifest {
        let layers = layers.iter().map(|(kind, size)| Descriptor::new(kind, Digest::of(b""), *size)).collect();
        ImageManifest::new(Descriptor::of(media_type::CONFIG, b"{}"), layers)
    }

    #[test]
    fn the_size_is_that_of_the_largest_platform_and_says_whether_it_is_unpacked() {
        let plain = media_type::LAYER_TAR;
        let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert_eq!(size(&[image(&[(plain, 1), (plain, 2)]), image(&[(plain, 5)])]), Size::Unpacked(5));
        assert_eq!(size(&[image(&[(plain, 7), (gzip, 2)])]), Size::Compressed(9));
        assert_eq!(size(&[image(&[(plain, u64::MAX), (plain, 2)])]), Size::Unpacked(u64::MAX));
        assert_eq!(size(&[]), Size::Unpacked(0));
    }
}
