//! The files of results: whole or not there, without a line break at their end, which would be part of the result.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::budget::{BUDGET, Fitted, entry_bytes, fit};
use super::{TektonError, TektonResult};

/// More files than any task has results.
const MAX_FILES: usize = 1000;

/// Where results go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The folder of the task's results, a file for each.
    pub folder: Option<PathBuf>,
    /// A step's own results, each with its file.
    pub files: Vec<(&'static TektonResult, PathBuf)>,
}

impl Places {
    /// Whether anybody wants results.
    pub fn is_empty(&self) -> bool {
        self.folder.is_none() && self.files.is_empty()
    }

    /// Looks for the folders, before anything is done that results would tell.
    ///
    /// # Errors
    /// One is not there.
    pub fn ensure(&self) -> Result<(), TektonError> {
        let folders = self.folder.iter().map(PathBuf::as_path).chain(self.files.iter().map(|(_, file)| parent(file)));
        for folder in folders {
            let is_folder = fs::metadata(folder).map_err(TektonError::io(folder))?.is_dir();
            if !is_folder {
                return Err(TektonError::io(folder)(std::io::ErrorKind::NotADirectory.into()));
            }
        }
        Ok(())
    }

    /// Every file that a result goes to.
    fn of<'a>(&'a self, result: &'static TektonResult) -> impl Iterator<Item = PathBuf> + 'a {
        let own = self.files.iter().filter(move |(known, _)| *known == result).map(|(_, file)| file.clone());
        self.folder.iter().map(|folder| folder.join(result.name)).chain(own)
    }

    /// The bytes of the message that results of others take, which are in the folder already.
    fn taken(&self, values: &[(&'static TektonResult, String)]) -> Result<usize, TektonError> {
        let Some(folder) = &self.folder else { return Ok(0) };
        let mut taken = 0;
        for entry in fs::read_dir(folder).map_err(TektonError::io(folder))?.take(MAX_FILES) {
            let entry = entry.map_err(TektonError::io(folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ours = values.iter().any(|(result, _)| result.name == name);
            if !is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                taken += entry_bytes(&name, &beginning(&entry.path())?);
            }
        }
        Ok(taken)
    }
}

/// Writes results to every place that wants them, the lightest ones empty where there is no room for all.
///
/// # Errors
/// A value with a line break or another control character, before anything is written; a file that cannot be written.
pub fn write(places: &Places, values: Vec<(&'static TektonResult, String)>) -> Result<Fitted, TektonError> {
    if let Some((result, _)) = values.iter().find(|(_, value)| value.contains(char::is_control)) {
        return Err(TektonError::Control { name: result.name });
    }
    let taken = places.taken(&values)?;
    let fitted = fit(values, taken);
    for (result, value) in &fitted.values {
        for path in places.of(result) {
            write_whole(&path, value).map_err(TektonError::io(&path))?;
        }
    }
    Ok(fitted)
}

/// As much of a file as can matter: more than this is over every budget.
fn beginning(path: &Path) -> Result<String, TektonError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(TektonError::io(path))?;
    file.take(BUDGET as u64).read_to_end(&mut bytes).map_err(TektonError::io(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file in the making has a name that is no result's, and takes its own when it is complete.
fn write_whole(path: &Path, value: &str) -> std::io::Result<()> {
    let mut draft = tempfile::Builder::new().prefix(".modelcar-").tempfile_in(parent(path))?;
    draft.write_all(value.as_bytes())?;
    // Other steps may run as other users.
    draft.as_file().set_permissions(Permissions::from_mode(0o644))?;
    draft.persist(path).map(drop).map_err(|error| error.error)
}

/// The folder of a file, `.` for a bare name.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    fn folder(dir: &tempfile::TempDir) -> Places {
        Places { folder: Some(dir.path().to_owned()), files: vec![] }
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_for_each_result_without_a_line_break_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("COMMIT"), "old").unwrap();
        let other = dir.path().join("step");
        let places = Places { files: vec![(COMMIT, other.clone())], ..folder(&dir) };
        places.ensure().unwrap();
        let fitted = write(&places, vec![(COMMIT, "abc".to_owned()), (BRANCH, String::new())]).unwrap();
        assert!(fitted.fits() && fitted.left_out.is_empty());
        assert_eq!(names(dir.path()), ["BRANCH", "COMMIT", "step"]);
        assert_eq!(fs::read(dir.path().join("COMMIT")).unwrap(), b"abc");
        assert_eq!(fs::read(dir.path().join("BRANCH")).unwrap(), b"");
        assert_eq!(fs::read(other).unwrap(), b"abc");
    }

    #[test]
    fn what_other_steps_wrote_counts_and_what_is_written_anew_does_not_count_twice() {
        let dir = tempfile::tempdir().unwrap();
        let images = || vec![(IMAGE_DIGEST, "d".repeat(71)), (IMAGES, "i".repeat(2000))];
        assert_eq!(write(&folder(&dir), images()).unwrap().left_out, [""; 0]);
        assert_eq!(write(&folder(&dir), images()).unwrap().left_out, [""; 0], "the same again");
        fs::write(dir.path().join("NOTES"), "n".repeat(3000)).unwrap();
        let fitted = write(&folder(&dir), images()).unwrap();
        assert!(fitted.fits() && fitted.left_out == ["IMAGES"], "{fitted:?}");
        assert_eq!(fs::read(dir.path().join("IMAGES")).unwrap(), b"");
        assert_eq!(fs::read(dir.path().join("IMAGE_DIGEST")).unwrap().len(), 71);
        fs::write(dir.path().join("NOTES"), "n".repeat(1 << 20)).unwrap();
        assert!(!write(&folder(&dir), images()).unwrap().fits());
    }

    #[test]
    fn a_value_with_a_line_break_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for value in ["a\nb", "a\n", "\u{1b}[2J", "a\0"] {
            let error = write(&folder(&dir), vec![(COMMIT, "abc".to_owned()), (BRANCH, value.to_owned())]).unwrap_err();
            assert!(error.to_string().contains("BRANCH") && !error.to_string().contains('\u{1b}'), "{error}");
        }
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_before_and_none_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        fs::write(dir.path().join("file"), "").unwrap();
        for places in [
            Places { folder: Some(gone.clone()), files: vec![] },
            Places { folder: None, files: vec![(COMMIT, gone.join("COMMIT"))] },
            Places { folder: Some(dir.path().join("file")), files: vec![] },
        ] {
            assert!(matches!(places.ensure(), Err(TektonError::Io { .. })), "{places:?}");
        }
        assert!(!gone.exists());
    }

    #[test]
    fn steps_of_other_users_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        write(&folder(&dir), vec![(COMMIT, "abc".to_owned())]).unwrap();
        let mode = fs::metadata(dir.path().join("COMMIT")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{mode:o}");
    }
}
