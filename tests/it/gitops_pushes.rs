//! A change reaches the branch over every transport, whoever else pushes, and what stands in the way is told apart.

use std::path::Path;
use std::time::Duration;

use modelcar::exit_code;
use modelcar::rollout::{
    Credentials, GitError, GitOptions, Landed, Proposal, Publish, RolloutError, Source, Token, Trouble, Wanted, Workspace,
};

use crate::support::git_server::{Http, Ssh, daemon, free_port};
use crate::support::gitops::{Origin, deploy, digest, digest_in, message, planned, write_script};
use crate::support::{need, run, stdout_of};

const TOKEN: &str = "glpat-C4n4ry-T0ken-7731";

#[track_caller]
fn pushed(landed: Result<Landed, RolloutError>) -> String {
    match landed.unwrap() {
        Landed::Pushed { commit, branch, remote } => {
            assert_eq!(branch, "main");
            assert!(!remote.contains('@'), "{remote}");
            commit.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn trouble<T: std::fmt::Debug>(result: Result<T, RolloutError>) -> (Trouble, RolloutError) {
    let error = result.unwrap_err();
    match &error {
        RolloutError::Git(GitError::Remote { trouble, .. }) => (*trouble, error),
        _ => panic!("{error:?}"),
    }
}

fn with_token(origin: &Origin, token: &str) -> GitOptions {
    let mut options = origin.options();
    options.credentials.token = Some(Token::new(token, "test").unwrap());
    options
}

fn open(url: &str, options: &GitOptions) -> Result<Workspace, RolloutError> {
    Workspace::open(&url.parse()?, options)
}

/// Deploys, sees the commit on the server, and sees that the same again makes none.
fn goes_all_the_way(origin: &Origin, url: &str, options: &GitOptions) {
    let before = origin.count();
    let workspace = open(url, options).unwrap();
    let commit = pushed(deploy(&workspace, "edge-01", "iris", "v1"));
    assert_eq!(origin.says(&["rev-parse", "main"]), commit);
    assert_eq!(origin.says(&["log", "-1", "--format=%s|%an|%cn", "main"]), "sites/edge-01: iris v1|Ada|Ada");
    let files = origin.says(&["show", "--name-only", "--format=", "main"]);
    assert!(files.contains("sites/edge-01/models/iris.yaml") && !files.contains("edge-02"), "{files}");
    assert_eq!(deploy(&workspace, "edge-01", "iris", "v1").unwrap(), Landed::Unchanged);
    pushed(deploy(&workspace, "edge-01", "iris", "v2"));
    assert_eq!(origin.count(), before + 2);
    let place = workspace.tree().to_owned();
    drop(workspace);
    assert!(!place.exists(), "a clone lives as long as the command");
}

#[test]
fn over_a_file_address() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    goes_all_the_way(&origin, &origin.url(), &origin.options());
}

#[test]
fn over_the_git_protocol() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::with_tree("edge-clusters");
    let server = daemon(origin.root());
    goes_all_the_way(&origin, &format!("git://127.0.0.1:{}/acme/gitops.git", server.port), &origin.options());
    let (trouble, _) = trouble(open(&format!("git://127.0.0.1:{}/acme/other.git", server.port), &origin.options()));
    assert_eq!(trouble, Trouble::NotFound);
}

#[test]
fn over_http_with_a_token_that_only_the_server_sees() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let server = Http::git(origin.root(), TOKEN);
    let url = format!("http://127.0.0.1:{}/acme/gitops.git", server.port);
    goes_all_the_way(&origin, &url, &with_token(&origin, TOKEN));
    let logins = server.asked.lock().unwrap().iter().filter(|asked| asked.header("authorization").is_some()).count();
    assert!(logins > 0);
    let told = |options: &GitOptions| trouble(open(&url, options));
    let (refused, error) = told(&with_token(&origin, "wrong-C4n4ry"));
    assert_eq!((refused, error.exit_code()), (Trouble::LoginRefused, exit_code::FAILED));
    assert!(!format!("{error:?} {error} {:?}", error.hint()).contains("C4n4ry"));
    let (needed, error) = told(&origin.options());
    assert_eq!(needed, Trouble::LoginNeeded);
    assert!(error.hint().unwrap().contains("--git-token-file"));
    let (nothing, _) = trouble(open(&url.replace("gitops", "nothing"), &with_token(&origin, TOKEN)));
    assert_eq!(nothing, Trouble::NotFound);
}

