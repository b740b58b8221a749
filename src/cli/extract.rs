//! `modelcar extract`.

use std::path::{Path, PathBuf};

use super::CliError;
use super::options::{self, RegistryArgs};
use super::parallel::ParallelArgs;
use super::resolve::Found;
use crate::image::extract;
use crate::oci::{Location, Platform};
use crate::report::{Ui, timed, units};
use crate::store::Access;
use crate::trust::model_signing::SignatureFile;

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
    /// Write the image's model signature (OpenSSF Model Signing) into this file, which must lie outside DIR
    #[arg(long, value_name = "FILE")]
    model_signature: Option<PathBuf>,
    #[command(flatten)]
    parallel: ParallelArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let found = Found::at(&self.source, &self.registry, Access::Read)?;
        let signature = self.model_signature.as_deref().map(|file| self.signature(&found, file)).transpose()?;
        let (store, parallel) = (found.store.as_ref(), self.parallel.transfer().parallel);
        let (extracted, time) = timed(|| extract::extract(store, &found.manifest, self.platform.as_ref(), &self.dir, parallel))?;
        let files = units::count(extracted.files, "file");
        signature.iter().try_for_each(SignatureFile::write)?;
        ui.step("extract", format!("{files}, {} from {}", units::bytes(extracted.bytes), found.pinned()), time);
        ui.data(self.dir.display())?;
        Ok(())
    }
    /// Looked for before anything is extracted.
    fn signature(&self, found: &Found, file: &Path) -> Result<SignatureFile, CliError> {
        Ok(SignatureFile::of_image(found.store.as_ref(), &found.manifest, &self.dir, file)?)
    }
}
