//! Which files say where images are read from.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::parse::parse;
use super::{Cause, Mirrors, RegistryError};
use crate::store::registry::roots;

/// Where the files of the whole machine are.
const SYSTEM_WIDE: &str = "/etc/containers";
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The most files of a folder.
const MAX_FILES: usize = 1000;

/// Reads `$CONTAINERS_REGISTRIES_CONF`, else the user's own `registries.conf`, else the machine's; then the files of the folders
/// `registries.conf.d`, first the machine's and then the user's, each by name. What comes later replaces.
pub(in super::super) fn read(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Mirrors, RegistryError> {
    read_below(Path::new(SYSTEM_WIDE), env)
}

fn read_below(system: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Mirrors, RegistryError> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config"))).map(|config| config.join("containers"));
    let folders: Vec<&Path> = [Some(system), own.as_deref()].into_iter().flatten().collect();
    let mut mirrors = match set("CONTAINERS_REGISTRIES_CONF") {
        Some(named) => {
            let missing = || failed(&named, "there is no such file, which CONTAINERS_REGISTRIES_CONF names");
            read_file(&named)?.ok_or_else(missing)?
        }
        None => usual(&folders)?,
    };
    for folder in folders {
        for file in drop_ins(&folder.join("registries.conf.d"))? {
            mirrors.replace_with(read_file(&file)?.unwrap_or_default());
        }
    }
    Ok(mirrors)
}

/// The user's file stands for the machine's.
fn usual(folders: &[&Path]) -> Result<Mirrors, RegistryError> {
    for folder in folders.iter().rev() {
        if let Some(mirrors) = read_file(&folder.join("registries.conf"))? {
            return Ok(mirrors);
        }
    }
    Ok(Mirrors::default())
}

fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>, RegistryError> {
    match roots::files(folder, &["conf"]) {
        Ok(files) if files.len() > MAX_FILES => Err(failed(folder, format!("there are more than {MAX_FILES} files"))),
        Ok(files) => Ok(files),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(failed(folder, error.kind().to_string())),
    }
}

/// `None` where there is no such file.
fn read_file(file: &Path) -> Result<Option<Mirrors>, RegistryError> {
    let opened = match fs_err::File::open(file) {
        Ok(opened) => opened,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(file, error.kind().to_string())),
    };
    let mut text = String::new();
    opened.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| failed(file, error.kind().to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(file, format!("it is longer than {MAX_FILE} bytes")));
    }
    parse(&text, file).map(Some).map_err(|reason| failed(file, reason))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn failed(file: &Path, reason: impl Into<String>) -> RegistryError {
    RegistryError::RegistriesConf { file: file.to_owned(), source: Cause(reason.into()) }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    /// A machine and a user with these files.
    struct Home(tempfile::TempDir);

    impl Home {
        fn with(files: &[(&str, &str)]) -> Self {
            let home = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let file = home.path().join(path);
                fs_err::create_dir_all(file.parent().unwrap()).unwrap();
                fs_err::write(file, text).unwrap();
            }
            Self(home)
        }

        fn read(&self, env: &[(&str, &str)]) -> Result<Mirrors, RegistryError> {
            let home = self.0.path();
            let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| home.join(value).into());
            read_below(&home.join("etc"), &env)
        }

        fn place_of(&self, image: &str, env: &[(&str, &str)]) -> String {
            self.read(env).unwrap().route(&image.parse().unwrap()).unwrap().last.image.name()
        }
    }

    const USER: (&str, &str) = ("HOME", "user");

    fn moved(prefix: &str, location: &str) -> String {
        format!("[[registry]]\nprefix = \"{prefix}\"\nlocation = \"{location}\"\n")
    }

    #[test]
    fn the_file_that_is_named_or_the_users_or_the_machines_and_then_the_drop_ins() {
        let [etc, own, named] = ["etc.io", "own.io", "named.io"].map(|location| moved("a.io", location));
        let files = [
            ("etc/registries.conf", etc.as_str()),
            ("user/.config/containers/registries.conf", own.as_str()),
            ("named.conf", named.as_str()),
        ];
        let home = Home::with(&files);
        let first = |env: &[(&str, &str)]| home.place_of("a.io/m:v1", env);
        assert_eq!(first(&[]), "etc.io/m");
        assert_eq!(first(&[USER]), "own.io/m");
        assert_eq!(first(&[("XDG_CONFIG_HOME", "user/.config")]), "own.io/m");
        assert_eq!(first(&[USER, ("CONTAINERS_REGISTRIES_CONF", "named.conf")]), "named.io/m");

        let drops = ["drop1.io", "drop2.io", "drop3.io"].map(|location| moved("a.io", location));
        let with = |more: &[(&'static str, &str)]| Home::with(&[&files[..], more].concat());
        let system = [("etc/registries.conf.d/20.conf", drops[1].as_str()), ("etc/registries.conf.d/10.conf", &drops[0])];
        assert_eq!(with(&system).place_of("a.io/m:v1", &[USER]), "drop2.io/m");
        let user = [system[0], ("user/.config/containers/registries.conf.d/00.conf", &drops[2]), ("etc/registries.conf.d/99.txt", "[")];
        assert_eq!(with(&user).place_of("a.io/m:v1", &[USER]), "drop3.io/m");
        assert_eq!(Home::with(&[]).place_of("a.io/m:v1", &[USER]), "a.io/m");
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let long = format!("#{}", "x".repeat(1 << 20));
        for (path, text, expected) in [
            ("etc/registries.conf", "[[registry]", "etc/registries.conf: line 1: it is not TOML"),
            ("etc/registries.conf", long.as_str(), "etc/registries.conf: it is longer than 1048576 bytes"),
            ("etc/registries.conf.d/a.conf", "registry = 1", "a.conf: `registry` should be a list of tables, and is integer"),
        ] {
            let error = Home::with(&[(path, text)]).read(&[USER]).unwrap_err();
            let told = format!("{error}: {}", error.source().unwrap());
            assert!(told.contains(expected) && error.hint().is_some(), "{told}");
        }
        let error = Home::with(&[]).read(&[("CONTAINERS_REGISTRIES_CONF", "none.conf")]).unwrap_err();
        assert!(error.source().unwrap().to_string().contains("there is no such file"));
    }
}
