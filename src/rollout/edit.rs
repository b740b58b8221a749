//! Edits of a user's YAML that leave everything else as it stands, each proven by an independent parser.
//!
//! The editor works on the text's syntax tree and keeps comments, order, quoting and line endings. What it wrote is then read by
//! another parser and must equal what it read before plus the intended change, in every document of the file: an alias that leads
//! elsewhere, a duplicate key or an editor's mistake stops the edit instead of changing a site.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use serde_json::Value;
use yaml_edit::{Mapping, YamlFile, YamlNode, YamlValue};

use super::{RolloutError, diff, yaml};

/// A YAML file's text and what it says.
pub(super) struct Editable<'a> {
    path: &'a Path,
    text: String,
    documents: Vec<Value>,
}

impl<'a> Editable<'a> {
    /// Reads text that stands, or will stand, at `path`.
    pub(super) fn new(path: &'a Path, text: String) -> Result<Self, RolloutError> {
        let documents = yaml::parse(path, &text)?;
        Ok(Self { path, text, documents })
    }

    /// What the documents say.
    pub(super) fn documents(&self) -> &[Value] {
        &self.documents
    }

    /// The text as it is now.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Sets values in one document; mappings on the way are made where they are missing. What is so already stays untouched.
    pub(super) fn set(self, document: usize, values: &[(Vec<String>, Value)]) -> Result<Self, RolloutError> {
        let wanted: Vec<_> = values.iter().filter(|(keys, value)| value_at(&self.documents[document], keys) != Some(value)).collect();
        if wanted.is_empty() {
            return Ok(self);
        }
        let mut intended = self.documents.clone();
        for (keys, value) in &wanted {
            yaml::merge(&mut intended[document], &nested(keys, value));
        }
        let (file, root) = self.tree(document)?;
        for (keys, value) in &wanted {
            set_value(&root, keys, value)
                .ok_or_else(|| RolloutError::shape(self.path, format!("what leads to `{}` is not a plain mapping", keys.join("."))))?;
        }
        self.proven(file.to_string(), intended)
    }

    /// Adds an entry to a list at the top of the only document; the list is made where it is missing.
    pub(super) fn append(self, list: &str, entry: &Value) -> Result<Self, RolloutError> {
        let mut intended = self.documents.clone();
        match &mut intended[0][list] {
            Value::Array(items) => items.push(entry.clone()),
            missing @ Value::Null => *missing = Value::Array(vec![entry.clone()]),
            _ => return Err(RolloutError::shape(self.path, format!("`{list}` is not a list"))),
        }
        let (file, root) = self.tree(0)?;
        match root.get_sequence(list) {
            Some(items) => items.push(to_yaml(entry)),
            None => root.set(list, YamlValue::Sequence(vec![to_yaml(entry)])),
        }
        self.proven(file.to_string(), intended)
    }

    /// The syntax tree and the root mapping of one document, counted as [`Self::documents`] counts.
    fn tree(&self, document: usize) -> Result<(YamlFile, Mapping), RolloutError> {
        let unreadable = |source| RolloutError::Yaml { path: self.path.to_owned(), source: Box::new(source) };
        let file = YamlFile::from_str(&self.text).map_err(unreadable)?;
        let filled = file.documents().filter(|document| !document.is_empty() || document.as_mapping().is_some());
        let root = filled.into_iter().nth(document).and_then(|document| document.as_mapping());
        root.map(|root| (file, root)).ok_or_else(|| RolloutError::shape(self.path, "the document is not a mapping"))
    }

    fn proven(self, text: String, intended: Vec<Value>) -> Result<Self, RolloutError> {
        match yaml::parse(self.path, &text) {
            Ok(found) if found == intended => Ok(Self { path: self.path, text, documents: intended }),
            _ => Err(RolloutError::NotProven { path: self.path.to_owned(), diff: diff::lines(&self.text, &text) }),
        }
    }
}

/// The string at a place.
pub(super) fn lookup<'v, K: AsRef<str>>(document: &'v Value, keys: &[K]) -> Option<&'v str> {
    value_at(document, keys)?.as_str()
}

/// What is at a place.
pub(super) fn value_at<'v, K: AsRef<str>>(document: &'v Value, keys: &[K]) -> Option<&'v Value> {
    keys.iter().try_fold(document, |value, key| value.get(key.as_ref()))
}

/// A value wrapped in the mappings that lead to it.
pub(super) fn nested(keys: &[String], value: &Value) -> Value {
    keys.iter().rfold(value.clone(), |inner, key| Value::from_iter([(key.as_str(), inner)]))
}

/// `None` where something on the way is no mapping.
fn set_value(mapping: &Mapping, keys: &[String], value: &Value) -> Option<()> {
    let (key, rest) = keys.split_first()?;
    let current = mapping.get(key);
    if rest.is_empty() {
        replace(mapping, key, current, value);
        return Some(());
    }
    match current {
        None => mapping.set(key, to_yaml(&nested(rest, value))),
        Some(YamlNode::Scalar(scalar)) if scalar.is_null() => mapping.set(key, to_yaml(&nested(rest, value))),
        Some(_) => set_value(&mapping.get_mapping(key)?, rest, value)?,
    }
    Some(())
}

/// Puts a value in the place of another, in the same quotes where that is possible.
fn replace(mapping: &Mapping, key: &str, current: Option<YamlNode>, value: &Value) {
    let Value::String(value) = value else { return mapping.set(key, to_yaml(value)) };
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b":/@.+-_".contains(&b));
    match current {
        Some(YamlNode::Scalar(scalar)) if plain && scalar.is_quoted() => {
            let quote = if scalar.value().starts_with('"') { '"' } else { '\'' };
            scalar.set_value(&format!("{quote}{value}{quote}"));
        }
        _ => mapping.set(key, value.as_str()),
    }
}

fn to_yaml(value: &Value) -> YamlValue {
    match value {
        Value::Object(members) => {
            YamlValue::from(members.iter().map(|(key, value)| (key.clone(), to_yaml(value))).collect::<BTreeMap<_, _>>())
        }
        Value::Array(items) => YamlValue::Sequence(items.iter().map(to_yaml).collect()),
        Value::String(text) => YamlValue::from(text.as_str()),
        other => YamlValue::from(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
