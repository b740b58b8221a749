//! P-256 keys and X.509 certificates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::asn1::{OctetString, UtcTime};
use der::oid::{AssociatedOid, ObjectIdentifier};
use der::{Decode, DecodePem, Encode, EncodePem, pem::LineEnding};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use sha2::{Digest as _, Sha256};
use x509_cert::certificate::Version;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

pub use x509_cert::{Certificate, TbsCertificate};

pub const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
pub const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// Authorities live from 2024-01-01 for twenty years, which is also what the trusted root says of them.
const AUTHORITIES_FROM: u64 = 1_704_067_200;
const AUTHORITIES_FOR: Duration = Duration::from_secs(20 * 365 * 86_400);

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// Whole seconds: X.509, RFC 3161 in DER and Rekor's integrated time know no others here.
pub fn now() -> Duration {
    Duration::from_secs(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// A P-256 key of a service.
pub struct Key(pub SigningKey);

impl Key {
    pub fn generate() -> Self {
        loop {
            if let Ok(key) = SigningKey::from_slice(&random::<32>()) {
                return Self(key);
            }
        }
    }

    /// ASN.1 signature over SHA-256 of the message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.0.sign(message);
        signature.as_bytes().to_vec()
    }

    pub fn public(&self) -> PublicKey {
        PublicKey::from_spki(self.0.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap()
    }
}

/// Who checks a signature: a P-256 key.
#[derive(Clone)]
pub struct PublicKey {
    pub spki: Vec<u8>,
    key: VerifyingKey,
}

impl PublicKey {
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        Some(Self { spki: spki.to_vec(), key: VerifyingKey::from_public_key_der(spki).ok()? })
    }

    pub fn of(certificate: &Certificate) -> Option<Self> {
        Self::from_spki(&certificate.tbs_certificate.subject_public_key_info.to_der().ok()?)
    }

    /// What CT logs and Rekor v1 are called: the hash of their key.
    pub fn id(&self) -> [u8; 32] {
        sha256(&self.spki)
    }

    pub fn pem(&self) -> String {
        SubjectPublicKeyInfoOwned::from_der(&self.spki).unwrap().to_pem(LineEnding::LF).unwrap()
    }

    pub fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature).is_ok_and(|signature| self.key.verify(message, &signature).is_ok())
    }

    pub fn accepts_digest(&self, digest: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature).is_ok_and(|signature| self.key.verify_prehash(digest, &signature).is_ok())
    }
}

/// What a log entry is checked with: a certificate, or a bare key.
pub struct PemVerifier {
    pub key: PublicKey,
    /// Written anew with LF, whatever came: real Rekor stores its own encoding, not the client's bytes.
    pub pem: String,
}

impl PemVerifier {
    pub fn parse(pem: &[u8]) -> Option<Self> {
        if let Ok(certificate) = Certificate::from_pem(pem) {
            return Some(Self { key: PublicKey::of(&certificate)?, pem: certificate.to_pem(LineEnding::LF).ok()? });
        }
        let spki = SubjectPublicKeyInfoOwned::from_pem(pem).ok()?;
        let key = PublicKey::from_spki(&spki.to_der().ok()?)?;
        Some(Self { pem: key.pem(), key })
    }
}

/// A certificate with its key, which signs others.
pub struct Authority {
    pub certificate: Certificate,
    pub key: Key,
}

impl Authority {
    /// Signs itself.
    pub fn root(name: &str) -> Self {
        let key = Key::generate();
        let name: Name = name.parse().unwrap();
        let extensions = authority_extensions(&key, None, &[]);
        let certificate = sign(tbs(&name, name.clone(), authority_validity(), &key.public(), extensions), &key);
        Self { certificate, key }
    }

    /// An authority below this one, only for this purpose.
    pub fn intermediate(&self, name: &str, purpose: ObjectIdentifier) -> Self {
        let key = Key::generate();
        let extensions = authority_extensions(&key, Some(&self.key), &[purpose]);
        let tbs = tbs(self.name(), name.parse().unwrap(), authority_validity(), &key.public(), extensions);
        Self { certificate: sign(tbs, &self.key), key }
    }

