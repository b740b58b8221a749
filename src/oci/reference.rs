//! Image references as docker and podman users write them: `registry/repository[:tag][@digest]`.

use std::fmt;
use std::str::FromStr;

use super::{Digest, InvalidDigest};

/// An image in a registry. The registry is always explicit: a short name would mean another image on another machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Text that is not a reference.
#[derive(Debug, thiserror::Error)]
pub enum InvalidReference {
    /// `model:v1`, `org/model:v1`.
    #[error("`{text}` does not name its registry")]
    NoRegistry {
        /// The text.
        text: String,
    },
    /// Something is outside the grammar.
    #[error("`{text}` is not an image reference: {reason}")]
    Grammar {
        /// The text.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The part behind `@` is no digest.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
}

impl InvalidReference {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoRegistry { text } => Some(format!("write it in full, such as quay.io/ORG/{}", text.rsplit('/').next().unwrap_or(text))),
            Self::Grammar { .. } | Self::Digest(_) => {
                Some("a reference is REGISTRY/REPOSITORY:TAG, such as quay.io/org/model:v1".to_owned())
            }
        }
    }
}

/// Which manifest of a repository or layout: by tag or by digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ManifestRef {
    /// By a name that can move.
    Tag(String),
    /// By content.
    Digest(Digest),
}

impl fmt::Display for ManifestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl Reference {
    /// `quay.io`, `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// `org/model`, without the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, where one is written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where one is written.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `quay.io/org/model`, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository at a digest, without a tag: KServe's fetch delivery mangles `repo:tag@digest`.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same reference, tag and all, pinned to a digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same repository at a tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The manifest meant: the digest wins over the tag, neither gives `None`.
    pub fn manifest_ref(&self) -> Option<ManifestRef> {
        self.digest.map(ManifestRef::Digest).or_else(|| self.tag.clone().map(ManifestRef::Tag))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let grammar = |reason| InvalidReference::Grammar { text: text.chars().take(300).collect(), reason };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        let (registry, repository) = name.split_once('/').filter(|(host, _)| is_registry(host)).ok_or_else(|| match name {
            "" => grammar("it is empty"),
            _ => InvalidReference::NoRegistry { text: text.to_owned() },
        })?;
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(grammar("a tag is up to 128 letters, digits, `.`, `_` and `-`, and does not start with `.` or `-`"));
        }
        if name.len() > 255 || !repository.split('/').all(is_path_component) {
            return Err(grammar("a repository is lower-case letters and digits, separated by `.`, `_`, `-` or `/`"));
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

/// Splits `:tag` off; a colon before the last slash is a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Docker's rule: the first component is a registry if it holds a dot or a port, or is `localhost`.
fn is_registry(host: &str) -> bool {
    let named = host.contains(['.', ':']) || host == "localhost";
    named && !host.starts_with(['.', ':', '-']) && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>
fn is_path_component(part: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b));
    edge(part.bytes().next()) && edge(part.bytes().last()) && inner && !part.contains("..") && !part.contains("___")
}

fn is_tag(tag: &str) -> bool {
    let first = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_what_docker_and_podman_users_write() {
        let pinned = format!("quay.io/org/m:v1@{DIGEST}");
        let table = [
            ("quay.io/org/model:v1", "quay.io", "org/model", Some("v1"), false),
            ("localhost/m:1.0", "localhost", "m", Some("1.0"), false),
            ("localhost:5000/a/b/c:V_1-x", "localhost:5000", "a/b/c", Some("V_1-x"), false),
            ("127.0.0.1:5000/m", "127.0.0.1:5000", "m", None, false),
            ("[::1]:5000/m:v1", "[::1]:5000", "m", Some("v1"), false),
            ("docker.io/library/busybox:latest", "docker.io", "library/busybox", Some("latest"), false),
            (pinned.as_str(), "quay.io", "org/m", Some("v1"), true),
        ];
        for (text, registry, repository, tag, pinned) in table {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.registry(), reference.repository(), reference.tag()), (registry, repository, tag), "{text}");
            assert_eq!(reference.digest().is_some(), pinned, "{text}");
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn refuses_what_would_mean_another_image_elsewhere() {
        let table = [
            ("", "it is empty"),
            ("model:v1", "does not name its registry"),
            ("org/model:v1", "does not name its registry"),
            ("quay.io/Org/model:v1", "lower-case"),
            ("quay.io/org/../model:v1", "lower-case"),
            ("quay.io/org//model:v1", "lower-case"),
            ("quay.io/org/model:", "a tag is"),
            ("quay.io/org/model:-v1", "a tag is"),
            ("quay.io/org/model:v 1", "a tag is"),
            ("quay.io/org/model@sha256:abc", "is not a digest"),
            ("quay.io/org/model@md5:d41d8cd98f00b204e9800998ecf8427e", "is not a digest"),
            ("-evil.io/org/model:v1", "does not name its registry"),
        ];
        for (text, reason) in table {
            let error = text.parse::<Reference>().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_digest_wins_over_a_tag_and_pinning_keeps_or_drops_it() {
        let reference: Reference = format!("quay.io/org/m:v1@{DIGEST}").parse().unwrap();
        let digest: Digest = DIGEST.parse().unwrap();
        assert_eq!(reference.manifest_ref(), Some(ManifestRef::Digest(digest)));
        let tagged: Reference = "quay.io/org/m:v1".parse().unwrap();
        assert_eq!(tagged.manifest_ref(), Some(ManifestRef::Tag("v1".to_owned())));
        assert_eq!(tagged.at(digest).to_string(), format!("quay.io/org/m@{DIGEST}"));
        assert_eq!(tagged.pinned(digest), reference);
        assert_eq!(reference.tagged("v2").to_string(), "quay.io/org/m:v2");
    }

    proptest! {
        #[test]
        fn never_panics_and_prints_what_it_read(text in "\\PC{0,80}") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }
    }
}
