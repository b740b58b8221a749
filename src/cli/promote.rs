//! `modelcar promote`: a canary becomes the stable version.

use super::CliError;
use super::rolling::{Ask, RollingArgs, SitesArgs};
use crate::oci::Digest;
use crate::report::Ui;
use crate::rollout::ServiceName;

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "modelcar promote [OPTIONS] <SITE> <MODEL>\n       modelcar promote [OPTIONS] <--site SITE|--ring RING|--sites GLOB|--all> <MODEL>"
)]
pub(super) struct Args {
    /// The site and the InferenceService
    #[arg(value_names = ["SITE", "MODEL"], num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// Which canary, where there are several
    #[arg(long, value_name = "DIGEST", help_heading = "Canary")]
    canary: Option<Digest>,
    #[command(flatten)]
    sites: SitesArgs,
    #[command(flatten)]
    rolling: RollingArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let (choice, [model]) = self.sites.read(&self.words, ["MODEL"])?;
        self.rolling.run(&Ask::Promote { model: model.parse::<ServiceName>()?, canary: self.canary }, &choice, ui)
    }
}
