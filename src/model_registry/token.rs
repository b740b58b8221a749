//! Who asks: a token from a file, from a variable, or the service account's. Never from the command line, which everybody can read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::ModelRegistryError;
use crate::store::registry::Bearer;

/// The variable with a token.
const VARIABLE: &str = "MODELCAR_MODEL_REGISTRY_TOKEN";
/// Where Kubernetes puts the token of a pod's service account.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// What it is called in a mounted secret.
const IN_FOLDER: &str = "token";
/// Service-account tokens have about 1 kB.
const MAX_TOKEN: u64 = 64 << 10;

/// A token, and where it is from; wiped when it is dropped, and never printed.
#[derive(Debug)]
pub struct Token {
    bearer: Bearer,
    origin: String,
    given: bool,
}

impl Token {
    /// The token in the named file, else in `MODELCAR_MODEL_REGISTRY_TOKEN`, else the service account's of the pod that this runs in.
    pub fn choose(file: Option<&Path>) -> Result<Option<Self>, ModelRegistryError> {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let variable = variable.map(|value| value.into_string().map(Zeroizing::new).map_err(|_| not_text(VARIABLE)));
        choose_from(file, variable.transpose()?, Path::new(MOUNTED))
    }

    /// The token in a file, or in the file `token` of a folder that is a mounted secret.
    fn of_place(place: &Path) -> Result<Self, ModelRegistryError> {
        if place.is_dir() { Self::of_file(&place.join(IN_FOLDER)) } else { Self::of_file(place) }
    }

    fn of_file(path: &Path) -> Result<Self, ModelRegistryError> {
        let origin = path.display().to_string();
        let text = read(path).map_err(|source| ModelRegistryError::TokenFile { origin: origin.clone(), source })?;
        let text = std::str::from_utf8(&text).map_err(|_| not_text(&origin))?;
        Self::parse(text, &origin)
    }

    fn parse(text: &str, origin: &str) -> Result<Self, ModelRegistryError> {
        let refused = |reason| ModelRegistryError::Token { origin: origin.to_owned(), reason };
        if text.len() as u64 > MAX_TOKEN {
            return Err(refused("it is longer than 64 KiB"));
        }
        if text.trim().is_empty() {
            return Err(refused("it is empty"));
        }
        let bearer = Bearer::new(text.trim()).ok_or_else(|| refused("it holds blanks or characters that no token has"))?;
        Ok(Self { bearer, origin: origin.to_owned(), given: true })
    }

    pub(super) fn bearer(&self) -> &Bearer {
        &self.bearer
    }

    /// The file or variable.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether the user named it; otherwise it was found.
    pub fn is_given(&self) -> bool {
        self.given
    }
}

pub(super) fn choose_from(
    file: Option<&Path>,
    variable: Option<Zeroizing<String>>,
    mounted: &Path,
) -> Result<Option<Token>, ModelRegistryError> {
    match (file, variable) {
        (Some(place), _) => Token::of_place(place).map(Some),
        (None, Some(text)) => Token::parse(&text, VARIABLE).map(Some),
        (None, None) if mounted.is_file() => Ok(Some(Token { given: false, ..Token::of_file(mounted)? })),
        (None, None) => Ok(None),
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // The buffer never grows: a vector that moves leaves a copy behind.
    let most = MAX_TOKEN + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default()));
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_text(origin: &str) -> ModelRegistryError {
    ModelRegistryError::Token { origin: origin.to_owned(), reason: "it is not text" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(home: &tempfile::TempDir, name: &str, content: &[u8]) -> std::path::PathBuf {
        let path = home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn the_named_file_comes_first_then_the_variable_then_the_pods_own() {
        let home = tempfile::tempdir().unwrap();
        let (named, mounted) = (file(&home, "named", b"aaa\n"), file(&home, "mounted", b"bbb"));
        let variable = || Some(Zeroizing::new("ccc".to_owned()));
        let origin = |file, variable, mounted: &Path| {
            choose_from(file, variable, mounted).unwrap().map(|token: Token| (token.origin().to_owned(), token.is_given()))
        };
        let shown = |path: &Path| path.display().to_string();
        assert_eq!(origin(Some(&named), variable(), &mounted), Some((shown(&named), true)));
        assert_eq!(origin(None, variable(), &mounted), Some((VARIABLE.to_owned(), true)));
        assert_eq!(origin(None, None, &mounted), Some((shown(&mounted), false)));
        assert_eq!(origin(None, None, &home.path().join("nothing")), None);
    }

    #[test]
    fn a_folder_that_is_a_mounted_secret_has_the_token() {
        let home = tempfile::tempdir().unwrap();
        let missing = choose_from(Some(home.path()), None, Path::new("/nothing")).unwrap_err().to_string();
        let path = file(&home, "token", b"aaa\n");
        assert!(missing.contains(&path.display().to_string()), "{missing}");
        let token = choose_from(Some(home.path()), None, Path::new("/nothing")).unwrap().unwrap();
        assert_eq!((token.origin(), token.is_given()), (path.to_str().unwrap(), true));
    }

    #[test]
    fn what_is_no_token_is_refused_without_repeating_it() {
        let home = tempfile::tempdir().unwrap();
        let long = vec![b'x'; 70_000];
        for (content, reason) in [
            (&b" \n"[..], "is empty"),
            (b"s3cret and more", "blanks"),
            (b"s3cret\nsecond", "blanks"),
            (b"\xff\xfe", "not text"),
            (&long, "longer than"),
        ] {
            let error = choose_from(Some(&file(&home, "t", content)), None, Path::new("/nothing")).unwrap_err();
            assert!(error.to_string().contains(reason) && !error.to_string().contains("s3cret"), "{error}");
            assert!(error.hint().is_some());
        }
        let missing = choose_from(Some(&home.path().join("gone")), None, Path::new("/nothing")).unwrap_err();
        assert!(missing.to_string().contains("gone"), "{missing}");
    }
}
