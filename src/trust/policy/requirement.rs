//! What must be attested about an image, and whether it is.

use super::{AttestationKind, Rule, Unmet};
use crate::oci::Timestamp;
use crate::trust::{Finding, ManifestEvidence, Says, Verdict};

/// An attestation that must be there, by somebody trusted, and what it must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    kind: AttestationKind,
    rules: Vec<Rule>,
}

impl Requirement {
    /// It must be there.
    pub fn new(kind: AttestationKind) -> Self {
        Self { kind, rules: Vec::new() }
    }

    /// What must be attested.
    pub fn kind(&self) -> &AttestationKind {
        &self.kind
    }

    /// And it must pass this rule too.
    ///
    /// # Errors
    /// The rule says nothing about this kind of attestation.
    pub fn with(mut self, rule: Rule) -> Result<Self, String> {
        if !rule.applies_to(&self.kind) {
            return Err(format!("this rule says nothing about {}", self.kind));
        }
        self.rules.push(rule);
        Ok(self)
    }

    /// The statement that meets it, about the manifest that the reference names; or, where each platform of an index has one, that of
    /// the first. One attestation has to pass all rules; others of its kind do no harm.
    ///
    /// # Errors
    /// Why none does, in the words for the manifest that the reference names.
    pub fn met_by<'a>(&'a self, manifests: &'a [ManifestEvidence], now: Timestamp) -> Result<&'a Finding, Unmet> {
        let missing = || Unmet::Missing { kind: self.kind.clone() };
        let (image, platforms) = manifests.split_first().ok_or_else(missing)?;
        self.met_in(image, now).or_else(|unmet| {
            let each = platforms.iter().map(|platform| self.met_in(platform, now)).collect::<Result<Vec<_>, _>>();
            each.ok().and_then(|each| each.first().copied()).ok_or(unmet)
        })
    }

    fn met_in<'a>(&'a self, manifest: &'a ManifestEvidence, now: Timestamp) -> Result<&'a Finding, Unmet> {
        let mut unmet = None;
        for finding in self.kind.among(manifest) {
            match self.judge(finding, now) {
                Ok(()) => return Ok(finding),
                // what the trusted say explains more than what others say
                Err(reason) if matches!(finding.verdict, Verdict::Accepted(_)) => prefer(&mut unmet, reason),
                Err(reason) => unmet = unmet.or(Some(reason)),
            }
        }
        Err(unmet.unwrap_or_else(|| Unmet::Missing { kind: self.kind.clone() }))
    }

    fn judge(&self, finding: &Finding, now: Timestamp) -> Result<(), Unmet> {
        let not_accepted = |reason: String| Unmet::NotAccepted { kind: self.kind.clone(), reason };
        match (&finding.verdict, &finding.says) {
            (Verdict::Accepted(_), Says::Attested { predicate, .. }) => {
                self.rules.iter().try_for_each(|rule| rule.check(&self.kind, predicate, now))
            }
            (Verdict::Accepted(_), _) => Err(not_accepted("it says nothing".to_owned())),
            (Verdict::Refused(reason) | Verdict::Other(reason), _) => Err(not_accepted(reason.to_string())),
        }
    }
}

/// Keeps the first reason of an attestation by the trusted, over those of others.
fn prefer(unmet: &mut Option<Unmet>, reason: Unmet) {
    if unmet.as_ref().is_none_or(|known| matches!(known, Unmet::NotAccepted { .. })) {
        *unmet = Some(reason);
    }
}