    /// A service's own certificate, which lives as long as the authorities.
    pub fn service(&self, name: &str, purpose: ObjectIdentifier) -> Self {
        let key = Key::generate();
        let mut extensions = leaf_extensions(&key.public(), self);
        // RFC 3161, 2.3: critical, and the only purpose
        extensions.push(extension(&ExtendedKeyUsage(vec![purpose]), true));
        let tbs = tbs(self.name(), name.parse().unwrap(), authority_validity(), &key.public(), extensions);
        Self { certificate: sign(tbs, &self.key), key }
    }

    pub fn name(&self) -> &Name {
        &self.certificate.tbs_certificate.subject
    }

    pub fn der(&self) -> Vec<u8> {
        self.certificate.to_der().unwrap()
    }

    pub fn pem(&self) -> String {
        self.certificate.to_pem(LineEnding::LF).unwrap()
    }
}

fn authority_extensions(key: &Key, issuer: Option<&Key>, purposes: &[ObjectIdentifier]) -> Vec<Extension> {
    let path_len_constraint = Some(u8::from(issuer.is_none()));
    let mut extensions = vec![
        extension(&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign), true),
        extension(&BasicConstraints { ca: true, path_len_constraint }, true),
        extension(&key_identifier(&key.public()), false),
    ];
    if let Some(issuer) = issuer {
        extensions.push(authority_key_identifier(&issuer.public()));
    }
    if !purposes.is_empty() {
        extensions.push(extension(&ExtendedKeyUsage(purposes.to_vec()), false));
    }
    extensions
}

/// What every certificate of a signer has, but for its purpose.
pub fn leaf_extensions(key: &PublicKey, issuer: &Authority) -> Vec<Extension> {
    vec![
        extension(&KeyUsage(KeyUsages::DigitalSignature.into()), true),
        extension(&key_identifier(key), false),
        authority_key_identifier(&issuer.key.public()),
    ]
}

fn key_identifier(key: &PublicKey) -> SubjectKeyIdentifier {
    SubjectKeyIdentifier(OctetString::new(&sha256(&key.spki)[..20]).unwrap())
}

fn authority_key_identifier(issuer: &PublicKey) -> Extension {
    let key_identifier = Some(key_identifier(issuer).0);
    extension(&AuthorityKeyIdentifier { key_identifier, authority_cert_issuer: None, authority_cert_serial_number: None }, false)
}

pub fn extension<T: Encode + AssociatedOid>(value: &T, critical: bool) -> Extension {
    raw_extension(T::OID, critical, &value.to_der().unwrap())
}

pub fn raw_extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Extension {
    Extension { extn_id: oid, critical, extn_value: OctetString::new(value).unwrap() }
}

fn authority_validity() -> Validity {
    validity(Duration::from_secs(AUTHORITIES_FROM), AUTHORITIES_FOR)
}

pub fn validity(from: Duration, lifetime: Duration) -> Validity {
    let time = |since_1970| Time::UtcTime(UtcTime::from_unix_duration(since_1970).unwrap());
    Validity { not_before: time(from), not_after: time(from + lifetime) }
}

pub fn tbs(issuer: &Name, subject: Name, validity: Validity, key: &PublicKey, extensions: Vec<Extension>) -> TbsCertificate {
    let mut serial = random::<16>();
    serial[0] = serial[0] & 0x7f | 0x40;
    TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).unwrap(),
        signature: ecdsa_with_sha256(),
        issuer: issuer.clone(),
        validity,
        subject,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(&key.spki).unwrap(),
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    }
}

pub fn sign(tbs: TbsCertificate, key: &Key) -> Certificate {
    let signature = key.sign(&tbs.to_der().unwrap());
    Certificate {
        tbs_certificate: tbs,
        signature_algorithm: ecdsa_with_sha256(),
        signature: der::asn1::BitString::from_bytes(&signature).unwrap(),
    }
}

pub fn ecdsa_with_sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None }
}
