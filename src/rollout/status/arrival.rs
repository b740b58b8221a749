//! Which commit brought a digest to a site, and who had signed it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::printable_name;
use crate::oci::{Digest, Reference, Timestamp};
use crate::rollout::{Revision, RolloutError, SiteName, Workspace};

/// Up to so many sites are named to git; of more, all of `sites` is read.
const FEW: usize = 50;
/// The trailers that say which image a commit brings.
const IMAGES: [&str; 2] = ["Model-Image", "App-Image"];

/// What happened to the sites, newest first.
#[derive(Clone, Debug, Default)]
pub struct History {
    commits: Vec<Revision>,
    by_path: HashMap<PathBuf, Vec<usize>>,
}

/// A digest's way to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The commit, in full.
    pub commit: String,
    /// When it was made.
    pub time: Timestamp,
    /// Who had signed the image, as the commit says it: a key hint or an identity.
    pub signer: Option<String>,
    /// The first line of its message.
    pub subject: String,
}

impl History {
    /// Asks git once, for all of these sites. A clone that was made for this learns as much of its history as their models need; the
    /// user's own work tree stays as it is.
    ///
    /// # Errors
    /// What git says.
    pub fn read(workspace: &Workspace, sites: &[SiteName]) -> Result<Self, RolloutError> {
        if sites.is_empty() {
            return Ok(Self::default());
        }
        let each = || sites.iter().map(|site| Path::new("sites").join(site.as_str()));
        let paths = if sites.len() > FEW { vec![PathBuf::from("sites")] } else { each().collect() };
        if !workspace.is_clone() {
            return Ok(Self::of(workspace.repository().history(&paths, None)?));
        }
        let wanted: Vec<_> = each().flat_map(|site| patches(workspace.tree(), &site)).collect();
        let enough = &mut |revisions: &[Revision]| {
            let known: HashSet<_> = revisions.iter().flat_map(|revision| &revision.paths).collect();
            Ok(wanted.iter().all(|path| known.contains(path)))
        };
        Ok(Self::of(workspace.history(workspace.tree(), &paths, enough)?))
    }

    fn of(commits: Vec<Revision>) -> Self {
        let mut by_path: HashMap<PathBuf, Vec<usize>> = HashMap::new();
        for (at, commit) in commits.iter().enumerate() {
            for path in &commit.paths {
                by_path.entry(path.clone()).or_default().push(at);
            }
        }
        Self { commits, by_path }
    }

    /// The commit that brought a digest into a file; `beside` are the canaries of that file.
    ///
    /// modelcar's commits say which image they bring. A commit that does not say it counts where nothing else explains the digest: a
    /// revert of another digest, or an edit by hand. Where a shallow clone ends before it, nobody knows.
    pub fn arrival(&self, file: &Path, image: &Reference, digest: Digest, beside: &[Digest]) -> Option<Arrival> {
        let touching = self.by_path.get(file)?.iter().map(|at| &self.commits[*at]);
        let mut silent = None;
        let mut brought = None;
        for commit in touching.clone() {
            let said = says(commit, image);
            if said.contains(&digest) {
                brought = Some(commit);
                break;
            }
            let brings_another = said.iter().any(|said| !beside.contains(said));
            if brings_another && silent.is_some() {
                break;
            }
            if said.is_empty() {
                silent = Some(commit);
            }
        }
        let commit = brought.or(silent)?;
        let signer = touching.filter(|commit| says(commit, image).contains(&digest)).find_map(signer);
        Some(Arrival { signer, ..Arrival::of(commit) })
    }

    /// The last digest of an image's repository that commits brought into a file before this one: what a Knative canary runs beside.
    pub fn before(&self, file: &Path, image: &Reference, digest: Digest) -> Option<Digest> {
        let touching = self.by_path.get(file)?.iter().map(|at| &self.commits[*at]);
        touching.flat_map(|commit| says(commit, image)).find(|said| *said != digest)
    }

    /// The last commit that touched a file.
    pub(super) fn last(&self, file: &Path) -> Option<Arrival> {
        let at = self.by_path.get(file)?.first()?;
        Some(Arrival::of(&self.commits[*at]))
    }
}

impl Arrival {
    fn of(commit: &Revision) -> Self {
        let subject = printable_name(&commit.subject);
        Self { commit: commit.commit.to_string(), time: commit.time, signer: signer(commit), subject }
    }
}

