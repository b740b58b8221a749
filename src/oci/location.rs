//! Where an image lives: a registry, an OCI layout directory, an oci-archive file. Written as skopeo users write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Digest, InvalidDigest, InvalidReference, ManifestRef, Reference};

/// A place that holds images, and which image of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `quay.io/org/model:v1`, also as `docker://quay.io/org/model:v1`.
    Registry(Reference),
    /// `oci:DIR[:NAME][@DIGEST]`; NAME is a tag or a whole reference, as `skopeo copy … oci:DIR:NAME` writes it.
    Layout {
        /// The layout directory.
        dir: PathBuf,
        /// The image in it; without one, the layout's only image.
        image: Option<ManifestRef>,
    },
    /// `oci-archive:FILE[:NAME][@DIGEST]`: the same in a tar file.
    Archive {
        /// The tar file.
        file: PathBuf,
        /// The image in it; without one, the archive's only image.
        image: Option<ManifestRef>,
    },
}

/// Text that names no location.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLocation {
    /// `oci:` with nothing behind it.
    #[error("`{text}` has no path")]
    NoPath {
        /// The text.
        text: String,
    },
    /// The part behind `@` is no digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// A registry reference that cannot be read.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

impl InvalidLocation {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Reference(error) => error.hint(),
            Self::NoPath { .. } | Self::Digest(_) => {
                Some("an image is REGISTRY/REPOSITORY:TAG, oci:DIR:NAME or oci-archive:FILE:NAME".to_owned())
            }
        }
    }
}

impl Location {
    /// Which manifest is meant, where one is written.
    pub fn manifest_ref(&self) -> Option<ManifestRef> {
        match self {
            Self::Registry(reference) => reference.manifest_ref(),
            Self::Layout { image, .. } | Self::Archive { image, .. } => image.clone(),
        }
    }

    /// The registry reference under which consumers know the image, where the location tells one:
    /// the reference itself, or a layout image named by a whole reference.
    pub fn reference(&self) -> Option<Reference> {
        match self {
            Self::Registry(reference) => Some(reference.clone()),
            Self::Layout { image: Some(ManifestRef::Tag(name)), .. } | Self::Archive { image: Some(ManifestRef::Tag(name)), .. } => {
                name.parse().ok()
            }
            Self::Layout { .. } | Self::Archive { .. } => None,
        }
    }

    /// The same place, at a digest.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        match self {
            Self::Registry(reference) => Self::Registry(reference.at(digest)),
            Self::Layout { .. } | Self::Archive { .. } => self.with(ManifestRef::Digest(digest)),
        }
    }

    /// The same layout or archive, at a name; a registry's tag.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        match self {
            Self::Registry(reference) => Self::Registry(reference.tagged(name)),
            Self::Layout { .. } | Self::Archive { .. } => self.with(ManifestRef::Tag(name.to_owned())),
        }
    }

    fn with(&self, image: ManifestRef) -> Self {
        let mut location = self.clone();
        if let Self::Layout { image: old, .. } | Self::Archive { image: old, .. } = &mut location {
            *old = Some(image);
        }
        location
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, path, image) = match self {
            Self::Registry(reference) => return reference.fmt(f),
            Self::Layout { dir, image } => ("oci", dir, image),
            Self::Archive { file, image } => ("oci-archive", file, image),
        };
        write!(f, "{scheme}:{}", path.display())?;
        match image {
            Some(ManifestRef::Tag(name)) => write!(f, ":{name}"),
            Some(ManifestRef::Digest(digest)) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, image) = path_and_image(text, rest)?;
            return Ok(Self::Layout { dir, image });
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, image) = path_and_image(text, rest)?;
            return Ok(Self::Archive { file, image });
        }
        Ok(Self::Registry(text.strip_prefix("docker://").unwrap_or(text).parse()?))
    }
}

/// Splits `PATH[:NAME][@DIGEST]` at the first colon, as skopeo does; a digest wins over a name.
fn path_and_image(text: &str, rest: &str) -> Result<(PathBuf, Option<ManifestRef>), InvalidLocation> {
    let (rest, digest) = match rest.rsplit_once("@sha256:") {
        Some((rest, hex)) => (rest, Some(format!("sha256:{hex}").parse()?)),
        None => (rest, None),
    };
    let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name)));
    if path.is_empty() {
        return Err(InvalidLocation::NoPath { text: text.to_owned() });
    }
    let name = name.filter(|name| !name.is_empty()).map(|name| ManifestRef::Tag(name.to_owned()));
    Ok((PathBuf::from(path), digest.map(ManifestRef::Digest).or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_what_skopeo_users_write_and_prints_it_again() {
        let tag = |name: &str| Some(ManifestRef::Tag(name.to_owned()));
        let digest = Some(ManifestRef::Digest(DIGEST.parse().unwrap()));
        let table = [
            ("oci:dir".to_owned(), None, None),
            ("oci:/a/b:v1".to_owned(), tag("v1"), None),
            ("oci:dir:quay.io/o/m:v1".to_owned(), tag("quay.io/o/m:v1"), Some("quay.io/o/m:v1")),
            (format!("oci:dir@{DIGEST}"), digest.clone(), None),
            ("oci-archive:m.tar:v1".to_owned(), tag("v1"), None),
            ("quay.io/o/m:v1".to_owned(), tag("v1"), Some("quay.io/o/m:v1")),
        ];
        for (text, image, reference) in table {
            let location: Location = text.parse().unwrap();
            assert_eq!(location.manifest_ref(), image, "{text}");
            assert_eq!(location.reference().map(|reference| reference.to_string()).as_deref(), reference, "{text}");
            assert_eq!(location.to_string(), text);
        }
        assert_eq!("docker://quay.io/o/m:v1".parse::<Location>().unwrap().to_string(), "quay.io/o/m:v1");
    }

    #[test]
    fn names_the_same_place_at_another_manifest() {
        let digest: Digest = DIGEST.parse().unwrap();
        for (text, at, named) in
            [("oci:dir:v1", format!("oci:dir@{DIGEST}"), "oci:dir:x"), ("quay.io/o/m:v1", format!("quay.io/o/m@{DIGEST}"), "quay.io/o/m:x")]
        {
            let location: Location = text.parse().unwrap();
            assert_eq!(location.at(digest).to_string(), at);
            assert_eq!(location.named("x").to_string(), named);
        }
    }

    #[test]
    fn refuses_a_place_without_a_path_or_with_half_a_digest() {
        for text in ["oci:", "oci::v1", "oci-archive:", "oci:dir@sha256:12", "model:v1"] {
            assert!(text.parse::<Location>().unwrap_err().hint().is_some(), "{text}");
        }
    }
}