#[test]
fn over_ssh_with_a_key_and_the_servers_key() {
    let (Some(_), Some(sshd)) =
        (need("git"), need("sshd").or_else(|| Some("/usr/sbin/sshd".into()).filter(|path: &std::path::PathBuf| path.exists())))
    else {
        return;
    };
    let origin = Origin::new();
    let ssh = Ssh::start(&sshd, origin.root());
    let url = ssh.url(&origin.bare());
    let with = |key: &Path, known_hosts: &Path| {
        let credentials = Credentials { ssh_key: Some(key.into()), known_hosts: Some(known_hosts.into()), ..Credentials::default() };
        GitOptions { credentials, ..origin.options() }
    };
    goes_all_the_way(&origin, &url, &with(&ssh.key, &ssh.known_hosts));
    let empty = origin.root().join("empty");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(trouble(open(&url, &with(&ssh.key, &empty))).0, Trouble::HostKey);
    assert_eq!(trouble(open(&url, &with(&ssh.other_key, &ssh.known_hosts))).0, Trouble::KeyRefused);
    run(std::process::Command::new("chmod").arg("644").arg(&ssh.key));
    assert_eq!(trouble(open(&url, &with(&ssh.key, &ssh.known_hosts))).0, Trouble::KeyExposed);
    run(std::process::Command::new("chmod").arg("600").arg(&ssh.key));
    let other = open(&ssh.url(Path::new("/nowhere/at/all.git")), &with(&ssh.key, &ssh.known_hosts));
    assert_eq!(trouble(other).0, Trouble::NotFound);
}

#[test]
fn nobody_at_home_is_told_from_a_wrong_address() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    for scheme in ["http", "git"] {
        let url = format!("{scheme}://127.0.0.1:{}/acme/gitops.git", free_port());
        assert_eq!(trouble(open(&url, &origin.options())).0, Trouble::Unreachable, "{url}");
    }
    assert_eq!(trouble(open(&origin.url().replace("gitops", "x"), &origin.options())).0, Trouble::NotFound);
    let branch = GitOptions { branch: Some("nope".to_owned()), ..origin.options() };
    assert_eq!(trouble(open(&origin.url(), &branch)).0, Trouble::NoBranch);
}

#[test]
fn a_repository_without_commits_or_sites_is_called_so() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::with_tree("deploy/gitops");
    let error = open(&origin.url(), &origin.options()).unwrap_err();
    assert!(error.to_string().ends_with("holds no `sites` folder in ., edge-clusters"), "{error}");
    assert!(error.hint().unwrap().contains("--path"));
    let path = GitOptions { path: Some("deploy/gitops".into()), ..origin.options() };
    pushed(deploy(&open(&origin.url(), &path).unwrap(), "edge-01", "iris", "v1"));
    let empty = origin.root().join("empty.git");
    run(origin.git(origin.root()).args(["init", "-q", "--bare"]).arg(&empty));
    let error = open(&format!("file://{}", empty.display()), &origin.options()).unwrap_err();
    assert!(matches!(error, RolloutError::Git(GitError::Empty { .. })), "{error:?}");
}

#[test]
fn eight_at_once_all_land_one_after_the_other() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    run(origin.git(&origin.bare()).args(["config", "receive.denyNonFastForwards", "true"]));
    let server = daemon(origin.root());
    let url = format!("git://127.0.0.1:{}/acme/gitops.git", server.port);
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (origin, url, start) = (&origin, &url, &start);
            scope.spawn(move || {
                let workspace = origin.open(url).unwrap();
                start.wait();
                // All of them edit the same kustomization.yaml.
                pushed(deploy(&workspace, "edge-01", &format!("model-{number}"), "v1"));
            });
        }
    });
    assert_eq!((origin.count(), origin.says(&["rev-list", "--merges", "main"])), (9, String::new()));
    let overlay = origin.says(&["show", "main:sites/edge-01/kustomization.yaml"]);
    assert!((0..8).all(|number| overlay.contains(&format!("models/model-{number}.yaml"))), "{overlay}");
    let mut subjects: Vec<_> = origin.says(&["log", "--format=%s", "main"]).lines().map(str::to_owned).collect();
    subjects.sort();
    let expected: Vec<_> = std::iter::once("Start".to_owned()).chain((0..8).map(|n| format!("sites/edge-01: model-{n} v1"))).collect();
    assert_eq!(subjects, expected);
}

