//! ECDSA P-256 keys: the one algorithm that cosign, podman, CRI-O, Kyverno and Conforma verify alike.
//!
//! Others look as if they worked and do not: for P-384 cosign hashes with SHA-384 and containers/image with SHA-256, for
//! Ed25519 cosign signs a hash and containers/image the message. They are refused by name.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{EncodePrivateKey as _, ObjectIdentifier, PrivateKeyInfo, spki};
use zeroize::Zeroizing;

use crate::oci::Digest;
use crate::trust::Algorithm;
use encrypted::EncryptedKey;

mod encrypted;
mod error;
mod keygen;
mod password;
mod pem;

pub use error::{InvalidKey, KeyError};
pub use keygen::{KeyPair, keygen};
pub use password::PasswordSource;

/// No key or password file is larger, in bytes.
const MAX_FILE: usize = 64 << 10;

/// The SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point itself (RFC 5480).
const SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// A key that signs. It is wiped from memory when dropped and never printed.
pub struct PrivateKey(SigningKey);

/// A key that verifies.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PrivateKey {
    /// Makes a new key from the operating system's random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        loop {
            // All but one in 2^32 draws are a number of the curve.
            if let Ok(key) = SigningKey::from_slice(&*random::<32>()?) {
                return Ok(Self(key));
            }
        }
    }

    /// Reads a key file: an encrypted key as cosign writes it, or an unencrypted PKCS#8 or SEC1 one as openssl does.
    /// The password is asked for only where it is needed, and once.
    pub fn load(path: &Path, password: &dyn Fn() -> Result<Zeroizing<String>, KeyError>) -> Result<Self, KeyError> {
        let text = read_text(path)?;
        let encrypted = match parse_private(&text).map_err(KeyError::unusable(path))? {
            KeyFile::Plain(key) => return Ok(Self(key)),
            KeyFile::Encrypted(encrypted) => encrypted,
        };
        let password = password()?;
        let plain = encrypted.open(&password).and_then(|pkcs8| from_pkcs8(&pkcs8));
        plain.map(Self).map_err(KeyError::unusable(path))
    }

    /// The key as a PEM file, encrypted as cosign 2 and 3 do it.
    pub fn to_encrypted_pem(&self, password: &str) -> Result<Zeroizing<String>, KeyError> {
        let pkcs8 = self.0.to_pkcs8_der().map_err(|_| KeyError::Encrypt)?;
        Ok(pem::write(encrypted::LABEL, &encrypted::seal(pkcs8.as_bytes(), password)?))
    }

    /// The other half.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Signs with ECDSA over SHA-256; the result is ASN.1 DER.
    ///
    /// Deterministic (RFC 6979), so signing the same thing again gives the same bytes. S is left as it comes: Go, OpenSSL and
    /// this file accept both halves.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.0.sign(message);
        signature.as_bytes().to_vec()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

impl PublicKey {
    /// Reads a public key file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read_text(path)?).map_err(KeyError::unusable(path))
    }

    /// Reads a PEM SubjectPublicKeyInfo.
    pub fn from_pem(text: &str) -> Result<Self, InvalidKey> {
        let block = pem::read(text)?;
        if block.label != "PUBLIC KEY" {
            return Err(InvalidKey::Label { label: block.label, expected: "public" });
        }
        let info = spki::SubjectPublicKeyInfoRef::try_from(block.bytes.as_slice()).map_err(|_| InvalidKey::Damaged)?;
        require_p256(info.algorithm)?;
        VerifyingKey::from_sec1_bytes(info.subject_public_key.raw_bytes()).map(Self).map_err(|_| InvalidKey::Damaged)
    }

    /// The key as PEM, byte for byte as cosign writes it.
    pub fn to_pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.to_der()).to_string()
    }

    /// Base64 of the SHA-256 of the DER document: the key hint of Sigstore bundles, and modelcar's short name for a key.
    pub fn hint(&self) -> String {
        STANDARD.encode(Digest::of(&self.to_der()).as_bytes())
    }

    /// How this signature (ASN.1 DER) of the message was made by this key; none if it was not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Option<Algorithm> {
        let signature = DerSignature::from_bytes(signature).ok()?;
        self.0.verify(message, &signature).ok().map(|()| Algorithm::EcdsaP256Sha256)
    }

    fn to_der(&self) -> Vec<u8> {
        [&SPKI_PREFIX[..], self.0.to_encoded_point(false).as_bytes()].concat()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.hint())
    }
}

enum KeyFile {
    Plain(SigningKey),
    Encrypted(EncryptedKey),
}

fn parse_private(text: &str) -> Result<KeyFile, InvalidKey> {
    let pem::Block { label, bytes } = pem::read(text)?;
    match label.as_str() {
        encrypted::LABEL | encrypted::OLD_LABEL => EncryptedKey::parse(&bytes).map(KeyFile::Encrypted),
        "PRIVATE KEY" => from_pkcs8(&bytes).map(KeyFile::Plain),
        "EC PRIVATE KEY" => from_sec1(&bytes).map(KeyFile::Plain),
        "RSA PRIVATE KEY" => Err(refused(RSA)),
        "ENCRYPTED PRIVATE KEY" | "OPENSSH PRIVATE KEY" => Err(InvalidKey::ForeignEncryption { label }),
        _ => Err(InvalidKey::Label { label, expected: "private" }),
    }
}

fn from_pkcs8(der: &[u8]) -> Result<SigningKey, InvalidKey> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| InvalidKey::Damaged)?;
    require_p256(info.algorithm)?;
    SigningKey::try_from(info).map_err(|_| InvalidKey::Damaged)
}

/// SEC1 names its curve inside. Looking for the curve's bytes is enough to explain a refusal.
fn from_sec1(der: &[u8]) -> Result<SigningKey, InvalidKey> {
    let names = |curve: &ObjectIdentifier| der.windows(curve.as_bytes().len()).any(|bytes| bytes == curve.as_bytes());
    if let Some(curve) = [P384, P521].iter().find(|curve| names(curve)) {
        return Err(refused(*curve));
    }
    p256::SecretKey::from_sec1_der(der).map(SigningKey::from).map_err(|_| InvalidKey::Damaged)
}

fn require_p256(algorithm: spki::AlgorithmIdentifierRef<'_>) -> Result<(), InvalidKey> {
    if algorithm.oid != EC {
        return Err(refused(algorithm.oid));
    }
    match algorithm.parameters_oid() {
        Ok(P256) => Ok(()),
        Ok(curve) => Err(refused(curve)),
        Err(_) => Err(InvalidKey::Damaged),
    }
}

fn refused(oid: ObjectIdentifier) -> InvalidKey {
    let (algorithm, reason) = match oid {
        RSA => ("RSA", "modelcar does not sign or verify with RSA"),
        P384 => ("ECDSA P-384", "cosign hashes it with SHA-384, podman and CRI-O with SHA-256"),
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

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, KeyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|error| KeyError::Random { source: std::io::Error::other(error.to_string()) })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
