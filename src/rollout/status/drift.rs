//! Whether what runs is what Git says.

use std::fmt;

use super::fleet::{ServiceRuns, SiteRuns};
use super::{Families, Running, Sameness, SeenImage, Wanted};
use crate::oci::{Digest, Reference};

/// What is wrong, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// Nobody reported on the site.
    Unreported,
    /// What Git says runs and takes requests.
    InStep,
    /// On the way: the cluster is told what Git says, or a part of the pods runs it.
    Rolling,
    /// Something else runs.
    Drifted,
    /// Nothing of it is on the site.
    NotRunning,
    /// It runs and is not in Git.
    Extra,
    /// It cannot be told; why.
    Unknown(&'static str),
}

/// Git names a tag: whatever runs may be it.
const NOT_PINNED: Drift = Drift::Unknown("not pinned in Git");
/// A node named a digest that may be the image's own for its platform.
pub(super) const PLATFORM: Drift = Drift::Unknown("platform digest");
/// The report is about single objects, and this is not among them.
const NOT_NAMED: Drift = Drift::Unknown("not in the report");
/// The service is there and nothing says what it runs.
const NO_DIGEST: Drift = Drift::Unknown("no digest reported");

impl Drift {
    /// A word for tables and scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreported => "unreported",
            Self::InStep => "in step",
            Self::Rolling => "rolling",
            Self::Drifted => "drifted",
            Self::NotRunning => "not running",
            Self::Extra => "extra",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether somebody has to look: `Some(false)` where what Git says runs, or is about to; `None` where it cannot be told.
    pub fn is_drift(self) -> Option<bool> {
        match self {
            Self::InStep | Self::Rolling => Some(false),
            Self::Drifted | Self::NotRunning | Self::Extra => Some(true),
            Self::Unreported | Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "unknown ({why})"),
            _ => f.write_str(self.word()),
        }
    }
}

/// A model, from all that was seen of it.
pub(super) fn of_model(wanted: &Wanted, seen: Option<&ServiceRuns>, site: &SiteRuns, families: &Families) -> Drift {
    let Some(digest) = wanted.digest else { return NOT_PINNED };
    let Some(seen) = seen else { return if site.complete { Drift::NotRunning } else { NOT_NAMED } };
    let judge = Judge { wanted, digest, families };
    let pods: Vec<(&SeenImage, bool)> = seen.pods.iter().flat_map(|pod| pod.models.iter().map(|image| (image, pod.ready))).collect();
    if !pods.is_empty() {
        return judge.images(&pods, seen);
    }
    if !seen.told.is_empty() {
        return judge.service(seen, site);
    }
    // Argo CD lists the images of all pods and not whose they are.
    let listed: Vec<_> = listed(wanted, site).map(|image| (image, seen.ready.unwrap_or(false))).collect();
    if listed.is_empty() { NO_DIGEST } else { judge.images(&listed, seen) }
}

/// Images of the model's repositories among those of the whole site.
fn listed<'a>(wanted: &Wanted, site: &'a SiteRuns) -> impl Iterator<Item = &'a SeenImage> {
    let canaries = wanted.canaries.iter().map(|canary| &canary.placed.image);
    let mut repositories: Vec<&Reference> = vec![&wanted.image];
    repositories.extend(canaries.filter(|image| image.name() != wanted.image.name()));
    repositories.into_iter().flat_map(|image| site.images_of(image)).collect::<Vec<_>>().into_iter()
}

struct Judge<'a> {
    wanted: &'a Wanted,
    digest: Digest,
    families: &'a Families,
}