/// Pushes a commit of somebody else's.
fn somebody_pushes(origin: &Origin, number: usize) {
    let tree = origin.clone_to(&format!("other-{number}"));
    std::fs::write(tree.join("sites/edge-02/note.txt"), number.to_string()).unwrap();
    run(origin.git(&tree).args(["add", "."]));
    run(origin.git(&tree).args(["commit", "-qm", "Theirs"]));
    run(origin.git(&tree).args(["push", "-q"]));
}

#[test]
fn a_lost_race_is_decided_again_on_what_the_others_made() {
    if need("git").is_none() {
        return;
    }
    for beside in [false, true] {
        let origin = Origin::new();
        let options = GitOptions { publish: Publish::Push, ..origin.options() };
        let work = origin.clone_to("work");
        let source = if beside { Source::Folder(work) } else { origin.url().parse().unwrap() };
        let workspace = Workspace::open(&source, &options).unwrap();
        let mut seen = Vec::new();
        let landed = workspace.land(&mut |tree: &Path| -> Result<_, RolloutError> {
            seen.push(tree.join("sites/edge-02/note.txt").exists());
            if seen.len() == 1 {
                somebody_pushes(&origin, 0);
            }
            Ok(Some(Proposal::new(planned(tree, "edge-01", "iris", "v1")?, message("edge-01", "iris", "v1"))))
        });
        pushed(landed);
        assert_eq!(seen, [false, true]);
        assert_eq!(origin.says(&["log", "--format=%s", "main"]), "sites/edge-01: iris v1\nTheirs\nStart");
    }
}

#[test]
fn who_always_loses_is_told_so_in_the_end_and_changes_nothing() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let options = GitOptions { patience: Some(Duration::from_millis(1500)), ..origin.options() };
    let workspace = open(&origin.url(), &options).unwrap();
    let mut tries = 0;
    let result = workspace.land(&mut |tree: &Path| -> Result<_, RolloutError> {
        somebody_pushes(&origin, tries);
        tries += 1;
        Ok(Some(Proposal::new(planned(tree, "edge-01", "iris", "v1")?, message("edge-01", "iris", "v1"))))
    });
    let error = result.unwrap_err();
    assert!(tries > 1 && matches!(error, RolloutError::Git(GitError::Contended { .. })), "{error:?}");
    assert_eq!((error.exit_code(), origin.count()), (exit_code::CONFLICT, 1 + tries));
}

#[test]
fn a_branch_that_nobody_may_push_to_is_told_with_the_way_around() {
    if need("git").is_none() {
        return;
    }
    for (hook, expected, hint) in [
        (
            "#!/bin/sh\necho 'GitLab: You are not allowed to push code to protected branches on this project.' >&2\nexit 1\n",
            Trouble::Protected,
            "--pr",
        ),
        ("#!/bin/sh\necho 'no rollouts on friday' >&2\nexit 1\n", Trouble::Declined, "--pr"),
    ] {
        let origin = Origin::new();
        origin.hook("pre-receive", hook);
        for beside in [false, true] {
            let work = origin.clone_to(&format!("work-{beside}"));
            let source = if beside { Source::Folder(work.clone()) } else { origin.url().parse().unwrap() };
            let workspace = Workspace::open(&source, &GitOptions { publish: Publish::Push, ..origin.options() }).unwrap();
            let (trouble, error) = trouble(deploy(&workspace, "edge-01", "iris", "v1"));
            assert_eq!((trouble, origin.count()), (expected, 1));
            assert!(error.hint().unwrap().contains(hint), "{error}");
            assert!(!workspace.tree().join("sites/edge-01/models").exists(), "the folder is as it was");
            assert_eq!(stdout_of(origin.git(&work).args(["status", "--porcelain", "--branch"])), "## main...origin/main\n");
        }
    }
}

#[test]
fn a_login_that_may_only_read_is_told() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    run(origin.git(&origin.bare()).args(["config", "http.receivepack", "false"]));
    let server = Http::git(origin.root(), TOKEN);
    let workspace = open(&format!("http://127.0.0.1:{}/acme/gitops.git", server.port), &with_token(&origin, TOKEN)).unwrap();
    assert_eq!(trouble(deploy(&workspace, "edge-01", "iris", "v1")).0, Trouble::Forbidden);
}

