//! What an image in a store is: platforms, layers, facts, signatures. Reads manifests and configs, never a layer.

use serde::Serialize;

use super::annotations::LAYER_PATH;
use super::compose::MODELS;
use super::{ImageError, platforms};
use crate::oci::{Annotations, Descriptor, Digest, ImageManifest, Manifest, ManifestRef, RawManifest, media_type};
use crate::store::{Store, StoreError};

/// An image as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The digest of the index, or of the only manifest.
    pub digest: Digest,
    /// What the digest names.
    pub media_type: String,
    /// The platforms, `linux/amd64`.
    pub platforms: Vec<String>,
    /// The bytes of all distinct layers, as they are stored.
    pub size: u64,
    /// The layers of the first platform, and base layers of the others.
    pub layers: Vec<LayerInfo>,
    /// The annotations of the index, or of the only manifest.
    pub annotations: Annotations,
    /// What speaks about the image.
    pub companions: Companions,
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerInfo {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub media_type: String,
    /// Bytes as stored.
    pub size: u64,
    /// What it holds, as far as annotations tell: a path below `/models`, `models`, or nothing.
    pub content: Option<String>,
    /// The platform it belongs to alone, if not all.
    pub platform: Option<String>,
}

/// Signatures and other documents that name the image as their subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Companions {
    /// Signatures in the classic `.sig` image (podman, skopeo, CRI-O).
    pub classic_signatures: usize,
    /// The artifact types of all referrers; Sigstore bundles among them.
    pub referrers: Vec<String>,
}

/// Reads what there is to know of an image.
///
/// # Errors
/// A manifest that is missing or that cannot be read.
pub fn inspect(store: &dyn Store, raw: &RawManifest) -> Result<Inspection, ImageError> {
    let (platforms, annotations) = match raw.parse().map_err(StoreError::from)? {
        Manifest::Index(index) => {
            let images = index.manifests.iter().filter(|entry| platforms::is_image(entry));
            (images.map(platform).collect(), index.annotations)
        }
        Manifest::Image(manifest) => (only_platform(store, &manifest), manifest.annotations),
    };
    let layers = layers(&platforms::images(store, raw, None)?, &platforms);
    Ok(Inspection {
        digest: raw.digest(),
        media_type: raw.media_type.clone(),
        size: layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size)),
        platforms,
        layers,
        annotations,
        companions: companions(store, &raw.digest())?,
    })
}

fn platform(entry: &Descriptor) -> String {
    entry.platform.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// An artifact has no image config and so no platform.
fn only_platform(store: &dyn Store, manifest: &ImageManifest) -> Vec<String> {
    let config = super::base::read_config(store, &manifest.config);
    config.map(|config| config.platform.to_string()).into_iter().filter(|platform| platform != "/").collect()
}

fn layers(images: &[ImageManifest], platforms: &[String]) -> Vec<LayerInfo> {
    let mut layers: Vec<LayerInfo> = Vec::new();
    for (number, image) in images.iter().enumerate() {
        for layer in &image.layers {
            let shared = images.iter().all(|image| image.layers.iter().any(|other| other.digest == layer.digest));
            if layers.iter().any(|known| known.digest == layer.digest) {
                continue;
            }
            let platform = platforms.get(number).filter(|_| !shared && images.len() > 1).cloned();
            layers.push(LayerInfo {
                digest: layer.digest,
                media_type: layer.media_type.clone(),
                size: layer.size,
                content: content(layer),
                platform,
            });
        }
    }
    layers
}

fn content(layer: &Descriptor) -> Option<String> {
    let path = layer.annotations.get(LAYER_PATH)?;
    let below = path.trim_start_matches('/').trim_start_matches(MODELS);
    Some(if below.is_empty() { "several files".to_owned() } else { below.to_owned() })
}

fn companions(store: &dyn Store, digest: &Digest) -> Result<Companions, ImageError> {
    let classic_signatures = match store.get_manifest(&ManifestRef::Tag(format!("{}.sig", digest.as_tag()))) {
        Ok(raw) => signatures(&raw),
        Err(error) if error.is_not_found() => 0,
        Err(error) => return Err(error.into()),
    };
    let referrers = store.referrers(digest)?;
    Ok(Companions {
        classic_signatures,
        referrers: referrers.into_iter().map(|referrer| referrer.artifact_type.unwrap_or(referrer.media_type)).collect(),
    })
}

fn signatures(raw: &RawManifest) -> usize {
    match raw.parse() {
        Ok(Manifest::Image(manifest)) => manifest.layers.iter().filter(|layer| layer.media_type == media_type::SIMPLE_SIGNING).count(),
        _ => 0,
    }
}
