//! A time-stamp authority (RFC 3161): somebody's word for when a signature was there.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use sigstore_types::{SignatureBytes, TimestampToken};
use url::Url;

use super::{KeylessError, Service};
use crate::store::StoreError;
use crate::store::registry::{Ask, Web};

const QUERY: &str = "application/timestamp-query";
const REPLY: &str = "application/timestamp-reply";
/// A token with its certificates has some kilobytes.
const MAX_ANSWER: u64 = 64 << 10;
/// `SEQUENCE { INTEGER 1, SEQUENCE { SEQUENCE { OID sha256, NULL }, OCTET STRING (32 bytes) …`
const HEAD: [u8; 24] = [
    0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
/// `… BOOLEAN TRUE }`: the certificates shall come with the token.
const WITH_CERTIFICATES: [u8; 3] = [0x01, 0x01, 0xff];

/// Has the time of a signature stamped.
pub(super) fn stamp(web: &Web, tsa: &Url, signature: &SignatureBytes) -> Result<TimestampToken, KeylessError> {
    let query = Query::new(signature)?;
    let answer = web.send(&Ask::post(tsa, QUERY, query.bytes(), REPLY, MAX_ANSWER)).map_err(failed)?;
    if !answer.is_success() {
        return Err(failed(answer.refused()));
    }
    query.check(&answer.body)?;
    Ok(TimestampToken::new(answer.body))
}

struct Query {
    hash: [u8; 32],
    nonce: [u8; 10],
}

impl Query {
    fn new(signature: &SignatureBytes) -> Result<Self, KeylessError> {
        // INTEGER of eight bytes; the first is neither zero nor negative, so that DER has one way to write it.
        let mut nonce = [0; 10];
        getrandom::fill(&mut nonce).map_err(|error| KeylessError::Key { why: error.to_string() })?;
        nonce[..2].copy_from_slice(&[0x02, 0x08]);
        nonce[2] = nonce[2] & 0x3f | 0x40;
        Ok(Self { hash: Sha256::digest(signature.as_bytes()).into(), nonce })
    }

    fn bytes(&self) -> Bytes {
        [&HEAD[..], &self.hash, &self.nonce, &WITH_CERTIFICATES].concat().into()
    }

    /// Whether the reply is a token about this query. Who signed it takes a trusted root; until then it is enough that hash and
    /// nonce are in it.
    fn check(&self, reply: &[u8]) -> Result<(), KeylessError> {
        if !is_granted(reply) {
            return Err(unusable("it grants no time stamp"));
        }
        if contains(reply, &self.hash) && contains(reply, &self.nonce) {
            Ok(())
        } else {
            Err(unusable("the time stamp is for something else"))
        }
    }
}

/// `SEQUENCE { SEQUENCE { INTEGER 0 or 1 …`: granted, or granted with modifications.
fn is_granted(reply: &[u8]) -> bool {
    let status = inside(reply).and_then(inside);
    matches!(status, Some([0x02, 0x01, 0 | 1, ..]))
}

/// What a DER SEQUENCE holds, and whatever follows.
fn inside(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x30, length, ..] if *length < 0x80 => bytes.get(2..),
        [0x30, length, ..] => bytes.get(2 + usize::from(length & 0x7f)..),
        _ => None,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn failed(source: StoreError) -> KeylessError {
    KeylessError::Service { service: Service::Tsa, asked: "stamp the time", source: Box::new(source) }
}

fn unusable(why: &str) -> KeylessError {
    KeylessError::Answer { service: Service::Tsa, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query::new(&SignatureBytes::from_bytes(b"signature")).unwrap()
    }

    #[test]
    fn asks_in_der() {
        use der::{Decode as _, Encode as _, asn1::AnyRef};
        for _ in 0..100 {
            let bytes = query().bytes();
            let any = AnyRef::from_der(&bytes).unwrap();
            assert_eq!(any.to_der().unwrap(), bytes);
            // version, imprint, nonce, whether certificates are wanted
            let mut rest = any.value();
            for expected in [0x02, 0x30, 0x02, 0x01] {
                assert_eq!(rest[0], expected);
                rest = &rest[2 + usize::from(rest[1])..];
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn takes_only_a_stamp_of_its_own_query() {
        let (query, other) = (query(), query());
        let reply = |status: u8, hash: &[u8], nonce: &[u8]| [&[0x30, 0x81, 0x80, 0x30, 0x03, 0x02, 0x01, status][..], hash, nonce].concat();
        query.check(&reply(0, &query.hash, &query.nonce)).unwrap();
        query.check(&reply(1, &query.hash, &query.nonce)).unwrap();
        for reply in [
            reply(2, &query.hash, &query.nonce),
            reply(0, &[0; 32], &query.nonce),
            reply(0, &query.hash, &other.nonce),
            vec![],
            vec![0x30],
            vec![0x30, 0xff],
        ] {
            assert!(query.check(&reply).is_err(), "{reply:02x?}");
        }
    }
}
