//! The table of keys: one row for each, from which files, variables, `modelcar config` and the documentation's test all read.

use std::ffi::OsStr;
use std::path::Path;

use url::Url;

use crate::model_registry::Endpoint;
use crate::oci::{Reference, is_harmless};
use crate::trust::KeySource;

/// The longest value, in bytes.
const MAX_VALUE: usize = 1024;

/// A setting that verbs share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Registry,
    Organisation,
    GitOps,
    GitOpsBranch,
    GitOpsPath,
    GitOpsStyle,
    GitOpsPr,
    GitOpsAuthor,
    VerifyKeys,
    VerifyPolicy,
    Sign,
    ModelRegistryUrl,
}

/// What may be written for a key, and what relative paths in it are relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `quay.io`, `localhost:5000`
    Host,
    /// `acme`, `acme/edge`
    Repository,
    /// An address that git understands, by the key's spelling `url` or the address's own look; else a folder.
    Place,
    /// A folder inside a repository.
    Inside,
    /// One of these.
    Word(&'static [&'static str]),
    /// `Name <mail>`
    Line,
    /// A file.
    File,
    /// What `--key` takes.
    Key,
    /// A model registry.
    Endpoint,
}

/// A key's row.
pub(super) struct Row {
    /// As in the file: a table and a name, or a name alone.
    pub(super) name: &'static str,
    /// Other spellings of it.
    pub(super) aliases: &'static [&'static str],
    /// The environment's name for it.
    pub(super) variable: &'static str,
    /// The value where nobody sets it.
    pub(super) default: Option<&'static str>,
    /// Whether it is a list.
    pub(super) is_list: bool,
    shape: Shape,
}

impl Row {
    const fn new(name: &'static str, variable: &'static str, shape: Shape) -> Self {
        Self { name, aliases: &[], variable, default: None, is_list: false, shape }
    }
}

impl Key {
    pub(super) const ALL: [Self; 12] = [
        Self::Registry,
        Self::Organisation,
        Self::GitOps,
        Self::GitOpsBranch,
        Self::GitOpsPath,
        Self::GitOpsStyle,
        Self::GitOpsPr,
        Self::GitOpsAuthor,
        Self::VerifyKeys,
        Self::VerifyPolicy,
        Self::Sign,
        Self::ModelRegistryUrl,
    ];

    pub(super) const fn row(self) -> Row {
        match self {
            Self::Registry => Row::new("registry", "MODELCAR_REGISTRY", Shape::Host),
            Self::Organisation => {
                Row { aliases: &["organization"], ..Row::new("organisation", "MODELCAR_ORGANISATION", Shape::Repository) }
            }
            Self::GitOps => Row { aliases: &["gitops.dir"], ..Row::new("gitops.url", "MODELCAR_GITOPS", Shape::Place) },
            Self::GitOpsBranch => Row::new("gitops.branch", "MODELCAR_GITOPS_BRANCH", Shape::Line),
            Self::GitOpsPath => Row::new("gitops.path", "MODELCAR_GITOPS_PATH", Shape::Inside),
            Self::GitOpsStyle => Row::new("gitops.style", "MODELCAR_GITOPS_STYLE", Shape::Word(&["patch", "images"])),
            Self::GitOpsPr => Row {
                default: Some("none"),
                ..Row::new("gitops.pr", "MODELCAR_GITOPS_PR", Shape::Word(&["github", "gitlab", "gitea", "none"]))
            },
            Self::GitOpsAuthor => Row::new("gitops.author", "MODELCAR_GITOPS_AUTHOR", Shape::Line),
            Self::VerifyKeys => Row { is_list: true, ..Row::new("verify.keys", "MODELCAR_VERIFY_KEYS", Shape::Key) },
            Self::VerifyPolicy => Row::new("verify.policy", "MODELCAR_VERIFY_POLICY", Shape::File),
            Self::Sign => Row::new("sign.key", "MODELCAR_SIGN_KEY", Shape::Key),
            Self::ModelRegistryUrl => Row::new("model-registry.url", "MODELCAR_MODEL_REGISTRY_URL", Shape::Endpoint),
        }
    }

