//! The signed statement: every file of the model with its digest.
//! <https://github.com/ossf/model-signing-spec/blob/main/spec/v1.0.md>. Pure.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::MAX_FILES;
use crate::oci::{Digest, Hasher, canonical};
use crate::trust::reason::shown;

/// What the statement says, as a URI.
pub const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
/// Never part of a model: at its top, with all that is below (section 6.2).
pub(super) const DEFAULT_IGNORED: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The longest path, in bytes: what Linux opens.
const MAX_PATH: usize = 4096;
/// The most ignored paths.
const MAX_IGNORED: usize = 1000;

/// The files of a model: paths with `/`, relative to the model's folder, and the digests of their contents.
///
/// Text in Rust is ordered by code point, as the specification orders the files.
pub type ModelFiles = BTreeMap<String, Digest>;

/// A statement that keeps the rules, read from a signature. Until that is checked, it is a stranger's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What the signer calls the model; of no meaning for verification.
    pub name: String,
    /// The digest over all digests of files.
    pub root: Digest,
    /// The files.
    pub files: ModelFiles,
    /// What was not signed, besides version control.
    pub ignored: IgnoredPaths,
}

/// Why a statement is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStatement {
    /// Not JSON of this shape.
    #[error("the statement is damaged: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// Another kind of statement.
    #[error("the statement is `{found}`, not a model signature of version 1.0")]
    OtherPredicate {
        /// The predicate's type.
        found: String,
    },
    /// A way to hash that is not read here.
    #[error("the files were signed with {what} `{found}`, which modelcar does not check (it does `{known}`)")]
    Unsupported {
        /// Which choice.
        what: &'static str,
        /// The signer's.
        found: String,
        /// The only one that is read.
        known: &'static str,
    },
    /// Links were followed, so a path does not tell whose content was signed. The specification will drop it.
    #[error("the files were signed through symbolic links (`allow_symlinks`), which modelcar does not check")]
    Symlinks,
    /// A path that breaks the rules of section 6.1.2 or 6.2.
    #[error("the statement names `{path}`: {why}")]
    Path {
        /// The path.
        path: String,
        /// Why not.
        why: &'static str,
    },
    /// Its own sum is wrong.
    #[error("the statement contradicts itself: its files come to {found}, it says {said}")]
    Root {
        /// What the files come to.
        found: Digest,
        /// What it says.
        said: Digest,
    },
}

/// The digest over the raw digests of files, in this order.
pub(super) fn root<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let mut hasher = Hasher::default();
    digests.into_iter().for_each(|digest| hasher.update(digest.as_bytes()));
    hasher.finish()
}

/// The statement about these files, in canonical bytes.
pub(super) fn write(name: &str, files: &ModelFiles) -> serde_json::Result<Vec<u8>> {
    let resources = files.iter().map(|(path, digest)| Resource { name: path.clone(), algorithm: SHA256.to_owned(), digest: digest.hex() });
    canonical::to_vec(&Document {
        kind: STATEMENT.to_owned(),
        subject: vec![Subject { name: name.to_owned(), digest: SubjectDigest { sha256: root(files.values()).hex() } }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate {
            resources: resources.collect(),
            serialization: Serialization {
                method: FILES.to_owned(),
                hash_type: SHA256.to_owned(),
                shard_size: None,
                allow_symlinks: false,
                ignore_paths: DEFAULT_IGNORED.map(str::to_owned).to_vec(),
            },
        },
    })
}

impl Statement {
    /// Reads a statement, whoever wrote it.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidStatement> {
        let kind: Kind = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if kind.kind != STATEMENT || kind.predicate_type != PREDICATE_TYPE {
            let found = if kind.kind == STATEMENT { kind.predicate_type } else { kind.kind };
            return Err(InvalidStatement::OtherPredicate { found: shown(&found) });
        }
        Self::of(serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?)
    }

    fn of(document: Document) -> Result<Self, InvalidStatement> {
        let Predicate { resources, serialization } = document.predicate;
        let ignored = serialization.check()?;
        let subjects: [Subject; 1] = document.subject.try_into().map_err(|_| malformed("it has not exactly one subject"))?;
        let [Subject { name, digest }] = subjects;
        let said = digest_of_hex(&digest.sha256)?;
        if resources.is_empty() || resources.len() > MAX_FILES {
            return Err(malformed(format!("it names {} files, not 1 to {MAX_FILES}", resources.len())));
        }
        let listed = resources.into_iter().map(Resource::check).collect::<Result<Vec<_>, _>>()?;
        // In the order as listed: model_signing sorts by folder first ("a/b" before "a-b"), which is not the specification's order.
        let found = root(listed.iter().map(|(_, digest)| digest));
        if found != said {
            return Err(InvalidStatement::Root { found, said });
        }
        Ok(Self { name: shown(&name), root: said, files: distinct(listed)?, ignored })
    }
}

