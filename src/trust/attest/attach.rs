//! Signs what is not said yet, and attaches it.
//!
//! Order: for each manifest the bundle signature if it is missing, then the bundles; the `.att` images last. The manifests of an
//! index come before the index. Whoever said the same before, in the same form, is not made to say it again.

use std::time::Duration;

use super::att;
use super::{Attached, AttachedAs, Attachment, AttestReport, AttestRequest, InvalidPredicate, Predicate, Reach};
use crate::oci::{Digest, ManifestRef};
use crate::trust::bundle::document::MAX_BUNDLE;
use crate::trust::bundle::{dsse, referrer};
use crate::trust::classic::rounds::{Job, Rounds, Settled};
use crate::trust::classic::{Place, Wanted};
use crate::trust::subject::{Subject, subjects};
use crate::trust::{Finding, Outcome, Says, SignReport, TrustError, Trusted, Verdict};

/// What a bundle holds beside the base64 of its statement: at most a certificate, log entries and time stamps.
const RESERVED: u64 = 32 << 10;
/// The largest statement, in bytes, whose bundle is read again.
const MAX_STATEMENT: u64 = (MAX_BUNDLE - RESERVED) / 4 * 3;

/// Attaches the predicates to the image. Doing it again adds nothing.
///
/// # Errors
/// [`TrustError::Unattested`] once the first of them may have been written; it tells what is in place.
pub fn attest(request: &AttestRequest<'_>) -> Result<AttestReport, TrustError> {
    attest_with(request, &std::thread::sleep)
}

/// The same with another way to wait.
pub(super) fn attest_with(request: &AttestRequest<'_>, pause: &dyn Fn(Duration)) -> Result<AttestReport, TrustError> {
    if request.format.has(AttachedAs::Bundle) {
        request.signer.ensure_bundles()?;
    }
    let subjects = chosen(request)?;
    let digest = request.manifest.digest();
    request.predicates.iter().try_for_each(|predicate| statement(request, digest, predicate).map(drop))?;
    subjects.iter().try_for_each(|subject| subject.fetch(request.store).map(drop))?;
    let mut attaching = Attaching { request, pause, own: request.signer.trusted()?, report: AttestReport::default() };
    match attaching.write(&subjects) {
        Ok(()) => Ok(attaching.report),
        Err(source) => Err(TrustError::Unattested { attached: Box::new(attaching.report), source: Box::new(source) }),
    }
}

/// The manifests that something is said about, the named one last.
fn chosen(request: &AttestRequest<'_>) -> Result<Vec<Subject>, TrustError> {
    let mut subjects = subjects(&request.manifest)?;
    if request.reach == Reach::Named {
        subjects.truncate(1);
    }
    subjects.rotate_left(1);
    Ok(subjects)
}

/// The statement in the bytes that are signed; refused where nobody would read its bundle.
fn statement(request: &AttestRequest<'_>, digest: Digest, predicate: &Predicate) -> Result<Vec<u8>, TrustError> {
    let statement = dsse::statement_about(dsse::Subject::of(digest).named(request.name), predicate.kind().uri(), &predicate.json())?;
    let (size, around) = (predicate.json().get().len() as u64, statement.len() - predicate.json().get().len());
    if statement.len() as u64 > MAX_STATEMENT {
        return Err(InvalidPredicate::TooLarge { size, limit: MAX_STATEMENT - around as u64 }.into());
    }
    Ok(statement)
}

struct Attaching<'a> {
    request: &'a AttestRequest<'a>,
    pause: &'a dyn Fn(Duration),
    /// Knows this signer's words again.
    own: Trusted,
    report: AttestReport,
}

