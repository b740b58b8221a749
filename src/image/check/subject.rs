//! The image as the rules see it, read once.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Deserialize;

use crate::image::base::read_config;
use crate::image::listing::{LayerListing, list_layer};
use crate::image::rootfs::Rootfs;
use crate::image::{ImageError, platforms};
use crate::oci::{Descriptor, Digest, ImageConfig, ImageManifest, Manifest, Platform, RawManifest, media_type};
use crate::store::{Store, StoreError};

/// An image of one or more platforms.
pub(super) struct Subject<'a> {
    pub(super) store: &'a dyn Store,
    /// The size of the index or only manifest, in bytes.
    pub(super) size: usize,
    /// The `mediaType` inside the document, which one reader takes for the only one.
    pub(super) own_media_type: Option<String>,
    /// The entries of the index; `None` for a single manifest.
    pub(super) index: Option<Vec<Descriptor>>,
    pub(super) images: Vec<Image>,
}

/// The image of one platform.
pub(super) struct Image {
    pub(super) platform: String,
    pub(super) architecture: String,
    pub(super) manifest: ImageManifest,
    /// `None` for an artifact.
    pub(super) config: Option<ImageConfig>,
    /// A layer that cannot be listed says why.
    pub(super) layers: Vec<Result<Rc<LayerListing>, String>>,
    pub(super) rootfs: Rootfs,
}

/// The one member of a document that is read here.
#[derive(Deserialize)]
struct OwnMediaType {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

impl<'a> Subject<'a> {
    pub(super) fn read(store: &'a dyn Store, raw: &RawManifest, wanted: Option<&[Platform]>) -> Result<Self, ImageError> {
        let own: Option<OwnMediaType> = serde_json::from_slice(&raw.bytes).ok();
        let index = match raw.parse().map_err(StoreError::from)? {
            Manifest::Index(index) => Some(index.manifests),
            Manifest::Image(_) => None,
        };
        let mut listings = BTreeMap::new();
        let manifests = match (&index, wanted) {
            (Some(entries), None) => of_index(store, raw, entries)?,
            (_, Some(wanted)) => of_platforms(store, raw, wanted)?,
            (None, None) => platforms::images(store, raw, None)?.into_iter().map(|manifest| (None, manifest)).collect(),
        };
        let images = manifests.into_iter().map(|(platform, manifest)| Image::read(store, platform, manifest, &mut listings));
        let images = bounded(images)?;
        Ok(Self { store, size: raw.bytes.len(), own_media_type: own.and_then(|own| own.media_type), index, images })
    }
}

/// The most members of all platforms together: each has a tree of its own in memory.
const MAX_MEMBERS: usize = 200_000;

fn bounded(images: impl Iterator<Item = Result<Image, ImageError>>) -> Result<Vec<Image>, ImageError> {
    let (mut all, mut members) = (Vec::new(), 0);
    for image in images {
        let image = image?;
        members += image.entries().count();
        if members > MAX_MEMBERS {
            return Err(ImageError::TooManyFiles { most: MAX_MEMBERS });
        }
        all.push(image);
    }
    Ok(all)
}

type Named = Vec<(Option<Platform>, ImageManifest)>;

fn of_index(store: &dyn Store, raw: &RawManifest, entries: &[Descriptor]) -> Result<Named, ImageError> {
    let names = entries.iter().filter(|entry| platforms::is_image(entry)).map(|entry| entry.platform.clone());
    Ok(names.zip(platforms::images(store, raw, None)?).collect())
}

fn of_platforms(store: &dyn Store, raw: &RawManifest, wanted: &[Platform]) -> Result<Named, ImageError> {
    let names = wanted.iter().cloned().map(Some);
    Ok(names.zip(platforms::images(store, raw, Some(wanted))?).collect())
}

impl Image {
    fn read(
        store: &dyn Store,
        platform: Option<Platform>,
        manifest: ImageManifest,
        listings: &mut BTreeMap<Digest, Result<Rc<LayerListing>, String>>,
    ) -> Result<Self, ImageError> {
        let is_image = matches!(manifest.config.media_type.as_str(), media_type::CONFIG | media_type::DOCKER_CONFIG);
        let config = if is_image { Some(read_config(store, &manifest.config)?) } else { None };
        let platform = platform.or_else(|| config.as_ref().map(|config| config.platform.clone())).unwrap_or_default();
        let mut layers = Vec::new();
        for (number, layer) in manifest.layers.iter().enumerate() {
            layers.push(list_once(store, layer, number, listings)?);
        }
        let rootfs = Rootfs::of(layers.iter().flatten().map(|listing| listing.entries.as_slice()))?;
        let name = if platform == Platform::default() { "artifact".to_owned() } else { platform.to_string() };
        Ok(Self { platform: name, architecture: platform.architecture, manifest, config, layers, rootfs })
    }

    /// Every member of the layers that can be listed.
    pub(super) fn entries(&self) -> impl Iterator<Item = &crate::image::listing::Entry> {
        self.layers.iter().flatten().flat_map(|listing| &listing.entries).map(Rc::as_ref)
    }
}

/// Platforms share layers, and share their listing, unless they stand at other places.
fn list_once(
    store: &dyn Store,
    layer: &Descriptor,
    number: usize,
    listings: &mut BTreeMap<Digest, Result<Rc<LayerListing>, String>>,
) -> Result<Result<Rc<LayerListing>, String>, ImageError> {
    if let Some(known) = listings.get(&layer.digest)
        && known.as_ref().ok().and_then(|listing| listing.entries.first()).is_none_or(|entry| entry.layer == number)
    {
        return Ok(known.clone());
    }
    let listed = match list_layer(store, layer, number) {
        Ok(listing) => Ok(Rc::new(listing)),
        Err(error @ (ImageError::LayerType { .. } | ImageError::Unpacking { .. })) => Err(told(&error)),
        Err(error) => return Err(error),
    };
    listings.insert(layer.digest, listed.clone());
    Ok(listed)
}

/// An error and its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
