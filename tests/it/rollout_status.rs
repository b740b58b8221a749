//! What the fleet is told, what runs on it, and what differs: over a real git, a real registry where one is there, and what clusters,
//! Argo CD and ACM print. `kubectl` is played by a script; there is no cluster here.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::registry::Registry;
use crate::support::{clean_command, crd, modelcar, need, repo_root, run, skip, stdout_of, temp_dir};

/// Noon of the 23rd of November 2026.
const NOW: u64 = 1_795_435_200;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    /// A repository with the GitOps folder below it, as projects have it.
    fn new() -> Self {
        let bench = Self { home: temp_dir() };
        fs::create_dir(bench.path("edge")).unwrap();
        bench.git(&["init", "-q", "-b", "main", "."], NOW);
        bench.git(&["config", "user.name", "Tester"], NOW);
        bench.git(&["config", "user.email", "tester@example.com"], NOW);
        bench
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn git(&self, words: &[&str], at: u64) -> String {
        let date = format!("{at} +0000");
        let mut git = clean_command("git", self.home.path());
        git.env("GIT_COMMITTER_DATE", &date).env("GIT_AUTHOR_DATE", &date).arg("-C").arg(self.home.path());
        stdout_of(git.args(words))
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn site(&self, site: &str, ring: &str) {
        self.put(&format!("edge/sites/{site}/site.yaml"), &format!("version: 1\nkserve: rhoai-3.5\nring: {ring}\nnamespace: models\n"));
    }

    /// What `deploy` writes: the model's patch, and a commit that says what it brings.
    fn deploy(&self, site: &str, model: &str, tag: &str, digit: char, at: u64) {
        self.write_model(site, model, tag, digit, "");
        self.commit(site, model, tag, digit, at);
    }

    fn write_model(&self, site: &str, model: &str, tag: &str, digit: char, more: &str) {
        let image = format!("quay.io/acme/{model}");
        let head = format!("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: {model}\n  annotations:\n");
        let body = format!(
            "    io.modelcar/image: {image}:{tag}\nspec:\n  predictor:\n    model:\n      storageUri: oci://{image}@{}\n",
            digest(digit)
        );
        self.put(&format!("edge/sites/{site}/models/{model}.yaml"), &format!("{head}{body}{more}"));
    }

    fn commit(&self, site: &str, model: &str, tag: &str, digit: char, at: u64) {
        let trailers = format!("Model-Image: quay.io/acme/{model}:{tag}@{}\nSigned-With: key EBZg2E29mEid", digest(digit));
        self.git(&["add", "."], at);
        self.git(&["commit", "-q", "-m", &format!("sites/{site}: {model} {tag}\n\n{trailers}")], at);
    }

    fn modelcar(&self, words: &[&str]) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("SOURCE_DATE_EPOCH", NOW.to_string()).args(words).args(["--gitops", "edge"]);
        command
    }

    fn status(&self, words: &[&str]) -> String {
        stdout_of(self.modelcar(&["status"]).args(words))
    }

    fn diff(&self, words: &[&str]) -> String {
        stdout_of(self.modelcar(&["diff"]).args(words))
    }
}

fn digest(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

fn report(name: &str) -> String {
    repo_root().join("testdata/running").join(name).display().to_string()
}

/// Two sites: one with a canary and an old model, one that was never touched by the tool after its first model.
fn fleet() -> Bench {
    let bench = Bench::new();
    bench.site("edge-01", "pilot");
    bench.site("edge-02", "fleet");
    bench.deploy("edge-01", "iris", "v1", '1', NOW - 40 * DAY);
    bench.deploy("edge-02", "iris", "v1", '1', NOW - 3 * DAY);
    bench.deploy("edge-02", "churn", "v3", '7', NOW - 5 * HOUR);
    let canary = format!("oci://quay.io/acme/iris@{}", digest('3'));
    let entry = format!(
        "  canary:\n    - trafficPercent: 10\n      predictor:\n        name: v2\n        model:\n          storageUri: {canary}\n"
    );
    bench.write_model("edge-01", "iris", "v1", '1', &entry);
    bench.commit("edge-01", "iris", "v2", '3', NOW - 2 * HOUR);
    bench
}

#[test]
fn a_fleet_is_a_table_that_a_person_reads() {
    let bench = fleet();
    let (kubectl, argo) = (report("kubectl.json"), report("argocd.json"));
    let own = format!("edge-01={kubectl}");
    let shown = [
        ("status", vec![]),
        ("status --ring pilot", vec!["--ring", "pilot"]),
        ("status --sites '*-02' --max-age 1d", vec!["--sites", "*-02", "--max-age", "1d"]),
        ("status edge-01 --running kubectl.json", vec!["edge-01", "--running", &kubectl]),
        ("status --running edge-01=kubectl.json --running argocd.json", vec!["--running", &own, "--running", &argo]),
    ];
    let text = shown.map(|(name, words)| format!("$ modelcar {name}\n{}", bench.status(&words))).join("\n");
    insta::assert_snapshot!(text);
}

#[test]
fn scripts_get_all_of_it_as_json() {
    let bench = fleet();
    let text = bench.status(&["--format", "json", "--running", &report("argocd.json")]);
    let mut json: Value = serde_json::from_str(&text).unwrap();
    let commit = json.pointer_mut("/sites/0/models/0/wanted/commit").unwrap().take();
    assert_eq!(commit.as_str().unwrap().len(), 40);
    assert_eq!(json["summary"]["models"], 3);
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["sites"][0]).unwrap());
}

