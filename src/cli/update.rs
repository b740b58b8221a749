//! `modelcar update`: another version of a model that a site runs.

use super::CliError;
use super::deploy::CanaryArgs;
use super::rolling::{Ask, RollingArgs, SitesArgs, image};
use super::service::ShapeArgs;
use crate::report::Ui;
use crate::rollout::ServiceName;

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "modelcar update [OPTIONS] <SITE> <MODEL> <REF>\n       modelcar update [OPTIONS] <--site SITE|--ring RING|--sites GLOB|--all> <MODEL> <REF>"
)]
pub(super) struct Args {
    /// The site, the InferenceService that it runs, and the image
    #[arg(value_names = ["SITE", "MODEL", "REF"], num_args = 2..=3, required = true)]
    words: Vec<String>,
    #[command(flatten)]
    canary: CanaryArgs,
    #[command(flatten)]
    sites: SitesArgs,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    rolling: RollingArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let (choice, [model, reference]) = self.sites.read(&self.words, ["MODEL", "REF"])?;
        let (model, image) = (model.parse::<ServiceName>()?, image(&reference)?);
        let (mut shape, canary) = (Box::new(self.shape.clone()), self.canary.request());
        shape.pin_sources(self.rolling.registry())?;
        self.rolling.run(&Ask::Run { image, model, shape, canary, only_running: true }, &choice, ui)
    }
}
