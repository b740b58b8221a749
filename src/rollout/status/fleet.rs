//! What was reported, site by site.

use std::collections::BTreeMap;

use super::SeenImage;
use super::report::{PodSeen, Seen, ServiceSeen, Sighting};
use crate::oci::Reference;
use crate::rollout::SiteName;

/// What is known to run, by site.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    sites: BTreeMap<SiteName, SiteRuns>,
}

/// What runs on a site.
#[derive(Clone, Debug, Default)]
pub(super) struct SiteRuns {
    services: BTreeMap<(String, String), ServiceRuns>,
    /// Images of pods that serve no model, or of no pod in particular.
    images: Vec<SeenImage>,
    words: Vec<String>,
    /// Whether what nobody named is not there.
    pub(super) complete: bool,
    /// Whether pods were reported.
    pub(super) pods: bool,
}

/// A service and its pods.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceRuns {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) told: Vec<Reference>,
    pub(super) ready: Option<bool>,
    pub(super) pods: Vec<PodSeen>,
}

impl Fleet {
    /// Adds a report. Where `from` names a site, the report is that site's own; else each part has to say whose it is. Gives how many
    /// parts were about none of these sites.
    pub fn add(&mut self, sites: &[SiteName], from: Option<&SiteName>, report: Vec<Sighting>) -> usize {
        let mut strange = 0;
        if let Some(site) = from {
            self.sites.entry(site.clone()).or_default().complete = true;
        }
        for sighting in report {
            match from.or_else(|| site_of(sites, &sighting.site)).cloned() {
                Some(site) => self.sites.entry(site).or_default().add(sighting),
                None => strange += 1,
            }
        }
        strange
    }

    pub(super) fn site(&self, site: &SiteName) -> Option<&SiteRuns> {
        self.sites.get(site)
    }
}

/// The site that a name means: the site itself, or the longest one at the beginning or end of it (`edge-01-models`).
fn site_of<'a>(sites: &'a [SiteName], names: &[String]) -> Option<&'a SiteName> {
    let exact = |name: &String| sites.iter().find(|site| site.as_str() == name.as_str());
    let part = |name: &String| {
        let joined = |site: &&SiteName| {
            let rest = name.strip_prefix(site.as_str()).map(|rest| rest.starts_with('-'));
            let before = || name.strip_suffix(site.as_str()).map(|rest| rest.ends_with('-'));
            rest.or_else(before).unwrap_or(false)
        };
        sites.iter().filter(joined).max_by_key(|site| site.as_str().len())
    };
    names.iter().find_map(exact).or_else(|| names.iter().find_map(part))
}

impl SiteRuns {
    fn add(&mut self, sighting: Sighting) {
        self.complete |= sighting.complete;
        for seen in sighting.seen {
            match seen {
                Seen::Service(service) => self.add_service(service),
                Seen::Pod(pod) => self.add_pod(pod),
                Seen::Images(images) => self.images.extend(images),
                Seen::Sync(words) => self.words.push(words),
            }
        }
    }

    fn entry(&mut self, namespace: &str, name: &str) -> &mut ServiceRuns {
        let key = (namespace.to_owned(), name.to_owned());
        let new = || ServiceRuns { namespace: namespace.to_owned(), name: name.to_owned(), ..ServiceRuns::default() };
        self.services.entry(key).or_insert_with(new)
    }

    fn add_service(&mut self, seen: ServiceSeen) {
        let service = self.entry(&seen.namespace, &seen.name);
        service.told.extend(seen.told);
        service.ready = seen.ready.or(service.ready);
    }

    fn add_pod(&mut self, mut pod: PodSeen) {
        self.pods = true;
        self.images.append(&mut pod.others);
        if let Some(name) = pod.service.clone() {
            self.entry(&pod.namespace.clone(), &name).pods.push(pod);
        }
    }

    /// What was seen of the services of these names, taken together.
    pub(super) fn service(&self, names: &[&str], namespace: Option<&str>) -> Option<ServiceRuns> {
        let ours = |service: &&ServiceRuns| {
            names.contains(&service.name.as_str()) && namespace.is_none_or(|namespace| service.namespace == namespace)
        };
        let mut all = self.services.values().filter(ours);
        let first = all.next()?.clone();
        Some(all.fold(first, |mut joined, other| {
            joined.told.extend(other.told.iter().cloned());
            joined.pods.extend(other.pods.iter().cloned());
            joined.ready = both(joined.ready, other.ready);
            joined
        }))
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceRuns> {
        self.services.values()
    }

    /// The images of a repository that run somewhere on the site.
    pub(super) fn images_of(&self, image: &Reference) -> impl Iterator<Item = &SeenImage> {
        let name = image.name();
        self.images.iter().filter(move |seen| seen.told.as_ref().is_some_and(|told| told.name() == name))
    }

    /// Argo CD's words for all its applications on the site.
    pub(super) fn sync(&self) -> Option<String> {
        let mut words = self.words.clone();
        words.sort();
        words.dedup();
        if words.is_empty() { None } else { Some(words.join("; ")) }
    }
}

/// Both, as far as they are known.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one && other),
        (one, other) => one.or(other),
    }
}
