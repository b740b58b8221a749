//! `modelcar doctor`.

use serde::Serialize;

use super::CliError;
use super::options::{self, Format, RegistryArgs};
use crate::oci::{Location, Reference};
use crate::report::{Ui, doctor as report};
use crate::store::registry::doctor::{self, Finding, Question, State};

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing is missing, 1 something is, 2 usage.")]
pub(super) struct Args {
    /// The repository or image: REGISTRY/REPOSITORY[:TAG]
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    /// Try whether images may be pushed: an upload is begun and taken back
    #[arg(long)]
    push: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct View<'a> {
    name: String,
    ok: bool,
    checks: &'a [Finding],
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let reference = self.reference()?;
        let question = if self.push { Question::Push } else { Question::Pull };
        let findings = doctor::examine(&reference, question, &self.registry.options())?;
        let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.state == State::Bad).collect();
        match self.format {
            Format::Text => ui.data(report::findings(&findings).trim_end())?,
            Format::Json => {
                let view = View { name: reference.name(), ok: wrong.is_empty(), checks: &findings };
                ui.data(serde_json::to_string_pretty(&view)?)?;
            }
        }
        let notes = findings.iter().filter(|finding| finding.state == State::Note);
        notes.filter_map(|finding| finding.hint.as_ref()).for_each(|hint| ui.note(hint));
        let Some(first) = wrong.first() else { return Ok(()) };
        let checks = wrong.iter().map(|finding| finding.check).collect::<Vec<_>>().join(", ");
        Err(CliError::Unwell { name: reference.name(), checks, hint: first.hint.clone() })
    }

    fn reference(&self) -> Result<Reference, CliError> {
        let not_one = || CliError::usage(format!("{} is in no registry", self.image), "name a repository such as quay.io/org/model");
        self.image.reference().ok_or_else(not_one)
    }
}
