//! RSA keys: PKCS#1 v1.5 over SHA-256, which cosign and containers/image verify alike.

use std::ops::RangeInclusive;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use p256::pkcs8::der::asn1::UintRef;
use p256::pkcs8::der::{Decode as _, Header, SliceReader};

use super::{InvalidKey, KeyError, PublicKey, SigningKey};

/// Bits of a modulus. Shorter keys can be broken; longer ones take so long that aws-lc refuses them.
const BITS: RangeInclusive<usize> = 2048..=8192;

/// The secret numbers are aws-lc's, which wipes them.
pub(super) struct RsaKey {
    pair: rsa::KeyPair,
    public: PublicKey,
}

impl RsaKey {
    /// Reads an `RSAPrivateKey` (<https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.2>).
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, InvalidKey> {
        let version = |reader: &mut SliceReader<'_>| u8::decode(reader).ok().map(drop);
        ensure_size(modulus_bits(der, version))?;
        let pair = rsa::KeyPair::from_der(der).map_err(|_| InvalidKey::Damaged)?;
        let public = PublicKey::from_rsa(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }
}

impl SigningKey for RsaKey {
    fn public(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| KeyError::Signing)?;
        Ok(signature)
    }
}

/// The SubjectPublicKeyInfo of an `RSAPublicKey`, written the one way.
pub(super) fn spki(pkcs1: &[u8]) -> Result<Vec<u8>, InvalidKey> {
    ensure_size(modulus_bits(pkcs1, |_| Some(())))?;
    let key = rsa::PublicKey::from_der(pkcs1).map_err(|_| InvalidKey::Damaged)?;
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| InvalidKey::Damaged)?;
    Ok(der.as_ref().to_vec())
}

pub(super) fn verifies(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki).verify(message, signature).is_ok()
}

/// The length of the first number of a sequence, behind what stands in front of it.
fn modulus_bits(der: &[u8], front: impl Fn(&mut SliceReader<'_>) -> Option<()>) -> Option<usize> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    front(&mut reader)?;
    let modulus = UintRef::decode(&mut reader).ok()?;
    let first = modulus.as_bytes().first()?;
    Some(modulus.as_bytes().len() * 8 - first.leading_zeros() as usize)
}

fn ensure_size(bits: Option<usize>) -> Result<(), InvalidKey> {
    let bits = bits.ok_or(InvalidKey::Damaged)?;
    if BITS.contains(&bits) { Ok(()) } else { Err(InvalidKey::Size { bits, least: *BITS.start(), most: *BITS.end() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `RSAPublicKey` of so many bits, at least 2040; its modulus is no product of two primes.
    fn public(bits: usize) -> Vec<u8> {
        let modulus = [&[0][..], &vec![0xff; bits / 8]].concat();
        let integer = |bytes: &[u8]| [&[2, 0x82][..], &u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
        let body = [integer(&modulus), vec![2, 3, 1, 0, 1]].concat();
        [&[0x30, 0x82][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
    }

    #[test]
    fn only_keys_that_are_safe_and_quick_are_read() {
        for bits in [2040, 8200, 16384, 32768] {
            assert!(matches!(spki(&public(bits)), Err(InvalidKey::Size { bits: found, .. }) if found == bits), "{bits}");
        }
        for bits in [2048, 3072, 4096, 8192] {
            assert!(spki(&public(bits)).is_ok(), "{bits}");
        }
    }

    #[test]
    fn a_key_without_numbers_is_damaged() {
        for der in [&[][..], &[0x30, 0], &[0x30, 3, 2, 1, 0]] {
            assert!(matches!(spki(der), Err(InvalidKey::Damaged | InvalidKey::Size { bits: 0, .. })), "{der:?}");
        }
    }
}
