//! The package step as a cluster would run it: modelcar's own image, 64 MiB for its container, a model of 2 GiB, and nothing to write to
//! but a tmpfs of 8 MiB.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::own_image::{Container, OwnImage, Started};
use crate::support::registry::Registry;
use crate::support::runc::text;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The container's limit, which counts the page cache of the model too: the kernel gives it back.
const LIMIT: u64 = 64 * MIB;
const SCRATCH: u64 = 8 * MIB;
/// `limits.memory` of `task/modelcar-oci-ta` of Konflux: <https://github.com/konflux-ci/build-definitions>.
const KONFLUX: u64 = 4 * GIB;

/// The hashing, the sending and the registry's writing are real; the weights are a hole in a file but for its name, so that no disk has to
/// read two gibibytes: the kernel makes pages of zeros of them, which count like any others.
#[test]
fn packs_two_gib_within_64_mib_and_8_mib_of_scratch() {
    let Some(image) = OwnImage::unpacked() else { return };
    let Some(registry) = Registry::start() else { return };
    let folder = image.home.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("weights.bin"), "weights").unwrap();
    fs::OpenOptions::new().write(true).open(folder.join("weights.bin")).unwrap().set_len(2 * GIB).unwrap();
    let reference = format!("{}/models/large:v1", registry.host);
    let began = Instant::now();
    let mut started = image.start(&Container {
        args: &["build", "/workspace/model/weights.bin", "--push", "--tag", &reference],
        inputs: &[(&folder, "/workspace/model")],
        scratch: Some(("/tmp", SCRATCH)),
        memory: Some(LIMIT),
        ..Container::default()
    });
    let (peak, limit) = watch(&mut started);
    let output = started.runc.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(limit, Some(LIMIT), "the limit was not in force");
    assert!(peak > MIB && peak <= LIMIT / 2, "{peak} bytes");
    eprintln!(
        "package step, 2 GiB model: {:.1} MiB resident at most within a limit of {} MiB and {} MiB of scratch, {:.1} s; Konflux's modelcar-oci-ta: {} MiB",
        mib(peak),
        LIMIT / MIB,
        SCRATCH / MIB,
        began.elapsed().as_secs_f64(),
        KONFLUX / MIB
    );
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

/// The most memory that the container's process had, its program's pages included, and the limit in force, in bytes. (The cgroup's own
/// peak is always the limit: the page cache of the model takes what is there.)
fn watch(started: &mut Started) -> (u64, Option<u64>) {
    let (mut peak, mut limit) = (0, None);
    while started.runc.try_wait().unwrap().is_none() {
        let pid = fs::read_to_string(&started.pid_file).unwrap_or_default();
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
        // before, the process is runc's own, which is larger
        if status.starts_with("Name:\tmodelcar") {
            let field = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
            peak = peak.max(field.unwrap_or_default() * 1024);
            limit = started.memory_limit();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    (peak, limit)
}
