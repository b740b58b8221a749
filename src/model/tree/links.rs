//! Which symbolic links may be followed.
//!
//! A link is packed as what it points to, because a link in the image breaks ONNX external data at serving time and is an error
//! for KServe's `fetch`. So whoever can put a link into a model repository chooses a file of the machine that builds: in CI that could be
//! `/var/run/secrets/kubernetes.io/serviceaccount/token`, published with the model. Links therefore stay inside the model, with
//! one exception that cannot be abused: the Hugging Face cache, whose snapshots link to its own `blobs/`.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::model::{Links, ModelError};

/// What links below one folder may do.
#[derive(Debug)]
pub(super) struct LinkRule {
    /// The model's folder, without links.
    root: PathBuf,
    links: Links,
}

/// What is wrong with a target.
#[derive(Debug, PartialEq, Eq)]
enum Objection {
    Leaves,
    IntoGit,
}

impl LinkRule {
    /// The rule for links below `root`.
    pub(super) fn below(root: &Path, links: Links) -> Result<Self, ModelError> {
        let root = fs::canonicalize(root).map_err(ModelError::io("read", root))?;
        Ok(Self { root, links })
    }

    /// Where the link leads in the end, if it may be followed.
    pub(super) fn follow(&self, link: &Path) -> Result<PathBuf, ModelError> {
        let target = fs::canonicalize(link).map_err(|error| unresolved(link, error))?;
        let folder = link.parent().unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).map_err(ModelError::io("read", folder))?;
        let path = link.to_owned();
        match self.objection(&folder, &target) {
            None => Ok(target),
            Some(Objection::Leaves) => Err(ModelError::LinkLeaves { path, target }),
            Some(Objection::IntoGit) => Err(ModelError::LinkIntoGit { path, target }),
        }
    }

    /// Judges a link in `folder` that leads to `target`; both without links.
    fn objection(&self, folder: &Path, target: &Path) -> Option<Objection> {
        if self.links == Links::Anywhere {
            return None;
        }
        match target.strip_prefix(&self.root) {
            Ok(inside) => reaches_into_git(inside).then_some(Objection::IntoGit),
            Err(_) => (!is_in_own_blobs(folder, target)).then_some(Objection::Leaves),
        }
    }
}

/// `.git/config` of a clone in CI holds its token. git-annex keeps the files themselves in `.git/annex/objects`.
fn reaches_into_git(inside: &Path) -> bool {
    let names: Vec<_> = inside.components().map(Component::as_os_str).collect();
    names.iter().position(|name| *name == ".git").is_some_and(|at| !names[at + 1..].starts_with(&["annex".as_ref(), "objects".as_ref()]))
}

/// `…/models--ORG--NAME/snapshots/REVISION/… → …/models--ORG--NAME/blobs/HASH`, the same `models--…` folder.
/// See <https://huggingface.co/docs/huggingface_hub/guides/manage-cache>.
fn is_in_own_blobs(folder: &Path, target: &Path) -> bool {
    let Some(blobs) = target.parent() else { return false };
    let Some(repository) = blobs.parent() else { return false };
    let is_repository = repository.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("models--"));
    is_repository && blobs.file_name() == Some("blobs".as_ref()) && folder.starts_with(repository.join("snapshots"))
}

fn unresolved(link: &Path, error: io::Error) -> ModelError {
    match error.kind() {
        io::ErrorKind::NotFound => ModelError::LinkBroken { path: link.to_owned(), target: fs::read_link(link).unwrap_or_default() },
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => ModelError::LinkLoop { path: link.to_owned() },
        _ => ModelError::io("follow the link", link)(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_or_in_its_own_hugging_face_blobs() {
        const HUB: &str = "/home/u/.cache/huggingface/hub/models--org--m";
        let snapshot = format!("{HUB}/snapshots/abc");
        for (root, folder, target, expected) in [
            ("/m", "/m/sub", "/m/weights.bin", None),
            ("/m", "/m", "/m/sub", None),
            ("/m", "/m", "/m2/weights.bin", Some(Objection::Leaves)),
            ("/m", "/m", "/var/run/secrets/token", Some(Objection::Leaves)),
            ("/m", "/m", "/m/.git/config", Some(Objection::IntoGit)),
            ("/m", "/m", "/m/sub/.git/credentials", Some(Objection::IntoGit)),
            ("/m", "/m", "/m/.git/annex/objects/x/key", None),
            ("/m", "/m", "/m/.git/annex/creds", Some(Objection::IntoGit)),
            (&snapshot, &snapshot, &format!("{HUB}/blobs/0a1b"), None),
            (&snapshot, &format!("{snapshot}/onnx"), &format!("{HUB}/blobs/0a1b"), None),
            (&snapshot, &snapshot, "/home/u/.cache/huggingface/hub/models--org--other/blobs/0a1b", Some(Objection::Leaves)),
            (&snapshot, &snapshot, &format!("{HUB}/blobs/deeper/0a1b"), Some(Objection::Leaves)),
            (&snapshot, &snapshot, &format!("{HUB}/refs/main"), Some(Objection::Leaves)),
            (&snapshot, &snapshot, "/home/u/.cache/huggingface/token", Some(Objection::Leaves)),
            ("/x/snapshots/a", "/x/snapshots/a", "/x/blobs/0a1b", Some(Objection::Leaves)),
        ] {
            let rule = LinkRule { root: PathBuf::from(root), links: Links::Inside };
            assert_eq!(rule.objection(Path::new(folder), Path::new(target)), expected, "{folder} -> {target}");
        }
    }

    #[test]
    fn every_link_is_followed_when_told_so() {
        let rule = LinkRule { root: PathBuf::from("/m"), links: Links::Anywhere };
        assert_eq!(rule.objection(Path::new("/m"), Path::new("/elsewhere/weights.bin")), None);
    }
}
