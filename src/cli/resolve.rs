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
        Ok(Self { location: full_name(location, store.as_ref(), at, &manifest)?, store, manifest })
    }

    /// `quay.io/org/model@sha256:…`, `oci:DIR@sha256:…`: the image and no other.
    pub(super) fn pinned(&self) -> String {
        self.location.at(self.manifest.digest()).to_string()
    }
}

/// `oci:DIR` and `oci:DIR:v1` mean an image whose name in the layout may be a whole reference; signatures and patches want that. Where
/// one image is called `v1` and another `quay.io/org/model:v1`, neither goes by the name of the other.
fn full_name(location: &Location, store: &dyn Store, at: ManifestRef, manifest: &RawManifest) -> Result<Location, CliError> {
    let (Location::Layout { .. } | Location::Archive { .. }, ManifestRef::Tag(name)) = (location, at) else { return Ok(location.clone()) };
    for tag in store.tags()? {
        let is_meant = tag == name || is_reference_with(&tag, &name);
        if is_meant && tag.parse::<Reference>().is_ok() && store.get_manifest(&ManifestRef::Tag(tag.clone()))? == *manifest {
            return Ok(location.named(&tag));
        }
    }
    Ok(location.named(&name))
}

fn is_reference_with(text: &str, tag: &str) -> bool {
    text.parse::<Reference>().is_ok_and(|reference| reference.tag() == Some(tag))
}

/// The registry name of an image in a layout that has none: podman's word for images that are nowhere else.
pub(super) fn local_name(name: &str, tag: &str) -> Result<Reference, CliError> {
    let text = format!("localhost/{name}:{tag}");
    text.parse().map_err(|error| CliError::Location(crate::oci::InvalidLocation::Reference(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, ImageManifest, media_type};
    use crate::store::layout::LayoutStore;

    fn image(store: &LayoutStore, config: &[u8], names: &[&str]) -> RawManifest {
        let descriptor = Descriptor::of(media_type::CONFIG, config);
        store.put_blob(&descriptor, &config.to_vec()).unwrap();
        let raw = RawManifest::image(&ImageManifest::new(descriptor, Vec::new())).unwrap();
        for name in names {
            store.put_manifest(&raw, &ManifestRef::Tag((*name).to_owned())).unwrap();
        }
        raw
    }

    #[test]
    fn a_bare_name_stands_for_the_whole_one_of_the_same_image_and_of_no_other() {
        let home = tempfile::tempdir().unwrap();
        let store = LayoutStore::open(home.path(), Access::Write).unwrap();
        let whole = image(&store, b"{}", &["q.io/m/iris:v1"]);
        let name = |at: &str, manifest: &RawManifest| {
            full_name(&"oci:dir".parse().unwrap(), &store, ManifestRef::Tag(at.to_owned()), manifest).unwrap().to_string()
        };
        assert_eq!(name("v1", &whole), "oci:dir:q.io/m/iris:v1");
        let other = image(&store, b"{ }", &["v1"]);
        assert_eq!(name("v1", &other), "oci:dir:v1");
        assert_eq!(name("q.io/m/iris:v1", &whole), "oci:dir:q.io/m/iris:v1");
        let renamed = image(&store, b"{ }", &["q.io/m/other:v1"]);
        assert_eq!(name("v1", &renamed), "oci:dir:q.io/m/other:v1");
    }
}
