//! Checking an image with public keys, in both worlds.
//!
//! podman and OpenShift read only the classic signatures. cosign 3 reads only bundles as soon as one is there. An image is
//! verified if both would let it through: for what the reference names and, in an index, for each platform.

use std::collections::HashSet;
use std::fmt;

use super::bundle::referrer;
use super::classic::{self, identity};
use super::subject::{Subject, subjects};
use super::{Finding, Format, ManifestEvidence, Proof, Reason, Says, SignReport, TrustError, Trusted, Verdict, fetch};
use crate::oci::{Digest, Platform, RawManifest, Reference};
use crate::store::Store;

/// What to check, with which keys.
pub struct VerifyRequest<'a> {
    /// Where the image and its signatures are.
    pub store: &'a dyn Store,
    /// The image or index, as resolved by the caller.
    pub manifest: RawManifest,
    /// Whose signatures count.
    pub trusted: &'a Trusted,
    /// The reference as asked for, `host/repo:tag` or `host/repo@digest`; without one, any name in a signature will do.
    pub identity: Option<&'a str>,
    /// What [`sign`](super::sign()) has just written here. Quay shows a new referrer up to 60 s late, so bundles that are known
    /// are read by digest.
    pub just_signed: Option<&'a SignReport>,
}

/// All that was found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// What the reference names, then the manifests of an index.
    pub manifests: Vec<ManifestEvidence>,
}

/// Why an image is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of which manifest.
    pub digest: Digest,
    /// Its platform, for a manifest in an index.
    pub platform: Option<Platform>,
    /// In which world; none if the manifest itself is the problem.
    pub format: Option<Format>,
    /// Why.
    pub reason: Reason,
}

/// Looks at every signature of the image and of each manifest in an index.
///
/// # Errors
/// Only if it could not be found out. A signature that does not pass is in the report.
pub fn verify(request: &VerifyRequest<'_>) -> Result<VerifyReport, TrustError> {
    if request.trusted.is_nobody() {
        return Err(TrustError::NoKey);
    }
    let asked = request.identity.map(identity::asked).transpose()?;
    let subjects = subjects(&request.manifest)?;
    let manifests = subjects.iter().map(|subject| examine(request, subject, asked.as_ref()));
    Ok(VerifyReport { manifests: manifests.collect::<Result<_, _>>()? })
}

fn examine(request: &VerifyRequest<'_>, subject: &Subject, asked: Option<&Reference>) -> Result<ManifestEvidence, TrustError> {
    let (store, digest) = (request.store, subject.digest());
    let known = request.just_signed.map(|report| report.bundles_of(digest)).unwrap_or_default();
    Ok(ManifestEvidence {
        digest,
        platform: subject.platform.clone(),
        present: fetch::manifest(store, &subject.descriptor)?.is_ok(),
        classic: named(classic::examine(store, digest, request.trusted)?, asked),
        bundles: referrer::examine(store, digest, request.trusted, &known)?,
    })
}

/// Good signatures under another name than the one asked for are none.
fn named(mut findings: Vec<Finding>, asked: Option<&Reference>) -> Vec<Finding> {
    let Some(asked) = asked else { return findings };
    for finding in &mut findings {
        let Verdict::Accepted(Proof { name: Some(name), .. }) = &finding.verdict else { continue };
        if let Err(reason) = identity::check(asked, name) {
            finding.verdict = Verdict::Refused(reason);
        }
    }
    findings
}

impl VerifyReport {
    /// Empty if the image is verified.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.manifests.iter().flat_map(ManifestEvidence::refusals).collect()
    }
}

impl ManifestEvidence {
    fn refusals(&self) -> Vec<Refusal> {
        if !self.present {
            return vec![self.refusal(None, Reason::NoManifest)];
        }
        let why = |format, findings| reasons(findings).into_iter().map(move |reason| self.refusal(Some(format), reason));
        why(Format::Classic, &self.classic).chain(why(Format::Bundle, &self.bundles)).collect()
    }

    fn refusal(&self, format: Option<Format>, reason: Reason) -> Refusal {
        Refusal { digest: self.digest, platform: self.platform.clone(), format, reason }
    }
}

/// One good signature is enough; otherwise each different reason once, the bad signatures before those of another kind.
fn reasons(findings: &[Finding]) -> Vec<Reason> {
    let (mut refused, mut other) = (Vec::new(), Vec::new());
    for finding in findings {
        match &finding.verdict {
            _ if let Says::Attested { predicate_type, .. } = &finding.says => other.push(Reason::attestation(predicate_type)),
            Verdict::Accepted(_) => return Vec::new(),
            Verdict::Refused(reason) => refused.push(reason.clone()),
            Verdict::Other(reason) => other.push(reason.clone()),
        }
    }
    if refused.is_empty() {
        refused.push(Reason::NoSignature);
    }
    let mut seen = HashSet::new();
    refused.into_iter().chain(other).filter(|reason| seen.insert(reason.to_string())).collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.digest)?;
        self.platform.iter().try_for_each(|platform| write!(f, " ({platform})"))?;
        self.format.iter().try_for_each(|format| write!(f, ", {format}"))?;
        write!(f, ": {}", self.reason)
    }
}

#[cfg(test)]
mod tests;
