//! `modelcar login`.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::CliError;
use super::options::{Format, RegistryArgs};
use crate::report::{Ui, login as report};
use crate::store::registry::login::{self, Kept, Known, Scope, User, Welcome};

/// More than any password; what is longer is some other file.
const MAX_SECRET: u64 = 64 << 10;

/// The verb's options.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "\
Exit codes: 0 logged in, 1 the registry refused it or it could not be kept, 2 usage.

A password is never an argument, because everybody on the machine can read those. A credential helper that docker or podman use for the registry keeps the \
log-in; else it goes into the file of --authfile or REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json, or containers/auth.json in $XDG_RUNTIME_DIR.")]
pub(super) struct Args {
    /// The registry, or a part of one: quay.io, quay.io/ORG
    #[arg(value_name = "REGISTRY", required_unless_present = "list")]
    scope: Option<Scope>,
    /// Whose log-in it is; asked for on a terminal. `<token>` for an identity token
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "token_file")]
    password_stdin: bool,
    /// Read the password or token from a file, such as a mounted secret
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Keep the log-in without asking the registry whether it takes it
    #[arg(long)]
    no_check: bool,
    /// Print the user who is logged in, and change nothing; exit code 1 if nobody is
    #[arg(long, conflicts_with_all = ["username", "password_stdin", "token_file", "no_check", "list"])]
    get_login: bool,
    /// Print all log-ins that are in files, and change nothing
    #[arg(long, conflicts_with_all = ["scope", "username", "password_stdin", "token_file", "no_check"])]
    list: bool,
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// What other tools call the password; only to say what to write instead
    #[arg(short, long, value_name = "PASSWORD", hide = true, num_args = 0..=1, default_missing_value = "")]
    password: Option<OsString>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What is printed as JSON; never a secret.
#[derive(Serialize)]
struct View<'a> {
    registry: &'a str,
    user: &'a str,
    /// The file or helper.
    kept_in: &'a str,
    /// Whether the registry has taken it; `null` where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<bool>,
}

impl Args {
    pub(super) fn run(&self, ui: &Ui) -> Result<(), CliError> {
        if self.password.is_some() {
            return Err(CliError::usage(
                "a password is no argument: everybody on the machine can read those",
                "pipe it in with `--password-stdin`, or name its file with `--token-file FILE`; if you have just written it, change it",
            ));
        }
        match &self.scope {
            None => self.list(ui),
            Some(scope) if self.get_login => self.tell(ui, scope),
            Some(scope) => self.log_in(ui, scope),
        }
    }

    fn log_in(&self, ui: &Ui, scope: &Scope) -> Result<(), CliError> {
        let user = self.user(scope)?;
        let welcome = if self.no_check { None } else { Some(login::check(scope, &user, &self.registry.options())?) };
        let kept = login::keep(scope, &user, self.registry.authfile())?;
        let name = user.name();
        match self.format {
            Format::Text => ui.say(format!("logged in to {scope} as {name}; kept in {kept}")),
            Format::Json => print(ui, scope, &Known { user: name.to_owned(), origin: kept.to_string() }, welcome)?,
        }
        if welcome == Some(Welcome::Open) {
            ui.note(format!("{scope} asks nobody who they are, so this log-in is untried"));
        }
        self.note_what_goes_first(ui, scope, &kept);
        Ok(())
    }

    /// Another file may have a log-in for the same registry, and be asked before this one.
    fn note_what_goes_first(&self, ui: &Ui, scope: &Scope, kept: &Kept) {
        let kept = kept.to_string();
        let other = login::known(scope, self.registry.authfile()).ok().flatten().filter(|known| known.origin != kept);
        if let Some(Known { user, origin }) = other {
            ui.note(format!(
                "the log-in of {user} in {origin} is looked at first; `modelcar logout {scope} --authfile {origin}` takes it away"
            ));
        }
    }