/// The model files of a site's folder.
fn patches(tree: &Path, site: &Path) -> Vec<PathBuf> {
    let folder = site.join("models");
    let entries = tree.join(&folder).read_dir().into_iter().flatten().flatten();
    entries.map(|entry| folder.join(entry.file_name())).filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect()
}

/// The digests that a commit says it brings of an image's repository, whatever registry mirrors it.
fn says(commit: &Revision, image: &Reference) -> Vec<Digest> {
    let trailers = commit.trailers.iter().filter(|(key, _)| IMAGES.iter().any(|name| key.eq_ignore_ascii_case(name)));
    let images = trailers.filter_map(|(_, value)| value.parse::<Reference>().ok());
    let last = |image: &Reference| image.repository().rsplit('/').next().unwrap_or_default().to_owned();
    images.filter(|named| last(named) == last(image)).filter_map(|named| named.digest().copied()).collect()
}

/// `Signed-With`; of several, all of them.
fn signer(commit: &Revision) -> Option<String> {
    let named = commit.trailers.iter().filter(|(key, _)| key.eq_ignore_ascii_case("Signed-With"));
    let signers: Vec<_> = named.map(|(_, value)| value.as_str()).collect();
    if signers.is_empty() { None } else { Some(printable_name(&signers.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::CommitId;

    fn commit(id: u8, time: u64, image: Option<&Digest>, signer: Option<&str>) -> Revision {
        let image = image.map(|digest| ("Model-Image".to_owned(), format!("quay.io/acme/iris:v1@{digest}")));
        let signer = signer.map(|signer| ("Signed-With".to_owned(), signer.to_owned()));
        Revision {
            commit: CommitId::new(&format!("{id:040x}")).unwrap(),
            time: Timestamp::from_seconds(time),
            author: "Ada <ada@example.com>".to_owned(),
            subject: format!("commit {id}"),
            trailers: image.into_iter().chain(signer).collect(),
            paths: vec!["sites/a/models/iris.yaml".into()],
        }
    }

    fn arrival(commits: Vec<Revision>, digest: Digest) -> Option<(u8, Option<String>)> {
        let image = "mirror.example.com:5000/m/iris".parse().unwrap();
        let found = History::of(commits).arrival(Path::new("sites/a/models/iris.yaml"), &image, digest, &[Digest::of(b"canary")])?;
        Some((found.commit.trim_start_matches('0').parse().unwrap(), found.signer))
    }

    #[test]
    fn the_commit_that_says_the_digest_brought_it() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let commits = vec![
            commit(4, 4, None, None),
            commit(3, 3, Some(&two), Some("key b")),
            commit(2, 2, Some(&one), Some("key a")),
            commit(1, 1, None, None),
        ];
        assert_eq!(arrival(commits.clone(), two), Some((3, Some("key b".to_owned()))));
        assert_eq!(arrival(commits, one), Some((4, Some("key a".to_owned()))), "a revert; the signature is that of the image");
    }

    #[test]
    fn a_canary_beside_it_did_not_replace_it() {
        let (one, canary) = (Digest::of(b"1"), Digest::of(b"canary"));
        let commits = vec![commit(2, 2, Some(&canary), Some("key b")), commit(1, 1, Some(&one), Some("key a"))];
        assert_eq!(arrival(commits, one), Some((1, Some("key a".to_owned()))));
    }

    #[test]
    fn an_edit_by_hand_has_an_age_and_no_signer() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let commits = vec![commit(3, 3, None, None), commit(2, 2, None, None), commit(1, 1, Some(&one), Some("key"))];
        assert_eq!(arrival(commits, two), Some((2, None)), "the first after what is known");
        assert_eq!(arrival(vec![commit(1, 1, None, None)], two), Some((1, None)));
    }

    #[test]
    fn what_a_knative_canary_runs_beside_is_in_the_history() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let history = History::of(vec![commit(3, 3, Some(&two), None), commit(2, 2, None, None), commit(1, 1, Some(&one), None)]);
        let (file, image) = (Path::new("sites/a/models/iris.yaml"), "quay.io/acme/iris:v1".parse().unwrap());
        assert_eq!(history.before(file, &image, two), Some(one));
        assert_eq!(history.before(Path::new("other"), &image, two), None);
    }
}
