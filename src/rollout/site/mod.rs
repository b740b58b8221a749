//! What a site is: `sites/SITE/site.yaml`, written by the people who run it, read here and never edited.

mod bytes;
mod document;

use std::path::{Path, PathBuf};

use super::names::RingName;
use super::{RolloutError, SiteName, yaml};
use crate::kserve::{Delivery, Generation, KserveError, Mode};
use crate::oci::{Digest, Platform, Reference};
use crate::trust::Consumer;

pub use bytes::ByteSize;

/// A site and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Its name, which is its folder's.
    pub name: SiteName,
    /// What its `site.yaml` says; `None` where it has none.
    pub facts: Option<SiteFacts>,
}

/// What `site.yaml` says. A list that is empty says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteFacts {
    /// What its KServe can do.
    pub generation: Generation,
    /// How its KServe runs services.
    pub mode: Mode,
    /// How models come into pods.
    pub delivery: Delivery,
    /// How the tool writes digests of new models, where the site says it.
    pub style: Option<Style>,
    /// The namespace of new services.
    pub namespace: Option<String>,
    /// The platforms of its nodes.
    pub platforms: Vec<Platform>,
    /// The ServingRuntimes in the namespace, by name.
    pub runtimes: Vec<String>,
    /// Where it pulls from in place of the registry.
    pub mirrors: Vec<Mirror>,
    /// Room for model images.
    pub disk: Option<ByteSize>,
    /// The ring that it moves with.
    pub ring: Option<RingName>,
    /// How many nodes it has.
    pub nodes: u32,
    /// How many GPUs a node has.
    pub gpus: u32,
    /// Whether services are reached from outside the cluster.
    pub exposed: bool,
    /// The pull secret of new services.
    pub pull_secret: Option<String>,
    /// The OpenShift AI connection of new services.
    pub connection: Option<String>,
    /// Whom the site asks before it pulls.
    pub verify: SiteTrust,
    /// Further facts, for people and for choosing sites.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// In which file of a site's folder a digest stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `models/NAME.yaml`: a patch per model.
    #[default]
    Patch,
    /// `images:` of the kustomization, for Kargo and Argo CD Image Updater.
    Images,
}

impl Style {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Patch, Self::Images];

    /// As in `site.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Images => "images",
        }
    }
}

impl std::fmt::Display for Style {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Style {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        Self::ALL.into_iter().find(|style| style.name() == text).ok_or_else(|| KserveError::unknown_word("style", text, Self::ALL))
    }
}

/// A registry that stands in for another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The registry, with or without the first names of repositories: `quay.io/acme`.
    pub source: String,
    /// What is pulled from instead.
    pub mirror: String,
    /// Whether `storageUri` names the mirror, where the cluster's nodes know nothing of it.
    pub rewrite: bool,
}

/// Whose word the site takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteTrust {
    /// Who reads signatures there.
    pub consumers: Vec<Consumer>,
    /// The policy file, relative to the GitOps folder.
    pub policy: Option<PathBuf>,
    /// Public keys, relative to the GitOps folder.
    pub keys: Vec<PathBuf>,
}

impl Site {
    /// Reads a site of a GitOps folder; one that has no `site.yaml`, or no folder yet, is a site too.
    ///
    /// # Errors
    /// A `site.yaml` that does not say what it should.
    pub fn read(tree: &Path, name: &SiteName) -> Result<Self, RolloutError> {
        let path = tree.join("sites").join(name.as_str()).join("site.yaml");
        let facts = yaml::read(&path)?.map(|text| SiteFacts::parse(&path, &text)).transpose()?;
        Ok(Self { name: name.clone(), facts })
    }
}

impl SiteFacts {
    /// Reads the text of a `site.yaml`.
    ///
    /// # Errors
    /// [`RolloutError::Site`], naming the member.
    pub fn parse(path: &Path, text: &str) -> Result<Self, RolloutError> {
        let wrong = |reason| RolloutError::Site { path: path.to_owned(), reason };
        document::parse(text).map_err(wrong)
    }

    /// The name that the site's nodes are told to pull: the mirror's where it is to be written, else the image's own.
    pub fn pulled(&self, image: &Reference, digest: Digest) -> Reference {
        let rewriting = self.mirrors.iter().filter(|mirror| mirror.rewrite);
        rewriting.into_iter().find_map(|mirror| mirror.of(image)).unwrap_or_else(|| image.clone()).at(digest)
    }
}

impl Mirror {
    /// The image as the mirror has it, where it stands in for the image's registry.
    pub fn of(&self, image: &Reference) -> Option<Reference> {
        moved(image, &self.source, &self.mirror)
    }

    /// The image in the registry that the mirror stands in for, where the mirror has it.
    pub fn source_of(&self, image: &Reference) -> Option<Reference> {
        moved(image, &self.mirror, &self.source)
    }
}

/// The same image, tag and digest and all, below other first names.
fn moved(image: &Reference, from: &str, to: &str) -> Option<Reference> {
    let rest = image.name().strip_prefix(from).filter(|rest| rest.starts_with('/') || rest.is_empty())?.to_owned();
    let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let moved: Reference = format!("{to}{rest}{tag}").parse().ok()?;
    Some(image.digest().map_or(moved.clone(), |digest| moved.pinned(*digest)))
}
