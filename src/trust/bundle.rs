//! Sigstore bundles, version 0.3, made and checked with a key:
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>.
//!
//! Reading is as tolerant as protobuf's JSON (unknown members are skipped) and judges strictly: one signature, of one
//! statement, of the right kind, about the right manifest. cosign itself does not look at the predicate's type, so to it an
//! SBOM's attestation would pass for an image signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::dsse::Statement;
use super::reason::shown;
use super::{PrivateKey, PublicKey, Reason, Verdict, dsse};
use crate::oci::{Digest, canonical, media_type};

/// Larger bundles are refused unread, in bytes.
pub(super) const MAX_BUNDLE: u64 = 1 << 20;

/// Signs the statement "this manifest is signed". Equal input gives equal bytes.
pub(super) fn sign(digest: Digest, key: &PrivateKey) -> serde_json::Result<Vec<u8>> {
    let statement = dsse::signature_statement(digest)?;
    let signature = key.sign(&dsse::pae(dsse::PAYLOAD_TYPE, &statement));
    canonical::to_vec(&Bundle {
        media_type: media_type::BUNDLE.to_owned(),
        verification_material: Material::of_key(key.public().hint()),
        dsse_envelope: Some(Envelope {
            payload_type: dsse::PAYLOAD_TYPE.to_owned(),
            payload: STANDARD.encode(statement),
            signatures: vec![Signature { sig: STANDARD.encode(signature) }],
        }),
    })
}

/// Whether these bytes are a bundle by one of the keys that signs the manifest.
pub(super) fn judge(bytes: &[u8], digest: Digest, keys: &[PublicKey]) -> Verdict {
    match try_judge(bytes, digest, keys) {
        Ok(key) => Verdict::Accepted { key: key.hint(), identity: None },
        Err(reason) if reason.is_foreign() => Verdict::Other(reason),
        Err(reason) => Verdict::Refused(reason),
    }
}

fn try_judge<'k>(bytes: &[u8], digest: Digest, keys: &'k [PublicKey]) -> Result<&'k PublicKey, Reason> {
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let envelope = bundle.envelope()?;
    let payload = decode(&envelope.payload)?;
    let statement = read_statement(&payload)?;
    if bundle.verification_material.is_certificate() {
        return Err(Reason::Keyless);
    }
    let key = envelope.signer(&payload, keys)?.ok_or_else(|| bundle.verification_material.no_key_matches(keys))?;
    if !statement.is_about(digest) {
        return Err(Reason::WrongDigest { named: statement.subject() });
    }
    Ok(key)
}

fn read_statement(payload: &[u8]) -> Result<Statement, Reason> {
    let statement = Statement::parse(payload).map_err(|error| malformed(error.to_string()))?;
    // before the version: `cosign attest` writes statements of version 0.1, and they are not damaged
    if statement.predicate_type != dsse::COSIGN_SIGN {
        return Err(Reason::Attestation { predicate_type: shown(&statement.predicate_type) });
    }
    if !statement.is_v1() {
        return Err(malformed("it holds no in-toto statement of version 1"));
    }
    Ok(statement)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    #[serde(default)]
    dsse_envelope: Option<Envelope>,
}

impl Bundle {
    /// The envelope, if this is a bundle of the right version with a statement inside.
    fn envelope(&self) -> Result<&Envelope, Reason> {
        if self.media_type != media_type::BUNDLE {
            return Err(malformed(format!("`{}` is not a bundle of version 0.3", shown(&self.media_type))));
        }
        let envelope = self.dsse_envelope.as_ref().ok_or(Reason::MessageSignature)?;
        if envelope.payload_type != dsse::PAYLOAD_TYPE {
            return Err(malformed(format!("its payload is `{}`, not an in-toto statement", shown(&envelope.payload_type))));
        }
        Ok(envelope)
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<Hint>,
    #[serde(default, skip_serializing)]
    certificate: Option<IgnoredAny>,
    #[serde(default, skip_serializing, rename = "x509CertificateChain")]
    certificate_chain: Option<IgnoredAny>,
    // Never read, always written: what stands here is for keyless verification.
    #[serde(skip_deserializing)]
    tlog_entries: [(); 0],
    #[serde(skip_deserializing)]
    timestamp_verification_data: Nothing,
}

#[derive(Default, Serialize)]
struct Nothing {}

#[derive(Serialize, Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

impl Material {
    fn of_key(hint: String) -> Self {
        Self { public_key: Some(Hint { hint }), ..Self::default() }
    }

    fn is_certificate(&self) -> bool {
        self.certificate.is_some() || self.certificate_chain.is_some()
    }

    /// The hint is the signer's word, so it only helps to explain a failure.
    fn no_key_matches(&self, keys: &[PublicKey]) -> Reason {
        match &self.public_key {
            Some(Hint { hint }) if keys.iter().any(|key| key.hint() == *hint) => Reason::Changed,
            Some(Hint { hint }) if !hint.is_empty() => Reason::OtherKey { hint: shown(hint) },
            _ => Reason::NoKeyMatches,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload_type: String,
    payload: String,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// The key that made the one signature; none if it is by no given key.
    fn signer<'k>(&self, payload: &[u8], keys: &'k [PublicKey]) -> Result<Option<&'k PublicKey>, Reason> {
        let [signature] = self.signatures.as_slice() else {
            return Err(malformed(format!("it has {} signatures, not one", self.signatures.len())));
        };
        let (message, signature) = (dsse::pae(&self.payload_type, payload), decode(&signature.sig)?);
        Ok(keys.iter().find(|key| key.verify(&message, &signature)))
    }
}

#[derive(Serialize, Deserialize)]
struct Signature {
    sig: String,
}

fn decode(text: &str) -> Result<Vec<u8>, Reason> {
    STANDARD.decode(text).map_err(|_| malformed("its base64 is damaged"))
}

fn malformed(what: impl AsRef<str>) -> Reason {
    Reason::Malformed { what: shown(what.as_ref()) }
}

#[cfg(test)]
mod tests;
