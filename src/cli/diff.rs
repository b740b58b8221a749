//! `modelcar diff`: a site and something else, or two images.

use std::path::Path;

use super::gitops_folder::GitOpsFolder;
use super::options::{self, Format, RegistryArgs};
use super::resolve::Found;
use super::running::RunningArgs;
use super::{CliError, ages};
use crate::image::compare::{Comparison, compare};
use crate::oci::{Location, Timestamp};
use crate::report::{Ui, difference};
use crate::rollout::status::difference::{Difference, Kind, Row};
use crate::rollout::status::since::{Past, Since};
use crate::rollout::status::{Families, History, ensure_site, site_status};
use crate::rollout::{CommitId, Site, SiteName, SiteState, Workspace, fleet, read_state};
use crate::store::Access;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A site, or an image
    #[arg(value_name = "SITE|REF")]
    what: String,
    /// Only this model or application of the site; or the other image
    #[arg(value_name = "MODEL|REF")]
    other: Option<String>,
    /// Compare with another site
    #[arg(long, value_name = "SITE", value_parser = options::word::<SiteName>, conflicts_with_all = ["since", "running", "kubeconfig", "context"])]
    with: Option<SiteName>,
    /// Compare with the site as it was: a commit, tag or branch, or an age such as 7d
    #[arg(long, value_name = "REV|AGE", conflicts_with_all = ["running", "kubeconfig", "context"])]
    since: Option<String>,
    /// Also compare the images behind digests that differ; without --with, --since and --running that is always done
    #[arg(long)]
    images: bool,
    /// End with 1 where something differs
    #[arg(long)]
    exit_code: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    gitops: GitOpsFolder,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        match &self.other {
            Some(other) if is_image(&self.what) => self.two_images(&self.what, other, ui),
            None if is_image(&self.what) => Err(CliError::usage(
                format!("`{}` is an image, and there is nothing to compare it with", self.what),
                "name two images, or a site",
            )),
            _ => self.site(&self.what.parse()?, ui),
        }
    }

    fn two_images(&self, old: &str, new: &str, ui: &Ui) -> Result<(), CliError> {
        let location = |what: &str| options::location(what).map_err(|_| wrong_image(what));
        let (old, new) = (location(old)?, location(new)?);
        let found = |image: &Location| Found::at(image, &self.registry, Access::Read);
        let (old, new) = (found(&old)?, found(&new)?);
        let images = compare((old.store.as_ref(), &old.manifest), (new.store.as_ref(), &new.manifest))?;
        match self.format {
            Format::Text => {
                let heading = format!("{} → {}", old.pinned(), new.pinned());
                ui.data(difference::images_text(&heading, &images).trim_end())?;
            }
            Format::Json => ui.data(difference::images_json(&old.pinned(), &new.pinned(), &images)?)?,
        }
        self.end(old.manifest.digest() != new.manifest.digest(), || "the images differ".to_owned())
    }

    fn site(&self, site: &SiteName, ui: &Ui) -> Result<(), CliError> {
        let workspace = self.gitops.open()?;
        let tree = workspace.tree();
        let now = options::now()?;
        let mut difference = match (&self.with, &self.since) {
            (Some(other), _) => Difference::of_states((site.as_str(), other.as_str()), &state(tree, site)?, &state(tree, other)?),
            (None, Some(since)) => since_then(&workspace, site, since, now)?,
            (None, None) if self.running.is_asked() => self.running(&workspace, site, ui)?,
            (None, None) => self.tags(&state(tree, site)?)?,
        };
        if let Some(name) = &self.other {
            difference = difference.only(name);
            if difference.rows.is_empty() {
                return Err(CliError::usage(
                    format!("{site} has no model or application `{name}`"),
                    format!("`modelcar status {site}` lists them"),
                ));
            }
        }
        if self.images || self.asks_registry() {
            difference.rows.iter_mut().try_for_each(|row| self.compare(row))?;
        }
        self.print(&difference, now, ui)?;
        let count = difference.rows.iter().filter(|row| row.differs == Some(true)).count();
        self.end(difference.differs(), || format!("{site} differs from {} in {count} of {}", difference.new, difference.rows.len()))
    }

    /// Whether the registry is what the site is compared with.
    fn asks_registry(&self) -> bool {
        self.with.is_none() && self.since.is_none() && !self.running.is_asked()
    }

    fn running(&self, workspace: &Workspace, site: &SiteName, ui: &Ui) -> Result<Difference, CliError> {
        let tree = workspace.tree();
        let names = std::slice::from_ref(site);
        let history = History::read(workspace, names)?;
        let runs = self.running.fleet(&fleet::sites(tree)?, names, ui)?;
        let (facts, mut families) = (Site::read(tree, site)?, Families::default());
        state(tree, site)?;
        let status = site_status(tree, &facts, &history, &runs, &families);
        let learned = self.running.learn(std::slice::from_ref(&status), &mut families, &self.registry, ui);
        let status = if learned { site_status(tree, &facts, &history, &runs, &families) } else { status };
        Ok(Difference::of_running(&status))
    }

    /// What the tags name now.
    fn tags(&self, state: &SiteState) -> Result<Difference, CliError> {
        let mut rows = Vec::new();
        for model in &state.models {
            let asked = self.other.as_ref().is_none_or(|name| name == model.name.as_str());
            let tagged = model.image.as_ref().and_then(|image| Some(image.tagged(image.tag()?))).filter(|_| asked);
            let found = tagged.map(|image| Found::at(&Location::Registry(image), &self.registry, Access::Read)).transpose()?;
            rows.push(Difference::of_tag(model, found.map(|found| found.manifest.digest())));
        }
        Ok(Difference { old: "told".to_owned(), new: "the registry".to_owned(), rows })
    }

    /// Looks at both images of a row whose digests differ.
    fn compare(&self, row: &mut Row) -> Result<(), CliError> {
        let (Some(old), Some(new)) = (&row.old, &row.new) else { return Ok(()) };
        if row.kind == Kind::App || row.differs != Some(true) || old.digests.first() == new.digests.first() {
            return Ok(());
        }
        let name = new.image.as_ref().or(old.image.as_ref());
        let (Some(old), Some((name, digest))) = (old.pinned(), name.zip(new.digests.first())) else { return Ok(()) };
        let found = |image| Found::at(&Location::Registry(image), &self.registry, Access::Read);
        row.images = Some(compare_found(&found(old)?, &found(name.at(*digest))?)?);
        Ok(())
    }

    fn print(&self, found: &Difference, now: Timestamp, ui: &Ui) -> Result<(), CliError> {
        match self.format {
            Format::Text => ui.data(difference::text(found, now).trim_end())?,
            Format::Json => ui.data(difference::json(found)?)?,
        }
        Ok(())
    }

    fn end(&self, differs: bool, what: impl FnOnce() -> String) -> Result<(), CliError> {
        if differs && self.exit_code { Err(CliError::Differs { what: what() }) } else { Ok(()) }
    }
}

