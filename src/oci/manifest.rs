//! Descriptors, manifests and indexes:
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>, <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Annotations, Digest, canonical, is_modest, media_type};

/// Points at a blob or manifest: what it is, its digest, its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
    /// For a manifest in an index: where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// For a referrer: what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Free facts, sorted.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

impl Descriptor {
    /// A descriptor of bytes at hand.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor without platform, artifact type and annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, platform: None, artifact_type: None, annotations: Annotations::new() }
    }

    /// The same, for a platform.
    #[must_use]
    pub fn on(self, platform: Platform) -> Self {
        Self { platform: Some(platform), ..self }
    }

    /// The same, with these annotations.
    #[must_use]
    pub fn annotated(self, annotations: Annotations) -> Self {
        Self { annotations, ..self }
    }

    /// Media type, digest and size alone, as a `subject` wants it (Quay requires the size).
    #[must_use]
    pub fn bare(&self) -> Self {
        Self::new(&self.media_type, self.digest, self.size)
    }
}

/// Where an image runs: `linux/amd64`, `linux/arm64/v8`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the CPU architecture.
    pub architecture: String,
    /// Go's name of the operating system.
    pub os: String,
    /// The CPU variant, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on a CPU architecture.
    pub fn linux(architecture: &str) -> Self {
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let parts: Vec<&str> = text.split('/').filter(word).collect();
        let whole = parts.len() == text.split('/').count();
        match parts[..] {
            [os, architecture] if whole => Ok(Self { architecture: architecture.into(), os: os.into(), variant: None }),
            [os, architecture, variant] if whole => {
                Ok(Self { architecture: architecture.into(), os: os.into(), variant: Some(variant.into()) })
            }
            _ => Err(format!("`{text}` is not a platform: expected os/architecture such as linux/amd64")),
        }
    }
}

/// An image or artifact manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// Explicit: without it KServe's `oci+fetch://` misreads the document.
    #[serde(default)]
    pub media_type: String,
    /// What an artifact is; absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config blob.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free facts, sorted.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

impl ImageManifest {
    /// A manifest of a config and its layers.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: Annotations::new(),
        }
    }
}

/// An index: a list of manifests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u32,
    /// Explicit: without it KServe's `oci+fetch://` reads an index as an image without layers.
    #[serde(default)]
    pub media_type: String,
    /// What an artifact is; absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free facts, sorted.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

impl ImageIndex {
    /// An index of these manifests.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::INDEX.to_owned(),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: Annotations::new(),
        }
    }
}

/// A parsed manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One platform, or an artifact.
    Image(ImageManifest),
    /// Several platforms.
    Index(ImageIndex),
}

/// A manifest as it was read or will be written: the bytes are what the digest names, so they are never re-serialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    /// What the bytes are.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Bytes that are not a manifest modelcar understands.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON, or members are missing or of the wrong type.
    #[error("manifest {digest} cannot be read")]
    Json {
        /// The digest of the bytes.
        digest: Digest,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Hundreds of thousands of members: small on the wire, large in memory.
    #[error("manifest {digest} has more members than are read")]
    Crowded {
        /// The digest of the bytes.
        digest: Digest,
    },
    /// A media type that is neither a manifest nor an index.
    #[error("{digest} is `{media_type}`, not an image manifest or index")]
    MediaType {
        /// The digest of the bytes.
        digest: Digest,
        /// What it is.
        media_type: String,
    },
}

impl RawManifest {
    /// Serialises an image manifest canonically.
    pub fn image(manifest: &ImageManifest) -> serde_json::Result<Self> {
        Ok(Self { media_type: manifest.media_type.clone(), bytes: canonical::to_vec(manifest)? })
    }

    /// Serialises an index canonically.
    pub fn index(index: &ImageIndex) -> serde_json::Result<Self> {
        Ok(Self { media_type: index.media_type.clone(), bytes: canonical::to_vec(index)? })
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Media type, digest and size.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(&self.media_type, &self.bytes)
    }

    /// Parses the bytes by their media type.
    pub fn parse(&self) -> Result<Manifest, InvalidManifest> {
        if !is_modest(&self.bytes) {
            return Err(InvalidManifest::Crowded { digest: self.digest() });
        }
        let json = |source| InvalidManifest::Json { digest: self.digest(), source };
        match self.media_type.as_str() {
            media_type::MANIFEST | media_type::DOCKER_MANIFEST => serde_json::from_slice(&self.bytes).map(Manifest::Image).map_err(json),
            media_type::INDEX | media_type::DOCKER_INDEX => serde_json::from_slice(&self.bytes).map(Manifest::Index).map_err(json),
            other => Err(InvalidManifest::MediaType { digest: self.digest(), media_type: other.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_compact_and_in_the_order_of_the_specification() {
        let config = Descriptor::of(media_type::CONFIG, b"{}");
        let raw = RawManifest::image(&ImageManifest::new(config.clone(), vec![])).unwrap();
        let digest = config.digest;
        let expected = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{{\"mediaType\":\
             \"application/vnd.oci.image.config.v1+json\",\"digest\":\"{digest}\",\"size\":2}},\"layers\":[]}}"
        );
        assert_eq!(String::from_utf8(raw.bytes.clone()).unwrap(), expected);
        assert_eq!(raw.descriptor(), Descriptor::new(media_type::MANIFEST, Digest::of(expected.as_bytes()), expected.len() as u64));
    }

    #[test]
    fn parses_by_media_type_and_says_what_else_it_is() {
        let raw = |media_type: &str, bytes: &str| RawManifest { media_type: media_type.to_owned(), bytes: bytes.as_bytes().to_vec() };
        let index = raw(media_type::DOCKER_INDEX, "{\"schemaVersion\":2,\"manifests\":[],\"unknown\":1}");
        assert!(matches!(index.parse().unwrap(), Manifest::Index(_)));
        assert!(matches!(raw("text/html", "<html>").parse(), Err(InvalidManifest::MediaType { .. })));
        for bytes in ["", "{", "[]", "{\"schemaVersion\":2}", "{\"schemaVersion\":2,\"config\":{},\"layers\":[]}"] {
            assert!(matches!(raw(media_type::MANIFEST, bytes).parse(), Err(InvalidManifest::Json { .. })), "{bytes}");
        }
    }

    #[test]
    fn refuses_a_crowd_before_it_is_in_memory() {
        let annotations = "\"a\":\"\",".repeat(1 << 18);
        let raw = RawManifest { media_type: media_type::INDEX.to_owned(), bytes: format!("{{{annotations}}}").into_bytes() };
        assert!(matches!(raw.parse(), Err(InvalidManifest::Crowded { .. })));
    }

    #[test]
    fn platforms_are_written_as_go_writes_them() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/AMD64", "linux/arm64/v8/x", "linux amd64", "linux//v8"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
