//! The value of a parameter or a result: a string, an array of strings or an object of strings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum ParamValue {
    Text(String),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
}

impl ParamValue {
    /// Its type's name in a spec.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// A string, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// A result's file: JSON of an array or an object of strings is one, all else is a string.
    pub(crate) fn of_file(content: &str) -> Self {
        let structured = serde_json::from_str(content).ok().filter(|value| !matches!(value, Self::Text(_)));
        structured.unwrap_or_else(|| Self::Text(content.to_owned()))
    }
}

impl From<&str> for ParamValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for ParamValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[&str]> for ParamValue {
    fn from(items: &[&str]) -> Self {
        Self::List(items.iter().map(|item| (*item).to_owned()).collect())
    }
}

impl<const N: usize> From<[&str; N]> for ParamValue {
    fn from(items: [&str; N]) -> Self {
        Self::from(&items[..])
    }
}

mod tests {
    use super::ParamValue;

    #[test]
    fn a_file_is_an_array_or_an_object_only_where_all_in_it_is_text() {
        let kinds = [("[\"a\"]", "array"), ("{\"a\":\"b\"}", "object"), ("[1]", "string"), ("\"a\"", "string"), ("{\"a\":{}}", "string")];
        for (content, kind) in kinds {
            assert_eq!(ParamValue::of_file(content).kind(), kind, "{content}");
        }
        assert_eq!(ParamValue::of_file("\"a\"\n").text(), Some("\"a\"\n"));
    }
}