#[test]
fn prometheus_takes_the_metrics() {
    let bench = fleet();
    let text = bench.status(&["--format", "prometheus", "--running", &report("argocd.json")]);
    insta::assert_snapshot!(text);
    judge_metrics(&text);
}

/// What promtool thinks of it; it also refuses what it cannot parse.
fn judge_metrics(text: &str) {
    let Some(promtool) = need("promtool") else { return };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn the_alert_of_the_documentation_is_one() {
    let Some(promtool) = need("promtool") else { return };
    let page = fs::read_to_string(repo_root().join("docs/rollout.md")).unwrap();
    let rule = page.split("```yaml\n").map(|rest| rest.split("```").next().unwrap()).find(|block| block.contains("alert:")).unwrap();
    let home = temp_dir();
    fs::write(home.path().join("rules.yaml"), rule).unwrap();
    run(Command::new(promtool).args(["check", "rules"]).arg(home.path().join("rules.yaml")));
}

fn exit_code(output: &Output) -> (i32, String) {
    let last = String::from_utf8_lossy(&output.stderr).lines().rfind(|line| line.starts_with("error:")).unwrap_or_default().to_owned();
    (output.status.code().unwrap(), last)
}

#[test]
fn a_pipeline_stops_for_drift_and_not_for_what_nobody_knows() {
    let bench = fleet();
    let argo = report("argocd.json");
    for (words, expected) in [
        (&["--exit-code"][..], (0, "")),
        (&["--exit-code", "--running", &argo, "--sites", "edge-01"], (0, "")),
        (&["--running", &argo], (0, "")),
        (&["--exit-code", "--running", &argo], (1, "error: 2 models or applications are not what Git says")),
        (&["--exit-code", "--max-age", "30d"], (1, "error: 1 model is too old")),
    ] {
        let output = bench.modelcar(&["status"]).args(words).output().unwrap();
        assert_eq!(exit_code(&output), (expected.0, expected.1.to_owned()), "{words:?}");
    }
    bench.put("edge/sites/edge-02/site.yaml", "version: 2\n");
    let output = bench.modelcar(&["status", "--exit-code"]).output().unwrap();
    assert_eq!(exit_code(&output), (1, "error: 1 site is not readable".to_owned()));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("edge-01") && err.contains("edge-02 cannot be read: "), "{out}{err}");
}

