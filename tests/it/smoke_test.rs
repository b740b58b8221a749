//! `modelcar smoke-test` asks a model that really runs, tells right from wrong, and leaves nothing behind. The cluster is a stand-in
//! (`support/cluster.rs`); registry, image, onnxruntime and the answers are real.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::cluster::{Fate, KubeCluster, NAMESPACE, broken_model};
use crate::support::registry::Registry;
use crate::support::sigstore::http::Fault;
use crate::support::{clean_command, lacks, modelcar, need, repo_root, run, stdout_of, temp_dir};

const RIGHT: Fate = Fate::Serves { add: 0.0 };

/// A home with an image in a real registry, and a cluster.
struct World {
    home: tempfile::TempDir,
    registry: Registry,
    cluster: KubeCluster,
}

impl World {
    fn new(fate: Fate) -> Option<Self> {
        Self::of(&repo_root().join("testdata/models/iris/logreg_iris.onnx"), KubeCluster::start(fate)?)
    }

    fn of(model: &Path, cluster: KubeCluster) -> Option<Self> {
        let world = Self { home: temp_dir(), registry: Registry::start()?, cluster };
        let words = ["build", &model.display().to_string(), "-t", &world.image(), "--push"].map(str::to_owned);
        run(modelcar(world.home.path()).args(words).current_dir(world.home.path()));
        world.write("v2.json", &request_v2([[5.1, 3.5], [6.2, 2.9], [5.9, 3.0]]));
        world.write("v1.json", &json!({"instances": [[5.1, 3.5], [6.2, 2.9], [5.9, 3.0]]}));
        Some(world)
    }

    fn image(&self) -> String {
        format!("{}/acme/iris:v1", self.registry.host)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, document: &Value) {
        std::fs::write(self.path(name), document.to_string()).unwrap();
    }

    fn modelcar(&self, words: &[&str]) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).arg("smoke-test").args(words).args(self.cluster.words()).stdin(Stdio::null());
        command
    }

    /// With the image, a name and the namespace.
    fn smoke(&self, words: &[&str]) -> Command {
        let mut command = self.modelcar(words);
        command.args([&self.image(), "--namespace", NAMESPACE, "--name", "smoke-iris", "--kserve", "0.20"]);
        command
    }

    /// All that a user sees, without what differs between runs.
    fn seen(&self, output: &Output) -> String {
        let clean = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.home.path().display().to_string(), "[DIR]");
            let text = text.replace(&self.cluster.url, "[CLUSTER]").replace(&self.registry.host, "[REGISTRY]");
            text.lines().filter(|line| !line.contains(" WARN ")).map(|line| steady(line) + "\n").collect::<String>()
        };
        format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", output.status.code().unwrap(), clean(&output.stdout), clean(&output.stderr))
    }

    #[track_caller]
    fn expect_nothing_left(&self) {
        assert_eq!(self.cluster.names(), Vec::<String>::new());
        assert_eq!(self.cluster.serving(), 0);
        self.cluster.expect_no_violations();
    }
}

fn request_v2(rows: [[f64; 2]; 3]) -> Value {
    json!({"inputs": [{"name": "float_input", "datatype": "FP32", "shape": [3, 2], "data": rows}]})
}

/// Without ports, digests, moments and seconds.
fn steady(line: &str) -> String {
    let mut line = line.to_owned();
    for (before, shown) in [("127.0.0.1:", "[PORT]"), ("sha256:", "[DIGEST]"), ("after ", "[N]"), ("smoke-test-run: ", "[RUN]")] {
        if let Some(at) = line.find(before).map(|at| at + before.len()) {
            let end = line[at..].find(|symbol: char| !symbol.is_ascii_alphanumeric()).map_or(line.len(), |end| at + end);
            line.replace_range(at..end, shown);
        }
    }
    match line.split_once("smoke-test-deadline: ") {
        Some((before, _)) => format!("{before}smoke-test-deadline: [TIME]"),
        None => line,
    }
}

#[test]
fn a_model_that_answers_as_before_passes_and_nothing_stays() {
    let Some(world) = World::new(RIGHT) else { return };
    let first = world.smoke(&["--request", "v2.json", "--answers", "was"]).output().unwrap();
    let again = world.smoke(&["--request", "v2.json", "--expect", "was/v2.json", "--tolerance", "1e-6"]).output().unwrap();
    insta::assert_snapshot!(format!("{}\n{}", world.seen(&first), world.seen(&again)));
    world.expect_nothing_left();
    let created = &world.cluster.created()[0];
    assert_eq!(created["metadata"]["labels"]["app.kubernetes.io/managed-by"], "modelcar");
    assert_eq!(created["spec"]["predictor"]["model"]["protocolVersion"], "v2");
}

