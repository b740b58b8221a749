//! What policies need of a Sigstore trusted root: the certificates of its authorities and the keys of its logs, as PEM
//! (<https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::EmitError;
use crate::trust::reason::shown;
use crate::trust::{CertificateIdentity, Expected, keys};

/// The longest value in OpenShift's policies, in characters of base64.
const MAX_DATA: usize = 8192;

/// A trusted root's authorities and logs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustedRoot {
    #[serde(default)]
    certificate_authorities: Vec<Authority>,
    #[serde(default)]
    tlogs: Vec<Log>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authority {
    cert_chain: Chain,
}

#[derive(Debug, Deserialize)]
struct Chain {
    certificates: Vec<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    public_key: Bytes,
}

/// DER in base64.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bytes {
    raw_bytes: String,
}

impl TrustedRoot {
    /// Reads `trusted_root.json`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &[u8]) -> Result<Self, EmitError> {
        serde_json::from_slice(json).map_err(|error| EmitError::Root { what: format!("cannot be read: {}", shown(&error.to_string())) })
    }

    /// All certificates of the authorities.
    pub(super) fn fulcio(&self) -> Result<String, EmitError> {
        let certificates = self.certificate_authorities.iter().flat_map(|authority| &authority.cert_chain.certificates);
        pem("CERTIFICATE", "names no certificate authority", certificates)
    }

    /// The keys of the logs.
    pub(super) fn rekor(&self) -> Result<String, EmitError> {
        pem("PUBLIC KEY", "names no transparency log, which podman and CRI-O ask for", self.tlogs.iter().map(|log| &log.public_key))
    }
}

fn pem<'b>(label: &str, lacking: &str, list: impl Iterator<Item = &'b Bytes>) -> Result<String, EmitError> {
    let damaged = |_| EmitError::Root { what: "has damaged base64".to_owned() };
    let block = |bytes: &Bytes| STANDARD.decode(&bytes.raw_bytes).map_err(damaged).map(|der| keys::to_pem(label, &der));
    let blocks = list.map(block).collect::<Result<Vec<String>, _>>()?;
    if blocks.is_empty() { Err(EmitError::Root { what: lacking.to_owned() }) } else { Ok(blocks.concat()) }
}

/// OpenShift's limit for a value.
pub(super) fn small_enough(what: &str, data: String) -> Result<String, EmitError> {
    if data.len() <= MAX_DATA {
        return Ok(data);
    }
    Err(EmitError::Root {
        what: format!("is too large for OpenShift: {what} have {} characters, at most {MAX_DATA} are taken", data.len()),
    })
}

/// An identity that podman and CRI-O can be told.
#[derive(Debug)]
pub(super) struct Subject<'a> {
    pub(super) email: &'a str,
    pub(super) issuer: &'a str,
}

/// An e-mail address and its issuer, both as they are.
pub(super) fn email<'a>(what: &'static str, identity: &'a CertificateIdentity) -> Result<Subject<'a>, EmitError> {
    let exact =
        |expected: &'a Expected| expected.text().map_err(|expression| EmitError::Expression { what, expression: shown(expression) });
    let (email, issuer) = (exact(&identity.identity)?, exact(&identity.issuer)?);
    let is_email =
        !email.contains(char::is_whitespace) && !email.contains("://") && email.split('@').filter(|part| !part.is_empty()).count() == 2;
    if is_email { Ok(Subject { email, issuer }) } else { Err(EmitError::NoEmail { identity: shown(email) }) }
}
