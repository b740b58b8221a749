//! `modelcar deploy`: a model's first version, or another one.

use super::CliError;
use super::options;
use super::rolling::{Ask, RollingArgs, SitesArgs, image};
use super::service::ShapeArgs;
use crate::oci::Reference;
use crate::report::Ui;
use crate::rollout::{CanaryBy, CanaryRequest, ServiceName};

/// How many requests a new version gets.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Canary")]
pub(super) struct CanaryArgs {
    /// Run it beside the version that is there, with so many percent of the requests
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    canary: Option<u8>,
    /// Who splits the requests: KServe, or a weighted Route over a second InferenceService
    #[arg(long, value_name = "WHO", default_value = "kserve", requires = "canary")]
    canary_by: By,
}

/// Who splits requests.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    /// KServe, where the site's can
    Kserve,
    /// A weighted Route or HTTPRoute
    Route,
}

impl CanaryArgs {
    pub(super) fn request(&self) -> Option<CanaryRequest> {
        let by = match self.canary_by {
            By::Kserve => CanaryBy::Kserve,
            By::Route => CanaryBy::Route,
        };
        self.canary.map(|percent| CanaryRequest { percent, by })
    }
}

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "modelcar deploy [OPTIONS] <SITE> <REF>\n       modelcar deploy [OPTIONS] <--site SITE|--ring RING|--sites GLOB|--all> <REF>"
)]
pub(super) struct Args {
    /// The site, a folder below sites/, and the image
    #[arg(value_names = ["SITE", "REF"], num_args = 1..=2, required = true)]
    words: Vec<String>,
    /// The InferenceService's name [default: the repository's last part]
    #[arg(long, value_name = "NAME", value_parser = options::word::<ServiceName>)]
    name: Option<ServiceName>,
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
        let (choice, [reference]) = self.sites.read(&self.words, ["REF"])?;
        let image = image(&reference)?;
        let model = self.name.clone().map_or_else(|| usual_name(&image), Ok)?;
        let (mut shape, canary) = (Box::new(self.shape.clone()), self.canary.request());
        shape.pin_sources(self.rolling.registry())?;
        self.rolling.run(&Ask::Run { image, model, shape, canary, only_running: false }, &choice, ui)
    }
}

/// The last part of the repository, where an InferenceService can be called so.
fn usual_name(image: &Reference) -> Result<ServiceName, CliError> {
    let last = image.repository().rsplit('/').next().unwrap_or_default();
    last.parse::<ServiceName>().map_err(|error| CliError::usage(error.to_string(), "name the InferenceService with `--name NAME`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repositorys_last_part_is_the_name_where_it_can_be() {
        let name = |text: &str| usual_name(&text.parse().unwrap()).map(|name| name.to_string());
        assert_eq!(name("q.io/acme/models/iris:v1").unwrap(), "iris");
        for text in ["q.io/acme/my_model:v1", "q.io/acme/2nd:v1", "q.io/acme/a.b:v1"] {
            let error = name(text).unwrap_err();
            assert!(error.exit_code() == 2 && error.hint().unwrap().contains("--name"), "{error}");
        }
    }
}
