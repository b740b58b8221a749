//! What was asked before a rollout: as a table for people, as Markdown for a pull request, as JSON for scripts.

use console::Style;
use serde_json::{Value, json};

use super::table::{self, columns};
use crate::oci::printable;
use crate::rollout::preflight::{Outcome, Preflight};

/// The longest detail shown, in characters; it may quote strangers.
const MAX_TEXT: usize = 400;

/// A line per check.
pub fn table(preflight: &Preflight) -> String {
    let mut table = columns(["CHECK", "RESULT", "DETAIL"]);
    for row in &preflight.rows {
        table.add_row([row.check.to_string(), result(&row.outcome), printable(row.outcome.detail(), MAX_TEXT)]);
    }
    table::talk(&table)
}

fn result(outcome: &Outcome) -> String {
    let style = Style::new().for_stderr();
    let style = match outcome {
        Outcome::Passed(_) => style.green(),
        Outcome::Skipped(_) => style.dim(),
        Outcome::Failed { .. } => style.red().bold(),
        Outcome::Forced { .. } => style.yellow(),
    };
    style.apply_to(outcome.word()).to_string()
}

/// `9 checks, 1 forced`.
pub fn summary(preflight: &Preflight) -> String {
    let count = |word: &str| preflight.rows.iter().filter(|row| row.outcome.word() == word).count();
    let words = ["passed", "skipped", "forced", "FAILED"].into_iter().filter_map(|word| {
        let count = count(word);
        (count > 0).then(|| format!("{count} {}", word.to_lowercase()))
    });
    words.collect::<Vec<_>>().join(", ")
}

/// A table in GitHub's Markdown, which GitLab and Gitea know too.
pub fn markdown(preflight: &Preflight) -> String {
    let cell = |text: &str| {
        let text = printable(text, MAX_TEXT).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('>', "&gt;");
        text.replace('`', "\\`").replace('[', "\\[").replace('@', "&#64;")
    };
    let mut text = "| check | result | detail |\n|---|---|---|\n".to_owned();
    for row in &preflight.rows {
        text.extend([format!("| {} | {} | {} |\n", row.check, row.outcome.word(), cell(row.outcome.detail()))]);
    }
    text
}

/// The same facts for scripts; docs/rollout.md describes the document.
pub fn json(preflight: &Preflight) -> Value {
    let row = |row: &crate::rollout::preflight::Row| {
        let fix = match &row.outcome {
            Outcome::Failed { fix, .. } => Some(fix),
            _ => None,
        };
        json!({"check": row.check.name(), "result": row.outcome.word().to_lowercase(), "detail": row.outcome.detail(), "fix": fix})
    };
    json!(preflight.rows.iter().map(row).collect::<Vec<_>>())
}

/// What became of a wave.
#[derive(Clone, Debug)]
pub struct WaveLine {
    /// Its name.
    pub label: String,
    /// How many sites it has that are concerned.
    pub sites: usize,
    /// How many of them change.
    pub changed: usize,
    /// How many were left out.
    pub left_out: usize,
    /// The commit, or why there is none.
    pub result: String,
}

/// A line per wave.
pub fn waves(lines: &[WaveLine]) -> String {
    let mut table = columns(["WAVE", "SITES", "CHANGED", "LEFT OUT", "RESULT"]);
    for line in lines {
        let [sites, changed, left_out] = [line.sites, line.changed, line.left_out].map(|count| count.to_string());
        table.add_row([line.label.clone(), sites, changed, left_out, line.result.clone()]);
    }
    table::talk(&table)
}

/// A line per site that was left out, with the reason and the remedy.
pub fn left_out(sites: &[(String, String, String)]) -> String {
    let mut table = columns(["SITE", "REASON", "REMEDY"]);
    for (site, reason, remedy) in sites {
        table.add_row([site.clone(), printable(reason, MAX_TEXT), printable(remedy, MAX_TEXT)]);
    }
    table::talk(&table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::preflight::Check;

    fn preflight(detail: &str) -> Preflight {
        let mut preflight = Preflight::default();
        preflight.add(Check::Resolve, Outcome::Passed(detail.to_owned()));
        preflight.add(Check::Disk, Outcome::failed("too small", "a larger one"));
        preflight
    }

    #[test]
    fn a_table_a_summary_and_a_document_say_the_same() {
        let all = preflight("v1 is sha256:1");
        let table = console::strip_ansi_codes(&table(&all)).into_owned();
        assert_eq!(table, " CHECK    RESULT  DETAIL\n resolve  passed  v1 is sha256:1\n disk     FAILED  too small\n");
        assert_eq!(summary(&all), "1 passed, 1 failed");
        assert_eq!(json(&all)[1], json!({"check": "disk", "result": "failed", "detail": "too small", "fix": "a larger one"}));
    }

    #[test]
    fn a_strangers_words_draw_nothing_in_markdown() {
        let text = markdown(&preflight("a | b <img src=x> [x](y) `c` @all\n| forged | passed | |"));
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("a \\| b &lt;img src=x&gt; \\[x](y) \\`c\\` &#64;all\u{fffd}\\| forged"), "{text}");
    }
}
