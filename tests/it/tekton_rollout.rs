//! The tasks that change sites, one after the other on one site: deploy, update, a canary, promote, rollback.

use crate::tekton::run::{Run, TaskOutcome};
use crate::tekton_release::{World, push};

const SITE: &str = "edge-01";

struct Walk {
    world: World,
    /// References by digest.
    versions: Vec<String>,
}

impl Walk {
    /// With three signed versions of a model. `None` where a peer is missing.
    fn new() -> Option<Self> {
        let mut world = World::new()?;
        let home = world.keys("ours");
        let image = |version: &str| format!("{}/team/iris:{version}", world.registry.host);
        for version in ["v1", "v2", "v3"] {
            push(&home, &image(version), &["--key", "cosign.key", "--attest", "none"]);
        }
        let versions = ["v1", "v2", "v3"].map(image).to_vec();
        Some(Self { world, versions })
    }

    fn task(&self, name: &str) -> Run {
        self.world.with_git(name).param("SITE", SITE).secret("verification-key", "ours-verification")
    }

    /// Runs a task, which makes one commit.
    #[track_caller]
    fn done(&self, task: &Run) -> TaskOutcome {
        let before = self.world.origin.count();
        let outcome = self.world.cluster.run_task(task).unwrap().expect_success();
        assert_eq!((outcome.result("SITES"), outcome.result("COMMIT")), (SITE, self.world.origin.says(&["rev-parse", "main"]).as_str()));
        assert_eq!((self.world.origin.count(), outcome.result("PULL_REQUEST")), (before + 1, ""), "{}", outcome.log());
        outcome
    }

    /// The subject of the last commit, without the site's name.
    fn subject(&self) -> String {
        self.world.origin.says(&["log", "-1", "--format=%s", "main"]).replace("sites/edge-01: ", "")
    }

    /// The digests that the site's patch names, the stable version's first.
    fn digests(&self) -> Vec<String> {
        let patch = self.world.origin.says(&["show", "main:sites/edge-01/models/iris.yaml"]);
        let uris = patch.lines().filter_map(|line| line.trim().strip_prefix("storageUri: "));
        uris.map(|uri| uri.rsplit('@').next().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_version_comes_as_a_canary_is_promoted_and_taken_back() {
    let Some(walk) = Walk::new() else { return };
    let version = |at: usize| walk.versions[at].as_str();

    walk.done(&walk.task("modelcar-deploy").param("REF", version(0)));
    let first = walk.digests();
    walk.done(&walk.task("modelcar-update").param("MODEL", "iris").param("REF", version(1)));
    let second = walk.digests();
    assert!(first.len() == 1 && second.len() == 1 && first != second, "{first:?} {second:?}");

    walk.done(&walk.task("modelcar-deploy").param("REF", version(2)).param("CANARY", "10"));
    assert!(walk.subject().starts_with("canary 10 % iris v3"), "{}", walk.subject());
    let both = walk.digests();
    assert!(both.starts_with(&second), "the stable version stays: {both:?}");

    walk.done(&walk.task("modelcar-promote").param("MODEL", "iris"));
    assert!(walk.subject().starts_with("promote iris"), "{}", walk.subject());
    let third = walk.digests();
    assert!(third.len() == 1 && third != second && third != first, "{third:?}");

    walk.done(&walk.task("modelcar-rollback").param("MODEL", "iris"));
    assert!(walk.subject().starts_with("roll back iris to v2"), "{}", walk.subject());
    assert_eq!(walk.digests(), second);
}

#[test]
fn a_site_that_refuses_keeps_what_it_runs() {
    let Some(walk) = Walk::new() else { return };
    let before = walk.world.origin.count();
    let unsigned = format!("{}/team/iris:v9", walk.world.registry.host);
    push(&walk.world.cluster.folder().join("ours"), &unsigned, &[]);
    let refused = walk.world.cluster.run_task(&walk.task("modelcar-deploy").param("REF", unsigned)).unwrap();
    assert_eq!((refused.steps[0].exit_code, walk.world.origin.count()), (Some(3), before), "{}", refused.log());
}
