//! What an image's consumers would say, as a table and as JSON.

use std::collections::BTreeSet;

use comfy_table::Table;
use console::Style;
use serde_json::{Value, json};

use super::table::{self, columns};
use crate::image::check::{Line, Outcome, Report};
use crate::oci::printable;

/// The longest detail shown, in characters; it may quote the image.
const MAX_TEXT: usize = 400;

/// A line per rule; one for all platforms where they agree.
pub fn table(report: &Report) -> String {
    let mut table = columns(["CONSUMER", "PLATFORM", "RULE", "RESULT", "DETAIL"]);
    let platforms: BTreeSet<&str> = report.lines.iter().filter_map(|line| line.platform.as_deref()).collect();
    for (number, line) in report.lines.iter().enumerate() {
        let says_same = |other: &&Line| same(line, other);
        if report.lines.iter().filter(says_same).count() < platforms.len() {
            add(&mut table, line, line.platform.as_deref().unwrap_or("all"));
        } else if !report.lines[..number].iter().any(|earlier| same(line, earlier)) {
            add(&mut table, line, "all");
        }
    }
    table::text(&table)
}

fn same(line: &Line, other: &Line) -> bool {
    (line.consumer, line.rule, line.outcome, &line.detail) == (other.consumer, other.rule, other.outcome, &other.detail)
}

fn add(table: &mut Table, line: &Line, platform: &str) {
    table.add_row([line.consumer.to_string(), platform.to_owned(), line.rule.to_owned(), outcome(line.outcome), text(&line.detail)]);
}

fn outcome(outcome: Outcome) -> String {
    let style = match outcome {
        Outcome::Pass => Style::new().green(),
        Outcome::Warn => Style::new().yellow(),
        Outcome::Fail => Style::new().red().bold(),
    };
    style.apply_to(outcome).to_string()
}

fn text(detail: &str) -> String {
    printable(detail, MAX_TEXT)
}

/// What a line says and what to do, for a message: `modelcar (linux/amd64) shell: no sh on PATH`.
pub fn sentence(line: &Line) -> String {
    let platform = line.platform.as_ref().map(|platform| format!(" on {platform}")).unwrap_or_default();
    format!("{}{platform}: {}: {}", line.consumer, line.rule, text(&line.detail))
}

/// What a refusal means for somebody who builds an image, whatever the platform.
pub fn advice(line: &Line) -> String {
    let fix = line.fix.map(|fix| format!("; {fix}")).unwrap_or_default();
    format!("delivery `{}` would refuse the image: {}{fix}", line.consumer, text(&line.detail))
}

/// The same facts for scripts.
///
/// # Errors
/// Never for these values.
pub fn json(image: &str, report: &Report) -> serde_json::Result<String> {
    let lines: Vec<Value> = report.lines.iter().map(line).collect();
    let accepted = report.failures().next().is_none();
    serde_json::to_string_pretty(&json!({"image": image, "accepted": accepted, "rules": lines}))
}

fn line(line: &Line) -> Value {
    json!({
        "consumer": line.consumer.to_string(),
        "platform": line.platform,
        "rule": line.rule,
        "result": line.outcome.to_string(),
        "detail": line.detail,
        "fix": line.fix,
    })
}
