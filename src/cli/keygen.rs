//! `modelcar keygen`.

use std::path::{Path, PathBuf};

use super::CliError;
use crate::report::Ui;
use crate::trust::{PasswordSource, keygen};

/// The verb's options.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The key pair's path without its ending: cosign gives cosign.key and cosign.pub
    #[arg(long, value_name = "PREFIX", default_value = "cosign")]
    output_key_prefix: PathBuf,
    /// A file that holds the password [default: COSIGN_PASSWORD, else a prompt]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        let password = PasswordSource::choose(self.password_file.clone(), None)?.read_new()?;
        let prefix = self.output_key_prefix.file_name().and_then(|name| name.to_str()).unwrap_or("cosign");
        let dir = self.output_key_prefix.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let pair = keygen(dir, prefix, &password)?;
        ui.say(format!("wrote the private key {} (encrypted) and the public key {}", pair.private.display(), pair.public.display()));
        ui.data(pair.public.display())?;
        Ok(())
    }
}
