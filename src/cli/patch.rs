//! `modelcar patch`.

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::{Found, local_name};
use crate::image::annotations::{ARGS, FORMAT, RUNTIME};
use crate::kserve::{Delivery, Generation};
use crate::oci::{Annotations, Location, Manifest, RawManifest, Reference};
use crate::report::Ui;
use crate::rollout::{ModelFormat, PatchForm, RolloutError, Service, ServiceName, render};
use crate::store::{Access, StoreError};

/// What the InferenceService looks like.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "InferenceService")]
pub(super) struct ServiceArgs {
    /// The InferenceService's name
    #[arg(long, value_name = "NAME", value_parser = options::word::<ServiceName>)]
    pub(super) name: ServiceName,
    /// The namespace of a new InferenceService, and in a kustomization the patch's target
    #[arg(long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// What the cluster's KServe can do: 0.15, 0.17, 0.20, 0.21, or an OpenShift AI version such as rhoai-3.4 [default: 0.17]
    #[arg(long, value_name = "VERSION", value_parser = options::word::<Generation>)]
    kserve: Option<Generation>,
    /// How KServe mounts the image: modelcar, native, fetch [default: modelcar; ship keeps what the site has]
    #[arg(long, value_name = "DELIVERY", value_parser = options::word::<Delivery>)]
    delivery: Option<Delivery>,
    /// The ServingRuntime's name [default: by the image's layout]
    #[arg(long, value_name = "NAME")]
    pub(super) serving_runtime: Option<String>,
}

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
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        self.service.generation().supports(self.service.delivery()).map_err(RolloutError::from)?;
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let service = self.service.of(&found, ui)?;
        let text = render(&service, self.form)?;
        if self.form != PatchForm::Manifest && !service.args.is_empty() {
            let args = service.args.join(" ");
            ui.warn(format!(
                "the model needs `{args}` in spec.predictor.model.args; a patch would replace the whole list, so add it there"
            ));
        }
        ui.data(text.trim_end())?;
        Ok(())
    }
}

impl ServiceArgs {
    pub(super) fn generation(&self) -> Generation {
        self.kserve.unwrap_or(Generation::V0_17)
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.delivery.unwrap_or(Delivery::Modelcar)
    }

    /// Keeps the delivery that a site has, where the user names none; and where they name no generation either, the lowest that has it.
    pub(super) fn keep(&mut self, current: Option<Delivery>, ui: &Ui) {
        let Some(current) = current.filter(|current| self.delivery.is_none() && *current != self.delivery()) else { return };
        ui.note(format!("the site has delivery `{current}` for {}, which stays; `--delivery` changes it", self.name));
        self.delivery = Some(current);
        if self.generation().supports(current).is_err() && self.kserve.is_none() {
            self.kserve = Generation::all().find(|generation| generation.supports(current).is_ok());
        }
    }

    /// The InferenceService of an image that was found.
    pub(super) fn of(&self, found: &Found, ui: &Ui) -> Result<Service, CliError> {
        let annotations = annotations(&found.manifest)?;
        Ok(self.service(self.image_name(found, ui)?.pinned(found.manifest.digest()), &annotations))
    }

    /// The InferenceService of an image by its pinned reference and annotations.
    pub(super) fn service(&self, image: Reference, annotations: &Annotations) -> Service {
        let format = annotations.get(FORMAT).cloned().unwrap_or_else(|| "unknown".to_owned());
        Service {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            image,
            generation: self.generation(),
            delivery: self.delivery(),
            format: ModelFormat { name: format, version: None },
            runtime: self.serving_runtime.clone(),
            layout: annotations.get(RUNTIME).and_then(|name| name.parse().ok()),
            args: args(annotations),
            annotations: Annotations::new(),
        }
    }

    /// The name that the cluster will pull; an image in a layout may have none yet.
    pub(super) fn image_name(&self, found: &Found, ui: &Ui) -> Result<Reference, CliError> {
        if let Some(reference) = found.location.reference() {
            return Ok(reference);
        }
        let name = local_name(&self.name.to_string(), "latest")?;
        ui.warn(format!(
            "`{}` has no registry name, so the patch says {}; name it like oci:DIR:quay.io/org/model:v1",
            found.location,
            name.name()
        ));
        Ok(name)
    }
}

/// The arguments that an image asks for: a JSON list. What cannot be read is nothing; what may not be asked for is refused later.
fn args(annotations: &Annotations) -> Vec<String> {
    annotations.get(ARGS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The annotations of the image's index or manifest.
pub(super) fn annotations(manifest: &RawManifest) -> Result<Annotations, CliError> {
    Ok(match manifest.parse().map_err(StoreError::from)? {
        Manifest::Index(index) => index.annotations,
        Manifest::Image(manifest) => manifest.annotations,
    })
}
