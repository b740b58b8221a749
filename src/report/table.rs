//! Plain columns, without lines and without blanks at the end of a row; on a terminal, without lines longer than it is wide.

use comfy_table::{Table, presets};
use console::{Term, measure_text_width};

/// The last column gets at least so much room, in characters; on a narrower terminal lines stay as they are.
const ROOM: usize = 24;

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

/// The same for standard error: on a terminal, what is too long goes on below, in the last column. In a pipe a row is a line.
pub(super) fn talk(table: &Table) -> String {
    let stderr = Term::stderr();
    let width = stderr.size_checked().filter(|_| stderr.is_term()).map_or(usize::MAX, |(_, columns)| usize::from(columns));
    fitted(&text(table), width)
}

fn fitted(text: &str, width: usize) -> String {
    let indent = last_column(text.lines().next().unwrap_or_default());
    if width.saturating_sub(indent) < ROOM {
        return text.to_owned();
    }
    text.lines().map(|line| folded(line, indent, width) + "\n").collect()
}

/// Where the last word of a header begins, in characters.
fn last_column(header: &str) -> usize {
    header.rfind(' ').map_or(0, |blank| measure_text_width(&header[..=blank]))
}

/// Breaks a line between words; none stands before `indent` in the lines that follow.
fn folded(line: &str, indent: usize, width: usize) -> String {
    if measure_text_width(line) <= width {
        return line.to_owned();
    }
    let mut folded = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let end = column + measure_text_width(word.trim_end());
        if end > width && column > indent {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            column = indent;
        }
        folded.push_str(word);
        column += measure_text_width(word);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_go_on_below_their_last_column() {
        let mut table = columns(["WHO", "RESULT"]);
        table.add_row(["openshift", "refuses: the name is another one and more"]);
        table.add_row(["quay", "accepts"]);
        let text = text(&table);
        let expected =
            [" WHO        RESULT", " openshift  refuses: the name is", "            another one and more", " quay       accepts\n"];
        assert_eq!(fitted(&text, 36), expected.join("\n"));
        assert_eq!(fitted(&text, usize::MAX), text);
        assert_eq!(fitted(&text, 20), text, "too narrow to be of use");
    }

    #[test]
    fn colours_take_no_room_and_long_words_stay_whole() {
        let long = "x".repeat(40);
        let line = format!("  a  \u{1b}[31mrefuses\u{1b}[0m it: {long} b");
        assert_eq!(folded(&line, 5, 30), format!("  a  \u{1b}[31mrefuses\u{1b}[0m it:\n     {long}\n     b"));
    }
}
