//! What strings of a spec refer to: `$(params.X)`, `$(tasks.T.results.R[*])`, `$(workspaces["w"].path)`.

use serde_json::Value;

/// One `$(…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Its names: `params`, `X`.
    pub(crate) path: Vec<String>,
    /// What is in brackets at its end: `*` or a number.
    pub(crate) index: Option<String>,
    /// The whole string that it stands in.
    pub(crate) within: String,
}

impl Variable {
    /// The names after this beginning.
    pub(crate) fn after(&self, beginning: &[&str]) -> Option<&[String]> {
        let (head, rest) = self.path.split_at_checked(beginning.len())?;
        (head == beginning && !rest.is_empty()).then_some(rest)
    }

    /// Whether it is all that its string holds.
    pub(crate) fn is_whole(&self) -> bool {
        self.within.starts_with("$(") && self.within.find(')') == Some(self.within.len() - 1)
    }
}

/// All of a value, members in order.
pub(crate) fn variables(value: &Value) -> Vec<Variable> {
    strings(value).into_iter().flat_map(of_text).collect()
}

/// Every string of a value.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => vec![],
    }
}

fn of_text(text: &str) -> Vec<Variable> {
    let inner = text.split("$(").skip(1).filter_map(|rest| rest.split_once(')')).map(|(inner, _)| inner);
    inner.map(|inner| variable(inner, text)).collect()
}

fn variable(inner: &str, within: &str) -> Variable {
    let (mut path, mut index) = (Vec::new(), None);
    for part in inner.replace("[\"", ".").replace("['", ".").replace("\"]", "").replace("']", "").split('.') {
        let (name, bracket) = part.split_once('[').map_or((part, None), |(name, rest)| (name, Some(rest.trim_end_matches(']').to_owned())));
        path.push(name.to_owned());
        index = bracket;
    }
    Variable { path, index, within: within.to_owned() }
}

mod tests {
    use super::{Variable, variables};
    use serde_json::json;

    #[test]
    fn every_way_to_write_a_variable_is_read() {
        let found =
            variables(&json!({"a": ["$(params.X)", "--y=$(params.Y[*])/$(tasks.t.results.R)", "$(params[\"Z\"])", "$HOME (no)"], "b": 1}));
        let read = |variable: &Variable| (variable.path.join("."), variable.index.clone(), variable.is_whole());
        let expected =
            [("params.X", None, true), ("params.Y", Some("*"), false), ("tasks.t.results.R", None, false), ("params.Z", None, true)];
        assert_eq!(
            found.iter().map(read).collect::<Vec<_>>(),
            expected.map(|(path, index, whole)| (path.to_owned(), index.map(str::to_owned), whole))
        );
        assert_eq!(found[2].after(&["tasks"]).unwrap(), ["t", "results", "R"]);
        assert_eq!(found[0].after(&["params", "X"]), None);
    }
}
