//! A file of a remote image is swapped without the others on disk, and the result is the image that a build would be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::proxy::CountingProxy;
use crate::support::registry::Registry;
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

const MIB: usize = 1 << 20;

/// A model with two large files, small ones, and a program.
fn write_model(dir: &Path) {
    fs::create_dir_all(dir.join("labels")).unwrap();
    for (path, content) in [
        ("a.bin", vec![1; 3 * MIB]),
        ("b.bin", vec![2; 2 * MIB + 5]),
        ("config.json", b"{\"version\": 1}".to_vec()),
        ("labels/en.txt", b"small\nlarge\n".to_vec()),
        ("run.sh", b"#!/bin/sh\n".to_vec()),
    ] {
        fs::write(dir.join(path), content).unwrap();
    }
    fs::set_permissions(dir.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn build(home: &Path, more: &[&str]) -> Value {
    let mut command = modelcar(home);
    command.current_dir(home).env("SOURCE_DATE_EPOCH", "1700000000");
    command.args(["build", "-q", "--format", "json", "--annotation", "team=edge", "--label", "stage=prod", "model"]).args(more);
    serde_json::from_str(&stdout_of(&mut command)).unwrap()
}

fn replace(home: &Path, words: &[&str]) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).args(["replace", "-q", "--format", "json"]).args(words);
    command
}

fn json(command: &mut Command) -> Value {
    serde_json::from_str(&stdout_of(command)).unwrap()
}

#[test]
fn the_result_is_the_image_that_a_build_of_the_changed_folder_would_be() {
    let home = temp_dir();
    let model = home.path().join("model");
    write_model(&model);
    build(home.path(), &["-t", "oci:out:v1"]);
    fs::write(home.path().join("large"), vec![3; 2 * MIB]).unwrap();
    fs::write(home.path().join("small"), b"{\"version\": 2}").unwrap();
    let words: [&[&str]; 5] = [
        &["b.bin=large"],
        &["config.json=small"],
        &["/models/a.bin=large", "labels/en.txt=small"],
        &["--add", "c.bin=large", "--add", "labels/de.txt=small"],
        &["--remove", "b.bin", "--remove", "run.sh"],
    ];
    for words in words {
        let made = json(replace(home.path(), &["oci:out:v1", "-t", "oci:out:v2"]).args(words));
        fs::remove_dir_all(&model).unwrap();
        write_model(&model);
        for word in words.iter().filter(|word| !word.starts_with("--")) {
            match word.trim_start_matches("/models/").split_once('=') {
                Some((path, file)) => drop(fs::copy(home.path().join(file), model.join(path)).unwrap()),
                None => fs::remove_file(model.join(word)).unwrap(),
            }
        }
        let built = build(home.path(), &["--dry-run", "-t", "oci:out:v2"]);
        assert_eq!(made["digest"], built["digest"], "{words:?}");
        assert_eq!(made["content_digest"], built["content_digest"], "{words:?}");
        let rehearsed = json(replace(home.path(), &["oci:out:v1", "-t", "oci:out:v3", "--dry-run"]).args(words));
        assert_eq!(rehearsed["digest"], built["digest"], "{words:?}");
    }
}

