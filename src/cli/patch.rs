//! `modelcar patch`.

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use crate::oci::Location;
use crate::report::Ui;
use crate::rollout::{PatchForm, RolloutError, render};
use crate::store::Access;

pub(super) use super::service::{ServiceArgs, annotations};

/// The verb's options.
///
/// Here nothing else is called runtime; where an image is built, `--runtime` is its layout.
#[derive(Debug, clap::Args)]
#[command(mut_arg("serving_runtime", |argument| argument.visible_alias("runtime")))]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    #[command(flatten)]
    service: ServiceArgs,
    /// The form: merge, json6902, kustomize or manifest
    #[arg(long = "as", value_name = "FORM", default_value = "merge", value_parser = options::word::<PatchForm>)]
    form: PatchForm,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(mut self, ui: &Ui) -> Result<(), CliError> {
        self.ensure_for_new()?;
        self.service.generation().supports(self.service.delivery()).map_err(RolloutError::from)?;
        self.service.pin_sources(&self.registry)?;
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let service = self.service.of(&found, ui)?;
        let text = render(&service, self.form)?;
        if self.form != PatchForm::Manifest && !service.patch_args().is_empty() {
            let args = service.patch_args().join(" ");
            ui.warn(format!(
                "the model needs `{args}` in spec.predictor.model.args; a patch would replace the whole list, so add it there"
            ));
        }
        ui.data(text.trim_end())?;
        Ok(())
    }
    /// A patch brings an image and leaves everything else alone.
    fn ensure_for_new(&self) -> Result<(), CliError> {
        let given = self.service.for_new_only();
        if self.form == PatchForm::Manifest || given.is_empty() {
            return Ok(());
        }
        Err(CliError::usage(
            format!("{} is for a new InferenceService, and a patch changes one that is there", given.join(", ")),
            "`--as manifest` prints a whole one",
        ))
    }
}