/// A site is a DNS label, which no image is.
fn is_image(what: &str) -> bool {
    what.contains(['/', ':', '@'])
}

fn wrong_image(what: &str) -> CliError {
    CliError::usage(format!("`{what}` is not an image"), "an image is REGISTRY/REPOSITORY:TAG, oci:DIR:NAME or oci-archive:FILE:NAME")
}

fn compare_found(old: &Found, new: &Found) -> Result<Comparison, CliError> {
    Ok(compare((old.store.as_ref(), &old.manifest), (new.store.as_ref(), &new.manifest))?)
}

fn state(tree: &Path, site: &SiteName) -> Result<SiteState, CliError> {
    ensure_site(tree, site)?;
    Ok(read_state(tree, site)?)
}

fn since_then(workspace: &Workspace, site: &SiteName, since: &str, now: Timestamp) -> Result<Difference, CliError> {
    let since = match ages::seconds(since) {
        Ok(age) => Since::Moment(Timestamp::from_seconds(now.seconds().saturating_sub(age))),
        Err(_) => Since::Revision(since.to_owned()),
    };
    let tree = workspace.tree();
    let (past, state) = (Past::read(workspace, site, &since)?, state(tree, site)?);
    let history = History::read(workspace, std::slice::from_ref(site))?;
    let name = past.commit.as_ref().map_or("the beginning", CommitId::short).to_owned();
    let mut difference = Difference::of_states((&name, "now"), &past.state, &state);
    for row in difference.rows.iter_mut().filter(|row| row.differs == Some(true)) {
        row.arrival = past.arrival(&state, row, &history);
    }
    Ok(difference)
}
