//! A commit carries the files of its rollout and nothing else, over the real git.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::exit_code;
use modelcar::rollout::{GitError, Repository};

use crate::support::need;

/// A repository with one commit, and a git that sees nothing of the user's own settings.
struct Work {
    dir: tempfile::TempDir,
    git: PathBuf,
}

impl Work {
    /// `None` after saying that git is missing.
    fn new() -> Option<Self> {
        let work = Self { git: need("git")?, dir: tempfile::tempdir().unwrap() };
        work.git(&["init", "--quiet", "--initial-branch=main"]);
        work.git(&["config", "user.name", "Ada"]);
        work.git(&["config", "user.email", "ada@example.com"]);
        work.put("README", "hello\n");
        work.git(&["add", "."]);
        work.git(&["commit", "--quiet", "-m", "Start"]);
        Some(work)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn isolation(&self) -> Vec<(OsString, OsString)> {
        let home = self.path().join(".git/home").into_os_string();
        let fixed = [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")];
        let mut env: Vec<_> = fixed.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        env.push(("HOME".into(), home));
        env
    }

    fn git(&self, args: &[&str]) -> String {
        let done = Command::new(&self.git).current_dir(self.path()).envs(self.isolation()).args(args).output().unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn hook(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        self.put(".git/hooks/pre-commit", script);
        std::fs::set_permissions(self.path().join(".git/hooks/pre-commit"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn open(&self) -> Repository {
        Repository::open_with_env(self.path(), self.isolation()).unwrap()
    }

    fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

#[test]
fn leaves_other_staged_and_unstaged_work_as_it_was() {
    let Some(work) = Work::new() else { return };
    work.put("staged", "staged\n");
    work.git(&["add", "staged"]);
    work.put("README", "edited\n");
    work.put("loose", "loose\n");
    work.put("sites/a/new.yaml", "a: 1\n");
    let commit = work.open().commit(&paths(&["sites/a/new.yaml"]), "Roll out\n\nModel-Image: x\n").unwrap().unwrap();
    assert_eq!(commit.to_string(), work.head());
    assert_eq!(
        work.git(&["show", "--name-only", "--format=%s|%an|%(trailers:key=Model-Image,valueonly)"]).trim(),
        "Roll out|Ada|x\n\n\nsites/a/new.yaml"
    );
    assert_eq!(work.git(&["status", "--porcelain"]), " M README\nA  staged\n?? loose\n");
}

#[test]
fn commits_nothing_when_nothing_differs() {
    let Some(work) = Work::new() else { return };
    let head = work.head();
    assert_eq!(work.open().commit(&paths(&["README"]), "Again").unwrap(), None);
    assert_eq!(work.open().commit(&[], "Again").unwrap(), None);
    assert_eq!(work.head(), head);
}

#[test]
fn makes_the_first_commit_of_a_repository() {
    let Some(work) = Work::new() else { return };
    let fresh = Work { dir: tempfile::tempdir().unwrap(), git: work.git.clone() };
    fresh.git(&["init", "--quiet"]);
    fresh.git(&["config", "user.name", "Ada"]);
    fresh.git(&["config", "user.email", "ada@example.com"]);
    fresh.put("a.yaml", "a: 1\n");
    let commit = fresh.open().commit(&paths(&["a.yaml"]), "First").unwrap().unwrap();
    assert_eq!(commit.to_string(), fresh.head());
}

#[test]
fn works_in_a_folder_below_the_top() {
    let Some(work) = Work::new() else { return };
    work.put("deploy/gitops/sites/a.yaml", "a: 1\n");
    work.put("sites/a.yaml", "other\n");
    let repository = Repository::open_with_env(&work.path().join("deploy/gitops"), work.isolation()).unwrap();
    repository.commit(&paths(&["sites/a.yaml"]), "Below").unwrap().unwrap();
    assert_eq!(work.git(&["show", "--name-only", "--format="]), "deploy/gitops/sites/a.yaml\n");
}

#[test]
fn takes_a_file_name_for_a_name_and_not_a_pattern() {
    let Some(work) = Work::new() else { return };
    work.put("a*.yaml", "a: 1\n");
    work.put("ab.yaml", "a: 1\n");
    work.open().commit(&paths(&["a*.yaml"]), "One").unwrap().unwrap();
    assert_eq!(work.git(&["status", "--porcelain"]), "?? ab.yaml\n");
}

#[test]
fn is_not_led_astray_by_the_variables_of_a_hook() {
    let Some(work) = Work::new() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    work.put("a.yaml", "a: 1\n");
    let mut env = work.isolation();
    // What the process inherits is cleared; what is given on purpose is kept, so this goes through a process of its own.
    env.extend([("GIT_DIR".into(), elsewhere.path().into()), ("GIT_INDEX_FILE".into(), elsewhere.path().join("index").into())]);
    let me = std::env::current_exe().unwrap();
    let done = Command::new(me)
        .args(["--exact", "rollout_git::child_commits_a_yaml", "--ignored", "--nocapture"])
        .envs(env)
        .env("MODELCAR_TEST_REPOSITORY", work.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(work.git(&["show", "--name-only", "--format=%s"]).trim(), "From a hook\n\na.yaml");
}

#[test]
#[ignore = "run by is_not_led_astray_by_the_variables_of_a_hook"]
fn child_commits_a_yaml() {
    let Some(dir) = std::env::var_os("MODELCAR_TEST_REPOSITORY") else { return };
    let repository = Repository::open(Path::new(&dir)).unwrap();
    repository.commit(&paths(&["a.yaml"]), "From a hook").unwrap().unwrap();
}

#[test]
fn says_how_to_introduce_oneself_and_lets_the_environment_do_it() {
    let Some(work) = Work::new() else { return };
    work.git(&["config", "--unset", "user.name"]);
    work.git(&["config", "--unset", "user.email"]);
    work.git(&["config", "user.useConfigOnly", "true"]);
    work.put("a.yaml", "a: 1\n");
    let head = work.head();
    let error = work.open().commit(&paths(&["a.yaml"]), "x").unwrap_err();
    assert!(matches!(error, GitError::NoIdentity { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("git config user.name"));
    assert_eq!(work.head(), head);
    let mut env = work.isolation();
    for who in ["AUTHOR", "COMMITTER"] {
        env.push((format!("GIT_{who}_NAME").into(), "Robot".into()));
        env.push((format!("GIT_{who}_EMAIL").into(), "robot@example.com".into()));
    }
    Repository::open_with_env(work.path(), env).unwrap().commit(&paths(&["a.yaml"]), "x").unwrap().unwrap();
    assert_eq!(work.git(&["log", "-1", "--format=%an %ce"]), "Robot robot@example.com\n");
}

#[test]
fn shows_what_a_failing_hook_says_and_loses_nothing() {
    let Some(work) = Work::new() else { return };
    work.put("a.yaml", "a: 1\n");
    work.hook("#!/bin/sh\necho 'no rollouts on friday' >&2\nhead -c 1000000 /dev/zero | tr '\\0' x >&2\nexit 1\n");
    let head = work.head();
    let error = work.open().commit(&paths(&["a.yaml"]), "x").unwrap_err();
    let said = error.to_string();
    assert!(said.contains("no rollouts on friday") && said.len() < 3000, "{said}");
    assert_eq!((error.exit_code(), work.head()), (exit_code::FAILED, head));
    assert_eq!(std::fs::read_to_string(work.path().join("a.yaml")).unwrap(), "a: 1\n");
    work.hook("#!/bin/sh\nexit 0\n");
    assert!(work.open().commit(&paths(&["a.yaml"]), "x").unwrap().is_some(), "the second try makes up for it");
}

#[test]
fn calls_a_lock_held_by_another_git_a_conflict() {
    let Some(work) = Work::new() else { return };
    work.put("a.yaml", "a: 1\n");
    work.put(".git/index.lock", "");
    let error = work.open().commit(&paths(&["a.yaml"]), "x").unwrap_err();
    assert!(matches!(error, GitError::Locked { .. }), "{error:?}");
    assert_eq!(error.exit_code(), exit_code::CONFLICT);
}

#[test]
fn refuses_to_edit_over_uncommitted_work() {
    let Some(work) = Work::new() else { return };
    work.open().ensure_committed(&paths(&["README"])).unwrap();
    work.put("README", "edited\n");
    let error = work.open().ensure_committed(&paths(&["README"])).unwrap_err();
    assert!(matches!(&error, GitError::Uncommitted { files, .. } if files == "README"), "{error:?}");
}

#[test]
fn names_an_ignored_file_instead_of_dropping_it() {
    let Some(work) = Work::new() else { return };
    work.put(".gitignore", "*.yaml\n");
    work.put("a.yaml", "a: 1\n");
    let error = work.open().commit(&paths(&["a.yaml"]), "x").unwrap_err();
    assert!(error.to_string().contains("a.yaml"), "{error}");
}

#[test]
fn says_how_to_make_a_repository() {
    if need("git").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let error = Repository::open(dir.path()).unwrap_err();
    assert!(matches!(error, GitError::NoWorkTree { .. }), "{error:?}");
    let hint = error.hint().unwrap();
    assert!(hint.contains("--gitops") && hint.contains(&format!("`git init {}`", dir.path().display())), "{hint}");
}
