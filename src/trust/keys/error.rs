//! All that can go wrong with keys and their passwords. No variant holds a password or key material.

use std::io;
use std::path::{Path, PathBuf};

use crate::exit_code;

/// Why a key could not be used, made or unlocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key or password file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No key is this large.
    #[error("{} is larger than {limit} bytes: not a key or password file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file was read and holds no key modelcar can use.
    #[error("cannot use the key {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidKey,
    },
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
    /// Not ECDSA over P-256.
    #[error("it is {algorithm}, and only ECDSA P-256 signatures are accepted by every consumer: {reason}")]
    Algorithm {
        /// In words.
        algorithm: String,
        /// What would go wrong.
        reason: &'static str,
    },
    /// The right kind, with bytes that are no point or number of the curve.
    #[error("it is damaged: no P-256 key inside")]
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
    pub(super) fn unusable(path: &Path) -> impl FnOnce(InvalidKey) -> Self {
        let path = path.to_owned();
        move |source| Self::Unusable { path, source }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unusable { path, source } => return source.hint(path),
            Self::NoPassword => "set COSIGN_PASSWORD (it may be empty) or name a password file".to_owned(),
            Self::Exists { .. } => "choose another prefix, or move the old key away first".to_owned(),
            Self::PasswordsDiffer => "run the command again".to_owned(),
            Self::Read { source, path } if source.kind() == io::ErrorKind::NotFound => {
                format!("is {} the right path? `modelcar keygen` makes a key pair", path.display())
            }
            _ => return None,
        })
    }

    /// The process exit code, see [`exit_code`].
    pub fn exit_code(&self) -> u8 {
        exit_code::FAILED
    }
}

impl InvalidKey {
    /// What the user can do about the key in this file.
    fn hint(&self, path: &Path) -> Option<String> {
        let path = path.display();
        Some(match self {
            Self::WrongPassword => "check COSIGN_PASSWORD or the password file; an empty password is a password too".to_owned(),
            Self::ForeignEncryption { .. } => {
                format!("decrypt it with `openssl pkcs8 -in {path} -out plain.key`, or make a new pair with `modelcar keygen`")
            }
            Self::Algorithm { .. } => "make a P-256 pair with `modelcar keygen`".to_owned(),
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
