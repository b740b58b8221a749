//! What became of a model's entry in a model registry.

use super::table::{self, columns};
use crate::model_registry::{Entry, Outcome};
use crate::oci::printable;

/// The longest value shown, in characters; names and ids come from strangers.
const MAX_TEXT: usize = 300;

/// Whether it was done, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tense {
    /// It was done.
    Done,
    /// It would be.
    Planned,
}

/// A table of the three entries.
pub fn table(entries: &[Entry], tense: Tense) -> String {
    let mut table = columns(["ENTRY", "NAME", "ID", "RESULT"]);
    for entry in entries {
        let id = entry.id.clone().unwrap_or_else(|| "-".to_owned());
        table.add_row([entry.kind.clone(), printable(&entry.name, MAX_TEXT), printable(&id, MAX_TEXT), result(&entry.outcome, tense)]);
    }
    table::text(&table)
}

fn result(outcome: &Outcome, tense: Tense) -> String {
    let would = if tense == Tense::Planned { "would be " } else { "" };
    match outcome {
        Outcome::Created => format!("{would}created"),
        Outcome::Unchanged => "there already".to_owned(),
        Outcome::Updated { fields } => printable(&format!("{would}updated: {}", fields.join(", ")), MAX_TEXT),
    }
}
