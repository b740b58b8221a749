//! Whether a commit can succeed, asked before anything is pushed: an image must not become public for a rollout that git refuses.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Repository;
use super::error::GitError;

/// What git may be in the middle of, by the file that says so.
const OPERATIONS: [(&str, &str); 5] = [
    ("MERGE_HEAD", "merge"),
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
];
/// How long a lock of the index may stand: an editor's `git status` holds it for a moment.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);

impl Repository {
    /// Refuses where a commit of these files could not succeed, or would reach nobody. Paths are relative to the folder that was
    /// opened.
    ///
    /// # Errors
    /// [`GitError::NoIdentity`], [`GitError::InProgress`], [`GitError::Detached`], [`GitError::Ignored`] and
    /// [`GitError::Locked`].
    pub fn ensure_ready(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        self.ensure_branch()?;
        self.ensure_able(paths)
    }

    /// The same where no branch is checked out, on purpose.
    pub(super) fn ensure_able(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        self.ensure_identity()?;
        let files = OPERATIONS.map(|(file, _)| file).into_iter().chain(["index.lock"]).collect::<Vec<_>>();
        let mut files = self.git_paths(&files)?;
        let lock = files.pop().unwrap_or_default();
        self.ensure_no_operation(&files)?;
        self.ensure_not_ignored(paths)?;
        self.ensure_unlocked(&lock)
    }

    fn ensure_identity(&self) -> Result<(), GitError> {
        ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"].into_iter().try_for_each(|who| match self.git.run(&["var", who], "")? {
            said if said.status.success() => Ok(()),
            _ => Err(GitError::NoIdentity { dir: self.git.dir.clone() }),
        })
    }

    fn ensure_no_operation(&self, files: &[PathBuf]) -> Result<(), GitError> {
        let running = files.iter().zip(OPERATIONS).find(|(file, _)| file.exists());
        running.map_or(Ok(()), |(_, (_, operation))| Err(GitError::InProgress { dir: self.git.dir.clone(), operation }))
    }

    /// A branch without a commit yet is one too.
    fn ensure_branch(&self) -> Result<(), GitError> {
        let said = self.git.run(&["symbolic-ref", "--quiet", "HEAD"], "")?;
        if said.status.success() { Ok(()) } else { Err(GitError::Detached { dir: self.git.dir.clone() }) }
    }

    fn ensure_not_ignored(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        // By standard input: this command takes no `:(literal)`. It ends with 1 where nothing is ignored.
        let names = paths.iter().map(|path| format!("{}\0", path.display())).collect::<Vec<_>>().concat();
        let said = self.git.run(&["check-ignore", "--stdin", "-z"], &names)?;
        match said.status.code() {
            Some(0) => {
                let files = said.text().trim_end_matches('\0').replace('\0', ", ");
                Err(GitError::Ignored { dir: self.git.dir.clone(), files })
            }
            Some(1) => Ok(()),
            _ => Err(self.git.failure("check-ignore", &said)),
        }
    }

    fn ensure_unlocked(&self, lock: &Path) -> Result<(), GitError> {
        let begun = Instant::now();
        while lock.exists() {
            if begun.elapsed() > PATIENCE {
                return Err(self.locked(&format!("{} exists", lock.display())));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}
