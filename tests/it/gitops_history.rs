//! What a site ran before is found in the history, also from a shallow clone, with few git processes for many sites.

use std::path::{Path, PathBuf};

use modelcar::oci::Digest;
use modelcar::rollout::{GitError, Landed, Wanted, Workspace};

use crate::support::gitops::{Origin, deploy, digest, digest_in};
use crate::support::{need, run, stdout_of};

const IRIS: &str = "sites/edge-01/models/iris.yaml";

/// v1, v2 and v3 of a model on one site, with unrelated commits between them.
fn history(origin: &Origin) -> Vec<String> {
    let workspace = origin.open(&origin.url()).unwrap();
    let mut commits = Vec::new();
    for version in ["v1", "v2", "v3"] {
        match deploy(&workspace, "edge-01", "iris", version).unwrap() {
            Landed::Pushed { commit, .. } => commits.push(commit.to_string()),
            other => panic!("{other:?}"),
        }
        deploy(&workspace, "edge-02", "other", version).unwrap();
    }
    commits
}

fn is_shallow(origin: &Origin, workspace: &Workspace) -> bool {
    stdout_of(origin.git(workspace.tree()).args(["rev-parse", "--is-shallow-repository"])).trim() == "true"
}

#[test]
fn the_digest_before_is_found_from_a_shallow_clone() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let commits = history(&origin);
    for (wanted, version, commit) in [
        (Wanted::Before, "v2", 1),
        (Wanted::Digest(digest("iris", "v1")), "v1", 0),
        (Wanted::Revision(commits[0].clone()), "v1", 0),
        (Wanted::Revision(commits[1][..12].to_owned()), "v2", 1),
    ] {
        let workspace = origin.open(&origin.url()).unwrap();
        assert!(is_shallow(&origin, &workspace));
        let past = workspace.past(workspace.tree(), Path::new(IRIS), &wanted, &digest_in).unwrap();
        assert_eq!((past.digest, past.commit.to_string()), (digest("iris", version), commits[commit].clone()), "{wanted:?}");
        assert!(past.text.contains(&digest("iris", version).to_string()));
        if let Some(revision) = past.revision {
            assert_eq!(
                (revision.subject.as_str(), revision.author.as_str()),
                (&*format!("sites/edge-01: iris {version}"), "Ada <ada@example.com>")
            );
            assert!(revision.trailer("Model-Image").unwrap().ends_with(&digest("iris", version).to_string()));
        }
        let nothing = workspace.past(workspace.tree(), Path::new(IRIS), &Wanted::Digest(Digest::of(b"never")), &digest_in).unwrap_err();
        assert!(matches!(nothing, GitError::NotInHistory { .. }) && nothing.hint().unwrap().contains("git log"), "{nothing:?}");
    }
}

#[test]
fn a_shallow_clone_learns_no_more_than_it_needs() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    let tree = origin.clone_to("old");
    for number in 0..60 {
        run(origin.git(&tree).args(["commit", "-q", "--allow-empty", "-m", &number.to_string()]));
    }
    run(origin.git(&tree).args(["push", "-q"]));
    history(&origin);
    let workspace = origin.open(&origin.url()).unwrap();
    let latest = workspace.latest(workspace.tree(), &["sites/edge-02/models/other.yaml".into()]).unwrap();
    assert_eq!(latest.values().next().unwrap().subject, "sites/edge-02: other v3");
    workspace.past(workspace.tree(), Path::new(IRIS), &Wanted::Before, &digest_in).unwrap();
    assert!(is_shallow(&origin, &workspace), "fifty commits more were enough");
}

#[test]
fn many_sites_are_looked_up_together_and_keep_their_order() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::new();
    history(&origin);
    let workspace = origin.open(&origin.url()).unwrap();
    let paths: Vec<PathBuf> = ["sites/edge-02/models/other.yaml", "sites/edge-02/models/never.yaml", IRIS].map(PathBuf::from).into();
    let pasts = workspace.pasts(workspace.tree(), &paths, &Wanted::Before, &digest_in).unwrap();
    let digests: Vec<_> = pasts.iter().map(|past| past.as_ref().map(|past| past.digest)).collect();
    assert_eq!(digests, [Some(digest("other", "v2")), None, Some(digest("iris", "v2"))]);
    let latest = workspace.latest(workspace.tree(), &paths).unwrap();
    assert_eq!(latest.keys().map(|path| path.to_str().unwrap()).collect::<Vec<_>>(), [IRIS, "sites/edge-02/models/other.yaml"]);
    let all = workspace.history(workspace.tree(), &["sites".into()], &mut |_| Ok(true)).unwrap();
    assert_eq!(all.len(), 7, "with the one that made the sites");
    assert!(all.windows(2).all(|pair| pair[0].time >= pair[1].time));
}

#[test]
fn the_way_back_is_found_in_the_tree_that_is_being_decided_on() {
    if need("git").is_none() {
        return;
    }
    let origin = Origin::with_tree("edge-clusters");
    history(&origin);
    let work = origin.clone_to("work");
    let options = modelcar::rollout::GitOptions { publish: modelcar::rollout::Publish::Push, ..origin.options() };
    let workspace = origin.open_folder(&work.join("edge-clusters"), &options);
    deploy(&origin.open(&origin.url()).unwrap(), "edge-01", "iris", "v4").unwrap();
    let mut before = None;
    workspace
        .land(&mut |tree: &Path| -> Result<_, modelcar::rollout::RolloutError> {
            before = Some(workspace.past(tree, Path::new(IRIS), &Wanted::Before, &digest_in)?.digest);
            Ok(None)
        })
        .unwrap();
    assert_eq!(before, Some(digest("iris", "v3")), "somebody else's v4 is what is gone back from");
}
