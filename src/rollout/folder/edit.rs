//! Edits of a user's YAML that leave everything else as it stands, each proven by an independent parser.
//!
//! The editor works on the text's syntax tree and keeps comments, order, quoting and line endings. What it wrote is then read by
//! another parser and must equal what it read before plus the intended change, in every document of the file: an alias that leads
//! elsewhere, a duplicate key or an editor's mistake stops the edit instead of changing a site.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr as _;

use serde_json::Value;
use yaml_edit::{Mapping, ScalarValue, YamlFile, YamlNode, YamlValue};

use crate::rollout::{RolloutError, diff, yaml};

/// A step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member of a mapping.
    Key(String),
    /// An entry of a list, counted from 0 as the independent parser counts.
    At(usize),
}

/// One change of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A member gets this value, whole; mappings on the way are made where they are missing.
    Set(Vec<Step>, Value),
    /// A list gets another entry; the list is made where it is missing.
    Append(Vec<Step>, Value),
    /// A member or an entry goes away. What is not there need not go.
    Remove(Vec<Step>),
}

/// Makes changes in one document of YAML text, one after the other. Documents are counted from 0, without empty ones at the ends.
///
/// # Errors
/// The text is not YAML, the way leads through something else than mappings and lists, or the text could not be changed without changing
/// something else too. `file` is for the message.
pub fn edited(file: &Path, text: &str, document: usize, edits: &[Edit]) -> Result<String, RolloutError> {
    let file = Editable::new(file, text.to_owned())?;
    Ok(edits.iter().try_fold(file, |file, edit| file.edit(document, edit))?.into_text())
}

impl Edit {
    fn steps(&self) -> &[Step] {
        match self {
            Self::Set(steps, _) | Self::Append(steps, _) | Self::Remove(steps) => steps,
        }
    }
}

/// The way to a value: `path(&["spec", "canary"])`.
pub(super) fn path<K: AsRef<str>>(keys: &[K]) -> Vec<Step> {
    keys.iter().map(|key| Step::Key(key.as_ref().to_owned())).collect()
}

/// The way to a value inside an entry of a list.
pub(super) fn inside<K: AsRef<str>>(list: &[&str], at: usize, keys: &[K]) -> Vec<Step> {
    [path(list), vec![Step::At(at)], path(keys)].concat()
}

/// Takes a member away, and the mappings that would be left empty without it.
pub(super) fn removal<K: AsRef<str>>(document: &Value, keys: &[K]) -> Edit {
    let is_last = |above: &[K]| value_at(document, above).and_then(Value::as_object).is_some_and(|members| members.len() == 1);
    let kept = (1..keys.len()).rev().take_while(|above| is_last(&keys[..*above])).last();
    Edit::Remove(path(&keys[..kept.unwrap_or(keys.len())]))
}

/// A YAML file's text and what it says.
#[derive(Debug)]
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
        values.iter().try_fold(self, |file, (keys, value)| file.edit(document, &Edit::Set(path(keys), value.clone())))
    }

    /// Adds an entry to a list at the top of the only document; the list is made where it is missing.
    pub(super) fn append(self, list: &str, entry: &Value) -> Result<Self, RolloutError> {
        self.edit(0, &Edit::Append(path(&[list]), entry.clone()))
    }

    /// Makes one change in one document, and proves it. What is so already stays untouched.
    pub(super) fn edit(self, document: usize, edit: &Edit) -> Result<Self, RolloutError> {
        let mut intended = self.documents.clone();
        let known = intended.get_mut(document).and_then(|document| intend(document, edit));
        known.ok_or_else(|| self.no_way(edit))?;
        if intended == self.documents {
            return Ok(self);
        }
        let (file, root) = self.tree(document)?;
        if is_used_elsewhere(&self.text, &target(&root, edit.steps()).unwrap_or_default()) {
            let reason = format!("`{}` carries an anchor (`&`) that is used elsewhere", spelt(edit.steps()));
            return Err(RolloutError::shape(self.path, reason));
        }
        carry_out(&root, edit).ok_or_else(|| self.no_way(edit))?;
        let text = match edit {
            Edit::Append(steps, _) => styled(&self.text, file.to_string(), steps),
            Edit::Set(..) | Edit::Remove(_) => file.to_string(),
        };
        self.proven(text, intended, edit)
    }

    /// The syntax tree and the root mapping of one document, counted as [`Self::documents`] counts.
    fn tree(&self, document: usize) -> Result<(YamlFile, Mapping), RolloutError> {
        let unreadable = |source| RolloutError::Yaml { path: self.path.to_owned(), source: Box::new(source) };
        let file = YamlFile::from_str(&self.text).map_err(unreadable)?;
        let filled = file.documents().filter(|document| !document.is_empty() || document.as_mapping().is_some());
        let root = filled.into_iter().nth(document).and_then(|document| document.as_mapping());
        root.map(|root| (file, root)).ok_or_else(|| RolloutError::shape(self.path, "the document is not a mapping"))
    }

    fn proven(self, text: String, intended: Vec<Value>, edit: &Edit) -> Result<Self, RolloutError> {
        match yaml::parse(self.path, &text) {
            Ok(found) if found == intended && keeps_comments(&self.text, &text, edit) => {
                Ok(Self { path: self.path, text, documents: intended })
            }
            _ => Err(RolloutError::NotProven { path: self.path.to_owned(), diff: diff::lines(&self.text, &text) }),
        }
    }

    fn no_way(&self, edit: &Edit) -> RolloutError {
        let place = spelt(edit.steps());
        let reason = match edit {
            Edit::Set(..) | Edit::Remove(_) => format!("what leads to `{place}` is not a plain mapping"),
            Edit::Append(..) => format!("`{place}` is not a list"),
        };
        RolloutError::shape(self.path, reason)
    }
}