#[test]
fn a_work_tree_follows_what_was_pushed_and_keeps_all_other_work() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let work = origin.clone_to("work");
    std::fs::write(work.join("staged"), "staged\n").unwrap();
    run(origin.git(&work).args(["add", "staged"]));
    std::fs::write(work.join("sites/edge-02/site.yaml"), "edited\n").unwrap();
    std::fs::write(work.join("loose"), "loose\n").unwrap();
    let status = || stdout_of(origin.git(&work).args(["status", "--porcelain", "--branch"]));
    let before = status();
    somebody_pushes(&origin, 0);
    let workspace = origin.open_folder(&work, &GitOptions { publish: Publish::Push, ..origin.options() });
    let commit = pushed(deploy(&workspace, "edge-01", "iris", "v1"));
    assert_eq!(stdout_of(origin.git(&work).args(["rev-parse", "HEAD"])).trim(), commit);
    assert_eq!(status(), before);
    assert!(work.join("sites/edge-01/models/iris.yaml").exists() && work.join("sites/edge-02/note.txt").exists());
    assert_eq!(stdout_of(origin.git(&work).args(["worktree", "list", "--porcelain"])).matches("worktree ").count(), 1);
    let reflog = stdout_of(origin.git(&work).args(["reflog", "--format=%gs"]));
    assert!(reflog.starts_with("merge ") && reflog.lines().count() == 2, "one step forward and nothing else: {reflog}");
}

#[test]
fn a_file_with_uncommitted_edits_is_not_rolled_out_over() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let work = origin.clone_to("work");
    let options = GitOptions { publish: Publish::Push, ..origin.options() };
    pushed(deploy(&origin.open_folder(&work, &options), "edge-01", "iris", "v1"));
    let file = work.join("sites/edge-01/models/iris.yaml");
    let text = std::fs::read_to_string(&file).unwrap() + "# mine\n";
    std::fs::write(&file, &text).unwrap();
    let error = deploy(&origin.open_folder(&work, &options), "edge-01", "iris", "v2").unwrap_err();
    assert!(
        matches!(&error, RolloutError::Git(GitError::Uncommitted { files, .. }) if files == "sites/edge-01/models/iris.yaml"),
        "{error:?}"
    );
    assert_eq!((origin.count(), std::fs::read_to_string(&file).unwrap()), (2, text));
}

#[test]
fn commits_that_were_not_pushed_yet_go_along_or_are_not_overrun() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let work = origin.clone_to("work");
    let kept = origin.open_folder(&work, &origin.options());
    assert!(matches!(deploy(&kept, "edge-01", "iris", "v1").unwrap(), Landed::Committed(_)));
    let options = GitOptions { publish: Publish::Push, ..origin.options() };
    // A run that was killed before its push, or one without `--push`: the same again sends it.
    pushed(deploy(&origin.open_folder(&work, &options), "edge-01", "iris", "v1"));
    assert_eq!(origin.says(&["log", "--format=%s", "main"]), "sites/edge-01: iris v1\nStart");
    deploy(&kept, "edge-01", "iris", "v2").unwrap();
    somebody_pushes(&origin, 0);
    let error = deploy(&origin.open_folder(&work, &options), "edge-01", "iris", "v3").unwrap_err();
    assert!(matches!(error, RolloutError::Git(GitError::Diverged { .. })), "{error:?}");
    assert_eq!((error.exit_code(), origin.count()), (exit_code::CONFLICT, 3));
}

#[test]
fn pipelines_check_out_a_commit_and_name_the_branch() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let work = origin.clone_to("work");
    run(origin.git(&work).args(["checkout", "-q", "--detach"]));
    let options = GitOptions { publish: Publish::Push, ..origin.options() };
    let error = deploy(&origin.open_folder(&work, &options), "edge-01", "iris", "v1").unwrap_err();
    assert!(matches!(error, RolloutError::Git(GitError::Detached { .. })), "{error:?}");
    let named = GitOptions { branch: Some("main".to_owned()), ..options.clone() };
    pushed(deploy(&origin.open_folder(&work, &named), "edge-01", "iris", "v1"));
    run(origin.git(&work).args(["checkout", "-q", "-b", "own"]));
    let error = deploy(&origin.open_folder(&work, &options), "edge-01", "iris", "v2").unwrap_err();
    assert!(error.hint().unwrap().contains("git push -u origin own"), "{error:?}");
    let elsewhere = GitOptions { branch: Some("main".to_owned()), ..origin.options() };
    let error = deploy(&origin.open_folder(&work, &elsewhere), "edge-01", "iris", "v2").unwrap_err();
    assert!(matches!(error, RolloutError::Git(GitError::OtherBranch { .. })), "{error:?}");
}

