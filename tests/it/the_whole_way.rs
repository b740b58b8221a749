//! The main job: from an ONNX model to a signed image and a committed patch, on a layout and on a real registry.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::proxy::CountingProxy;
use crate::support::registry::Registry;
use crate::support::{clean_command, modelcar, need, repo_root, run, stdout_of, temp_dir};

/// A home with a key pair and a GitOps repository.
pub fn bench() -> tempfile::TempDir {
    let home = temp_dir();
    run(command(home.path()).args(["keygen", "-q"]));
    git(home.path(), &["init", "-q", "."]);
    git(home.path(), &["config", "user.name", "Tester"]);
    git(home.path(), &["config", "user.email", "tester@example.com"]);
    home
}

pub fn git(home: &Path, words: &[&str]) -> String {
    let dir = home.join("gitops");
    fs::create_dir_all(&dir).unwrap();
    stdout_of(clean_command("git", home).arg("-C").arg(dir).args(words))
}

pub fn command(home: &Path) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).env("COSIGN_PASSWORD", "");
    command
}

pub fn ship(home: &Path, image: &str, more: &[&str]) -> Output {
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let words = ["--key", "cosign.key", "--gitops", "gitops", "--site", "edge-site-01", "--name", "iris"];
    command(home).arg("ship").arg(model).arg(image).args(words).args(more).output().unwrap()
}

#[track_caller]
pub fn shipped(home: &Path, image: &str) -> (String, String) {
    let output = ship(home, image, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let word = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    (word("digest"), word("commit"))
}

fn patch(home: &Path) -> String {
    fs::read_to_string(home.join("gitops/sites/edge-site-01/models/iris.yaml")).unwrap()
}

/// The InferenceService that Argo CD would apply.
fn overlay(home: &Path) -> Option<String> {
    let kubectl = need("kubectl")?;
    Some(stdout_of(clean_command(kubectl, home).args(["kustomize"]).arg(home.join("gitops/sites/edge-site-01"))))
}

#[test]
fn ships_to_a_registry_and_the_overlay_builds_with_the_digest() {
    let Some(registry) = Registry::start() else { return };
    let home = bench();
    let image = format!("{}/models/iris:v1", registry.host);
    let (digest, commit) = shipped(home.path(), &image);

    assert_eq!(git(home.path(), &["rev-parse", "HEAD"]).trim(), commit);
    let uri = format!("storageUri: oci://{}/models/iris@{digest}", registry.host);
    assert!(patch(home.path()).contains(&uri), "{}", patch(home.path()));
    let verified = command(home.path()).args(["verify", &image, "--key", "cosign.pub"]).output().unwrap();
    assert!(verified.status.success());
    let Some(overlay) = overlay(home.path()) else { return };
    assert!(overlay.contains(&uri) && overlay.contains("kind: InferenceService"), "{overlay}");
    assert!(overlay.contains("runtime: kserve-openvino") && overlay.contains("name: onnx"), "{overlay}");
}

#[test]
fn shipping_the_same_again_sends_no_layer_and_makes_no_commit() {
    let Some(registry) = Registry::start() else { return };
    let home = bench();
    let wire = CountingProxy::start(&registry.host);
    let image = format!("{}/models/iris:v1", wire.address());
    let first = shipped(home.path(), &image);
    let before = wire.sent();
    let second = shipped(home.path(), &image);
    // Questions, and the index and manifests once more; the layers alone would be 58 KiB.
    let sent = wire.sent() - before;
    assert!((1000..40_000).contains(&sent), "{sent} bytes");
    assert_eq!(second.0, first.0);
    assert_eq!(second.1, "none: nothing changed");
    assert_eq!(git(home.path(), &["rev-list", "--count", "HEAD"]).trim(), "1");
}

#[test]
fn ships_into_a_layout_by_full_name_and_by_bare_tag() {
    let home = bench();
    let (digest, _) = shipped(home.path(), "oci:images:quay.io/models/iris:v1");
    assert!(patch(home.path()).contains(&format!("oci://quay.io/models/iris@{digest}")));

    let home = bench();
    let (digest, commit) = shipped(home.path(), "oci:images:v1");
    assert!(patch(home.path()).contains(&format!("oci://localhost/iris@{digest}")), "{}", patch(home.path()));
    let message = git(home.path(), &["log", "-1", "--format=%B", &commit]);
    assert!(message.contains(&digest) && message.contains("Signed-With: "), "{message}");
}

#[test]
fn a_dry_run_shows_the_patch_and_writes_nothing() {
    let home = bench();
    let listing =
        || stdout_of(clean_command("find", home.path()).arg(home.path()).args(["-not", "-path", "*/.git/*", "-printf", "%p %s %T@\n"]));
    let before = listing();
    let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &["--dry-run"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("+++ b/sites/edge-site-01/models/iris.yaml") && text.contains("digest sha256:"), "{text}");
    assert_eq!(listing(), before);
}

#[test]
fn says_every_step_in_a_line() {
    let home = bench();
    let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\(\d+\.\d s\)", "[TIME]");
    settings.add_filter(r"[0-9a-f]{40}", "[COMMIT]");
    settings.bind(|| insta::assert_snapshot!(text));
}

#[test]
fn what_the_site_would_refuse_is_refused_before_anything_is_stored() {
    let home = bench();
    let site = home.path().join("gitops/sites/edge-site-01");
    fs::create_dir_all(&site).unwrap();
    fs::write(site.join("kustomization.yaml"), "resources: {{ .Values.resources }}\n").unwrap();
    let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &[]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!home.path().join("images").exists());

    let home = bench();
    let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &["--delivery", "native", "--kserve", "0.15"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!home.path().join("images").exists());

    let home = temp_dir();
    run(command(home.path()).args(["keygen", "-q"]));
    fs::create_dir(home.path().join("gitops")).unwrap();
    let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("git init"), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!home.path().join("images").exists());
}

