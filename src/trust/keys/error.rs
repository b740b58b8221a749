//! All that can go wrong with keys and their passwords. No variant holds a password or key material.

use std::io;
use std::path::{Path, PathBuf};

use super::KeySource;
use crate::exit_code;

/// Why a key could not be used, made or unlocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The password file cannot be read.
    #[error("cannot read the password file {}", path.display())]
    ReadPassword {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A folder without the file that is looked for in it.
    #[error("the folder {} has no {name}", folder.display())]
    NotInFolder {
        /// The folder.
        folder: PathBuf,
        /// The file.
        name: &'static str,
    },
    /// A folder for new keys that is not there.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// No key is this large.
    #[error("{} is larger than {limit} bytes: not a key or password file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file or variable was read and holds no key modelcar can use.
    #[error("cannot use the key {key}")]
    Unusable {
        /// Where it is.
        key: KeySource,
        /// Why.
        #[source]
        source: InvalidKey,
    },
    /// The variable that should hold the key is not there.
    #[error("the variable {name} is not set")]
    NoVariable {
        /// Its name.
        name: String,
    },
    /// Two halves in one folder that are not of one pair.
    #[error("{} does not belong to {}", public.display(), private.display())]
    NotAPair {
        /// The file of the private key.
        private: PathBuf,
        /// The file of the public key.
        public: PathBuf,
    },
    /// Whoever keeps the key gave no signature.
    #[error("the key gave no signature")]
    Signing,
    /// The key is encrypted, no password is set, and there is nobody to ask.
    #[error("a password is needed, and there is no terminal to ask for it")]
    NoPassword,
    /// The password is not UTF-8.
    #[error("the password in {place} is not UTF-8 text")]
    PasswordNotText {
        /// `COSIGN_PASSWORD` or the file.
        place: String,
    },
    /// The two entries of a new password are not equal.
    #[error("the two passwords are not the same")]
    PasswordsDiffer,
    /// The terminal did not give a password.
    #[error("cannot read the password from the terminal")]
    Prompt {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key file of this name is there already.
    #[error("{} is there already, and a key is never overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The key pair could not be written; nothing was left behind.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key could not be encrypted.
    #[error("cannot encrypt the key")]
    Encrypt,
}

/// Why text is not a key modelcar can use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// No PEM block, or its body is not base64.
    #[error("it is not a PEM file")]
    NotPem,
    /// A block of another kind.
    #[error("it holds a `{label}`, not a {expected} key")]
    Label {
        /// What stands behind BEGIN.
        label: String,
        /// `private` or `public`.
        expected: &'static str,
    },
    /// Encrypted by openssl or ssh, not by cosign.
    #[error("it holds a `{label}` encrypted in a way that signing tools do not read")]
    ForeignEncryption {
        /// What stands behind BEGIN.
        label: String,
    },
    /// One that consumers do not verify alike, or do not know.
    #[error("it is {algorithm}, and modelcar neither signs nor verifies with it: {reason}")]
    Algorithm {
        /// In words.
        algorithm: String,
        /// What would go wrong.
        reason: &'static str,
    },
    /// An RSA key that is too short to be safe or too long to be quick.
    #[error("it is RSA with {bits} bits, not {least} to {most}")]
    Size {
        /// Of its modulus.
        bits: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// The right kind, with bytes that are no such key.
    #[error("it is damaged: no usable key inside")]
    Damaged,
    /// The body of an encrypted key is not the JSON that cosign writes.
    #[error("it is damaged: not an encrypted key as cosign writes it")]
    Envelope {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A derivation or cipher cosign has never used.
    #[error("it is encrypted with `{kdf}` and `{cipher}`; only scrypt and nacl/secretbox are known")]
    Scheme {
        /// The key derivation's name.
        kdf: String,
        /// The cipher's name.
        cipher: String,
    },
    /// scrypt costs that no signing tool writes; a large one would eat the machine's memory.
    #[error("its scrypt cost N={n}, r={r}, p={p} is none of those that cosign writes (N 32768, 65536 or 131072, r 8, p 1)")]
    Cost {
        /// Iterations.
        n: u64,
        /// Block size.
        r: u64,
        /// Parallelism.
        p: u64,
    },
    /// The cipher's seal did not open. It cannot be told which of the two it is.
    #[error("wrong password or damaged key")]
    WrongPassword,
}

impl KeyError {
    pub(super) fn unusable(key: impl Into<KeySource>) -> impl FnOnce(InvalidKey) -> Self {
        let key = key.into();
        move |source| Self::Unusable { key, source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { key, source } => return source.hint(key),
            Self::NoPassword => "set COSIGN_PASSWORD (it may be empty) or name a password file".to_owned(),
            Self::NoVariable { name } => format!("set {name} to the text of the PEM file"),
            Self::NotAPair { .. } => "put both halves of one pair into the folder; `cosign public-key` writes the public half".to_owned(),
            Self::Exists { .. } => "choose another prefix, or move the old key away first".to_owned(),
            Self::PasswordsDiffer => "run the command again".to_owned(),
            Self::Read { source, path } if source.kind() == io::ErrorKind::NotFound => missing(path),
            Self::ReadPassword { source, path } if source.kind() == io::ErrorKind::NotFound => {
                format!("is {} the right path? COSIGN_PASSWORD gives the password as well", path.display())
            }
            Self::NotInFolder { name, .. } => format!("name the key's own file, or put it into the folder as {name}"),
            Self::NoFolder { path } => format!("make it first: mkdir -p {}", path.display()),
            _ => return None,
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        exit_code::FAILED
    }
}

/// A key's file that is not there; `env:NAME` is meant for a variable.
fn missing(path: &Path) -> String {
    match path.to_str().and_then(|text| text.strip_prefix("env:")) {
        Some(name) => format!("a variable is named with two slashes: --key env://{}", name.trim_start_matches('/')),
        None => format!("is {} the right path? `modelcar keygen` makes a key pair", path.display()),
    }
}

impl InvalidKey {
    /// What the user can do about this key.
    fn hint(&self, key: &KeySource) -> Option<String> {
        Some(match self {
            Self::WrongPassword => "check COSIGN_PASSWORD or the password file; an empty password is a password too".to_owned(),
            Self::ForeignEncryption { .. } => {
                format!("decrypt {key} with `openssl pkcs8 -in FILE -out plain.key`, or make a new pair with `modelcar keygen`")
            }
            Self::Algorithm { .. } | Self::Size { .. } => "make a P-256 pair with `modelcar keygen`".to_owned(),
            Self::Label { expected: "public", label } if label.contains("PRIVATE") => {
                "name the public key (cosign.pub) here; the private key only signs".to_owned()
            }
            Self::Label { expected: "private", label } if label == "PUBLIC KEY" => {
                "name the private key (cosign.key) here; the public key only verifies".to_owned()
            }
            _ => return None,
        })
    }
}
