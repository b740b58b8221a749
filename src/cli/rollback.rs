//! `modelcar rollback`: the canary goes, or the version before is back.

use super::CliError;
use super::rolling::{Ask, RollingArgs, SitesArgs};
use crate::report::Ui;
use crate::rollout::ServiceName;

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "modelcar rollback [OPTIONS] <SITE> <MODEL>\n       modelcar rollback [OPTIONS] <--site SITE|--ring RING|--sites GLOB|--all> <MODEL>"
)]
pub(super) struct Args {
    /// The site and the InferenceService
    #[arg(value_names = ["SITE", "MODEL"], num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// The version to go back to: a digest, a tag that the site ran, or a commit [default: take the canary away; where there is none,
    /// the last version that the history of the site's file knows]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    #[command(flatten)]
    sites: SitesArgs,
    #[command(flatten)]
    rolling: RollingArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let (choice, [model]) = self.sites.read(&self.words, ["MODEL"])?;
        self.rolling.run(&Ask::RollBack { model: model.parse::<ServiceName>()?, to: self.to.clone() }, &choice, ui)
    }
}
