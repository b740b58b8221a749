//! Format × server × delivery × platform: what does not load through the modelcar link. The facts are in [`crate::kserve`].

use super::super::engine::Subject;
use super::super::{Finding, Severity, rules};
use crate::kserve::{ByRealPath, Delivery, Generation, Runtime, ThroughLink};

/// ONNX weights in files beside the model, where it is known that the server refuses them.
pub(super) fn onnx_external_data(subject: &Subject<'_>) -> Vec<Finding> {
    let ThroughLink::Fails(server) = subject.through_link(ByRealPath::OnnxExternalData) else { return Vec::new() };
    let external = subject.model.findings.iter().filter(|finding| finding.rule.id == rules::EXTERNAL_DATA.id);
    external.map(|finding| subject.trap(finding.path.as_deref(), &format!("{server} does not open its external data"))).collect()
}

/// XGBoost models, which most servers open by their real path.
pub(super) fn xgboost(subject: &Subject<'_>) -> Vec<Finding> {
    if subject.model.format != "xgboost" {
        return Vec::new();
    }
    let (said, most) = match subject.through_link(ByRealPath::Xgboost) {
        ThroughLink::Opens => return Vec::new(),
        ThroughLink::Fails(server) => (format!("{server} does not open it"), Severity::Error),
        ThroughLink::Depends(servers) => (format!("it is not opened by {servers}"), Severity::Warning),
    };
    let weigh = |finding: Finding| Finding { severity: finding.severity.min(most), ..finding };
    subject.model.mains.iter().map(|main| weigh(subject.trap(Some(main), &said))).collect()
}

/// What a format saw, with the delivery that it matters for; nothing where it is told better, or is no trouble for this target.
pub(crate) fn retold(subject: &Subject<'_>, finding: Finding) -> Option<Finding> {
    // Only KServe's own server counts them, and the layout may be nobody's.
    if finding.rule.id == rules::STRAY_JSON.id && !matches!(subject.layout.runtime, Runtime::Xgbserver | Runtime::Raw) {
        return None;
    }
    if finding.rule.id != rules::EXTERNAL_DATA.id {
        return Some(finding);
    }
    let ThroughLink::Depends(servers) = subject.through_link(ByRealPath::OnnxExternalData) else { return None };
    let what = format!("{}; through the modelcar link they are not opened by {servers}", finding.what);
    let severity = if subject.is_certain(Delivery::Modelcar) { Severity::Error } else { finding.severity };
    Some(Finding { severity, what, ..finding })
}

impl Subject<'_> {
    /// Whether the server opens it; without a link in any delivery, it does.
    fn through_link(&self, what: ByRealPath) -> ThroughLink {
        if !self.deliveries().contains(&Delivery::Modelcar) {
            return ThroughLink::Opens;
        }
        self.layout.runtime.through_link(what, self.target.generation)
    }

    /// The finding: an error where modelcar is meant for sure, a warning where another delivery may be used.
    fn trap(&self, path: Option<&str>, said: &str) -> Finding {
        let what = format!("through the modelcar link {said}; {}", self.instead());
        let finding = match path {
            Some(path) => Finding::at(&rules::REALPATH_TRAP, path, what),
            None => Finding::of_model(&rules::REALPATH_TRAP, what),
        };
        if self.is_certain(Delivery::Modelcar) { finding } else { finding.weighing(Severity::Warning) }
    }

    fn instead(&self) -> String {
        let there = self.target.generation.map_or(&Delivery::ALL[..], Generation::deliveries);
        let others: Vec<_> = there.iter().filter(|delivery| **delivery != Delivery::Modelcar).map(ToString::to_string).collect();
        match (self.target.generation, &others[..]) {
            (Some(generation), []) => format!("{generation} has no other delivery"),
            _ => format!("deliver with {}", others.join(" or ")),
        }
    }
}
