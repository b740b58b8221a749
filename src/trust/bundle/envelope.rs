//! A DSSE envelope around an in-toto statement: what a bundle holds, and what a layer of an `.att` image is.
//! <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::dsse::{self, Statement};
use crate::oci::Digest;
use crate::trust::reason::shown;
use crate::trust::{PrivateKey, Reason, SignedBy, TrustError, Trusted};

/// A statement as bytes, and who signed it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::trust) struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    sig: String,
}

impl Envelope {
    /// Signs a statement with a key.
    pub(in crate::trust) fn sign(statement: &[u8], key: &PrivateKey) -> Result<Self, TrustError> {
        let signature = key.sign(&dsse::pae(dsse::PAYLOAD_TYPE, statement))?;
        Ok(Self {
            payload_type: dsse::PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(statement),
            signatures: vec![Signature { sig: STANDARD.encode(signature) }],
        })
    }
}

/// An envelope and the statement in it. Nothing of it is believed yet.
pub(in crate::trust) struct Sealed {
    envelope: Envelope,
    pub(in crate::trust) payload: Vec<u8>,
    pub(in crate::trust) statement: Statement,
}

impl Sealed {
    /// Opens an envelope that holds a statement of a known version.
    pub(in crate::trust) fn open(envelope: Envelope) -> Result<Self, Reason> {
        if envelope.payload_type != dsse::PAYLOAD_TYPE {
            return Err(malformed(format!("its payload is `{}`, not an in-toto statement", shown(&envelope.payload_type))));
        }
        let payload = decode(&envelope.payload)?;
        let statement = Statement::parse(&payload).map_err(|error| malformed(error.to_string()))?;
        if !statement.is_known() {
            return Err(malformed("it holds no in-toto statement of version 1"));
        }
        Ok(Self { envelope, payload, statement })
    }

    /// Who made the one signature; none if nobody did who is trusted.
    pub(in crate::trust) fn signer(&self, trusted: &Trusted) -> Result<Option<SignedBy>, Reason> {
        let [signature] = self.envelope.signatures.as_slice() else {
            return Err(malformed(format!("it has {} signatures, not one", self.envelope.signatures.len())));
        };
        let (message, signature) = (dsse::pae(&self.envelope.payload_type, &self.payload), decode(&signature.sig)?);
        Ok(trusted.signer(&message, &signature))
    }

    /// Refuses a statement about something else.
    pub(in crate::trust) fn check_subject(&self, digest: Digest) -> Result<(), Reason> {
        if self.statement.is_about(digest) { Ok(()) } else { Err(Reason::WrongDigest { named: self.statement.subject() }) }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|_| malformed("its base64 is damaged"))
}

/// What is wrong with a document, in a stranger's words cut short.
pub(in crate::trust) fn malformed(what: impl AsRef<str>) -> Reason {
    Reason::Malformed { what: shown(what.as_ref()) }
}
