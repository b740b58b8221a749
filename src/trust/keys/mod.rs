//! Keys: where they come from, what they are, how they sign and verify.
//!
//! ECDSA over P-256 is the one algorithm that cosign, podman, CRI-O, Kyverno and Conforma verify alike, and the one that
//! modelcar makes. Others are read, as they are in use. RSA is PKCS#1 v1.5 over SHA-256 everywhere. With P-384 cosign signs over
//! SHA-384, and it verifies over SHA-256 unless told otherwise, as containers/image always does: so both are verified here, and
//! modelcar signs over SHA-256.
//! Ed25519 and P-521 look as if they worked and do not: cosign signs a hash with Ed25519 and containers/image the message.
//! They are refused by name.
//!
//! | file | job |
//! |---|---|
//! | `source` | what a user may name as a key: a file, a variable, a mounted secret |
//! | `private`, `public` | the two halves, read from PEM |
//! | `ecdsa`, `rsa` | keys that sign |
//! | `encrypted`, `password`, `pem` | cosign's encryption, where its password comes from, the blocks around it |
//! | `keygen` | a new pair |

use std::io::Read as _;
use std::path::Path;

use p256::pkcs8::ObjectIdentifier;
use zeroize::Zeroizing;

mod ecdsa;
mod encrypted;
mod error;
mod keygen;
mod password;
mod pem;
mod private;
mod public;
mod rsa;
mod source;

pub use error::{InvalidKey, KeyError};
pub use keygen::{KeyPair, keygen};
pub use password::PasswordSource;
pub(in crate::trust) use pem::write as pem_block;
pub use private::{PrivateKey, SigningKey};
pub use public::PublicKey;
pub use source::{InvalidKeySource, KeySource};

/// No key or password file is larger, in bytes.
const MAX_FILE: usize = 64 << 10;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

fn refused(oid: ObjectIdentifier) -> InvalidKey {
    let (algorithm, reason) = match oid {
        P521 => ("ECDSA P-521", "cosign hashes it with SHA-512, podman and CRI-O with SHA-256"),
        ED25519 => ("Ed25519", "cosign signs a hash with it (Ed25519ph), podman and CRI-O the message itself"),
        other => return InvalidKey::Algorithm { algorithm: format!("of algorithm {other}"), reason: "no consumer is known to verify it" },
    };
    InvalidKey::Algorithm { algorithm: algorithm.to_owned(), reason }
}

/// Reads a small text file. What is not UTF-8 is no PEM file.
fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let bytes = read_file(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyError::unusable(path)(InvalidKey::NotPem))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Reads at most [`MAX_FILE`] bytes into memory that is wiped afterwards.
pub(in crate::trust) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    const LIMIT: usize = MAX_FILE + 1;
    let read = |source| KeyError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(read)?;
    // Room for all of it from the start: a growing vector would leave copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LIMIT));
    file.take(LIMIT as u64).read_to_end(&mut bytes).map_err(read)?;
    if bytes.len() == LIMIT {
        return Err(KeyError::TooLarge { path: path.to_owned(), limit: MAX_FILE as u64 });
    }
    Ok(bytes)
}

/// A PEM block around DER that is no secret.
pub(in crate::trust) fn to_pem(label: &str, der: &[u8]) -> String {
    pem::write(label, der).to_string()
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| KeyError::Random { source: std::io::Error::other(error.to_string()) })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
