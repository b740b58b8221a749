//! Keys that sign: the seam for whoever keeps them, and those that are read from PEM.

use std::fmt;
use std::path::Path;

use p256::pkcs8::der::asn1::{ContextSpecific, OctetStringRef};
use p256::pkcs8::der::{Decode as _, Header, SliceReader, TagNumber};
use p256::pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use zeroize::Zeroizing;

use super::ecdsa::{P256Key, P384Key};
use super::encrypted::{self, EncryptedKey};
use super::rsa::RsaKey;
use super::{EC, InvalidKey, KeyError, KeySource, P256, P384, PublicKey, RSA, pem, read_text, refused};

/// A key that signs, whoever keeps it. A token (PKCS#11) or a key service (KMS) would be one more of these; none is there yet.
pub trait SigningKey: Send + Sync {
    /// The half that verifies.
    fn public(&self) -> PublicKey;

    /// Signs a message, which is hashed by the key. ECDSA signatures are ASN.1 DER.
    ///
    /// # Errors
    /// [`KeyError::Signing`] where whoever keeps the key gives no signature.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Gives the password of an encrypted key.
pub(super) type Password<'a> = &'a dyn Fn() -> Result<Zeroizing<String>, KeyError>;

/// Somebody's key. Keys from files are wiped from memory when dropped, and never printed.
pub struct PrivateKey(Box<dyn SigningKey>);

impl PrivateKey {
    /// Makes a new P-256 key from the operating system's random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self::held_by(P256Key::generate()?))
    }

    /// A key that somebody else keeps.
    pub fn held_by(keeper: impl SigningKey + 'static) -> Self {
        Self(Box::new(keeper))
    }

    /// Reads a key file: an encrypted key as cosign writes it, or an unencrypted PKCS#8, SEC1 or PKCS#1 one as openssl does.
    /// The password is asked for only where it is needed, and once.
    pub fn load(path: &Path, password: Password<'_>) -> Result<Self, KeyError> {
        Self::from_pem(&read_text(path)?, &KeySource::Path(path.to_owned()), password)
    }

    /// Reads the text of a key file; `source` is what errors call it.
    pub fn from_pem(text: &str, source: &KeySource, password: Password<'_>) -> Result<Self, KeyError> {
        let encrypted = match parse(text).map_err(KeyError::unusable(source))? {
            KeyFile::Plain(key) => return Ok(key),
            KeyFile::Encrypted(encrypted) => encrypted,
        };
        let plain = encrypted.open(&password()?).and_then(|pkcs8| from_pkcs8(&pkcs8));
        plain.map_err(KeyError::unusable(source))
    }

    /// The other half.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// Signs a message: with ECDSA P-256 or P-384 (as ASN.1 DER) or RSA PKCS#1 v1.5, always over SHA-256.
    ///
    /// With a key from a file it is deterministic (RFC 6979 for ECDSA), so signing the same thing again gives the same bytes.
    /// S is left as it comes: Go, OpenSSL and this room accept both halves.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.0.sign(message)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// What is in a key file.
pub(super) enum KeyFile {
    Plain(PrivateKey),
    Encrypted(EncryptedKey),
}

pub(super) fn parse(text: &str) -> Result<KeyFile, InvalidKey> {
    let pem::Block { label, bytes } = pem::read(text)?;
    match label.as_str() {
        encrypted::LABEL | encrypted::OLD_LABEL => EncryptedKey::parse(&bytes).map(KeyFile::Encrypted),
        "PRIVATE KEY" => from_pkcs8(&bytes).map(KeyFile::Plain),
        "EC PRIVATE KEY" => from_sec1(&bytes).map(KeyFile::Plain),
        "RSA PRIVATE KEY" => from_pkcs1(&bytes).map(KeyFile::Plain),
        "ENCRYPTED PRIVATE KEY" | "OPENSSH PRIVATE KEY" => Err(InvalidKey::ForeignEncryption { label }),
        _ => Err(InvalidKey::Label { label, expected: "private" }),
    }
}

fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, InvalidKey> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| InvalidKey::Damaged)?;
    match info.algorithm.oid {
        RSA => return from_pkcs1(info.private_key),
        EC => (),
        other => return Err(refused(other)),
    }
    match info.algorithm.parameters_oid().map_err(|_| InvalidKey::Damaged)? {
        P256 => P256Key::from_pkcs8(info).map(PrivateKey::held_by),
        P384 => P384Key::from_pkcs8(info).map(PrivateKey::held_by),
        other => Err(refused(other)),
    }
}

fn from_sec1(der: &[u8]) -> Result<PrivateKey, InvalidKey> {
    match sec1_curve(der).ok_or(InvalidKey::Damaged)? {
        P256 => P256Key::from_sec1(der).map(PrivateKey::held_by),
        P384 => P384Key::from_sec1(der).map(PrivateKey::held_by),
        other => Err(refused(other)),
    }
}

fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, InvalidKey> {
    RsaKey::from_pkcs1(der).map(PrivateKey::held_by)
}

/// The curve that a SEC1 key names: version, number, curve (<https://www.rfc-editor.org/rfc/rfc5915>).
fn sec1_curve(der: &[u8]) -> Option<ObjectIdentifier> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    u8::decode(&mut reader).ok()?;
    OctetStringRef::decode(&mut reader).ok()?;
    Some(ContextSpecific::decode_explicit(&mut reader, TagNumber::N0).ok()??.value)
}