#[test]
fn what_the_image_says_of_its_model_follows_the_new_file() {
    let home = temp_dir();
    let onnx = |name: &str| repo_root().join("testdata/models/iris").join(name);
    fs::create_dir(home.path().join("model")).unwrap();
    fs::copy(onnx("logreg_iris.onnx"), home.path().join("model/model.onnx")).unwrap();
    let first = build(home.path(), &["-t", "oci:out:v1"]);
    let again =
        json(replace(home.path(), &["oci:out:v1", "-t", "oci:out:v2"]).arg(format!("1/model.onnx={}", onnx("logreg_iris.onnx").display())));
    assert_eq!(again["digest"], first["digest"], "the same file is no change");
    let refused = replace(home.path(), &["oci:out:v1", "-t", "oci:out:v2", "model.onnx=model/model.onnx"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("1/model.onnx"), "{said}");
}

#[test]
fn only_the_new_file_crosses_the_wire() {
    let Some(registry) = Registry::start() else { return };
    let wire = CountingProxy::start(&registry.host);
    let home = temp_dir();
    write_model(&home.path().join("model"));
    let at = |name: &str| format!("{}/{name}", wire.address());
    build(home.path(), &["--push", "-t", &at("models/m:v1")]);
    fs::remove_dir_all(home.path().join("model")).unwrap();
    fs::write(home.path().join("new"), vec![3; 2 * MIB]).unwrap();
    // what stays is mounted where the repository is another one
    for target in ["models/m:v2", "other/m:v2"] {
        let before = wire.sent();
        let made = json(&mut replace(home.path(), &[&at("models/m:v1"), "b.bin=new", "-t", &at(target)]));
        let sent = wire.sent() - before;
        assert!((2 * MIB as u64..2 * MIB as u64 + 48_000).contains(&sent), "{sent} bytes to {target}: {made}");
        run(modelcar(home.path()).args(["extract", "-q", &at(target)]).arg(home.path().join(target.replace(['/', ':'], "-"))));
        let out = home.path().join(target.replace(['/', ':'], "-"));
        assert!(fs::read(out.join("b.bin")).unwrap() == vec![3; 2 * MIB]);
        assert!(fs::read(out.join("a.bin")).unwrap() == vec![1; 3 * MIB]);
    }
}

#[test]
fn a_changed_layer_is_not_taken_over_unseen() {
    let home = temp_dir();
    write_model(&home.path().join("model"));
    let built = build(home.path(), &["-t", "oci:out:v1"]);
    fs::write(home.path().join("small"), b"{\"version\": 2}").unwrap();
    let group = built["layers"][2]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let blob = home.path().join("out/blobs/sha256").join(group);
    let mut bytes = fs::read(&blob).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    let output = replace(home.path(), &["oci:out:v1", "config.json=small", "-t", "oci:out:v2"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_cannot_be_done_is_said() {
    let home = temp_dir();
    write_model(&home.path().join("model"));
    build(home.path(), &["-t", "oci:out:v1"]);
    build(home.path(), &["-t", "oci:packed:v1", "--compression", "gzip"]);
    fs::write(home.path().join("new"), b"x").unwrap();
    fs::write(home.path().join("evil.pkl"), b"cos\nsystem\n(S'true'\ntR.").unwrap();
    for (words, code, expected) in [
        (&["oci:out:v1", "-t", "oci:out:v2"][..], 2, "no file is named"),
        (&["oci:out:v1", "c.json=new", "-t", "oci:out:v2"], 1, "has no file `c.json`"),
        (&["oci:out:v1", "--add", "a.bin=new", "-t", "oci:out:v2"], 1, "has a file `a.bin` already"),
        (&["oci:out:v1", "a.bin=new", "--remove", "a.bin", "-t", "oci:out:v2"], 2, "is changed twice"),
        (&["oci:out:v1", "a.bin=nothing", "-t", "oci:out:v2"], 1, "nothing"),
        (&["oci:out:v1", "a.bin=model", "-t", "oci:out:v2"], 1, "no regular file"),
        (&["oci:out:v1", "--add", "evil.pkl=evil.pkl", "-t", "oci:out:v2"], 3, "lint refuses the model"),
        (&["oci:packed:v1", "a.bin=new", "-t", "oci:out:v2"], 1, "is compressed"),
    ] {
        let output = replace(home.path(), words).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{words:?}: {}", said(&output));
    }
    let tags = fs::read_to_string(home.path().join("out/index.json")).unwrap();
    assert!(!tags.contains("v2"), "nothing was written: {tags}");
}

#[test]
fn the_new_image_is_signed_by_order_and_the_old_signatures_stay_behind() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    write_model(&home.path().join("model"));
    let at = |tag: &str| format!("{}/models/m:{tag}", registry.host);
    build(home.path(), &["--push", "-t", &at("v1")]);
    fs::write(home.path().join("new"), b"{\"version\": 2}").unwrap();
    let mut unsigned = modelcar(home.path());
    let output = run(unsigned.current_dir(home.path()).args(["replace", &at("v1"), "config.json=new", "-t", &at("v2")]));
    assert!(said(&output).contains("do not speak for the new one"), "{}", said(&output));
    run(modelcar(home.path()).current_dir(home.path()).env("COSIGN_PASSWORD", "").args(["keygen"]));
    let results = home.path().join("results");
    fs::create_dir(&results).unwrap();
    let mut signing =
        replace(home.path(), &[&at("v1"), "config.json=new", "-t", &at("v2"), "--key", "cosign.key", "--tekton-results", "results"]);
    let made = json(signing.env("COSIGN_PASSWORD", ""));
    run(modelcar(home.path()).current_dir(home.path()).args(["verify", "--key", "cosign.pub", &at("v2")]));
    assert_eq!(fs::read_to_string(results.join("IMAGE_DIGEST")).unwrap().trim(), made["digest"].as_str().unwrap());
}
