//! `modelcar man`.

use std::path::PathBuf;

use super::CliError;
use crate::report::Ui;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory for modelcar.1, modelcar-build.1 and the others
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let failed = |source| CliError::File { path: self.dir.display().to_string(), source };
        fs_err::create_dir_all(&self.dir).map_err(failed)?;
        clap_mangen::generate_to(super::command(), &self.dir).map_err(failed)?;
        ui.data(self.dir.display())?;
        Ok(())
    }
}
