//! Where files of settings are looked for.

use std::ffi::OsString;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Serialize;

use super::error::SettingsError;

/// The file of a project, beside what it is about.
const PROJECT: &str = "modelcar.toml";
/// The file that is named in place of all others.
const VARIABLE: &str = "MODELCAR_CONFIG";
/// More than any settings need, in bytes.
const MAX_FILE: u64 = 64 << 10;
/// More folders above each other than anybody has.
const MAX_DEPTH: usize = 128;

/// A place where settings may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Searched {
    /// The file.
    pub(in crate::cli) path: PathBuf,
    /// What was there.
    pub(in crate::cli) state: State,
}

/// What was found at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum State {
    /// It was read.
    Read,
    /// There is nothing.
    Absent,
    /// Everybody on the machine may put a file into that folder (`/tmp`).
    Shared,
}

/// The files to read, the first of them winning, among all places that were looked at.
///
/// `MODELCAR_CONFIG` replaces the search. Otherwise it is the project's file, from the current directory up to the top of its Git work
/// tree or of the file system, and then the user's own.
pub(super) fn search(cwd: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<Searched> {
    let named = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = named(VARIABLE) {
        return vec![Searched { path: cwd.join(path), state: State::Read }];
    }
    let mut places = upward(cwd);
    let home = || Some(named("HOME")?.join(".config"));
    let config = named("XDG_CONFIG_HOME").filter(|path| path.is_absolute()).or_else(home);
    places.extend(config.map(|folder| look(folder.join("modelcar").join("config.toml"))));
    places
}

fn upward(cwd: &Path) -> Vec<Searched> {
    let mut places = Vec::new();
    for folder in cwd.ancestors().take(MAX_DEPTH) {
        let mut place = look(folder.join(PROJECT));
        if place.state == State::Read && is_shared(folder) {
            place.state = State::Shared;
        }
        let found = place.state == State::Read;
        places.push(place);
        if found || folder.join(".git").exists() {
            break;
        }
    }
    places
}

fn look(path: PathBuf) -> Searched {
    let state = if path.is_file() { State::Read } else { State::Absent };
    Searched { path, state }
}

/// Whether strangers may put files there: the mode of `/tmp`. A stranger's settings would name a stranger's registry and keys.
fn is_shared(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o1002 == 0o1002)
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, SettingsError> {
    let failed = |source| SettingsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(SettingsError::invalid(path.display().to_string(), "it is longer than 64 KiB"));
    }
    String::from_utf8(bytes).map_err(|_| SettingsError::invalid(path.display().to_string(), "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use std::fs as std_fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A home with `project/` (a Git work tree) and `project/models/iris`.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std_fs::create_dir_all(home.path().join("project/models/iris")).unwrap();
        home
    }

    fn write(home: &tempfile::TempDir, path: &str) {
        let path = home.path().join(path);
        std_fs::create_dir_all(path.parent().unwrap()).unwrap();
        std_fs::write(path, "").unwrap();
    }

    /// The places that were read, as seen from the innermost folder, with these variables relative to home.
    fn read_from(home: &tempfile::TempDir, variables: &[(&str, &str)]) -> Vec<String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, path)| if path.is_empty() { OsString::new() } else { home.path().join(path).into_os_string() })
        };
        let all = search(&home.path().join("project/models/iris"), &get);
        let read = all.into_iter().filter(|place| place.state == State::Read);
        read.map(|place| place.path.strip_prefix(home.path()).unwrap().display().to_string()).collect()
    }

    #[test]
    fn the_nearest_project_file_is_found_then_the_users_own() {
        let home = home();
        assert!(read_from(&home, &[]).is_empty());
        write(&home, "project/modelcar.toml");
        write(&home, "modelcar.toml");
        write(&home, ".config/modelcar/config.toml");
        assert_eq!(read_from(&home, &[]), ["project/modelcar.toml"]);
        assert_eq!(
            read_from(&home, &[("HOME", ".")]),
            ["project/modelcar.toml", "./.config/modelcar/config.toml"].map(|p| p.replace("./", ""))
        );
        write(&home, "xdg/modelcar/config.toml");
        assert_eq!(read_from(&home, &[("HOME", "."), ("XDG_CONFIG_HOME", "xdg")])[1], "xdg/modelcar/config.toml");
        write(&home, "project/models/iris/modelcar.toml");
        assert_eq!(read_from(&home, &[]), ["project/models/iris/modelcar.toml"]);
    }

    #[test]
    fn the_search_ends_at_the_top_of_the_work_tree() {
        let home = home();
        write(&home, "modelcar.toml");
        assert_eq!(read_from(&home, &[]), ["modelcar.toml"]);
        write(&home, "project/.git");
        assert!(read_from(&home, &[]).is_empty(), "a .git file is a work tree's top as well");
    }

    #[test]
    fn a_named_file_replaces_the_search() {
        let home = home();
        write(&home, "project/modelcar.toml");
        assert_eq!(read_from(&home, &[("MODELCAR_CONFIG", "other.toml"), ("HOME", ".")]), ["other.toml"]);
        assert_eq!(read_from(&home, &[("MODELCAR_CONFIG", "")]), ["project/modelcar.toml"]);
    }

    #[test]
    fn what_strangers_may_have_written_is_not_read() {
        let home = home();
        write(&home, "project/modelcar.toml");
        std_fs::set_permissions(home.path().join("project"), PermissionsExt::from_mode(0o1777)).unwrap();
        assert!(read_from(&home, &[]).is_empty());
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        let home = home();
        let path = home.path().join("x.toml");
        assert!(matches!(read(&path), Err(SettingsError::Read { .. })));
        std_fs::write(&path, [0xff]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("UTF-8"));
        std_fs::write(&path, vec![b' '; 70_000]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("64 KiB"));
    }
}
