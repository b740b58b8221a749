//! An object of the API, and its head. Pure.

use std::fmt;

use serde_json::Value;

/// A kind of object, as the API's addresses call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `serving.kserve.io`; empty for Kubernetes' own.
    pub group: &'static str,
    /// `v1beta1`.
    pub version: &'static str,
    /// `inferenceservices`.
    pub plural: &'static str,
    /// `InferenceService`.
    pub kind: &'static str,
}

impl Resource {
    /// The first parts of its address: `apis`, group, version; Kubernetes' own are below `api`.
    pub(super) fn root(&self) -> Vec<&'static str> {
        if self.group.is_empty() { vec!["api", self.version] } else { vec!["apis", self.group, self.version] }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// An object as the API server knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Value);

impl Object {
    /// An object that the API server gave.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// What tells it from another one that had or will have its name.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid").unwrap_or_default()
    }

    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.pointer("/metadata/labels")?.get(key)?.as_str()
    }

    /// An annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.0.pointer("/metadata/annotations")?.get(key)?.as_str()
    }

    /// What a JSON pointer leads to.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// The text that a JSON pointer leads to.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// The members of the list that a JSON pointer leads to.
    pub fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.at(pointer).and_then(Value::as_array).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_head_and_makes_nothing_up() {
        let object = Object::new(json!({"metadata": {"name": "a", "uid": "7", "labels": {"x/y": "z"}, "annotations": {"n": 1}}}));
        assert_eq!((object.name(), object.uid(), object.label("x/y"), object.annotation("n")), ("a", "7", Some("z"), None));
        let strange = Object::new(json!([{"metadata": "no"}]));
        assert_eq!((strange.name(), strange.uid(), strange.label("x"), strange.list("/0/metadata").count()), ("", "", None, 0));
    }
}