impl Attaching<'_> {
    fn write(&mut self, subjects: &[Subject]) -> Result<(), TrustError> {
        if self.request.format.has(AttachedAs::Bundle) {
            subjects.iter().try_for_each(|subject| self.write_bundles(subject))?;
        }
        if self.request.format.has(AttachedAs::Att) {
            self.write_attached(subjects)?;
        }
        Ok(())
    }

    fn write_bundles(&mut self, subject: &Subject) -> Result<(), TrustError> {
        let known = self.request.just_signed.map(|report: &SignReport| report.bundles_of(subject.digest())).unwrap_or_default();
        let there = referrer::examine(self.request.store, subject.digest(), &self.own, &known)?;
        self.ensure_signed(subject, &there)?;
        for predicate in self.request.predicates {
            let (at, outcome) = match said(&there, predicate) {
                Some(at) => (at, Outcome::AlreadyThere),
                None => (
                    self.put_bundle(subject, predicate.kind().uri(), &statement(self.request, subject.digest(), predicate)?)?,
                    Outcome::Added,
                ),
            };
            self.push(subject, attestation(predicate.kind().uri(), AttachedAs::Bundle), ManifestRef::Digest(at), outcome);
        }
        Ok(())
    }

    /// To an image with bundles and without a bundle signature, verifiers of bundles say that it is not signed.
    fn ensure_signed(&mut self, subject: &Subject, there: &[Finding]) -> Result<(), TrustError> {
        if there.iter().any(Finding::is_accepted_signature) {
            return Ok(());
        }
        let at = self.put_bundle(subject, dsse::COSIGN_SIGN, &dsse::signature_statement(subject.digest())?)?;
        self.push(subject, Attached::Signature, ManifestRef::Digest(at), Outcome::Added);
        Ok(())
    }

    fn put_bundle(&self, subject: &Subject, predicate_type: &str, statement: &[u8]) -> Result<Digest, TrustError> {
        referrer::state(self.request.store, subject, self.request.signer, predicate_type, statement)
    }

    fn write_attached(&mut self, subjects: &[Subject]) -> Result<(), TrustError> {
        let jobs = subjects.iter().map(|subject| self.job(subject)).collect::<Result<_, _>>()?;
        let rounds = Rounds { store: self.request.store, signer: self.request.signer, own: &self.own, pause: self.pause };
        let mut done = Vec::new();
        let result = rounds.settle(jobs, &mut |settled| done.push(settled));
        for settled in done {
            self.push_attached(settled);
        }
        result
    }

    /// What is missing in a manifest's `.att` image; what is there is told at once.
    fn job(&mut self, subject: &Subject) -> Result<Job, TrustError> {
        let place = Place::of_attestations(subject);
        let there = att::examine_attached(self.request.store, subject.digest(), &self.own)?;
        let mut wanted = Vec::new();
        for predicate in self.request.predicates {
            if said(&there, predicate).is_some() {
                let what = attestation(predicate.kind().uri(), AttachedAs::Att);
                self.push(subject, what, place.tag.clone(), Outcome::AlreadyThere);
            } else {
                wanted.push(self.envelope(subject, predicate)?);
            }
        }
        Ok(Job { place, wanted })
    }

    fn envelope(&self, subject: &Subject, predicate: &Predicate) -> Result<Wanted, TrustError> {
        let (envelope, signers) = self.request.signer.sign_envelope(&statement(self.request, subject.digest(), predicate)?)?;
        let kind = predicate.kind().uri();
        Ok(Wanted::attestation(kind, envelope, att::annotations(kind, signers)))
    }

    fn push_attached(&mut self, settled: Settled) {
        let Settled { place: Place { subject, tag }, wanted, .. } = settled;
        for Wanted { identity, outcome, .. } in wanted {
            self.push(&subject, attestation(&identity, AttachedAs::Att), tag.clone(), outcome);
        }
    }

    fn push(&mut self, subject: &Subject, what: Attached, at: ManifestRef, outcome: Outcome) {
        let (digest, platform) = (subject.digest(), subject.platform.clone());
        self.report.attachments.push(Attachment { digest, platform, what, at, outcome });
    }
}

fn attestation(predicate_type: &str, as_what: AttachedAs) -> Attached {
    Attached::Attestation { predicate_type: predicate_type.to_owned(), as_what }
}

/// Where the signer has said this already.
fn said(findings: &[Finding], predicate: &Predicate) -> Option<Digest> {
    let says = |finding: &&Finding| match (&finding.says, &finding.verdict) {
        (Says::Attested { predicate_type, predicate: json }, Verdict::Accepted(_)) => predicate.is_said_by(predicate_type, json),
        _ => false,
    };
    findings.iter().find(says).map(|finding| finding.at)
}
