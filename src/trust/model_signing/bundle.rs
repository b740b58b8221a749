//! Model signatures as Sigstore bundles: by a key, by a certificate, keyless.
//!
//! The three differ in what says whose signature it is. A key's hint is not Sigstore's: model_signing refuses a bundle whose hint
//! is not the hexadecimal SHA-256 of the key's PEM text, so one bundle cannot be both an image signature and a model signature.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::statement::Statement;
use super::{Authorities, CertificateChain, InvalidCertificate, InvalidStatement, ModelSigningError};
use crate::oci::{Digest, canonical, media_type};
use crate::trust::bundle::{document, dsse};
use crate::trust::{Algorithm, PublicKey, Reason, SignedBy, Signer, Trusted, Verdict};

/// Who signs a model.
#[derive(Clone, Debug)]
pub struct ModelSigner<'a> {
    pub(super) signer: &'a Signer,
    chain: Option<CertificateChain>,
}

impl<'a> ModelSigner<'a> {
    /// By the key, or keyless where the signer is.
    pub fn new(signer: &'a Signer) -> Self {
        Self { signer, chain: None }
    }

    /// By the key, with its certificate and those above it.
    ///
    /// # Errors
    /// The first certificate is for another key.
    pub fn with_chain(signer: &'a Signer, chain: CertificateChain) -> Result<Self, ModelSigningError> {
        let Signer::Key(key) = signer else { return Err(ModelSigningError::ChainWithoutKey) };
        match chain.key() {
            Ok(certified) if certified == key.public() => Ok(Self { signer, chain: Some(chain) }),
            _ => Err(ModelSigningError::OtherKey),
        }
    }

    /// Whether it signs by certificate.
    pub(super) fn has_chain(&self) -> bool {
        self.chain.is_some()
    }

    /// Signs a statement: the bundle, as JSON. By a key, equal statements give equal bytes.
    pub(super) fn sign(&self, statement: &[u8]) -> Result<Vec<u8>, ModelSigningError> {
        let key = match self.signer {
            Signer::Keyless(_) => return Ok(self.signer.sign_statement(statement)?),
            Signer::Key(key) => key,
        };
        if key.public().algorithm() != Algorithm::EcdsaP256Sha256 {
            return Err(ModelSigningError::Algorithm);
        }
        let bundle = document::sign(statement, key, hint(&key.public()))?;
        match &self.chain {
            None => Ok(bundle),
            Some(chain) => Ok(certified(&bundle, chain)?),
        }
    }
}

/// The hint of a key in a model signature.
pub(super) fn hint(key: &PublicKey) -> String {
    Digest::of(key.to_pem().as_bytes()).hex()
}

/// The same bundle, with a chain in place of the hint.
fn certified(bundle: &[u8], chain: &CertificateChain) -> serde_json::Result<Vec<u8>> {
    let mut bundle: serde_json::Value = serde_json::from_slice(bundle)?;
    let certificates = chain.certificates().iter().map(|der| Certificate { raw_bytes: STANDARD.encode(der) }).collect();
    bundle["verificationMaterial"] =
        serde_json::json!({"x509CertificateChain": Chain { certificates }, "tlogEntries": [], "timestampVerificationData": {}});
    canonical::to_vec(&bundle)
}

/// Whose model signatures count.
#[derive(Clone, Copy, Debug)]
pub struct ModelTrust<'a> {
    /// Holders of keys and identities.
    pub trusted: &'a Trusted,
    /// Whoever has a certificate of these.
    pub authorities: &'a Authorities,
}

/// Who signed a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelAuthor {
    /// The holder of a key or an identity that is trusted itself.
    Trusted(SignedBy),
    /// The holder of a certificate of a trusted authority.
    Certificate {
        /// The certificate's subject, such as `CN=models,O=Example`.
        subject: String,
    },
}