/// `spec.canary[0].trafficPercent`.
fn spelt(steps: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Key(key) => format!(".{key}"),
        Step::At(at) => format!("[{at}]"),
    };
    steps.iter().map(step).collect::<String>().trim_start_matches('.').to_owned()
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

/// What the edit means, on plain values: the editor's work is measured by it. `None` where the way leads through something else.
fn intend(document: &mut Value, edit: &Edit) -> Option<()> {
    match edit {
        Edit::Set(steps, value) => *reach(document, steps)? = value.clone(),
        Edit::Append(steps, entry) => match reach(document, steps)? {
            Value::Array(items) => items.push(entry.clone()),
            missing @ Value::Null => *missing = Value::Array(vec![entry.clone()]),
            _ => return None,
        },
        Edit::Remove(steps) => forget(document, steps),
    }
    Some(())
}

/// The value at a place, which is made where only mappings are missing.
fn reach<'v>(value: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    let next = match (step, value) {
        (Step::Key(key), Value::Object(members)) => members.entry(key.clone()).or_insert(Value::Null),
        (Step::Key(key), missing @ Value::Null) => {
            *missing = Value::Object(serde_json::Map::new());
            missing.as_object_mut()?.entry(key.clone()).or_insert(Value::Null)
        }
        (Step::At(at), Value::Array(items)) => items.get_mut(*at)?,
        _ => return None,
    };
    reach(next, rest)
}

fn forget(value: &mut Value, steps: &[Step]) {
    match (steps, value) {
        ([Step::Key(key)], Value::Object(members)) => drop(members.remove(key)),
        ([Step::At(at)], Value::Array(items)) if *at < items.len() => drop(items.remove(*at)),
        ([Step::Key(key), rest @ ..], Value::Object(members)) => members.get_mut(key).into_iter().for_each(|next| forget(next, rest)),
        ([Step::At(at), rest @ ..], Value::Array(items)) => items.get_mut(*at).into_iter().for_each(|next| forget(next, rest)),
        _ => {}
    }
}

/// The same on the syntax tree. `None` where something on the way is not as expected.
fn carry_out(root: &Mapping, edit: &Edit) -> Option<()> {
    match edit {
        Edit::Set(steps, value) => set_value(root, steps, value),
        Edit::Append(steps, entry) => append_entry(root, steps, entry),
        Edit::Remove(steps) => remove(root, steps),
    }
}

/// The way's steps up to the last list entry, and the keys after it.
fn descend<'s>(root: &Mapping, steps: &'s [Step]) -> Option<(Mapping, &'s [Step])> {
    match steps {
        [Step::Key(list), Step::At(at), rest @ ..] if !rest.is_empty() => match root.get_sequence(list)?.get(*at)? {
            YamlNode::Mapping(entry) => descend(&entry, rest),
            _ => None,
        },
        _ => Some((root.clone(), steps)),
    }
}

fn set_value(root: &Mapping, steps: &[Step], value: &Value) -> Option<()> {
    let (mapping, steps) = descend(root, steps)?;
    let (Step::Key(key), rest) = steps.split_first()? else { return None };
    let current = mapping.get(key);
    if rest.is_empty() {
        replace(&mapping, key, current, value);
        return Some(());
    }
    match current {
        None => mapping.set(key, to_yaml(&nested(&keys(rest)?, value))),
        Some(YamlNode::Scalar(scalar)) if scalar.is_null() => mapping.set(key, to_yaml(&nested(&keys(rest)?, value))),
        Some(YamlNode::Sequence(_)) => return None,
        Some(_) => set_value(&mapping.get_mapping(key)?, rest, value)?,
    }
    Some(())
}

