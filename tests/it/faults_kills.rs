//! A push that is killed at any byte leaves nothing half that anybody sees, and the next run ends as the first should have. Two pushes at
//! once do not spoil each other.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier, Condvar, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::fault_proxy::{Fault, Gate, Part, Proxy, Rule};
use crate::support::faults::{Bench, digest_of, write_model};
use crate::support::run;

/// A process that is not started yet, for those who will kill it.
#[derive(Clone, Default)]
struct Victim(Arc<(Mutex<Option<Pid>>, Condvar)>);

impl Victim {
    fn start(&self, command: &mut Command) -> Child {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        *self.0.0.lock().unwrap() = Pid::from_raw(child.id().try_into().unwrap());
        self.0.1.notify_all();
        child
    }

    fn end(&self, signal: Signal) {
        let pid = self.0.1.wait_while(self.0.0.lock().unwrap(), |pid| pid.is_none()).unwrap();
        kill_process(pid.unwrap(), signal).unwrap();
    }
}

/// Runs a command that is killed when `byte` bytes have gone through the gate.
pub fn run_and_kill(command: &mut Command, gate: &Gate, byte: u64, signal: Signal) {
    let victim = Victim::default();
    let prey = victim.clone();
    gate.at(byte, move || prey.end(signal));
    let status = victim.start(command).wait().unwrap();
    assert!(!status.success(), "it ended well although byte {byte} never passed");
    assert!(signal != Signal::KILL || status.signal() == Some(9), "{status}");
}

/// Points below `end`, the same in every run.
pub fn points(count: usize, seed: u64, end: u64) -> Vec<u64> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % end
    };
    (0..count).map(|_| next()).collect()
}

/// Every file below a folder, without what the digest cache keeps for the next run.
pub fn files(dir: &Path) -> BTreeSet<String> {
    let walk = walkdir::WalkDir::new(dir).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let names = walk.map(|entry| entry.path().strip_prefix(dir).unwrap().display().to_string());
    names.filter(|name| !name.starts_with(".cache/modelcar/digests/")).collect()
}

fn push(bench: &Bench, host: &str, place: &str) -> Command {
    let mut command = bench.push(&format!("{host}/{place}/m:v1"));
    let temporary = bench.home().join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    command.env("TMPDIR", temporary);
    command
}

fn kill_pushes(signal: Signal, seed: u64) {
    let Some(bench) = Bench::start() else { return };
    let calm = Proxy::start(&bench.registry.host, Vec::new());
    run(&mut push(&bench, &calm.host(), "whole"));
    let (end, before) = (calm.sent().passed(), files(bench.home()));
    for (number, byte) in points(25, seed, end).into_iter().enumerate() {
        let place = format!("killed{number}");
        let proxy = Proxy::start(&bench.registry.host, Vec::new());
        run_and_kill(&mut push(&bench, &proxy.host(), &place), proxy.sent(), byte, signal);
        assert_eq!(bench.registry.incomplete_tags(), [""; 0], "{signal:?} at byte {byte}");
        let again = run(&mut push(&bench, &proxy.host(), &place));
        assert_eq!(digest_of(&again), bench.digest, "{signal:?} at byte {byte}");
        assert_eq!(bench.registry.tag(&format!("{place}/m"), "v1").as_ref(), Some(&bench.digest), "{signal:?} at byte {byte}");
        assert_eq!(files(bench.home()), before, "{signal:?} at byte {byte}");
    }
    assert_eq!(bench.registry.incomplete_tags(), [""; 0]);
}

#[test]
fn a_push_is_killed_at_25_points() {
    kill_pushes(Signal::KILL, 0x5eed);
}

#[test]
fn a_push_is_terminated_at_25_points() {
    kill_pushes(Signal::TERM, 0xbeef);
}

#[test]
fn a_pull_is_killed_at_12_points() {
    let Some(bench) = Bench::start() else { return };
    let pull = |host: &str, place: &str| {
        let mut command = bench.modelcar();
        command.args(["pull", "-q", &format!("{host}/calm/m:v1"), place]);
        command
    };
    let calm = Proxy::start(&bench.registry.host, Vec::new());
    run(&mut pull(&calm.host(), "whole"));
    let (end, whole) = (calm.received().passed(), files(&bench.home().join("whole")));
    for (number, byte) in points(12, 0xfeed, end).into_iter().enumerate() {
        let place = format!("killed{number}");
        let proxy = Proxy::start(&bench.registry.host, Vec::new());
        run_and_kill(&mut pull(&proxy.host(), &place), proxy.received(), byte, Signal::KILL);
        let dir = bench.home().join(&place);
        bench.layout_is_whole(&dir).unwrap_or_else(|half| panic!("killed at byte {byte}: {half}"));
        run(&mut pull(&proxy.host(), &place));
        assert_eq!(bench.layout_is_whole(&dir), Ok(true), "killed at byte {byte}");
        assert_eq!(files(&dir), whole, "killed at byte {byte}");
    }
}

/// Both set the tag at the same moment: neither may do it before the other wants to.
fn push_two(bench: &Bench, place: &str, models: [&str; 2]) -> [String; 2] {
    let barrier = Arc::new(Barrier::new(2));
    let proxies = models.map(|_| {
        let barrier = barrier.clone();
        let wait = Fault::Call(Arc::new(move || {
            barrier.wait();
        }));
        Proxy::start(&bench.registry.host, vec![Rule::on("PUT", "/manifests/v1", Part::RequestHead, 0, wait)])
    });
    let children = [0, 1].map(|number| {
        let image = format!("{}/{place}/m:v1", proxies[number].host());
        let mut command = bench.modelcar();
        command.args(["build", "-q", "--push", "-t", &image, models[number]]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    children.map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        digest_of(&output)
    })
}

#[test]
fn of_two_pushes_at_once_one_wins_and_both_images_are_whole() {
    let Some(bench) = Bench::start() else { return };
    let other = bench.home().join("other");
    std::fs::create_dir(&other).unwrap();
    write_model(&other, 2);
    for round in 0..4 {
        let (same, two) = (format!("same{round}"), format!("two{round}"));
        assert_eq!(push_two(&bench, &same, ["model", "model"]), [bench.digest.clone(), bench.digest.clone()]);
        assert_eq!(bench.registry.tag(&format!("{same}/m"), "v1").as_ref(), Some(&bench.digest));
        let digests = push_two(&bench, &two, ["model", "other"]);
        assert_ne!(digests[0], digests[1]);
        let winner = bench.registry.tag(&format!("{two}/m"), "v1").unwrap();
        assert!(digests.contains(&winner), "{winner} of {digests:?}");
        for digest in &digests {
            assert_eq!(bench.registry.lacks(&format!("{two}/m"), digest), None);
        }
    }
    assert_eq!(bench.registry.incomplete_tags(), [""; 0]);
}
