//! Plain columns, without lines and without blanks at the end of a row.

use comfy_table::{Table, presets};

/// An empty table with this header.
pub(super) fn columns<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

/// The table as text, a line break behind each row.
pub(super) fn text(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
