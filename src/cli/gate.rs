//! The gate of `build` and `ship`: no model that lint refuses is packed, unless the user allows it by name.

use super::CliError;
use crate::model::lint::{self, Judged, Rule, Target, rules};
use crate::model::{Model, ServingLayout};
use crate::report::{Ui, lint as report};

/// What the user takes upon themselves.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct AllowArgs {
    /// Take a model that this rule refuses; the image says so; may be repeated. `modelcar lint --rules` lists them
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = allowable, help_heading = "Lint")]
    allow: Vec<&'static Rule>,
    /// The same as `--allow pickle`; what is dangerous in a pickle has a rule of its own
    #[arg(long, help_heading = "Lint")]
    allow_pickle: bool,
}

impl AllowArgs {
    /// All that is allowed.
    pub(super) fn rules(&self) -> Vec<&'static Rule> {
        self.allow.iter().copied().chain(self.allow_pickle.then_some(&rules::PICKLE)).collect()
    }

    /// Says what lint found. Gives the rules that would have refused the model and are allowed, for the image to record.
    ///
    /// # Errors
    /// [`CliError::Lint`]; then nothing was written yet.
    pub(super) fn pass(&self, ui: &Ui, model: &Model, layout: &ServingLayout, target: &Target) -> Result<Vec<&'static str>, CliError> {
        let findings = lint::judge(lint::lint(model, layout, target)?, &self.rules());
        for judged in findings.iter().filter(|judged| judged.finding.severity > lint::Severity::Advice && !judged.refuses()) {
            ui.say(report::line(judged));
        }
        for judged in findings.iter().filter(|judged| judged.refuses()) {
            ui.fail(&report::line_with_fix(judged));
        }
        accept(&findings)?;
        Ok(ids(&findings, Judged::is_waived))
    }
}

/// An error that names every rule that refuses.
pub(super) fn accept(findings: &[Judged]) -> Result<(), CliError> {
    let rules = ids(findings, Judged::refuses);
    if rules.is_empty() {
        return Ok(());
    }
    let hint =
        format!("the lines above say what to do; to take the model as it is, which the image then records: `--allow {}`", rules.join(","));
    Err(CliError::Lint { rules, hint })
}

/// The error of a model that could not be read or laid out, which nothing allows.
pub(super) fn unreadable(findings: &[Judged]) -> CliError {
    CliError::Lint { rules: ids(findings, |_| true), hint: "the lines above say what to do".to_owned() }
}

/// The ids of the rules behind some findings, sorted, each once.
fn ids(findings: &[Judged], which: fn(&Judged) -> bool) -> Vec<&'static str> {
    let ids: std::collections::BTreeSet<_> = findings.iter().filter(|judged| which(judged)).map(|judged| judged.finding.rule.id).collect();
    ids.into_iter().collect()
}

/// A rule that may be allowed, by its id.
fn allowable(id: &str) -> Result<&'static Rule, String> {
    let rule = rule(id)?;
    if rule.can_be_allowed() { Ok(rule) } else { Err(format!("{}\n\nhint: {}", rule.why, rule.fix)) }
}

/// A rule by its id; for another word the ids there are.
pub(super) fn rule(id: &str) -> Result<&'static Rule, String> {
    let known = || rules::RULES.iter().map(|rule| rule.id).collect::<Vec<_>>().join(", ");
    rules::by_id(id).ok_or_else(|| format!("there is no such rule\n\nhint: one of {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Finding;

    fn finding(rule: &'static Rule) -> Finding {
        Finding { rule, severity: rule.severity, path: None, what: "seen".to_owned() }
    }

    #[test]
    fn every_rule_that_refuses_is_named_once() {
        let found = vec![finding(&rules::PICKLE), finding(&rules::LFS_POINTER), finding(&rules::PICKLE), finding(&rules::CASE_CLASH)];
        let error = accept(&lint::judge(found.clone(), &[])).unwrap_err();
        assert_eq!(error.to_string(), "lint refuses the model: lfs-pointer, pickle");
        assert_eq!(error.exit_code(), crate::exit_code::REFUSED);
        assert!(error.hint().unwrap().contains("--allow lfs-pointer,pickle"));
        assert!(accept(&lint::judge(found, &[&rules::PICKLE, &rules::LFS_POINTER])).is_ok());
    }

    #[test]
    fn allow_pickle_allows_pickle_and_nothing_else() {
        let args = AllowArgs { allow: Vec::new(), allow_pickle: true };
        assert_eq!(args.rules(), [&rules::PICKLE]);
    }

    #[test]
    fn only_rules_there_are_can_be_allowed_and_no_unreadable_model() {
        assert_eq!(allowable("pickle"), Ok(&rules::PICKLE));
        assert!(allowable("unreadable").unwrap_err().contains("cannot be allowed"));
        assert!(allowable("pickles").unwrap_err().contains("dangerous-pickle, empty-file"));
    }
}
