//! A rollout that cannot be committed leaves nothing behind, and the same command completes what was interrupted.

use std::fs;
use std::path::Path;

use crate::support::{repo_root, run, temp_dir};
use crate::the_whole_way::{bench, command, git, ship, shipped};

const IMAGE: &str = "oci:images:quay.io/models/iris:v1";

/// Everything in the work tree, and what git thinks of it.
fn state(home: &Path) -> (String, bool) {
    (git(home, &["status", "--porcelain", "--untracked-files=all"]), home.join("gitops/sites").exists())
}

#[track_caller]
fn refused(home: &Path, said: &str) -> i32 {
    let output = ship(home, IMAGE, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(said), "{text}");
    output.status.code().unwrap()
}

type Spoil = fn(&Path);

#[test]
fn what_git_would_refuse_is_refused_before_anything_is_stored() {
    let first_commit = ["commit", "-q", "--allow-empty", "-m", "Start"];
    let causes: [(Spoil, &str, i32); 5] = [
        (|home| drop(git(home, &["checkout", "-q", "--detach"])), "hint: `git switch BRANCH`", 1),
        (|home| fs::write(home.join("gitops/.git/MERGE_HEAD"), git(home, &["rev-parse", "HEAD"])).unwrap(), "a merge is in progress", 1),
        (|home| fs::write(home.join("gitops/.git/info/exclude"), "sites/\n").unwrap(), "git ignores sites/edge-site-01/", 1),
        (|home| fs::write(home.join("gitops/.git/index.lock"), "").unwrap(), "delete it", 5),
        (
            |home| {
                for words in
                    [["config", "--unset", "user.name"], ["config", "--unset", "user.email"], ["config", "user.useConfigOnly", "true"]]
                {
                    git(home, &words);
                }
            },
            "git config user.name",
            1,
        ),
    ];
    for (spoil, said, code) in causes {
        let home = bench();
        git(home.path(), &first_commit);
        spoil(home.path());
        assert_eq!(refused(home.path(), said), code, "{said}");
        assert!(!home.path().join("images").exists(), "{said}");
        assert!(!home.path().join("gitops/sites").exists(), "{said}");
    }
}

#[test]
fn a_bare_repository_is_called_so() {
    let home = temp_dir();
    run(command(home.path()).args(["keygen", "-q"]));
    git(home.path(), &["init", "-q", "--bare", "."]);
    refused(home.path(), "is a bare repository");
}

#[test]
fn a_hook_that_says_no_leaves_nothing_half_made_and_the_second_try_lands() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = bench();
    shipped(home.path(), IMAGE);
    let hook = home.path().join("gitops/.git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho not on friday >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let another = ["--site", "edge-site-02", "--name", "other"];
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let ship_other = || {
        let words = ["--key", "cosign.key", "--gitops", "gitops"];
        command(home.path()).arg("ship").arg(&model).arg("oci:images:quay.io/models/other:v1").args(words).args(another).output().unwrap()
    };
    let output = ship_other();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains("not on friday"), "{text}");
    assert_eq!(git(home.path(), &["status", "--porcelain", "--untracked-files=all"]), "");
    assert!(!home.path().join("gitops/sites/edge-site-02").exists());
    fs::remove_file(hook).unwrap();
    let output = ship_other();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(git(home.path(), &["rev-list", "--count", "HEAD"]).trim(), "2");
}

#[test]
fn completes_what_a_killed_run_wrote_and_did_not_commit() {
    let home = bench();
    git(home.path(), &["commit", "-q", "--allow-empty", "-m", "Start"]);
    for stage in [false, true] {
        shipped(home.path(), IMAGE);
        git(home.path(), &["reset", "-q", "--soft", "HEAD~1"]);
        if !stage {
            git(home.path(), &["reset", "-q"]);
        }
        let (_, commit) = shipped(home.path(), IMAGE);
        assert_eq!(git(home.path(), &["rev-parse", "HEAD"]).trim(), commit);
        assert_eq!(state(home.path()).0, "", "staged: {stage}");
        git(home.path(), &["rm", "-rq", "sites"]);
        git(home.path(), &["commit", "-qm", "Clear"]);
    }
}

#[test]
fn completes_what_was_killed_between_two_files() {
    let home = bench();
    git(home.path(), &["commit", "-q", "--allow-empty", "-m", "Start"]);
    shipped(home.path(), IMAGE);
    git(home.path(), &["reset", "-q", "HEAD~1"]);
    fs::remove_file(home.path().join("gitops/sites/edge-site-01/kustomization.yaml")).unwrap();
    shipped(home.path(), IMAGE);
    assert_eq!(state(home.path()).0, "");
    assert_eq!(git(home.path(), &["ls-files"]).lines().count(), 3);
}

#[test]
fn somebody_elses_edit_is_still_refused_and_never_slips_in() {
    let home = bench();
    shipped(home.path(), IMAGE);
    let file = |name: &str| home.path().join("gitops/sites/edge-site-01").join(name);
    let text = fs::read_to_string(file("kustomization.yaml")).unwrap() + "# theirs\n";
    fs::write(file("kustomization.yaml"), &text).unwrap();
    assert_eq!(shipped(home.path(), IMAGE).1, "none: nothing changed");
    assert_eq!(state(home.path()).0, " M sites/edge-site-01/kustomization.yaml\n");
    let model = fs::read_to_string(file("models/iris.yaml")).unwrap();
    fs::write(file("models/iris.yaml"), model.replace("@sha256:", "@sha256:0000") + "# theirs\n").unwrap();
    refused(home.path(), "has changes that are not committed");
}

#[test]
fn parallel_ships_into_one_site_all_land() {
    let home = bench();
    let one = |name: String| {
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        let words = ["--key", "cosign.key", "--gitops", "gitops", "--site", "edge-site-01", "--name", &name];
        let image = format!("oci:images-{name}:quay.io/models/{name}:v1");
        command(home.path()).arg("ship").arg(model).arg(image).args(words).output().unwrap()
    };
    std::thread::scope(|scope| {
        let one = &one;
        let runs: Vec<_> = (0..6).map(|n| scope.spawn(move || one(format!("iris-{n}")))).collect();
        for run in runs {
            let output = run.join().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
    assert_eq!(git(home.path(), &["rev-list", "--count", "HEAD"]).trim(), "6");
    assert_eq!(state(home.path()).0, "");
    let overlay = fs::read_to_string(home.path().join("gitops/sites/edge-site-01/kustomization.yaml")).unwrap();
    assert_eq!(overlay.matches("- path: models/").count(), 6, "{overlay}");
}
