//! A model gets to a site only when everything says yes: a real registry, real signatures, a real Git work tree.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::registry::Registry;
use crate::support::{clean_command, modelcar, need, repo_root, run, stdout_of, temp_dir};

/// What a site says of itself, where a test asks for nothing else.
pub const SITE: &str = "version: 1\nkserve: '0.20'\nplatforms: [linux/amd64]\nnamespace: models\ndisk: 1Gi\n\
                        verify: {keys: [keys/cosign.pub], consumers: [openshift, cosign-v3]}\n";

/// A registry with signed images, and a GitOps repository with sites.
pub struct Bench {
    pub registry: Registry,
    pub home: tempfile::TempDir,
}

impl Bench {
    /// With the images `v1` and `v2`, both signed. `None` where the registry is missing.
    pub fn new() -> Option<Self> {
        let bench = Self { registry: Registry::start()?, home: temp_dir() };
        run(bench.modelcar().args(["keygen", "-q"]));
        bench.git(&["init", "-q", "-b", "main", "."]);
        bench.git(&["config", "user.name", "Tester"]);
        bench.git(&["config", "user.email", "tester@example.com"]);
        fs::create_dir(bench.tree().join("keys")).unwrap();
        fs::copy(bench.home.path().join("cosign.pub"), bench.tree().join("keys/cosign.pub")).unwrap();
        bench.push("v1", &["--key", "cosign.key", "--attest", "none"]);
        bench.push("v2", &["--key", "cosign.key", "--attest", "none"]);
        Some(bench)
    }

    pub fn tree(&self) -> std::path::PathBuf {
        self.home.path().join("gitops")
    }

    pub fn image(&self, tag: &str) -> String {
        format!("{}/m/iris:{tag}", self.registry.host)
    }

    pub fn push(&self, tag: &str, more: &[&str]) {
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        let annotation = format!("version={tag}");
        let words = ["build", "-q", "--push", "-t", &self.image(tag), "--annotation", &annotation];
        run(self.modelcar().args(words).arg(model).args(more));
    }

