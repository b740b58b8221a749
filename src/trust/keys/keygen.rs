//! Writing a new key pair.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::ecdsa::P256Key;
use super::{KeyError, PublicKey, SigningKey as _};

/// What [`keygen()`] wrote.
#[derive(Debug)]
pub struct KeyPair {
    /// The encrypted private key, readable by its owner alone.
    pub private: PathBuf,
    /// The public key.
    pub public: PathBuf,
    /// The public key itself.
    pub key: PublicKey,
}

/// Makes a key pair and writes `DIR/PREFIX.key` and `DIR/PREFIX.pub`, as `cosign generate-key-pair` does with prefix `cosign`.
///
/// # Errors
/// [`KeyError::NoFolder`] where there is no such folder, and [`KeyError::Exists`] where one of the files is there; a key is never overwritten. After an error neither file was written.
pub fn keygen(dir: &Path, prefix: &str, password: &str) -> Result<KeyPair, KeyError> {
    let (private, public) = (dir.join(format!("{prefix}.key")), dir.join(format!("{prefix}.pub")));
    if !dir.is_dir() {
        return Err(KeyError::NoFolder { path: dir.to_owned() });
    }
    for path in [&private, &public] {
        refuse_existing(path)?;
    }
    let secret = P256Key::generate()?;
    write_new(&private, secret.to_encrypted_pem(password)?.as_bytes(), 0o600)?;
    let key = secret.public();
    if let Err(error) = write_new(&public, key.to_pem().as_bytes(), 0o644) {
        // Half a pair is no pair; this private key has signed nothing yet.
        let _ = std::fs::remove_file(&private);
        return Err(error);
    }
    Ok(KeyPair { private, public, key })
}

/// A dangling link is something too.
fn refuse_existing(path: &Path) -> Result<(), KeyError> {
    match path.symlink_metadata() {
        Ok(_) => Err(KeyError::Exists { path: path.to_owned() }),
        Err(_) => Ok(()),
    }
}

/// Through a temporary file, so that nobody sees half a key, and without overwriting, even when two run at once.
fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(|error| KeyError::write(path)(nameless(&error)))?;
    file.write_all(content).map_err(KeyError::write(path))?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(KeyError::write(path))?;
    file.as_file().sync_all().map_err(KeyError::write(path))?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(KeyError::Exists { path: path.to_owned() }),
        Err(error) => Err(KeyError::write(path)(error.error)),
    }
}

/// The same without the temporary file's name, which says nothing to anybody.
fn nameless(error: &std::io::Error) -> std::io::Error {
    error.kind().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::PrivateKey;
    use zeroize::Zeroizing;

    #[test]
    fn writes_a_pair_that_opens_with_its_password_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pair = keygen(dir.path(), "cosign", "secret").unwrap();
        let open = |password: &'static str| PrivateKey::load(&pair.private, &move || Ok(Zeroizing::new(password.to_owned())));
        assert_eq!(open("secret").unwrap().public(), pair.key);
        assert_eq!(PublicKey::load(&pair.public).unwrap(), pair.key);
        assert!(open("Secret").is_err());
    }

    #[test]
    fn the_private_key_is_for_its_owner_alone_and_no_other_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let pair = keygen(dir.path(), "team", "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&pair.private), mode(&pair.public)), (0o600, 0o644));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn never_overwrites_either_file_nor_a_link() {
        for name in ["cosign.key", "cosign.pub"] {
            let dir = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink("nowhere", dir.path().join(name)).unwrap();
            assert!(matches!(keygen(dir.path(), "cosign", "p"), Err(KeyError::Exists { .. })), "{name}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
        }
    }

    #[test]
    fn the_loser_of_a_race_leaves_the_winners_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cosign.key");
        write_new(&path, b"first", 0o600).unwrap();
        assert!(matches!(write_new(&path, b"second", 0o600), Err(KeyError::Exists { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = keygen(Path::new("/nonexistent/dir"), "cosign", "p").unwrap_err();
        assert!(matches!(error, KeyError::NoFolder { .. }) && error.to_string().contains("/nonexistent/dir"), "{error}");
    }
}
