//! From bytes to objects, one after the other: a list of a thousand pods is never in memory as a tree.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::oci::is_modest;

/// The largest report in JSON, in bytes: Argo CD's list of a thousand sites has some ten million.
const MAX_JSON: usize = 256 << 20;
/// The largest report in YAML, in bytes; its parser keeps the whole tree.
const MAX_YAML: usize = 8 << 20;
/// The largest object, in bytes; Kubernetes stores at most 1.5 MiB of one.
const MAX_OBJECT: usize = 4 << 20;
/// The most objects of a report.
const MAX_OBJECTS: usize = 200_000;
/// The members that hold objects: Kubernetes' lists, and ACM's search (`data.searchResult[].items[]`).
const LISTS: [&str; 5] = ["items", "data", "searchResult", "related", "applications"];

/// Why a report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// More than any real one has.
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Not JSON, or not of objects.
    #[error("it cannot be read as JSON")]
    Json(#[source] serde_json::Error),
    /// Not YAML.
    #[error("it cannot be read as YAML")]
    Yaml(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Gives every object of a report to `read` and gathers what it says.
pub(super) fn parts<T>(bytes: &[u8], read: &mut dyn FnMut(&Value) -> T) -> Result<Vec<T>, ReportError> {
    if bytes.len() > MAX_JSON {
        return Err(ReportError::TooLarge { limit: MAX_JSON });
    }
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok(Vec::new()),
        Some(b'{' | b'[') => json(bytes, read),
        Some(_) => yaml(bytes, read),
    }
}

fn json<T>(bytes: &[u8], read: &mut dyn FnMut(&Value) -> T) -> Result<Vec<T>, ReportError> {
    let mut found = Vec::new();
    let mut take = |object: &Value| found.push(read(object));
    let raw: &RawValue = serde_json::from_slice(bytes).map_err(ReportError::Json)?;
    walk(raw.get(), &mut Walk { take: &mut take, left: MAX_OBJECTS, depth: 0 }).map_err(ReportError::Json)?;
    Ok(found)
}

/// The way down through lists to the objects.
struct Walk<'a> {
    take: &'a mut dyn FnMut(&Value),
    left: usize,
    depth: usize,
}

/// Lists in lists in lists: ACM's search needs five.
const MAX_DEPTH: usize = 8;

fn walk(text: &str, way: &mut Walk<'_>) -> serde_json::Result<()> {
    if way.depth > MAX_DEPTH {
        return Err(serde_json::Error::custom("lists are nested too deep"));
    }
    let text = text.trim_start();
    if text.starts_with('[') {
        return Elements(way).deserialize(&mut serde_json::Deserializer::from_str(text));
    }
    if !text.starts_with('{') {
        return Ok(());
    }
    let holds_objects = Members(&mut *way).deserialize(&mut serde_json::Deserializer::from_str(text))?;
    if holds_objects { Ok(()) } else { take_object(text, way) }
}

fn take_object(text: &str, way: &mut Walk<'_>) -> serde_json::Result<()> {
    if text.len() > MAX_OBJECT || !is_modest(text.as_bytes()) {
        return Err(serde_json::Error::custom("one of its objects is larger than Kubernetes stores"));
    }
    way.left = way.left.checked_sub(1).ok_or_else(|| serde_json::Error::custom("it has more than 200000 objects"))?;
    (way.take)(&serde_json::from_str(text)?);
    Ok(())
}

/// The elements of a list, one at a time.
struct Elements<'a, 'w>(&'a mut Walk<'w>);

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.0.depth += 1;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            walk(element.get(), self.0).map_err(A::Error::custom)?;
        }
        self.0.depth -= 1;
        Ok(())
    }
}

/// The members of an object that may hold further objects; true where there is one.
struct Members<'a, 'w>(&'a mut Walk<'w>);

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        self.0.depth += 1;
        let mut holds_objects = false;
        while let Some(key) = members.next_key::<Key>()? {
            if !LISTS.contains(&key.0.as_str()) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = members.next_value::<&RawValue>()?;
            // A ConfigMap has `data` too, and Argo CD's words may hold lists of other things: only nested objects are walked.
            let nested = value.get().trim_start().starts_with(['[', '{']);
            holds_objects |= nested;
            if nested {
                walk(value.get(), self.0).map_err(A::Error::custom)?;
            }
        }
        self.0.depth -= 1;
        Ok(holds_objects)
    }
}

/// A member's name. Owned, because an escape in it (`\n`) cannot be borrowed.
#[derive(Deserialize)]
struct Key(String);

fn yaml<T>(bytes: &[u8], read: &mut dyn FnMut(&Value) -> T) -> Result<Vec<T>, ReportError> {
    if bytes.len() > MAX_YAML {
        return Err(ReportError::TooLarge { limit: MAX_YAML });
    }
    let not_yaml = |error: Box<dyn std::error::Error + Send + Sync>| ReportError::Yaml(error);
    let text = std::str::from_utf8(bytes).map_err(|error| not_yaml(error.into()))?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_nodes: 500_000, max_events: 2_000_000, max_depth: 64 },
    };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| not_yaml(error.into()))?;
    let mut found = Vec::new();
    for document in documents {
        match document {
            Value::Array(objects) => found.extend(objects.iter().map(&mut *read)),
            Value::Object(mut members) if members.get("items").is_some_and(Value::is_array) => {
                let items = members.remove("items").unwrap_or_default();
                found.extend(items.as_array().into_iter().flatten().map(&mut *read));
            }
            document => found.push(read(&document)),
        }
    }
    Ok(found)
}
