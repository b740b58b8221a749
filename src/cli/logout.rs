//! `modelcar logout`.

use serde_json::json;

use super::CliError;
use super::options::Format;
use crate::report::Ui;
use crate::store::registry::login::{self, Scope};

/// The verb's options.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 logged out, 1 there was no log-in or it could not be taken away, 2 usage.")]
pub(super) struct Args {
    /// The registry, or the part of one that the log-in is for: quay.io, quay.io/ORG
    #[arg(value_name = "REGISTRY", required_unless_present = "all", conflicts_with = "all")]
    scope: Option<Scope>,
    /// Forget all log-ins of the file
    #[arg(short, long)]
    all: bool,
    /// The file with the log-in [default: the one that `modelcar login` writes]
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE", hide_env_values = true)]
    authfile: Option<std::path::PathBuf>,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        match &self.scope {
            Some(scope) => self.forget(ui, scope),
            None => self.forget_all(ui),
        }
    }

    fn forget(&self, ui: &Ui, scope: &Scope) -> Result<(), CliError> {
        let (kept, was_there) = login::forget(scope, self.authfile.as_deref())?;
        let other = login::known(scope, self.authfile.as_deref()).ok().flatten();
        if !was_there {
            return Err(CliError::NotLoggedIn { scope: scope.to_string(), elsewhere: other.map(|other| other.origin) });
        }
        match self.format {
            Format::Text => ui.say(format!("logged out of {scope}: it is gone from {kept}")),
            Format::Json => ui.data(serde_json::to_string_pretty(&json!({"registry": scope.to_string(), "kept_in": kept.to_string()}))?)?,
        }
        if let Some(other) = other {
            ui.note(format!("{} is still logged in for {scope}, by {}", other.user, other.origin));
        }
        Ok(())
    }

    fn forget_all(&self, ui: &Ui) -> Result<(), CliError> {
        let (kept, keys) = login::forget_all(self.authfile.as_deref())?;
        match self.format {
            Format::Text if keys.is_empty() => ui.say(format!("there is no log-in in {kept}")),
            Format::Text => ui.say(format!("logged out of {}: gone from {kept}", keys.join(", "))),
            Format::Json => ui.data(serde_json::to_string_pretty(&json!({"registries": keys, "kept_in": kept.to_string()}))?)?,
        }
        Ok(())
    }
}
