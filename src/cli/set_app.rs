//! `modelcar set-app`: an application beside the models gets another image; no model changes.

use super::CliError;
use super::rolling::{Ask, RollingArgs, SitesArgs, image};
use crate::report::Ui;

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "modelcar set-app [OPTIONS] <SITE> <APP> <IMAGE>\n       modelcar set-app [OPTIONS] <--site SITE|--ring RING|--sites GLOB|--all> <APP> <IMAGE>"
)]
pub(super) struct Args {
    /// The site, the application (its name under `images` of apps/kustomization.yaml), and its image
    #[arg(value_names = ["SITE", "APP", "IMAGE"], num_args = 2..=3, required = true)]
    words: Vec<String>,
    #[command(flatten)]
    sites: SitesArgs,
    #[command(flatten)]
    rolling: RollingArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let (choice, [app, reference]) = self.sites.read(&self.words, ["APP", "IMAGE"])?;
        self.rolling.run(&Ask::SetApp { app, image: image(&reference)? }, &choice, ui)
    }
}
