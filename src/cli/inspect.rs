//! `modelcar inspect`: an image, or a model on disk.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use super::reading::ReadArgs;
use super::resolve::Found;
use crate::image::inspect::{Inspection, inspect};
use crate::kserve::Runtime;
use crate::model::lint::{self, Severity, Target};
use crate::model::{self, Model, ServingLayout};
use crate::oci::Location;
use crate::report::{Ui, image, lint as report};
use crate::store::Access;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An image, or the path of a model
    #[arg(value_name = "REF|PATH")]
    what: String,
    #[command(flatten)]
    reading: ReadArgs,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        match options::image(&self.what)? {
            Some(location) => self.image(ui, &location),
            None => self.model(ui, Path::new(&self.what)),
        }
    }

    fn image(&self, ui: &Ui, location: &Location) -> Result<(), CliError> {
        let found = Found::at(location, &self.registry, Access::Read)?;
        let inspection = inspect(found.store.as_ref(), &found.manifest)?;
        match self.format {
            Format::Text => ui.data(image::image(&self.what, &inspection).trim_end())?,
            Format::Json => ui.data(serde_json::to_string_pretty(&ImageView { image: found.pinned(), inspection })?)?,
        }
        Ok(())
    }

    fn model(&self, ui: &Ui, path: &Path) -> Result<(), CliError> {
        let model = self.reading.read(path)?;
        // A model that no server could load as it lies is inspected all the same.
        let (layout, doubt) = match self.reading.lay_out(&model, "model") {
            Ok(layout) => (layout, None),
            Err(error) => {
                let why = "no server is sure to load the folder as it is".to_owned();
                (ServingLayout { why, ..model::lay_out(&model, Some(Runtime::Raw), "model")? }, Some(error))
            }
        };
        ui.notes(&model.notes);
        ui.notes(&layout.notes);
        if let Some(error) = doubt {
            ui.note(error);
        }
        let findings = lint::judge(lint::lint(&model, &layout, &Target::default())?, &[]);
        if findings.iter().any(|judged| judged.finding.severity > Severity::Advice) {
            ui.note(format!("`modelcar lint` has more to say: {}", report::totals(&findings)));
        }
        match self.format {
            Format::Text => ui.data(image::model(&self.what, &model, &layout).trim_end())?,
            Format::Json => ui.data(serde_json::to_string_pretty(&model_view(&model, &layout))?)?,
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct ImageView {
    image: String,
    #[serde(flatten)]
    inspection: Inspection,
}

fn model_view(model: &Model, layout: &ServingLayout) -> serde_json::Value {
    let tensors = |tensors: &[model::TensorInfo]| -> Vec<String> { tensors.iter().map(ToString::to_string).collect() };
    let facts: serde_json::Map<_, _> = model.facts.items.iter().map(|fact| (fact.key.clone(), json!(fact.value))).collect();
    let files: Vec<_> =
        layout.files.iter().map(|placed| json!({"path": placed.file.path, "target": placed.target, "size": placed.file.size})).collect();
    json!({
        "format": model.format,
        "facts": facts,
        "inputs": tensors(&model.facts.inputs),
        "outputs": tensors(&model.facts.outputs),
        "runtime": layout.runtime.to_string(),
        "servers": model::layout::servers(model).iter().map(ToString::to_string).collect::<Vec<_>>(),
        "args": layout.args,
        "files": files,
        "notes": model.notes.iter().chain(&layout.notes).collect::<Vec<_>>(),
    })
}