    /// The key of this spelling.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.spellings().any(|spelling| spelling == name))
    }

    pub(super) fn spellings(self) -> impl Iterator<Item = &'static str> {
        let row = self.row();
        [row.name].into_iter().chain(row.aliases.iter().copied())
    }

    /// The value in its usual form, a relative path joined to `base`; `spelling` is the name it was written under.
    ///
    /// # Errors
    /// Why it is none. The value is no part of it: somebody may have written a secret here.
    pub(super) fn value(self, spelling: &str, text: &str, base: &Path) -> Result<String, String> {
        if let Some(reason) = objection(text) {
            return Err(reason.to_owned());
        }
        match self.row().shape {
            Shape::Host => is_host(text).then(|| text.to_owned()).ok_or("it is no registry, such as `quay.io` or `localhost:5000`".into()),
            Shape::Repository => {
                is_repository(text).then(|| text.to_owned()).ok_or("it is no part of an image's name, such as `acme`".into())
            }
            Shape::Place => place(spelling, text, base),
            Shape::Inside => is_inside(text).then(|| text.to_owned()).ok_or("it is no folder inside the repository".into()),
            Shape::Word(words) if words.contains(&text) => Ok(text.to_owned()),
            Shape::Word(words) => Err(format!("it is none of {}", words.join(", "))),
            Shape::Line => Ok(text.to_owned()),
            Shape::File => Ok(joined(base, Path::new(text))),
            Shape::Key => key_source(text, base),
            Shape::Endpoint => text.parse::<Endpoint>().map(|_| text.to_owned()).map_err(|error| error.to_string()),
        }
    }
}

/// What no value may be. A dash in front would make an option of it, on somebody's command line.
fn objection(text: &str) -> Option<&'static str> {
    match text {
        _ if text.contains("-----BEGIN") => Some("it is a key, and no secret belongs here"),
        _ if text.trim().is_empty() => Some("it is empty"),
        _ if text.len() > MAX_VALUE => Some("it is longer than 1024 bytes"),
        _ if text.starts_with('-') => Some("it begins with a dash"),
        _ if !text.chars().all(is_harmless) => Some("it holds characters that cannot be seen"),
        _ => None,
    }
}

fn is_host(text: &str) -> bool {
    format!("{text}/x/y:z").parse::<Reference>().is_ok_and(|reference| reference.registry() == text)
}

fn is_repository(text: &str) -> bool {
    format!("quay.io/{text}/x:y").parse::<Reference>().is_ok_and(|reference| reference.repository() == format!("{text}/x"))
}

fn is_inside(text: &str) -> bool {
    !text.starts_with('/') && text.split('/').all(|part| !matches!(part, ".." | ".git"))
}

/// `https://…`, `ssh://…` and `git@host:path` are addresses; whatever else is a folder.
pub(super) fn is_address(text: &str) -> bool {
    let scp = text.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
    text.contains("://") || scp
}

fn place(spelling: &str, text: &str, base: &Path) -> Result<String, String> {
    match (spelling, is_address(text)) {
        ("gitops.url", false) => Err("it is no address; a folder is `dir`".to_owned()),
        ("gitops.dir", true) => Err("it is no folder; an address is `url`".to_owned()),
        (_, true) if holds_secret(text) => Err("it holds a user or a password, and no secret belongs here".to_owned()),
        (_, true) => Ok(text.to_owned()),
        (_, false) => Ok(joined(base, Path::new(text))),
    }
}

/// A user of HTTPS may be a token; one of SSH is only a name.
fn holds_secret(text: &str) -> bool {
    let Ok(url) = text.parse::<Url>() else { return false };
    url.password().is_some() || (!url.username().is_empty() && matches!(url.scheme(), "http" | "https"))
}

fn key_source(text: &str, base: &Path) -> Result<String, String> {
    match KeySource::try_from(OsStr::new(text)).map_err(|error| error.to_string())? {
        KeySource::Path(path) => Ok(joined(base, &path)),
        variable @ KeySource::Variable(_) => Ok(variable.to_string()),
    }
}

