//! `modelcar push`.

use super::options::{self, Format};
use super::resolve::Found;
use super::tekton::TektonArgs;
use super::{CliError, copy, stored};
use crate::oci::Location;
use crate::report::Ui;
use crate::store::Access;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image: oci:DIR:NAME, oci-archive:FILE:NAME, or another registry's
    #[arg(value_name = "SRC", value_parser = options::location)]
    source: Location,
    /// Where it goes: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REF", value_parser = options::location)]
    target: Location,
    #[command(flatten)]
    tekton: TektonArgs,
    #[command(flatten)]
    how: copy::CopyArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let results = self.tekton.of("push")?;
        let found = Found::at(&self.source, &self.how.registry, Access::Read)?;
        copy::copy(ui, &found, &self.target, &self.how, &copy::Wording { verb: "push", format: Format::Text })?;
        results.write(ui, &stored::stored(&self.target, &found.manifest)?)
    }
}
