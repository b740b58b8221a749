//! Encrypted private keys in cosign's form: scrypt over the password, then NaCl's secretbox around the PKCS#8 document.
//!
//! <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>; the JSON is that of
//! <https://pkg.go.dev/github.com/secure-systems-lab/go-securesystemslib/encrypted>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::generic_array::GenericArray;
use crypto_secretbox::{AeadInPlace, KeyInit, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{InvalidKey, KeyError, random};

/// The label that cosign writes today.
pub(super) const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// The label that cosign wrote before version 2.
pub(super) const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";
/// What cosign 2 and 3 write.
const COST: Cost = Cost { n: 1 << 16, r: 8, p: 1 };
/// log2 of each N in the field. Others are refused before a byte is allocated: N decides how much memory scrypt takes.
const KNOWN_LOG_N: [u8; 3] = [15, 16, 17];
const NONCE: usize = 24;
/// Poly1305's tag, in front of the ciphertext.
const TAG: usize = 16;

#[derive(Serialize, Deserialize)]
struct Envelope {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Cost,
    salt: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    #[serde(rename = "N")]
    n: u64,
    r: u64,
    p: u64,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

/// A key whose envelope is in order; only the password is missing.
pub(super) struct EncryptedKey {
    log_n: u8,
    salt: Vec<u8>,
    nonce: [u8; NONCE],
    ciphertext: Vec<u8>,
}

impl EncryptedKey {
    /// Reads the envelope inside the PEM block.
    pub(super) fn parse(json: &[u8]) -> Result<Self, InvalidKey> {
        let Envelope { kdf, cipher, ciphertext } = serde_json::from_slice(json).map_err(|source| InvalidKey::Envelope { source })?;
        if kdf.name != KDF || cipher.name != CIPHER {
            return Err(InvalidKey::Scheme { kdf: shown(&kdf.name), cipher: shown(&cipher.name) });
        }
        let nonce = decode(&cipher.nonce)?.try_into().map_err(|_| InvalidKey::Damaged)?;
        Ok(Self { log_n: log_n(kdf.params)?, salt: decode(&kdf.salt)?, nonce, ciphertext: decode(&ciphertext)? })
    }

    /// Derives the key and opens the seal. Takes a tenth of a second and 32 to 128 MiB, on purpose.
    pub(super) fn open(&self, password: &str) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
        let cipher = cipher(password, &self.salt, self.log_n).ok_or(InvalidKey::WrongPassword)?;
        let mut plain = Zeroizing::new(self.ciphertext.clone());
        let opened = cipher.decrypt_in_place(GenericArray::from_slice(&self.nonce), b"", &mut *plain);
        opened.map(|()| plain).map_err(|_| InvalidKey::WrongPassword)
    }
}

/// Encrypts a PKCS#8 document; the result is the PEM block's body.
pub(super) fn seal(pkcs8: &[u8], password: &str) -> Result<Vec<u8>, KeyError> {
    let (salt, nonce) = (random::<32>()?, random::<NONCE>()?);
    let cipher = cipher(password, &*salt, 16).ok_or(KeyError::Encrypt)?;
    // Room for the tag from the start: a growing vector would leave a copy of the key behind.
    let mut sealed = Zeroizing::new(Vec::with_capacity(pkcs8.len() + TAG));
    sealed.extend_from_slice(pkcs8);
    cipher.encrypt_in_place(GenericArray::from_slice(&*nonce), b"", &mut *sealed).map_err(|_| KeyError::Encrypt)?;
    let envelope = Envelope {
        kdf: Kdf { name: KDF.to_owned(), params: COST, salt: STANDARD.encode(*salt) },
        cipher: Cipher { name: CIPHER.to_owned(), nonce: STANDARD.encode(*nonce) },
        ciphertext: STANDARD.encode(&*sealed),
    };
    serde_json::to_vec(&envelope).map_err(|_| KeyError::Encrypt)
}

fn log_n(cost: Cost) -> Result<u8, InvalidKey> {
    let known = KNOWN_LOG_N.into_iter().find(|log_n| 1 << log_n == cost.n);
    known.filter(|_| (cost.r, cost.p) == (COST.r, COST.p)).ok_or(InvalidKey::Cost { n: cost.n, r: cost.r, p: cost.p })
}

fn cipher(password: &str, salt: &[u8], log_n: u8) -> Option<XSalsa20Poly1305> {
    let mut key = Zeroizing::new([0; 32]);
    let params = scrypt::Params::new(log_n, 8, 1, key.len()).ok()?;
    scrypt::scrypt(password.as_bytes(), salt, &params, &mut *key).ok()?;
    Some(XSalsa20Poly1305::new(GenericArray::from_slice(&*key)))
}

fn decode(text: &str) -> Result<Vec<u8>, InvalidKey> {
    STANDARD.decode(text).map_err(|_| InvalidKey::Damaged)
}

fn shown(name: &str) -> String {
    name.chars().take(40).collect()
}