fn distinct(listed: Vec<(String, Digest)>) -> Result<ModelFiles, InvalidStatement> {
    let mut files = ModelFiles::new();
    for (path, digest) in listed {
        if files.contains_key(&path) {
            return Err(bad_path(&path, "it is there twice"));
        }
        files.insert(path, digest);
    }
    Ok(files)
}

fn malformed(what: impl AsRef<str>) -> InvalidStatement {
    InvalidStatement::Malformed { what: shown(what.as_ref()) }
}

fn bad_path(path: &str, why: &'static str) -> InvalidStatement {
    InvalidStatement::Path { path: shown(path), why }
}

fn digest_of_hex(hex: &str) -> Result<Digest, InvalidStatement> {
    format!("sha256:{hex}").parse::<Digest>().map_err(|error| malformed(error.to_string()))
}

/// Why a path is not in the one form that the specification allows; none if it is.
pub(super) fn path_fault(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/');
    match path {
        "" => Some("it is empty"),
        _ if path.starts_with('/') => Some("it is absolute"),
        _ if path.ends_with('/') => Some("it ends with a slash"),
        _ if path.len() > MAX_PATH => Some("it is longer than 4096 bytes"),
        _ if path.contains('\0') => Some("it holds NUL"),
        _ => parts.find_map(|part| match part {
            "" => Some("it has two slashes in a row"),
            "." => Some("it has a part `.`"),
            ".." => Some("it climbs with `..`"),
            _ => None,
        }),
    }
}

/// Paths relative to the model's folder, each with all that is below it; version control is always among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredPaths(HashSet<String>);

impl IgnoredPaths {
    fn parse(paths: Vec<String>) -> Result<Self, InvalidStatement> {
        if paths.len() > MAX_IGNORED {
            return Err(malformed(format!("it ignores {} paths, at most {MAX_IGNORED} are read", paths.len())));
        }
        for path in &paths {
            let glob = path.contains(['*', '?', '[']).then_some("an ignored path must not be a pattern");
            if let Some(why) = path_fault(path).or(glob) {
                return Err(bad_path(path, why));
            }
        }
        Ok(Self(paths.into_iter().collect()))
    }

    /// One more path, of the signature itself.
    pub(super) fn with(mut self, path: String) -> Self {
        self.0.insert(path);
        self
    }

    /// Whether a file or folder at this path is no part of what was signed.
    pub fn covers(&self, path: &str) -> bool {
        let upwards = path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]);
        upwards.into_iter().any(|path| self.0.contains(path) || DEFAULT_IGNORED.contains(&path))
    }
}

/// How a model's files differ from the signed ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A signed file has another content.
    Changed(String),
    /// A signed file is not there.
    Missing(String),
    /// A file is there that was not signed.
    Extra(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(path) => write!(f, "`{}` was changed", shown(path)),
            Self::Missing(path) => write!(f, "`{}` is missing", shown(path)),
            Self::Extra(path) => write!(f, "`{}` was added", shown(path)),
        }
    }
}

impl Statement {
    /// What is not as signed, in path order; nothing if all is.
    pub fn differences(&self, files: &ModelFiles) -> Vec<Difference> {
        let is_signed = |path: &&String| !self.ignored.covers(path);
        let mut paths: Vec<&String> = self.files.keys().chain(files.keys().filter(is_signed)).collect();
        paths.sort();
        paths.dedup();
        let difference = |path: &&String| match (self.files.get(*path), files.get(*path)) {
            (Some(signed), Some(found)) => (signed != found).then(|| Difference::Changed((*path).clone())),
            (Some(_), None) => Some(Difference::Missing((*path).clone())),
            (None, _) => Some(Difference::Extra((*path).clone())),
        };
        paths.iter().filter_map(difference).collect()
    }
}

const SHA256: &str = "sha256";
const FILES: &str = "files";

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    digest: SubjectDigest,
}

#[derive(Serialize, Deserialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    resources: Vec<Resource>,
    serialization: Serialization,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

impl Resource {
    fn check(self) -> Result<(String, Digest), InvalidStatement> {
        only("the hash", &self.algorithm, SHA256)?;
        if let Some(why) = path_fault(&self.name) {
            return Err(bad_path(&self.name, why));
        }
        let digest = digest_of_hex(&self.digest)?;
        Ok((self.name, digest))
    }
}

/// Unknown members are refused: they could change what the digests are of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shard_size: Option<u64>,
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
}

impl Serialization {
    fn check(self) -> Result<IgnoredPaths, InvalidStatement> {
        only("the method", &self.method, FILES)?;
        only("the hash", &self.hash_type, SHA256)?;
        if self.allow_symlinks {
            return Err(InvalidStatement::Symlinks);
        }
        if self.shard_size.is_some() {
            return Err(malformed("it has a shard size, but no shards"));
        }
        IgnoredPaths::parse(self.ignore_paths)
    }
}

fn only(what: &'static str, found: &str, known: &'static str) -> Result<(), InvalidStatement> {
    if found == known { Ok(()) } else { Err(InvalidStatement::Unsupported { what, found: shown(found), known }) }
}

#[cfg(test)]
mod tests;
