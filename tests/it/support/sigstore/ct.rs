//! A certificate transparency log that signs promises and keeps nothing.

use super::pki::{Key, sha256};

/// A log of certificates, by its key.
pub struct CtLog {
    pub key: Key,
}

impl CtLog {
    pub fn new() -> Self {
        Self { key: Key::generate() }
    }

    /// The value of the extension 1.3.6.1.4.1.11129.2.4.2 for a certificate that has all but that extension (RFC 6962, 3.2 and 3.3).
    pub fn embedded_sct(&self, tbs: &[u8], issuer_spki: &[u8], milliseconds: u64) -> Vec<u8> {
        let signature = self.key.sign(&signed_data(tbs, issuer_spki, milliseconds));
        let mut sct = vec![0];
        sct.extend(self.key.public().id());
        sct.extend(milliseconds.to_be_bytes());
        // no extensions; SHA-256 with ECDSA
        sct.extend([0, 0, 4, 3]);
        sct.extend(with_length(&signature));
        octet_string(&with_length(&with_length(&sct)))
    }
}

/// `CertificateTimestamp` over a `PreCert`.
fn signed_data(tbs: &[u8], issuer_spki: &[u8], milliseconds: u64) -> Vec<u8> {
    let mut data = vec![0, 0];
    data.extend(milliseconds.to_be_bytes());
    data.extend([0, 1]);
    data.extend(sha256(issuer_spki));
    data.extend(&u32::try_from(tbs.len()).unwrap().to_be_bytes()[1..]);
    data.extend(tbs);
    data.extend([0, 0]);
    data
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn octet_string(bytes: &[u8]) -> Vec<u8> {
    use der::Encode as _;
    der::asn1::OctetStringRef::new(bytes).unwrap().to_der().unwrap()
}
