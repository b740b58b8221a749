//! `modelcar extract`.

use std::path::PathBuf;

use super::CliError;
use super::options::{self, RegistryArgs};
use super::resolve::Found;
use crate::image::extract;
use crate::oci::{Location, Platform};
use crate::report::{Ui, timed, units};
use crate::store::Access;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The image
    #[arg(value_name = "REF", value_parser = options::location)]
    source: Location,
    /// The directory for the files under /models; it must not be there, or be empty
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The platform whose image is read [default: the first; all hold the same model]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.source, &self.registry, Access::Read)?;
        let (extracted, time) = timed(|| extract::extract(found.store.as_ref(), &found.manifest, self.platform.as_ref(), &self.dir))?;
        let files = units::count(extracted.files, "file");
        ui.step("extract", format!("{files}, {} from {}", units::bytes(extracted.bytes), found.pinned()), time);
        ui.data(self.dir.display())?;
        Ok(())
    }
}
