//! What differs, side by side, and between two images.

use std::fmt::Write as _;

use console::Style;
use serde_json::{Value, json};

use super::table::{self, columns};
use super::units;
use crate::image::compare::{Change, Comparison, FileDifference};
use crate::oci::{Digest, Timestamp, printable};
use crate::rollout::status::Arrival;
use crate::rollout::status::difference::{Difference, Kind, Row, Version};

/// The longest value shown, in characters.
const MAX_TEXT: usize = 200;
/// The most files and annotations of an image that are shown.
const MAX_LISTED: usize = 100;

/// A row per model and application; below, what differs between images that were looked at.
pub fn text(difference: &Difference, now: Timestamp) -> String {
    if difference.rows.is_empty() {
        return "nothing to compare\n".to_owned();
    }
    let has_commits = difference.rows.iter().any(|row| row.arrival.is_some());
    let mut table = columns([]);
    let (old, new) = (printable(&difference.old, MAX_TEXT).to_uppercase(), printable(&difference.new, MAX_TEXT).to_uppercase());
    let commit = has_commits.then_some(["COMMIT", "AGE", "SIGNER"]).into_iter().flatten();
    table.set_header(["NAME", &old, &new].into_iter().chain(commit.clone()).chain(["STATE"]));
    for row in &difference.rows {
        let mut cells = vec![name(row), version(row.old.as_ref()), version(row.new.as_ref())];
        if has_commits {
            cells.extend(arrival(row.arrival.as_ref(), now));
        }
        cells.push(state(row));
        table.add_row(cells);
    }
    let mut text = table::text(&table);
    for row in &difference.rows {
        if let Some(images) = &row.images {
            let _ = write!(text, "\n{}", images_text(&heading(row), images));
        }
    }
    text
}

fn name(row: &Row) -> String {
    let note = if row.kind == Kind::App { " (application)" } else { "" };
    format!("{}{note}", printable(&row.name, MAX_TEXT))
}

/// `v1 bccb5e38377b, canary 10 % 0a1b2c3d4e5f`.
fn version(version: Option<&Version>) -> String {
    let Some(version) = version else { return "–".to_owned() };
    let tag = version.image.as_ref().and_then(|image| image.tag()).map(str::to_owned);
    let digests = version.digests.iter().map(Digest::short).collect::<Vec<_>>().join(" + ");
    let stable = tag.into_iter().chain(Some(digests).filter(|digests| !digests.is_empty())).collect::<Vec<_>>().join(" ");
    let canary = |(digest, percent): &(Option<Digest>, u8)| {
        format!("canary {percent} % {}", digest.map_or_else(|| "–".to_owned(), |digest| digest.short()))
    };
    let parts = [if stable.is_empty() { "–".to_owned() } else { stable }].into_iter().chain(version.canaries.iter().map(canary));
    parts.collect::<Vec<_>>().join(", ")
}

fn arrival(arrival: Option<&Arrival>, now: Timestamp) -> [String; 3] {
    let Some(arrival) = arrival else { return ["–", "–", "–"].map(str::to_owned) };
    let age = units::age(now.seconds().saturating_sub(arrival.time.seconds()));
    let signer = arrival.signer.as_deref().map_or_else(|| "–".to_owned(), |signer| printable(signer, 24));
    [arrival.commit.get(..12).unwrap_or(&arrival.commit).to_owned(), age, signer]
}

fn state(row: &Row) -> String {
    let style = match row.differs {
        Some(true) => Style::new().yellow(),
        Some(false) => Style::new().green(),
        None => Style::new().dim(),
    };
    style.apply_to(printable(&row.state, MAX_TEXT)).to_string()
}

fn heading(row: &Row) -> String {
    let digest = |version: Option<&Version>| version.and_then(|version| version.digests.first()).map(Digest::short).unwrap_or_default();
    format!("{}: {} → {}", printable(&row.name, MAX_TEXT), digest(row.old.as_ref()), digest(row.new.as_ref()))
}

/// Two images: sizes, what would be pulled, files, annotations.
pub fn images_text(heading: &str, images: &Comparison) -> String {
    let mut text = format!("{}\n", Style::new().bold().apply_to(heading));
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {} {value}", Style::new().dim().apply_to(format!("{label:<9}")));
    };
    line("size", &format!("{} → {}", units::bytes(images.old_size), units::bytes(images.new_size)));
    let there = format!("{} there already", units::count(images.shared_layers, "layer"));
    line("pull", &format!("{} in {}, {there}", units::bytes(images.pull), units::count(images.new_layers, "layer")));
    for file in images.files.iter().take(MAX_LISTED) {
        line(change(file.change), &file_text(file));
    }
    for annotation in images.annotations.iter().take(MAX_LISTED) {
        let value = |value: &Option<String>| value.as_ref().map_or_else(|| "–".to_owned(), |value| printable(value, MAX_TEXT));
        line("says", &format!("{}: {} → {}", printable(&annotation.key, MAX_TEXT), value(&annotation.old), value(&annotation.new)));
    }
    let hidden = images.files.len().saturating_sub(MAX_LISTED) + images.annotations.len().saturating_sub(MAX_LISTED);
    if hidden > 0 {
        line("…", &format!("and {hidden} more (`--format json` has all)"));
    }
    if images.files.is_empty() && images.annotations.is_empty() {
        line("same", "no file and no annotation differs");
    }
    text
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
        Change::Unknown => "perhaps",
    }
}

fn file_text(file: &FileDifference) -> String {
    let path = printable(&file.path, MAX_TEXT);
    match (file.old_size, file.new_size) {
        (Some(old), Some(new)) if old == new => format!("{path} ({})", units::bytes(new)),
        (Some(old), Some(new)) => format!("{path} ({} → {})", units::bytes(old), units::bytes(new)),
        (Some(size), None) | (None, Some(size)) => format!("{path} ({})", units::bytes(size)),
        (None, None) => path,
    }
}

/// The same for scripts.
///
/// # Errors
/// Never for these values.
pub fn json(difference: &Difference) -> serde_json::Result<String> {
    let of = |kind: Kind| difference.rows.iter().filter(|row| row.kind == kind).map(row_json).collect::<Vec<_>>();
    serde_json::to_string_pretty(&json!({
        "old": difference.old,
        "new": difference.new,
        "differs": difference.differs(),
        "models": of(Kind::Model),
        "apps": of(Kind::App),
    }))
}

fn row_json(row: &Row) -> Value {
    let arrival = row.arrival.as_ref();
    json!({
        "name": row.name,
        "state": row.state,
        "differs": row.differs,
        "old": row.old.as_ref().map(version_json),
        "new": row.new.as_ref().map(version_json),
        "commit": arrival.map(|arrival| arrival.commit.as_str()),
        "committed": arrival.map(|arrival| arrival.time.to_string()),
        "signer": arrival.and_then(|arrival| arrival.signer.as_deref()),
        "images": row.images,
    })
}

fn version_json(version: &Version) -> Value {
    let canaries = version.canaries.iter().map(|(digest, percent)| json!({"digest": digest, "percent": percent}));
    json!({
        "image": version.image.as_ref().map(ToString::to_string),
        "digests": version.digests,
        "canaries": canaries.collect::<Vec<_>>(),
    })
}

/// Two images for scripts.
///
/// # Errors
/// Never for these values.
pub fn images_json(old: &str, new: &str, images: &Comparison) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&json!({"old": old, "new": new, "differs": old != new, "images": images}))
}
