//! Where others' packaging tasks ran out of memory or disk: `modelcar-package` within its own limits, and what it says where the registry
//! has no room.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::registry::Registry;
use crate::support::{need, run};
use crate::tekton::run::{Image, TaskOutcome};
use crate::tekton_failures::{World, expect_failure};

const MIB: u64 = 1 << 20;
/// The Task's own, for the step `package`.
const LIMIT: u64 = 64 * MIB;
/// More than the limit, and no compression shrinks it.
const BASE: u64 = 96 * MIB;
const SCRATCH: u64 = 8 * MIB;
/// What the measured group, which is the one around the container's, has beside it: the limit is the container's own.
const SLACK: u64 = MIB;

/// Nothing was killed, and the limit was in force.
#[track_caller]
fn expect_within_limits(what: &str, outcome: TaskOutcome) -> TaskOutcome {
    let outcome = outcome.expect_success();
    let usage = outcome.step("package").usage;
    eprintln!(
        "{what}: at most {} KiB of memory with pages of files and {} KiB anonymous, of {} KiB; {} KiB of scratch",
        usage.memory >> 10,
        usage.anonymous >> 10,
        LIMIT >> 10,
        usage.scratch >> 10
    );
    assert!(usage.memory > 0 && usage.memory <= LIMIT + SLACK && usage.anonymous <= LIMIT / 2, "{what}: {usage:?}");
    outcome
}

fn sparse(file: &Path, size: u64) {
    File::create(file).unwrap().set_len(size).unwrap();
}

/// Bytes that no compression shrinks.
fn noise(size: u64) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..size / 8).flat_map(next).collect()
}

/// Konflux' task was killed at 64 MiB while it did nothing but copy the base: build-definitions#3585.
#[test]
fn a_large_base_from_another_registry_is_copied_within_64_mib() {
    let (Some(world), Some(other)) = (World::new(), Registry::start()) else { return };
    let name = format!("{}/base/large", other.host);
    let digest = world.put_base(&format!("{name}:v1"), &noise(BASE), None);
    fs::write(world.model.join("weights.bin"), "weights").unwrap();
    let outcome = world.run(&world.package().param("BASE_IMAGE", format!("{name}:v1@{digest}")));
    let outcome = expect_within_limits("base of 96 MiB", outcome);
    assert_eq!(outcome.result("BASE_IMAGE_DIGEST"), digest);
    let copied = walkdir::WalkDir::new(world.registry.data()).into_iter().filter_map(|entry| entry.ok()?.metadata().ok());
    assert!(copied.filter(fs::Metadata::is_file).any(|file| file.len() > BASE), "the base's layer is in the model's registry");
}

#[test]
fn a_model_of_400_mib_is_packed_within_64_mib() {
    let Some(world) = World::new() else { return };
    sparse(&world.model.join("one.bin"), 300 * MIB);
    sparse(&world.model.join("two.bin"), 100 * MIB);
    expect_within_limits("model of 400 MiB", world.run(&world.package()));
}

#[test]
fn ten_thousand_small_files_are_packed_within_64_mib() {
    let Some(world) = World::new() else { return };
    for folder in 0..100 {
        let folder_path = world.model.join(format!("part-{folder}"));
        fs::create_dir(&folder_path).unwrap();
        for file in 0..100 {
            fs::write(folder_path.join(format!("{file}.bin")), format!("file {file} of {folder}")).unwrap();
        }
    }
    let run = world.package().param("RUNTIME", "raw");
    // their names and digests are more than cosign takes for one attestation, which the usual ATTEST would have
    let too_much = world.run(&run);
    expect_failure(&too_much, "sign", 4, "is pushed and signed, but not attested");
    assert!(too_much.step("sign").stderr.contains("fit into an attestation"), "{}", too_much.log());
    let outcome = expect_within_limits("10000 files", world.run(&run.param("ATTEST", "none")));
    let Some(rootfs) = world.unpacked(outcome.result("IMAGE_REF")) else { return };
    let files = walkdir::WalkDir::new(rootfs.join("models")).into_iter().filter(|entry| entry.as_ref().unwrap().file_type().is_file());
    assert_eq!(files.count(), 10_000);
    assert_eq!(fs::read_to_string(rootfs.join("models/part-99/98.bin")).unwrap(), "file 98 of 99");
}

/// tektoncd/catalog#1305: buildah ended with `No space left` while the volume was empty.
#[test]
fn a_scratch_that_is_full_is_not_missed() {
    let Some(mut world) = World::new() else { return };
    let busybox = Image::busybox(world.cluster.folder()).unwrap();
    world.cluster.image("busybox", &busybox);
    let script = "dd if=/dev/zero of=/tekton/home/full bs=64k 2>/dev/null; if echo more >/tekton/home/more; then exit 9; fi";
    let fill = json!({"name": "fill", "image": "busybox", "command": ["sh", "-c"], "args": [script]});
    world.change(|task| task["spec"]["steps"].as_array_mut().unwrap().insert(0, fill));
    sparse(&world.model.join("weights.bin"), 64 * MIB);
    let outcome = world.run(&world.package()).expect_success();
    assert!(outcome.step("package").usage.scratch >= SCRATCH, "{}", outcome.log());
}

#[test]
fn a_step_without_any_place_to_write_to_packs_and_signs() {
    let Some(mut world) = World::new() else { return };
    world.change(|task| {
        task["spec"]["volumes"].as_array_mut().unwrap().retain(|volume| volume["name"] != "scratch");
        let template = &mut task["spec"]["stepTemplate"];
        template["volumeMounts"].as_array_mut().unwrap().retain(|mount| mount["name"] != "scratch");
        template["env"] = json!([{"name": "HOME", "value": "/none"}, {"name": "TMPDIR", "value": "/none"}]);
    });
    sparse(&world.model.join("weights.bin"), 64 * MIB);
    world.run(&world.package()).expect_success();
}

/// A tmpfs, as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: PathBuf, size: u64) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        run(Command::new(need("mount")?).args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&folder));
        Some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // the registry still has files open there
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_registry_whose_disk_is_full_has_no_tag_and_no_half_image() {
    let Some(world) = World::new() else { return };
    let Some(disk) = SmallDisk::at(world.registry.data(), 16 * MIB) else { return };
    sparse(&world.model.join("weights.bin"), 48 * MIB);
    let outcome = world.run(&world.package());
    expect_failure(&outcome, "package", 1, "was answered with status 500");
    assert!(outcome.step("package").stderr.contains("hint: the registry has a problem of its own"), "{}", outcome.log());
    assert_eq!(outcome.step("sign").reason, "Skipped");
    for result in ["IMAGE_REF", "IMAGE_DIGEST", "IMAGE_URL"] {
        assert!(outcome.results.get(result).is_none_or(|value| value.text() == Some("")), "{:?}", outcome.results);
    }
    let manifests = disk.0.join("docker/registry/v2/repositories/team/iris/_manifests");
    assert!(!manifests.exists(), "nothing was given a name");

    // with room, the same run ends well
    run(Command::new("mount").args(["-o", "remount,size=128m"]).arg(&disk.0));
    world.run(&world.package()).expect_success();
    assert!(manifests.join("tags/v1").exists());
}
