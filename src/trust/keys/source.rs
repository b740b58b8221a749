//! What a user may name as a key.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::private::Password;
use super::{InvalidKey, KeyError, MAX_FILE, PasswordSource, PrivateKey, PublicKey};

/// The files of a key in a folder, as Tekton Chains mounts its secret `signing-secrets` and as cosign writes them.
const PRIVATE: &str = "cosign.key";
const PUBLIC: &str = "cosign.pub";
const PASSWORD: &str = "cosign.password";

/// How cosign names a variable.
const VARIABLE: &str = "env://";
/// How cosign names a secret of a cluster.
const CLUSTER: &str = "k8s://";
/// Keys that cosign can reach and modelcar cannot, and who keeps them.
const ELSEWHERE: [(&str, &str); 8] = [
    ("awskms://", "AWS KMS"),
    ("azurekms://", "Azure Key Vault"),
    ("gcpkms://", "Google Cloud KMS"),
    ("hashivault://", "HashiCorp Vault"),
    ("openbao://", "OpenBao"),
    ("pkcs11:", "a PKCS#11 token"),
    ("github://", "GitHub"),
    ("gitlab://", "GitLab"),
];

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A PEM file; or a folder with `cosign.key`, `cosign.password` and `cosign.pub`, as a mounted secret has them.
    Path(PathBuf),
    /// An environment variable with PEM text.
    Variable(String),
}

/// Why a word names no key. The word itself is no part of it: it may be a key, or hold a token's PIN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeySource {
    /// Somewhere that modelcar does not reach.
    #[error("`{scheme}` names a key in {keeper}, and modelcar signs and verifies with keys in files and variables only")]
    Elsewhere {
        /// How the word begins.
        scheme: &'static str,
        /// Who keeps such keys.
        keeper: &'static str,
    },
    /// A secret, by its name in a cluster.
    #[error("`k8s://` names a secret in a cluster, and modelcar does not ask clusters for keys")]
    Cluster,
    /// Another scheme.
    #[error("a key is a file, a folder or `env://VARIABLE`; this is something else with `://`")]
    Scheme,
    /// The key instead of its place.
    #[error("this is a key, not the name of one; everybody on a machine can read its command lines")]
    KeyItself,
    /// Not the name of a variable.
    #[error("what stands behind `env://` is not the name of a variable")]
    VariableName,
    /// Nothing.
    #[error("no key is named")]
    Empty,
}

impl InvalidKeySource {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Elsewhere { .. } => "a key pair in files works for every consumer: `modelcar keygen`",
            Self::Cluster => "mount the secret into the pod and name the folder: --key /etc/signing-secrets",
            Self::Scheme | Self::Empty => "write --key cosign.key, --key env://COSIGN_PRIVATE_KEY or --key /etc/signing-secrets",
            Self::KeyItself => "put it into a variable and name that: --key env://COSIGN_PRIVATE_KEY; and take it for known to others",
            Self::VariableName => "write the name without `$`: --key env://COSIGN_PRIVATE_KEY",
        }
    }
}

impl TryFrom<&OsStr> for KeySource {
    type Error = InvalidKeySource;

    fn try_from(word: &OsStr) -> Result<Self, InvalidKeySource> {
        let Some(text) = word.to_str() else { return Ok(Self::Path(word.into())) };
        if text.contains("-----BEGIN") {
            return Err(InvalidKeySource::KeyItself);
        }
        if let Some(name) = text.strip_prefix(VARIABLE) {
            return if is_variable(name) { Ok(Self::Variable(name.to_owned())) } else { Err(InvalidKeySource::VariableName) };
        }
        if let Some((scheme, keeper)) = ELSEWHERE.into_iter().find(|(scheme, _)| text.starts_with(scheme)) {
            return Err(InvalidKeySource::Elsewhere { scheme, keeper });
        }
        match text {
            // the next option, where this one was left without a word
            text if text.is_empty() || text.starts_with('-') => Err(InvalidKeySource::Empty),
            text if text.starts_with(CLUSTER) => Err(InvalidKeySource::Cluster),
            text if text.contains("://") => Err(InvalidKeySource::Scheme),
            _ => Ok(Self::Path(word.into())),
        }
    }
}

/// What a shell calls a name.
fn is_variable(name: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
    name.chars().all(is_word) && name.starts_with(|first: char| !first.is_ascii_digit())
}

