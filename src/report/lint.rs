//! What lint found, for people and for scripts.

use std::fmt::Write as _;

use console::Style;
use serde::Serialize;

use super::table::{self, columns};
use super::units;
use crate::model::lint::rules::RULES;
use crate::model::lint::{Finding, Judged, Rule, Severity};

/// What was looked at, and what was found.
#[derive(Debug)]
pub struct LintReport {
    /// The model or image as the user named it.
    pub model: String,
    /// Its format; none where it cannot be read.
    pub format: Option<String>,
    /// The server whose layout it has.
    pub runtime: Option<String>,
    /// The deliveries that were asked for; none means all.
    pub deliveries: Vec<String>,
    /// The platform that was asked for.
    pub kserve: Option<String>,
    /// What was found, the heaviest first.
    pub findings: Vec<Judged>,
}

/// How many of which weight; what is allowed counts as nothing else.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    errors: usize,
    warnings: usize,
    advice: usize,
    allowed: usize,
}

impl Totals {
    fn of(findings: &[Judged]) -> Self {
        let mut totals = Self::default();
        for judged in findings {
            *match (judged.allowed, judged.finding.severity) {
                (true, _) => &mut totals.allowed,
                (false, Severity::Error) => &mut totals.errors,
                (false, Severity::Warning) => &mut totals.warnings,
                (false, Severity::Advice) => &mut totals.advice,
            } += 1;
        }
        totals
    }

    fn text(&self) -> String {
        let mut parts = vec![units::count(self.errors, "error"), units::count(self.warnings, "warning")];
        parts.extend((self.advice > 0).then(|| format!("{} of advice", units::count(self.advice, "piece"))));
        parts.extend((self.allowed > 0).then(|| format!("{} allowed", self.allowed)));
        parts.join(", ")
    }
}

/// How many of which weight: `1 error, 0 warnings`.
pub fn totals(findings: &[Judged]) -> String {
    Totals::of(findings).text()
}

/// A table, the rules that were broken with why and what to do, and the totals.
pub fn text(report: &LintReport) -> String {
    let mut text = String::new();
    if !report.findings.is_empty() {
        text.push_str(&finding_table(&report.findings));
        for rule in broken(&report.findings) {
            let _ = write!(text, "\n{}", explain(rule));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", Totals::of(&report.findings).text());
    text
}

fn finding_table(findings: &[Judged]) -> String {
    let mut table = columns(["SEVERITY", "RULE", "WHERE", "WHAT"]);
    for judged in findings {
        let Finding { rule, path, what, .. } = &judged.finding;
        table.add_row([&word(judged), rule.id, path.as_deref().unwrap_or("-"), what]);
    }
    let plain = table::text(&table);
    // Coloured afterwards: the table counts the characters of its cells.
    plain.lines().flat_map(|line| [coloured(line, &style()), "\n".to_owned()]).collect()
}

fn word(judged: &Judged) -> String {
    if judged.allowed { "allowed".to_owned() } else { judged.finding.severity.to_string() }
}

fn coloured(line: &str, style: &Style) -> String {
    let style = || style.clone();
    let words = [("error", style().red()), ("warning", style().yellow()), ("allowed", style().yellow()), ("advice", style().dim())];
    let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
    let found = words.iter().find_map(|(word, style)| Some((style.apply_to(*word), rest.strip_prefix(word)?)));
    found.map_or_else(|| line.to_owned(), |(word, rest)| format!("{indent}{word}{rest}"))
}

/// A style for standard output.
fn style() -> Style {
    Style::new()
}

/// The rules behind findings, each once, in their order.
fn broken(findings: &[Judged]) -> Vec<&'static Rule> {
    let mut rules: Vec<&'static Rule> = Vec::new();
    for judged in findings {
        if rules.iter().all(|rule| rule.id != judged.finding.rule.id) {
            rules.push(judged.finding.rule);
        }
    }
    rules
}

/// A rule: why it matters, what to do, where that was learned.
pub fn explain(rule: &Rule) -> String {
    let mut text = format!("{}\n  why: {}\n  fix: {}\n", style().bold().apply_to(rule.id), rule.why, rule.fix);
    if let Some(link) = rule.link {
        let _ = writeln!(text, "  see: {link}");
    }
    text
}

/// Every rule, with its usual weight.
pub fn rules() -> String {
    let mut table = columns(["RULE", "SEVERITY", "WHY"]);
    for rule in RULES {
        table.add_row([rule.id, &rule.severity.to_string(), rule.why]);
    }
    table::text(&table)
}

/// A finding in one line, for the talk of `build`: `warning[latest-tag]: the image is called …`.
pub fn line(judged: &Judged) -> String {
    let Finding { rule, path, what, .. } = &judged.finding;
    let style = Style::new().for_stderr();
    let style = if judged.refuses() { style.red().bold() } else { style.yellow() };
    let place = path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
    format!("{} {place}{what}", style.apply_to(format!("{}[{}]:", word(judged), rule.id)))
}

/// [`line()`], and what to do about it.
pub fn line_with_fix(judged: &Judged) -> String {
    format!("{}\n  fix: {}", line(judged), judged.finding.rule.fix)
}

#[derive(Serialize)]
struct View<'a> {
    model: &'a str,
    format: &'a Option<String>,
    runtime: &'a Option<String>,
    deliveries: &'a [String],
    kserve: &'a Option<String>,
    findings: Vec<FindingView<'a>>,
    #[serde(flatten)]
    totals: Totals,
}

