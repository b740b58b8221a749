//! YAML in and out as plain values: the independent reader that proves what the editor did.

use std::path::Path;

use fs_err as fs;
use serde_json::Value;

use super::RolloutError;

/// The largest YAML file that is read, in bytes. Kubernetes itself stores at most 1.5 MiB per object.
const MAX_FILE: u64 = 2 << 20;

/// A file's text; `None` where there is no file.
pub(super) fn read(path: &Path) -> Result<Option<String>, RolloutError> {
    use std::io::Read as _;
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
    if text.contains("{{") {
        return Err(RolloutError::Templated { path: path.to_owned() });
    }
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