impl KeySource {
    /// Reads the key that signs. An encrypted one is opened with the password in `password_file`, else in `COSIGN_PASSWORD`, else
    /// in the folder's `cosign.password`, else a person types it.
    ///
    /// # Errors
    /// [`KeyError::NotAPair`] where the folder's `cosign.pub` belongs to another key.
    pub fn private_key(&self, password_file: Option<&Path>) -> Result<PrivateKey, KeyError> {
        let password: Password<'_> =
            &|| PasswordSource::choose(password_file.map(Path::to_owned), self.folder().and_then(password_in))?.read();
        match (self, self.folder()) {
            (Self::Variable(name), _) => PrivateKey::from_pem(&read_variable(name)?, self, password),
            (Self::Path(_), Some(folder)) => private_key_in(folder, password),
            (Self::Path(file), None) => PrivateKey::load(file, password),
        }
    }

    /// Reads the key that verifies.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        match (self, self.folder()) {
            (Self::Variable(name), _) => PublicKey::from_pem(&read_variable(name)?).map_err(KeyError::unusable(self)),
            (Self::Path(_), Some(folder)) => PublicKey::load(&file_in(folder, PUBLIC)?),
            (Self::Path(file), None) => PublicKey::load(file),
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Path(path) if path.is_dir() => Some(path),
            Self::Path(_) | Self::Variable(_) => None,
        }
    }
}

/// The password's place in a folder.
fn password_in(folder: &Path) -> Option<PathBuf> {
    Some(folder.join(PASSWORD)).filter(|file| file.exists())
}

/// A dangling link is left to whoever opens it: a mounted secret that was swapped says so.
fn file_in(folder: &Path, name: &'static str) -> Result<PathBuf, KeyError> {
    let file = folder.join(name);
    let is_there = file.symlink_metadata().is_ok();
    if is_there { Ok(file) } else { Err(KeyError::NotInFolder { folder: folder.to_owned(), name }) }
}

/// A public key of somebody else beside it is a secret put together wrongly: nobody could verify what it signs.
fn private_key_in(folder: &Path, password: Password<'_>) -> Result<PrivateKey, KeyError> {
    let (private, public) = (file_in(folder, PRIVATE)?, folder.join(PUBLIC));
    let key = PrivateKey::load(&private, password)?;
    if public.exists() && PublicKey::load(&public)? != key.public() {
        return Err(KeyError::NotAPair { private, public });
    }
    Ok(key)
}

fn read_variable(name: &str) -> Result<Zeroizing<String>, KeyError> {
    let value = std::env::var_os(name).ok_or_else(|| KeyError::NoVariable { name: name.to_owned() })?;
    let text = value.into_string().map(Zeroizing::new).ok().filter(|text| text.len() <= MAX_FILE);
    text.ok_or_else(|| KeyError::unusable(&KeySource::Variable(name.to_owned()))(InvalidKey::NotPem))
}

