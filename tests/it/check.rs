//! `modelcar check`: what it prints, where it reads from, and how little.

use std::fs;

use crate::support::registry::Registry;
use crate::support::usage::usage_of;
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

fn build(home: &std::path::Path, options: &[&str]) {
    let iris = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    run(modelcar(home).current_dir(home).args(["build", "-q"]).args(options).arg(iris));
}

#[test]
fn the_table_tells_every_rule_of_every_consumer() {
    let home = temp_dir();
    build(home.path(), &["-t", "oci:image:v1"]);
    let table = stdout_of(modelcar(home.path()).current_dir(home.path()).args(["check", "oci:image:v1"]));
    insta::assert_snapshot!(table);
}

#[test]
fn a_refusal_says_who_refuses_what_and_what_to_do() {
    let home = temp_dir();
    build(home.path(), &["-t", "oci:image:v1", "--base", "none", "--platform", "linux/amd64"]);
    let check = |options: &[&str]| {
        let output = modelcar(home.path()).current_dir(home.path()).args(["check", "oci:image:v1"]).args(options).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, table, said) = check(&["--consumer", "modelcar"]);
    assert_eq!(status, Some(3));
    insta::assert_snapshot!(format!("{table}---\n{said}"));
    let (status, json, _) = check(&["--consumer", "modelcar", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, &report["accepted"]), (Some(3), &serde_json::Value::Bool(false)));
    assert_eq!(check(&["--consumer", "native,fetch"]).0, Some(0));
    assert_eq!(check(&["--consumer", "docker"]).0, Some(2));
    assert_eq!(check(&["--mount-path", "mnt"]).0, Some(2));
    let (status, _, said) = check(&["--platform", "linux/s390x"]);
    assert!(status == Some(1) && said.contains("--platform linux/amd64"), "{said}");
}

#[test]
fn layout_archive_and_registry_say_the_same() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let reference = format!("{}/models/iris:v1", registry.host);
    build(home.path(), &["-t", "oci:image:v1"]);
    build(home.path(), &["-t", "oci-archive:image.tar:v1"]);
    build(home.path(), &["--push", "-t", &reference]);
    let tables = ["oci:image:v1", "oci-archive:image.tar:v1", &reference]
        .map(|image| stdout_of(modelcar(home.path()).current_dir(home.path()).args(["check", image])));
    assert_eq!(tables[0], tables[1]);
    assert_eq!(tables[0], tables[2]);
}

#[test]
fn a_layer_of_a_gibibyte_is_checked_by_its_headers() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::File::create(model.join("weights.safetensors.bin")).unwrap().set_len(1 << 30).unwrap();
    fs::write(model.join("config.json"), "{}").unwrap();
    let reference = format!("{}/models/large:v1", registry.host);
    run(modelcar(home.path()).args(["build", "-q", "--push", "--runtime", "raw", "-t", &reference]).arg(&model));
    let started = std::time::Instant::now();
    let usage = usage_of(modelcar(home.path()).args(["check", &reference]));
    assert!(usage.peak_memory <= 40 << 20, "{usage:?}");
    assert!(started.elapsed().as_secs() < 20);
    let ranges = registry.log().lines().filter(|line| line.contains("GET") && line.contains(" 206 ")).count();
    assert!(ranges >= 1, "{}", registry.log());
}
