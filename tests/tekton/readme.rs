//! The tables of a README, from the YAML beside it. Everything else of the page is written by hand.
//!
//! A table stands between `<!-- generated: NAME -->` and `<!-- end -->`; NAME is `params`, `workspaces`, `results` or `platforms`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::catalog::Document;

const END: &str = "<!-- end -->";
type Table = fn(&Document) -> String;
const TABLES: [(&str, Table); 4] = [("params", params), ("workspaces", workspaces), ("results", results), ("platforms", platforms)];

/// Where the page of a document is; `None` for what has none of its own, such as samples.
pub(crate) fn page_of(document: &Document) -> Option<PathBuf> {
    let folder = document.path.parent()?;
    let is_own = document.path.file_stem().is_some_and(|stem| stem == document.name()) && folder.ends_with(version(document));
    (is_own && ["Task", "StepAction", "Pipeline"].contains(&document.kind())).then(|| folder.join("README.md"))
}

fn version(document: &Document) -> &str {
    document.value["metadata"]["labels"]["app.kubernetes.io/version"].as_str().unwrap_or("no version")
}

/// The page with its tables as the document wants them.
///
/// # Errors
/// A table is missing, or has no end.
pub(crate) fn renewed(page: &str, document: &Document) -> Result<String, String> {
    TABLES.iter().try_fold(page.to_owned(), |page, (name, table)| replaced(&page, name, &table(document)))
}

fn replaced(page: &str, name: &str, table: &str) -> Result<String, String> {
    let marker = format!("<!-- generated: {name} -->\n");
    if table.is_empty() && !page.contains(&marker) {
        return Ok(page.to_owned());
    }
    let (before, rest) = page.split_once(&marker).ok_or_else(|| format!("no line `{}`", marker.trim_end()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("no `{END}` after `{}`", marker.trim_end()))?;
    let table = if table.is_empty() { "None.\n" } else { table };
    Ok(format!("{before}{marker}\n{table}\n{END}{after}"))
}

/// The lines in which two texts differ, as `diff` shows them.
pub(crate) fn difference(page: &str, wanted: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (page.lines().collect(), wanted.lines().collect());
    let only = |lines: &[&str], others: &[&str], sign: char| -> Vec<String> {
        lines.iter().filter(|line| !others.contains(line)).map(|line| format!("{sign}{line}")).collect()
    };
    [only(&old, &new, '-'), only(&new, &old, '+')].concat().join("\n")
}

/// The page of a document is missing or behind: why. With `UPDATE_GOLDEN` it is written anew where it can be.
pub(crate) fn behind(folder: &Path, document: &Document) -> Option<String> {
    let path = folder.join(page_of(document)?);
    let said = |why: &str| Some(format!("{}: {why}", path.display()));
    let Ok(page) = std::fs::read_to_string(&path) else {
        // A step action may go without one: its YAML says all of it.
        return if document.kind() == "StepAction" { None } else { said("is missing") };
    };
    let wanted = match renewed(&page, document) {
        Ok(wanted) if wanted == page => return None,
        Ok(wanted) => wanted,
        Err(why) => return said(&why),
    };
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, wanted).unwrap();
        return None;
    }
    said(&format!("is behind, UPDATE_GOLDEN=1 writes it anew:\n{}", difference(&page, &wanted)))
}

fn params(document: &Document) -> String {
    let row = |param: &Value| {
        let kind = param["type"].as_str().unwrap_or("string");
        [code(&param["name"]), cell(&param["description"]), kind.to_owned(), default(param)]
    };
    table(["name", "description", "type", "default"], &document.value["spec"]["params"], row)
}

fn default(param: &Value) -> String {
    match param.get("default") {
        None => "**required**".to_owned(),
        Some(Value::String(text)) => format!("`{}`", if text.is_empty() { "\"\"" } else { text }).replace('|', "\\|"),
        Some(other) => format!("`{other}`"),
    }
}

fn workspaces(document: &Document) -> String {
    let word = |value: &Value| if value == true { "yes" } else { "no" }.to_owned();
    let row = |workspace: &Value| {
        [code(&workspace["name"]), cell(&workspace["description"]), word(&workspace["optional"]), word(&workspace["readOnly"])]
    };
    table(["name", "description", "optional", "read-only"], &document.value["spec"]["workspaces"], row)
}

fn results(document: &Document) -> String {
    let row =
        |result: &Value| [code(&result["name"]), cell(&result["description"]), result["type"].as_str().unwrap_or("string").to_owned()];
    table(["name", "description", "type"], &document.value["spec"]["results"], row)
}

fn platforms(document: &Document) -> String {
    let platforms = document.value["metadata"]["annotations"]["tekton.dev/platforms"].as_str().unwrap_or_default();
    let lines: Vec<String> =
        platforms.split(',').filter(|platform| !platform.is_empty()).map(|platform| format!("- `{}`\n", platform.trim())).collect();
    lines.concat()
}

fn table<const N: usize>(heads: [&str; N], items: &Value, row: impl Fn(&Value) -> [String; N]) -> String {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = line(&heads.map(str::to_owned)) + &line(&heads.map(|_| "---".to_owned()));
    items.iter().fold(head, |table, item| table + &line(&row(item)))
}

fn code(name: &Value) -> String {
    format!("`{}`", name.as_str().unwrap_or_default())
}

/// Text of one line, and without what Markdown would take for the end of the cell.
fn cell(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}