/// Moves a new list at the top right, where the file's other lists are.
fn styled(before: &str, after: String, steps: &[Step]) -> String {
    let [Step::Key(list)] = steps else { return after };
    let head = format!("{list}:");
    let is_new = !before.lines().any(|line| line.starts_with(&head)) && after.lines().filter(|line| **line == head).count() == 1;
    if !is_new || !before.lines().any(|line| line.starts_with("  - ")) || before.lines().any(|line| line.starts_with("- ")) {
        return after;
    }
    let (mut text, mut inside) = (String::new(), false);
    for line in after.split_inclusive('\n') {
        inside = line.trim_end() == head || (inside && (line.starts_with("- ") || line.starts_with("  ")));
        let moved = inside && line.trim_end() != head;
        text.extend([if moved { "  " } else { "" }, line]);
    }
    text
}

/// The keys of a way without list entries.
fn keys(steps: &[Step]) -> Option<Vec<String>> {
    let key = |step: &Step| match step {
        Step::Key(key) => Some(key.clone()),
        Step::At(_) => None,
    };
    steps.iter().map(key).collect()
}

fn append_entry(root: &Mapping, steps: &[Step], entry: &Value) -> Option<()> {
    let (mapping, steps) = descend(root, steps)?;
    let (Step::Key(list), rest) = steps.split_first()? else { return None };
    match (rest.is_empty(), mapping.get_sequence(list)) {
        (true, Some(items)) => items.push(to_yaml(entry)),
        (true, None) => mapping.set(list, YamlValue::Sequence(vec![to_yaml(entry)])),
        (false, _) if mapping.get_mapping(list).is_some() => append_entry(&mapping.get_mapping(list)?, rest, entry)?,
        (false, _) => set_value(&mapping, steps, &Value::Array(vec![entry.clone()]))?,
    }
    Some(())
}

fn remove(root: &Mapping, steps: &[Step]) -> Option<()> {
    match steps {
        [Step::Key(key)] => drop(root.remove(key)?),
        [Step::Key(list), Step::At(at)] => drop(root.get_sequence(list)?.remove(*at)?),
        [Step::Key(list), Step::At(at), rest @ ..] => match root.get_sequence(list)?.get(*at)? {
            YamlNode::Mapping(entry) => remove(&entry, rest)?,
            _ => return None,
        },
        [Step::Key(key), rest @ ..] => remove(&root.get_mapping(key)?, rest)?,
        _ => return None,
    }
    Some(())
}

/// The text of what an edit is about, where it is there.
fn target(root: &Mapping, steps: &[Step]) -> Option<String> {
    match steps {
        [Step::Key(key)] => Some(root.find_entry_by_key(key)?.to_string()),
        [Step::Key(list), Step::At(at)] => Some(root.get_sequence(list)?.get(*at)?.to_string()),
        [Step::Key(list), Step::At(at), rest @ ..] => match root.get_sequence(list)?.get(*at)? {
            YamlNode::Mapping(entry) => target(&entry, rest),
            _ => None,
        },
        [Step::Key(key), rest @ ..] => target(&root.get_mapping(key)?, rest),
        _ => None,
    }
}

/// Whether something outside of a part of the text stands for an anchor in it. The editor would write the value there in full, and
/// change lines that nobody spoke of.
fn is_used_elsewhere(text: &str, part: &str) -> bool {
    let name = |rest: &str| rest.chars().take_while(|c| !c.is_whitespace() && !",[]{}".contains(*c)).collect::<String>();
    let uses = |text: &str, alias: &str| text.match_indices('*').filter(|(at, _)| name(&text[at + 1..]) == alias).count();
    let anchors = part.match_indices('&').map(|(at, _)| name(&part[at + 1..])).filter(|anchor| !anchor.is_empty());
    anchors.into_iter().any(|anchor| uses(text, &anchor) > uses(part, &anchor))
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
        Value::Number(number) => number.as_i64().map_or_else(|| YamlValue::from(number.to_string()), YamlValue::from),
        Value::Bool(truth) => YamlValue::from(*truth),
        Value::Null => YamlValue::Scalar(ScalarValue::null()),
    }
}

/// Whether every comment is still there. A parser does not see comments, and a person's remark is not ours to lose; only what goes
/// away, and a list or mapping that is replaced whole, takes its comments along.
fn keeps_comments(before: &str, after: &str, edit: &Edit) -> bool {
    let scalar = |value: &Value| !value.is_array() && !value.is_object();
    match edit {
        Edit::Set(_, value) if !scalar(value) => true,
        Edit::Remove(_) => true,
        Edit::Set(..) | Edit::Append(..) => {
            let mut left: Vec<_> = after.lines().filter_map(comment).collect();
            left.sort_unstable();
            let mut all: Vec<_> = before.lines().filter_map(comment).collect();
            all.sort_unstable();
            all == left
        }
    }
}

/// What looks like a line's comment; inside a string it has to stay all the same.
fn comment(line: &str) -> Option<&str> {
    let starts = |at: &usize| *at == 0 || line[..*at].ends_with([' ', '\t']);
    line.match_indices('#').map(|(at, _)| at).find(starts).map(|at| line[at..].trim_end())
}

#[cfg(test)]
mod tests;
