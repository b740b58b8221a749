//! What the registry has is never sent again, counted on the wire.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::proxy::CountingProxy;
use crate::support::registry::Registry;
use crate::support::{modelcar, stdout_of, temp_dir};

const MIB: usize = 1 << 20;

fn push(model: &Path, registry: &str, tag: &str) -> Value {
    let home = temp_dir();
    let reference = format!("{registry}/models/m:{tag}");
    let printed = stdout_of(modelcar(home.path()).args(["build", "-q", "--format", "json", "--push", "-t", &reference]).arg(model));
    serde_json::from_str(&printed).unwrap()
}

fn sent_layers(build: &Value) -> Vec<Vec<&str>> {
    let layers = build["layers"].as_array().unwrap().iter().filter(|layer| layer["sent"] == true);
    layers.map(|layer| layer["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()).collect()
}

#[test]
fn a_second_push_sends_no_blob_and_a_changed_small_file_only_its_group() {
    let Some(registry) = Registry::start() else { return };
    let wire = CountingProxy::start(&registry.host);
    let model = temp_dir();
    for (name, size, seed) in [("a.bin", 6 * MIB, 1_u8), ("b.bin", 5 * MIB, 2), ("tokenizer.json", 200_000, 3), ("config.json", 900, 4)] {
        fs::write(model.path().join(name), vec![seed; size]).unwrap();
    }

    let first = push(model.path(), &wire.address(), "v1");
    assert_eq!(sent_layers(&first).len(), 3);
    let after_first = wire.sent();
    assert!(after_first > 11 * MIB as u64);

    let second = push(model.path(), &wire.address(), "v1");
    assert_eq!(second["digest"], first["digest"]);
    assert_eq!(second["sent"], 0);
    let after_second = wire.sent();
    // Two manifests, an index and the questions around them; no layer.
    assert!(after_second - after_first < 24_000, "{} bytes", after_second - after_first);

    fs::write(model.path().join("config.json"), vec![5; 901]).unwrap();
    let third = push(model.path(), &wire.address(), "v2");
    assert_ne!(third["digest"], first["digest"]);
    assert_eq!(sent_layers(&third), [["config.json", "tokenizer.json"]]);
    let for_the_group = wire.sent() - after_second;
    assert!((200_000..240_000).contains(&for_the_group), "{for_the_group} bytes");
}

#[test]
fn a_damaged_blob_of_a_layout_is_written_anew() {
    let home = temp_dir();
    let build = || {
        let mut command = modelcar(home.path());
        command.current_dir(home.path()).args(["build", "-q", "--format", "json", "-t", "quay.io/o/m:v1", "m.bin"]);
        serde_json::from_str::<Value>(&stdout_of(&mut command)).unwrap()
    };
    fs::write(home.path().join("m.bin"), vec![7; 2 * MIB]).unwrap();
    let first = build();
    let layer = first["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let blob = home.path().join("modelcar.oci/blobs/sha256").join(layer);
    let whole = fs::read(&blob).unwrap();
    let mut damaged = whole.clone();
    damaged[MIB] ^= 1;
    fs::write(&blob, damaged).unwrap();
    let second = build();
    assert_eq!((&second["digest"], &second["layers"][0]["sent"]), (&first["digest"], &Value::Bool(true)));
    assert!(fs::read(&blob).unwrap() == whole);
}

#[test]
fn a_build_in_the_models_own_folder_gives_the_same_image_again() {
    let home = temp_dir();
    fs::write(home.path().join("m.bin"), vec![7; 1000]).unwrap();
    let build = |more: &[&str]| {
        modelcar(home.path()).current_dir(home.path()).args(["build", "-q", "-t", "quay.io/o/m:v1", "."]).args(more).output().unwrap()
    };
    let first = build(&[]);
    assert!(first.status.success());
    assert_eq!(build(&[]).stdout, first.stdout);
    let refused = build(&["-o", "oci-archive:m.tar"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn a_second_build_into_a_layout_writes_no_blob() {
    let home = temp_dir();
    let model = home.path().join("m.bin");
    fs::write(&model, vec![7; 2 * MIB]).unwrap();
    let build = || -> Value {
        let printed = stdout_of(modelcar(home.path()).current_dir(home.path()).args([
            "build",
            "-q",
            "--format",
            "json",
            "-t",
            "quay.io/o/m:v1",
            "m.bin",
        ]));
        serde_json::from_str(&printed).unwrap()
    };
    assert!(build()["sent"].as_u64().unwrap() > 2 * MIB as u64);
    let blobs = || {
        let mut names: Vec<_> =
            fs::read_dir(home.path().join("modelcar.oci/blobs/sha256")).unwrap().map(|blob| blob.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = blobs();
    assert_eq!(build()["sent"], 0);
    assert_eq!(blobs(), before);
}
