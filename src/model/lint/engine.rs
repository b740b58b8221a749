//! Runs every check and brings the findings together.

use std::collections::HashSet;

use super::checks::{CHECKS, TEXT_CHECKS, retold};
use super::{Finding, text};
use crate::kserve::{Delivery, Generation};
use crate::model::{Model, ModelError, ServingLayout};
use crate::oci::Reference;

/// Findings of one rule that are told one by one; a hostile folder breaks a rule a hundred thousand times.
const MAX_OF_A_RULE: usize = 20;

/// Where the model is meant to run. What is not said is judged for all there are.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// How KServe brings the model into the pod.
    pub deliveries: Vec<Delivery>,
    /// What the platform can do.
    pub generation: Option<Generation>,
    /// What the image is called.
    pub names: Vec<Reference>,
}

/// What is looked at.
pub(super) struct Subject<'a> {
    pub(super) model: &'a Model,
    pub(super) layout: &'a ServingLayout,
    pub(super) target: &'a Target,
    /// The places of the files that a server would load. A set: a hostile folder has a hundred thousand.
    mains: HashSet<&'a str>,
    /// The Python files.
    pub(super) code: Vec<&'a str>,
}

/// Looks for everything in [`super::rules`] that the files, their places and the target tell. Sorted by weight, rule and path.
///
/// # Errors
/// A file that cannot be read, or that changed since the model was read.
pub fn lint(model: &Model, layout: &ServingLayout, target: &Target) -> Result<Vec<Finding>, ModelError> {
    let subject = Subject::new(model, layout, target);
    let mut findings: Vec<_> = model.findings.iter().cloned().filter_map(|finding| retold(&subject, finding)).collect();
    text::each(layout, |text| findings.extend(TEXT_CHECKS.iter().flat_map(|check| check(&subject, text))))?;
    findings.extend(CHECKS.iter().flat_map(|check| check(&subject)));
    Ok(sorted(findings))
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|a, b| {
        let key = |finding: &Finding| (std::cmp::Reverse(finding.severity), finding.rule.id);
        key(a).cmp(&key(b)).then_with(|| (&a.path, &a.what).cmp(&(&b.path, &b.what)))
    });
    findings.dedup();
    cut(&findings)
}

/// The first findings of each rule, and how many more there are.
fn cut(findings: &[Finding]) -> Vec<Finding> {
    let alike = |a: &Finding, b: &Finding| (a.severity, a.rule.id) == (b.severity, b.rule.id);
    findings.chunk_by(alike).flat_map(cut_rule).collect()
}

fn cut_rule(findings: &[Finding]) -> Vec<Finding> {
    let Some((_, rest)) = findings.split_at_checked(MAX_OF_A_RULE) else { return findings.to_vec() };
    let mut kept = findings[..MAX_OF_A_RULE].to_vec();
    if let Some(one) = rest.first() {
        kept.push(Finding::of_model(one.rule, format!("… and {} more", rest.len())).weighing(one.severity));
    }
    kept
}

impl<'a> Subject<'a> {
    fn new(model: &'a Model, layout: &'a ServingLayout, target: &'a Target) -> Self {
        let paths = layout.files.iter().map(|placed| placed.file.path.as_str());
        let code = paths.filter(|path| text::ending(path) == "py").collect();
        Self { model, layout, target, mains: model.mains.iter().map(String::as_str).collect(), code }
    }

    /// Whether a server would load the file at this place in the model.
    pub(super) fn is_main(&self, path: &str) -> bool {
        self.mains.contains(path)
    }

    /// The deliveries that are judged: those of the target, else those that the platform has, else all.
    pub(super) fn deliveries(&self) -> &[Delivery] {
        match (&self.target.deliveries[..], self.target.generation) {
            ([], Some(generation)) => generation.deliveries(),
            ([], None) => &Delivery::ALL,
            (deliveries, _) => deliveries,
        }
    }

    /// Whether this delivery is meant for sure, and not one of several that are possible.
    pub(super) fn is_certain(&self, delivery: Delivery) -> bool {
        self.target.deliveries.contains(&delivery) || self.deliveries() == [delivery]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Severity, rules};
    use super::*;

    #[test]
    fn the_heaviest_come_first_and_each_once() {
        let finding = |rule, path| Finding::at(rule, path, "seen");
        let found = sorted(vec![
            finding(&rules::CASE_CLASH, "b"),
            finding(&rules::PICKLE, "z"),
            finding(&rules::CASE_CLASH, "a"),
            finding(&rules::CASE_CLASH, "b"),
            finding(&rules::EMPTY_FILE, "y").weighing(Severity::Advice),
            finding(&rules::LFS_POINTER, "y"),
        ]);
        let shown: Vec<_> = found.iter().map(|finding| (finding.rule.id, finding.path.as_deref().unwrap())).collect();
        assert_eq!(shown, [("lfs-pointer", "y"), ("pickle", "z"), ("case-clash", "a"), ("case-clash", "b"), ("empty-file", "y")]);
    }

    #[test]
    fn a_rule_broken_a_thousand_times_is_told_a_few_times_with_the_count() {
        let many = |count: usize| sorted((0..count).map(|n| Finding::at(&rules::LFS_POINTER, &format!("{n:04}"), "pointer")).collect());
        assert_eq!(many(20).len(), 20);
        let cut = many(1000);
        assert_eq!((cut.len(), cut[19].path.as_deref(), cut[20].what.as_str()), (21, Some("0019"), "… and 980 more"));
        assert_eq!((cut[20].severity, &cut[20].path), (Severity::Error, &None));
    }
}
