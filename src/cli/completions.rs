//! `modelcar completions`.

use super::CliError;
use crate::report::Ui;

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "modelcar", &mut script);
        ui.data(String::from_utf8_lossy(&script).trim_end())?;
        Ok(())
    }
}
