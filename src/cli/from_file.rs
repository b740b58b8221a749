//! `@FILE` in place of a reference: a later step of a Tekton task takes what an earlier one wrote.

use std::io::Read as _;
use std::path::Path;

use super::CliError;
use crate::oci::Location;

/// Longer is no reference, in bytes.
const MAX: u64 = 4096;

/// The reference itself: what the file says where the word is `@FILE`, without the blanks and line ends around it.
///
/// # Errors
/// The file cannot be read, or holds something other than one reference.
pub(super) fn expand(word: &str) -> Result<String, CliError> {
    match word.strip_prefix('@') {
        Some(file) => read(Path::new(file)).map_err(|why| unreadable(file, &why)),
        None => Ok(word.to_owned()),
    }
}

/// The same for clap.
pub(super) fn word(word: &str) -> Result<String, String> {
    expand(word).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}\n\nhint: {hint}"),
        None => error.to_string(),
    })
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let said = text.trim();
    match said {
        _ if text.len() as u64 > MAX => Err(format!("it has more than {MAX} bytes")),
        "" => Err("it is empty".to_owned()),
        said if said.contains(|character: char| character.is_whitespace() || character.is_control()) => {
            Err("it holds more than one word".to_owned())
        }
        said if said.starts_with('@') => Err("it names another file".to_owned()),
        // Whatever else it is must not reach an error's words: whoever chooses a task's parameters may name a secret.
        said if said.parse::<Location>().is_err() => Err("it holds something else than REGISTRY/REPOSITORY:TAG or @DIGEST".to_owned()),
        said => Ok(said.to_owned()),
    }
}

fn unreadable(file: &str, why: &str) -> CliError {
    CliError::usage(
        format!("cannot read a reference from the file `{file}`: {why}"),
        "the file holds one reference, such as the result IMAGE_REF that `modelcar build --tekton-results DIR` writes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_from_the_file_behind_the_sign() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("IMAGE_REF");
        let word = format!("@{}", file.display());
        for text in ["quay.io/o/m:v1", "quay.io/o/m:v1\n", " quay.io/o/m:v1\r\n"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(expand(&word).unwrap(), "quay.io/o/m:v1");
        }
        assert_eq!(expand("quay.io/o/m@x").unwrap(), "quay.io/o/m@x");
    }

    #[test]
    fn a_file_that_holds_no_reference_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("IMAGE_REF");
        let word = format!("@{}", file.display());
        let error = |word: &str| expand(word).unwrap_err().to_string();
        assert!(error(&word).contains("IMAGE_REF`: No such file"), "{}", error(&word));
        for (text, why) in [
            ("", "empty"),
            (" \n", "empty"),
            ("a\nb", "more than one word"),
            ("a\u{1b}b", "more than one word"),
            ("@/etc/passwd", "another file"),
            ("passwd", "something else"),
            ("eyJhbGciOiJSUzI1NiJ9.passwd.x-y_z", "something else"),
            (&"x".repeat(5000), "more than 4096 bytes"),
        ] {
            std::fs::write(&file, text).unwrap();
            let said = error(&word);
            assert!(said.contains(why) && said.contains("IMAGE_REF") && !said.contains("passwd"), "{said}");
        }
        std::fs::write(&file, b"\xff").unwrap();
        assert!(error(&word).contains("UTF-8"), "{}", error(&word));
        assert!(error("@").contains("No such file"));
    }
}
