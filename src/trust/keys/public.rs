//! Keys that verify.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::spki;
use p384::ecdsa::signature::Verifier as _;
use p384::ecdsa::signature::hazmat::PrehashVerifier as _;

use super::{EC, InvalidKey, KeyError, P256, P384, RSA, pem, read_text, refused, rsa};
use crate::oci::Digest;
use crate::trust::Algorithm;

/// The SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point itself (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
    0x07, 0x03, 0x42, 0x00,
];
/// The same of a P-384 point.
const P384_PREFIX: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62,
    0x00,
];

/// A key that verifies.
#[derive(Clone)]
pub struct PublicKey {
    /// The SubjectPublicKeyInfo, in the one form that DER allows: what makes two keys equal.
    der: Vec<u8>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    Rsa,
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
        let key = info.subject_public_key.as_bytes().ok_or(InvalidKey::Damaged)?;
        match info.algorithm.oid {
            RSA => Self::from_rsa(key),
            EC => Self::from_point(info.algorithm, key),
            other => Err(refused(other)),
        }
    }

    fn from_point(algorithm: spki::AlgorithmIdentifierRef<'_>, point: &[u8]) -> Result<Self, InvalidKey> {
        match algorithm.parameters_oid().map_err(|_| InvalidKey::Damaged)? {
            P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::from).map_err(|_| InvalidKey::Damaged),
            P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self::from).map_err(|_| InvalidKey::Damaged),
            other => Err(refused(other)),
        }
    }

    /// Reads an `RSAPublicKey` in DER.
    pub(super) fn from_rsa(pkcs1: &[u8]) -> Result<Self, InvalidKey> {
        Ok(Self { der: rsa::spki(pkcs1)?, kind: Kind::Rsa })
    }

    /// The key as PEM, byte for byte as cosign writes it.
    pub fn to_pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.der).to_string()
    }

    /// Base64 of the SHA-256 of the DER document: the key hint of Sigstore bundles, and modelcar's short name for a key.
    pub fn hint(&self) -> String {
        STANDARD.encode(Digest::of(&self.der).as_bytes())
    }

    /// How modelcar signs with the other half.
    pub fn algorithm(&self) -> Algorithm {
        match self.kind {
            Kind::P256(_) => Algorithm::EcdsaP256Sha256,
            Kind::P384(_) => Algorithm::EcdsaP384Sha256,
            Kind::Rsa => Algorithm::RsaSha256,
        }
    }

    /// How this signature (ASN.1 DER for ECDSA) of the message was made by this key; none if it was not.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Option<Algorithm> {
        match &self.kind {
            Kind::P256(key) => {
                let signature = p256::ecdsa::DerSignature::from_bytes(signature).ok()?;
                key.verify(message, &signature).ok().map(|()| Algorithm::EcdsaP256Sha256)
            }
            Kind::P384(key) => verify_p384(key, message, signature),
            Kind::Rsa => rsa::verifies(&self.der, message, signature).then_some(Algorithm::RsaSha256),
        }
    }
}

/// Its signers do not agree on the hash.
fn verify_p384(key: &p384::ecdsa::VerifyingKey, message: &[u8], signature: &[u8]) -> Option<Algorithm> {
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    if key.verify_prehash(Digest::of(message).as_bytes(), &signature).is_ok() {
        return Some(Algorithm::EcdsaP384Sha256);
    }
    key.verify(message, &signature).ok().map(|()| Algorithm::EcdsaP384Sha384)
}

impl From<p256::ecdsa::VerifyingKey> for PublicKey {
    fn from(key: p256::ecdsa::VerifyingKey) -> Self {
        Self { der: [&P256_PREFIX, key.to_encoded_point(false).as_bytes()].concat(), kind: Kind::P256(key) }
    }
}

impl From<p384::ecdsa::VerifyingKey> for PublicKey {
    fn from(key: p384::ecdsa::VerifyingKey) -> Self {
        Self { der: [&P384_PREFIX, key.to_encoded_point(false).as_bytes()].concat(), kind: Kind::P384(key) }
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.hint())
    }
}