/// Joined in words alone: what is not there yet has no real path.
fn joined(base: &Path, path: &Path) -> String {
    let plain = base.join(path).components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect::<std::path::PathBuf>();
    plain.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(spelling: &str, text: &str) -> Result<String, String> {
        Key::named(spelling).unwrap().value(spelling, text, Path::new("/home/ci"))
    }

    #[test]
    fn every_key_is_found_by_each_of_its_names() {
        for key in Key::ALL {
            assert!(key.spellings().all(|name| Key::named(name) == Some(key)), "{key:?}");
            assert!(key.row().variable.starts_with("MODELCAR_"), "{key:?}");
        }
        assert_eq!(Key::named("organization"), Some(Key::Organisation));
        assert_eq!(Key::named("gitops"), None);
    }

    #[test]
    fn the_documentation_has_every_key_with_its_variable_and_no_other() {
        let page = include_str!("../../../docs/configuration.md");
        let rows: Vec<&str> = page.lines().filter(|line| line.contains("| `MODELCAR_")).collect();
        assert_eq!(rows.len(), Key::ALL.len());
        for (key, row) in Key::ALL.into_iter().zip(rows) {
            let variable = key.row().variable;
            assert!(key.spellings().chain([variable]).all(|name| row.contains(&format!("`{name}`"))), "{key:?}: {row}");
        }
    }

    #[test]
    fn values_are_brought_into_their_usual_form() {
        for (name, text, expected) in [
            ("registry", "localhost:5000", "localhost:5000"),
            ("organisation", "acme/edge", "acme/edge"),
            ("gitops.url", "https://git.example.com/edge.git", "https://git.example.com/edge.git"),
            ("gitops.url", "git@git.example.com:acme/edge.git", "git@git.example.com:acme/edge.git"),
            ("gitops.url", "ssh://git@git.example.com/edge.git", "ssh://git@git.example.com/edge.git"),
            ("gitops.dir", "./edge", "/home/ci/edge"),
            ("gitops.dir", "/srv/edge", "/srv/edge"),
            ("gitops.path", "edge-clusters", "edge-clusters"),
            ("gitops.style", "images", "images"),
            ("verify.keys", "keys/release.pub", "/home/ci/keys/release.pub"),
            ("sign.key", "env://SIGNING_KEY", "env://SIGNING_KEY"),
            ("model-registry.url", "https://registry.example.com", "https://registry.example.com"),
        ] {
            assert_eq!(value(name, text).as_deref(), Ok(expected), "{name} = {text}");
        }
    }

    #[test]
    fn what_fits_no_key_is_refused_without_repeating_it() {
        for (name, text, reason) in [
            ("registry", "quay.io/acme", "no registry"),
            ("registry", "quay", "no registry"),
            ("organisation", "Acme", "no part of an image"),
            ("organisation", "acme:v1", "no part of an image"),
            ("gitops.url", "./edge", "a folder is `dir`"),
            ("gitops.dir", "https://x/y", "an address is `url`"),
            ("gitops.url", "https://s3cret@git.example.com/x", "no secret"),
            ("gitops.url", "https://ci:s3cret@git.example.com/x", "no secret"),
            ("gitops.path", "../s3cret", "inside"),
            ("gitops.path", "/s3cret", "inside"),
            ("gitops.style", "s3cret", "none of patch, images"),
            ("gitops.branch", "--upload-pack=s3cret", "a dash"),
            ("gitops.author", "a\u{1b}s3cret", "cannot be seen"),
            ("gitops.author", " ", "empty"),
            ("sign.key", "-----BEGIN PRIVATE KEY----- s3cret", "no secret"),
            ("sign.key", "awskms:///s3cret", "AWS KMS"),
            ("model-registry.url", "https://ci:s3cret@r.example.com", "user or a password"),
        ] {
            let error = value(name, text).unwrap_err();
            assert!(error.contains(reason) && !error.contains("s3cret"), "{name} = {text}: {error}");
        }
    }
}
