//! What changes between two texts, line by line, in the form that `diff -u` made familiar.

use std::fmt::Write as _;

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;
/// Above this many line pairs the middle is shown as replaced whole: the table below would take too much memory.
const MAX_PAIRS: usize = 4_000_000;

/// A unified diff without file names; empty when nothing differs.
pub(super) fn lines(before: &str, after: &str) -> String {
    let (before, after) = (split(before), split(after));
    let marked = mark(&before, &after);
    let mut text = String::new();
    for hunk in hunks(&marked) {
        write_hunk(&mut text, &marked, hunk);
    }
    text
}

/// A line with what became of it: `' '` kept, `'-'` removed, `'+'` added.
type Marked<'a> = (char, &'a str);

/// Lines with their endings, so that a changed line ending is a change.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn mark<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Marked<'a>> {
    let prefix = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let suffix = before[prefix..].iter().rev().zip(after[prefix..].iter().rev()).take_while(|(a, b)| a == b).count();
    let middle = (&before[prefix..before.len() - suffix], &after[prefix..after.len() - suffix]);
    let mut marked: Vec<_> = before[..prefix].iter().map(|line| (' ', *line)).collect();
    marked.extend(mark_middle(middle.0, middle.1));
    marked.extend(before[before.len() - suffix..].iter().map(|line| (' ', *line)));
    marked
}

fn mark_middle<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Marked<'a>> {
    if before.len().saturating_mul(after.len()) > MAX_PAIRS {
        return before.iter().map(|line| ('-', *line)).chain(after.iter().map(|line| ('+', *line))).collect();
    }
    let common = common_lengths(before, after);
    let (mut i, mut j, mut marked) = (0, 0, Vec::new());
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            marked.push((' ', before[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || i < before.len() && common[i + 1][j] >= common[i][j + 1] {
            marked.push(('-', before[i]));
            i += 1;
        } else {
            marked.push(('+', after[j]));
            j += 1;
        }
    }
    marked
}

/// How many lines `before[i..]` and `after[j..]` have in common, in order, for every `i` and `j`.
fn common_lengths(before: &[&str], after: &[&str]) -> Vec<Vec<u32>> {
    let mut common = vec![vec![0; after.len() + 1]; before.len() + 1];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            common[i][j] = if before[i] == after[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    common
}

/// Ranges of lines to show: changes with their context, joined where they touch.
fn hunks(marked: &[Marked<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in marked.iter().enumerate().filter(|(_, (mark, _))| *mark != ' ') {
        let range = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(marked.len());
        match hunks.last_mut() {
            Some(last) if range.start <= last.end => last.end = range.end,
            _ => hunks.push(range),
        }
    }
    hunks
}

fn write_hunk(text: &mut String, marked: &[Marked<'_>], hunk: std::ops::Range<usize>) {
    let count = |lines: &[Marked<'_>], skipped: char| lines.iter().filter(|(mark, _)| *mark != skipped).count();
    let side = |skipped| {
        let (above, shown) = (count(&marked[..hunk.start], skipped), count(&marked[hunk.clone()], skipped));
        // `diff -u` numbers an empty side by the line before it.
        (above + usize::from(shown > 0), shown)
    };
    let (old, new) = (side('+'), side('-'));
    let _ = writeln!(text, "@@ -{},{} +{},{} @@", old.0, old.1, new.0, new.1);
    for (mark, line) in &marked[hunk] {
        let _ = write!(text, "{mark}{line}");
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn says_nothing_about_equal_texts() {
        assert_eq!(lines("a\nb\n", "a\nb\n"), "");
    }

    #[test]
    fn shows_a_new_file_whole() {
        assert_eq!(lines("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
    }

    #[test]
    fn shows_two_distant_changes_as_two_hunks_with_context() {
        let before = (0..30).map(|line| format!("{line}\n")).collect::<Vec<_>>().concat();
        let after = before.replace("\n5\n", "\nfive\n").replace("\n25\n", "\n25\n25b\n");
        let shown = lines(&before, &after);
        assert_eq!(shown.matches("@@ -").count(), 2);
        assert!(shown.starts_with("@@ -3,7 +3,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -24,6 +24,7 @@\n"), "{shown}");
    }

    #[test]
    fn sees_a_lost_final_newline_and_another_line_ending() {
        assert_eq!(lines("a\n", "a"), "@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of file\n");
        assert!(!lines("a\r\n", "a\n").is_empty());
    }
}
