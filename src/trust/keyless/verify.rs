//! Checking what was signed with a certificate: in bundles and in classic annotations.

use std::sync::Arc;

use sigstore_crypto::{CertificateInfo, SubjectAltName, parse_certificate_info, verify_signature};
use sigstore_types::{Artifact, Bundle, DerCertificate, KindVersion, Sha256Hash, SignatureContent};
use sigstore_verify::{CertificateError, Error, TimestampError, TransparencyLogError};

use super::fulcio::Leaf;
use super::identity::{CertificateIdentity, Expected};
use super::root::{Evidence, TrustRoot};
use super::{annotations, certificates};
use crate::oci::{Annotations, Digest};
use crate::trust::reason::shown;
use crate::trust::{Log, Reason, SignedBy};

/// Log entries and time stamps of one bundle, each; honest ones have one or two, and each costs a verification.
const MAX_WITNESSES: usize = 8;

/// Whose certificates count, and by whose word.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Any one of these.
    whose: Vec<CertificateIdentity>,
    by: Word,
}

/// By whose word a certificate is believed.
#[derive(Clone, Debug)]
enum Word {
    /// By that of the authorities, logs and time-stamp authorities of a root.
    Root(Arc<TrustRoot>),
    /// By that of the authority that certified a signer, who was given no root and looks for its own signatures.
    Certified {
        /// The signer's certificate.
        leaf: DerCertificate,
        /// Those above it.
        above: Vec<DerCertificate>,
    },
}

impl Certificates {
    /// Certificates of these holders that the root vouches for.
    pub fn new(whose: Vec<CertificateIdentity>, root: Arc<TrustRoot>) -> Self {
        Self { whose, by: Word::Root(root) }
    }

    /// What one signer made, as far as the root can tell. Without a root, the authority that certified the signer now must have
    /// certified it then: everybody can write a certificate with the signer's name, and the signer would take its own signature for
    /// there already. This is enough to add nothing twice, and for nothing else.
    pub(super) fn of_signer(signer: &Leaf, root: Option<Arc<TrustRoot>>) -> Self {
        let whose = CertificateIdentity { identity: Expected::exactly(&signer.identity), issuer: Expected::exactly(&signer.issuer) };
        let certified = || Word::Certified { leaf: signer.certificate.clone(), above: signer.chain.clone() };
        Self { whose: vec![whose], by: root.map_or_else(certified, Word::Root) }
    }

    /// Who signed the statement in a bundle about this manifest. `statement` is what the caller read out of it.
    pub(in crate::trust) fn judge_bundle(&self, json: &[u8], statement: &[u8], digest: Digest) -> Result<SignedBy, Reason> {
        let text = std::str::from_utf8(json).map_err(|_| malformed("it is not text"))?;
        let bundle = Bundle::from_json(text).map_err(|error| malformed(&error.to_string()))?;
        let SignatureContent::DsseEnvelope(envelope) = &bundle.content else { return Err(Reason::MessageSignature) };
        if envelope.payload.as_bytes() != statement {
            return Err(malformed("it can be read in two ways"));
        }
        let hash = Sha256Hash::from_hex(&digest.hex()).map_err(|error| malformed(&error.to_string()))?;
        self.judge(&bundle, hash.into(), &envelope.pae(), Evidence::Inclusion)
    }

    /// Who signed a classic payload, by the annotations of its layer.
    pub(in crate::trust) fn judge_classic(&self, payload: &[u8], annotations: &Annotations) -> Result<SignedBy, Reason> {
        let bundle = annotations::read(annotations)?;
        self.judge(&bundle, payload.into(), payload, Evidence::SignedTime)
    }

    fn judge(&self, bundle: &Bundle, artifact: Artifact<'_>, message: &[u8], evidence: Evidence) -> Result<SignedBy, Reason> {
        ensure_few_witnesses(bundle)?;
        let certificate = bundle.signing_certificate().ok_or_else(|| malformed("it has no certificate"))?;
        let info = parse_certificate_info(certificate).map_err(|error| malformed(&error.to_string()))?;
        match &self.by {
            Word::Root(root) => root.verify(artifact, bundle, evidence)?,
            Word::Certified { leaf, above } => {
                ensure_signed(bundle, message, &info)?;
                ensure_certified(certificate, &info, leaf, above)?;
            }
        }
        let by = signed_by(&info, log(bundle))?;
        self.ensure_expected(&by)?;
        Ok(by)
    }

    fn ensure_expected(&self, by: &SignedBy) -> Result<(), Reason> {
        let SignedBy::Certificate { identity, issuer, .. } = by else { return Ok(()) };
        let named: Vec<&CertificateIdentity> = self.whose.iter().filter(|who| who.identity.fits(identity)).collect();
        if named.is_empty() {
            let expected = either(self.whose.iter().map(|who| &who.identity));
            return Err(Reason::CertificateIdentity { found: shown(identity), expected });
        }
        if !named.iter().any(|who| who.issuer.fits(issuer)) {
            let expected = either(named.iter().map(|who| &who.issuer));
            return Err(Reason::CertificateIssuer { found: shown(issuer), expected });
        }
        Ok(())
    }
}

/// Each expectation once, as a person would say it.
fn either<'a>(expected: impl Iterator<Item = &'a Expected>) -> String {
    let mut words: Vec<String> = expected.map(ToString::to_string).collect();
    words.dedup();
    words.join(" or ")
}

fn ensure_few_witnesses(bundle: &Bundle) -> Result<(), Reason> {
    let material = &bundle.verification_material;
    let count = material.tlog_entries.len().max(material.timestamp_verification_data.rfc3161_timestamps.len());
    if count > MAX_WITNESSES { Err(malformed(&format!("it has {count} log entries or time stamps"))) } else { Ok(()) }
}

