//! Sigstore bundles, version 0.3, made and checked with a key:
//! <https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>.
//!
//! Reading is as tolerant as protobuf's JSON (unknown members are skipped) and judges strictly: one signature, of one
//! statement, about the right manifest. What the statement says stands in the finding: cosign itself does not look at the
//! predicate's type, so to it an SBOM's attestation would pass for an image signature.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::dsse;
use super::envelope::{Envelope, Sealed};
use crate::oci::{Digest, canonical, media_type};
use crate::trust::reason::shown;
use crate::trust::{PrivateKey, Proof, Reason, Says, SignedBy, TrustError, Trusted, Verdict};

/// Larger bundles are refused unread, in bytes.
pub(in crate::trust) const MAX_BUNDLE: u64 = 1 << 20;

/// What bundles called themselves before version 0.3.
const OLDER: [&str; 2] = ["application/vnd.dev.sigstore.bundle+json;version=0.1", "application/vnd.dev.sigstore.bundle+json;version=0.2"];

/// Signs a statement. `hint` tells verifiers which key it was; equal input gives equal bytes.
pub(in crate::trust) fn sign(statement: &[u8], key: &PrivateKey, hint: String) -> Result<Vec<u8>, TrustError> {
    Ok(canonical::to_vec(&Bundle {
        media_type: media_type::BUNDLE.to_owned(),
        verification_material: Material::of_key(hint),
        dsse_envelope: Some(Envelope::sign(statement, key)?),
    })?)
}

/// What a bundle says, and whether one of the trusted says it of this manifest.
pub(in crate::trust) fn judge(bytes: &[u8], digest: Digest, trusted: &Trusted) -> (Says, Verdict) {
    match Opened::read(bytes) {
        Ok(opened) => {
            let verdict = opened.judge(bytes, digest, trusted);
            (opened.says(), verdict)
        }
        Err(reason) if reason.is_foreign() => (Says::Unknown, Verdict::Other(reason)),
        Err(reason) => (Says::Unknown, Verdict::Refused(reason)),
    }
}

/// A bundle with its statement.
struct Opened {
    material: Material,
    sealed: Sealed,
}

impl Opened {
    fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let bundle: Bundle = serde_json::from_slice(bytes).map_err(|error| no_bundle(error.to_string()))?;
        check_version(&bundle.media_type, &bundle.verification_material)?;
        let sealed = Sealed::open(bundle.dsse_envelope.ok_or(Reason::MessageSignature)?)?;
        Ok(Self { material: bundle.verification_material, sealed })
    }

    fn judge(&self, bytes: &[u8], digest: Digest, trusted: &Trusted) -> Verdict {
        match self.try_judge(bytes, digest, trusted) {
            Ok(by) => Verdict::Accepted(Proof { by, name: None }),
            Err(reason) if reason.is_foreign() => Verdict::Other(reason),
            Err(reason) => Verdict::Refused(reason),
        }
    }

    fn try_judge(&self, bytes: &[u8], digest: Digest, trusted: &Trusted) -> Result<SignedBy, Reason> {
        if self.material.is_certificate() {
            return self.try_judge_keyless(bytes, digest, trusted);
        }
        if trusted.keys.is_empty() {
            return Err(Reason::ByKey);
        }
        let by = self.sealed.signer(trusted)?.ok_or_else(|| self.material.no_key_matches(trusted))?;
        self.sealed.check_subject(digest)?;
        Ok(by)
    }

    fn try_judge_keyless(&self, bytes: &[u8], digest: Digest, trusted: &Trusted) -> Result<SignedBy, Reason> {
        let certificates = trusted.certificates.as_ref().ok_or(Reason::Keyless)?;
        self.sealed.check_subject(digest)?;
        certificates.judge_bundle(bytes, &self.sealed.payload, digest)
    }

    fn says(self) -> Says {
        match self.sealed.statement {
            statement if statement.predicate_type == dsse::COSIGN_SIGN => Says::Signed,
            statement => Says::Attested { predicate_type: statement.predicate_type, predicate: statement.predicate },
        }
    }
}

/// Version 0.3; those before it had only certificates.
fn check_version(media_type: &str, material: &Material) -> Result<(), Reason> {
    if media_type == media_type::BUNDLE || (material.is_certificate() && OLDER.contains(&media_type)) {
        return Ok(());
    }
    Err(no_bundle(format!("`{}` is not version 0.3", shown(media_type))))
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    #[serde(default)]
    dsse_envelope: Option<Envelope>,
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
    fn no_key_matches(&self, trusted: &Trusted) -> Reason {
        match &self.public_key {
            Some(Hint { hint }) if trusted.keys.iter().any(|key| key.hint() == *hint) => Reason::Changed,
            Some(Hint { hint }) if !hint.is_empty() => Reason::OtherKey { hint: shown(hint) },
            _ => Reason::NoKeyMatches,
        }
    }
}

fn no_bundle(what: impl AsRef<str>) -> Reason {
    Reason::NoBundle { what: shown(what.as_ref()) }
}

#[cfg(test)]
mod tests;
