//! `modelcar pull`.

use std::path::PathBuf;

use super::options::{self, Format};
use super::resolve::Found;
use super::{CliError, copy};
use crate::oci::Location;
use crate::report::Ui;
use crate::store::Access;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REF", value_parser = options::location)]
    source: Location,
    /// The OCI layout, DIR or oci:DIR:NAME; it is made where it is not there
    #[arg(value_name = "DIR")]
    target: String,
    #[command(flatten)]
    how: copy::CopyArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.source, &self.how.registry, Access::Read)?;
        let name = self.source.reference().map_or_else(|| found.manifest.digest().to_string(), |reference| reference.to_string());
        let target = self.target(&name)?;
        copy::copy(ui, &found, &target, &self.how, &copy::Wording { verb: "pull", format: Format::Text })
    }
}

impl Args {
    /// A bare DIR is a layout; the image keeps its name there unless another is written.
    fn target(&self, name: &str) -> Result<Location, CliError> {
        let bare = || Location::Layout { dir: PathBuf::from(&self.target), image: None };
        let location = if self.target.contains(':') { self.target.parse()? } else { bare() };
        match location {
            Location::Registry(_) => Err(CliError::usage(
                format!("`{}` is a registry", self.target),
                "pull writes a layout; `modelcar push SRC REF` copies from registry to registry",
            )),
            named if named.manifest_ref().is_some() => Ok(named),
            unnamed => Ok(unnamed.named(name)),
        }
    }
}
