//! What pickles import, and what else in them is a danger.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::policy::{self, Verdict};
use crate::model::facts::cut_list;

/// Different imports that are told apart; a model has a few dozen.
const MAX_IMPORTS: usize = 4096;
/// Dangers that are told one by one.
const MAX_DANGERS: usize = 16;
/// Names in one text.
const SHOWN: usize = 12;

/// A name that a pickle imports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Import {
    /// The module: `sklearn.linear_model._logistic`.
    pub module: String,
    /// The name in it, perhaps with dots.
    pub name: String,
}

impl Import {
    /// Whether it is one of these, written `module.name`.
    pub(crate) fn is_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| name.strip_prefix(&*self.module).and_then(|rest| rest.strip_prefix('.')) == Some(&*self.name))
    }

    /// The first name of the module: `sklearn`.
    pub(crate) fn root(&self) -> &str {
        self.module.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

/// All that was seen, in the order in which it was seen.
#[derive(Clone, Debug, Default)]
pub struct Imports {
    list: Vec<Import>,
    numbers: HashMap<Import, u32>,
    dangers: Vec<String>,
    more_dangers: usize,
    /// Sentences that were told already.
    told: HashSet<String>,
}

impl Imports {
    /// Every different import.
    pub fn list(&self) -> &[Import] {
        &self.list
    }

    /// What must not run, each with its byte; empty for what looks like a model.
    pub fn dangers(&self) -> &[String] {
        &self.dangers
    }

    /// How many dangers there are beyond those that are told.
    pub fn more_dangers(&self) -> usize {
        self.more_dangers
    }

    /// The import of this number.
    pub(super) fn get(&self, index: u32) -> Option<&Import> {
        self.list.get(index as usize)
    }

    /// Notes an import and gives its number, unless there are too many.
    pub(super) fn add(&mut self, import: Import, offset: u64) -> Option<u32> {
        if let Some(known) = self.numbers.get(&import) {
            return Some(*known);
        }
        if self.list.len() >= MAX_IMPORTS {
            self.danger(offset, format!("imports more than {MAX_IMPORTS} different names"));
            return None;
        }
        if let Verdict::Dangerous = policy::judge(&import) {
            self.danger(offset, format!("imports {import}"));
        }
        let number = u32::try_from(self.list.len()).ok()?;
        self.numbers.insert(import.clone(), number);
        self.list.push(import);
        Some(number)
    }

    /// Notes a danger, once.
    pub(super) fn danger(&mut self, offset: u64, what: String) {
        if self.told.contains(&what) {
            return;
        }
        if self.dangers.len() >= MAX_DANGERS {
            self.more_dangers += 1;
            return;
        }
        self.dangers.push(format!("byte {offset} {what}"));
        self.told.insert(what);
    }

    /// Whether models need all of them.
    pub(super) fn are_expected(&self) -> bool {
        self.list.iter().all(|import| policy::judge(import) == Verdict::Expected)
    }

    /// What is imported, for people: what no model usually needs first.
    pub(super) fn summary(&self) -> String {
        if self.list.is_empty() {
            return "imports nothing".to_owned();
        }
        let (expected, others): (Vec<_>, Vec<_>) = self.list.iter().partition(|import| policy::judge(import) == Verdict::Expected);
        let mut parts = Vec::new();
        if !others.is_empty() {
            parts.push(format!("imports {}, which are not usual in models", cut_list(others.iter(), SHOWN)));
        }
        if !expected.is_empty() {
            parts.push(format!("imports {}", cut_list(expected.iter(), SHOWN)));
        }
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(module: &str, name: &str) -> Import {
        Import { module: module.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn an_import_is_told_once() {
        let mut imports = Imports::default();
        assert_eq!(imports.add(import("os", "system"), 3), Some(0));
        assert_eq!(imports.add(import("numpy", "dtype"), 5), Some(1));
        assert_eq!(imports.add(import("os", "system"), 9), Some(0));
        assert_eq!(imports.dangers(), ["byte 3 imports os.system"]);
        assert_eq!(imports.summary(), "imports os.system, which are not usual in models; imports numpy.dtype");
    }

    #[test]
    fn there_is_an_end_to_imports_and_dangers() {
        let mut imports = Imports::default();
        for n in 0..MAX_IMPORTS {
            assert!(imports.add(import("os", &format!("f{n}")), 0).is_some());
        }
        assert_eq!(imports.add(import("os", "last"), 0), None);
        assert_eq!((imports.dangers().len(), imports.more_dangers()), (MAX_DANGERS, MAX_IMPORTS - MAX_DANGERS + 1));
    }

    #[test]
    fn a_name_is_recognised_only_whole() {
        assert!(import("torch._utils", "_rebuild_tensor_v2").is_any(&["torch._utils._rebuild_tensor_v2"]));
        assert!(!import("torch", "_utils").is_any(&["torch._utils._rebuild_tensor_v2"]));
        assert!(!import("x", "y").is_any(&["xy", "x.yz"]));
    }
}