    pub fn modelcar(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "");
        command
    }

    pub fn git(&self, words: &[&str]) -> String {
        fs::create_dir_all(self.tree()).unwrap();
        stdout_of(clean_command("git", self.home.path()).arg("-C").arg(self.tree()).args(words))
    }

    /// A site, committed.
    pub fn site(&self, name: &str, facts: &str) {
        self.put(&format!("sites/{name}/site.yaml"), facts);
        self.commit(name);
    }

    /// The site `a` runs `iris` from a definition that several sites share.
    fn done_on_a_shared_definition(&self) {
        self.put(
            "kserve/iris.yaml",
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {name: iris}\nspec:\n  predictor:\n    model:\n      \
             modelFormat: {name: onnx}\n      runtime: kserve-ovms\n",
        );
        self.put("kserve/kustomization.yaml", "resources: [iris.yaml]\n");
        self.put("sites/a/kustomization.yaml", "resources:\n  - ../../kserve\n");
        self.site("a", SITE);
        self.done(&["deploy", "a", &self.image("v1")]);
    }

    pub fn put(&self, path: &str, text: &str) {
        let path = self.tree().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn get(&self, path: &str) -> String {
        fs::read_to_string(self.tree().join(path)).unwrap()
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Runs a verb without kubectl, which has a test of its own.
    pub fn verb(&self, words: &[&str]) -> Output {
        self.modelcar().args(words).args(["--gitops", "gitops", "--build", "own"]).output().unwrap()
    }

    /// The same for a verb that builds nothing.
    pub fn verb_alone(&self, words: &[&str]) -> Output {
        self.modelcar().args(words).args(["--gitops", "gitops"]).output().unwrap()
    }

    /// Runs a verb to its good end and gives its standard output.
    #[track_caller]
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.verb(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a verb to its bad end, which leaves everything as it was, and gives its standard error.
    #[track_caller]
    pub fn refused(&self, words: &[&str], code: i32) -> String {
        let before = (self.git(&["rev-parse", "HEAD"]), self.git(&["status", "--porcelain"]));
        let output = self.verb(words);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert_eq!((self.git(&["rev-parse", "HEAD"]), self.git(&["status", "--porcelain"])), before, "{words:?}");
        text
    }

    pub fn message(&self) -> String {
        self.git(&["log", "-1", "--format=%B"])
    }

    /// The digest that a site runs.
    pub fn running(&self, site: &str) -> String {
        let text = self.get(&format!("sites/{site}/models/iris.yaml"));
        let uri = text.lines().find_map(|line| line.trim().strip_prefix("storageUri: ")).unwrap().to_owned();
        uri.rsplit('@').next().unwrap().to_owned()
    }

    /// Snapshots without what is different each time.
    pub fn steady(&self) -> impl Drop + use<> {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(&self.registry.host.replace('.', r"\."), "[HOST]");
        settings.add_filter(r"127\.0\.0\.1:\d+", "[HOST]");
        settings.add_filter(r"\((\d+ min )?\d+(\.\d)? s\)", "[TIME]");
        settings.add_filter(r"sha256:[0-9a-f]+", "[DIGEST]");
        settings.add_filter(r"\b[0-9a-f]{40}\b", "[COMMIT]");
        settings.add_filter(r"\b[0-9a-f]{12}\b", "[SHORT]");
        settings.add_filter(r"[A-Za-z0-9+/]{43}=", "[KEY]");
        settings.bind_to_scope()
    }
}

/// The value of `digest sha256:…` or `commit …`.
pub fn word(text: &str, name: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
}

#[test]
fn brings_a_model_to_a_site_with_one_commit_that_says_why() {
    let Some(bench) = Bench::new() else { return };
    let _steady = bench.steady();
    bench.site("edge-01", SITE);
    let output = bench.verb(&["deploy", "edge-01", &bench.image("v1")]);
    insta::assert_snapshot!("deploy_talk", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(word(&text, "commit"), bench.git(&["rev-parse", "HEAD"]).trim());
    assert_eq!(word(&text, "digest"), bench.running("edge-01"));
    insta::assert_snapshot!("deploy_message", bench.message());

    bench.done(&["update", "edge-01", "iris", &bench.image("v2")]);
    assert!(bench.message().contains(&format!("Previous-Digest: {}", word(&text, "digest"))), "{}", bench.message());
    assert_eq!(bench.git(&["show", "--name-only", "--format="]).trim(), "sites/edge-01/models/iris.yaml");
    let again = bench.done(&["update", "edge-01", "iris", &bench.image("v2")]);
    assert_eq!(word(&again, "commit"), "none: nothing changed");
}

#[test]
fn kubectl_builds_a_copy_of_the_site_before_it_is_written() {
    let (Some(bench), Some(kubectl)) = (Bench::new(), need("kubectl")) else { return };
    bench.site("edge-01", SITE);
    let path = format!("{}:{}", kubectl.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let deploy = |tag: &str| {
        let words = ["deploy", "edge-01", &bench.image(tag), "--gitops", "gitops"];
        bench.modelcar().env("PATH", &path).args(words).output().unwrap()
    };
    let output = deploy("v1");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("kubectl kustomize, 1 object"), "{text}");
    // What only kustomize sees: a patch for something that is not there.
    let own = bench.get("sites/edge-01/kustomization.yaml");
    bench.put("sites/edge-01/kustomization.yaml", &own.replace("patches:\n", "patches:\n  - path: models/other.yaml\n"));
    bench.put("sites/edge-01/models/other.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nowhere}\n");
    bench.commit("break it");
    let head = bench.git(&["rev-parse", "HEAD"]);
    let output = deploy("v2");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && text.contains("build") && text.contains("nowhere"), "{text}");
    assert_eq!(bench.git(&["rev-parse", "HEAD"]), head);
}

#[test]
fn an_image_that_nobody_signed_stops_until_it_is_forced_and_the_commit_says_so() {
    let Some(bench) = Bench::new() else { return };
    let _steady = bench.steady();
    bench.site("edge-01", SITE);
    bench.push("unsigned", &[]);
    insta::assert_snapshot!("deploy_unsigned", bench.refused(&["deploy", "edge-01", &bench.image("unsigned")], 3));
    let output = bench.verb(&["deploy", "edge-01", &bench.image("unsigned"), "--force", "signature,disk"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("`--force disk` was not needed"), "{text}");
    assert!(bench.message().ends_with("Forced: signature\n\n") && bench.message().contains("signature forced"), "{}", bench.message());
    assert!(!bench.message().contains("Signed-With"), "{}", bench.message());
}

/// A row of a table: what is different about the site, the options, and the row that fails.
type Refusal = (&'static str, &'static [&'static str], &'static str);

#[test]
fn each_row_stops_with_what_to_do() {
    let Some(bench) = Bench::new() else { return };
    let _steady = bench.steady();
    let runtimes = "version: 1\nkserve: '0.20'\nruntimes: [kserve-sklearnserver]\nverify: {keys: [keys/cosign.pub]}\n";
    let long = "version: 1\nkserve: '0.20'\nnamespace: a-namespace-whose-name-is-very-long-indeed-and-longer-still\nverify: {keys: [keys/cosign.pub]}\n";
    let table: [Refusal; 8] = [
        ("version: 1\nkserve: '0.20'\n", &[], "signature"),
        ("version: 1\nkserve: '0.20'\nplatforms: [linux/s390x]\nverify: {keys: [keys/cosign.pub]}\n", &[], "platform"),
        ("version: 1\nkserve: '0.20'\ndisk: 10Ki\nverify: {keys: [keys/cosign.pub]}\n", &[], "disk"),
        ("version: 1\nkserve: '0.17'\nverify: {keys: [keys/cosign.pub]}\n", &["--delivery", "native"], "delivery"),
        ("version: 1\nkserve: '0.20'\nverify: {keys: [keys/cosign.pub]}\n", &["--canary", "10"], "canary"),
        (runtimes, &[], "runtime"),
        (long, &[], "name"),
        ("version: 1\nkserve: '0.20'\nverify: {policy: policy.yaml}\n", &[], "signature"),
    ];
    bench.put("policy.yaml", "version: 1\nimages: [quay.io/other]\nkeys: [{file: keys/cosign.pub}]\n");
    let mut told = String::new();
    for (number, (facts, options, row)) in table.into_iter().enumerate() {
        let site = format!("edge-{number}");
        bench.site(&site, facts);
        let text = bench.refused(&[&["deploy", &site, &bench.image("v1")], options].concat(), 3);
        assert!(
            text.contains("error: preflight stops") && text.lines().any(|line| line.contains(row) && line.contains("FAILED")),
            "{text}"
        );
        told += text.split_once("error: ").unwrap().1;
    }
    insta::assert_snapshot!("deploy_refusals", told);
}

#[test]
fn a_shared_definition_names_the_runtime_without_kubectl_too() {
    let Some(bench) = Bench::new() else { return };
    bench.done_on_a_shared_definition();
    bench.site("a", &format!("{SITE}runtimes: [mlserver-runtime]\n"));
    let text = bench.refused(&["update", "a", "iris", &bench.image("v1"), "--dry-run"], 3);
    assert!(text.contains("the site has no ServingRuntime `kserve-ovms`; it has mlserver-runtime"), "{text}");
    bench.site("a", &format!("{SITE}runtimes: [kserve-ovms]\n"));
    let output = bench.verb(&["update", "a", "iris", &bench.image("v1"), "--dry-run"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && text.contains("onnx by kserve-ovms"), "{text}");
}

#[test]
fn a_mirror_has_to_have_the_image_unless_it_cannot_be_asked() {
    let (Some(bench), Some(mirror)) = (Bench::new(), Registry::start()) else { return };
    let facts = |host: &str| format!("{SITE}mirrors: [{{source: {}/m, mirror: '{host}/m'}}]\n", bench.registry.host);
    bench.site("edge-01", &facts(&mirror.host));
    let text = bench.refused(&["deploy", "edge-01", &bench.image("v1")], 3);
    assert!(text.contains("does not have it") && text.contains("modelcar copy"), "{text}");
    let copy = format!("{}/m/iris:v1", mirror.host);
    run(bench.modelcar().args(["copy", "-q", &bench.image("v1"), &copy]));
    bench.done(&["deploy", "edge-01", &bench.image("v1"), "--dry-run"]);
    drop(mirror);
    let output = bench.verb(&["deploy", "edge-01", &bench.image("v1")]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("was not asked"), "{text}");
}

#[test]
fn what_cannot_be_asked_is_told_with_what_can() {
    let Some(bench) = Bench::new() else { return };
    let _steady = bench.steady();
    bench.site("edge-01", SITE);
    bench.done(&["deploy", "edge-01", &bench.image("v1")]);
    let v9 = bench.image("v9");
    let table: [(&[&str], i32); 10] = [
        (&["deploy", "edge-1", &v9], 1),
        (&["deploy", "../up", &v9], 2),
        (&["deploy", "edge-01", &v9], 3),
        (&["deploy", "edge-01", "oci:dir:v1"], 2),
        (&["deploy", "edge-01", "iris:v1"], 2),
        (&["deploy", "edge-01", &v9, "--force", "resolve"], 2),
        (&["deploy", "edge-01", &v9, "--force", "signatures"], 2),
        (&["deploy", "--ring", "pilot", "edge-01", &v9], 2),
        (&["update", "edge-01", "wine", &v9], 1),
        (&["update", "--ring", "pilot", "iris", &v9], 1),
    ];
    let told = table.map(|(words, code)| format!("$ modelcar {}\n{}", words.join(" "), bench.refused(words, code)));
    insta::assert_snapshot!("deploy_errors", told.join("\n"));
}

#[test]
fn a_dry_run_shows_the_change_and_writes_nothing() {
    let Some(bench) = Bench::new() else { return };
    bench.site("edge-01", SITE);
    let head = bench.git(&["rev-parse", "HEAD"]);
    let text = bench.done(&["deploy", "edge-01", &bench.image("v1"), "--dry-run"]);
    assert!(text.contains("+++ b/sites/edge-01/models/iris.yaml"), "{text}");
    assert_eq!((bench.git(&["rev-parse", "HEAD"]), bench.git(&["status", "--porcelain"])), (head, String::new()));
    assert!(!bench.tree().join("sites/edge-01/models").exists());
}

#[test]
fn scripts_get_the_same_as_one_document() {
    let Some(bench) = Bench::new() else { return };
    bench.site("edge-01", SITE);
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let document = read(&bench.done(&["deploy", "edge-01", &bench.image("v1"), "--format", "json", "-q"]));
    assert_eq!(document["digest"], bench.running("edge-01").as_str());
    assert_eq!(document["commit"], bench.git(&["rev-parse", "HEAD"]).trim());
    let rows = document["preflight"].as_array().unwrap();
    assert!(rows.len() == 10 && rows.iter().all(|row| row["result"] == "passed" || row["result"] == "skipped"), "{document:#}");
    bench.push("unsigned", &[]);
    let output = bench.verb(&["update", "edge-01", "iris", &bench.image("unsigned"), "--format", "json", "-q"]);
    assert_eq!(output.status.code(), Some(3));
    let document = read(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(document["preflight"][1]["result"], "failed", "{document:#}");
}

#[test]
fn a_key_on_the_command_line_stands_in_for_the_sites_own() {
    let Some(bench) = Bench::new() else { return };
    bench.site("edge-01", "version: 1\nkserve: '0.20'\n");
    let text = bench.refused(&["deploy", "edge-01", &bench.image("v1")], 3);
    assert!(text.contains("nobody is named whose signature counts") && text.contains("--key cosign.pub"), "{text}");
    bench.done(&["deploy", "edge-01", &bench.image("v1"), "--key", "cosign.pub"]);
    let other = bench.home.path().join("other");
    fs::create_dir(&other).unwrap();
    run(bench.modelcar().args(["keygen", "-q"]).current_dir(&other));
    let key = find_public_key(&other);
    bench.refused(&["update", "edge-01", "iris", &bench.image("v2"), "--key", &key], 3);
}

fn find_public_key(folder: &Path) -> String {
    let mut files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "pub")).unwrap().display().to_string()
}

#[test]
fn short_names_and_trusted_keys_come_from_the_settings() {
    let Some(bench) = Bench::new() else { return };
    bench.site("edge-01", "version: 1\nkserve: '0.20'\n");
    let settings = format!(
        "registry = \"{}\"\norganisation = \"m\"\n[gitops]\ndir = \"gitops\"\n[verify]\nkeys = [\"cosign.pub\"]\n",
        bench.registry.host
    );
    fs::write(bench.home.path().join("modelcar.toml"), settings).unwrap();
    run(bench.modelcar().args(["deploy", "edge-01", "iris:v1", "--build", "own"]));
    assert!(bench.running("edge-01").starts_with("sha256:"));
}

#[test]
fn what_links_of_the_repository_lead_to_is_neither_told_nor_trusted() {
    let Some(bench) = Bench::new() else { return };
    let outside = bench.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("iris.yaml"), "TOKEN=s3cret\nother: [x\n").unwrap();
    fs::copy(bench.home.path().join("cosign.pub"), outside.join("cosign.pub")).unwrap();
    for (link, to, facts) in [
        ("sites/a/site.yaml", outside.join("iris.yaml"), None),
        ("sites/a/kustomization.yaml", outside.join("iris.yaml"), Some(SITE.to_owned())),
        ("sites/a/models", outside.clone(), Some(SITE.to_owned())),
        ("sites/a/apps", outside.clone(), Some(SITE.to_owned())),
        ("linked.yaml", outside.join("iris.yaml"), Some(SITE.replace("keys: [keys/cosign.pub]", "policy: linked.yaml"))),
        ("linked.pub", outside.join("cosign.pub"), Some(SITE.replace("keys/cosign.pub", "linked.pub"))),
    ] {
        let _ = fs::remove_dir_all(bench.tree().join("sites"));
        bench.put("sites/a/README", "");
        if let Some(facts) = facts {
            bench.put("sites/a/site.yaml", &facts);
        }
        std::os::unix::fs::symlink(&to, bench.tree().join(link)).unwrap();
        bench.commit(link);
        let (deployed, status) = (bench.verb(&["deploy", "a", &bench.image("v1")]), bench.verb_alone(&["status"]));
        let all = [deployed.stdout, deployed.stderr, status.stdout, status.stderr].concat();
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(!all.contains("s3cret"), "{link}: {all}");
        // An application's folder is nothing to a model.
        assert_eq!(deployed.status.success(), link == "sites/a/apps", "{link}: {all}");
        assert!(deployed.status.success() || all.contains("is a symbolic link"), "{link}: {all}");
    }
}

#[test]
fn kubectl_gets_nothing_that_opens_doors() {
    let Some(bench) = Bench::new() else { return };
    bench.site("edge-01", SITE);
    let bin = bench.home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let (script, seen) = (bin.join("kubectl"), bench.home.path().join("seen"));
    let Some(kubectl) = need("kubectl") else { return };
    fs::write(&script, format!("#!/bin/sh\nenv > {}\nexec {} \"$@\"\n", seen.display(), kubectl.display())).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let image = bench.image("v1");
    let mut command = bench.modelcar();
    command.env("PATH", path).args(["deploy", "edge-01", &image, "--gitops", "gitops", "--build", "kubectl", "--dry-run"]);
    for name in ["COSIGN_PASSWORD", "COSIGN_PRIVATE_KEY", "MODELCAR_GIT_TOKEN", "MODELCAR_MODEL_REGISTRY_TOKEN"] {
        command.env(name, "s3cret");
    }
    run(&mut command);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(!seen.contains("s3cret") && seen.contains("GIT_ALLOW_PROTOCOL="), "{seen}");
}
