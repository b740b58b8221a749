//! Whether a finding refuses the model: its weight, and what the user allows. Pure.

use std::path::Path;

use super::{Finding, Rule, Severity, rules};
use crate::model::ModelError;

/// A finding, and whether the user allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// Whether `--allow` names its rule. Advice needs no leave.
    pub allowed: bool,
}

impl Judged {
    /// Whether the model is refused for it.
    pub fn refuses(&self) -> bool {
        self.finding.severity == Severity::Error && !self.allowed
    }

    /// Whether it would be refused if it were not allowed: what the image records.
    pub fn is_waived(&self) -> bool {
        self.finding.severity == Severity::Error && self.allowed
    }
}

/// Judges findings by the rules that are allowed.
pub fn judge(findings: Vec<Finding>, allowed: &[&'static Rule]) -> Vec<Judged> {
    let is_allowed = |finding: &Finding| {
        let is_named = allowed.iter().any(|rule| rule.id == finding.rule.id);
        is_named && finding.rule.can_be_allowed() && finding.severity > Severity::Advice
    };
    findings.into_iter().map(|finding| Judged { allowed: is_allowed(&finding), finding }).collect()
}

impl Rule {
    /// Whether `--allow` takes it. What cannot be read cannot be packed as a model either.
    pub fn can_be_allowed(&self) -> bool {
        self.id != rules::UNREADABLE.id
    }
}

/// The finding behind an error of reading or laying out a model; `None` where the model is not to blame, or was not found.
pub fn of_error(error: &ModelError) -> Option<Finding> {
    match error {
        ModelError::Unreadable { path, format, source, .. } => {
            let what = format!("cannot be read as {format}: {}", chain(source.as_ref()));
            Some(Finding::at(&rules::UNREADABLE, &shown(path), what))
        }
        ModelError::LfsPointer { path, format } => {
            Some(Finding::at(&rules::LFS_POINTER, &shown(path), format!("is a Git LFS pointer, not the {format} file")))
        }
        ModelError::NotOneModel { .. } | ModelError::NotOneFile { .. } => {
            Some(Finding::of_model(&rules::SEVERAL_MODELS, error.to_string()))
        }
        _ => None,
    }
}

/// As the user wrote it: a file in the present folder has no folder in its name.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).to_string_lossy().into_owned()
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static Rule) -> Finding {
        Finding::of_model(rule, "seen")
    }

    #[test]
    fn an_error_refuses_unless_its_own_rule_is_allowed() {
        for (rule, allowed, refused) in [
            (&rules::PICKLE, &[][..], true),
            (&rules::PICKLE, &[&rules::PICKLE][..], false),
            (&rules::DANGEROUS_PICKLE, &[&rules::PICKLE][..], true),
            (&rules::DANGEROUS_PICKLE, &[&rules::PICKLE, &rules::DANGEROUS_PICKLE][..], false),
            (&rules::CASE_CLASH, &[][..], false),
            (&rules::UNREADABLE, &[&rules::UNREADABLE][..], true),
        ] {
            let judged = judge(vec![finding(rule)], allowed);
            assert_eq!(judged[0].refuses(), refused, "{} with {allowed:?}", rule.id);
        }
    }

    #[test]
    fn only_an_allowed_error_is_recorded() {
        let waived = |finding: Finding, allowed: &[&'static Rule]| judge(vec![finding], allowed)[0].is_waived();
        assert!(waived(finding(&rules::PICKLE), &[&rules::PICKLE]));
        assert!(!waived(finding(&rules::PICKLE), &[]));
        assert!(!waived(finding(&rules::CASE_CLASH), &[&rules::CASE_CLASH]));
        assert!(!judge(vec![finding(&rules::UNKNOWN_FORMAT)], &[&rules::UNKNOWN_FORMAT])[0].allowed);
    }

    #[test]
    fn what_cannot_be_read_is_a_finding_with_place_and_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.onnx");
        std::fs::write(&path, "not a model").unwrap();
        let error = crate::model::read(&path, &crate::model::ReadOptions::default()).unwrap_err();
        let found = of_error(&error).unwrap();
        assert_eq!((found.rule.id, found.path.as_deref()), ("unreadable", path.to_str()));
        assert!(found.what.starts_with("cannot be read as ONNX: byte "), "{}", found.what);
        assert!(of_error(&ModelError::NotFound { path }).is_none());
    }
}