#[test]
fn both_protocols_are_spoken_and_zeros_are_asked_where_nothing_is() {
    let Some(world) = World::new(RIGHT) else { return };
    for (words, protocol) in [(&["--request", "v1.json", "--serving-runtime", "mine"][..], "v1"), (&[], "v2")] {
        let told: Value = serde_json::from_str(&stdout_of(world.smoke(words).args(["--format", "json"]))).unwrap();
        assert_eq!((&told["outcome"], &told["protocol"]), (&json!("passed"), &json!(protocol)));
        assert_eq!(told["requests"][0]["verdict"], "wellFormed");
    }
    world.expect_nothing_left();
}

#[test]
fn an_answer_that_is_off_by_more_than_the_tolerance_fails() {
    let Some(world) = World::new(RIGHT) else { return };
    run(&mut world.smoke(&["--request", "v2.json", "--answers", "was"]));
    std::fs::write(world.path("wrong.json"), std::fs::read_to_string(world.path("was/v2.json")).unwrap().replace("0.9", "0.8")).unwrap();
    let words = ["--request", "v2.json", "--expect", "wrong.json"];
    let refused = world.smoke(&[&words[..], &["--tekton-results", "."]].concat()).output().unwrap();
    insta::assert_snapshot!(world.seen(&refused));
    let result = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    assert_eq!((result("OUTCOME").as_str(), result("MAX_DIFFERENCE").starts_with("0.")), ("failed", true));
    run(world.smoke(&words).args(["--tolerance", "0.2", "--tekton-results", "."]));
    assert_eq!(result("OUTCOME"), "passed");
    world.expect_nothing_left();
}

#[test]
fn several_requests_are_each_compared_with_their_own() {
    let Some(world) = World::new(Fate::Serves { add: 0.5 }) else { return };
    world.write("other.json", &request_v2([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]));
    run(&mut world.smoke(&["--request", "v2.json", "--request", "other.json", "--answers", "was"]));
    let both = |first: &str, second: &str| {
        let words = ["--request", "v2.json", "--request", "other.json", "--expect", first, "--expect", second];
        world.smoke(&words).output().unwrap().status.code()
    };
    assert_eq!((both("was/v2.json", "was/other.json"), both("was/other.json", "was/v2.json")), (Some(0), Some(3)));
    world.expect_nothing_left();
}

#[test]
fn numbers_that_are_none_are_compared_and_not_mistaken() {
    let Some(world) = World::new(Fate::Serves { add: f64::NAN }) else { return };
    run(&mut world.smoke(&["--request", "v2.json", "--answers", "was"]));
    let was = std::fs::read_to_string(world.path("was/v2.json")).unwrap();
    assert!(was.contains("NaN"), "{was}");
    run(&mut world.smoke(&["--request", "v2.json", "--expect", "was/v2.json"]));
    std::fs::write(world.path("right.json"), was.replace("NaN", "0.5")).unwrap();
    let output = world.smoke(&["--request", "v2.json", "--expect", "right.json"]).output().unwrap();
    assert!(world.seen(&output).contains("infinite") && output.status.code() == Some(3), "{}", world.seen(&output));
    world.expect_nothing_left();
}

#[test]
fn what_never_becomes_ready_is_told_with_its_reasons() {
    let waits = |fate, timeout: &str| {
        let world = World::new(fate)?;
        let told = world.seen(&world.smoke(&["--request", "v2.json", "--timeout", timeout]).output().unwrap());
        world.expect_nothing_left();
        Some(told)
    };
    let Some(never) = waits(Fate::Waits, "1s") else { return };
    let Some(none) = waits(Fate::NoRuntime, "10m") else { return };
    let Some(refused) = waits(Fate::Answers(500), "10m") else { return };
    insta::assert_snapshot!([never, none, refused].join("\n"));
}

