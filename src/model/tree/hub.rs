//! A repository of the Hugging Face cache, given as a whole: `models--ORG--NAME/` with `blobs/`, `refs/` and `snapshots/`.
//! <https://huggingface.co/docs/huggingface_hub/guides/manage-cache>

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::model::ModelError;

/// A reference holds a commit, 40 digits.
const MAX_REFERENCE: u64 = 256;
/// Snapshots that are listed.
const MAX_SNAPSHOTS: usize = 1000;

/// The snapshot that is meant, if `path` is such a repository: the one that `main` points to, or the only one.
pub(super) fn snapshot(path: &Path) -> Result<Option<(PathBuf, String)>, ModelError> {
    let folder = path.join("snapshots");
    if !folder.is_dir() || !path.join("blobs").is_dir() || !path.join("refs").is_dir() {
        return Ok(None);
    }
    if let Some(revision) = main(path).filter(|revision| folder.join(revision).is_dir()) {
        return Ok(Some((
            folder.join(&revision),
            format!("a Hugging Face cache: took the snapshot {revision}, to which refs/main points"),
        )));
    }
    let mut found = snapshots(&folder)?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(Some((folder.join(&only), format!("a Hugging Face cache: took its only snapshot, {only}")))),
        (last, _) => Err(ModelError::Snapshots { path: path.to_owned(), found: found.into_iter().chain(last).collect() }),
    }
}

/// A repository on Hugging Face and the revision of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubOrigin {
    /// `org/name`, or `name`.
    pub repository: String,
    /// The commit.
    pub revision: String,
}

impl HubOrigin {
    /// The package URL: <https://github.com/package-url/purl-spec/blob/main/types-doc/huggingface-definition.md>.
    pub fn purl(&self) -> String {
        format!("pkg:huggingface/{}@{}", self.repository, self.revision.to_ascii_lowercase())
    }

    /// The page of the repository at this revision.
    pub fn url(&self) -> String {
        format!("https://huggingface.co/{}/tree/{}", self.repository, self.revision)
    }
}

/// Where a model in the Hugging Face cache comes from, by the word of its folders' names. Nothing in the image depends on it.
pub fn origin(path: &Path) -> Option<HubOrigin> {
    let as_given = std::path::absolute(path).ok();
    let whole = || snapshot(path).ok().flatten().and_then(|(snapshot, _)| named(&snapshot));
    as_given.as_deref().and_then(named).or_else(whole).or_else(|| named(&path.canonicalize().ok()?))
}

/// `…/models--ORG--NAME/snapshots/REVISION/…`
fn named(path: &Path) -> Option<HubOrigin> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let found = parts.windows(3).rev().find_map(|parts| match parts {
        [repository, "snapshots", revision] => Some((repository.strip_prefix("models--")?, *revision)),
        _ => None,
    });
    let (repository, revision) = found?;
    let names: Vec<&str> = repository.split("--").collect();
    let is_name = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if names.len() > 2 || !names.iter().chain([&revision]).all(is_name) {
        return None;
    }
    Some(HubOrigin { repository: names.join("/"), revision: revision.to_owned() })
}

/// What `refs/main` says, if it can name a folder.
fn main(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path.join("refs/main")).ok()?.take(MAX_REFERENCE).read_to_string(&mut text).ok()?;
    let revision = text.trim();
    let is_plain = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| revision.to_owned())
}

fn snapshots(folder: &Path) -> Result<Vec<String>, ModelError> {
    let entries = fs::read_dir(folder).map_err(ModelError::io("list", folder))?;
    let folders = entries.filter_map(Result::ok).filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders.filter_map(|entry| entry.file_name().into_string().ok()).take(MAX_SNAPSHOTS).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with these snapshots, and with `main` if there is text for it.
    fn cache(snapshots: &[&str], main: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["blobs", "refs", "snapshots"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for snapshot in snapshots {
            fs::create_dir(dir.path().join("snapshots").join(snapshot)).unwrap();
        }
        if let Some(text) = main {
            fs::write(dir.path().join("refs/main"), text).unwrap();
        }
        dir
    }

    #[test]
    fn main_decides_and_else_the_only_one() {
        for (snapshots, main, expected) in [
            (&["abc", "def"][..], Some("def\n"), Some("def")),
            (&["abc"], None, Some("abc")),
            (&["abc"], Some("gone"), Some("abc")),
            (&["abc", "def"], None, None),
            (&["abc", "def"], Some("../../etc"), None),
            (&["abc", "def"], Some(".."), None),
            (&[], Some("abc"), None),
        ] {
            let dir = cache(snapshots, main);
            let found = snapshot(dir.path());
            let name = found.as_ref().ok().and_then(|found| found.as_ref()?.0.file_name()?.to_str());
            assert_eq!(name, expected, "{snapshots:?} {main:?}");
        }
    }

    #[test]
    fn in_doubt_the_snapshots_are_listed() {
        let dir = cache(&["def", "abc"], None);
        let error = snapshot(dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("is a Hugging Face cache with several snapshots: abc, def"), "{error}");
        assert!(error.hint().unwrap().contains("snapshots/abc"), "{error}");
    }

    #[test]
    fn another_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("snapshots")).unwrap();
        assert!(snapshot(dir.path()).unwrap().is_none());
    }

    #[test]
    fn the_folders_tell_where_a_model_comes_from() {
        let origin = |path: &str| named(Path::new(path)).map(|origin| origin.purl());
        for (path, expected) in [
            ("/c/models--org--Name/snapshots/AB12/", Some("pkg:huggingface/org/Name@ab12")),
            ("/c/models--org--name/snapshots/ab12/sub/model.onnx", Some("pkg:huggingface/org/name@ab12")),
            ("/c/models--gpt2/snapshots/ab12", Some("pkg:huggingface/gpt2@ab12")),
            ("/c/models--a--b--c/snapshots/ab12", None),
            ("/c/models--/snapshots/ab12", None),
            ("/c/models--a b/snapshots/ab12", None),
            ("/c/datasets--a--b/snapshots/ab12", None),
            ("/c/models--a--b/blobs/ab12", None),
        ] {
            assert_eq!(origin(path).as_deref(), expected, "{path}");
        }
    }
}
