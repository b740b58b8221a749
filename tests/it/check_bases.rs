//! Foreign bases: Docker's documents, several platforms, entrypoints; what is built on them, and what `check` says about it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use modelcar::store::Access;
use modelcar::store::layout::LayoutStore;
use serde_json::{Value, json};

use crate::support::images::{BaseImage, put_busybox_base, put_docker_list};
use crate::support::{modelcar, need, repo_root, run, stdout_of, temp_dir};

fn shell(architecture: &str) -> Vec<u8> {
    fs::read(repo_root().join("shell/built").join(architecture).join("sh")).unwrap()
}

fn build(home: &Path, options: &[&str]) -> Output {
    let iris = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    modelcar(home).current_dir(home).args(["build", "-t", "oci:out:v1", "--base", "oci:base:v1"]).args(options).arg(iris).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of `modelcar check` about the built image that did not pass.
fn findings(home: &Path, consumer: &str) -> (Option<i32>, Vec<(String, String)>) {
    let output =
        modelcar(home).current_dir(home).args(["check", "oci:out:v1", "--format", "json", "--consumer", consumer]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let rules = report["rules"].as_array().unwrap().iter().filter(|line| line["result"] != "pass");
    let found = rules.map(|line| (line["rule"].as_str().unwrap().to_owned(), line["detail"].as_str().unwrap().to_owned())).collect();
    (output.status.code(), found)
}

/// The manifest and config of a platform of the built image.
fn documents(home: &Path, architecture: &str) -> (Value, Value) {
    let read = |digest: &Value| -> Value {
        let file = home.join("out/blobs/sha256").join(digest.as_str().unwrap().trim_start_matches("sha256:"));
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    };
    let top: Value = serde_json::from_slice(&fs::read(home.join("out/index.json")).unwrap()).unwrap();
    let index = read(&top["manifests"][0]["digest"]);
    let entries = index["manifests"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["platform"]["architecture"] == architecture).unwrap();
    let manifest = read(&entry["digest"]);
    let config = read(&manifest["config"]["digest"]);
    (manifest, config)
}

#[test]
fn a_docker_base_becomes_an_oci_image_on_every_platform() {
    let home = temp_dir();
    let store = LayoutStore::open(&home.path().join("base"), Access::Write).unwrap();
    let (amd64, arm64) = (shell("amd64"), shell("arm64"));
    let base = |architecture, program| BaseImage {
        architecture,
        programs: program,
        links: &[],
        config: json!({"Entrypoint": ["/docker-entrypoint.sh"], "Cmd": null, "Env": ["PATH=/bin", "LANG=C"], "Labels": null, "User": "root", "WorkingDir": "/"}),
    };
    put_docker_list(&store, &[base("amd64", &[("sh", &amd64)]), base("arm64", &[("sh", &arm64)])], "v1");
    let output = build(home.path(), &["--delivery", "modelcar,native,fetch"]);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("entrypoint [\"/docker-entrypoint.sh\"] is cleared") && said.contains("user `root` is replaced by 65534"),
        "{said}"
    );

    let mut models = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let (manifest, config) = documents(home.path(), architecture);
        assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
        assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
        assert_eq!(config["config"], json!({"User": "65534", "Env": ["PATH=/bin", "LANG=C"], "WorkingDir": "/"}));
        assert_eq!(config.get("docker_version"), None);
        models.push(manifest["layers"][1].clone());
    }
    assert_eq!(models[0], models[1], "the model's layer is shared");
    let output = modelcar(home.path()).current_dir(home.path()).args(["check", "oci:out:v1"]).output().unwrap();
    assert!(output.status.success() && !text(&output.stdout).contains("warn"), "{}", text(&output.stdout));
}

#[test]
fn debians_busybox_is_known_and_skopeo_and_umoci_read_what_is_built_on_it() {
    let home = temp_dir();
    let (Some(()), Some(skopeo)) = (put_busybox_base(&home.path().join("base"), "v1"), need("skopeo")) else { return };
    let output = build(home.path(), &["--delivery", "modelcar", "--user", "1234"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (status, found) = findings(home.path(), "modelcar");
    assert_eq!((status, found), (Some(0), vec![]));
    let table = stdout_of(modelcar(home.path()).current_dir(home.path()).args(["check", "oci:out:v1", "--consumer", "modelcar"]));
    assert!(table.contains("busybox (/bin/busybox)") && table.contains("1234, which runAsNonRoot takes"), "{table}");
    let config = stdout_of(Command::new(skopeo).current_dir(home.path()).args(["inspect", "--config", "oci:out:v1"]));
    assert!(config.contains("\"User\": \"1234\"") && config.contains("PATH=/usr/local/sbin"), "{config}");
}

#[test]
fn a_base_that_modelcar_cannot_start_is_refused_before_anything_is_written() {
    let (amd64, arm64) = (shell("amd64"), shell("arm64"));
    let half = &amd64[..2000];
    let none = || json!({});
    for (programs, links, reason) in [
        (&[("true", &amd64[..])][..], &[][..], "no `sh` on PATH"),
        (&[("sh", &arm64[..])], &[], "is for arm64, not for amd64"),
        (&[("dash", half), ("ln", half)], &["sh"], "ls (not on PATH)"),
    ] {
        let home = temp_dir();
        let store = LayoutStore::open(&home.path().join("base"), Access::Write).unwrap();
        put_docker_list(&store, &[BaseImage { architecture: "amd64", programs, links, config: none() }], "v1");
        let output = build(home.path(), &["--delivery", "modelcar"]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(3) && said.contains(reason), "{said}");
        assert!(!home.path().join("out").exists(), "{reason}");
        let output = build(home.path(), &["--delivery", "native"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let output = build(home.path(), &[]);
        assert!(output.status.success() && text(&output.stderr).contains(reason), "{}", text(&output.stderr));
        let (status, found) = findings(home.path(), "modelcar");
        assert!(status == Some(3) && found.iter().any(|(_, detail)| detail.contains(reason)), "{found:?}");
    }
}

#[test]
fn root_and_a_user_that_is_no_number_are_not_taken() {
    let home = temp_dir();
    put_busybox_base(&home.path().join("base"), "v1");
    for user in ["0", "nobody", "-1"] {
        assert_eq!(build(home.path(), &[&format!("--user={user}")]).status.code(), Some(2), "{user}");
    }
    run(modelcar(home.path()).args(["build", "--help"]));
}

#[test]
fn a_base_with_a_model_of_its_own_is_refused() {
    let home = temp_dir();
    let model = repo_root().join("testdata/models/iris");
    run(modelcar(home.path()).current_dir(home.path()).arg("build").arg(&model).args(["-o", "oci:first:v1"]));
    let output = modelcar(home.path())
        .current_dir(home.path())
        .arg("build")
        .arg(&model)
        .args(["--base", "oci:first:v1", "-o", "oci:second:v1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error: the base has a model of its own: `/models/1`"), "{said}");
    assert!(!home.path().join("second").exists());
}
