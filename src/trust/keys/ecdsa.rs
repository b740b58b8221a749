//! ECDSA keys over P-256 and P-384.

use p256::pkcs8::{EncodePrivateKey as _, PrivateKeyInfo};
use p384::ecdsa::signature::Signer as _;
use p384::ecdsa::signature::hazmat::PrehashSigner as _;
use zeroize::Zeroizing;

use super::encrypted::{LABEL, seal};
use super::{InvalidKey, KeyError, PublicKey, SigningKey, pem, random};
use crate::oci::Digest;

/// What everybody verifies alike.
pub(super) struct P256Key(p256::ecdsa::SigningKey);

/// Signs over SHA-256, which is what everybody verifies by default, though cosign signs over SHA-384.
pub(super) struct P384Key(p384::ecdsa::SigningKey);

impl P256Key {
    pub(super) fn generate() -> Result<Self, KeyError> {
        loop {
            // All but one in 2^32 draws are a number of the curve.
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&*random::<32>()?) {
                return Ok(Self(key));
            }
        }
    }

    pub(super) fn from_pkcs8(info: PrivateKeyInfo<'_>) -> Result<Self, InvalidKey> {
        p256::ecdsa::SigningKey::try_from(info).map(Self).map_err(|_| InvalidKey::Damaged)
    }

    pub(super) fn from_sec1(der: &[u8]) -> Result<Self, InvalidKey> {
        p256::SecretKey::from_sec1_der(der).map(|key| Self(key.into())).map_err(|_| InvalidKey::Damaged)
    }

    /// The key as a PEM file, encrypted as cosign 2 and 3 do it.
    pub(super) fn to_encrypted_pem(&self, password: &str) -> Result<Zeroizing<String>, KeyError> {
        let pkcs8 = self.0.to_pkcs8_der().map_err(|_| KeyError::Encrypt)?;
        Ok(pem::write(LABEL, &seal(pkcs8.as_bytes(), password)?))
    }
}

impl P384Key {
    pub(super) fn from_pkcs8(info: PrivateKeyInfo<'_>) -> Result<Self, InvalidKey> {
        p384::ecdsa::SigningKey::try_from(info).map(Self).map_err(|_| InvalidKey::Damaged)
    }

    pub(super) fn from_sec1(der: &[u8]) -> Result<Self, InvalidKey> {
        p384::SecretKey::from_sec1_der(der).map(|key| Self(key.into())).map_err(|_| InvalidKey::Damaged)
    }
}

impl SigningKey for P256Key {
    fn public(&self) -> PublicKey {
        PublicKey::from(*self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: p256::ecdsa::DerSignature = self.0.try_sign(message).map_err(|_| KeyError::Signing)?;
        Ok(signature.as_bytes().to_vec())
    }
}

impl SigningKey for P384Key {
    fn public(&self) -> PublicKey {
        PublicKey::from(*self.0.verifying_key())
    }

    /// Over SHA-256, which is all that containers/image knows.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let hash = Digest::of(message);
        let signature: p384::ecdsa::DerSignature = self.0.sign_prehash(hash.as_bytes()).map_err(|_| KeyError::Signing)?;
        Ok(signature.as_bytes().to_vec())
    }
}
