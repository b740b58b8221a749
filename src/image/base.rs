//! What lies below the model layers: modelcar's own shell, nothing, or another image.

use std::io::{self, Read};
use std::sync::Arc;

use super::compose::MODELS;
use super::listing::list_layer;
use super::plan::{MAX_GROUPS, MAX_LAYERS};
use super::rootfs::Rootfs;
use super::shell;
use super::transfer::Blob;
use super::{ImageError, platforms};
use crate::oci::{ContainerConfig, Descriptor, Digest, ImageConfig, ImageManifest, Platform, RawManifest, Reference, RootFs, media_type};
use crate::store::{BlobSource, Store, read_blob};

/// The user that a container of the image runs as unless the cluster says otherwise: nobody.
const NOBODY: &str = "65534";
/// How the note about it begins.
const USER_REPLACED: &str = "the base's user";
/// Where KServe's scripts find `sh`, `ls`, `ln` and the others.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The largest config that is read, in bytes.
const MAX_CONFIG: u64 = 1 << 20;

/// The layers below the model, for every platform of the image.
#[derive(Default)]
pub struct Base {
    /// One for each platform.
    pub images: Vec<BaseImage>,
    /// Another image's digest, and its registry name where it has one, for `org.opencontainers.image.base.*`. Never a path: that
    /// would make the digest depend on the machine, and publish it.
    pub origin: Option<(Option<Reference>, Digest)>,
    /// What was changed or should be known.
    pub notes: Vec<String>,
}

/// The layers below the model on one platform.
pub struct BaseImage {
    /// Where it runs; its `rootfs` names the layers' diff IDs.
    pub config: ImageConfig,
    /// The layers, lowest first.
    pub layers: Vec<Blob>,
}

impl Base {
    /// Modelcar's own `/bin/sh`, which runs KServe's scripts and nothing else.
    ///
    /// # Errors
    /// A platform that the shell is not built for.
    pub fn shell(platforms: &[Platform], mtime: u64) -> Result<Self, ImageError> {
        let image = |platform: &Platform| {
            let layer = shell::layer(platform, mtime)?;
            let mut config = empty_config(platform.clone());
            config.rootfs.diff_ids.push(layer.descriptor.digest);
            Ok(BaseImage { config, layers: vec![layer] })
        };
        Ok(Self { images: platforms.iter().map(image).collect::<Result<_, ImageError>>()?, ..Self::default() })
    }

    /// No layer at all. Good for the native and fetch deliveries; modelcar needs a shell.
    pub fn none(platforms: &[Platform]) -> Self {
        let images = platforms.iter().map(|platform| BaseImage { config: empty_config(platform.clone()), layers: Vec::new() }).collect();
        Self { images, ..Self::default() }
    }

    /// Another image: all its platforms, or those asked for.
    ///
    /// # Errors
    /// An image without any of the platforms, or with layers that no image can take over.
    pub fn image(
        store: &Arc<dyn Store>,
        name: Option<Reference>,
        raw: &RawManifest,
        platforms: Option<&[Platform]>,
    ) -> Result<Self, ImageError> {
        let mut base = Self { origin: Some((name, raw.digest())), ..Self::default() };
        for manifest in platforms::images(store.as_ref(), raw, platforms)? {
            let image = read_image(store, &manifest, &mut base.notes)?;
            base.images.push(image);
        }
        Ok(base)
    }
}

impl Base {
    /// The same, with containers that run as this user, whatever the base says.
    #[must_use]
    pub fn run_as(mut self, uid: u32) -> Self {
        for image in &mut self.images {
            image.config.config.user = uid.to_string();
        }
        self.notes.retain(|note| !note.starts_with(USER_REPLACED));
        self
    }
}

fn empty_config(platform: Platform) -> ImageConfig {
    let config =
        ContainerConfig { user: NOBODY.to_owned(), env: vec![PATH.to_owned()], working_dir: "/".to_owned(), ..ContainerConfig::default() };
    ImageConfig { platform, config, rootfs: RootFs::default(), ..ImageConfig::default() }
}

