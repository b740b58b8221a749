//! `modelcar status`.

use super::gitops_folder::GitOpsFolder;
use super::options::{self, RegistryArgs};
use super::running::RunningArgs;
use super::{CliError, ages};
use crate::report::status::{self, View};
use crate::report::{Ui, metrics};
use crate::rollout::status::{Chosen, Families, Fleet, History, Selection, SiteStatus, broken_site, site_status};
use crate::rollout::{RingName, SiteName, fleet};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The sites [default: all of them]
    #[arg(value_name = "SITE", value_parser = options::word::<SiteName>)]
    sites: Vec<SiteName>,
    /// Only the sites of this ring
    #[arg(long, value_name = "RING", value_parser = options::word::<RingName>)]
    ring: Option<RingName>,
    /// Only the sites whose names match, with `*` and `?`; may be repeated
    #[arg(long = "sites", value_name = "GLOB")]
    globs: Vec<String>,
    /// Mark models that have been at their site for longer: 30d, 12h
    #[arg(long, value_name = "AGE", value_parser = ages::seconds)]
    max_age: Option<u64>,
    /// End with 1 where something else runs than Git says, a site cannot be read, or a model is older than --max-age
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

/// How a status is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table
    Text,
    /// For scripts: one document
    Json,
    /// For Prometheus: its text format, as node_exporter's textfile collector and the Pushgateway take it
    Prometheus,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let workspace = self.gitops.open()?;
        let tree = workspace.tree();
        let selection =
            Selection { names: self.sites.clone(), ring: self.ring.as_ref().map(ToString::to_string), globs: self.globs.clone() };
        let chosen = selection.sites(tree)?;
        let names: Vec<_> = chosen.iter().map(name).cloned().collect();
        let history = History::read(&workspace, &names)?;
        let runs = self.running.fleet(&fleet::sites(tree)?, &names, ui)?;
        let sites = self.sites(tree, &chosen, &history, &runs, ui);
        let view = View { now: options::now()?, max_age: self.max_age };
        self.print(&sites, view, ui)?;
        if self.exit_code { judge(&sites, view) } else { Ok(()) }
    }

    fn sites(&self, tree: &std::path::Path, chosen: &[Chosen], history: &History, fleet: &Fleet, ui: &Ui) -> Vec<SiteStatus> {
        let read = |families: &Families| -> Vec<SiteStatus> {
            let read = chosen.iter().map(|site| match site {
                Ok(site) => site_status(tree, site, history, fleet, families),
                Err((name, error)) => broken_site(name.clone(), error),
            });
            read.collect()
        };
        let mut families = Families::default();
        let sites = read(&families);
        if self.running.learn(&sites, &mut families, &self.registry, ui) { read(&families) } else { sites }
    }

    fn print(&self, sites: &[SiteStatus], view: View, ui: &Ui) -> Result<(), CliError> {
        match self.format {
            Format::Text => ui.data(status::table(sites, view).trim_end())?,
            Format::Json => ui.data(status::json(sites, view)?)?,
            Format::Prometheus => ui.data(metrics::text(sites).trim_end())?,
        }
        for site in sites {
            if let Some(problem) = &site.problem {
                ui.warn(crate::oci::printable(&format!("{} cannot be read: {problem}", site.site), 1000));
            }
        }
        ui.say(status::summary(sites));
        Ok(())
    }
}

fn name(site: &Chosen) -> &SiteName {
    match site {
        Ok(site) => &site.name,
        Err((name, _)) => name,
    }
}

/// What a pipeline stops for.
fn judge(sites: &[SiteStatus], view: View) -> Result<(), CliError> {
    let models = || sites.iter().flat_map(|site| &site.models);
    let drifts = models().map(|model| model.drift).chain(sites.iter().flat_map(|site| &site.apps).map(|app| app.drift));
    let said = [
        (
            drifts.filter(|drift| drift.is_drift() == Some(true)).count(),
            "model or application is",
            "models or applications are",
            "not what Git says",
        ),
        (models().filter(|model| view.is_old(model)).count(), "model is", "models are", "too old"),
        (sites.iter().filter(|site| site.problem.is_some()).count(), "site is", "sites are", "not readable"),
    ];
    let said = said.iter().filter(|(count, ..)| *count > 0);
    let said: Vec<_> = said.map(|(count, one, many, what)| format!("{count} {} {what}", if *count == 1 { one } else { many })).collect();
    if said.is_empty() { Ok(()) } else { Err(CliError::Differs { what: said.join(", ") }) }
}
