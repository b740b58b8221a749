//! Tokens and keys from files and variables: bounded, wiped, never printed.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::FetchError;
use crate::store::registry::Bearer;

/// More is no token and no key, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// The text of a file without the blanks around it; `None` where there is no such file.
pub(super) fn of_file(path: &Path) -> Result<Option<Zeroizing<String>>, FetchError> {
    let refused = |reason: String| FetchError::Credentials { origin: path.display().to_string(), reason };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error.kind().to_string())),
    };
    // The buffer never grows: a vector that moves leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_SECRET + 1).unwrap_or_default()));
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(|error| refused(error.kind().to_string()))?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(refused("it is longer than 64 KiB".to_owned()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("it is not text".to_owned()))?;
    Ok(Some(Zeroizing::new(text.trim().to_owned())))
}

/// The text of a variable, unless it is empty.
pub(super) fn of_variable(name: &str) -> Result<Option<Zeroizing<String>>, FetchError> {
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let refused = |_| FetchError::Credentials { origin: name.to_owned(), reason: "it is not text".to_owned() };
    value.into_string().map(|text| Some(Zeroizing::new(text.trim().to_owned()))).map_err(refused)
}

/// The token in a file or in a mounted secret's folder, else in a variable.
pub(super) fn token(file: Option<&PathBuf>, variable: Option<&str>) -> Result<Option<Bearer>, FetchError> {
    let (text, origin) = match (file, variable) {
        (Some(path), _) => {
            let path = if path.is_dir() { path.join("token") } else { path.clone() };
            let origin = path.display().to_string();
            let missing = || FetchError::Credentials { origin: origin.clone(), reason: "there is no such file".to_owned() };
            (Some(of_file(&path)?.ok_or_else(missing)?), origin)
        }
        (None, Some(name)) => (of_variable(name)?, name.to_owned()),
        (None, None) => return Ok(None),
    };
    let refused = || FetchError::Credentials { origin, reason: "it is empty, or holds characters that no token has".to_owned() };
    text.map(|text| Bearer::new(&text).ok_or_else(refused)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_file_or_a_file_of_a_mounted_secret() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_abc\n").unwrap();
        for path in [home.path().to_owned(), home.path().join("token")] {
            assert!(token(Some(&path), None).unwrap().is_some());
        }
        assert!(token(None, None).unwrap().is_none());
    }

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("token");
        for content in [&b""[..], b"CANARY CANARY", b"CANARY\xff", "C".repeat(70_000).as_bytes()] {
            std::fs::write(&path, content).unwrap();
            let error = token(Some(&path), None).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
        assert!(token(Some(&home.path().join("other")), None).is_err());
    }
}
