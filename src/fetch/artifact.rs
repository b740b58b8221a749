//! Models in registries, layouts and archives: ModelCar images, and the artifacts of others.
//!
//! | who writes it | what a layer is | its place |
//! |---|---|---|
//! | oras | a file; with `io.deis.oras.content.unpack` a folder's tar | `org.opencontainers.image.title` |
//! | KitOps, `application/vnd.kitops.modelkit.*` | a tar of files | in the tar |
//! | modctl, `application/vnd.cncf.model.*` | a file (`.raw`) or a tar | `org.cncf.model.filepath` |

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::item::{Body, Item, Listing, Opened, Origin, Place, Wish};
use super::proof::Proof;
use super::{FetchError, FetchOptions, Globs, unpack};
use crate::image::compress::unpacked;
use crate::image::{Transfer, extract, platforms};
use crate::model::MAX_FILES;
use crate::oci::{Descriptor, ImageManifest, Location, Manifest, RawManifest, media_type, printable};
use crate::store::{self, Access, Store, StoreError};

/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>
const TITLE: &str = "org.opencontainers.image.title";
/// <https://github.com/modelpack/model-spec/blob/main/docs/annotations.md>
const FILE_PATH: &str = "org.cncf.model.filepath";
/// <https://oras.land/docs/how_to_guides/pushing_and_pulling#pushing-artifacts-with-multiple-files>
const UNPACK: &str = "io.deis.oras.content.unpack";
/// Media types whose layers are packed as their ending says.
const PACKERS: [&str; 2] = ["application/vnd.kitops.modelkit.", "application/vnd.cncf.model."];

/// A layer that holds several files, or the model of an image.
#[derive(Clone)]
pub struct Bundle {
    /// Its name for people.
    pub name: String,
    /// Bytes, as they are transferred.
    pub size: u64,
    /// Its digest.
    pub id: String,
    content: Content,
    store: Arc<dyn Store>,
}

#[derive(Clone)]
enum Content {
    Tar(Box<Descriptor>),
    Image(RawManifest),
}

/// What lies behind a reference.
pub(super) fn list(location: &Location, options: &FetchOptions) -> Result<Listing, FetchError> {
    let store: Arc<dyn Store> = store::open(location, Access::Read, &options.store)?.into();
    let (_, raw) = store::resolve(store.as_ref(), location)?;
    let uri = uri(location, &raw);
    let blobs = Box::new(Blobs { store: store.clone() });
    let mut listing = Listing::of(uri, Vec::new(), blobs);
    match raw.parse().map_err(StoreError::from)? {
        Manifest::Image(manifest) if !is_image(&manifest) => add_layers(&mut listing, &manifest, &store)?,
        Manifest::Image(manifest) => listing.bundles.push(image(&raw, &manifest.layers, &store)),
        // All platforms hold the same model.
        Manifest::Index(_) => {
            let first = platforms::first_image(store.as_ref(), &raw)?;
            listing.bundles.push(image(&raw, &first.map(|manifest| manifest.layers).unwrap_or_default(), &store));
        }
    }
    Ok(listing)
}

/// `oci://quay.io/org/model@sha256:…`, `oci:DIR@sha256:…`
fn uri(location: &Location, raw: &RawManifest) -> String {
    let pinned = location.at(raw.digest());
    match location {
        Location::Registry(_) => format!("oci://{pinned}"),
        Location::Layout { .. } | Location::Archive { .. } => pinned.to_string(),
    }
}

fn is_image(manifest: &ImageManifest) -> bool {
    matches!(manifest.config.media_type.as_str(), media_type::CONFIG | media_type::DOCKER_CONFIG) && !manifest.layers.iter().all(is_file)
}

/// oras may give files an image's config; no image's layer has a title and a type of its own.
fn is_file(layer: &Descriptor) -> bool {
    layer.annotations.contains_key(TITLE) && crate::image::Compression::of(&layer.media_type).is_none()
}

fn image(raw: &RawManifest, layers: &[Descriptor], store: &Arc<dyn Store>) -> Bundle {
    Bundle {
        name: "/models of the image".to_owned(),
        size: layers.iter().fold(0, |size, layer| size.saturating_add(layer.size)),
        id: raw.digest().to_string(),
        content: Content::Image(raw.clone()),
        store: store.clone(),
    }
}

fn add_layers(listing: &mut Listing, manifest: &ImageManifest, store: &Arc<dyn Store>) -> Result<(), FetchError> {
    let artifact = |reason: String| FetchError::Artifact { uri: listing.uri.clone(), reason };
    if manifest.layers.len() > MAX_FILES {
        return Err(FetchError::TooMuch { most: format!("{MAX_FILES} layers") });
    }
    let (mut items, mut bundles) = (Vec::new(), Vec::new());
    for layer in manifest.layers.iter().filter(|layer| layer.media_type != media_type::EMPTY) {
        match (packed_as(layer), name(layer)) {
            (Some(tar), name) => bundles.push(bundle(layer, tar, name, store)),
            (None, Some(path)) => items.push(file(layer, path)),
            (None, None) => {
                let what = manifest.artifact_type.as_deref().unwrap_or(&manifest.config.media_type);
                return Err(artifact(format!("a layer of this `{}` has no name", printable(what, 100))));
            }
        }
    }
    (listing.items, listing.bundles) = (items, bundles);
    Ok(())
}

/// The place that a layer names, as tools write it: `./a` is `a`.
fn name(layer: &Descriptor) -> Option<&str> {
    let name = layer.annotations.get(FILE_PATH).or_else(|| layer.annotations.get(TITLE))?;
    Some(name.strip_prefix("./").unwrap_or(name))
}

