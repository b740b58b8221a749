//! The pipeline `modelcar-release-fleet`: two models of a real S3 server, each to two sites.

use crate::support::gitops::SITES;
use crate::support::repo_root;
use crate::support::s3::{BUCKET, KEY, S3, SECRET};
use crate::tekton::run::{ParamValue, PipelineOutcome, Run, Status};
use crate::tekton_release::{MODELCAR_IMAGE, World, tell_usage};

const MODELS: [&str; 2] = ["iris", "magika"];

/// A world whose bucket has both models.
fn world() -> Option<(World, S3)> {
    let (mut world, s3) = (World::new()?, S3::start()?);
    world.keys("ours");
    for (model, file) in [("iris", "iris/logreg_iris.onnx"), ("magika", "magika/model.onnx")] {
        let bytes = std::fs::read(repo_root().join("testdata/models").join(file)).unwrap();
        s3.put(&format!("release-7/{model}/model.onnx"), &bytes, &[]);
    }
    let connection = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_S3_ENDPOINT", &s3.url()),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ];
    world.cluster.secret("model-source", &connection);
    Some((world, s3))
}

fn release(world: &World, models: &[&str]) -> Run {
    let run = world.with_git("modelcar-release-fleet").param("MODELCAR_IMAGE", MODELCAR_IMAGE).param("MODELS", models);
    let run = run.param("SOURCE_PREFIX", format!("s3://{BUCKET}/release-7")).param("IMAGE_PREFIX", format!("{}/team", world.registry.host));
    let run = run.param("TAG", "release-7").param("SITES", &SITES[..]).claim("source", "models").secret("s3-credentials", "model-source");
    run.secret("signing-key", "ours-signing").secret("verification-key", "ours-verification")
}

fn references(outcome: &PipelineOutcome) -> Vec<String> {
    match outcome.results.get("IMAGE_REFS") {
        Some(ParamValue::List(items)) => items.clone(),
        other => panic!("{other:?}\n{}", outcome.log()),
    }
}

#[test]
fn every_model_reaches_every_site() {
    let Some((world, _s3)) = world() else { return };
    let outcome = world.run(&release(&world, &MODELS)).expect_success();
    tell_usage(&outcome);
    let references = references(&outcome);
    assert_eq!((outcome.nodes["release-model"].runs.len(), outcome.nodes["deploy"].runs.len()), (2, 4));
    for (model, reference) in MODELS.iter().zip(&references) {
        assert!(reference.starts_with(&format!("{}/team/{model}@sha256:", world.registry.host)), "{reference}");
        for site in SITES {
            let patch = world.origin.says(&["show", &format!("main:sites/{site}/models/{model}.yaml")]);
            assert!(patch.contains(&format!("storageUri: oci://{reference}")), "{patch}");
        }
    }
    assert_eq!((references.len(), world.origin.count()), (2, world.commits + 4));
    assert_eq!((outcome.status("deploy"), outcome.status("summary")), (Status::Succeeded, Status::Succeeded));
}

#[test]
fn no_site_changes_when_a_model_is_missing() {
    let Some((world, _s3)) = world() else { return };
    let outcome = world.run(&release(&world, &["iris", "nowhere"]));
    assert_eq!((outcome.reason, outcome.status("release-model")), ("Failed", Status::Failed), "{}", outcome.log());
    assert_eq!((outcome.status("deploy"), world.origin.count()), (Status::Skipped, world.commits), "{}", outcome.log());
    let summary = &outcome.task("summary").steps[0];
    assert!(summary.stdout.contains("release-model"), "{}", summary.stdout);
}
