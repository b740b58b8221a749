//! A layout or archive that is being written when the process is killed, or the disk is full, is what it was before: other readers read it,
//! and the next run ends as the first should have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use modelcar::oci::Digest;
use rustix::process::Signal;

use crate::faults_kills::{files, points, run_and_kill};
use crate::support::fault_proxy::Proxy;
use crate::support::faults::{Bench, insta_filters};
use crate::support::small_disk::SmallDisk;
use crate::support::{clean_command, lacks, need, run, stdout_of, temp_dir};

/// Readers of layouts that are not ours.
struct Readers {
    skopeo: PathBuf,
    umoci: PathBuf,
}

impl Readers {
    fn new() -> Option<Self> {
        Some(Self { skopeo: need("skopeo")?, umoci: need("umoci")? })
    }

    /// Every byte of each image is read by skopeo, which checks digests; umoci names the same images.
    fn read(&self, layout: &Path, names: &[&str]) {
        let home = temp_dir();
        let listed = stdout_of(clean_command(&self.umoci, home.path()).args(["list", "--layout"]).arg(layout));
        let listed: BTreeSet<&str> = listed.lines().collect();
        assert_eq!(listed.into_iter().collect::<Vec<_>>(), names, "{}", layout.display());
        self.copy(home.path(), &format!("oci:{}", layout.display()), names);
    }

    fn copy(&self, home: &Path, place: &str, names: &[&str]) {
        for name in names {
            let mut command = clean_command(&self.skopeo, home);
            let to = format!("oci:{}", home.join(name).display());
            run(command.args(["--insecure-policy", "copy", "-q", "--all", "--preserve-digests", &format!("{place}:{name}"), &to]));
        }
    }
}

/// A bench with a small image `old`, as a layout and as an archive.
fn bench() -> Option<Bench> {
    let bench = Bench::start()?;
    fs::create_dir(bench.home().join("small")).unwrap();
    fs::write(bench.home().join("small/model.bin"), [7; 3000]).unwrap();
    for place in ["oci:old.oci:old", "oci-archive:old.tar:old"] {
        run(bench.modelcar().args(["build", "-q", "-o", place, "small"]));
    }
    Some(bench)
}

/// Puts the image `old` where another one is to come.
fn with_old(bench: &Bench, layout: &Path) {
    run(Command::new("cp").arg("-r").arg(bench.home().join("old.oci")).arg(layout));
}

/// The same command under strace, killed when one of its threads makes one of these calls for the n-th time.
fn killed_at(strace: &Path, command: &Command, calls: &str, number: usize) -> Command {
    let mut traced = Command::new(strace);
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={calls}:signal=KILL:when={number}")]);
    traced.arg(command.get_program()).args(command.get_args()).env_clear();
    traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.current_dir(command.get_current_dir().unwrap());
    traced
}

fn tracer() -> Option<PathBuf> {
    let strace = need("strace")?;
    let output = Command::new(&strace).args(["-f", "-qq", "-o", "/dev/null", "true"]).output().unwrap();
    if output.status.success() { Some(strace) } else { lacks("the right to trace a process") }
}

#[test]
fn a_build_into_a_layout_is_killed_at_every_step() {
    let (Some(bench), Some(readers), Some(strace)) = (bench(), Readers::new(), tracer()) else { return };
    let build = |place: &Path| {
        let mut command = bench.modelcar();
        command.args(["build", "-q", "-o", &format!("oci:{}:new", place.display()), "model"]);
        command
    };
    let calm = bench.home().join("calm");
    with_old(&bench, &calm);
    run(&mut build(&calm));
    let (whole, mut kills, mut runs) = (files(&calm), 0, 0);
    for calls in ["fsync", "?rename,?renameat,?renameat2", "write", "flock"] {
        for number in 1.. {
            runs += 1;
            let place = bench.home().join(format!("killed{runs}"));
            with_old(&bench, &place);
            let output = killed_at(&strace, &build(&place), calls, number).output().unwrap();
            if output.status.success() {
                assert!(number > 1, "{calls} is never called");
                break;
            }
            kills += 1;
            let shows_new = bench.layout_is_whole(&place).unwrap_or_else(|half| panic!("{calls} {number}: {half}"));
            readers.read(&place, if shows_new { &["new", "old"] } else { &["old"] });
            run(&mut build(&place));
            assert_eq!(bench.layout_is_whole(&place), Ok(true), "{calls} {number}");
            assert_eq!(files(&place), whole, "{calls} {number}");
            readers.read(&place, &["new", "old"]);
        }
    }
    assert!(kills >= 20, "{kills}");
}

