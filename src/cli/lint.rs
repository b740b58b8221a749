//! `modelcar lint`.

use std::path::Path;
use std::sync::Arc;

use super::CliError;
use super::gate::{self, AllowArgs};
use super::options::{self, Format, RegistryArgs};
use super::patch::annotations;
use super::reading::ReadArgs;
use super::resolve::Found;
use super::tekton::TektonArgs;
use crate::image::annotations::RUNTIME;
use crate::image::model_files::model_files;
use crate::kserve::{Delivery, Generation, Runtime};
use crate::model::lint::{self, Finding, Rule, Severity, Target};
use crate::model::{self, Model, ModelError, ServingLayout};
use crate::oci::{Location, Reference};
use crate::report::lint::{self as report, LintReport};
use crate::report::{Ui, tekton};
use crate::store::{Access, Store};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The path of a model, or an image
    #[arg(value_name = "MODEL|REF", required_unless_present_any = ["explain", "rules"])]
    what: Option<String>,
    #[command(flatten)]
    reading: ReadArgs,
    /// How KServe will mount it: modelcar, native, fetch; separated by commas [default: any]
    #[arg(long, value_name = "DELIVERY", value_delimiter = ',', value_parser = options::word::<Delivery>)]
    delivery: Vec<Delivery>,
    /// What the cluster's KServe can do: 0.15, 0.17, 0.20, 0.21, or an OpenShift AI version such as rhoai-3.4 [default: any]
    #[arg(long, value_name = "VERSION", value_parser = options::word::<Generation>)]
    kserve: Option<Generation>,
    #[command(flatten)]
    allow: AllowArgs,
    /// Refuse for warnings too
    #[arg(long, help_heading = "Lint")]
    strict: bool,
    /// Say what a rule is about
    #[arg(long, value_name = "RULE", value_parser = gate::rule, help_heading = "Lint")]
    explain: Option<&'static Rule>,
    /// List all rules
    #[arg(long, conflicts_with = "explain", help_heading = "Lint")]
    rules: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        if self.rules {
            return Ok(ui.data(report::rules().trim_end())?);
        }
        options::ensure_supported(self.kserve, &self.delivery)?;
        if let Some(rule) = self.explain {
            return Ok(ui.data(report::explain(rule).trim_end())?);
        }
        let results = self.tekton.of("lint")?;
        let what = self.what.as_deref().unwrap_or_default();
        let report = match options::image(what)? {
            Some(location) => self.image(what, &location)?,
            None => self.report(what, Vec::new(), self.examine(Path::new(what)))?,
        };
        match self.format {
            Format::Text => ui.data(report::text(&report).trim_end())?,
            Format::Json => ui.data(report::json(&report)?)?,
        }
        let format = report.format.clone().unwrap_or_default();
        results.write(ui, &[(tekton::FINDINGS, report.findings.len().to_string()), (tekton::MODEL_FORMAT, format)])?;
        if report.format.is_none() { Err(gate::unreadable(&report.findings)) } else { gate::accept(&report.findings) }
    }

    /// A model that cannot be laid out is looked at as it lies; why it cannot is one more finding.
    fn examine(&self, path: &Path) -> Result<(Model, ServingLayout), ModelError> {
        let mut model = self.reading.read(path)?;
        let error = match self.reading.lay_out(&model, "model") {
            Ok(layout) => return Ok((model, layout)),
            Err(error) => error,
        };
        model.findings.push(lint::of_error(&error).ok_or(error)?);
        let layout = model::lay_out(&model, Some(Runtime::Raw), "model")?;
        Ok((model, layout))
    }

    /// The model in an image, as it lies there: for the server whose layout the image says it has.
    fn image(&self, what: &str, location: &Location) -> Result<LintReport, CliError> {
        let found = Found::at(location, &self.registry, Access::Read)?;
        let store: Arc<dyn Store> = found.store.clone();
        let files = model_files(&store, &found.manifest)?;
        let runtime = annotations(&found.manifest)?.get(RUNTIME).and_then(|name| name.parse().ok());
        let runtime = self.reading.runtime().or(runtime).unwrap_or(Runtime::Raw);
        let examined = model::read_files(Path::new(what), files).and_then(|model| {
            let layout = model::lay_out(&model, Some(Runtime::Raw), "model")?;
            Ok((model, ServingLayout { runtime, ..layout }))
        });
        self.report(what, found.location.reference().into_iter().collect(), examined)
    }

    /// What is to be told. A model that cannot be read is a finding; nothing allows it away.
    fn report(
        &self,
        what: &str,
        names: Vec<Reference>,
        examined: Result<(Model, ServingLayout), ModelError>,
    ) -> Result<LintReport, CliError> {
        let target = Target { deliveries: self.delivery.clone(), generation: self.kserve, names };
        let (format, runtime, findings) = match examined {
            Ok((model, layout)) => {
                let findings = self.weighed(lint::lint(&model, &layout, &target)?);
                (Some(model.format.to_owned()), Some(layout.runtime.to_string()), lint::judge(findings, &self.allow.rules()))
            }
            Err(error) => match lint::of_error(&error) {
                Some(finding) => (None, None, lint::judge(vec![finding], &[])),
                None => return Err(error.into()),
            },
        };
        let deliveries = self.delivery.iter().map(ToString::to_string).collect();
        let kserve = self.kserve.map(|generation| generation.name().to_owned());
        Ok(LintReport { model: what.to_owned(), format, runtime, deliveries, kserve, findings })
    }

    /// With `--strict` a warning weighs as much as an error.
    fn weighed(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let heavier = |finding: Finding| match finding.severity {
            Severity::Warning if self.strict => finding.weighing(Severity::Error),
            _ => finding,
        };
        findings.into_iter().map(heavier).collect()
    }
}
