//! What would go wrong later: when a server loads the model, when a registry takes the image, or when somebody's pickle runs.
//!
//! [`rules`] is the table: an id, a severity, why it matters and what to do. A [`Finding`] is a rule that a model broke. Formats
//! report what they see while they read; [`lint`] adds what only the whole tells: the files in their places, the server, the delivery
//! and the platform.
//!
//! ```text
//! Model, ServingLayout, Target ─► checks (pure)            ─┐
//!                       └─ texts (bounded reads) ─► checks ─┼─► sorted, each trouble once ─► judge (--allow)
//! what formats saw ────────────────────────────────────────┘
//! ```

mod checks;
mod engine;
mod judge;
pub mod rules;
mod text;

use std::fmt;

pub use engine::{Target, lint};
pub use judge::{Judged, judge, of_error};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Advice,
    /// Likely to go wrong for somebody.
    Warning,
    /// Will go wrong, or runs a stranger's code: `build` refuses it unless told `--allow RULE`.
    Error,
}

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Kebab-case; what `--allow` takes.
    pub id: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// Why it matters, one sentence.
    pub why: &'static str,
    /// Where that was learned: an issue or a specification.
    pub link: Option<&'static str>,
    /// What to do about it, one sentence.
    pub fix: &'static str,
}

/// A rule that a model broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: &'static Rule,
    /// How much it weighs here: as the rule says, or less where it is only possible.
    pub severity: Severity,
    /// The file, as its place in the model; none where it is about the whole model.
    pub path: Option<String>,
    /// What was seen, in words that are safe to print.
    pub what: String,
}

impl Finding {
    /// A finding about one file. `what` may quote the model; it is made printable here.
    pub(crate) fn at(rule: &'static Rule, path: &str, what: impl AsRef<str>) -> Self {
        Self { rule, severity: rule.severity, path: Some(super::facts::printable(path)), what: super::facts::printable(what.as_ref()) }
    }

    /// A finding about the whole model.
    pub(crate) fn of_model(rule: &'static Rule, what: impl AsRef<str>) -> Self {
        Self { rule, severity: rule.severity, path: None, what: super::facts::printable(what.as_ref()) }
    }

    /// The same, at another weight.
    #[must_use]
    pub fn weighing(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}
