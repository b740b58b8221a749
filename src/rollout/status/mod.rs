//! What each site is told, who brought it there, and whether that is what runs.
//!
//! ```text
//! sites/SITE ─► told      read_state
//! git log    ─► brought   one process for all sites
//! reports    ─► runs      kubectl, Argo CD, ACM: read_report, then Fleet::add
//! registry   ─► Families  which platform's digest belongs to which index
//!                   └─► judge: in step, rolling, drifted, …
//! ```
//!
//! Everything but reading is pure.

mod arrival;
pub mod difference;
mod drift;
mod error;
mod families;
mod fleet;
pub mod kubectl;
pub mod report;
mod select;
pub mod since;

use std::collections::BTreeSet;
use std::path::Path;

pub use arrival::{Arrival, History};
pub use drift::Drift;
pub use error::StatusError;
pub use families::{Families, Sameness};
pub use fleet::Fleet;
pub use select::{Chosen, Selection, ensure_site};

use super::folder::{AppState, CanaryState, ModelState, read_state};
use super::{RolloutError, Site, SiteName};
use crate::oci::{Digest, Reference, printable};
use fleet::{ServiceRuns, SiteRuns};

/// The longest name of a stranger that is kept, in characters: a DNS subdomain has at most 253.
const MAX_NAME: usize = 253;

/// A site with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteStatus {
    /// The site.
    pub site: SiteName,
    /// Its ring.
    pub ring: Option<String>,
    /// Its models, by name; those that run and are not in Git too.
    pub models: Vec<ModelStatus>,
    /// Its applications, by name.
    pub apps: Vec<AppStatus>,
    /// What Argo CD says of it: `Synced, Healthy`.
    pub sync: Option<String>,
    /// Why its folder cannot be read; the other sites are told all the same.
    pub problem: Option<String>,
}

/// A model on a site.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStatus {
    /// The InferenceService.
    pub name: String,
    /// What Git says; `None` where it says nothing.
    pub wanted: Option<Wanted>,
    /// What was seen; `None` where nobody reported on the site.
    pub running: Option<Running>,
    /// Whether that is the same.
    pub drift: Drift,
}

/// What Git says about a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The image as it was shipped, with its tag where that is known.
    pub image: Reference,
    /// Its digest, where it is pinned.
    pub digest: Option<Digest>,
    /// What runs beside it.
    pub canaries: Vec<CanaryState>,
    /// The commit that brought the digest here.
    pub arrival: Option<Arrival>,
}

/// What was seen of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The digests that pods run, or that the service was told, each once.
    pub digests: Vec<Digest>,
    /// How many of its pods take requests, and how many there are; `None` where pods were not reported.
    pub pods: Option<(usize, usize)>,
    /// Whether the service says that it is ready.
    pub ready: Option<bool>,
}

/// An application on a site.
#[derive(Clone, Debug, PartialEq)]
pub struct AppStatus {
    /// What Git says.
    pub wanted: AppState,
    /// Whether that runs.
    pub drift: Drift,
}

/// An image as a report names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenImage {
    /// The reference in a spec; KServe copies that of `storageUri` word by word.
    pub told: Option<Reference>,
    /// The digest that a node reports: that of the index, or of its platform's manifest.
    pub digest: Option<Digest>,
}

impl SeenImage {
    /// From a container's `image` and `imageID`.
    fn of(image: Option<&str>, id: Option<&str>) -> Self {
        // A bare `sha256:…` is the digest of the image's config, which nothing here can be compared with.
        let digest = id.and_then(|id| id.rsplit_once('@')).and_then(|(_, digest)| digest.parse().ok());
        Self { told: image.and_then(|image| image.parse().ok()), digest }
    }

    fn told(image: &str) -> Self {
        Self::of(Some(image), None)
    }

    /// What to compare: the pinned digest of the spec, else what the node says.
    fn digests(&self) -> impl Iterator<Item = Digest> {
        self.told.as_ref().and_then(|told| told.digest().copied()).into_iter().chain(self.digest)
    }
}

/// Reads a site and joins it with what is known from elsewhere.
pub fn site_status(tree: &Path, site: &Site, history: &History, fleet: &Fleet, families: &Families) -> SiteStatus {
    let ring = site.facts.as_ref().and_then(|facts| facts.ring.as_ref()).map(ToString::to_string);
    let runs = fleet.site(&site.name);
    let mut status = SiteStatus {
        site: site.name.clone(),
        ring,
        models: Vec::new(),
        apps: Vec::new(),
        sync: runs.and_then(SiteRuns::sync),
        problem: None,
    };
    match read_state(tree, &site.name) {
        Ok(state) => {
            let namespace = site.facts.as_ref().and_then(|facts| facts.namespace.as_deref());
            let joined = Joined { history, runs, namespace, families };
            status.models = joined.models(state.models);
            status.apps = state.apps.into_iter().map(|app| joined.app(app)).collect();
            let findings: Vec<_> = state.findings.iter().map(|found| format!("{}: {}", found.file.display(), found.problem)).collect();
            status.problem = Some(findings.join("; ")).filter(|_| !findings.is_empty());
        }
        Err(error) => status.problem = Some(told(&error)),
    }
    status
}