fn read_image(store: &Arc<dyn Store>, manifest: &ImageManifest, notes: &mut Vec<String>) -> Result<BaseImage, ImageError> {
    let mut config = read_config(store.as_ref(), &manifest.config)?;
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        return Err(ImageError::BaseLayers { diff_ids: config.rootfs.diff_ids.len(), layers: manifest.layers.len() });
    }
    if manifest.layers.len() + MAX_GROUPS >= MAX_LAYERS {
        return Err(ImageError::BaseTooDeep { layers: manifest.layers.len(), most: MAX_LAYERS - MAX_GROUPS });
    }
    if let Some(path) = file_below_models(store.as_ref(), manifest) {
        return Err(ImageError::BaseHasModel { path });
    }
    disarm(&mut config, notes);
    demote(&mut config, notes);
    let layers = manifest.layers.iter().map(|layer| take_over(store, layer)).collect::<Result<_, _>>()?;
    Ok(BaseImage { config, layers })
}

/// A file that the base has where the model goes: servers would see both models as one folder. What cannot be listed, `check` tells.
fn file_below_models(store: &dyn Store, manifest: &ImageManifest) -> Option<String> {
    let layers = manifest.layers.iter().enumerate();
    let listed = layers.map(|(number, layer)| list_layer(store, layer, number)).collect::<Result<Vec<_>, _>>().ok()?;
    let rootfs = Rootfs::of(listed.iter().map(|layer| &layer.entries[..])).ok()?;
    rootfs.below(MODELS.trim_end_matches('/')).next().map(|(path, _)| path.to_owned())
}

/// KServe sets `args` and no `command`, so an entrypoint would be run with the sidecar's script as its arguments.
fn disarm(config: &mut ImageConfig, notes: &mut Vec<String>) {
    let entrypoint = config.config.entrypoint.take().filter(|entrypoint| !entrypoint.is_empty());
    config.config.cmd = None;
    if let Some(entrypoint) = entrypoint {
        let note = format!("the base's entrypoint {entrypoint:?} is cleared: KServe's modelcar sidecar passes its script as arguments");
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    if !config.config.env.iter().any(|variable| variable.starts_with("PATH=")) {
        config.config.env.push(PATH.to_owned());
    }
}

/// A pod with `runAsNonRoot` refuses an image whose user is root, or a name that cannot be told from root.
fn demote(config: &mut ImageConfig, notes: &mut Vec<String>) {
    let user = config.config.user.split(':').next().unwrap_or_default();
    if user.parse().is_ok_and(|uid: u32| uid > 0) {
        return;
    }
    let note = format!("{USER_REPLACED} `{}` is replaced by {NOBODY}", config.config.user);
    if !config.config.user.is_empty() && !notes.contains(&note) {
        notes.push(note);
    }
    NOBODY.clone_into(&mut config.config.user);
}

fn take_over(store: &Arc<dyn Store>, layer: &Descriptor) -> Result<Blob, ImageError> {
    let media_type = match layer.media_type.as_str() {
        media_type::LAYER_TAR | media_type::LAYER_GZIP | media_type::LAYER_ZSTD => layer.media_type.as_str(),
        media_type::DOCKER_LAYER_TAR => media_type::LAYER_TAR,
        media_type::DOCKER_LAYER_GZIP => media_type::LAYER_GZIP,
        media_type::DOCKER_LAYER_ZSTD => media_type::LAYER_ZSTD,
        other => return Err(ImageError::LayerType { digest: layer.digest, media_type: other.to_owned() }),
    };
    let descriptor = Descriptor { media_type: media_type.to_owned(), ..layer.clone() };
    let source = StoredBlob { store: store.clone(), blob: descriptor.clone() };
    Ok(Blob::new(descriptor, Arc::new(source)))
}

/// Reads an image's config.
///
/// # Errors
/// A config that is missing, too large or not one.
pub fn read_config(store: &dyn Store, config: &Descriptor) -> Result<ImageConfig, ImageError> {
    let bytes = read_blob(store, config, MAX_CONFIG)?;
    serde_json::from_slice(&bytes).map_err(|source| ImageError::Config { digest: config.digest, source })
}

/// A blob of a store as the source of a copy.
pub struct StoredBlob {
    /// Where it is.
    pub store: Arc<dyn Store>,
    /// Which.
    pub blob: Descriptor,
}

impl BlobSource for StoredBlob {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.store.get_blob(&self.blob).map_err(io::Error::other)
    }

    /// Unverified: the bytes before are another attempt's. Whoever takes them verifies the whole, as every registry must.
    fn open_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        match offset {
            0 => self.open(),
            _ => self.store.get_blob_from(&self.blob, offset).map_err(io::Error::other),
        }
    }

    fn open_unverified(&self) -> io::Result<Box<dyn Read + Send>> {
        self.store.get_blob_from(&self.blob, 0).map_err(io::Error::other)
    }
}
