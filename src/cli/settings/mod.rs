//! What many commands of a project have in common, said once: an option wins over the environment, the environment over the project's
//! `modelcar.toml`, that over the user's own file, and that over a default. docs/configuration.md is the user's side of it.
//!
//! | file | job |
//! |---|---|
//! | `keys` | the table of settings, and what each may be |
//! | `layer` | values with where they came from |
//! | `file`, `find` | one file, and where files are |
//! | `short_name` | `iris:v1` for `quay.io/acme/iris:v1` |

use std::path::{Path, PathBuf};

use serde::Serialize;

mod error;
mod file;
mod find;
mod keys;
mod layer;
mod short_name;

use super::CliError;
pub use error::SettingsError;
pub(super) use find::{Searched, State};
use keys::Key;
use layer::{Layer, Value};
pub(super) use layer::{Origin, Sourced};

/// What is in effect.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The registry of images that are named without one.
    pub(super) registry: Option<Sourced<String>>,
    /// Their organisation.
    pub(super) organisation: Option<Sourced<String>>,
    /// The repository that Argo CD watches.
    pub(super) gitops: GitOps,
    /// Whose signatures count.
    pub(super) verify: Verify,
    /// The key that signs, as `--key` takes it.
    pub(super) sign_key: Option<Sourced<String>>,
    /// Where models are registered.
    pub(super) model_registry_url: Option<Sourced<String>>,
    shown: Vec<Shown>,
    searched: Vec<Searched>,
}

/// The repository that Argo CD watches.
#[derive(Clone, Debug)]
pub(super) struct GitOps {
    /// Where it is.
    pub(super) place: Option<Sourced<Place>>,
    /// The branch that changes go to.
    pub(super) branch: Option<Sourced<String>>,
    /// The folder in it that holds `sites/`.
    pub(super) path: Option<Sourced<String>>,
    /// `patch` or `images`.
    pub(super) style: Option<Sourced<String>>,
    /// `github`, `gitlab`, `gitea` or `none`.
    pub(super) pr: Option<Sourced<String>>,
    /// `Name <mail>` of commits.
    pub(super) author: Option<Sourced<String>>,
}

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Somewhere that git clones from.
    Url(String),
    /// A work tree on this machine.
    Dir(PathBuf),
}

/// Whose signatures count.
#[derive(Clone, Debug)]
pub(super) struct Verify {
    /// Public keys, as `--key` takes them.
    pub(super) keys: Option<Sourced<Vec<String>>>,
    /// The policy file.
    pub(super) policy: Option<Sourced<PathBuf>>,
}

/// A setting as `modelcar config` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Shown {
    /// `gitops.branch`
    pub(super) key: &'static str,
    /// Its value; none where nobody sets it.
    pub(super) value: Option<String>,
    /// Where it came from.
    pub(super) from: Option<Origin>,
}

impl Settings {
    /// What is in effect for a command that is run here and now.
    pub(super) fn load() -> Result<Self, CliError> {
        let cwd = std::env::current_dir().map_err(|source| CliError::Reading { path: "the current directory".to_owned(), source })?;
        Ok(Self::at(&cwd, &|name| std::env::var_os(name))?)
    }

    fn at(cwd: &Path, variable: &dyn Fn(&str) -> Option<std::ffi::OsString>) -> Result<Self, SettingsError> {
        // what is not text is none of the values there are
        let text =
            |name: &str| variable(name).map(|value| value.into_string().unwrap_or_else(|value| value.to_string_lossy().into_owned()));
        let mut layers = Layer::of_environment(&text, cwd)?;
        let searched = find::search(cwd, variable);
        for place in searched.iter().filter(|place| place.state == State::Read) {
            layers = layers.over(file::parse(&find::read(&place.path)?, &place.path)?);
        }
        Ok(Self::of(&layers.over(Layer::defaults()), searched))
    }

    fn of(layer: &Layer, searched: Vec<Searched>) -> Self {
        let text = |key| one(layer, key, |text| text);
        Self {
            registry: text(Key::Registry),
            organisation: text(Key::Organisation),
            gitops: GitOps {
                place: one(layer, Key::GitOps, |text| if keys::is_address(&text) { Place::Url(text) } else { Place::Dir(text.into()) }),
                branch: text(Key::GitOpsBranch),
                path: text(Key::GitOpsPath),
                style: text(Key::GitOpsStyle),
                pr: text(Key::GitOpsPr),
                author: text(Key::GitOpsAuthor),
            },
            verify: Verify { keys: many(layer, Key::VerifyKeys), policy: one(layer, Key::VerifyPolicy, PathBuf::from) },
            sign_key: text(Key::Sign),
            model_registry_url: text(Key::ModelRegistryUrl),
            shown: Key::ALL.into_iter().map(|key| shown(layer, key)).collect(),
            searched,
        }
    }

    /// Every setting, for people.
    pub(super) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// Every place that was looked at.
    pub(super) fn searched(&self) -> &[Searched] {
        &self.searched
    }
}

fn one<T>(layer: &Layer, key: Key, read: impl Fn(String) -> T) -> Option<Sourced<T>> {
    let found = layer.get(key)?;
    Some(Sourced { value: read(found.value.to_string()), origin: found.origin.clone() })
}

fn many(layer: &Layer, key: Key) -> Option<Sourced<Vec<String>>> {
    let found = layer.get(key)?;
    let value = match &found.value {
        Value::Many(texts) => texts.clone(),
        Value::One(text) => vec![text.clone()],
    };
    Some(Sourced { value, origin: found.origin.clone() })
}

fn shown(layer: &Layer, key: Key) -> Shown {
    let found = layer.get(key);
    let is_dir = key == Key::GitOps && found.is_some_and(|found| !keys::is_address(&found.value.to_string()));
    Shown {
        key: if is_dir { "gitops.dir" } else { key.row().name },
        value: found.map(|found| found.value.to_string()),
        from: found.map(|found| found.origin.clone()),
    }
}

/// Whether a text is a file of settings; for fuzzing.
#[doc(hidden)]
pub fn check_settings(text: &str) -> bool {
    file::parse(text, Path::new("modelcar.toml")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_the_project_and_the_project_over_the_user() {
        let home = tempfile::tempdir().unwrap();
        let project = home.path().join("project");
        std::fs::create_dir_all(home.path().join(".config/modelcar")).unwrap();
        std::fs::create_dir(&project).unwrap();
        std::fs::write(project.join("modelcar.toml"), "registry = \"project.example.com\"\norganisation = \"project\"\n").unwrap();
        let own = "registry = \"user.example.com\"\norganisation = \"user\"\n[gitops]\ndir = \"edge\"\n";
        std::fs::write(home.path().join(".config/modelcar/config.toml"), own).unwrap();
        let variable = |name: &str| match name {
            "HOME" => Some(home.path().as_os_str().to_owned()),
            "MODELCAR_REGISTRY" => Some("environment.example.com".into()),
            _ => None,
        };
        let settings = Settings::at(&project, &variable).unwrap();
        assert_eq!(settings.registry.unwrap().value, "environment.example.com");
        assert_eq!(settings.organisation.unwrap().value, "project");
        let place = settings.gitops.place.unwrap();
        assert_eq!(place.value, Place::Dir(home.path().join(".config/modelcar/edge")));
        assert_eq!(place.origin.to_string(), format!("{}/.config/modelcar/config.toml:4", home.path().display()));
        assert_eq!(settings.shown.iter().find(|shown| shown.key == "gitops.dir").unwrap().from, Some(place.origin));
    }
}
