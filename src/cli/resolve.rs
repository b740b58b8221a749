//! From what the user wrote to an image in an open store.

use std::sync::Arc;

use super::CliError;
use super::options::RegistryArgs;
use crate::oci::{Location, ManifestRef, RawManifest, Reference};
use crate::store::{self, Access, Store};

/// An image that was found.
pub(super) struct Found {
    pub(super) location: Location,
    pub(super) store: Arc<dyn Store>,
    pub(super) manifest: RawManifest,
}

impl Found {
    /// Opens the store and reads the manifest that is meant.
    pub(super) fn at(location: &Location, registry: &RegistryArgs, access: Access) -> Result<Self, CliError> {
        let store: Arc<dyn Store> = registry.open(location, access)?.into();
        let (at, manifest) = store::resolve(store.as_ref(), location)?;
        Ok(Self { location: full_name(location, store.as_ref(), at)?, store, manifest })
    }

    /// `quay.io/org/model@sha256:…`, `oci:DIR@sha256:…`: the image and no other.
    pub(super) fn pinned(&self) -> String {
        self.location.at(self.manifest.digest()).to_string()
    }
}

/// `oci:DIR` and `oci:DIR:v1` mean an image whose name in the layout may be a whole reference; signatures and patches want that.
fn full_name(location: &Location, store: &dyn Store, at: ManifestRef) -> Result<Location, CliError> {
    let ManifestRef::Tag(name) = at else { return Ok(location.clone()) };
    let meant = |reference: &Reference| reference.to_string() == name || reference.tag() == Some(&name);
    let image = match location {
        Location::Registry(_) => return Ok(location.clone()),
        _ => store.tags()?.iter().filter_map(|tag| tag.parse().ok()).find(meant).map_or(name, |reference| reference.to_string()),
    };
    Ok(location.named(&image))
}

/// The registry name of an image in a layout that has none: podman's word for images that are nowhere else.
pub(super) fn local_name(name: &str, tag: &str) -> Result<Reference, CliError> {
    let text = format!("localhost/{name}:{tag}");
    text.parse().map_err(|error| CliError::Location(crate::oci::InvalidLocation::Reference(error)))
}
