//! What `ship` and `build` do with an image that is public: sign it, attest it, and check it as a consumer would.

use super::attesting::{AttestingArgs, SignedImage, Story};
use super::resolve::Found;
use super::verify::accept;
use super::{CliError, sign};
use crate::oci::{Location, Timestamp};
use crate::report::{Ui, timed, trust};
use crate::trust::attest::AttestReport;
use crate::trust::{
    Consumer, Format, Judgement, Scope, SignReport, SignWarning, SignedBy, Signer, Verdict, VerifyReport, VerifyRequest, verify,
};

/// Who signs what.
pub(super) struct Proving<'a> {
    pub(super) found: &'a Found,
    /// The names under which consumers know the image.
    pub(super) identities: &'a [String],
    pub(super) signer: &'a Signer,
    pub(super) attesting: &'a AttestingArgs,
    pub(super) story: &'a Story,
}

impl Proving<'_> {
    /// Signs what was stored, by its digest; the attestations come behind the bundle signature. Tells which there are.
    ///
    /// # Errors
    /// [`CliError::Unsigned`] and [`CliError::Unattested`] tell what is public.
    pub(super) fn run(&self, ui: &Ui) -> Result<AttestReport, CliError> {
        let Self { found, identities, signer, .. } = self;
        let (signed, time) = timed(|| sign::sign_found(found, identities, signer, Scope::All)).map_err(|error| self.unsigned(error))?;
        signed.warnings.iter().for_each(|warning| ui.warn(warning));
        ui.step("sign", sign::summary(&signed), time);
        let attested = self
            .attesting
            .attach(ui, &SignedImage { found, signer, signed: &signed, story: self.story })
            .map_err(|error| unattested(found, error))?;
        let (report, time) = timed(|| self.verify(&signed)).map_err(|error| self.unsigned(error))?;
        accept(found, &report)?;
        if !signed.warnings.iter().any(|warning| matches!(warning, SignWarning::NoClassic | SignWarning::ClassicOnly { .. })) {
            for text in refused_by(&report) {
                ui.warn(text);
            }
        }
        ui.step("verify", trust::verified(&report), time);
        Ok(attested)
    }

    /// Checks what was signed, for the usual consumers among those whom this signer can satisfy at all.
    fn verify(&self, signed: &SignReport) -> Result<VerifyReport, CliError> {
        let mut report = verify(&VerifyRequest {
            store: self.found.store.as_ref(),
            manifest: self.found.manifest.clone(),
            trusted: &self.signer.trusted()?,
            identity: self.identities.first().map(String::as_str),
            consumers: &[],
            required: &[],
            now: Timestamp::now(),
            layers: None,
            just_signed: Some(signed),
        })?;
        report.named = satisfied(self.signer.formats(), signed_by(&report));
        Ok(report)
    }

    fn unsigned(&self, source: CliError) -> CliError {
        unsigned(self.found, source)
    }
}

/// The error of an image that is public and not signed.
pub(super) fn unsigned(found: &Found, source: CliError) -> CliError {
    CliError::Unsigned { image: public_name(found), source: Box::new(source) }
}

/// The error of an image that is public and signed.
pub(super) fn unattested(found: &Found, source: CliError) -> CliError {
    CliError::Unattested { image: public_name(found), source: Box::new(source) }
}

/// Who made the signatures that pass.
fn signed_by(report: &VerifyReport) -> Option<&SignedBy> {
    let findings = report.manifests.iter().flat_map(|manifest| manifest.classic.iter().chain(&manifest.bundles));
    findings.into_iter().find_map(|finding| match &finding.verdict {
        Verdict::Accepted(proof) => Some(&proof.by),
        Verdict::Refused(_) | Verdict::Other(_) => None,
    })
}

/// The usual consumers whom a signature in these formats can satisfy: nobody is told that signing failed because of the kind of key
/// they chose. OpenShift trusts keyless signatures of e-mail addresses alone; cosign reads bundles where there are any.
fn satisfied(formats: &[Format], by: Option<&SignedBy>) -> Vec<Consumer> {
    let nameless = matches!(by, Some(SignedBy::Certificate { email: false, .. }));
    let is_satisfied = |consumer: &Consumer| match consumer {
        Consumer::OpenShift => formats.contains(&Format::Classic) && !nameless,
        _ => formats.contains(&Format::Bundle),
    };
    Consumer::DEFAULT.into_iter().filter(is_satisfied).collect()
}

/// Which of the usual consumers would refuse the image all the same, and why.
fn refused_by(report: &VerifyReport) -> Vec<String> {
    let is_left_out =
        |judgement: &&Judgement| Consumer::DEFAULT.contains(&judgement.consumer) && !report.named.contains(&judgement.consumer);
    let refusals =
        report.judgements.iter().filter(is_left_out).filter_map(|judgement| Some((judgement.consumer, judgement.refusals.first()?)));
    refusals.map(|(consumer, refused)| format!("{consumer} would refuse it: {}", refused.objection)).collect()
}

/// The image as the user can sign it later: tag and digest where it has both.
fn public_name(found: &Found) -> String {
    match &found.location {
        Location::Registry(reference) => reference.pinned(found.manifest.digest()).to_string(),
        location => location.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Algorithm, Log};

    #[test]
    fn a_signer_is_held_to_what_it_can_give() {
        let key = |algorithm| SignedBy::Key { hint: String::new(), algorithm };
        let certificate = |email, log| SignedBy::Certificate { identity: String::new(), email, issuer: String::new(), log };
        let (both, classic, bundle) = (&[Format::Classic, Format::Bundle][..], &[Format::Classic][..], &[Format::Bundle][..]);
        for (formats, by, consumers) in [
            (both, Some(key(Algorithm::EcdsaP256Sha256)), &Consumer::DEFAULT[..]),
            (classic, Some(key(Algorithm::EcdsaP384Sha256)), &[Consumer::OpenShift]),
            (classic, Some(key(Algorithm::RsaSha256)), &[Consumer::OpenShift]),
            (both, Some(certificate(true, Log::RekorV1)), &Consumer::DEFAULT),
            (both, Some(certificate(false, Log::RekorV1)), &[Consumer::CosignV3]),
            (bundle, Some(certificate(true, Log::RekorV2)), &[Consumer::CosignV3]),
            (bundle, Some(certificate(false, Log::Timestamp)), &[Consumer::CosignV3]),
            // where nothing passes, all are asked, and say why not
            (both, None, &Consumer::DEFAULT),
        ] {
            assert_eq!(satisfied(formats, by.as_ref()), consumers, "{formats:?} {by:?}");
        }
    }
}