#[test]
fn a_thousand_sites_are_one_commit_and_one_look_back() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let sites: Vec<String> = (0..1000).map(|number| format!("site-{number:04}")).collect();
    let workspace = origin.open(&origin.url()).unwrap();
    let begun = std::cell::Cell::new(std::time::Instant::now());
    let wave = |version: &str| {
        workspace.land(&mut |tree: &Path| -> Result<_, RolloutError> {
            let plans: Result<Vec<_>, _> = sites.iter().map(|site| planned(tree, site, "iris", version)).collect();
            let change = modelcar::rollout::TreeChange::join(plans?).unwrap();
            begun.set(std::time::Instant::now());
            Ok(Some(Proposal::new(change, message("ring canary", "iris", version))))
        })
    };
    pushed(wave("v1"));
    pushed(wave("v2"));
    let took = begun.get().elapsed();
    assert_eq!(origin.says(&["show", "--name-only", "--format=", "main"]).lines().count(), 1000);
    // From the plans to the end of the push: 1.x s in a debug build; a busy machine gets ten times as much.
    assert!(took < Duration::from_secs(20), "{took:?}");
    println!("a thousand sites took {took:?}");
    let paths: Vec<_> = sites.iter().map(|site| format!("sites/{site}/models/iris.yaml").into()).collect();
    let fresh = origin.open(&origin.url()).unwrap();
    let begun = std::time::Instant::now();
    let pasts = fresh.pasts(fresh.tree(), &paths, &Wanted::Before, &digest_in).unwrap();
    println!("a thousand looks back took {:?}", begun.elapsed());
    assert!(pasts.iter().all(|past| past.as_ref().is_some_and(|past| past.digest == digest("iris", "v1"))));
}

#[test]
fn a_commit_is_signed_and_its_author_named_as_asked() {
    let (Some(_), Some(_)) = (need("git"), need("ssh-keygen")) else { return };
    let origin = Origin::new();
    let key = origin.root().join("sign");
    run(std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    let options = GitOptions {
        signing: modelcar::rollout::CommitSigning::Key(key),
        author: Some("Robot <robot@example.com>".parse().unwrap()),
        ..origin.options()
    };
    pushed(deploy(&open(&origin.url(), &options).unwrap(), "edge-01", "iris", "v1"));
    assert!(origin.says(&["cat-file", "-p", "main"]).contains("-----BEGIN SSH SIGNATURE-----"));
    assert_eq!(origin.says(&["log", "-1", "--format=%an <%ae>", "main"]), "Robot <robot@example.com>");
}

/// Everything that git and its hooks could have written down.
#[test]
fn the_token_is_nowhere_but_in_the_header() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let server = Http::git(origin.root(), TOKEN);
    let url = format!("http://127.0.0.1:{}/acme/gitops.git", server.port);
    let work = origin.clone_to("work");
    run(origin.git(&work).args(["remote", "set-url", "origin", &url]));
    let seen = origin.root().join("seen");
    // Every hook of the work tree writes down its variables, its arguments, and those of all processes there are.
    let spy = format!(
        "#!/bin/sh\n{{ env; echo \"$@\"; for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; done; cat; }} >>'{}' 2>/dev/null\nexit 0\n",
        seen.display()
    );
    for hook in ["pre-commit", "commit-msg", "post-commit", "pre-push", "reference-transaction", "post-merge", "post-checkout"] {
        write_script(&work.join(".git/hooks").join(hook), &spy);
    }
    let options = GitOptions { publish: Publish::Push, ..with_token(&origin, TOKEN) };
    let workspace = origin.open_folder(&work, &options);
    pushed(deploy(&workspace, "edge-01", "iris", "v1"));
    assert!(!format!("{workspace:?} {options:?}").contains(TOKEN));
    let spied = String::from_utf8_lossy(&std::fs::read(&seen).unwrap()).into_owned();
    assert!(spied.contains("refs/heads/main") && spied.contains("git-remote-http"), "the spies saw the push");
    assert!(!spied.contains(TOKEN));
    let found = std::process::Command::new("grep").args(["-rlaF", TOKEN]).arg(origin.root()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "", "no file holds it");
    assert!(server.asked.lock().unwrap().iter().any(|asked| asked.header("authorization").is_some()));
}
