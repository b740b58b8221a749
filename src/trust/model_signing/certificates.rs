//! Certificates of a company's own authority: the chain that goes into a signature, and the authorities that are trusted.
//! Path validation is webpki's.

use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage as KeyUsageExtension};

use super::ModelSigningError;
use crate::trust::PublicKey;
use crate::trust::keys::read_file;
use crate::trust::reason::shown;

/// The most certificates of a chain or file.
const MAX_CERTIFICATES: usize = 16;
/// id-kp-codeSigning, 1.3.6.1.5.5.7.3.3, as the bytes of its OID.
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];

/// Why certificates do not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCertificate {
    /// Not PEM, or no certificates in it.
    #[error("it holds no PEM certificates")]
    None,
    /// More than a chain has.
    #[error("it holds {count} certificates, at most {MAX_CERTIFICATES} are read")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Not X.509, version 3.
    #[error("certificate {number} is damaged: {what}")]
    Damaged {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        what: String,
    },
    /// A key that modelcar does not verify with.
    #[error("the first certificate's key cannot be used: {what}")]
    Key {
        /// Why.
        what: String,
    },
    /// Not for signing.
    #[error("the certificate is not for signing: neither `digitalSignature` nor `codeSigning` is among its uses")]
    Usage,
    /// No way to a trusted authority, or one that does not hold today.
    #[error("the certificate of {subject} is not trusted: {what}")]
    Untrusted {
        /// Whose it is.
        subject: String,
        /// What webpki says.
        what: String,
    },
}

/// The certificate of a signing key, then those of the authorities above it, as DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateChain(Vec<Vec<u8>>);

/// The certificates of trusted authorities.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

impl CertificateChain {
    /// Reads a PEM file that begins with the certificate of the signing key.
    pub fn load(path: &Path) -> Result<Self, ModelSigningError> {
        load(path, Self::of_der)
    }

    /// The chain of a signature.
    pub(super) fn of_der(certificates: Vec<Vec<u8>>) -> Result<Self, InvalidCertificate> {
        match certificates.len() {
            0 => return Err(InvalidCertificate::None),
            count if count > MAX_CERTIFICATES => return Err(InvalidCertificate::TooMany { count }),
            _ => {}
        }
        for (der, number) in certificates.iter().zip(1..) {
            parse(der, number)?;
        }
        Ok(Self(certificates))
    }

    /// As DER, leaf first.
    pub(super) fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The key of the first certificate.
    pub fn key(&self) -> Result<PublicKey, InvalidCertificate> {
        let leaf = self.leaf();
        let spki = end_entity(&leaf)?.subject_public_key_info();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
        PublicKey::from_pem(&pem).map_err(|error| InvalidCertificate::Key { what: error.to_string() })
    }

    /// Who holds the first certificate.
    pub fn subject(&self) -> Result<String, InvalidCertificate> {
        Ok(shown(&parse(&self.leaf(), 1)?.tbs_certificate.subject.to_string()))
    }

    /// Follows the chain up to an authority, as it holds at this time, and finds it made for signing.
    ///
    /// model_signing 1.1.1 checks it as of the first day of the certificate, which lets a key sign for ever; the specification
    /// and Red Hat's edition want it to be valid when it is checked.
    pub(super) fn verify(&self, authorities: &Authorities, now: SystemTime) -> Result<(), InvalidCertificate> {
        let leaf = self.leaf();
        let above: Vec<CertificateDer<'_>> = self.0[1..].iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let time = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO));
        let usage = KeyUsage::required_if_present(CODE_SIGNING);
        end_entity(&leaf)?
            .verify_for_usage(ALL_VERIFICATION_ALGS, &authorities.0, &above, time, usage, None, None)
            .map_err(|error| self.untrusted(&error))?;
        if is_for_signing(&leaf)? { Ok(()) } else { Err(InvalidCertificate::Usage) }
    }

    fn untrusted(&self, error: &webpki::Error) -> InvalidCertificate {
        let what = match error {
            webpki::Error::UnknownIssuer => "no trusted authority issued it".to_owned(),
            webpki::Error::CertExpired { .. } => "it, or one above it, has expired".to_owned(),
            webpki::Error::CertNotValidYet { .. } => "it, or one above it, is not valid yet".to_owned(),
            webpki::Error::CaUsedAsEndEntity => "it is an authority's own certificate, which must not sign models".to_owned(),
            other => format!("{other:?}").chars().take(100).collect(),
        };
        InvalidCertificate::Untrusted { subject: self.subject().unwrap_or_default(), what }
    }

    /// The first certificate; a chain is never empty.
    fn leaf(&self) -> CertificateDer<'_> {
        CertificateDer::from(self.0.first().map(Vec::as_slice).unwrap_or_default())
    }
}

impl Authorities {
    /// Reads the certificates of a PEM file.
    pub fn load(path: &Path) -> Result<Self, ModelSigningError> {
        load(path, Self::of_der)
    }

    fn of_der(certificates: Vec<Vec<u8>>) -> Result<Self, InvalidCertificate> {
        let anchor = |(der, number): (Vec<u8>, usize)| {
            let damaged = |error| InvalidCertificate::Damaged { number, what: format!("{error:?}") };
            anchor_from_trusted_cert(&CertificateDer::from(der)).map(|anchor| anchor.to_owned()).map_err(damaged)
        };
        certificates.into_iter().zip(1..).map(anchor).collect::<Result<_, _>>().map(Self)
    }

    /// Trusts those of another file too.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether none is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn load<T>(path: &Path, read: fn(Vec<Vec<u8>>) -> Result<T, InvalidCertificate>) -> Result<T, ModelSigningError> {
    let text = read_file(path)?;
    read_pem(&text).and_then(read).map_err(|source| ModelSigningError::Certificates { path: path.to_owned(), source })
}

fn read_pem(text: &[u8]) -> Result<Vec<Vec<u8>>, InvalidCertificate> {
    let blocks = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|_| InvalidCertificate::None)?;
    match blocks.len() {
        0 => Err(InvalidCertificate::None),
        count if count > MAX_CERTIFICATES => Err(InvalidCertificate::TooMany { count }),
        _ => Ok(blocks.iter().map(|der| der.to_vec()).collect()),
    }
}

fn parse(der: &[u8], number: usize) -> Result<x509_cert::Certificate, InvalidCertificate> {
    x509_cert::Certificate::from_der(der).map_err(|error| InvalidCertificate::Damaged { number, what: error.to_string() })
}

fn end_entity<'a>(leaf: &'a CertificateDer<'_>) -> Result<EndEntityCert<'a>, InvalidCertificate> {
    EndEntityCert::try_from(leaf).map_err(|error| InvalidCertificate::Damaged { number: 1, what: format!("{error:?}") })
}

/// As model_signing has it: one of both is enough.
fn is_for_signing(leaf: &[u8]) -> Result<bool, InvalidCertificate> {
    let certificate = parse(leaf, 1)?.tbs_certificate;
    let damaged = |error: x509_cert::der::Error| InvalidCertificate::Damaged { number: 1, what: error.to_string() };
    let uses = certificate.get::<KeyUsageExtension>().map_err(damaged)?;
    let purposes = certificate.get::<ExtendedKeyUsage>().map_err(damaged)?;
    let signs_code = |purposes: ExtendedKeyUsage| purposes.0.iter().any(|purpose| purpose.as_bytes() == CODE_SIGNING);
    Ok(uses.is_some_and(|(_, uses)| uses.digital_signature()) || purposes.is_some_and(|(_, purposes)| signs_code(purposes)))
}

#[cfg(test)]
mod tests;
