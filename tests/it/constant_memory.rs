//! A model of 1.5 GiB is built and pushed in at most 40 MiB of memory, and no copy of it touches the disk; nor does memory grow with a
//! file of 20 GiB, or with weights that are taken into an ONNX file on the way.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::onnx_writer::{Message, external, model};
use crate::support::registry::Registry;
use crate::support::usage::watch;
use crate::support::{modelcar, temp_dir};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

#[test]
fn pushes_one_and_a_half_gib_in_40_mib_without_a_copy_on_disk() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    for (name, size) in [("model-1.bin", GIB), ("model-2.bin", GIB / 4), ("model-3.bin", GIB / 8), ("model-4.bin", GIB / 8)] {
        hole(&model.join(name), size);
    }
    let reference = format!("{}/models/large:v1", registry.host);
    assert_frugal(modelcar(home.path()).args(["build", "--push", "-t", &reference]).arg(&model));
}

#[test]
fn takes_one_and_a_half_gib_of_weights_into_a_model_in_40_mib_without_a_copy_on_disk() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let folder = home.path().join("model");
    fs::create_dir(&folder).unwrap();
    let mut graph = Message::new();
    for (name, size) in [("one.data", GIB), ("two.data", GIB / 2)] {
        hole(&folder.join(name), size);
        graph = graph.message(5, &external(name, &[i64::try_from(size / 4).unwrap()], &[("location", name)]));
    }
    fs::write(folder.join("model.onnx"), model(&graph).0).unwrap();
    let reference = format!("{}/models/inlined:v1", registry.host);
    let said = assert_frugal(modelcar(home.path()).args(["build", "--push", "-t", &reference]).arg(&folder));
    assert!(said.contains("inlined 2 external tensors (1.5 GiB) of model.onnx"), "{said}");
}

#[test]
fn hashes_a_file_of_20_gib_in_40_mib() {
    let home = temp_dir();
    hole(&home.path().join("weights.dat"), 20 * GIB);
    assert_frugal(modelcar(home.path()).args(["build", "--dry-run"]).arg(home.path().join("weights.dat")));
}

/// Holes read as zeros: all the work of a real model, none of its writing. Its name in it keeps the layers different.
fn hole(path: &Path, size: u64) {
    fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(size).unwrap();
}

/// Runs the command, which must need little memory and no disk; what it said.
#[track_caller]
fn assert_frugal(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let usage = watch(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(usage.peak_memory > MIB, "{usage:?}: not measured");
    assert!(usage.peak_memory <= 40 * MIB, "{} MiB", usage.peak_memory / MIB);
    assert!(usage.disk_writes <= MIB, "{} KiB written to disk", usage.disk_writes / 1024);
    said
}
