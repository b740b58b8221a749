//! The manifests of an image: the one there is, or those of an index, by platform.

use super::ImageError;
use super::base::read_config;
use crate::oci::{Descriptor, ImageManifest, Manifest, ManifestRef, Platform, RawManifest};
use crate::store::{Store, StoreError};

/// The most manifests of an index that are looked at.
const MAX_MANIFESTS: usize = 256;

/// The image manifests behind `raw`, for all its platforms or those asked for.
///
/// Entries of an index without a platform, or with `unknown/unknown`, are not images (attestations, ModelPack manifests).
///
/// # Errors
/// [`ImageError::NoPlatform`] where a platform asked for is not there.
pub fn images(store: &dyn Store, raw: &RawManifest, platforms: Option<&[Platform]>) -> Result<Vec<ImageManifest>, ImageError> {
    let index = match raw.parse().map_err(StoreError::from)? {
        Manifest::Image(manifest) => return only(store, manifest, platforms),
        Manifest::Index(index) => index,
    };
    let images: Vec<&Descriptor> = index.manifests.iter().filter(|entry| is_image(entry)).take(MAX_MANIFESTS).collect();
    let chosen = match platforms {
        None if images.is_empty() => return Err(ImageError::NoPlatform { wanted: "any platform".to_owned(), there: Vec::new() }),
        None => images,
        Some(platforms) => platforms.iter().map(|platform| find(&images, platform)).collect::<Result<_, _>>()?,
    };
    chosen.into_iter().map(|entry| child(store, entry)).collect()
}

/// The image of the first platform of an index, or the only one; `None` where an index has none.
///
/// # Errors
/// It cannot be read.
pub fn first_image(store: &dyn Store, raw: &RawManifest) -> Result<Option<ImageManifest>, ImageError> {
    match raw.parse().map_err(StoreError::from)? {
        Manifest::Image(manifest) => Ok(Some(manifest)),
        Manifest::Index(index) => index.manifests.iter().find(|entry| is_image(entry)).map(|entry| child(store, entry)).transpose(),
    }
}

/// A manifest without an index says its platform in its config.
fn only(store: &dyn Store, manifest: ImageManifest, platforms: Option<&[Platform]>) -> Result<Vec<ImageManifest>, ImageError> {
    let Some(platforms) = platforms else { return Ok(vec![manifest]) };
    let own = read_config(store, &manifest.config)?.platform;
    match platforms.iter().find(|platform| !fits(&own, platform)) {
        Some(wanted) => Err(ImageError::NoPlatform { wanted: wanted.to_string(), there: vec![own] }),
        None => Ok(vec![manifest]),
    }
}

fn fits(own: &Platform, wanted: &Platform) -> bool {
    own.os == wanted.os && own.architecture == wanted.architecture && (wanted.variant.is_none() || own.variant == wanted.variant)
}

/// Whether an entry of an index is an image that a container can be made of.
pub fn is_image(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_some_and(|platform| platform.os != "unknown")
}

fn find<'a>(images: &[&'a Descriptor], platform: &Platform) -> Result<&'a Descriptor, ImageError> {
    let found = images.iter().find(|entry| entry.platform.as_ref().is_some_and(|own| fits(own, platform)));
    found.copied().ok_or_else(|| ImageError::NoPlatform {
        wanted: platform.to_string(),
        there: images.iter().filter_map(|entry| entry.platform.clone()).collect(),
    })
}

fn child(store: &dyn Store, entry: &Descriptor) -> Result<ImageManifest, ImageError> {
    match store.get_manifest(&ManifestRef::Digest(entry.digest))?.parse().map_err(StoreError::from)? {
        Manifest::Image(manifest) => Ok(manifest),
        Manifest::Index(_) => Err(ImageError::NestedIndex { digest: entry.digest }),
    }
}