    fn tell(&self, ui: &Ui, scope: &Scope) -> Result<(), CliError> {
        let known = login::known(scope, self.registry.authfile())?;
        let known = known.ok_or_else(|| CliError::NotLoggedIn { scope: scope.to_string(), elsewhere: None })?;
        match self.format {
            Format::Text => ui.data(&known.user)?,
            Format::Json => print(ui, scope, &known, None)?,
        }
        Ok(())
    }

    fn list(&self, ui: &Ui) -> Result<(), CliError> {
        let all = login::all(self.registry.authfile())?;
        match self.format {
            Format::Text if all.is_empty() => ui.say("no file has a log-in"),
            Format::Text => ui.data(report::log_ins(&all).trim_end())?,
            Format::Json => {
                let view =
                    |(key, known): &'_ (String, Known)| serde_json::json!({"registry": key, "user": known.user, "kept_in": known.origin});
                ui.data(serde_json::to_string_pretty(&all.iter().map(view).collect::<Vec<_>>())?)?;
            }
        }
        Ok(())
    }

    fn user(&self, scope: &Scope) -> Result<User, CliError> {
        let wrong =
            |reason: &str| CliError::usage(reason, "nothing has been sent or written; look at what was given as the user and the password");
        let person = io::stdin().is_terminal() && io::stderr().is_terminal();
        let is_given = self.password_stdin || self.token_file.is_some();
        if !person && (self.username.is_none() || !is_given) {
            return Err(CliError::usage(
                "there is no terminal to ask for the user and the password",
                "give them with `--username USER --password-stdin`, or with `--username USER --token-file FILE`",
            ));
        }
        let name = self.username.clone().map_or_else(|| ask_for_user(scope), Ok)?;
        let secret = match &self.token_file {
            Some(file) => from_file(file)?,
            None if self.password_stdin => line(io::stdin().lock(), "standard input")?,
            None => rpassword::prompt_password("Password: ").map(Zeroizing::new)?,
        };
        User::new(&name, &secret).map_err(wrong)
    }
}

fn ask_for_user(scope: &Scope) -> Result<String, CliError> {
    let mut stderr = io::stderr();
    write!(stderr, "User at {scope}: ")?;
    stderr.flush()?;
    let mut name = String::new();
    io::stdin().read_line(&mut name)?;
    Ok(name.trim().to_owned())
}

fn from_file(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let opened = std::fs::File::open(file).map_err(|source| CliError::Reading { path: file.display().to_string(), source })?;
    line(opened, &file.display().to_string())
}

/// A secret in one line; the line break at its end does not count.
fn line(from: impl io::Read, place: &str) -> Result<Zeroizing<String>, CliError> {
    let wrong = |reason: &str| CliError::usage(format!("{place} {reason}"), "give it the password or token in one line, and nothing else");
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(MAX_SECRET + 1).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("holds something else than text"))?;
    let secret = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if secret.is_empty() { Err(wrong("holds no password")) } else { Ok(Zeroizing::new(secret.to_owned())) }
}

fn print(ui: &Ui, scope: &Scope, known: &Known, welcome: Option<Welcome>) -> Result<(), CliError> {
    let checked = welcome.map(|welcome| welcome == Welcome::Accepted);
    let view = View { registry: &scope.to_string(), user: &known.user, kept_in: &known.origin, checked };
    ui.data(serde_json::to_string_pretty(&view)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit_code;

    #[test]
    fn a_secret_is_one_line() {
        for (text, expected) in
            [("pw", Some("pw")), ("pw\n", Some("pw")), ("pw\r\n", Some("pw")), (" p w ", Some(" p w ")), ("\n", None), ("", None)]
        {
            assert_eq!(line(text.as_bytes(), "x").ok().as_ref().map(|secret| secret.as_str()), expected, "{text:?}");
        }
        let error = line(&b"\xffCANARY"[..], "the file").unwrap_err();
        assert!(error.to_string() == "the file holds something else than text" && error.exit_code() == exit_code::USAGE, "{error}");
    }
}