#[test]
fn a_model_that_no_server_can_load_is_refused() {
    let home = temp_dir();
    let Some(cluster) = KubeCluster::start(RIGHT) else { return };
    let Some(world) = World::of(&broken_model(home.path()), cluster) else { return };
    let output = world.smoke(&["--request", "v2.json", "--timeout", "15s", "--tekton-results", "."]).output().unwrap();
    let told = world.seen(&output);
    assert!(told.starts_with("exit code: 3") && told.contains("LinearKlassifier"), "{told}");
    assert_eq!(std::fs::read_to_string(world.path("OUTCOME")).unwrap(), "failed");
    world.expect_nothing_left();
}

#[test]
fn an_image_that_cannot_be_pulled_says_nothing_about_the_model() {
    // the node has another idea of the registry than whoever tests
    let Some(cluster) = KubeCluster::start_with(RIGHT, &["--platform", "linux/s390x"]) else { return };
    let Some(world) = World::of(&repo_root().join("testdata/models/iris/logreg_iris.onnx"), cluster) else { return };
    let told = world.seen(&world.smoke(&["--request", "v2.json", "--timeout", "5s"]).output().unwrap());
    assert!(told.starts_with("exit code: 1") && told.contains("ImagePullBackOff"), "{told}");
    world.expect_nothing_left();
}

#[test]
fn missing_rights_are_named_as_a_role_says_them() {
    let Some(world) = World::new(RIGHT) else { return };
    world.cluster.forbid("create inferenceservices");
    insta::assert_snapshot!(world.seen(&world.smoke(&["--request", "v2.json"]).output().unwrap()));
    let Some(world) = World::new(RIGHT) else { return };
    world.cluster.forbid("list pods");
    run(&mut world.smoke(&["--request", "v2.json"]));
    world.expect_nothing_left();
}

#[test]
fn what_belongs_to_somebody_else_is_neither_used_nor_deleted() {
    let Some(world) = World::new(RIGHT) else { return };
    let name = |labels: Value| json!({"metadata": {"name": "smoke-iris", "namespace": NAMESPACE, "labels": labels}});
    world.cluster.put(name(json!({"app.kubernetes.io/managed-by": "modelcar"})));
    let taken = world.seen(&world.smoke(&["--request", "v2.json"]).output().unwrap());
    let delete = ["--delete", "--name", "smoke-iris", "--namespace", NAMESPACE];
    let foreign = world.seen(&world.modelcar(&delete).output().unwrap());
    assert_eq!(world.cluster.names(), ["smoke-iris"]);
    insta::assert_snapshot!([taken, foreign].join("\n"));
}

#[test]
fn what_a_killed_run_left_behind_is_deleted_by_name_or_when_its_time_is_over() {
    let Some(world) = World::new(RIGHT) else { return };
    run(&mut world.smoke(&["--request", "v2.json", "--keep"]));
    assert_eq!(world.cluster.names(), ["smoke-iris"]);
    run(&mut world.modelcar(&["--delete", "--expired", "--namespace", NAMESPACE]));
    assert_eq!(world.cluster.names(), ["smoke-iris"], "somebody may still need it");
    let delete = ["--delete", "--name", "smoke-iris", "--namespace", NAMESPACE];
    let told = [&delete, &delete].map(|words| world.seen(&world.modelcar(words).output().unwrap()));
    world.expect_nothing_left();
    let annotations = json!({"io.modelcar/smoke-test-run": "r", "io.modelcar/smoke-test-deadline": "2026-01-01T00:00:00Z"});
    let labels = json!({"app.kubernetes.io/managed-by": "modelcar"});
    world.cluster.put(json!({"metadata": {"name": "old", "labels": labels, "annotations": annotations}}));
    world.cluster.put(json!({"metadata": {"name": "other", "labels": labels}}));
    let expired = world.seen(&world.modelcar(&["--delete", "--expired", "--namespace", NAMESPACE]).output().unwrap());
    assert_eq!(world.cluster.names(), ["other"]);
    insta::assert_snapshot!([told.concat(), expired].join("\n"));
}

#[test]
fn a_connection_that_is_cut_makes_no_second_one_and_leaves_none() {
    let Some(world) = World::new(RIGHT) else { return };
    for fault in [Fault::LoseAnswer, Fault::CloseConnection, Fault::Status(503)] {
        world.cluster.fail(fault, 1);
        run(&mut world.smoke(&["--request", "v2.json"]));
        world.expect_nothing_left();
    }
    assert_eq!(world.cluster.created().len(), 3);
}

