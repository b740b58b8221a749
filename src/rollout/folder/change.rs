//! A decided change of a GitOps folder: shown, or written as a whole.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use super::state::Placed;
use crate::kserve::Delivery;
use crate::oci::Digest;
use crate::rollout::{RolloutError, diff, yaml};

/// One file of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the GitOps folder, with `/`.
    pub path: PathBuf,
    /// The text when the change was planned; `None` for a new file.
    pub before: Option<String>,
    /// The text wanted; `None` for a file that goes away.
    pub after: Option<String>,
}

/// What a rollout changes in a GitOps folder, on one site or on many. Nothing is written before [`TreeChange::write`].
#[derive(Clone, Debug)]
pub struct TreeChange {
    /// The files that change, in the order in which they appear: the one that makes the others count is last.
    pub files: Vec<FileChange>,
    /// What a person has to put right in the files that are theirs.
    pub warnings: Vec<String>,
    pub(super) root: PathBuf,
    /// Every file that the rollout needs, changed or not.
    pub(super) needed: Vec<PathBuf>,
    /// Those of them that are modelcar's own, and the new ones: committed with every change, so that what an interrupted run wrote
    /// comes along.
    pub(in crate::rollout) own: Vec<PathBuf>,
}

/// What one site is about to run, and what it ran.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The files.
    pub change: TreeChange,
    /// The digest that the site ran before, where it ran this model.
    pub old_digest: Option<Digest>,
    /// How the model came into the pod before, where the site ran this model.
    pub old_delivery: Option<Delivery>,
    /// What its stable predictor runs afterwards, or the canary that was asked for; an application's image comes with no delivery, so
    /// `None` there.
    pub new: Option<Placed>,
    /// For people: what the change costs or leaves as it is.
    pub notes: Vec<String>,
}

impl TreeChange {
    /// These files and nothing else.
    #[cfg(test)]
    pub(in crate::rollout) fn of(root: &Path, files: Vec<FileChange>) -> Self {
        Self { files, warnings: vec![], root: root.to_owned(), needed: vec![], own: vec![] }
    }

    /// The changes of several sites of one GitOps folder as one.
    ///
    /// Each site's files keep their order; no two sites share a file.
    pub fn join(changes: impl IntoIterator<Item = Self>) -> Option<Self> {
        changes.into_iter().reduce(|mut all, next| {
            all.files.extend(next.files);
            all.warnings.extend(next.warnings);
            all.needed.extend(next.needed);
            all.own.extend(next.own);
            all
        })
    }

    /// Whether the folder says already what it should.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What to commit, relative to the GitOps folder: the files that change and modelcar's own; where none changes, every file that
    /// the rollout needs, so that a commit that failed the last time is made up for.
    pub fn paths(&self) -> Vec<PathBuf> {
        if self.is_empty() {
            return self.needed.clone();
        }
        let changed: BTreeSet<&PathBuf> = self.files.iter().map(|file| &file.path).collect();
        let own = self.own.iter().filter(|own| !changed.contains(own));
        self.files.iter().map(|file| &file.path).chain(own).cloned().collect()
    }

    /// Every file that the rollout needs, changed or not, relative to the GitOps folder.
    pub fn needed(&self) -> &[PathBuf] {
        &self.needed
    }

    /// The files that were there before and are edited, relative to the GitOps folder; for [`crate::rollout::Repository::ensure_committed`].
    pub fn edited(&self) -> Vec<PathBuf> {
        self.files.iter().filter(|file| file.before.is_some()).map(|file| file.path.clone()).collect()
    }