#[test]
fn a_thousand_sites_cost_one_question_to_git_each_way() {
    let bench = Bench::new();
    for number in 0..1000 {
        let site = format!("edge-{number:04}");
        bench.site(&site, "fleet");
        bench.write_model(&site, "iris", "v1", '1', "");
    }
    bench.commit("all", "iris", "v1", '1', NOW - HOUR);
    // A git that counts, in front of the real one.
    let real = need("git").unwrap();
    bench.put("bin/git", &format!("#!/bin/sh\necho \"$3\" >>{0}\nexec {1} \"$@\"\n", bench.path("count").display(), real.display()));
    fs::set_permissions(bench.path("bin/git"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bench.path("bin").display(), std::env::var("PATH").unwrap());
    let begun = std::time::Instant::now();
    let text = stdout_of(bench.modelcar(&["status"]).env("PATH", path));
    let time = begun.elapsed();
    assert_eq!(text.lines().count(), 1001);
    assert!(text.lines().skip(1).all(|line| line.contains("1h") && line.contains("key EBZg2E29mEid")), "{text}");
    let count = fs::read_to_string(bench.path("count")).unwrap();
    assert_eq!(count.lines().filter(|line| *line == "log").count(), 1, "{count}");
    assert!(count.lines().count() <= 3, "{count}");
    // A build without optimisation on a busy machine; it takes half a second.
    assert!(time.as_secs() < 20, "{time:?}");
}

#[test]
fn nothing_that_a_cluster_says_reaches_the_terminal_as_it_is() {
    let bench = fleet();
    let name = "x\\u001b[2J\\ny\\\"} 1\\nevil 1";
    let service = format!(r#"{{"kind":"InferenceService","metadata":{{"name":"{name}","namespace":"models"}}}}"#);
    let app = format!(r#"{{"kind":"Application","metadata":{{"name":"edge-02"}},"status":{{"sync":{{"status":"{name}"}}}}}}"#);
    bench.put("evil.json", &format!("[{service},{app}]"));
    for format in ["text", "json", "prometheus"] {
        let text = bench.status(&["--running", "edge-01=evil.json", "--format", format]);
        assert!(!text.contains('\u{1b}') && !text.lines().any(|line| line.starts_with("evil") || line.starts_with('y')), "{text}");
        if format == "prometheus" {
            judge_metrics(&text);
        }
    }
}

#[test]
fn a_report_that_is_none_is_refused_by_name() {
    let bench = fleet();
    bench.put("deep.json", &"[".repeat(1 << 20));
    bench.put("large.json", &format!(r#"{{"items":[{{"kind":"Pod","x":"{}"}}]}}"#, "x".repeat(10 << 20)));
    for (words, said) in [
        (&["--running", "deep.json"][..], "cannot read deep.json as a report of what runs"),
        (&["--running", "edge-01=large.json"], "cannot read large.json as a report of what runs"),
        (&["--running", "missing.json"], "cannot read missing.json"),
        (&["--kubeconfig", "edge-01"], "SITE=VALUE"),
        (&["edge-09"], "there is no site `edge-09` in edge"),
    ] {
        let output = bench.modelcar(&["status"]).args(words).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && err.contains(said) && err.len() < 2000, "{words:?}: {err}");
    }
}

#[test]
fn a_kubectl_list_needs_its_site_and_may_come_from_a_pipe() {
    let bench = fleet();
    let output = bench.modelcar(&["status", "--running", &report("kubectl.json")]).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("4 objects in") && err.contains("about no site of this folder"), "{err}");
    let file = fs::File::open(report("kubectl.json")).unwrap();
    let text = stdout_of(bench.modelcar(&["status", "--running", "edge-01=-"]).stdin(file));
    assert!(text.contains("in step"), "{text}");
}

/// A kubectl that notes how it was called and prints what it finds.
fn play_kubectl(bench: &Bench, script: &str) -> String {
    bench.put("bin/kubectl", &format!("#!/bin/sh\necho \"$@\" >>{}\n{script}\n", bench.path("calls").display()));
    fs::set_permissions(bench.path("bin/kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", bench.path("bin").display(), std::env::var("PATH").unwrap())
}

#[test]
fn clusters_are_asked_with_their_own_kubeconfig() {
    let bench = fleet();
    let script = format!(
        "case \"$*\" in *llminference*) echo \"error: the server doesn't have a resource type \\\"x\\\"\" >&2; exit 1;; *' pods '*) cat {};; *) echo '{{\"items\":[]}}';; esac",
        report("kubectl.json")
    );
    let path = play_kubectl(&bench, &script);
    let text = stdout_of(bench.modelcar(&["status", "--kubeconfig", "edge-01=one.yaml", "--context", "edge-01=admin"]).env("PATH", path));
    assert!(text.lines().any(|line| line.contains("edge-01") && line.contains("in step")), "{text}");
    assert!(text.lines().any(|line| line.contains("edge-02") && line.contains("unreported")), "{text}");
    let calls = fs::read_to_string(bench.path("calls")).unwrap();
    assert!(calls.contains("--kubeconfig one.yaml --context admin get pods --all-namespaces --output=json"), "{calls}");
    assert_eq!(calls.lines().count(), 3);
}

#[test]
fn a_cluster_that_does_not_answer_hides_no_other_and_no_kubeconfig_is_shown() {
    let bench = fleet();
    let path = play_kubectl(
        &bench,
        "echo 'error: error loading config file \"k\": yaml: cannot unmarshal !!str `s3cr3t` into Config' >&2; exit 1",
    );
    let output = bench.modelcar(&["status", "--kubeconfig", "edge-01=k"]).env("PATH", path).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("edge-02"), "{err}");
    assert!(err.contains("`kubectl get` failed for edge-01: its kubeconfig cannot be read") && !err.contains("s3cr3t"), "{err}");
}

#[test]
fn a_shallow_clone_does_not_pretend_to_know_who_brought_what() {
    let bench = fleet();
    let clone = bench.path("clone");
    run(clean_command("git", bench.home.path())
        .args(["clone", "-q", "--depth", "1"])
        .arg(format!("file://{}", bench.home.path().display()))
        .arg(&clone));
    let mut command = modelcar(bench.home.path());
    let text = stdout_of(command.env("SOURCE_DATE_EPOCH", NOW.to_string()).args(["status", "--gitops"]).arg(clone.join("edge")));
    let line = |site: &str, model: &str| text.lines().find(|line| line.contains(site) && line.contains(model)).unwrap().to_owned();
    assert!(line("edge-02", "churn").contains('–'), "{text}");
    assert!(!line("edge-02", "churn").contains("2h"), "the last commit did not bring it: {text}");
}

#[test]
fn what_differs_is_told_side_by_side() {
    let bench = fleet();
    let kubectl = report("kubectl.json");
    bench.git(&["tag", "before"], NOW);
    bench.deploy("edge-01", "iris", "v2", '3', NOW - HOUR);
    let shown = [
        ("diff edge-01 --with edge-02", vec!["edge-01", "--with", "edge-02"]),
        ("diff edge-01 --since before", vec!["edge-01", "--since", "before"]),
        ("diff edge-01 --since 1d", vec!["edge-01", "--since", "1d"]),
        ("diff edge-02 churn --since 1d", vec!["edge-02", "churn", "--since", "1d"]),
        ("diff edge-01 --since 52w", vec!["edge-01", "--since", "52w"]),
        ("diff edge-01 --running kubectl.json", vec!["edge-01", "--running", &kubectl]),
    ];
    let head = bench.git(&["log", "--format=%h", "--abbrev=12"], NOW);
    let mut text = shown.map(|(name, words)| format!("$ modelcar {name}\n{}", bench.diff(&words))).join("\n");
    for (number, commit) in head.lines().enumerate() {
        text = text.replace(commit, &format!("COMMIT-{number:05}")).replace(&commit.to_uppercase(), &format!("COMMIT-{number:05}"));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn diff_ends_as_it_was_asked_to() {
    let bench = fleet();
    for (words, expected) in [
        (&["edge-01", "--with", "edge-02"][..], (0, "")),
        (&["edge-01", "--with", "edge-02", "--exit-code"], (1, "error: edge-01 differs from edge-02 in 2 of 2")),
        (&["edge-01", "--with", "edge-01", "--exit-code"], (0, "")),
        (&["edge-01", "--since", "HEAD", "--exit-code"], (0, "")),
        (&["edge-01", "--since", "no-such"], (1, "error: edge has no commit `no-such`")),
        (&["edge-01", "--since=--output=x"], (1, "error: edge has no commit `--output=x`")),
        (&["edge-01", "churn", "--with", "edge-01"], (2, "error: edge-01 has no model or application `churn`")),
        (&["edge-09", "--with", "edge-01"], (2, "error: there is no site `edge-09` in edge")),
        (&["quay.io/acme/iris:v1"], (2, "error: `quay.io/acme/iris:v1` is an image, and there is nothing to compare it with")),
        (&["quay.io/acme/iris:v1", "edge-01"], (2, "error: `edge-01` is not an image")),
    ] {
        let output = bench.modelcar(&["diff"]).args(words).output().unwrap();
        assert_eq!(exit_code(&output), (expected.0, expected.1.to_owned()), "{words:?}");
    }
    assert!(!bench.path("edge/x").exists() && !bench.path("x").exists());
}

#[test]
fn two_images_are_compared_file_by_file() {
    let home = temp_dir();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), model.join("model.onnx")).unwrap();
    let build = |tag: &str| {
        fs::write(model.join("labels.txt"), tag.repeat(3)).unwrap();
        let layout = format!("oci:{}:{tag}", home.path().join("images").display());
        run(modelcar(home.path()).args(["build", "--runtime", "raw", "-q", "-o", &layout]).arg(&model));
        layout
    };
    let (old, new) = (build("v1"), build("v22"));
    let text = stdout_of(modelcar(home.path()).args(["diff", &old, &new]));
    assert!(text.contains("changed   labels.txt (6 B → 9 B)") && !text.contains("model.onnx"), "{text}");
    let json: Value = serde_json::from_str(&stdout_of(modelcar(home.path()).args(["diff", &old, &new, "--format", "json"]))).unwrap();
    assert_eq!(json["images"]["files"].as_array().unwrap().len(), 1);
    assert!(json["images"]["pull"].as_u64().unwrap() < 10_000);
    let output = modelcar(home.path()).args(["diff", &old, &new, "--exit-code"]).output().unwrap();
    assert_eq!(exit_code(&output), (1, "error: the images differ".to_owned()));
    assert!(run(modelcar(home.path()).args(["diff", &old, &old, "--exit-code"])).stderr.is_empty());
}

#[test]
fn an_update_that_waits_in_the_registry_is_told_and_platform_digests_are_looked_up() {
    let Some(registry) = Registry::start() else { return };
    let bench = Bench::new();
    bench.site("edge-01", "pilot");
    let image = format!("{}/acme/iris:v1", registry.host);
    let push = |model: &Path| {
        let text = stdout_of(modelcar(bench.home.path()).args(["build", "-q", "--push", "-t", &image]).arg(model));
        text.split_whitespace().find_map(|word| word.rsplit_once('@')).unwrap().1.to_owned()
    };
    let old = push(&repo_root().join("testdata/models/iris/logreg_iris.onnx"));
    let patch = stdout_of(modelcar(bench.home.path()).args(["patch", &image, "--name", "iris", "--as", "manifest", "--kserve", "0.17"]));
    bench.put("edge/sites/edge-01/models/iris.yaml", &patch);
    bench.git(&["add", "."], NOW);
    bench.git(&["commit", "-q", "-m", "by hand"], NOW);
    assert!(bench.diff(&["edge-01"]).contains("same"));

    // A node that was told a tag and reports its platform's digest.
    let inspected =
        stdout_of(clean_command(env!("CARGO_BIN_EXE_modelcar"), bench.home.path()).args(["inspect", "--format", "json", &image]));
    assert!(inspected.contains(&old));
    let index = fetch_manifest(&registry, &old);
    let child = index["manifests"][0]["digest"].as_str().unwrap();
    let pod = format!(
        r#"{{"kind":"Pod","metadata":{{"namespace":"models","labels":{{"serving.kserve.io/inferenceservice":"iris"}}}},
            "spec":{{"containers":[{{"name":"modelcar","image":"{image}"}}]}},
            "status":{{"conditions":[{{"type":"Ready","status":"True"}}],"containerStatuses":[{{"name":"modelcar","imageID":"{}@{child}"}}]}}}}"#,
        image.trim_end_matches(":v1")
    );
    bench.put("pods.json", &pod);
    let output = bench.modelcar(&["status", "edge-01", "--running", "pods.json"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("unknown (platform digest)"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--resolve"));
    assert!(bench.status(&["edge-01", "--running", "pods.json", "--resolve"]).contains("in step"));

    let new = push(&repo_root().join("testdata/models/silero_vad/silero_vad.onnx"));
    assert_ne!(old, new);
    let text = bench.diff(&["edge-01"]);
    assert!(text.contains("update waiting") && text.contains("changed   1/model.onnx (670 B") && text.contains("pull"), "{text}");
    let output = bench.modelcar(&["diff", "edge-01", "--exit-code"]).output().unwrap();
    assert_eq!(exit_code(&output).0, 1);
}

fn fetch_manifest(registry: &Registry, digest: &str) -> Value {
    let url = format!("http://{}/v2/acme/iris/manifests/{digest}", registry.host);
    let accept = "Accept: application/vnd.oci.image.index.v1+json";
    serde_json::from_str(&stdout_of(Command::new("curl").args(["-sf", "-H", accept, &url]))).unwrap()
}

#[test]
fn the_samples_of_reports_are_as_their_schemas_want_them() {
    let Some(dir) = crd::crd_dir() else { return };
    let read = |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(report(name)).unwrap()).unwrap() };
    let services = read("kubectl.json")["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["kind"] == "InferenceService")
        .cloned()
        .collect::<Vec<_>>();
    let applications = read("argocd.json").as_array().unwrap().clone();
    let works = vec![read("acm-work.json")];
    for (group, kind, version, objects) in [
        ("serving.kserve.io", "InferenceService", "v1beta1", services),
        ("argoproj.io", "Application", "v1alpha1", applications),
        ("work.open-cluster-management.io", "ManifestWork", "v1", works),
    ] {
        if !dir.join(group).join(format!("{kind}.yaml")).is_file() {
            skip::<()>(&format!("the schema of {kind}"));
            continue;
        }
        let schema = crd::schema(&dir, group, kind, version);
        assert!(!objects.is_empty());
        for object in &objects {
            assert_eq!(crd::violations(&schema, object), Vec::<String>::new(), "{kind}");
        }
    }
}