#[test]
fn a_copy_into_a_layout_is_killed_at_20_points() {
    let (Some(bench), Some(readers)) = (bench(), Readers::new()) else { return };
    let copy = |host: &str, place: &Path| {
        let mut command = bench.modelcar();
        command.args(["copy", "-q", &format!("{host}/calm/m:v1"), &format!("oci:{}:new", place.display())]);
        command
    };
    let calm = Proxy::start(&bench.registry.host, Vec::new());
    let whole = bench.home().join("whole");
    with_old(&bench, &whole);
    run(&mut copy(&calm.host(), &whole));
    let (end, whole) = (calm.received().passed(), files(&whole));
    for (number, byte) in points(20, 0xcafe, end).into_iter().enumerate() {
        let place = bench.home().join(format!("killed{number}"));
        with_old(&bench, &place);
        let proxy = Proxy::start(&bench.registry.host, Vec::new());
        run_and_kill(&mut copy(&proxy.host(), &place), proxy.received(), byte, Signal::KILL);
        readers.read(&place, &["old"]);
        run(&mut copy(&proxy.host(), &place));
        assert_eq!(bench.layout_is_whole(&place), Ok(true), "killed at byte {byte}");
        assert_eq!(files(&place), whole, "killed at byte {byte}");
        readers.read(&place, &["new", "old"]);
    }
}

#[test]
fn an_extract_that_is_terminated_leaves_nothing_or_all() {
    let Some(bench) = Bench::start() else { return };
    let extract = |host: &str, place: &str| {
        let mut command = bench.modelcar();
        command.args(["extract", "-q", &format!("{host}/calm/m:v1"), place]);
        command
    };
    let calm = Proxy::start(&bench.registry.host, Vec::new());
    run(&mut extract(&calm.host(), "whole"));
    let (end, mut before, whole) = (calm.received().passed(), entries(bench.home()), content(&bench.home().join("whole")));
    for (number, byte) in points(10, 0xbabe, end).into_iter().enumerate() {
        let place = format!("terminated{number}");
        let proxy = Proxy::start(&bench.registry.host, Vec::new());
        run_and_kill(&mut extract(&proxy.host(), &place), proxy.received(), byte, Signal::TERM);
        let extracted = bench.home().join(&place);
        if extracted.exists() {
            assert_eq!(content(&extracted), whole, "terminated at byte {byte}");
            before.insert(place);
        }
        assert_eq!(entries(bench.home()), before, "terminated at byte {byte}");
    }
}

