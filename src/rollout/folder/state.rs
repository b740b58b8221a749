//! What a site's folder says about its models and applications, read without any cluster.

use std::path::{Path, PathBuf};

use super::definition::Files;
use super::view::View;
use crate::kserve::{CanaryWay, Delivery, Kind};
use crate::oci::{Digest, Reference};
use crate::rollout::{RolloutError, ServiceName, SiteName, Style};

/// What a site is told to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteState {
    /// Its models, by name.
    pub models: Vec<ModelState>,
    /// Its applications, by name.
    pub apps: Vec<AppState>,
    /// What could not be read; the rest is there all the same.
    pub findings: Vec<Finding>,
}

/// A file that says nothing that can be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the GitOps folder.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// What a site is told about one model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// The InferenceService.
    pub name: ServiceName,
    /// Its kind.
    pub kind: Kind,
    /// What the stable predictor runs. While a Knative canary runs ([`CanaryWay::Percent`]) the folder names the canary alone: this is
    /// the canary too, and what stood before is in Git's history ([`ModelState::stable_in_history`]).
    pub stable: Placed,
    /// The image as it was shipped, tag and all: for people.
    pub image: Option<Reference>,
    /// The ServingRuntime that it names, in the patch or in the definition.
    pub runtime: Option<String>,
    /// What runs beside it.
    pub canaries: Vec<CanaryState>,
    /// Who splits the requests, where a canary runs.
    pub way: Option<CanaryWay>,
    /// Where it is written.
    pub style: Style,
    /// The file that holds the digest, relative to the GitOps folder.
    pub file: PathBuf,
}

/// An image at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// How it comes into the pod.
    pub delivery: Delivery,
    /// The image, by digest where it is pinned.
    pub image: Reference,
}

/// A version that gets a part of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryState {
    /// Its predictor's name, or its InferenceService's.
    pub name: String,
    /// What it runs.
    pub placed: Placed,
    /// Its part of the requests, 0 to 100.
    pub percent: u8,
}

/// An application beside the models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppState {
    /// Its name: the `images` entry of `apps/kustomization.yaml`.
    pub name: String,
    /// Its image.
    pub image: Reference,
    /// The file that names it, relative to the GitOps folder.
    pub file: PathBuf,
}

impl Placed {
    /// Reads a `storageUri`; `None` where the model comes from no image.
    pub fn of_uri(uri: &str) -> Option<Self> {
        let (_, image) = uri.split_once("://")?;
        Some(Self { delivery: Delivery::of_uri(uri)?, image: image.parse().ok()? })
    }

    /// As KServe is told: `oci://quay.io/org/model@sha256:…`.
    pub fn uri(&self) -> String {
        format!("{}://{}", self.delivery.scheme(), self.image)
    }

    /// The digest that it is pinned to.
    pub fn digest(&self) -> Option<Digest> {
        self.image.digest().copied()
    }
}

impl ModelState {
    /// Whether only Git's history knows the stable version's digest.
    pub fn stable_in_history(&self) -> bool {
        self.way == Some(CanaryWay::Percent)
    }

    /// The canary of a digest.
    pub fn canary(&self, digest: Digest) -> Option<&CanaryState> {
        self.canaries.iter().find(|canary| canary.placed.digest() == Some(digest))
    }
}

/// Reads sites of one GitOps folder; what they share is read once.
#[derive(Debug)]
pub struct StateReader {
    root: PathBuf,
    files: Files,
}

impl StateReader {
    /// For the directory that holds `sites/`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn new(tree: &Path) -> Result<Self, RolloutError> {
        let root = tree.canonicalize().map_err(RolloutError::io("open", tree))?;
        Ok(Self { root, files: Files::default() })
    }

    /// What a site is told to run. A site without a folder runs nothing.
    pub fn read(&mut self, site: &SiteName) -> SiteState {
        View::read(&mut self.files, &self.root, &Path::new("sites").join(site.as_str())).state()
    }
}

/// Reads what a site of a GitOps folder is told to run. For many sites, [`StateReader`] is faster.
///
/// # Errors
/// The folder cannot be opened. A file that cannot be read is a [`Finding`].
pub fn read_state(tree: &Path, site: &SiteName) -> Result<SiteState, RolloutError> {
    Ok(StateReader::new(tree)?.read(site))
}
