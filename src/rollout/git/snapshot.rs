//! A GitOps folder as it was: the commit that a revision or a moment names, and a folder as that commit has it.

use std::path::Path;

use super::error::GitError;
use super::{CommitId, Repository, Workspace};
use crate::oci::Timestamp;

/// The most that is read of one folder as it was, in bytes.
const MAX_ARCHIVE: u64 = 64 << 20;

impl Workspace {
    /// The commit that a revision names: anything that git understands. `None` where there is none.
    ///
    /// # Errors
    /// Git cannot be run.
    pub fn commit_of(&self, revision: &str) -> Result<Option<CommitId>, GitError> {
        Ok(self.here().commit_of(revision).ok())
    }

    /// The last commit of this branch before a moment.
    ///
    /// # Errors
    /// Git cannot read the history.
    pub fn commit_before(&self, moment: Timestamp) -> Result<Option<CommitId>, GitError> {
        let before = format!("--before={}", moment.seconds());
        let id = self.here().git.line(&["rev-list", "--max-count=1", "--first-parent", &before, "HEAD"])?;
        Ok(CommitId::new(&id))
    }

    /// A folder of the GitOps folder as a commit has it, as a tar; `None` where it has none.
    ///
    /// # Errors
    /// Git cannot read the commit, or the folder is larger than 64 MiB.
    pub fn archive(&self, commit: &CommitId, folder: &Path) -> Result<Option<Vec<u8>>, GitError> {
        let folder = folder.to_string_lossy();
        let git = self.here().git.at_most(MAX_ARCHIVE);
        let said = git.run(&["archive", "--format=tar", commit.as_str(), "--", &folder], "")?;
        match said.status.success() {
            true => Ok(Some(said.stdout)),
            false if said.stderr.contains("did not match any files") => Ok(None),
            false => Err(git.failure("archive", &said)),
        }
    }

    /// Git in the GitOps folder.
    fn here(&self) -> Repository {
        self.repository().at(self.tree())
    }
}
