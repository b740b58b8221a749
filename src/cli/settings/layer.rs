//! Values with where they came from, in layers of which the upper ones win. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::SettingsError;
use super::keys::Key;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Origin {
    /// An option of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Sourced<T> {
    /// The value.
    pub(in crate::cli) value: T,
    /// Where it came from.
    pub(in crate::cli) origin: Origin,
}

impl<T> Sourced<T> {
    /// A value that an option gives, such as `--registry-url`.
    pub(in crate::cli) fn flag(name: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Flag(name) }
    }
}

/// As it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    One(String),
    Many(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(text) => f.write_str(text),
            Self::Many(texts) => f.write_str(&texts.join(", ")),
        }
    }
}

/// What one source sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer(BTreeMap<Key, Sourced<Value>>);

impl Layer {
    pub(super) fn set(&mut self, key: Key, value: Value, origin: Origin) {
        self.0.insert(key, Sourced { value, origin });
    }

    pub(super) fn get(&self, key: Key) -> Option<&Sourced<Value>> {
        self.0.get(&key)
    }

    /// The line of the file that sets a key.
    pub(super) fn line_of(&self, key: Key) -> Option<usize> {
        match self.get(key)?.origin {
            Origin::File { line, .. } => Some(line),
            _ => None,
        }
    }

    /// This layer upon another one.
    pub(super) fn over(mut self, lower: Self) -> Self {
        for (key, value) in lower.0 {
            self.0.entry(key).or_insert(value);
        }
        self
    }

    /// What nobody has to set.
    pub(super) fn defaults() -> Self {
        let mut layer = Self::default();
        for key in Key::ALL {
            if let Some(text) = key.row().default {
                layer.set(key, Value::One(text.to_owned()), Origin::Default);
            }
        }
        layer
    }

    /// The environment; an empty variable is none. Relative paths are relative to the current directory, lists are separated by commas.
    pub(super) fn of_environment(variable: &dyn Fn(&str) -> Option<String>, cwd: &Path) -> Result<Self, SettingsError> {
        let mut layer = Self::default();
        for key in Key::ALL {
            let row = key.row();
            let Some(text) = variable(row.variable).filter(|text| !text.is_empty()) else { continue };
            let read = |text: &str| key.value("", text.trim(), cwd).map_err(|reason| SettingsError::invalid(row.variable, reason));
            let value =
                if row.is_list { Value::Many(text.split(',').map(read).collect::<Result<_, _>>()?) } else { Value::One(read(&text)?) };
            layer.set(key, value, Origin::Variable(row.variable));
        }
        Ok(layer)
    }

    /// A value and its origin in one line, for tests.
    #[cfg(test)]
    pub(super) fn told(&self, key: Key) -> Option<String> {
        self.get(key).map(|sourced| format!("{} {}", sourced.value, sourced.origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_layers_win_key_by_key() {
        let one = |key, text: &str, origin: &Origin| {
            let mut layer = Layer::default();
            layer.set(key, Value::One(text.to_owned()), origin.clone());
            layer
        };
        let file = Origin::File { path: "f".into(), line: 1 };
        let lower = one(Key::Registry, "low", &file).over(one(Key::Organisation, "acme", &file));
        let merged = one(Key::Registry, "high", &Origin::Variable("V")).over(lower).over(Layer::defaults());
        assert_eq!(merged.told(Key::Registry).unwrap(), "high V");
        assert_eq!(merged.told(Key::Organisation).unwrap(), "acme f:1");
        assert_eq!(merged.told(Key::GitOpsPr).unwrap(), "none default");
        assert_eq!(merged.told(Key::Sign), None);
    }

    #[test]
    fn the_environment_is_read_like_a_file() {
        let variables = [
            ("MODELCAR_REGISTRY", "quay.io"),
            ("MODELCAR_ORGANISATION", ""),
            ("MODELCAR_GITOPS", "edge"),
            ("MODELCAR_VERIFY_KEYS", "a.pub, /b.pub"),
        ];
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let layer = Layer::of_environment(&get, Path::new("/here")).unwrap();
        let told: Vec<_> = Key::ALL.into_iter().filter_map(|key| layer.told(key)).collect();
        assert_eq!(told, ["quay.io MODELCAR_REGISTRY", "/here/edge MODELCAR_GITOPS", "/here/a.pub, /b.pub MODELCAR_VERIFY_KEYS"]);
        let wrong = Layer::of_environment(&|name| (name == "MODELCAR_GITOPS_STYLE").then(|| "helm".to_owned()), Path::new("/"));
        assert_eq!(wrong.err().unwrap().to_string(), "MODELCAR_GITOPS_STYLE: it is none of patch, images");
    }
}
