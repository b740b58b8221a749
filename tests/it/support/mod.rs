//! What the promises share: the repository, temp folders, the built binary, and the real programs ("peers") that judge it.
#![allow(dead_code, reason = "each helper serves some of the files, and the last user of one may move")]

pub mod cluster;
pub mod crd;
pub mod fault_proxy;
pub mod faults;
pub mod git_server;
pub mod gitops;
pub mod http_proxy;
pub mod hub;
pub mod images;
pub mod keyless_verifiers;
pub mod kustomize;
pub mod model_registry;
pub mod name_server;
#[path = "../../../src/model/formats/onnx/writer.rs"]
pub mod onnx_writer;
pub mod openapi;
pub mod own_image;
pub mod proxy;
pub mod registry;
pub mod runc;
pub mod s3;
pub mod schemas;
pub mod sigstore;
pub mod small_disk;
pub mod tiny_shell;
pub mod token_server;
pub mod usage;
pub mod verifiers;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the checkout.
pub fn repo_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder that goes away with the returned guard.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("modelcar-test-").tempdir().expect("a temp folder can be made")
}

/// Where the program `name` is: our pinned build in `.peers/bin`, else the first one on `PATH`, else one that came from PyPI.
pub fn peer(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let (built, python) = (repo_root().join(".peers/bin"), repo_root().join(".venv/bin"));
    peer_in(name, [built].into_iter().chain(std::env::split_paths(&path)).chain([python]))
}

fn peer_in(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.map(|folder| folder.join(name)).find(|program| is_executable(program))
}

fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    program.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The Python with onnxruntime, onnx, numpy and oras, see `tests/peers/python.sh`.
pub fn python() -> Option<PathBuf> {
    Some(repo_root().join(".venv/bin/python")).filter(|python| is_executable(python))
}

/// The peer, or a word that the test is skipped: `let Some(skopeo) = support::need("skopeo") else { return };`
///
/// # Panics
/// With `MODELCAR_REQUIRE_PEERS=1` a missing peer fails the test.
pub fn need(name: &str) -> Option<PathBuf> {
    peer(name).or_else(|| skip(name))
}

/// Like [`need`], for [`python`].
pub fn need_python() -> Option<PathBuf> {
    python().or_else(|| skip(".venv/bin/python"))
}

/// `.venv`'s Python that also sees the packages of `.peers/python/FOLDER`, and those first: see `tests/peers/python.sh`.
///
/// # Panics
/// With `MODELCAR_REQUIRE_PEERS=1` where it is missing.
pub fn need_python_with(folder: &str) -> Option<Command> {
    let packages = repo_root().join(".peers/python").join(folder);
    if !packages.is_dir() {
        return skip(&format!(".peers/python/{folder}"));
    }
    let mut command = Command::new(need_python()?);
    command.env("PYTHONPATH", packages);
    Some(command)
}

/// Says that a test cannot run without the peer `what`, and is always `None`.
///
/// # Panics
/// With `MODELCAR_REQUIRE_PEERS=1`.
pub fn skip<T>(what: &str) -> Option<T> {
    let required = std::env::var_os("MODELCAR_REQUIRE_PEERS").is_some_and(|value| value == "1");
    assert!(!required, "{what} not found, and MODELCAR_REQUIRE_PEERS=1 (tests/peers/install.sh installs it)");
    lacks(what)
}

/// Says that a test cannot run here for lack of something that nobody can install: a right of root, the upstream CRDs. Always `None`.
pub fn lacks<T>(what: &str) -> Option<T> {
    // eprintln! would be swallowed for a test that passes; the summary of `make test` lists this line
    writeln!(std::io::stderr(), "SKIPPED: {what} not found").expect("standard error is open");
    None
}

/// The built binary as a stranger's machine would run it: nothing of the developer's environment but `PATH`, and `home` for a home.
pub fn modelcar(home: &Path) -> Command {
    clean_command(env!("CARGO_BIN_EXE_modelcar"), home)
}

/// Any program, in the same bare environment as [`modelcar`].
pub fn clean_command(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
    // without a terminal nothing may ever ask; with the system's settings a test would depend on the machine
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// Runs to the end and returns what was printed.
///
/// # Panics
/// When the program cannot be started or does not exit with 0; the message holds the command line and all it printed.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}\nended with {}\n--- stdout\n{}--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// [`run`], and its standard output as text.
#[track_caller]
pub fn stdout_of(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).unwrap_or_else(|error| panic!("{command:?} did not print UTF-8: {error}"))
}

mod tests {
    use super::{clean_command, peer_in, run, temp_dir};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_peer_is_the_first_executable_file_of_its_name() {
        let dir = temp_dir();
        let folders = ["folder", "data", "first", "second"].map(|name| dir.path().join(name));
        for folder in &folders {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::create_dir(folders[0].join("tool")).unwrap();
        for (folder, mode) in folders[1..].iter().zip([0o644, 0o755, 0o755]) {
            std::fs::write(folder.join("tool"), "").unwrap();
            std::fs::set_permissions(folder.join("tool"), PermissionsExt::from_mode(mode)).unwrap();
        }
        assert_eq!(peer_in("tool", folders.iter().cloned()), Some(folders[2].join("tool")));
        assert_eq!(peer_in("other", folders.into_iter()), None);
    }

    #[test]
    fn a_clean_command_knows_only_its_own_home() {
        let home = temp_dir();
        let printed = run(&mut clean_command("env", home.path())).stdout;
        let printed = String::from_utf8(printed).unwrap();
        let mut names: Vec<_> = printed.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["GIT_CONFIG_NOSYSTEM", "GIT_TERMINAL_PROMPT", "HOME", "PATH"]);
    }

    #[test]
    #[should_panic(expected = "the reason")]
    fn a_failed_run_shows_what_was_printed() {
        run(clean_command("sh", temp_dir().path()).args(["-c", "echo the reason >&2; exit 7"]));
    }
}