#[test]
fn what_cannot_be_deleted_is_told_although_the_model_passed() {
    let Some(world) = World::new(RIGHT) else { return };
    world.cluster.forbid("delete inferenceservices");
    let told = world.seen(&world.smoke(&["--request", "v2.json"]).output().unwrap());
    assert_eq!(world.cluster.names(), ["smoke-iris"]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_token_that_changes_while_it_waits_is_read_again() {
    let Some(world) = World::new(RIGHT) else { return };
    let mut child = world.smoke(&["--request", "v2.json"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while world.cluster.created().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it made anything");
        std::thread::yield_now();
    }
    world.cluster.rotate();
    assert!(child.wait().unwrap().success());
    world.expect_nothing_left();
}

#[test]
fn a_cluster_is_reached_over_tls_by_its_own_authority_alone() {
    let Some(cluster) = KubeCluster::start_with_tls(RIGHT, &[]) else { return };
    let Some(world) = World::of(&repo_root().join("testdata/models/iris/logreg_iris.onnx"), cluster) else { return };
    run(&mut world.smoke(&["--request", "v2.json"]));
    world.expect_nothing_left();
    let words: Vec<_> = world.cluster.words().into_iter().filter(|word| !word.contains("ca-file")).collect();
    let mut stranger = modelcar(world.home.path());
    stranger.args(["smoke-test", &world.image(), "--namespace", NAMESPACE, "--kserve", "0.20"]).args(words);
    let told = world.seen(&stranger.output().unwrap());
    assert!(told.starts_with("exit code: 1") && told.contains("certificate"), "{told}");
}

/// Where a pod's service account is, the files of this one.
#[test]
fn in_a_pod_nothing_has_to_be_named() {
    let Some(cluster) = KubeCluster::start_with_tls(RIGHT, &[]) else { return };
    let Some(world) = World::of(&repo_root().join("testdata/models/iris/logreg_iris.onnx"), cluster) else { return };
    let Some(unshare) = need("unshare") else { return };
    if !Command::new(&unshare).args(["-rm", "true"]).status().unwrap().success() {
        return lacks::<()>("the right to make namespaces").unwrap_or_default();
    }
    let account = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && \
                   cp -r \"$0\" /run/secrets/kubernetes.io/serviceaccount && exec \"$@\"";
    let mut pod = clean_command(unshare, world.home.path());
    pod.args(["-rm", "sh", "-c", account]).arg(world.cluster.service_account()).arg(env!("CARGO_BIN_EXE_modelcar"));
    pod.args(["smoke-test", &world.image(), "--kserve", "0.20", "--request", "v2.json"]).envs(world.cluster.environment());
    let told = world.seen(&pod.current_dir(world.home.path()).output().unwrap());
    assert!(told.starts_with("exit code: 0") && told.contains(&format!("in namespace {NAMESPACE}")), "{told}");
    let name = world.cluster.created()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("smoke-iris-") && name.len() == "smoke-iris-".len() + 6, "{name}");
    world.expect_nothing_left();
}

#[test]
fn a_rehearsal_prints_what_would_be_made_and_asks_nobody() {
    let Some(world) = World::new(RIGHT) else { return };
    let told = world.seen(&world.smoke(&["--request", "v2.json", "--dry-run"]).output().unwrap());
    assert!(world.cluster.seen().is_empty());
    insta::assert_snapshot!(told);
}

#[test]
fn wrong_words_are_told_with_the_right_ones() {
    let Some(world) = World::new(RIGHT) else { return };
    world.write("no.json", &json!({"rows": []}));
    let image = world.image();
    let base = [image.as_str(), "--namespace", NAMESPACE];
    let cases: [&[&str]; 6] = [
        &["--request", "no.json"],
        &["--request", "v2.json", "--expect", "v1.json"],
        &["--request", "v2.json", "--request", "v1.json"],
        &["--request", "v2.json", "--expect", "a", "--expect", "b"],
        &["--protocol", "grpc-v2"],
        &["--tolerance", "5%"],
    ];
    let told = cases.map(|words| {
        let output = world.modelcar(&[&base, words].concat()).output().unwrap();
        format!("$ modelcar smoke-test REF {}\n{}", words.join(" "), world.seen(&output))
    });
    assert!(world.cluster.seen().is_empty());
    insta::assert_snapshot!(told.join("\n"));
    let nowhere = modelcar(world.home.path()).current_dir(world.home.path()).arg("smoke-test").args(base).output().unwrap();
    assert!(nowhere.status.code() == Some(2) && world.seen(&nowhere).contains("--kube-url"), "{}", world.seen(&nowhere));
}
