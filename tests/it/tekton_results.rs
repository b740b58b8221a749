//! What a Tekton task is told: a file per result as Tekton reads it, whatever the verb, within what Tekton takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use modelcar::report::tekton::{self, RESULTS, of_verb};
use serde_json::Value;

use crate::deploy::{Bench, SITE};
use crate::support::model_registry::ModelRegistry;
use crate::support::registry::{Registry, Setup};
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

/// A home with a folder for results, and keys.
struct World {
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { home: temp_dir() };
        fs::create_dir(world.results()).unwrap();
        world
    }

    fn with_keys() -> Self {
        let world = Self::new();
        run(world.modelcar().args(["keygen", "-q"]));
        world
    }

    fn results(&self) -> PathBuf {
        self.home.path().join("results")
    }

    fn modelcar(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "");
        command
    }

    /// A verb of a step.
    fn step(&self, words: &[&str]) -> Output {
        self.modelcar().arg("--omit-empty").args(words).arg("--tekton-results=results").output().unwrap()
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let output = self.step(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn result(&self, name: &str) -> String {
        result(&self.results(), name)
    }

    /// What is in the folder is what the table says of the verb, and as Tekton reads it.
    #[track_caller]
    fn expect_all_of(&self, verb: &str) {
        expect_all_of(&self.results(), verb);
    }
}

fn result(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn expect_all_of(folder: &Path, verb: &str) {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut known: Vec<&str> = of_verb(verb).iter().map(|result| result.name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "{verb}");
    for (name, text) in names.iter().map(|name| (name, result(folder, name))) {
        assert!(!text.contains(char::is_control) && text == text.trim(), "{name}: {text:?}");
        if RESULTS.iter().any(|result| result.name == name.as_str() && result.kind == tekton::Kind::Artifact) {
            let object: Value = serde_json::from_str(&text).unwrap();
            assert!(object["uri"].is_string() && object["digest"].is_string() && object.as_object().unwrap().len() == 2, "{text}");
        }
    }
}

fn iris() -> String {
    repo_root().join("testdata/models/iris/logreg_iris.onnx").display().to_string()
}

/// The two steps of the package task: whoever parses the model never sees the key.
#[test]
fn one_step_packages_and_the_next_signs_what_the_first_one_wrote() {
    let Some(registry) = Registry::start() else { return };
    let world = World::with_keys();
    let image = format!("{}/m/iris:v1", registry.host);
    let name = image.strip_suffix(":v1").unwrap();
    let digest_of = "sha256:".to_owned() + &"ab".repeat(32);
    let (uri, digest) = ("--source-uri=s3://models/iris.onnx".to_owned(), format!("--source-digest={digest_of}"));
    world.done(&["build", &iris(), "--push", &format!("--tag={image}"), &uri, &digest, "--base=", "--runtime=", "--platform="]);
    world.expect_all_of("build");
    let index = world.result("IMAGE_DIGEST");
    assert_eq!(world.result("IMAGE_URL"), image);
    assert_eq!(world.result("IMAGE_REF"), format!("{name}@{index}"));
    assert_eq!((world.result("BASE_IMAGE_REF"), world.result("SBOM_BLOB_URL")), (String::new(), String::new()));
    assert_eq!(world.result("MODEL_ARTIFACT_INPUTS"), tekton::artifact("s3://models/iris.onnx", &digest_of));
    let inspected: Value = serde_json::from_str(&stdout_of(world.modelcar().args(["inspect", "--format", "json", &image]))).unwrap();
    assert_eq!(inspected["digest"], index.as_str());
    let images = world.result("IMAGES");
    assert_eq!(images.split(',').count(), 3);
    for part in images.split(',') {
        assert_eq!(world.modelcar().args(["inspect", part]).output().unwrap().status.code(), Some(0), "{part}");
    }

    let identity = format!("--sign-identity={image}");
    let sign = ["sign", "@results/IMAGE_REF", "--attest=sbom,model-signing", &identity, "--key=cosign.key", "--password-file="];
    world.done(&sign);
    world.expect_all_of("build");
    assert_eq!((world.result("IMAGE_URL"), world.result("IMAGE_REF")), (image.clone(), format!("{name}@{index}")));
    let sbom = world.result("SBOM_BLOB_URL");
    expect_bill_of_materials(&world, &registry, &sbom);
    let demands = ["--key=cosign.pub", "--require=sbom,model-signing", "--consumer=openshift,cosign-v3"];
    world.done(&[&["verify", &image][..], &demands].concat());
    assert_eq!(world.result("IMAGE_REF"), format!("{name}@{index}"));

    // a second time nothing is added, and the same is told
    world.done(&sign);
    assert_eq!(world.result("SBOM_BLOB_URL"), sbom);
}

/// The blob that the result names is the bundle with the CycloneDX document.
fn expect_bill_of_materials(world: &World, registry: &Registry, sbom: &str) {
    let digest = sbom.rsplit_once('@').unwrap().1.strip_prefix("sha256:").unwrap();
    let blob = registry.data().join(format!("docker/registry/v2/blobs/sha256/{}/{digest}/data", &digest[..2]));
    let bundle: Value = serde_json::from_slice(&fs::read(&blob).unwrap_or_else(|error| panic!("{}: {error}", blob.display()))).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let encoded = world.home.path().join("payload");
    fs::write(&encoded, payload).unwrap();
    let text = stdout_of(Command::new("base64").arg("-d").arg(&encoded));
    assert!(text.contains("https://cyclonedx.org/bom"), "{text}");
}

#[test]
fn a_source_without_a_digest_has_that_of_the_model() {
    let Some(registry) = Registry::start() else { return };
    let world = World::new();
    let tag = format!("--tag={}/m/iris:v1", registry.host);
    let said = world.done(&["build", &iris(), "--push", &tag, "--source-uri=https://e.com/iris.onnx", "--format=json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let content = said["content_digest"].as_str().unwrap();
    assert_eq!(world.result("MODEL_ARTIFACT_INPUTS"), tekton::artifact("https://e.com/iris.onnx", content));
    world.done(&["build", &iris(), "--push", &tag]);
    assert_eq!(world.result("MODEL_ARTIFACT_INPUTS"), tekton::artifact("", ""));
}

#[test]
fn what_is_pushed_is_told_though_it_is_not_signed() {
    let Some(registry) = Registry::start() else { return };
    let world = World::with_keys();
    let image = format!("{}/m/iris:v1", registry.host);
    let tag = format!("--tag={image}");
    world.done(&["build", &iris(), "--push", &tag]);
    let digest = world.result("IMAGE_DIGEST");
    // The .sig tag of the image is taken by something that is no signature image: signing must stop, the image stays.
    let squatter = format!("{}/m/iris:{}.sig", registry.host, digest.replace(':', "-"));
    run(world.modelcar().args(["copy", "-q", &image, &squatter]));
    for result in RESULTS {
        let _ = fs::remove_file(world.results().join(result.name));
    }
    let output = world.step(&["build", &iris(), "--push", &tag, "--key=cosign.key", "--attest=none"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    world.expect_all_of("build");
    assert_eq!(world.result("IMAGE_DIGEST"), digest);
}

#[test]
fn a_provenance_that_sign_attests_names_the_source() {
    let Some(registry) = Registry::start() else { return };
    let world = World::with_keys();
    let image = format!("{}/m/iris:v1", registry.host);
    world.done(&["build", &iris(), "--push", &format!("--tag={image}")]);
    let source = ["--source-uri=git+https://e.com/models@abc", "--source-digest=gitCommit:0123456789abcdef0123456789abcdef01234567"];
    world.done(&[&["sign", &image, "--attest=provenance", "--key=cosign.key"][..], &source].concat());
    let text = stdout_of(world.modelcar().args(["provenance", &image, "--key", "cosign.pub"]));
    let provenance: Value = serde_json::from_str(&text).unwrap();
    let model = &provenance["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(model["uri"], "git+https://e.com/models@abc");
    assert_eq!(model["digest"]["gitCommit"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(provenance["buildDefinition"]["externalParameters"]["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    // and nothing is attested where nobody asks
    let plain = format!("{}/m/plain:v1", registry.host);
    world.done(&["build", &iris(), "--push", &format!("--tag={plain}")]);
    world.done(&["sign", &plain, "--key=cosign.key"]);
    assert_eq!(world.result("SBOM_BLOB_URL"), "");
    assert!(!world.modelcar().args(["provenance", &plain]).output().unwrap().status.success());
}

/// The credentials and the authority are mounted as Kubernetes does it.
#[test]
fn push_and_copy_tell_where_the_image_is_now_with_mounted_credentials_and_authority() {
    let Some(registry) = Registry::start_with(&Setup { login: true, tls: true, ..Setup::default() }) else { return };
    let world = World::new();
    let dir = world.home.path();
    mount(&dir.join("dockerconfig"), ".dockerconfigjson", &fs::read(registry.authfile()).unwrap());
    mount(&dir.join("ca"), "ca-bundle.crt", &fs::read(registry.ca_file()).unwrap());
    run(world.modelcar().args(["build", "-q", "-o", "oci:layout:v1", &iris()]));
    let (image, other) = (format!("{}/m/iris:v1", registry.host), format!("{}/n/iris:v2", registry.host));
    let mounted = ["--authfile=dockerconfig", "--ca-file=ca"];
    world.done(&[&["push", "oci:layout:v1", &image][..], &mounted].concat());
    world.expect_all_of("push");
    assert_eq!(world.result("IMAGE_URL"), image);
    let index = world.result("IMAGE_DIGEST");
    world.done(&[&["copy", "@results/IMAGE_REF", &other][..], &mounted].concat());
    world.expect_all_of("copy");
    assert_eq!((world.result("IMAGE_URL"), world.result("IMAGE_DIGEST")), (other, index));
    // an authority that is not there is an empty folder, and the system's own does not know this one
    fs::create_dir(dir.join("no-ca")).unwrap();
    let output = world.step(&["verify", &image, "--authfile=dockerconfig", "--ca-file=no-ca"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("certificate"));
}

/// A server that speaks TLS and knows no Git: with its authority the talk gets so far as to find that out.
#[test]
fn the_authority_is_taken_for_the_git_server_too() {
    let Some(registry) = Registry::start_with(&Setup { tls: true, ..Setup::default() }) else { return };
    let world = World::new();
    mount(&world.home.path().join("ca"), "ca-bundle.crt", &fs::read(registry.ca_file()).unwrap());
    let url = format!("--gitops=https://{}/gitops.git", registry.host);
    let said = |ca_file: &str| {
        let output = world.step(&["deploy", "--site=a", "quay.io/a/b:v1", &url, ca_file]);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said("--ca-file=").contains("certificate"), "{}", said("--ca-file="));
    assert!(!said("--ca-file=ca").contains("certificate"), "{}", said("--ca-file=ca"));
}

/// As the kubelet does it: the file is a link to a link to a folder of this version.
fn mount(folder: &Path, name: &str, bytes: &[u8]) {
    let version = folder.join("..2026_11_23");
    fs::create_dir_all(&version).unwrap();
    fs::write(version.join(name), bytes).unwrap();
    std::os::unix::fs::symlink("..2026_11_23", folder.join("..data")).unwrap();
    std::os::unix::fs::symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
}

#[test]
fn what_does_not_fit_is_left_out_and_never_the_image() {
    let Some(registry) = Registry::start() else { return };
    let world = World::new();
    fs::write(world.results().join("NOTES"), "n".repeat(3000)).unwrap();
    let image = format!("{}/m/{}:v1", registry.host, "x".repeat(200));
    let output = world.step(&["build", &iris(), "--push", &format!("--tag={image}")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("4096 bytes at most: IMAGES"), "{said}");
    assert_eq!((world.result("IMAGES"), world.result("IMAGE_URL")), (String::new(), image));
    assert!(world.result("IMAGE_REF").len() > 200 && !world.result("IMAGE_DIGEST").is_empty());
}

#[test]
fn every_rollout_tells_its_commit_and_the_sites() {
    let Some(bench) = Bench::new() else { return };
    bench.site("a", &format!("{SITE}ring: pilot\n"));
    bench.site("b", &format!("{SITE}ring: pilot\n"));
    let folder = bench.home.path().join("results");
    fs::create_dir(&folder).unwrap();
    let told = || ["COMMIT", "BRANCH", "PULL_REQUEST", "SITES"].map(|name| result(&folder, name));
    let head = || bench.git(&["rev-parse", "HEAD"]).trim().to_owned();
    // the options come behind the verb, as a task writes them
    let on = |verb: &str, site: &str, rest: &[&str]| {
        let words = [&[verb], rest, &["--omit-empty", "--tekton-results=results", site, "--sites=", "--pr="]].concat();
        bench.done(&words);
        expect_all_of(&folder, verb);
        told()
    };
    let (v1, v2) = (bench.image("v1"), bench.image("v2"));
    let deployed = on("deploy", "--site=a", &[&v1]);
    assert_eq!(deployed, [head(), "main".to_owned(), String::new(), "a".to_owned()]);
    assert_eq!(on("deploy", "--site=a", &[&v1]), ["", "", "", "a"].map(str::to_owned), "nothing to change");
    let all = on("deploy", "--ring=pilot", &[&v1]);
    assert_eq!(all, [head(), "main".to_owned(), String::new(), "a,b".to_owned()]);
    assert_eq!(on("update", "--site=b", &["iris", &v2])[0], head());
    assert_eq!(on("rollback", "--site=b", &["iris"])[0], head());
    let dry = on("update", "--site=b", &["iris", &v2, "--dry-run"]);
    assert_eq!(dry, [""; 4].map(str::to_owned));
    // a reference from a file, and one result in a file of its own
    fs::write(bench.home.path().join("ref"), &v2).unwrap();
    let words = ["update", "--site=a", "iris", "@ref", "--tekton-result", "COMMIT=commit"];
    bench.done(&words);
    assert_eq!(fs::read_to_string(bench.home.path().join("commit")).unwrap(), head());
}

#[test]
fn lint_tells_what_it_found_also_where_it_refuses() {
    let world = World::new();
    world.done(&["lint", &iris(), "--kserve=", "--runtime="]);
    world.expect_all_of("lint");
    assert_eq!(world.result("MODEL_FORMAT"), "onnx");
    fs::write(world.home.path().join("bad.onnx"), "not a model").unwrap();
    let output = world.step(&["lint", "bad.onnx"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((world.result("FINDINGS"), world.result("MODEL_FORMAT")), ("1".to_owned(), String::new()));
}

#[test]
fn register_tells_the_registrys_numbers_and_takes_a_mounted_token() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    registry.protect("s3cret");
    mount(&world.home.path().join("token-secret"), "token", b"s3cret\n");
    run(world.modelcar().args(["build", "-q", "-o", "oci:layout:quay.io/acme/iris:v1", &iris()]));
    let words = ["register", "oci:layout:quay.io/acme/iris:v1", "--token-file=token-secret", "--owner="];
    world.done(&[&words[..], &[&format!("--registry-url={}", registry.url)]].concat());
    world.expect_all_of("register");
    for (name, collection) in
        [("REGISTERED_MODEL_ID", "registered_models"), ("MODEL_VERSION_ID", "model_versions"), ("MODEL_ARTIFACT_ID", "model_artifacts")]
    {
        assert_eq!(world.result(name), registry.all(collection)[0]["id"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn what_cannot_be_written_or_read_is_told_before_anything_is_done() {
    let world = World::new();
    let dir = world.home.path();
    fs::write(dir.join("two"), "quay.io/a/b:v1\nquay.io/a/b:v2\n").unwrap();
    let seen = |words: &[&str]| {
        let output = world.modelcar().args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).replace(&dir.display().to_string(), "[DIR]").replace(&iris(), "iris.onnx");
        format!("$ modelcar {}\nexit code: {}\n{said}", words.join(" ").replace(&iris(), "iris.onnx"), output.status.code().unwrap())
    };
    let model = iris();
    let text = [
        seen(&["build", &model, "--tekton-results=gone"]),
        seen(&["build", &model, "--tekton-result=COMMIT=results/COMMIT"]),
        seen(&["build", &model, "--tekton-result=COMMIT"]),
        seen(&["sign", "@results/IMAGE_REF", "--key=cosign.key"]),
        seen(&["verify", "@two", "--key=cosign.pub"]),
        seen(&["deploy", "@two", "--site=a"]),
        seen(&["sign", "quay.io/a/b:v1", "--key="]),
        seen(&["--omit-empty", "sign", "quay.io/a/b:v1", "--authfile=results", "--key="]),
        seen(&["deploy", "quay.io/a/b:v1", "--site=a", "--ring=pilot"]),
        seen(&["deploy", "a", "quay.io/a/b:v1", "--site=a"]),
    ];
    insta::assert_snapshot!(text.join("\n"));
    assert!(!dir.join("modelcar.oci").exists());
}

#[test]
fn a_summary_tells_what_failed_first_and_where_to_look() {
    let world = World::new();
    let words = [
        "--task=fetch=Succeeded",
        "--task=package=Succeeded",
        "--task=verify=Failed",
        "--task=deploy=None",
        "--result=IMAGE_REF=quay.io/edge/iris@sha256:ab",
        "--result=COMMIT=",
    ];
    let text = stdout_of(world.modelcar().arg("summary").args(words).arg("--run=release-x7k"));
    let good = stdout_of(world.modelcar().args(["summary", "--task=fetch=Succeeded", "--task=package=Completed"]));
    let json = stdout_of(world.modelcar().arg("summary").args(words).args(["--format", "json"]));
    let wrong = world.modelcar().args(["summary", "--task=fetch=$(tasks.fetch.status)"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    insta::assert_snapshot!([text, good, json, String::from_utf8(wrong.stderr).unwrap()].join("---\n"));
}
