//! What is asked before anything is written, and the answers. Pure but for [`built`]: whoever asks a registry does it above.
//!
//! ```text
//! facts of a registry, of site.yaml, of a service ─► judge ─► Row per Check ─► Preflight ─► refused, or a table and a message
//! the tree with the change                        ─► built ─┘
//! ```

use std::fmt;
use std::str::FromStr;

use crate::kserve::KserveError;

mod built;
pub mod judge;

pub use built::{Builder, Built, built, schema};
pub use judge::{CanaryGround, ImageFacts, MirrorFacts, SignatureFacts};

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// Does the tag lead to a digest?
    Resolve,
    /// Would the site's consumers accept the signatures and attestations?
    Signature,
    /// Is there an image for the site's nodes?
    Platform,
    /// Can a ServingRuntime of the site load the format?
    Runtime,
    /// Does the site's KServe have the delivery?
    Delivery,
    /// Can the site's KServe split requests that way?
    Canary,
    /// Do the old and the new image fit on the site's disk?
    Disk,
    /// Is the name a DNS label that leaves room for KServe's own words?
    Name,
    /// Does the site's folder build?
    Build,
    /// Would the API server take the InferenceService?
    Schema,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Yes; what was seen.
    Passed(String),
    /// Nobody can tell: what is missing.
    Skipped(String),
    /// No.
    Failed {
        /// What was seen.
        what: String,
        /// What to do.
        fix: String,
    },
    /// No, and it goes ahead by order.
    Forced {
        /// What was seen.
        what: String,
    },
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The question.
    pub check: Check,
    /// The answer.
    pub outcome: Outcome,
}

impl Check {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Resolve,
        Self::Signature,
        Self::Platform,
        Self::Runtime,
        Self::Delivery,
        Self::Canary,
        Self::Disk,
        Self::Name,
        Self::Build,
        Self::Schema,
    ];

    /// As in the table and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Signature => "signature",
            Self::Platform => "platform",
            Self::Runtime => "runtime",
            Self::Delivery => "delivery",
            Self::Canary => "canary",
            Self::Disk => "disk",
            Self::Name => "name",
            Self::Build => "build",
            Self::Schema => "schema",
        }
    }
}

impl Check {
    /// Whether a person may go ahead against it: without a digest, or with a name that Kubernetes refuses, there is nothing to write.
    pub fn can_be_forced(self) -> bool {
        !matches!(self, Self::Resolve | Self::Name)
    }
}

impl FromStr for Check {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        Self::ALL.into_iter().find(|check| check.name() == text).ok_or_else(|| KserveError::unknown_word("preflight row", text, Self::ALL))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Outcome {
    /// One word: `passed`, `skipped`, `FAILED`, `forced`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Skipped(_) => "skipped",
            Self::Failed { .. } => "FAILED",
            Self::Forced { .. } => "forced",
        }
    }

    /// What was seen.
    pub fn detail(&self) -> &str {
        match self {
            Self::Passed(what) | Self::Skipped(what) | Self::Failed { what, .. } | Self::Forced { what } => what,
        }
    }

    /// No; what was seen and what to do.
    pub fn failed(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), fix: fix.into() }
    }
}

/// All answers for one site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preflight {
    /// In the order of [`Check::ALL`].
    pub rows: Vec<Row>,
    /// What a person should know and what stops nothing.
    pub notes: Vec<String>,
}

impl Preflight {
    /// Takes an answer.
    pub fn add(&mut self, check: Check, outcome: Outcome) {
        let at = self.rows.partition_point(|row| row.check.place() <= check.place());
        self.rows.insert(at, Row { check, outcome });
    }

    /// Takes an answer in the place of a better one.
    pub fn worsen(&mut self, check: Check, outcome: Outcome) {
        let there = self.rows.iter_mut().find(|row| row.check == check);
        match there {
            Some(row) if matches!(row.outcome, Outcome::Failed { .. }) => {}
            Some(row) => row.outcome = outcome,
            None => self.add(check, outcome),
        }
    }

    /// Lets rows pass by order. What passed anyhow gets a note, so that nobody goes on forcing it.
    #[must_use]
    pub fn forced(mut self, force: &[Check]) -> Self {
        for row in self.rows.iter_mut().filter(|row| force.contains(&row.check)) {
            match &row.outcome {
                Outcome::Failed { what, .. } if row.check.can_be_forced() => row.outcome = Outcome::Forced { what: what.clone() },
                Outcome::Passed(_) | Outcome::Skipped(_) => self.notes.push(format!("`--force {}` was not needed", row.check)),
                Outcome::Failed { .. } | Outcome::Forced { .. } => {}
            }
        }
        self
    }

    /// What stops the rollout: the checks, and what to do about each.
    pub fn failures(&self) -> impl Iterator<Item = (Check, &str, &str)> {
        self.rows.iter().filter_map(|row| match &row.outcome {
            Outcome::Failed { what, fix } => Some((row.check, what.as_str(), fix.as_str())),
            _ => None,
        })
    }

    /// What went ahead by order.
    pub fn forced_checks(&self) -> impl Iterator<Item = Check> {
        self.rows.iter().filter(|row| matches!(row.outcome, Outcome::Forced { .. })).map(|row| row.check)
    }
}

impl Check {
    fn place(self) -> usize {
        Self::ALL.iter().position(|check| *check == self).unwrap_or(Self::ALL.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(rows: &[(Check, Outcome)]) -> Preflight {
        let mut preflight = Preflight::default();
        for (check, outcome) in rows {
            preflight.add(*check, outcome.clone());
        }
        preflight
    }

    #[test]
    fn rows_stand_in_the_order_of_the_table_however_they_come() {
        let passed = || Outcome::Passed(String::new());
        let preflight = preflight(&[(Check::Schema, passed()), (Check::Resolve, passed()), (Check::Disk, passed())]);
        assert_eq!(preflight.rows.iter().map(|row| row.check).collect::<Vec<_>>(), [Check::Resolve, Check::Disk, Check::Schema]);
    }

    #[test]
    fn force_lets_a_named_row_pass_and_no_other() {
        let all =
            preflight(&[(Check::Signature, Outcome::failed("nobody signed", "sign")), (Check::Disk, Outcome::failed("full", "more"))]);
        let forced = all.forced(&[Check::Signature]);
        assert_eq!(forced.failures().map(|(check, ..)| check).collect::<Vec<_>>(), [Check::Disk]);
        assert_eq!(forced.forced_checks().collect::<Vec<_>>(), [Check::Signature]);
        assert_eq!(forced.rows[0].outcome, Outcome::Forced { what: "nobody signed".to_owned() });
    }

    #[test]
    fn what_passed_is_not_forced_and_what_must_hold_cannot_be() {
        let all = preflight(&[(Check::Resolve, Outcome::failed("gone", "push")), (Check::Disk, Outcome::Passed("fits".to_owned()))]);
        let forced = all.forced(&Check::ALL);
        assert_eq!(forced.failures().count(), 1);
        assert_eq!(forced.forced_checks().count(), 0);
        assert_eq!(forced.notes, ["`--force disk` was not needed"]);
    }

    #[test]
    fn another_word_is_told_the_rows() {
        assert_eq!("disk".parse::<Check>(), Ok(Check::Disk));
        let hint = "discs".parse::<Check>().unwrap_err().hint().unwrap();
        assert!(Check::ALL.iter().all(|check| hint.contains(check.name())), "{hint}");
    }
}
