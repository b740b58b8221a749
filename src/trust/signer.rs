//! Who signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bundle::document;
use super::bundle::envelope::Envelope;
use super::classic::image::SIGNATURE;
use super::{Algorithm, Format, PrivateKey, Session, SignWarning, TrustError, Trusted};
use crate::oci::{Annotations, canonical};

/// Somebody who can sign for both worlds.
#[derive(Debug)]
pub enum Signer {
    /// The holder of a private key.
    Key(PrivateKey),
    /// The holder of an identity token.
    Keyless(Box<Session>),
}

impl Signer {
    /// Signs a classic payload: the annotations of its layer in the `.sig` image.
    pub(super) fn sign_payload(&self, payload: &[u8]) -> Result<Annotations, TrustError> {
        match self {
            Self::Key(key) => Ok(Annotations::from([(SIGNATURE.to_owned(), STANDARD.encode(key.sign(payload)?))])),
            Self::Keyless(session) => session.sign_message(payload),
        }
    }

    /// Signs an in-toto statement: the Sigstore bundle, as JSON. By a key, equal statements give equal bytes.
    pub(super) fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, TrustError> {
        match self {
            Self::Key(key) => document::sign(statement, key, key.public().hint()),
            Self::Keyless(session) => session.sign_statement(statement),
        }
    }

    /// The worlds this signer writes for. A bundle by a key other than P-256 would be refused by some of those who read bundles,
    /// and a bundle that does not pass keeps cosign from looking at the classic signature.
    pub fn formats(&self) -> &'static [Format] {
        match self {
            Self::Key(key) if key.public().algorithm() != Algorithm::EcdsaP256Sha256 => &[Format::Classic],
            Self::Keyless(session) if !session.has_classic() => &[Format::Bundle],
            Self::Key(_) | Self::Keyless(_) => &[Format::Classic, Format::Bundle],
        }
    }

    /// Says why nothing else may be attached as a bundle, where this signer writes no bundle signatures.
    ///
    /// # Errors
    /// [`TrustError::NoBundles`].
    pub fn ensure_bundles(&self) -> Result<(), TrustError> {
        match self {
            Self::Key(key) if !self.formats().contains(&Format::Bundle) => {
                Err(TrustError::NoBundles { algorithm: key.public().algorithm() })
            }
            Self::Key(_) | Self::Keyless(_) => Ok(()),
        }
    }

    /// Whom this signer cannot satisfy.
    pub(super) fn limit(&self) -> Option<SignWarning> {
        match (self, self.formats()) {
            (Self::Key(key), [Format::Classic]) => Some(SignWarning::ClassicOnly { algorithm: key.public().algorithm() }),
            (Self::Keyless(_), [Format::Bundle]) => Some(SignWarning::NoClassic),
            _ => None,
        }
    }

    /// Signs an in-toto statement for the `.att` image: the envelope as JSON, and its layer's annotations beside the statement's type.
    /// For a key there are none.
    pub(super) fn sign_envelope(&self, statement: &[u8]) -> Result<(Vec<u8>, Annotations), TrustError> {
        match self {
            Self::Key(key) => Ok((canonical::to_vec(&Envelope::sign(statement, key)?)?, Annotations::new())),
            Self::Keyless(_) => Err(TrustError::KeylessEnvelope),
        }
    }

    /// Trusts this signer and nobody else.
    ///
    /// # Errors
    /// Without a key, who signs is known when Fulcio has said so.
    pub fn trusted(&self) -> Result<Trusted, TrustError> {
        match self {
            Self::Key(key) => Ok(Trusted::keys(vec![key.public()])),
            Self::Keyless(session) => Ok(session.trusted()?),
        }
    }

    /// What commits and messages call the signer: the key's hint, or whom the token names.
    pub fn name(&self) -> String {
        match self {
            Self::Key(key) => key.public().hint(),
            Self::Keyless(session) => session.name(),
        }
    }
}
