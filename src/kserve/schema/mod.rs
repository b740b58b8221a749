//! What an InferenceService and an LLMInferenceService may say: our own description of the members that people and this tool write, and a
//! checker that finds slips before a cluster does.
//!
//! An API server drops a member that it does not know, and so `storageURI` for `storageUri` makes a service without a model. The tables
//! (`inference`, `llm`, `pod`) know names, types and nesting; `rules` knows what KServe's webhook refuses, or silently ignores. What is
//! not described (probes, volumes, affinity) is not judged.

mod generation;
mod inference;
mod llm;
mod nearest;
mod pod;
mod rules;
mod shape;

use std::fmt;

use serde_json::{Map, Value};

use self::shape::{Member, Shape};
use super::Kind;
use crate::oci::is_harmless;

pub use generation::check_on;

/// The most violations that are told.
const MAX_VIOLATIONS: usize = 100;
/// The longest name in a path, in characters.
const MAX_NAME: usize = 80;
/// The longest explanation, in characters: some repeat what the object says.
const MAX_WHAT: usize = 300;

/// Something that KServe would refuse, drop or ignore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: `spec.predictor.model.storageURI`, `spec.canary[0].predictor`.
    pub path: String,
    /// What is wrong there.
    pub what: String,
    /// The member that was probably meant.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)?;
        match self.nearest {
            Some(nearest) => write!(f, ": did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl Violation {
    fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: shown(&what.into(), MAX_WHAT), nearest: None }
    }
}

/// Everything wrong with a whole object; empty where nothing is, or where it is of another kind.
pub fn check(object: &Value) -> Vec<Violation> {
    let mut found = checked(object, Whole::Yes);
    if kind_of(object) == Some(Kind::InferenceService) {
        found.extend(rules::check(object));
    }
    found.truncate(MAX_VIOLATIONS);
    found
}

/// The same for a patch, which leaves out what it does not change, and says null to what it takes away.
pub fn check_patch(object: &Value) -> Vec<Violation> {
    checked(object, Whole::No)
}

/// The paths of all members that are described, with their OpenAPI type where there is one: `spec.canary[].predictor.name`, `string`.
pub fn members(kind: Kind) -> Vec<(String, Option<&'static str>)> {
    let mut all = Vec::new();
    list(tables(kind), "", &mut all);
    all
}

/// Whether members may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

/// The kind of an object that is described here.
fn kind_of(object: &Value) -> Option<Kind> {
    let group = object["apiVersion"].as_str()?.split_once('/')?.0;
    let kind = object["kind"].as_str()?;
    Kind::ALL.into_iter().find(|known| known.kind() == kind && group == "serving.kserve.io")
}

fn tables(kind: Kind) -> &'static [&'static [Member]] {
    match kind {
        Kind::InferenceService => &[inference::SERVICE],
        Kind::LlmInferenceService => &[llm::SERVICE],
    }
}

fn checked(object: &Value, whole: Whole) -> Vec<Violation> {
    let Some(kind) = kind_of(object) else { return Vec::new() };
    let mut walk = Walk { whole, found: Vec::new() };
    walk.value(Shape::Object(tables(kind)), object, "");
    walk.found
}

/// A table per kind of object; tables end where something is not described, so this goes no deeper than they do.
struct Walk {
    whole: Whole,
    found: Vec<Violation>,
}

impl Walk {
    fn tell(&mut self, violation: Violation) {
        if self.found.len() < MAX_VIOLATIONS {
            self.found.push(violation);
        }
    }

    fn value(&mut self, shape: Shape, value: &Value, path: &str) {
        if value.is_null() && self.whole == Whole::No {
            return;
        }
        if !shape.takes(value) {
            return self.tell(Violation::new(path, format!("should be {}", shape.wanted())));
        }
        match (shape, value) {
            (Shape::Word(words), Value::String(word)) if !words.contains(&word.as_str()) => {
                self.tell(Violation::new(path, format!("should be {}", shape.wanted())));
            }
            (Shape::Object(tables), Value::Object(members)) => self.object(tables, members, path),
            (Shape::List(item), Value::Array(items)) => {
                items.iter().enumerate().for_each(|(at, value)| self.value(*item, value, &format!("{path}[{at}]")));
            }
            (Shape::Texts, Value::Object(members)) => self.each(members, Value::is_string, shape, path),
            (Shape::Amounts, Value::Object(members)) => self.each(members, shape::is_int_or_text, shape, path),
            _ => {}
        }
    }

    fn object(&mut self, tables: &[&'static [Member]], members: &Map<String, Value>, path: &str) {
        let known: Vec<_> = tables.iter().flat_map(|table| table.iter()).collect();
        let whole = self.whole == Whole::Yes;
        for missing in known.iter().filter(|member| whole && member.required && !members.contains_key(member.name)) {
            self.tell(Violation::new(join(path, missing.name), "is missing"));
        }
        for (name, value) in members {
            let here = join(path, name);
            if let Some(member) = known.iter().find(|member| member.name == name) {
                self.value(member.shape, value, &here);
                continue;
            }
            let nearest = nearest::nearest(name, known.iter().map(|member| member.name));
            self.tell(Violation { nearest, ..Violation::new(here, "is not known") });
        }
    }

    fn each(&mut self, members: &Map<String, Value>, fits: fn(&Value) -> bool, shape: Shape, path: &str) {
        let may_be_null = self.whole == Whole::No;
        for (name, value) in members.iter().filter(|(_, value)| !(fits(value) || may_be_null && value.is_null())) {
            let what = if value.is_object() || value.is_array() || value.is_null() { shape.wanted() } else { Shape::Text.wanted() };
            self.tell(Violation::new(join(path, name), format!("should be {what}")));
        }
    }
}

/// Text of an object as it may stand on a terminal.
fn shown(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if is_harmless(c) { c } else { '?' }).collect()
}

fn join(path: &str, name: &str) -> String {
    let name = shown(name, MAX_NAME);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn list(tables: &[&'static [Member]], path: &str, all: &mut Vec<(String, Option<&'static str>)>) {
    for member in tables.iter().flat_map(|table| table.iter()) {
        let here = join(path, member.name);
        all.push((here.clone(), member.shape.type_name()));
        match member.shape {
            Shape::Object(tables) => list(tables, &here, all),
            Shape::List(Shape::Object(tables)) => list(tables, &format!("{here}[]"), all),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