/// The signature alone.
fn ensure_signed(bundle: &Bundle, message: &[u8], info: &CertificateInfo) -> Result<(), Reason> {
    let signature = match &bundle.content {
        SignatureContent::MessageSignature(content) => &content.signature,
        SignatureContent::DsseEnvelope(envelope) => &envelope.signature.sig,
        _ => return Err(malformed("it holds an unknown kind of signature")),
    };
    let scheme = info.key_algorithm.default_signing_scheme();
    verify_signature(&info.public_key, message, signature, scheme).map_err(|_| Reason::Changed)
}

/// The certificate is the signer's own, or by an authority that has certified the signer.
fn ensure_certified(found: &DerCertificate, info: &CertificateInfo, own: &DerCertificate, above: &[DerCertificate]) -> Result<(), Reason> {
    let begin = u64::try_from(info.not_before.as_second()).unwrap_or_default();
    if found == own || certificates::is_issued_by(found, above, begin) {
        return Ok(());
    }
    Err(Reason::CertificateRoot { what: "another authority certified this signer".to_owned() })
}

fn signed_by(info: &CertificateInfo, log: Log) -> Result<SignedBy, Reason> {
    let identity = info.identity.as_ref().ok_or_else(|| malformed("its certificate names nobody"))?;
    let issuer = info.issuer.as_ref().ok_or_else(|| malformed("its certificate names no issuer"))?;
    Ok(SignedBy::Certificate {
        identity: identity.as_str().to_owned(),
        email: matches!(identity, SubjectAltName::Email(_)),
        issuer: issuer.clone(),
        log,
    })
}

fn log(bundle: &Bundle) -> Log {
    let entries = &bundle.verification_material.tlog_entries;
    match entries.first() {
        None => Log::Timestamp,
        Some(_) if entries.iter().all(|entry| entry.kind_version == KindVersion::HashedRekordV002) => Log::RekorV2,
        Some(_) => Log::RekorV1,
    }
}

/// Why a bundle does not pass, in our words.
pub(super) fn reason(error: &Error, bundle: &Bundle) -> Reason {
    let what = shown(&error.to_string());
    match error {
        Error::SignatureInvalid(_) => Reason::Changed,
        Error::Certificate(error) => certificate(error, what),
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => Reason::NoTime,
        Error::Timestamp(_) => Reason::TimeStamp { what },
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(words)) if words.contains("in the future") => Reason::Future { what },
        Error::TransparencyLog(TransparencyLogError::IntegratedTime(_)) => Reason::CertificateTime { what },
        // What a statement is about was compared before, so it is the entry that is about something else.
        Error::TransparencyLog(_) | Error::ArtifactMismatch(_) => Reason::LogEntry { what },
        Error::Bundle(_) => unwitnessed(bundle, what),
        _ => Reason::Malformed { what },
    }
}

fn certificate(error: &CertificateError, what: String) -> Reason {
    match error {
        CertificateError::NotYetValid { .. } | CertificateError::Expired { .. } => Reason::CertificateTime { what },
        // The path is built for the time of signing, so an expired certificate has no valid one.
        CertificateError::ChainInvalid(detail) if detail.contains("Expired") || detail.contains("NotValidYet") => {
            Reason::CertificateTime { what }
        }
        CertificateError::ChainInvalid(_) | CertificateError::NoValidAuthority { .. } => Reason::CertificateRoot { what },
        CertificateError::Sct(_) => Reason::CertificateLog { what },
        _ => Reason::Malformed { what },
    }
}

/// A bundle that lacks a part: what matters is whether anything tells the time.
fn unwitnessed(bundle: &Bundle, what: String) -> Reason {
    let material = &bundle.verification_material;
    let stamps = &material.timestamp_verification_data.rfc3161_timestamps;
    match (material.tlog_entries.is_empty(), stamps.is_empty()) {
        (true, true) => Reason::NoTime,
        (true, false) => Reason::LogEntry { what: "there is none, and the trusted root has a log".to_owned() },
        _ => Reason::LogEntry { what },
    }
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed { what: shown(what) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_certificate_that_was_over_from_one_of_others() {
        let of = |detail: &str| certificate(&CertificateError::ChainInvalid(detail.to_owned()), detail.to_owned()).to_string();
        assert!(of("certificate chain validation failed: CertExpired").contains("was not valid when it signed"));
        assert!(of("certificate chain validation failed: CertNotValidYet").contains("was not valid when it signed"));
        assert!(of("certificate chain validation failed: UnknownIssuer").contains("not from the trusted root"));
    }

    fn by(identity: &str, issuer: &str) -> SignedBy {
        SignedBy::Certificate { identity: identity.to_owned(), email: true, issuer: issuer.to_owned(), log: Log::RekorV1 }
    }

    #[test]
    fn names_both_sides_of_a_mismatch() {
        let who = |identity: &str, issuer: &str| CertificateIdentity {
            identity: Expected::exactly(identity),
            issuer: Expected::matching(issuer).unwrap(),
        };
        let word = Word::Certified { leaf: DerCertificate::new(Vec::new()), above: Vec::new() };
        let certificates = Certificates { whose: vec![who("a@x", "^https://one$"), who("b@x", "two")], by: word };
        for (identity, issuer, refusal) in [
            ("a@x", "https://one", None),
            ("b@x", "https://two", None),
            ("c@x", "https://one", Some("the certificate is for `c@x`, not for `a@x` or `b@x`")),
            ("a@x", "https://two", Some("the certificate's issuer is `https://two`, not /^https://one$/")),
        ] {
            let result = certificates.ensure_expected(&by(identity, issuer)).map_err(|reason| reason.to_string());
            assert_eq!(result.err().as_deref(), refusal);
        }
    }
}
