//! Every dependency has a row in docs/dependencies.md that says why it is there, and no row outlives its dependency.

use crate::support;
use std::collections::BTreeSet;

#[test]
fn every_dependency_has_a_row_and_every_row_a_dependency() {
    let manifest = std::fs::read_to_string(support::repo_root().join("Cargo.toml")).unwrap();
    let page = std::fs::read_to_string(support::repo_root().join("docs/dependencies.md")).unwrap();
    assert_eq!(explained(&page), declared(&manifest), "left: rows of docs/dependencies.md, right: Cargo.toml");
}

/// The names in the manifest's dependency tables.
fn declared(manifest: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut in_dependencies = false;
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            in_dependencies = table.trim_end().ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| in_dependencies && !line.starts_with(['#', ' '])) {
            names.insert(name.trim());
        }
    }
    names
}

/// The names in the first column of the page's tables: `` | `name` | version | reason… | `` with a reason that is not empty.
fn explained(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .filter(|(_, rest)| has_reason(rest))
        .map(|(name, _)| name)
        .collect()
}

fn has_reason(rest_of_row: &str) -> bool {
    let cells: Vec<_> = rest_of_row.trim().trim_end_matches('|').split('|').map(str::trim).collect();
    cells.len() >= 3 && cells.iter().all(|cell| !cell.is_empty())
}

#[test]
fn a_dependency_without_a_row_is_noticed() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# why\nserde = { version = \"1\" }\nnew = \"1\"\n\n[dev-dependencies]\ntar = \"0.4\"\n\n[profile.dev]\ndebug = 1\n";
    assert_eq!(declared(manifest), BTreeSet::from(["new", "serde", "tar"]));
    let page =
        "| crate | version | for | why this one |\n|---|---|---|---|\n| `serde` | 1.0 | JSON | the field's own |\n| `tar` | 0.4 | |  |\n";
    assert_eq!(explained(page), BTreeSet::from(["serde"]), "an empty reason is no reason");
}