/// A site whose facts cannot be read.
pub fn broken_site(site: SiteName, error: &RolloutError) -> SiteStatus {
    SiteStatus { site, ring: None, models: Vec::new(), apps: Vec::new(), sync: None, problem: Some(told(error)) }
}

/// The images to look up in a registry before more can be said: those whose models are unknown for a platform's digest, and those
/// digests.
pub fn unknown_images(sites: &[SiteStatus]) -> Vec<Reference> {
    let models = sites.iter().flat_map(|site| &site.models).filter(|model| model.drift == drift::PLATFORM);
    let of_models = models.flat_map(|model| {
        let wanted = model.wanted.iter().flat_map(|wanted| {
            let canaries = wanted.canaries.iter().map(|canary| canary.placed.image.clone());
            let seen = model.running.iter().flat_map(|running| &running.digests).map(|digest| wanted.image.at(*digest));
            wanted.digest.map(|digest| wanted.image.at(digest)).into_iter().chain(canaries).chain(seen)
        });
        wanted.collect::<Vec<_>>()
    });
    let apps = sites.iter().flat_map(|site| &site.apps).filter(|app| app.drift == drift::PLATFORM);
    of_models.chain(apps.map(|app| app.wanted.image.clone())).collect()
}

/// An error with its causes, in a line.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

/// What one site's models and applications are joined with.
struct Joined<'a> {
    history: &'a History,
    runs: Option<&'a SiteRuns>,
    namespace: Option<&'a str>,
    families: &'a Families,
}

impl Joined<'_> {
    fn models(&self, states: Vec<ModelState>) -> Vec<ModelStatus> {
        let mut known: Vec<_> = states.iter().map(|state| state.name.to_string()).collect();
        known.extend(states.iter().flat_map(|state| &state.canaries).map(|canary| canary.name.clone()));
        let mut models: Vec<_> = states.into_iter().map(|state| self.model(state)).collect();
        models.extend(self.extra(&known));
        models.sort_by(|one, other| one.name.cmp(&other.name));
        models
    }

    fn model(&self, state: ModelState) -> ModelStatus {
        let digest = self.stable(&state);
        let beside: Vec<_> = state.canaries.iter().filter_map(|canary| canary.placed.digest()).collect();
        let arrival = digest.and_then(|digest| self.history.arrival(&state.file, &state.stable.image, digest, &beside));
        // The annotation may be older than a `storageUri` that was edited by hand.
        let is_of_stable = !state.stable_in_history();
        let shipped = state.image.filter(|image| is_of_stable && image.digest().copied().is_none_or(|of| Some(of) == digest));
        let image = shipped.unwrap_or(state.stable.image);
        let wanted = Wanted { image, digest, canaries: state.canaries, arrival };
        let name = state.name.to_string();
        let Some(runs) = self.runs else {
            return ModelStatus { name, wanted: Some(wanted), running: None, drift: Drift::Unreported };
        };
        let mut services = vec![name.as_str()];
        services.extend(wanted.canaries.iter().map(|canary| canary.name.as_str()));
        let seen = runs.service(&services, self.namespace);
        let drift = drift::of_model(&wanted, seen.as_ref(), runs, self.families);
        let running = seen.map(|seen| drift::running(&wanted, &seen, runs)).unwrap_or_default();
        ModelStatus { name, wanted: Some(wanted), running: Some(running), drift }
    }

    /// The digest of the stable version. While Knative splits requests, the folder names the canary alone.
    fn stable(&self, state: &ModelState) -> Option<Digest> {
        let named = state.stable.digest();
        if state.stable_in_history() { self.history.before(&state.file, &state.stable.image, named?) } else { named }
    }

    /// What runs and is not in Git. Where the site names its namespace, the others are somebody else's.
    fn extra(&self, known: &[String]) -> Vec<ModelStatus> {
        let Some(runs) = self.runs else { return Vec::new() };
        let ours = runs.services().filter(|seen| self.namespace.is_none_or(|namespace| seen.namespace == namespace));
        let strange: BTreeSet<&str> = ours.map(|seen| seen.name.as_str()).filter(|name| !known.iter().any(|one| one == name)).collect();
        strange.into_iter().filter_map(|name| runs.service(&[name], self.namespace)).map(|seen| extra(&seen)).collect()
    }

    fn app(&self, wanted: AppState) -> AppStatus {
        let drift = self.runs.map_or(Drift::Unreported, |runs| drift::of_app(&wanted.image, runs, self.families));
        AppStatus { wanted, drift }
    }
}

fn extra(seen: &ServiceRuns) -> ModelStatus {
    ModelStatus { name: seen.name.clone(), wanted: None, running: Some(drift::seen_of(seen)), drift: Drift::Extra }
}

/// A stranger's name, fit for a terminal and for one line of it.
fn printable_name(text: &str) -> String {
    printable(text, MAX_NAME)
}

#[cfg(test)]
mod tests;
