//! `$(…)`: what stands for what, and putting it in. <https://tekton.dev/docs/pipelines/variables/>

use std::collections::BTreeMap;

use super::{ParamValue, Refused, refuse};

/// Tekton's own words: a variable of these that stays is one that nobody declared.
const ROOTS: [&str; 8] = ["params", "results", "workspaces", "context", "tasks", "steps", "step", "finally"];

/// What variables stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    texts: BTreeMap<String, String>,
    /// Arrays and objects, without the `[*]`.
    wholes: BTreeMap<String, ParamValue>,
}

impl Variables {
    pub(crate) fn text(&mut self, name: &str, value: impl Into<String>) {
        self.texts.insert(name.to_owned(), value.into());
    }

    /// A parameter or result in all ways of naming it: `params.x`, `params["x"]`, `params['x']`.
    pub(crate) fn value(&mut self, prefix: &str, name: &str, value: &ParamValue) {
        for full in [format!("{prefix}.{name}"), format!("{prefix}[\"{name}\"]"), format!("{prefix}['{name}']")] {
            self.one(&full, value);
        }
    }

    fn one(&mut self, full: &str, value: &ParamValue) {
        match value {
            ParamValue::Text(text) => self.text(full, text.as_str()),
            ParamValue::List(items) => items.iter().enumerate().for_each(|(at, item)| self.text(&format!("{full}[{at}]"), item.as_str())),
            ParamValue::Map(fields) => fields.iter().for_each(|(key, item)| self.text(&format!("{full}.{key}"), item.as_str())),
        }
        if value.text().is_none() {
            self.wholes.insert(full.to_owned(), value.clone());
        }
    }

    /// The text with what is known put in, once: what was put in is not read again.
    pub(crate) fn in_text(&self, text: &str) -> String {
        replace(text, |name| self.texts.get(name).cloned())
    }

    /// The words of a command line; an array that is a word of its own becomes as many words as it has.
    pub(crate) fn in_words(&self, words: &[String]) -> Vec<String> {
        let replaced = |word: &String| match self.whole(word) {
            Some(ParamValue::List(items)) => items.clone(),
            _ => vec![self.in_text(word)],
        };
        words.iter().flat_map(replaced).collect()
    }

    /// A parameter's value; a variable alone may stand for an array or an object, and one among an array's items for several.
    pub(crate) fn in_value(&self, value: &ParamValue) -> ParamValue {
        match value {
            ParamValue::Text(text) => self.whole(text).cloned().unwrap_or_else(|| ParamValue::Text(self.in_text(text))),
            ParamValue::List(items) => ParamValue::List(self.in_words(items)),
            ParamValue::Map(fields) => ParamValue::Map(fields.iter().map(|(key, item)| (key.clone(), self.in_text(item))).collect()),
        }
    }

    fn whole(&self, text: &str) -> Option<&ParamValue> {
        let name = text.strip_prefix("$(")?.strip_suffix(')')?;
        self.wholes.get(name.strip_suffix("[*]").unwrap_or(name))
    }
}

fn replace(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        done.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = rest.find(')').and_then(|end| Some((value(&rest[2..end])?, end + 1)));
        let (put, length) = known.unwrap_or_else(|| ("$(".to_owned(), 2));
        done.push_str(&put);
        rest = &rest[length..];
    }
    done + rest
}

/// The variables of Tekton in a text, without `$(` and `)`.
pub(crate) fn variables(text: &str) -> Vec<String> {
    let found = text.split("$(").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    found.filter(|name| ROOTS.contains(&name.split(['.', '[']).next().unwrap_or_default())).map(str::to_owned).collect()
}

/// Refuses a text in which a variable of these roots is left.
pub(crate) fn refuse_leftovers(place: &str, text: &str, roots: &[&str]) -> Result<(), Refused> {
    let of_roots = |name: &String| roots.contains(&name.split(['.', '[']).next().unwrap_or_default());
    if let Some(name) = variables(text).into_iter().find(of_roots) {
        refuse!("{place}: non-existent variable $({name}) in {text:?}");
    }
    Ok(())
}

mod tests {
    use super::{Variables, refuse_leftovers, variables};
    use crate::tekton::run::ParamValue;

    fn known() -> Variables {
        let mut known = Variables::default();
        known.value("params", "A", &"text".into());
        known.value("params", "B", &["one", "two"].into());
        known.value("params", "NONE", &ParamValue::List(Vec::new()));
        known.value("params", "C", &ParamValue::Map([("uri".to_owned(), "s3://b".to_owned())].into()));
        known
    }

    #[test]
    fn every_way_to_name_a_parameter_is_replaced() {
        let texts = [
            ("-$(params.A)-$(params['A'])$(params[\"A\"])", "-text-texttext"),
            ("$(params.B[1])", "two"),
            ("$(params.C.uri)", "s3://b"),
            ("$(params.B[2]) $(HOME) $(", "$(params.B[2]) $(HOME) $("),
            ("$$(params.A)", "$text"),
        ];
        for (text, replaced) in texts {
            assert_eq!(known().in_text(text), replaced);
        }
    }

    #[test]
    fn what_was_put_in_is_not_replaced_again() {
        let mut known = known();
        known.value("params", "D", &"$(params.A)".into());
        assert_eq!(known.in_text("$(params.D)"), "$(params.A)");
    }

    #[test]
    fn an_array_becomes_words_and_an_empty_one_none() {
        let words = ["a", "$(params.B[*])", "$(params.NONE[*])", "$(params.A)"].map(str::to_owned);
        assert_eq!(known().in_words(&words), ["a", "one", "two", "text"]);
        assert_eq!(known().in_value(&"$(params.B[*])".into()), ["one", "two"].into());
    }

    #[test]
    fn what_is_left_of_tektons_own_words_is_refused_and_other_dollars_are_not() {
        assert_eq!(variables("$(params.X) $(HOME) $(steps.a.results.b"), ["params.X"]);
        let refused = refuse_leftovers("step a", "--x=$(params.X)", &["params"]).unwrap_err().to_string();
        assert_eq!(refused, "step a: non-existent variable $(params.X) in \"--x=$(params.X)\"");
        assert!(refuse_leftovers("step a", "$(HOME) $(steps.a.results.b)", &["params"]).is_ok());
    }
}
