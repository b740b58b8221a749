//! A decided change of a GitOps folder: shown, or written as a whole.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use super::{RolloutError, diff, yaml};
use crate::kserve::Delivery;
use crate::oci::Digest;

/// One file of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the GitOps folder, with `/`.
    pub path: PathBuf,
    /// The text when the change was planned; `None` for a new file.
    pub before: Option<String>,
    /// The text wanted.
    pub after: String,
}

/// What a rollout changes in a GitOps folder. Nothing is written before [`SiteChange::write`].
#[derive(Clone, Debug)]
pub struct SiteChange {
    /// The files that change, in the order in which they appear: the one that makes the others count is last.
    pub files: Vec<FileChange>,
    /// The digest that the site ran before, where it ran this model.
    pub old_digest: Option<Digest>,
    /// How the model came into the pod before, where the site ran this model.
    pub old_delivery: Option<Delivery>,
    /// What a person has to put right in the files that are theirs.
    pub warnings: Vec<String>,
    pub(super) root: PathBuf,
    /// Every file that the rollout needs, changed or not.
    pub(super) needed: Vec<PathBuf>,
    /// Those of them that are modelcar's own, and the new ones: committed with every change, so that what an interrupted run wrote
    /// comes along.
    pub(super) own: Vec<PathBuf>,
}

impl SiteChange {
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
        let changed = self.files.iter().map(|file| &file.path);
        changed.chain(self.own.iter().filter(|own| self.files.iter().all(|file| file.path != **own))).cloned().collect()
    }

    /// Every file that the rollout needs, changed or not, relative to the GitOps folder.
    pub fn needed(&self) -> &[PathBuf] {
        &self.needed
    }

    /// The files that were there before and are edited, relative to the GitOps folder; for [`super::Repository::ensure_committed`].
    pub fn edited(&self) -> Vec<PathBuf> {
        self.files.iter().filter(|file| file.before.is_some()).map(|file| file.path.clone()).collect()
    }

    /// The change as a unified diff, as `git apply` takes it.
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            let path = file.path.display();
            let old = file.before.as_ref().map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{path}"));
            let _ = write!(text, "--- {old}\n+++ b/{path}\n");
            text.push_str(&diff::lines(file.before.as_deref().unwrap_or_default(), &file.after));
        }
        text
    }

    /// Writes all files. Every new text is on the disk, complete, before the first file changes.
    ///
    /// # Errors
    /// [`RolloutError::Changed`] when a file is no longer as it was planned on, [`RolloutError::Symlink`] when a link stands in the way.
    pub fn write(&self) -> Result<(), RolloutError> {
        let staged = self.files.iter().map(|file| self.stage(file)).collect::<Result<Vec<_>, _>>()?;
        for (file, target) in staged {
            let written = file.persist(&target).map_err(|error| RolloutError::io("write", &target)(error.error));
            written.map(drop).inspect_err(|_| drop(self.restore()))?;
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
            if yaml::read(&target)?.as_ref() == Some(&file.after) {
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

    /// The new text in a temporary file beside its place.
    fn stage(&self, file: &FileChange) -> Result<(NamedTempFile, PathBuf), RolloutError> {
        let target = self.root.join(&file.path);
        refuse_links(&self.root, &file.path)?;
        if yaml::read(&target)? != file.before {
            return Err(RolloutError::Changed { path: target });
        }
        let folder = target.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(RolloutError::io("create", folder))?;
        let staged = write_beside(folder, &target, &file.after).map_err(RolloutError::io("write", &target))?;
        Ok((staged, target))
    }
}

fn restore(target: &Path, before: Option<&str>) -> std::io::Result<()> {
    let Some(text) = before else { return fs::remove_file(target) };
    write_beside(target.parent().unwrap_or(target), target, text)?.persist(target)?;
    Ok(())
}

fn write_beside(folder: &Path, target: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = fs::metadata(target).map_or_else(|_| std::fs::Permissions::from_mode(0o644), |metadata| metadata.permissions());
    let mut staged = NamedTempFile::new_in(folder)?;
    staged.write_all(text.as_bytes())?;
    staged.as_file().set_permissions(permissions)?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

/// Refuses links between the root and a file: git cannot commit behind one, and it may lead out of the repository.
pub(super) fn refuse_links(root: &Path, relative: &Path) -> Result<(), RolloutError> {
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

    fn change(root: &Path, path: &str, before: Option<&str>, after: &str) -> SiteChange {
        let file = FileChange { path: path.into(), before: before.map(str::to_owned), after: after.to_owned() };
        SiteChange {
            files: vec![file],
            old_digest: None,
            old_delivery: None,
            warnings: vec![],
            root: root.to_owned(),
            needed: vec![],
            own: vec![],
        }
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
        change.files.push(FileChange { path: "second".into(), before: Some("planned\n".into()), after: "mine\n".into() });
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
            change.files.push(FileChange { path: path.into(), before: before.map(str::to_owned), after: "mine\n".into() });
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
        change.files.push(FileChange { path: "old.yaml".into(), before: Some("a: 1\nb: 2".into()), after: "a: 1\nb: 3\n".into() });
        assert_eq!(
            change.diff(),
            "--- /dev/null\n+++ b/new.yaml\n@@ -0,0 +1,1 @@\n+a: 1\n\
             --- a/old.yaml\n+++ b/old.yaml\n@@ -1,2 +1,2 @@\n a: 1\n-b: 2\n\\ No newline at end of file\n+b: 3\n"
        );
    }
}
