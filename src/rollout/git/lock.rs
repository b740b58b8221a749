//! One rollout at a time per work tree: plan, write and commit belong together.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fs_err as fs;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Repository;
use super::error::GitError;

/// How long a rollout waits for another one; a commit with slow hooks takes some seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Held while a work tree is planned on and written; released when dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct RepositoryLock {
    _file: fs::File,
}

impl Repository {
    /// Waits up to a minute until no other modelcar works on this work tree.
    ///
    /// # Errors
    /// [`GitError::Locked`] when the other one takes longer.
    pub fn lock(&self) -> Result<RepositoryLock, GitError> {
        let path = self.git_path("modelcar.lock")?;
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(GitError::io("open", &path))?;
        let begun = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(RepositoryLock { _file: file }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => return Err(self.locked("another modelcar is at work")),
                Err(error) => return Err(GitError::io("lock", &path)(error.into())),
            }
        }
    }

    /// Where git keeps a file of this work tree.
    pub(super) fn git_path(&self, name: &str) -> Result<PathBuf, GitError> {
        Ok(self.git_paths(&[name])?.pop().unwrap_or_default())
    }

    /// Where git keeps files of this work tree, in their order.
    pub(super) fn git_paths(&self, names: &[&str]) -> Result<Vec<PathBuf>, GitError> {
        let mut args = vec!["rev-parse"];
        args.extend(names.iter().flat_map(|name| ["--git-path", name]));
        Ok(self.git.line(&args)?.split('\n').map(|path| self.git.dir.join(path)).collect())
    }

    pub(super) fn locked(&self, output: &str) -> GitError {
        GitError::Locked { dir: self.git.dir.clone(), output: output.to_owned() }
    }
}
