//! The pipeline `modelcar-release` with its smoke test, in a stand-in for a cluster that really serves the image
//! (`support/cluster.rs`): a model that answers wrongly reaches neither the model registry nor a site, and nothing of it stays.

use std::path::Path;
use std::rc::Rc;

use serde_json::json;

use crate::support::cluster::{Fate, KubeCluster, NAMESPACE};
use crate::support::{modelcar, run};
use crate::tekton::run::{PipelineOutcome, Run, Status};
use crate::tekton_release::{World, push, tell_usage};

const REQUEST: &str =
    r#"{"inputs": [{"name": "float_input", "datatype": "FP32", "shape": [3, 2], "data": [[5.1, 3.5], [6.2, 2.9], [5.9, 3.0]]}]}"#;

/// A world with a cluster that serves, and what the model answers there.
fn world() -> Option<(World, Rc<KubeCluster>, String)> {
    let mut world = World::new()?;
    let home = world.keys("ours");
    let kube = Rc::new(KubeCluster::start_with_tls(Fate::Serves { add: 0.0 }, &[])?);
    world.cluster.service_account(kube.service_account(), &kube.environment());
    let answer = answer(&world, &kube, &home);
    Some((world, kube, answer))
}

/// Asked by hand, once.
fn answer(world: &World, kube: &KubeCluster, home: &Path) -> String {
    let image = format!("{}/team/trial:v1", world.registry.host);
    push(home, &image, &[]);
    std::fs::write(home.join("request.json"), REQUEST).unwrap();
    let mut command = modelcar(home);
    command.current_dir(home).args(["smoke-test", &image, "--namespace", NAMESPACE, "--kserve", "0.21", "--request", "request.json"]);
    run(command.args(["--answers", "was"]).args(kube.words()));
    std::fs::read_to_string(home.join("was/request.json")).unwrap()
}

/// A release whose model must answer this.
fn release(world: &mut World, expected: &str) -> Run {
    world.cluster.config_map("test-data", &[("request.json", REQUEST), ("expected.json", expected)]);
    let release = world.with_keys().param("SMOKE_TEST_NAMESPACE", NAMESPACE).param("KSERVE", "0.21");
    let release = release.param("SMOKE_TEST_REQUEST", "/workspace/test-data/request.json");
    let release = release.param("SMOKE_TEST_EXPECT", "/workspace/test-data/expected.json");
    release.workspace("test-data", json!({"configMap": {"name": "test-data"}}))
}

#[track_caller]
fn expect_nothing_left(kube: &KubeCluster, outcome: &PipelineOutcome) {
    assert_eq!(outcome.status("smoke-test-delete"), Status::Succeeded, "{}", outcome.log());
    assert_eq!((kube.names(), kube.serving()), (Vec::new(), 0));
    kube.expect_no_violations();
}

#[test]
fn a_model_that_answers_as_expected_is_released() {
    let Some((mut world, kube, answer)) = world() else { return };
    let release = release(&mut world, &answer);
    let outcome = world.run(&release).expect_success();
    assert_eq!(outcome.reason, "Completed", "one of the two summaries is skipped");
    tell_usage(&outcome);
    let asked = outcome.task("smoke-test");
    assert_eq!((asked.result("OUTCOME"), outcome.status("deploy")), ("passed", Status::Succeeded));
    // what was asked is what was verified
    let created = kube.created();
    let uri = &created.last().unwrap()["spec"]["predictor"]["model"]["storageUri"];
    assert!(uri.as_str().unwrap().ends_with(outcome.result("IMAGE_DIGEST")), "{uri}");
    assert_eq!((world.origin.count(), world.models.all("model_artifacts").len()), (world.commits + 1, 1));
    expect_nothing_left(&kube, &outcome);
}

#[test]
fn a_wrong_answer_stops_the_run_and_nothing_of_it_stays() {
    let Some((mut world, kube, answer)) = world() else { return };
    let wrong = answer.replace("0.9", "0.8");
    assert_ne!(wrong, answer);
    let release = release(&mut world, &wrong);
    // As if the pod had been killed before it could delete what it made, which is left to `finally` then.
    let left = Rc::clone(&kube);
    world.cluster.meanwhile("smoke-test", move |_| left.put(left.created().pop().unwrap()));
    let outcome = world.run(&release);
    let asked = outcome.task("smoke-test");
    assert_eq!((outcome.reason, asked.step("smoke-test").exit_code), ("Failed", Some(3)), "{}", outcome.log());
    assert_eq!(outcome.nodes["smoke-test"].attempts, 1, "a wrong answer is not asked for again");
    for task in ["register", "deploy"] {
        assert_eq!(outcome.status(task), Status::Skipped, "{}", outcome.log());
    }
    assert_eq!((world.origin.count(), world.models.writes().len()), (world.commits, 0));
    assert!(outcome.task("summary-of-failure").steps[0].stdout.contains("smoke-test"), "{}", outcome.log());
    expect_nothing_left(&kube, &outcome);
}
