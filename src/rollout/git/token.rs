//! The access token of a forge: read from a file or the environment, never shown.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::GitError;

/// Longer is no token.
const MAX_TOKEN: u64 = 16 << 10;
/// The files of a mounted secret: one of our own kind, and `kubernetes.io/basic-auth`
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#basic-authentication-secret>).
const TOKEN: &str = "token";
const PASSWORD: &str = "password";
const USERNAME: &str = "username";
const HINT: &str = "it is one line, as the forge showed it";

/// A token; prints as `***` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// A token by its text. `place` is where it comes from, for errors: "MODELCAR_GIT_TOKEN".
    ///
    /// # Errors
    /// It is empty, or holds what no token does.
    pub fn new(text: &str, place: &str) -> Result<Self, GitError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(GitError::unusable(format!("the token of {place}"), "it is empty", HINT));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(GitError::unusable(format!("the token of {place}"), "it holds what no token does", HINT));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// A token by a file that holds it; line ends around it do not count.
    ///
    /// # Errors
    /// The file cannot be read, or what it holds is no token.
    pub fn from_file(file: &Path) -> Result<Self, GitError> {
        Self::new(&read(file)?, &file.display().to_string())
    }

    /// A token by a file, or by a folder that is a mounted secret: `token`, or `password` with the `username` that goes with it.
    ///
    /// # Errors
    /// As for [`Token::from_file`]; the folder has none of the files.
    pub fn from_place(place: &Path) -> Result<(Self, Option<String>), GitError> {
        if !place.is_dir() {
            return Ok((Self::from_file(place)?, None));
        }
        let there = |name: &str| Some(place.join(name)).filter(|file| file.symlink_metadata().is_ok());
        match (there(TOKEN), there(PASSWORD)) {
            (Some(token), _) => Ok((Self::from_file(&token)?, None)),
            (None, Some(password)) => Ok((Self::from_file(&password)?, there(USERNAME).map(|file| username(&file)).transpose()?)),
            (None, None) => {
                let what = format!("the folder {}", place.display());
                Err(GitError::unusable(what, "it has neither `token` nor `password`", "mount a secret of type kubernetes.io/basic-auth"))
            }
        }
    }

    /// The token itself, for the one answer or header that it is meant for.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

fn username(file: &Path) -> Result<String, GitError> {
    let text = read(file)?;
    let name = text.trim();
    let is_name = !name.is_empty() && !name.contains(char::is_control);
    let unusable = || GitError::unusable(format!("the user name of {}", file.display()), "it is no name", "it is one line");
    if is_name { Ok(name.to_owned()) } else { Err(unusable()) }
}

fn read(file: &Path) -> Result<Zeroizing<String>, GitError> {
    // The buffer never grows: a string that moves leaves a copy behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_TOKEN).unwrap_or_default()));
    let opened = fs_err::File::open(file).map_err(GitError::io("read", file))?;
    opened.take(MAX_TOKEN).read_to_string(&mut text).map_err(GitError::io("read", file))?;
    Ok(text)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kubelet mounts it: each file a link into the folder of this version.
    #[test]
    fn a_folder_that_is_a_mounted_secret_has_a_token_or_a_password_with_a_name() {
        let secret = |files: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            fs_err::create_dir(dir.path().join("..1")).unwrap();
            std::os::unix::fs::symlink("..1", dir.path().join("..data")).unwrap();
            for (name, text) in files {
                fs_err::write(dir.path().join("..1").join(name), text).unwrap();
                std::os::unix::fs::symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
            }
            let found = Token::from_place(dir.path());
            found.map(|(token, name)| (token.expose().to_owned(), name)).map_err(|error| error.to_string())
        };
        let found = |token: &str, name: Option<&str>| Ok((token.to_owned(), name.map(str::to_owned)));
        assert_eq!(secret(&[("token", "s3cret\n")]), found("s3cret", None));
        assert_eq!(secret(&[("username", "robot\n"), ("password", "s3cret")]), found("s3cret", Some("robot")));
        assert_eq!(secret(&[("password", "s3cret")]), found("s3cret", None));
        assert_eq!(secret(&[("token", "a"), ("username", "robot"), ("password", "b")]), found("a", None));
        assert!(secret(&[("username", "robot")]).unwrap_err().contains("neither `token` nor `password`"));
        let error = secret(&[("username", "a\nb"), ("password", "s3cret")]).unwrap_err();
        assert!(error.contains("username") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_token_is_one_word_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs_err::write(&file, "\ns3cret\r\n").unwrap();
        let token = Token::from_file(&file).unwrap();
        assert_eq!((token.expose(), format!("{token:?}").as_str()), ("s3cret", "***"));
        for text in ["", "\n", "s3cret two", "s3cr\u{e9}t"] {
            let error = format!("{:?}", Token::new(text, "X").unwrap_err());
            assert!(!error.contains("s3cr"), "{error}");
        }
    }
}
