//! Who signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bundle::document;
use super::classic::image::SIGNATURE;
use super::{Algorithm, Format, PrivateKey, SignWarning, TrustError, Trusted};
use crate::oci::Annotations;

/// Somebody who can sign for both worlds.
#[derive(Debug)]
pub enum Signer {
    /// The holder of a private key.
    Key(PrivateKey),
}

impl Signer {
    /// Signs a classic payload: the annotations of its layer in the `.sig` image.
    pub(super) fn sign_payload(&self, payload: &[u8]) -> Result<Annotations, TrustError> {
        match self {
            Self::Key(key) => Ok(Annotations::from([(SIGNATURE.to_owned(), STANDARD.encode(key.sign(payload)?))])),
        }
    }

    /// Signs an in-toto statement: the Sigstore bundle, as JSON. By a key, equal statements give equal bytes.
    pub(super) fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, TrustError> {
        match self {
            Self::Key(key) => document::sign(statement, key, key.public().hint()),
        }
    }

    /// The worlds this signer writes for. A bundle by a key other than P-256 would be refused by some of those who read bundles,
    /// and a bundle that does not pass keeps cosign from looking at the classic signature.
    pub fn formats(&self) -> &'static [Format] {
        match self {
            Self::Key(key) if key.public().algorithm() == Algorithm::EcdsaP256Sha256 => &[Format::Classic, Format::Bundle],
            Self::Key(_) => &[Format::Classic],
        }
    }

    /// Whom this signer cannot satisfy.
    pub(super) fn limit(&self) -> Option<SignWarning> {
        match self {
            Self::Key(key) if self.formats() == [Format::Classic] => Some(SignWarning::ClassicOnly { algorithm: key.public().algorithm() }),
            Self::Key(_) => None,
        }
    }

    /// Trusts this signer and nobody else.
    pub fn trusted(&self) -> Trusted {
        match self {
            Self::Key(key) => Trusted { keys: vec![key.public()] },
        }
    }

    /// What commits and messages call the signer: the key's hint.
    pub fn name(&self) -> String {
        match self {
            Self::Key(key) => key.public().hint(),
        }
    }
}
