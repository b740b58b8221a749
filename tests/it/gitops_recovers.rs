//! A process that is killed in the middle of a rollout leaves nothing half-made, and the same again completes it.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use modelcar::rollout::{GitOptions, Landed, Proposal, Publish, RolloutError, Source, Workspace};

use crate::support::gitops::{Origin, deploy, message, planned, write_script};
use crate::support::{need, run, stdout_of};

/// Where the process is when it dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Deciding,
    Committing,
    Sending,
    Following,
}

/// Two pipes in a folder: whoever comes to the moment says so in the one, and waits at the other.
fn wait_here(folder: &Path) -> String {
    format!("#!/bin/sh\necho here >'{0}/reached'\nread word <'{0}/go'\nexit 0\n", folder.display())
}

#[test]
fn a_killed_run_loses_nothing() {
    if need("git").is_none() {
        return;
    }
    for moment in [Moment::Deciding, Moment::Committing, Moment::Sending, Moment::Following] {
        for beside in [true, false] {
            // A clone has no hooks, and nothing follows it.
            if beside || matches!(moment, Moment::Deciding | Moment::Sending) {
                killed(moment, beside);
            }
        }
    }
}

fn killed(moment: Moment, beside: bool) {
    let origin = Origin::new();
    let work = origin.clone_to("work");
    std::fs::write(work.join("staged"), "staged\n").unwrap();
    run(origin.git(&work).args(["add", "staged"]));
    for pipe in ["reached", "go"] {
        run(Command::new("mkfifo").arg(origin.root().join(pipe)));
    }
    let hooks = work.join(".git/hooks");
    match moment {
        Moment::Deciding => {}
        Moment::Committing => write_script(&hooks.join("pre-commit"), &wait_here(origin.root())),
        Moment::Sending => origin.hook("pre-receive", &wait_here(origin.root())),
        Moment::Following => write_script(&hooks.join("post-merge"), &wait_here(origin.root())),
    }
    let source = if beside { work.display().to_string() } else { origin.url() };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "gitops_recovers::child_deploys", "--ignored", "--nocapture"])
        .env("MODELCAR_TEST_SOURCE", &source)
        .env("MODELCAR_TEST_WAIT", if moment == Moment::Deciding { origin.root().as_os_str() } else { "".as_ref() })
        .envs(origin.env())
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut word = String::new();
    OpenOptions::new().read(true).open(origin.root().join("reached")).unwrap().read_to_string(&mut word).unwrap();
    assert_eq!(word, "here\n");
    // The whole group: git and its hooks die with it, as when a pod is evicted.
    run(Command::new("kill").args(["-9", "--", &format!("-{}", child.id())]));
    child.wait().unwrap();
    let what = format!("{moment:?}, beside: {beside}");
    run(origin.git(&origin.bare()).args(["fsck", "--strict"]));
    assert!(origin.count() <= 2, "{what}");
    let status = stdout_of(origin.git(&work).args(["status", "--porcelain"]));
    assert!(status == "A  staged\n", "{what}: {status}");
    for hook in [hooks.join("pre-commit"), hooks.join("post-merge"), origin.bare().join("hooks/pre-receive")] {
        let _ = std::fs::remove_file(hook);
    }
    let options = GitOptions { publish: Publish::Push, ..origin.options() };
    let source: Source = source.parse().unwrap();
    let landed = deploy(&Workspace::open(&source, &options).unwrap(), "edge-01", "iris", "v1").unwrap();
    let was_through = landed == Landed::Unchanged;
    assert_eq!(was_through, moment == Moment::Following, "{what}");
    assert_eq!(origin.says(&["log", "--format=%s", "main"]), "sites/edge-01: iris v1\nStart", "{what}");
    if beside {
        assert_eq!(stdout_of(origin.git(&work).args(["rev-parse", "HEAD"])).trim(), origin.says(&["rev-parse", "main"]), "{what}");
        assert_eq!(stdout_of(origin.git(&work).args(["status", "--porcelain"])), "A  staged\n", "{what}");
    }
}

#[test]
#[ignore = "run, and killed, by a_killed_run_loses_nothing"]
fn child_deploys() {
    let Ok(source) = std::env::var("MODELCAR_TEST_SOURCE") else { return };
    let wait = std::env::var("MODELCAR_TEST_WAIT").unwrap();
    let options = GitOptions { publish: Publish::Push, ..GitOptions::default() };
    let workspace = Workspace::open(&source.parse().unwrap(), &options).unwrap();
    let landed = workspace.land(&mut |tree: &Path| -> Result<_, RolloutError> {
        if !wait.is_empty() {
            OpenOptions::new().write(true).open(Path::new(&wait).join("reached")).unwrap().write_all(b"here\n").unwrap();
            drop(OpenOptions::new().read(true).open(Path::new(&wait).join("go")).unwrap());
        }
        Ok(Some(Proposal::new(planned(tree, "edge-01", "iris", "v1")?, message("edge-01", "iris", "v1"))))
    });
    landed.unwrap();
}
