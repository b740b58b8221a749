//! The log-ins that there are, as a table.

use crate::store::registry::login::Known;

use super::table;

/// Prints a row per log-in: what it is for, whose it is, and where it is kept.
pub fn log_ins(all: &[(String, Known)]) -> String {
    let mut table = table::columns(["REGISTRY", "USER", "KEPT IN"]);
    for (key, known) in all {
        table.add_row([key, &known.user, &known.origin]);
    }
    table::text(&table)
}