#[derive(Serialize)]
struct FindingView<'a> {
    rule: &'a str,
    severity: Severity,
    allowed: bool,
    path: &'a Option<String>,
    what: &'a str,
    why: &'a str,
    fix: &'a str,
    link: Option<&'a str>,
}

impl<'a> FindingView<'a> {
    fn of(judged: &'a Judged) -> Self {
        let Judged { finding: Finding { rule, severity, path, what }, allowed } = judged;
        let (rule, why, fix, link) = (rule.id, rule.why, rule.fix, rule.link);
        Self { rule, severity: *severity, allowed: *allowed, path, what, why, fix, link }
    }
}

/// The same as one JSON document.
///
/// # Errors
/// Never for these types; serialisation is fallible by signature only.
pub fn json(report: &LintReport) -> serde_json::Result<String> {
    let LintReport { model, format, runtime, deliveries, kserve, findings } = report;
    let (totals, findings) = (Totals::of(findings), findings.iter().map(FindingView::of).collect());
    serde_json::to_string_pretty(&View { model, format, runtime, deliveries, kserve, findings, totals })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lint::{judge, rules as table};

    fn some() -> Vec<Judged> {
        let finding = |rule: &'static Rule, what: &str| Finding {
            rule,
            severity: rule.severity,
            path: Some("a/b".to_owned()),
            what: what.to_owned(),
        };
        let findings = vec![finding(&table::PICKLE, "error in what"), finding(&table::CASE_CLASH, "w"), finding(&table::CASE_CLASH, "v")];
        judge(findings, &[])
    }

    #[test]
    fn every_broken_rule_is_explained_once_and_the_totals_come_last() {
        let (model, findings) = ("m".to_owned(), some());
        let report = LintReport { model, format: None, runtime: None, deliveries: Vec::new(), kserve: None, findings };
        let text = text(&report);
        assert_eq!((text.matches("  fix: ").count(), text.lines().last()), (2, Some("1 error, 2 warnings")));
    }

    #[test]
    fn a_line_names_weight_rule_place_and_sight() {
        let line = |judged: &Judged| console::strip_ansi_codes(&line(judged)).into_owned();
        assert_eq!(line(&some()[0]), "error[pickle]: a/b: error in what");
        let allowed = Judged { allowed: true, ..some().remove(0) };
        assert_eq!(line(&allowed), "allowed[pickle]: a/b: error in what");
    }

    #[test]
    fn only_the_weight_is_coloured() {
        let line = coloured(" warning  pickle  an error", &style().force_styling(true));
        assert!(line.starts_with(" \u{1b}[") && line.ends_with("m  pickle  an error"), "{line:?}");
    }

    #[test]
    fn what_is_allowed_is_counted_apart() {
        let mut findings = some();
        findings[0].allowed = true;
        assert_eq!(Totals::of(&findings).text(), "0 errors, 2 warnings, 1 allowed");
        assert_eq!(Totals::of(&[]).text(), "0 errors, 0 warnings");
    }
}
