//! A model of 1.5 GiB is built and pushed in at most 40 MiB of memory, and no copy of it touches the disk.

use std::fs;
use std::process::{Child, Stdio};

use crate::support::registry::Registry;
use crate::support::{modelcar, temp_dir};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What the kernel counts for a process.
#[derive(Debug, Default)]
struct Usage {
    /// The most memory it had, in bytes.
    peak_memory: u64,
    /// What it made the kernel write to disks, in bytes.
    disk_writes: u64,
}

/// Watches a process until it ends. Both counters only ever grow, so the last look is the sum.
fn watch(child: &mut Child) -> Usage {
    let mut usage = Usage::default();
    let field = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
    };
    loop {
        usage.peak_memory = field("status", "VmHWM:").map_or(usage.peak_memory, |kib| kib * 1024);
        usage.disk_writes = field("io", "write_bytes:").unwrap_or(usage.disk_writes);
        // A zombie has no memory any more.
        if field("status", "VmHWM:").is_none() {
            return usage;
        }
        std::thread::yield_now();
    }
}

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