impl Judge<'_> {
    /// By what pods run.
    fn images(&self, images: &[(&SeenImage, bool)], seen: &ServiceRuns) -> Drift {
        let sameness: Vec<_> = images.iter().map(|(image, _)| self.any(image)).collect();
        let has = |wanted: Sameness| sameness.contains(&wanted);
        if has(Sameness::Same) {
            let settled = !has(Sameness::Other) && images.iter().all(|(_, ready)| *ready) && self.all_there(images);
            return match settled {
                true if has(Sameness::Unknown) => PLATFORM,
                true => Drift::InStep,
                false => Drift::Rolling,
            };
        }
        if self.told(seen) {
            return Drift::Rolling;
        }
        match () {
            () if has(Sameness::Other) => Drift::Drifted,
            () if images.iter().any(|(image, _)| image.digests().next().is_some()) => PLATFORM,
            () => NO_DIGEST,
        }
    }

    /// By what the service was told and says of itself.
    fn service(&self, seen: &ServiceRuns, site: &SiteRuns) -> Drift {
        if !self.told(seen) {
            return Drift::Drifted;
        }
        match seen.ready {
            // A service that is scaled to zero is ready and has no pods.
            Some(true) => Drift::InStep,
            Some(false) if site.pods => Drift::NotRunning,
            Some(false) => Drift::Rolling,
            None => Drift::Unknown("readiness not reported"),
        }
    }

    /// Whether the service on the cluster names the digest of Git.
    fn told(&self, seen: &ServiceRuns) -> bool {
        seen.told.iter().filter_map(Reference::digest).any(|told| self.families.compare(self.digest, *told) == Sameness::Same)
    }

    /// An image against the stable digest and those of the canaries.
    fn any(&self, image: &SeenImage) -> Sameness {
        let mut digests = self.wanted.canaries.iter().filter_map(|canary| canary.placed.digest()).chain([self.digest]);
        let results: Vec<_> = digests.by_ref().map(|wanted| self.compare(wanted, image)).collect();
        let found = [Sameness::Same, Sameness::Unknown].into_iter().find(|wanted| results.contains(wanted));
        found.unwrap_or(Sameness::Other)
    }

    /// What a spec pins was copied from Git word by word, so another digest there is another image, unless it is of the same family.
    fn compare(&self, wanted: Digest, image: &SeenImage) -> Sameness {
        let results: Vec<_> = image.digests().map(|seen| self.families.compare(wanted, seen)).collect();
        if results.contains(&Sameness::Same) {
            return Sameness::Same;
        }
        let pinned = image.told.as_ref().is_some_and(|told| told.digest().is_some());
        if pinned || (!results.is_empty() && !results.contains(&Sameness::Unknown)) { Sameness::Other } else { Sameness::Unknown }
    }

    /// Whether the stable digest runs, and each canary that gets requests.
    fn all_there(&self, images: &[(&SeenImage, bool)]) -> bool {
        let served = self.wanted.canaries.iter().filter(|canary| canary.percent > 0);
        let needed = served.filter_map(|canary| canary.placed.digest()).chain([self.digest]);
        needed.into_iter().all(|wanted| images.iter().any(|(image, _)| self.compare(wanted, image) == Sameness::Same))
    }
}

/// An application, by the images that run on the site.
pub(super) fn of_app(image: &Reference, site: &SiteRuns, families: &Families) -> Drift {
    let seen: Vec<_> = site.images_of(image).collect();
    if seen.is_empty() {
        return if site.complete && site.pods { Drift::NotRunning } else { NOT_NAMED };
    }
    let Some(digest) = image.digest() else {
        let same = |seen: &&SeenImage| seen.told.as_ref().is_some_and(|told| told.tag() == image.tag());
        return if seen.iter().all(same) { Drift::InStep } else { Drift::Drifted };
    };
    let pinned = |seen: &SeenImage| seen.told.as_ref().is_some_and(|told| told.digest().is_some());
    let results: Vec<_> =
        seen.iter().map(|seen| (seen.digests().map(|one| families.compare(*digest, one)).collect::<Vec<_>>(), pinned(seen))).collect();
    let same = results.iter().filter(|(results, _)| results.contains(&Sameness::Same)).count();
    let unknown = results.iter().any(|(results, pinned)| !pinned && !results.contains(&Sameness::Other));
    match same {
        0 if unknown => PLATFORM,
        0 => Drift::Drifted,
        all if all == results.len() => Drift::InStep,
        _ => Drift::Rolling,
    }
}

/// What to show of a model that Git knows.
pub(super) fn running(wanted: &Wanted, seen: &ServiceRuns, site: &SiteRuns) -> Running {
    let mut running = seen_of(seen);
    if running.digests.is_empty() {
        running.digests = listed(wanted, site).filter_map(|image| image.digests().next()).collect();
        once(&mut running.digests);
    }
    running
}

/// What to show of a service: its pods' digests, else what it was told.
pub(super) fn seen_of(seen: &ServiceRuns) -> Running {
    let mut digests: Vec<_> = seen.pods.iter().flat_map(|pod| &pod.models).filter_map(|image| image.digests().next()).collect();
    if digests.is_empty() {
        digests.extend(seen.told.iter().filter_map(|told| told.digest().copied()));
    }
    once(&mut digests);
    let ready = seen.pods.iter().filter(|pod| pod.ready).count();
    let pods = if seen.pods.is_empty() { None } else { Some((ready, seen.pods.len())) };
    Running { digests, pods, ready: seen.ready }
}

fn once(digests: &mut Vec<Digest>) {
    let mut known = std::collections::BTreeSet::new();
    digests.retain(|digest| known.insert(*digest));
}