impl From<&Path> for KeySource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&Self> for KeySource {
    fn from(source: &Self) -> Self {
        source.clone()
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "{VARIABLE}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::password::choose_from;
    use super::*;

    fn parse(word: &str) -> Result<KeySource, InvalidKeySource> {
        KeySource::try_from(OsStr::new(word))
    }

    fn testdata(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/keys").join(name)
    }

    /// A folder as Tekton Chains mounts it: links into a hidden folder that Kubernetes swaps.
    fn mounted(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("..data")).unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join("..data").join(name), content).unwrap();
            std::os::unix::fs::symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
        }
        folder
    }

    fn chains(password: &[u8], public: &str) -> tempfile::TempDir {
        let [key, public] = ["n65536.key", public].map(|name| std::fs::read(testdata(name)).unwrap());
        mounted(&[("cosign.key", &key), ("cosign.password", password), ("cosign.pub", &public)])
    }

    /// Opens a folder's key, without a look at this process's variables and terminal.
    fn open(folder: &Path, named: Option<&Path>) -> Result<PrivateKey, KeyError> {
        private_key_in(folder, &|| choose_from(named.map(Path::to_owned), false, password_in(folder), false)?.read())
    }

    #[test]
    fn a_word_names_a_path_or_a_variable() {
        for path in ["cosign.key", "/etc/signing-secrets", "./a:b", "env:X", "pkcs11", "C:key"] {
            assert_eq!(parse(path), Ok(KeySource::Path(path.into())));
        }
        for name in ["COSIGN_PRIVATE_KEY", "_x9"] {
            let source = parse(&format!("env://{name}")).unwrap();
            assert_eq!(source, KeySource::Variable(name.to_owned()));
            assert_eq!(source.to_string(), format!("env://{name}"));
        }
    }

    #[test]
    fn names_what_is_not_there() {
        for (word, keeper) in [
            ("awskms:///alias/models", "AWS KMS"),
            ("gcpkms://projects/p/locations/l", "Google Cloud KMS"),
            ("azurekms://vault/key", "Azure Key Vault"),
            ("hashivault://key", "HashiCorp Vault"),
            ("openbao://key", "OpenBao"),
            ("pkcs11:token=t;object=o?pin-value=canary", "a PKCS#11 token"),
            ("gitlab://group/project", "GitLab"),
        ] {
            let error = parse(word).unwrap_err();
            assert!(error.to_string().contains(keeper), "{word}: {error}");
            assert!(!error.to_string().contains("canary"));
        }
        let error = parse("k8s://tekton-chains/signing-secrets").unwrap_err();
        assert!(error.hint().contains("mount the secret"));
        assert_eq!(parse("https://example.com/cosign.pub"), Err(InvalidKeySource::Scheme));
        for nothing in ["", "--password-file", "-q"] {
            assert_eq!(parse(nothing), Err(InvalidKeySource::Empty));
        }
    }

    /// `--key env://$COSIGN_PRIVATE_KEY`, with the dollar sign, is an easy slip.
    #[test]
    fn a_key_given_instead_of_its_name_is_not_repeated() {
        let key = std::fs::read_to_string(testdata("p256.key")).unwrap();
        for word in [key.clone(), format!("env://{key}")] {
            let error = parse(&word).unwrap_err();
            assert_eq!(error, InvalidKeySource::KeyItself);
            assert!(!format!("{error} {error:?}").contains("BEGIN"));
        }
        for name in ["", "9X", "A B", "A-B", "correct horse"] {
            assert_eq!(parse(&format!("env://{name}")), Err(InvalidKeySource::VariableName), "{name}");
        }
    }

    #[test]
    fn a_mounted_secret_brings_its_password() {
        let public = PublicKey::load(&testdata("p256.pub")).unwrap();
        for password in ["test-password", "test-password\n"] {
            let folder = chains(password.as_bytes(), "p256.pub");
            let source = KeySource::from(folder.path());
            assert_eq!(source.public_key().unwrap(), public);
            assert_eq!(open(folder.path(), None).unwrap().public(), public);
        }
    }

    #[test]
    fn a_password_file_goes_before_the_folders() {
        let folder = chains(b"wrong", "p256.pub");
        let named = folder.path().join("named");
        std::fs::write(&named, "test-password").unwrap();
        assert!(open(folder.path(), Some(&named)).is_ok());
        let error = open(folder.path(), None).unwrap_err();
        assert!(matches!(error, KeyError::Unusable { source: InvalidKey::WrongPassword, .. }), "{error:?}");
    }

    #[test]
    fn both_halves_in_a_folder_must_belong_together() {
        let folder = chains(b"test-password", "cosign.pub");
        let error = open(folder.path(), None).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, KeyError::NotAPair { .. }) && text.contains("cosign.key") && text.contains("cosign.pub"), "{error:?}");
    }

    #[test]
    fn a_damaged_public_key_in_the_folder_is_not_passed_over() {
        let key = std::fs::read(testdata("p256.key")).unwrap();
        let folder = mounted(&[("cosign.key", &key), ("cosign.pub", b"?")]);
        let error = KeySource::from(folder.path()).private_key(None).unwrap_err();
        assert!(error.to_string().ends_with("cosign.pub"), "{error}");
    }

    #[test]
    fn the_private_key_alone_is_enough_to_sign_and_not_to_verify() {
        let key = std::fs::read(testdata("p256.key")).unwrap();
        let folder = mounted(&[("cosign.key", &key)]);
        let source = KeySource::from(folder.path());
        assert!(source.private_key(None).is_ok());
        let error = source.public_key().unwrap_err();
        assert_eq!(error.to_string(), format!("the folder {} has no cosign.pub", folder.path().display()));
        let empty = tempfile::tempdir().unwrap();
        let error = KeySource::from(empty.path()).private_key(None).unwrap_err();
        assert!(error.to_string().ends_with("has no cosign.key") && error.hint().unwrap().contains("cosign.key"), "{error}");
    }

    #[test]
    fn a_variable_named_with_too_few_slashes_is_told_with_both() {
        let hint = parse("env:X").unwrap().private_key(None).unwrap_err().hint().unwrap();
        assert!(hint.ends_with("--key env://X"), "{hint}");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let source = KeySource::Variable("MODELCAR_TEST_UNSET".to_owned());
        for error in [source.private_key(None).unwrap_err(), source.public_key().unwrap_err()] {
            assert!(matches!(error, KeyError::NoVariable { .. }) && error.to_string().contains("MODELCAR_TEST_UNSET"), "{error:?}");
        }
    }
}
