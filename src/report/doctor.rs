//! How it is with a registry, as a table.

use crate::store::registry::doctor::{Finding, State};

use super::table;

/// Prints a row per finding.
pub fn findings(all: &[Finding]) -> String {
    let mut table = table::columns(["CHECK", "", "FOUND"]);
    for finding in all {
        let state = match finding.state {
            State::Good => "ok",
            State::Note => "note",
            State::Bad => "FAILED",
        };
        table.add_row([finding.check, state, &finding.found]);
    }
    table::text(&table)
}
