//! YAML in and out as plain values: the independent reader that proves what the editor did.

use std::path::Path;

use fs_err as fs;
use serde_json::Value;

use super::RolloutError;

/// The largest YAML file that is read, in bytes. Kubernetes itself stores at most 1.5 MiB per object.
const MAX_FILE: u64 = 2 << 20;

/// A file's text; `None` where there is no file.
///
/// # Errors
/// Nothing but a file is opened: a repository may hold links, and what they lead to (a key, a terminal) must neither be quoted by an
/// error nor waited for.
pub(super) fn read(path: &Path) -> Result<Option<String>, RolloutError> {
    use std::io::Read as _;
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => return Err(RolloutError::Symlink { path: path.to_owned() }),
        Ok(found) if !found.is_file() => return Err(RolloutError::shape(path, "it is no file")),
        _ => {}
    }
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RolloutError::io("open", path)(error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(RolloutError::io("read", path))?;
    if text.len() as u64 > MAX_FILE { Err(RolloutError::TooLarge { path: path.to_owned(), limit: MAX_FILE }) } else { Ok(Some(text)) }
}

/// The documents of a file's text, without empty ones at the ends.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Value>, RolloutError> {
    // `{{ .Values.x }}` is also a legal flow mapping, so a parser alone would let templates through.
    if text.contains(BRACES) {
        return Err(templated(path));
    }
    documents(path, text)
}

/// The same for what is only looked at: a ServingRuntime may say `--model_name={{.Name}}`, which KServe fills in.
pub(super) fn parse_served(path: &Path, text: &str) -> Result<Vec<Value>, RolloutError> {
    let documents = documents(path, text).map_err(|error| if text.contains(BRACES) { templated(path) } else { error })?;
    let in_strings: usize = documents.iter().map(braces).sum();
    if in_strings == text.matches(BRACES).count() { Ok(documents) } else { Err(templated(path)) }
}

const BRACES: &str = "{{";

fn templated(path: &Path) -> RolloutError {
    RolloutError::Templated { path: path.to_owned() }
}

/// How often double braces stand in strings.
fn braces(value: &Value) -> usize {
    match value {
        Value::String(text) => text.matches(BRACES).count(),
        Value::Array(items) => items.iter().map(braces).sum(),
        Value::Object(members) => members.values().map(braces).sum(),
        _ => 0,
    }
}

fn documents(path: &Path, text: &str) -> Result<Vec<Value>, RolloutError> {
    let unreadable = |source| RolloutError::Yaml { path: path.to_owned(), source: Box::new(source) };
    serde_saphyr::from_multiple(text).map_err(unreadable)
}

/// Block-style YAML with a final newline. Long strings stay on their key's line: `storageUri: oci://…` has to be found by `grep`.
pub(super) fn to_string(value: &Value) -> Result<String, RolloutError> {
    let failed = |source| RolloutError::Serialize { what: "YAML", source: Box::new(source) };
    serde_saphyr::to_string_with_options(value, serde_saphyr::ser_options! { prefer_block_scalars: false }).map_err(failed)
}

/// Every line moved right.
pub(super) fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect::<Vec<_>>().concat()
}

/// Lays one value over another: mappings member by member, anything else whole.
pub(super) fn merge(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                merge(below.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_that_kserve_fills_in_are_no_template_of_a_chart() {
        let path = Path::new("x.yaml");
        let runtime = "kind: ServingRuntime\nspec: {args: ['--model_name={{.Name}}']}\n---\nkind: InferenceService\n";
        assert_eq!(parse_served(path, runtime).unwrap().len(), 2);
        assert!(matches!(parse(path, runtime), Err(RolloutError::Templated { .. })), "what is edited is nobody's template");
        for chart in ["kind: {{ .Values.kind }}\n", "{{- if .Values.on }}\na: 1\n{{- end }}\n", "a: '{{ .A }}'\nb: {{ .B }}\n"] {
            assert!(matches!(parse_served(path, chart), Err(RolloutError::Templated { .. })), "{chart}");
        }
        assert!(matches!(parse_served(path, "a: ["), Err(RolloutError::Yaml { .. })));
    }

    #[test]
    fn what_a_link_or_a_pipe_leads_to_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("secret"), "s3cret").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status();
        assert!(made.is_ok_and(|status| status.success()));
        for link in ["link", "dangling"] {
            assert!(matches!(read(&at(link)), Err(RolloutError::Symlink { .. })), "{link}");
        }
        assert!(read(&at("pipe")).is_err() && read(dir.path()).is_err());
        assert_eq!(read(&at("secret")).unwrap().as_deref(), Some("s3cret"));
        assert_eq!(read(&at("absent")).unwrap(), None);
    }
}
