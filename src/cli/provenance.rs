//! `modelcar provenance`.

use super::CliError;
use super::attested::PrintArgs;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use crate::oci::Location;
use crate::report::Ui;
use crate::store::Access;
use crate::trust::attest::PredicateType;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    image: Location,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.image, &self.registry, Access::Read)?;
        let trusted = self.print.trusted(&self.image, &self.registry)?;
        let attested = PrintArgs::attested(ui, &found, PredicateType::SLSA, &trusted)?;
        self.print.print(ui, &attested.ok_or_else(|| CliError::NoProvenance { image: found.pinned() })?)
    }
}
