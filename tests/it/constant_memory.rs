//! A model of 1.5 GiB is built and pushed in at most 40 MiB of memory, and no copy of it touches the disk.

use std::fs;
use std::process::Stdio;

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
    for (name, size) in
        [("model-1.safetensors", GIB), ("model-2.safetensors", GIB / 4), ("model-3.safetensors", GIB / 8), ("model-4.safetensors", GIB / 8)]
    {
        // Holes read as zeros: all the work of a real model, none of its writing. One byte keeps the layers different.
        let path = model.join(name);
        fs::write(&path, name).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
    }
    let reference = format!("{}/models/large:v1", registry.host);
    let mut command = modelcar(home.path());
    command.args(["build", "--push", "-t", &reference]).arg(&model).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let usage = watch(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(usage.peak_memory > MIB, "{usage:?}: not measured");
    assert!(usage.peak_memory <= 40 * MIB, "{} MiB", usage.peak_memory / MIB);
    assert!(usage.disk_writes <= MIB, "{} KiB written to disk", usage.disk_writes / 1024);
}