/// The type of the tar that a layer is, if it is one that holds files.
fn packed_as(layer: &Descriptor) -> Option<&'static str> {
    let by_type = PACKERS.iter().any(|prefix| layer.media_type.starts_with(prefix));
    let asked = layer.annotations.get(UNPACK).is_some_and(|value| value == "true");
    let ending = layer.media_type.rsplit_once(".tar").map(|(_, ending)| ending);
    match ending {
        Some("") if by_type || asked => Some(media_type::LAYER_TAR),
        Some("+gzip" | ".gzip") if by_type || asked => Some(media_type::LAYER_GZIP),
        Some("+zstd" | ".zstd") if by_type || asked => Some(media_type::LAYER_ZSTD),
        // oras packs folders with gzip, whatever type they are given.
        _ if asked => Some(media_type::LAYER_GZIP),
        _ => None,
    }
}

fn bundle(layer: &Descriptor, tar: &str, name: Option<&str>, store: &Arc<dyn Store>) -> Bundle {
    let content = Content::Tar(Box::new(Descriptor::new(tar, layer.digest, layer.size)));
    let name = name.map_or_else(|| format!("layer {}", layer.digest.short()), |name| printable(name, 100));
    Bundle { name, size: layer.size, id: layer.digest.to_string(), content, store: store.clone() }
}

fn file(layer: &Descriptor, path: &str) -> Item {
    let place = Place::Blob(Box::new(layer.bare()));
    Item { path: path.to_owned(), size: Some(layer.size), proof: Proof::Sha256(layer.digest), sum: None, place }
}

/// Files that are blobs.
struct Blobs {
    store: Arc<dyn Store>,
}

impl Origin for Blobs {
    fn open(&self, item: &Item, wish: &Wish<'_>) -> Result<Opened, FetchError> {
        let Place::Blob(blob) = &item.place else {
            return Err(FetchError::Answer { what: item.path.clone(), reason: "it is no blob".to_owned() });
        };
        let reader = self.store.get_blob_from(blob, wish.from)?;
        Ok(Opened::Body(Body { from: wish.from, size: Some(blob.size), version: None, sums: Vec::new(), reader }))
    }
}

impl Bundle {
    /// Unpacks it below `staging`, which is not there yet; gives the folder in which the files are.
    pub(super) fn unfold(&self, staging: &Path, globs: &Globs) -> Result<PathBuf, FetchError> {
        match &self.content {
            Content::Image(raw) => {
                extract::extract(self.store.as_ref(), raw, None, staging, Transfer::default().parallel)?;
            }
            Content::Tar(layer) => self.untar(layer, staging, globs)?,
        }
        Ok(staging.to_owned())
    }

    fn untar(&self, layer: &Descriptor, staging: &Path, globs: &Globs) -> Result<(), FetchError> {
        fs_err::create_dir(staging).map_err(FetchError::io("create", staging))?;
        let mut blob = self.store.get_blob(layer)?;
        let unfolded = {
            let mut tar = unpacked(layer, &mut blob as &mut (dyn Read + Send))?;
            unpack::unpack(&mut tar, staging, globs)
        };
        // The digest is known only at the very end, behind the tar's trailer; a wrong one explains whatever else went wrong.
        io::copy(&mut blob, &mut io::sink()).map_err(|source| StoreError::reading(layer, self.store.as_ref(), source))?;
        unfolded.map_err(|error| match error {
            FetchError::Unpacking { source, .. } => FetchError::Unpacking { layer: self.name.clone(), source },
            other => other,
        })
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle({}, {})", self.name, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Annotations;

    fn layer(media_type: &str, annotations: &[(&str, &str)]) -> Descriptor {
        let annotations: Annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Descriptor::of(media_type, b"x").annotated(annotations)
    }

    #[test]
    fn each_packers_layers_are_known_by_their_type() {
        for (kind, annotations, tar, path) in [
            ("application/octet-stream", &[(TITLE, "a/m.onnx")][..], None, Some("a/m.onnx")),
            ("application/vnd.oci.image.layer.v1.tar", &[(TITLE, "./m.onnx")], None, Some("m.onnx")),
            ("application/vnd.oci.image.layer.v1.tar+gzip", &[(TITLE, "d"), (UNPACK, "true")], Some(media_type::LAYER_GZIP), Some("d")),
            ("application/vnd.kitops.modelkit.model.v1.tar", &[], Some(media_type::LAYER_TAR), None),
            ("application/vnd.kitops.modelkit.code.v1.tar+gzip", &[], Some(media_type::LAYER_GZIP), None),
            ("application/vnd.cncf.model.weight.v1.raw", &[(FILE_PATH, "m.bin"), (TITLE, "x")], None, Some("m.bin")),
            ("application/vnd.cncf.model.weight.config.v1.tar+zstd", &[(FILE_PATH, "c")], Some(media_type::LAYER_ZSTD), Some("c")),
        ] {
            let layer = layer(kind, annotations);
            assert_eq!((packed_as(&layer), name(&layer)), (tar, path), "{kind}");
        }
    }

    #[test]
    fn an_image_is_one_by_its_config_and_layers() {
        let manifest = |config: &str, layers: Vec<Descriptor>| ImageManifest::new(layer(config, &[]), layers);
        let (tar, titled) = (layer(media_type::LAYER_TAR, &[(TITLE, "m")]), layer("application/x-onnx", &[(TITLE, "m")]));
        for (config, layers, image) in [
            (media_type::CONFIG, vec![tar.clone()], true),
            (media_type::DOCKER_CONFIG, vec![tar.clone(), titled.clone()], true),
            (media_type::CONFIG, vec![titled.clone()], false),
            (media_type::EMPTY, vec![tar], false),
        ] {
            assert_eq!(is_image(&manifest(config, layers)), image, "{config}");
        }
    }
}
