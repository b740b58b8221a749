//! Whether a commit can succeed, asked before anything is pushed: an image must not become public for a rollout that git refuses.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Repository, RolloutError};

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
    /// [`RolloutError::NoIdentity`], [`RolloutError::InProgress`], [`RolloutError::Detached`], [`RolloutError::Ignored`] and
    /// [`RolloutError::Locked`].
    pub fn ensure_ready(&self, paths: &[PathBuf]) -> Result<(), RolloutError> {
        self.ensure_identity()?;
        self.ensure_no_operation()?;
        self.ensure_branch()?;
        self.ensure_not_ignored(paths)?;
        self.ensure_unlocked()
    }

    fn ensure_identity(&self) -> Result<(), RolloutError> {
        ["GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"].into_iter().try_for_each(|who| match self.run(&["var", who], &[], "")? {
            said if said.status.success() => Ok(()),
            _ => Err(RolloutError::NoIdentity { dir: self.dir.clone() }),
        })
    }

    fn ensure_no_operation(&self) -> Result<(), RolloutError> {
        for (file, operation) in OPERATIONS {
            if self.git_path(file)?.exists() {
                return Err(RolloutError::InProgress { dir: self.dir.clone(), operation });
            }
        }
        Ok(())
    }

    /// A branch without a commit yet is one too.
    fn ensure_branch(&self) -> Result<(), RolloutError> {
        let said = self.run(&["symbolic-ref", "--quiet", "HEAD"], &[], "")?;
        if said.status.success() { Ok(()) } else { Err(RolloutError::Detached { dir: self.dir.clone() }) }
    }

    fn ensure_not_ignored(&self, paths: &[PathBuf]) -> Result<(), RolloutError> {
        // By standard input: this command takes no `:(literal)`. It ends with 1 where nothing is ignored.
        let names = paths.iter().map(|path| format!("{}\0", path.display())).collect::<Vec<_>>().concat();
        let said = self.run(&["check-ignore", "--stdin", "-z"], &[], &names)?;
        match said.status.code() {
            Some(0) => {
                let files = said.stdout.trim_end_matches('\0').replace('\0', ", ");
                Err(RolloutError::Ignored { dir: self.dir.clone(), files })
            }
            Some(1) => Ok(()),
            _ => Err(self.failure("check-ignore", &said)),
        }
    }

    fn ensure_unlocked(&self) -> Result<(), RolloutError> {
        let (lock, begun) = (self.git_path("index.lock")?, Instant::now());
        while lock.exists() {
            if begun.elapsed() > PATIENCE {
                return Err(self.locked(&format!("{} exists", lock.display())));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}
