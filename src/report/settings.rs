//! Settings on the screen: what is in effect, and where each value came from.

use std::fmt::Display;

use super::table::{self, columns};
use crate::oci::printable;

/// The longest value shown, in characters.
const MAX_TEXT: usize = 1024;

/// One setting: its key, its value and its origin, where it has them.
pub struct Row<'a> {
    /// `gitops.branch`
    pub key: &'a str,
    /// The value.
    pub value: Option<&'a str>,
    /// Where it came from.
    pub from: Option<&'a dyn Display>,
}

/// A table of settings.
pub fn table<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> String {
    let mut table = columns(["KEY", "VALUE", "FROM"]);
    for Row { key, value, from } in rows {
        let value = value.map_or_else(|| "-".to_owned(), |value| printable(value, MAX_TEXT));
        let from = from.map_or_else(|| "not set".to_owned(), |from| printable(&from.to_string(), MAX_TEXT));
        table.add_row([key.to_owned(), value, from]);
    }
    table::text(&table)
}
