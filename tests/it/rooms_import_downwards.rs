//! The rules of the house in `src/`: a room imports only rooms below it, files stay short, and product code never panics by choice.

use crate::support;
use std::path::{Path, PathBuf};

/// From the roof to the ground; `exit_code` is free for all.
const ROOMS: [&str; 12] =
    ["cli", "report", "rollout", "model_registry", "cluster", "trust", "fetch", "image", "model", "kserve", "store", "oci"];

/// More lines than this before a file's tests, and the file wants dividing.
const MOST_LINES: usize = 400;

const PANICS: [&str; 5] = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!("];

#[test]
fn a_room_imports_only_rooms_below_it() {
    assert_no_findings(|file, product| {
        let path = module_path(file);
        let room = path.first().cloned().unwrap_or_default();
        imports(product, path.len())
            .into_iter()
            .filter(|other| is_above(other, &room))
            .map(|other| format!("{room} imports {other}"))
            .collect()
    });
}

/// Their every minor version breaks their API.
#[test]
fn only_keyless_signing_knows_the_crates_of_sigstore() {
    assert_no_findings(|file, product| {
        let stranger = !file.starts_with("trust/keyless") && without_comments_and_strings(product).contains("sigstore_");
        if stranger { vec!["uses a sigstore_* crate".to_owned()] } else { vec![] }
    });
}

#[test]
fn a_file_is_short() {
    assert_no_findings(|_, product| {
        let lines = product.lines().count();
        if lines > MOST_LINES { vec![format!("{lines} lines before its tests")] } else { vec![] }
    });
}

#[test]
fn product_code_never_panics_by_choice() {
    assert_no_findings(|_, product| {
        let code = without_comments_and_strings(product);
        PANICS.iter().filter(|call| code.contains(*call)).map(|call| format!("calls {call}")).collect()
    });
}

/// Applies a rule, given (path below src/, product code), to every product file and fails with all that it found.
#[track_caller]
fn assert_no_findings(rule: impl Fn(&Path, &str) -> Vec<String>) {
    let src = support::repo_root().join("src");
    let files: Vec<PathBuf> = walkdir::WalkDir::new(&src)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| is_product(path))
        .collect();
    assert!(files.len() > ROOMS.len(), "src/ was not found whole: {files:?}");
    let mut findings = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(&src).unwrap();
        findings.extend(rule(file, product_part(&source)).into_iter().map(|finding| format!("src/{}: {finding}", file.display())));
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

fn is_product(path: &Path) -> bool {
    let is_test = path.file_name().is_some_and(|name| name == "tests.rs" || name == "testing.rs")
        || path.components().any(|part| part.as_os_str() == "tests");
    path.extension().is_some_and(|extension| extension == "rs") && !is_test
}

/// The source before its tests; what is declared for tests in the middle of a file (`mod testing;`) hides nothing behind it.
fn product_part(source: &str) -> &str {
    source.split("#[cfg(test)]\nmod tests {").next().unwrap_or(source)
}

/// `store/registry/mod.rs` is `[store, registry]`; `main.rs` and `lib.rs` are the crate itself.
fn module_path(file: &Path) -> Vec<String> {
    let path = file.with_extension("");
    let names = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    names.filter(|name| !["mod", "lib", "main"].contains(&name.as_str())).collect()
}

/// `exit_code`, the crate root and whatever is not a room are above nobody.
fn is_above(other: &str, room: &str) -> bool {
    let floor = |name: &str| ROOMS.iter().position(|known| *known == name);
    floor(other).zip(floor(room)).is_some_and(|(other, room)| other < room)
}

/// The top-level modules that a module `depth` names deep reaches through `crate::` or enough `super::`.
fn imports(source: &str, depth: usize) -> Vec<String> {
    let code: String =
        without_comments_and_strings(source).split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let to_crate = "super::".repeat(depth.max(1));
    let after = |root: &str| code.match_indices(root).flat_map(|(at, _)| first_names(&code[at + root.len()..])).collect::<Vec<_>>();
    let mut names = after("crate::");
    names.extend(after(&to_crate));
    names
}

/// `store::Store` starts with `store`; `{oci::{Digest, Index}, store::Store}` with `oci` and `store`.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![identifier(path)];
    };
    let mut names = vec![identifier(group)];
    let mut nesting = 1;
    for (at, symbol) in group.char_indices() {
        match symbol {
            '{' => nesting += 1,
            '}' => nesting -= 1,
            ',' if nesting == 1 => names.push(identifier(&group[at + 1..])),
            _ => {}
        }
        if nesting == 0 {
            break;
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|symbol| symbol.is_alphanumeric() || *symbol == '_').collect()
}

/// Enough of Rust's grammar to not mistake prose for code: line comments, block comments, string and character literals go.
fn without_comments_and_strings(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(symbol) = rest.chars().next() {
        let skipped = prose_at(rest);
        if skipped == 0 {
            code.push(symbol);
        }
        rest = &rest[skipped.max(symbol.len_utf8())..];
    }
    code
}

/// The length of the comment or literal that `rest` starts with, 0 when it starts with code.
fn prose_at(rest: &str) -> usize {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    let raw_hashes = rest.strip_prefix('r').map(|raw| raw.len() - raw.trim_start_matches('#').len());
    match raw_hashes {
        Some(hashes) if rest[1 + hashes..].starts_with('"') => return until(&format!("\"{}", "#".repeat(hashes)), hashes + 2),
        _ => {}
    }
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return until("*/", 2);
    }
    if rest.starts_with('"') {
        return string_length(rest);
    }
    ["'\"'", "'\\\"'"].iter().find(|quote| rest.starts_with(**quote)).map_or(0, |quote| quote.len())
}

fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, symbol) in rest.char_indices().skip(1) {
        match symbol {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn an_upward_import_is_noticed_in_every_spelling() {
    for source in [
        "use crate::cli::Args;",
        "use crate::{oci::{Digest, Index}, cli};",
        "use crate::{\n    oci::Digest,\n    cli::Args,\n};",
        "fn f() { crate::cli::run() }",
        "use super::super::cli::Args;",
        "const URL: &str = \"http://x\"; use crate::cli;",
        "const QUOTE: char = '\"'; use crate::cli; // \"",
        "const RAW: &str = r#\"a \" b\"#; use crate::cli;",
    ] {
        let found = imports(source, 2);
        assert!(found.iter().any(|name| is_above(name, "store")), "{source}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_a_finding() {
    for source in [
        "use crate::oci::Digest;",
        "use crate::{exit_code, oci::{cli, Index}, store::Store};",
        "use super::cli::Local;",
        "//! see [`crate::cli`]\n/* crate::cli */",
        "const TEXT: &str = \"use crate::cli\";",
        "use crate::client::Thing;",
    ] {
        let found = imports(source, 2);
        assert!(!found.iter().any(|name| is_above(name, "store")), "{source}: {found:?}");
    }
}

#[test]
fn a_panic_in_prose_is_not_a_call() {
    let code = without_comments_and_strings("/// never panic!(…)\nlet why = \"x.unwrap()\"; let y = r\"todo!()\"; z.unwrap_or(1)");
    assert!(PANICS.iter().all(|call| !code.contains(call)), "{code}");
    assert!(without_comments_and_strings("let a = \"//\"; b.unwrap()").contains(".unwrap()"));
}
