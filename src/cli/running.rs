//! What runs on the sites: the options that `status` and `diff` share.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fs_err as fs;

use super::options::RegistryArgs;
use super::{CliError, options};
use crate::oci::{Location, Reference};
use crate::report::Ui;
use crate::rollout::status::kubectl::{self, Cluster};
use crate::rollout::status::report::{ReportError, Sighting, read_report};
use crate::rollout::status::{Families, Fleet, SiteStatus, StatusError, unknown_images};
use crate::rollout::{RolloutError, SiteName};
use crate::store::Access;

/// The largest report that is read, in bytes.
const MAX_REPORT: u64 = 256 << 20;
/// How many clusters are asked at a time.
const AT_A_TIME: usize = 8;

/// Who says what runs.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What runs")]
pub(super) struct RunningArgs {
    /// What a cluster, Argo CD or ACM says runs: the JSON or YAML of `kubectl get inferenceservices,pods -A -o json`, `argocd app list
    /// -o json`, ManagedClusterViews, ManifestWorks or an ACM search; `-` is standard input; may be repeated. A kubectl list does not
    /// say whose it is: name the site
    #[arg(long, value_name = "FILE|SITE=FILE")]
    running: Vec<Report>,
    /// Ask a site's cluster with `kubectl --kubeconfig FILE`; may be repeated
    #[arg(long, value_name = "SITE=FILE", value_parser = options::word::<OfSite>)]
    kubeconfig: Vec<OfSite>,
    /// Ask a site's cluster with `kubectl --context NAME`; may be repeated
    #[arg(long, value_name = "SITE=NAME", value_parser = options::word::<OfSite>)]
    context: Vec<OfSite>,
    /// Ask the registry which platform's digest belongs to which image, where a node reports nothing else
    #[arg(long)]
    resolve: bool,
}

/// A file, and whose it is.
#[derive(Clone, Debug)]
struct Report {
    site: Option<SiteName>,
    file: PathBuf,
}

impl FromStr for Report {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_site = text.parse::<OfSite>().ok().map(|OfSite { site, value }| Self { site: Some(site), file: value.into() });
        Ok(of_site.unwrap_or_else(|| Self { site: None, file: text.into() }))
    }
}

/// `SITE=VALUE`.
#[derive(Clone, Debug)]
struct OfSite {
    site: SiteName,
    value: String,
}

impl FromStr for OfSite {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let (site, value) = text.split_once('=').unwrap_or((text, ""));
        let unknown =
            || RolloutError::UnknownWord { what: "SITE=VALUE pair", text: text.to_owned(), known: "edge-site-01=FILE and the like" };
        if value.is_empty() { Err(unknown()) } else { Ok(Self { site: site.parse()?, value: value.to_owned() }) }
    }
}

impl RunningArgs {
    /// Whether anybody is asked.
    pub(super) fn is_asked(&self) -> bool {
        !(self.running.is_empty() && self.kubeconfig.is_empty() && self.context.is_empty())
    }

    /// Reads the reports and asks the clusters. A cluster that does not answer is said, and its site stays unreported.
    pub(super) fn fleet(&self, all: &[SiteName], chosen: &[SiteName], ui: &Ui) -> Result<Fleet, CliError> {
        let mut fleet = Fleet::default();
        for report in &self.running {
            let said = report.read()?;
            let site = report.site.as_ref().or(match chosen {
                // What kubectl prints can only be about the one site that was asked for.
                [only] if said.iter().all(|sighting| sighting.site.is_empty()) => Some(only),
                _ => None,
            });
            let strange = fleet.add(all, site, said);
            if strange > 0 {
                let file = report.file.display();
                ui.note(format!(
                    "{strange} objects in {file} are about no site of this folder; a kubectl list needs its name: SITE={file}"
                ));
            }
        }
        self.ask(all, &mut fleet, ui)?;
        Ok(fleet)
    }

    fn ask(&self, all: &[SiteName], fleet: &mut Fleet, ui: &Ui) -> Result<(), CliError> {
        let mut clusters: BTreeMap<&SiteName, Cluster> = BTreeMap::new();
        for OfSite { site, value } in &self.kubeconfig {
            clusters.entry(site).or_default().kubeconfig = Some(value.into());
        }
        for OfSite { site, value } in &self.context {
            clusters.entry(site).or_default().context = Some(value.clone());
        }
        let clusters: Vec<_> = clusters.into_iter().collect();
        for some in clusters.chunks(AT_A_TIME) {
            for (site, answer) in ask_some(some) {
                match answer {
                    Ok(said) => drop(fleet.add(all, Some(site), said)),
                    Err(error @ StatusError::NoKubectl { .. }) => return Err(RolloutError::from(error).into()),
                    Err(error) => ui.warn(error),
                }
            }
        }
        Ok(())
    }

    /// Asks the registry about the digests that keep models unknown; false where there was nothing to ask.
    pub(super) fn learn(&self, sites: &[SiteStatus], families: &mut Families, registry: &RegistryArgs, ui: &Ui) -> bool {
        let images = unknown_images(sites);
        if images.is_empty() {
            return false;
        }
        if !self.resolve {
            ui.note("nodes report platform digests; `--resolve` asks the registry which image they belong to");
            return false;
        }
        let distinct: BTreeSet<_> = images.iter().map(ToString::to_string).collect();
        tracing::debug!("{} digests are looked up", distinct.len());
        for image in images {
            learn_one(&image, families, registry).unwrap_or_else(|error| ui.warn(format!("{image} cannot be looked up: {error}")));
        }
        true
    }
}

impl Report {
    fn read(&self) -> Result<Vec<Sighting>, CliError> {
        let bytes = read_bounded(&self.file)?;
        let unreadable = |source: ReportError| StatusError::Report { from: self.file.display().to_string(), source };
        Ok(read_report(&bytes).map_err(unreadable).map_err(RolloutError::from)?)
    }
}

fn read_bounded(file: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(MAX_REPORT + 1).read_to_end(&mut bytes)
    } else {
        fs::File::open(file).and_then(|open| open.take(MAX_REPORT + 1).read_to_end(&mut bytes))
    };
    read.map_err(|source| CliError::Reading { path: file.display().to_string(), source })?;
    Ok(bytes)
}

fn ask_some<'a>(clusters: &[(&'a SiteName, Cluster)]) -> Vec<(&'a SiteName, Result<Vec<Sighting>, StatusError>)> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = clusters.iter().map(|(site, cluster)| (*site, scope.spawn(|| kubectl::ask(site.as_str(), cluster)))).collect();
        asked.into_iter().filter_map(|(site, answer)| Some((site, answer.join().ok()?))).collect()
    })
}

fn learn_one(image: &Reference, families: &mut Families, registry: &RegistryArgs) -> Result<(), CliError> {
    let Some(digest) = image.digest() else { return Ok(()) };
    let store = registry.open(&Location::Registry(image.clone()), Access::Read)?;
    Ok(families.learn(store.as_ref(), *digest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_a_sites() {
        for (text, site, file) in [
            ("edge-01=pods.json", Some("edge-01"), "pods.json"),
            ("pods.json", None, "pods.json"),
            ("dir/a=b.json", None, "dir/a=b.json"),
            ("edge-01=-", Some("edge-01"), "-"),
        ] {
            let report: Report = text.parse().unwrap();
            assert_eq!((report.site.as_ref().map(SiteName::as_str), report.file.to_str().unwrap()), (site, file));
        }
        assert!("edge-01".parse::<OfSite>().is_err());
        assert!("Edge=x".parse::<OfSite>().is_err());
    }
}