#[test]
fn an_image_without_a_shell_is_no_modelcar() {
    let home = bench();
    let image = "oci:images:quay.io/models/iris:v1";
    let output = ship(home.path(), image, &["--base", "none"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && text.contains("leave out `--base none`"), "{text}");
    assert!(!home.path().join("images").exists());
    let output = ship(home.path(), image, &["--base", "none", "--delivery", "native", "--kserve", "0.20"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_sites_delivery_stays_until_another_is_named() {
    let home = bench();
    let image = "oci:images:quay.io/models/iris:v1";
    assert!(ship(home.path(), image, &["--delivery", "native", "--kserve", "0.20"]).status.success());
    let output = ship(home.path(), image, &[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("the site has delivery `native` for iris, which stays"), "{text}");
    assert!(patch(home.path()).contains("storageUri: oci+native://"), "{}", patch(home.path()));
    assert_eq!(ship(home.path(), image, &["--kserve", "0.17"]).status.code(), Some(1), "what the named KServe lacks is refused");
    let output = ship(home.path(), image, &["--delivery", "modelcar"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("delivery native is now modelcar"), "{text}");
    assert!(patch(home.path()).contains("storageUri: oci://"), "{}", patch(home.path()));
    assert!(git(home.path(), &["log", "-1", "--format=%B"]).contains("Previous-Delivery: native"));
}

#[test]
fn a_wrong_word_is_told_the_words_there_are() {
    let home = bench();
    for (option, known) in [("--kserve", "rhoai-3.4"), ("--delivery", "modelcar, native, fetch")] {
        let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &[option, "nonsense"]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(known), "{text}");
    }
    let output = command(home.path()).args(["patch", "oci:images", "--name", "iris", "--as", "nonsense"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("merge, json6902, kustomize, manifest"));
}

#[test]
fn a_patch_takes_its_runtime_by_either_name_and_tells_the_missing_name_even_when_quiet() {
    let home = bench();
    shipped(home.path(), "oci:images:v1");
    for option in ["--runtime", "--serving-runtime"] {
        let output = command(home.path()).args(["-q", "patch", "oci:images:v1", "--name", "iris", option, "my-ovms"]).output().unwrap();
        let (data, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(data.contains("runtime: my-ovms"), "{data}{talk}");
        assert!(talk.contains("has no registry name"), "{talk}");
    }
}

#[test]
fn an_image_that_cannot_be_signed_is_told_to_be_public_with_exit_code_4() {
    let home = bench();
    // The .sig tag of the image is taken by something that is no signature image: signing must stop, the image stays.
    shipped(home.path(), "oci:images:quay.io/models/iris:v1");
    let index = home.path().join("images/index.json");
    let text = fs::read_to_string(&index).unwrap();
    let mut layout: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = layout["manifests"].as_array_mut().unwrap();
    let image =
        entries.iter().find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == "quay.io/models/iris:v1").unwrap().clone();
    for entry in entries
        .iter_mut()
        .filter(|entry| entry["annotations"]["org.opencontainers.image.ref.name"].as_str().is_some_and(|name| name.starts_with("sha256-")))
    {
        for member in ["mediaType", "digest", "size"] {
            entry[member] = image[member].clone();
        }
    }
    fs::write(&index, layout.to_string()).unwrap();
    let output = ship(home.path(), "oci:images:quay.io/models/iris:v1", &[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("is pushed but not signed") && text.contains("then run the same command again"), "{text}");
}
