//! A model of 1.5 GiB is built and pushed in at most 25 MiB of memory, eight uploads at once in 40 MiB, and no copy of it touches the disk; nor
//! does memory grow with a file of 20 GiB, or with weights that are taken into an ONNX file on the way.

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
fn pushes_one_and_a_half_gib_in_25_mib_without_a_copy_on_disk() {
    let sizes = [GIB, GIB / 4, GIB / 8, GIB / 8];
    assert_push_frugal(&sizes, &[], 25 * MIB);
}

#[test]
fn pushes_eight_layers_at_once_in_40_mib_without_a_copy_on_disk() {
    assert_push_frugal(&[GIB / 16; 10], &["--parallel", "8"], 40 * MIB);
}

/// Pushes files of these sizes twice: in a single pass where there was nothing, and hashed ahead where nobody looks.
#[track_caller]
fn assert_push_frugal(sizes: &[u64], options: &[&str], most: u64) {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    for (number, size) in sizes.iter().enumerate() {
        hole(&model.join(format!("model-{number}.bin")), *size);
    }
    for (version, how) in [("v1", &[][..]), ("v2", &["--no-cache"])] {
        let reference = format!("{}/models/large-{}:{version}", registry.host, how.len());
        assert_frugal(modelcar(home.path()).args(["build", "--push", "-t", &reference]).args(options).args(how).arg(&model), most);
    }
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
    let said = assert_frugal(modelcar(home.path()).args(["build", "--push", "-t", &reference]).arg(&folder), 40 * MIB);
    assert!(said.contains("inlined 2 external tensors (1.5 GiB) of model.onnx"), "{said}");
}

#[test]
fn hashes_a_file_of_20_gib_in_40_mib() {
    let home = temp_dir();
    hole(&home.path().join("weights.dat"), 20 * GIB);
    assert_frugal(modelcar(home.path()).args(["build", "--dry-run"]).arg(home.path().join("weights.dat")), 40 * MIB);
}

/// Holes read as zeros: all the work of a real model, none of its writing. Its name in it keeps the layers different.
fn hole(path: &Path, size: u64) {
    fs::write(path, path.file_name().unwrap().as_encoded_bytes()).unwrap();
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(size).unwrap();
}

/// Runs the command, which must need no more than this memory, in bytes, and no disk; what it said.
#[track_caller]
fn assert_frugal(command: &mut Command, most: u64) -> String {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let usage = watch(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(usage.peak_memory > MIB, "{usage:?}: not measured");
    assert!(usage.peak_memory <= most, "{} MiB", usage.peak_memory / MIB);
    assert!(usage.disk_writes <= MIB, "{} KiB written to disk", usage.disk_writes / 1024);
    said
}
