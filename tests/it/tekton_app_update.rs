//! The pipeline `modelcar-app-update`: an application's tag becomes the digest that was verified, and an unsigned one changes nothing.

use std::fs;

use crate::support::run;
use crate::tekton::run::{Run, Status};
use crate::tekton_release::{MODELCAR_IMAGE, World, push};

const APPS: &str = "sites/edge-01/apps/kustomization.yaml";

/// A world whose site runs an application beside the models.
fn world() -> Option<World> {
    let mut world = World::new()?;
    let work = world.origin.clone_to("site");
    fs::create_dir_all(work.join("sites/edge-01/apps")).unwrap();
    let apps = "resources: [app.yaml]\nimages:\n  - name: console\n    newName: quay.io/acme/console\n    newTag: v1\n";
    fs::write(work.join(APPS), apps).unwrap();
    fs::write(work.join("sites/edge-01/kustomization.yaml"), "resources: [apps]\n").unwrap();
    fs::write(work.join("sites/edge-01/apps/app.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: console}\n").unwrap();
    run(world.origin.git(&work).args(["add", "."]));
    run(world.origin.git(&work).args(["commit", "-qm", "An application"]));
    run(world.origin.git(&work).args(["push", "-q", "origin", "HEAD:main"]));
    world.commits += 1;
    Some(world)
}

fn image(world: &World) -> String {
    format!("{}/team/console:v2", world.registry.host)
}

fn update(world: &World) -> Run {
    let run = world.with_git("modelcar-app-update").param("MODELCAR_IMAGE", MODELCAR_IMAGE).param("APP", "console");
    run.param("IMAGE", image(world)).param("SITE", "edge-01").secret("verification-key", "ours-verification")
}

#[test]
fn a_tag_is_committed_as_the_digest_that_was_verified() {
    let Some(mut world) = world() else { return };
    let home = world.keys("ours");
    push(&home, &image(&world), &["--key", "cosign.key", "--attest", "none"]);
    let outcome = world.run(&update(&world)).expect_success();
    let (_, digest) = outcome.result("IMAGE_REF").split_once('@').unwrap();
    let apps = world.origin.says(&["show", &format!("main:{APPS}")]);
    assert!(apps.contains(digest) && apps.contains("/team/console"), "{apps}");
    assert_eq!((outcome.result("COMMIT"), world.origin.count()), (world.origin.says(&["rev-parse", "main"]).as_str(), world.commits + 1));
    let summary = &outcome.task("summary").steps[0];
    assert!(summary.stdout.contains(outcome.result("COMMIT")), "{}", summary.stdout);
}

#[test]
fn an_unsigned_application_stays_where_it_is() {
    let Some(mut world) = world() else { return };
    let home = world.keys("ours");
    push(&home, &image(&world), &[]);
    let outcome = world.run(&update(&world));
    assert_eq!((outcome.task("verify").steps[0].exit_code, outcome.status("set-app")), (Some(3), Status::Skipped), "{}", outcome.log());
    assert_eq!(world.origin.count(), world.commits);
    assert_eq!(outcome.status("summary-of-failure"), Status::Succeeded, "{}", outcome.log());
}