    /// The change as a unified diff, as `git apply` takes it.
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let path = file.path.display();
            let old = file.before.as_ref().map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{path}"));
            let new = file.after.as_ref().map_or_else(|| "/dev/null".to_owned(), |_| format!("b/{path}"));
            let _ = write!(text, "--- {old}\n+++ {new}\n");
            text.push_str(&diff::lines(file.before.as_deref().unwrap_or_default(), file.after.as_deref().unwrap_or_default()));
        }
        text
    }

    /// Writes all files. Every new text is there, complete, before the first file changes. What a power cut takes is git's to bring back:
    /// it does not wait for the disk either, and with a thousand sites that takes longer than everything else.
    ///
    /// # Errors
    /// [`RolloutError::Changed`] when a file is no longer as it was planned on, [`RolloutError::Symlink`] when a link stands in the way.
    pub fn write(&self) -> Result<(), RolloutError> {
        let staged = self.files.iter().map(|file| self.stage(file)).collect::<Result<Vec<_>, _>>()?;
        for (file, target) in staged {
            let placed = match file {
                Some(file) => file.persist(&target).map(drop).map_err(|error| RolloutError::io("write", &target)(error.error)),
                None => fs::remove_file(&target).map_err(RolloutError::io("remove", &target)),
            };
            placed.inspect_err(|_| drop(self.restore()))?;
        }
        Ok(())
    }

    /// Takes back what [`Self::write`] wrote; a file that somebody has edited since stays.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn restore(&self) -> Result<(), RolloutError> {
        for file in self.files.iter().rev() {
            let target = self.root.join(&file.path);
            if yaml::read(&target)? == file.after {
                restore(&target, file.before.as_deref()).map_err(RolloutError::io("restore", &target))?;
                self.remove_empty_folders(&target);
            }
        }
        Ok(())
    }

    /// Folders that hold nothing any more; git knows no empty ones.
    fn remove_empty_folders(&self, target: &Path) {
        for folder in target.ancestors().skip(1).take_while(|folder| *folder != self.root) {
            // A folder that is not empty stays, and so do those above it.
            if fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// The new text in a temporary file beside its place; none for a file that goes away.
    fn stage(&self, file: &FileChange) -> Result<(Option<NamedTempFile>, PathBuf), RolloutError> {
        let target = self.root.join(&file.path);
        refuse_links(&self.root, &file.path)?;
        if yaml::read(&target)? != file.before {
            return Err(RolloutError::Changed { path: target });
        }
        let Some(after) = &file.after else { return Ok((None, target)) };
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(RolloutError::io("create", folder))?;
        let staged = write_beside(folder, &target, after).map_err(RolloutError::io("write", &target))?;
        Ok((Some(staged), target))
    }
}

fn restore(target: &Path, before: Option<&str>) -> std::io::Result<()> {
    let Some(text) = before else { return fs::remove_file(target) };
    fs::create_dir_all(target.parent().unwrap_or(target))?;
    write_beside(target.parent().unwrap_or(target), target, text)?.persist(target)?;
    Ok(())
}

fn write_beside(folder: &Path, target: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = fs::metadata(target).map_or_else(|_| std::fs::Permissions::from_mode(0o644), |metadata| metadata.permissions());
    let mut staged = NamedTempFile::new_in(folder)?;
    staged.write_all(text.as_bytes())?;
    staged.as_file().set_permissions(permissions)?;
    Ok(staged)
}

/// Refuses links between the root and a file: git cannot commit behind one, and it may lead out of the repository.
///
/// # Errors
/// [`RolloutError::Symlink`], naming the link.
pub fn refuse_links(root: &Path, relative: &Path) -> Result<(), RolloutError> {
    let mut path = root.to_owned();
    for component in relative.components() {
        if !matches!(component, Component::Normal(_)) {
            return Err(RolloutError::shape(relative, "it leaves the folder"));
        }
        path.push(component);
        if path.is_symlink() {
            return Err(RolloutError::Symlink { path });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(root: &Path, path: &str, before: Option<&str>, after: &str) -> TreeChange {
        let file = FileChange { path: path.into(), before: before.map(str::to_owned), after: Some(after.to_owned()) };
        TreeChange { files: vec![file], warnings: vec![], root: root.to_owned(), needed: vec![], own: vec![] }
    }

    #[test]
    fn writes_new_files_readable_and_keeps_the_mode_of_old_ones() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        change(dir.path(), "sites/a/x.yaml", None, "new\n").write().unwrap();
        let path = dir.path().join("sites/a/x.yaml");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
        change(dir.path(), "sites/a/x.yaml", Some("new\n"), "newer\n").write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[test]
    fn writes_nothing_over_somebody_elses_edit() {
        let dir = tempfile::tempdir().unwrap();
        let mut change = change(dir.path(), "first", None, "mine\n");
        change.files.push(FileChange { path: "second".into(), before: Some("planned\n".into()), after: Some("mine\n".into()) });
        fs::write(dir.path().join("second"), "theirs\n").unwrap();
        let error = change.write().unwrap_err();
        assert_eq!(error.exit_code(), crate::exit_code::CONFLICT);
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["second"]);
        assert_eq!(fs::read_to_string(dir.path().join("second")).unwrap(), "theirs\n");
    }

    #[test]
    fn takes_back_what_it_wrote_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("old"), "old\n").unwrap();
        let mut change = change(dir.path(), "sites/a/new", None, "mine\n");
        for (path, before) in [("old", Some("old\n")), ("theirs", None)] {
            change.files.push(FileChange { path: path.into(), before: before.map(str::to_owned), after: Some("mine\n".into()) });
        }
        change.write().unwrap();
        fs::write(dir.path().join("theirs"), "theirs\n").unwrap();
        change.restore().unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("old")).unwrap(), "old\n");
        assert_eq!(fs::read_to_string(dir.path().join("theirs")).unwrap(), "theirs\n");
        assert!(!dir.path().join("sites").exists());
    }

    #[test]
    fn refuses_links_and_paths_that_leave_the_folder() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), dir.path().join("sites")).unwrap();
        let error = change(dir.path(), "sites/a.yaml", None, "x").write().unwrap_err();
        assert!(matches!(error, RolloutError::Symlink { .. }), "{error:?}");
        assert!(change(dir.path(), "../a.yaml", None, "x").write().is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn its_diff_can_be_applied() {
        let dir = tempfile::tempdir().unwrap();
        let mut change = change(dir.path(), "new.yaml", None, "a: 1\n");
        change.files.push(FileChange { path: "old.yaml".into(), before: Some("a: 1\nb: 2".into()), after: Some("a: 1\nb: 3\n".into()) });
        assert_eq!(
            change.diff(),
            "--- /dev/null\n+++ b/new.yaml\n@@ -0,0 +1,1 @@\n+a: 1\n\
             --- a/old.yaml\n+++ b/old.yaml\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n\\ No newline at end of file\n+b: 3\n"
        );
    }
}
