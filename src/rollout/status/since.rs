//! A site as it was, and what has brought it from there to here.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::difference::{Kind, Row};
use super::{Arrival, History, StatusError};
use crate::oci::{Digest, Reference, Timestamp};
use crate::rollout::{AppState, CommitId, ModelState, RolloutError, SiteName, SiteState, Workspace, read_state};

/// The largest file of a site that is laid out, in bytes.
const MAX_FILE: u64 = 2 << 20;
/// The most files.
const MAX_FILES: usize = 5000;

/// From when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// What git calls a revision.
    Revision(String),
    /// The last commit before a moment.
    Moment(Timestamp),
}

/// A site at an earlier commit.
#[derive(Clone, Debug)]
pub struct Past {
    /// The commit; `None` where there was none yet.
    pub commit: Option<CommitId>,
    /// What the site was told then.
    pub state: SiteState,
}

impl Past {
    /// Looks at a site as it was.
    ///
    /// # Errors
    /// No such commit, and what git or the folder's files refuse.
    pub fn read(workspace: &Workspace, site: &SiteName, since: &Since) -> Result<Self, RolloutError> {
        let commit = commit(workspace, since)?;
        let state = commit.as_ref().map_or_else(|| Ok(SiteState::default()), |commit| state_at(workspace, site, commit))?;
        Ok(Self { commit, state })
    }

    /// The commit that brought a row to where it is now; where it is gone, or only its canaries changed, the last one about it.
    pub fn arrival(&self, now: &SiteState, row: &Row, history: &History) -> Option<Arrival> {
        let by_name = |state: &SiteState| match row.kind {
            Kind::Model => state.models.iter().find(|model| model.name.as_str() == row.name).map(Place::of_model),
            Kind::App => state.apps.iter().find(|app| app.name == row.name).map(Place::of_app),
        };
        let place = by_name(now).or_else(|| by_name(&self.state))?;
        let moved = row.old.as_ref().map(|old| &old.digests) != row.new.as_ref().map(|new| &new.digests) && row.new.is_some();
        let brought = place.digest.filter(|_| moved).and_then(|digest| history.arrival(&place.file, &place.image, digest, &[]));
        brought.or_else(|| history.last(&place.file))
    }
}

/// Where an image is written.
struct Place {
    file: PathBuf,
    image: Reference,
    digest: Option<Digest>,
}

impl Place {
    fn of_model(model: &ModelState) -> Self {
        Self { file: model.file.clone(), image: model.stable.image.clone(), digest: model.stable.digest() }
    }

    fn of_app(app: &AppState) -> Self {
        Self { file: app.file.clone(), image: app.image.clone(), digest: app.image.digest().copied() }
    }
}

fn commit(workspace: &Workspace, since: &Since) -> Result<Option<CommitId>, RolloutError> {
    match since {
        Since::Moment(moment) => Ok(workspace.commit_before(*moment)?),
        Since::Revision(revision) => {
            let missing = || StatusError::NoRevision { revision: revision.clone(), dir: workspace.tree().to_owned() };
            Ok(Some(workspace.commit_of(revision)?.ok_or_else(missing)?))
        }
    }
}

/// The reader of folders reads this one too, so the site's files are laid out as they were.
fn state_at(workspace: &Workspace, site: &SiteName, commit: &CommitId) -> Result<SiteState, RolloutError> {
    let Some(tar) = workspace.archive(commit, &Path::new("sites").join(site.as_str()))? else { return Ok(SiteState::default()) };
    let unpacking = |source| StatusError::Unpacking { revision: commit.to_string(), source };
    let dir = tempfile::tempdir().map_err(unpacking)?;
    unpack(&tar, dir.path()).map_err(unpacking)?;
    read_state(dir.path(), site)
}

/// Plain files only: a link could lead out of the folder.
fn unpack(tar: &[u8], dir: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()?.take(MAX_FILES) {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let is_plain = path.components().all(|component| matches!(component, Component::Normal(_)));
        if !entry.header().entry_type().is_file() || !is_plain || entry.size() > MAX_FILE {
            continue;
        }
        let target = dir.join(path);
        fs_err::create_dir_all(target.parent().unwrap_or(dir))?;
        io::copy(&mut entry, &mut fs_err::File::create(target)?)?;
    }
    Ok(())
}