/// Why a model signature does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleRefusal {
    /// It is damaged, or by nobody who is trusted.
    #[error(transparent)]
    Signature(#[from] Reason),
    /// Its certificates do not count.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// What it says breaks the rules.
    #[error(transparent)]
    Statement(#[from] InvalidStatement),
}

/// Reads a bundle: what is signed, and by whom who is trusted.
pub(super) fn open(bytes: &[u8], trust: &ModelTrust<'_>, now: SystemTime) -> Result<(Statement, ModelAuthor), BundleRefusal> {
    let bundle = Bundle::parse(bytes)?;
    let payload = bundle.payload()?;
    let statement = Statement::parse(&payload)?;
    let author = match bundle.verification_material.x509_certificate_chain {
        Some(_) => bundle.certified_author(&payload, trust.authorities, now)?,
        None => ModelAuthor::Trusted(trusted_author(bytes, &statement, trust.trusted, &bundle)?),
    };
    Ok((statement, author))
}

/// What a bundle says, without asking who says it.
pub(super) fn statement(bytes: &[u8]) -> Result<Statement, BundleRefusal> {
    Ok(Statement::parse(&Bundle::parse(bytes)?.payload()?)?)
}

/// Whether a bundle says something about a model at all.
pub(super) fn is_model_signature(bytes: &[u8]) -> bool {
    use BundleRefusal::{Signature, Statement};
    !matches!(statement(bytes), Err(Statement(InvalidStatement::OtherPredicate { .. }) | Signature(Reason::MessageSignature)))
}

/// A model signature is a statement about the model's root digest, and is judged like one about an image.
fn trusted_author(bytes: &[u8], statement: &Statement, trusted: &Trusted, bundle: &Bundle) -> Result<SignedBy, Reason> {
    match document::judge(bytes, statement.root, trusted).1 {
        Verdict::Accepted(proof) => Ok(proof.by),
        Verdict::Refused(Reason::OtherKey { .. }) if bundle.names_one_of(&trusted.keys) => Err(Reason::Changed),
        Verdict::Refused(reason) | Verdict::Other(reason) => Err(reason),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<Hint>,
    #[serde(rename = "x509CertificateChain")]
    x509_certificate_chain: Option<Chain>,
}

#[derive(Deserialize)]
struct Hint {
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Chain {
    certificates: Vec<Certificate>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

impl Bundle {
    fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        serde_json::from_slice(bytes).map_err(|error| Reason::malformed(&error.to_string()))
    }

    fn envelope(&self) -> Result<&Envelope, Reason> {
        self.dsse_envelope.as_ref().ok_or(Reason::MessageSignature)
    }

    fn payload(&self) -> Result<Vec<u8>, Reason> {
        decode(&self.envelope()?.payload)
    }

    /// Whether the hint is that of one of these keys.
    fn names_one_of(&self, keys: &[PublicKey]) -> bool {
        let named = self.verification_material.public_key.as_ref().and_then(|key| key.hint.as_ref());
        named.is_some_and(|named| keys.iter().any(|key| hint(key) == *named))
    }

    fn certified_author(&self, payload: &[u8], authorities: &Authorities, now: SystemTime) -> Result<ModelAuthor, BundleRefusal> {
        let envelope = self.envelope()?;
        let chain = self.verification_material.x509_certificate_chain.iter().flat_map(|chain| &chain.certificates);
        let chain = CertificateChain::of_der(chain.map(|certificate| decode(&certificate.raw_bytes)).collect::<Result<_, _>>()?)?;
        chain.verify(authorities, now)?;
        let signature = envelope.signature(&self.media_type)?;
        let message = dsse::pae(dsse::PAYLOAD_TYPE, payload);
        chain.key()?.verify(&message, &signature).ok_or(Reason::Changed)?;
        Ok(ModelAuthor::Certificate { subject: chain.subject()? })
    }
}

impl Envelope {
    /// The one signature of an envelope of the right kind, which `document` finds out for itself for other methods.
    fn signature(&self, bundle_type: &str) -> Result<Vec<u8>, Reason> {
        if bundle_type != media_type::BUNDLE || self.payload_type != dsse::PAYLOAD_TYPE {
            return Err(Reason::malformed("it is not a bundle of version 0.3 with a statement in it"));
        }
        match self.signatures.as_slice() {
            [signature] => decode(&signature.sig),
            more => Err(Reason::malformed(&format!("it has {} signatures, not one", more.len()))),
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|_| Reason::malformed("its base64 is damaged"))
}

#[cfg(test)]
mod tests;