/// The names in a folder.
fn entries(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn said(output: &Output, disk: &Path) -> String {
    let words = String::from_utf8_lossy(&output.stderr).replace(&disk.display().to_string(), "[DISK]");
    format!("exit code {}\n{}\n", output.status.code().unwrap(), words.trim_end())
}

/// What is on the disk, byte for byte.
fn content(dir: &Path) -> Vec<(String, Vec<u8>)> {
    files(dir).into_iter().map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect()
}

/// What came to a disk beside what was there: nothing, or blobs that are whole, which the next run need not write.
fn came(before: &[(String, Vec<u8>)], after: Vec<(String, Vec<u8>)>) -> Vec<String> {
    assert!(before.iter().all(|file| after.contains(file)), "what was there is changed or gone");
    let is_whole = |name: &str, bytes: &[u8]| {
        name.strip_prefix("l/blobs/sha256/").is_some_and(|hex| Digest::of(bytes).to_string() == format!("sha256:{hex}"))
    };
    let new = after.into_iter().filter(|file| !before.contains(file));
    new.filter(|(name, bytes)| !is_whole(name, bytes)).map(|(name, _)| name).collect()
}

#[test]
fn a_disk_that_is_full_keeps_what_was_there_and_takes_the_rest_when_there_is_room() {
    let (Some(bench), Some(readers)) = (bench(), Readers::new()) else { return };
    let image = format!("{}/calm/m:v1", bench.registry.host);
    let mut told = String::new();
    for (name, words) in [
        ("build a layout", ["build", "model", "-o", "oci:DISK/l:new"].as_slice()),
        ("build an archive", &["build", "model", "-o", "oci-archive:DISK/a.tar:new"]),
        ("copy to a layout", &["copy", "IMAGE", "oci:DISK/l:new"]),
        ("copy to an archive", &["copy", "IMAGE", "oci-archive:DISK/a.tar:new"]),
        ("pull", &["pull", "IMAGE", "oci:DISK/l:new"]),
        ("extract", &["extract", "IMAGE", "DISK/model"]),
    ] {
        let folder = temp_dir();
        let Some(disk) = SmallDisk::mount(folder.path(), "size=1m") else { return };
        let (layout, archive) = (folder.path().join("l"), folder.path().join("a.tar"));
        with_old(&bench, &layout);
        fs::copy(bench.home().join("old.tar"), &archive).unwrap();
        let before = content(folder.path());
        let mut command = bench.modelcar();
        command
            .arg("-q")
            .args(words.iter().map(|word| word.replace("DISK", &folder.path().display().to_string()).replace("IMAGE", &image)));
        told += name;
        told += ": ";
        told += &said(&command.output().unwrap(), folder.path());
        assert_eq!(came(&before, content(folder.path())), [""; 0], "{name}");
        readers.read(&layout, &["old"]);
        let home = temp_dir();
        readers.copy(home.path(), &format!("oci-archive:{}", archive.display()), &["old"]);

        disk.grow("size=32m");
        run(&mut command);
        match words.last().unwrap() {
            place if place.contains("/l:") => readers.read(&layout, &["new", "old"]),
            place if place.contains("a.tar") => {
                readers.copy(temp_dir().path(), &format!("oci-archive:{}", archive.display()), &["new", "old"]);
            }
            _ => assert!(content(&folder.path().join("model")) == content(&bench.home().join("model")), "{name}"),
        }
    }
    let mut settings = insta_filters(&bench);
    // of several files at once any may be the first for which there is no room
    settings.add_filter(r"\[DISK\]/\S+", "[DISK]/[FILE]");
    settings.bind(|| insta::assert_snapshot!(told));
}

/// All blobs are there, and not even the table of contents can be written anew.
#[test]
fn a_name_that_cannot_be_written_changes_none_of_the_others() {
    let (Some(bench), Some(readers)) = (bench(), Readers::new()) else { return };
    let folder = temp_dir();
    let Some(disk) = SmallDisk::mount(folder.path(), "size=1m") else { return };
    let layout = folder.path().join("l");
    with_old(&bench, &layout);
    let filler = folder.path().join("filler");
    assert!(fs::write(&filler, vec![0; 2 << 20]).is_err());
    let before = content(&layout);
    let [from, to] = ["old", "other"].map(|name| format!("oci:{}:{name}", layout.display()));
    let mut copy = bench.modelcar();
    copy.args(["copy", "-q", &from, &to]);
    let output = copy.output().unwrap();
    insta_filters(&bench).bind(|| insta::assert_snapshot!(said(&output, folder.path())));
    assert!(content(&layout) == before);
    readers.read(&layout, &["old"]);
    disk.grow("size=4m");
    run(&mut copy);
    readers.read(&layout, &["old", "other"]);
}
