//! Where the password of a private key comes from.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KeyError, read_file};

/// The variable that cosign and Tekton Chains read. Set but empty, it is the empty password.
const VARIABLE: &str = "COSIGN_PASSWORD";

/// A place that gives a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// A file, such as a mounted secret's `cosign.password`. One newline at its end does not count.
    File(PathBuf),
    /// `COSIGN_PASSWORD`.
    Environment,
    /// A person.
    Terminal,
}

impl PasswordSource {
    /// The named file, else `COSIGN_PASSWORD`, else the file beside the key, else a prompt.
    ///
    /// # Errors
    /// [`KeyError::NoPassword`] without a file, variable and terminal: a job that nobody watches must fail, not hang
    /// (<https://github.com/sigstore/cosign/issues/156>).
    pub fn choose(named: Option<PathBuf>, beside: Option<PathBuf>) -> Result<Self, KeyError> {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        choose_from(named, std::env::var_os(VARIABLE).is_some(), beside, terminal)
    }

    /// The password of a key that exists.
    pub fn read(&self) -> Result<Zeroizing<String>, KeyError> {
        match self {
            Self::File(path) => from_file(path),
            Self::Environment => from_variable(std::env::var_os(VARIABLE)),
            Self::Terminal => prompt("Password of the private key: "),
        }
    }

    /// The password for a new key; a person has to type it twice.
    pub fn read_new(&self) -> Result<Zeroizing<String>, KeyError> {
        let Self::Terminal = self else { return self.read() };
        let password = prompt("Password for the new private key: ")?;
        if prompt("The same again: ")? == password { Ok(password) } else { Err(KeyError::PasswordsDiffer) }
    }
}

pub(super) fn choose_from(
    named: Option<PathBuf>,
    variable: bool,
    beside: Option<PathBuf>,
    terminal: bool,
) -> Result<PasswordSource, KeyError> {
    let environment = variable.then_some(PasswordSource::Environment);
    let person = terminal.then_some(PasswordSource::Terminal);
    let files = (named.map(PasswordSource::File), beside.map(PasswordSource::File));
    files.0.or(environment).or(files.1).or(person).ok_or(KeyError::NoPassword)
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let bytes = read_file(path).map_err(|error| match error {
        KeyError::Read { path, source } => KeyError::ReadPassword { path, source },
        error => error,
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::PasswordNotText { place: path.display().to_string() })?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(line.to_owned()))
}

fn from_variable(value: Option<OsString>) -> Result<Zeroizing<String>, KeyError> {
    let text = value.ok_or(KeyError::NoPassword)?.into_string();
    text.map(Zeroizing::new).map_err(|_| KeyError::PasswordNotText { place: VARIABLE.to_owned() })
}

fn prompt(question: &str) -> Result<Zeroizing<String>, KeyError> {
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|source| KeyError::Prompt { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_file_goes_first_then_the_variable_then_the_file_beside_the_key_then_a_prompt() {
        let (named, beside) = (|| Some(PathBuf::from("named")), || Some(PathBuf::from("beside")));
        let file = |path: &str| PasswordSource::File(path.into());
        let cases = [
            (named(), true, beside(), true, file("named")),
            (named(), false, None, false, file("named")),
            (None, true, beside(), true, PasswordSource::Environment),
            (None, true, None, false, PasswordSource::Environment),
            (None, false, beside(), true, file("beside")),
            (None, false, None, true, PasswordSource::Terminal),
        ];
        for (named, variable, beside, terminal, expected) in cases {
            assert_eq!(choose_from(named, variable, beside, terminal).unwrap(), expected);
        }
    }

    #[test]
    fn never_waits_for_a_person_without_a_terminal() {
        let error = choose_from(None, false, None, false).unwrap_err();
        assert!(matches!(error, KeyError::NoPassword));
        assert!(error.hint().unwrap().contains("COSIGN_PASSWORD"));
    }

    #[test]
    fn a_password_file_that_is_not_there_is_not_taken_for_a_key() {
        let error = PasswordSource::File("/nonexistent/pw".into()).read().unwrap_err();
        assert_eq!(error.to_string(), "cannot read the password file /nonexistent/pw");
        assert!(!error.hint().unwrap().contains("keygen"));
    }

    #[test]
    fn a_variable_set_to_nothing_is_the_empty_password() {
        assert_eq!(*from_variable(Some(OsString::new())).unwrap(), "");
        assert!(matches!(from_variable(None), Err(KeyError::NoPassword)));
    }

    #[test]
    fn one_newline_at_the_end_of_a_file_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cosign.password");
        for (content, password) in
            [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" p w ", " p w "), ("\n", ""), ("", "")]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(*PasswordSource::File(path.clone()).read().unwrap(), password, "{content:?}");
        }
    }

    #[test]
    fn a_password_that_is_not_text_is_refused_without_showing_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        std::fs::write(&path, b"canary\xff").unwrap();
        let error = PasswordSource::File(path).read().unwrap_err();
        assert!(matches!(error, KeyError::PasswordNotText { .. }));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
