//! KServe's own command lines, in a root file system that holds the shell, its links and `/models`, and nothing else.
//!
//! The scripts are those of kserve `pkg/utils/storage.go` (master at aaac4e294) and of v0.12 to v0.14, as the shell sees them after
//! Kubernetes has halved the dollars.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::support::tiny_shell::native;
use crate::support::{lacks, need};

const SIDECAR: &str = "ln -sf /proc/$$/root/models /mnt/models && sleep infinity";
const SIDECAR_BEFORE_0_15: &str = "ln -s /proc/$$/root/models /mnt/models && sleep infinity";
const SIDECAR_OWN_PATH: &str = r"mkdir -p '/mnt/it'\''s all' && ln -sf /proc/$$/root/models '/mnt/it'\''s all/a model' && sleep infinity";
const INIT: &str = "echo 'Pre-fetching modelcar quay.io/team/model@sha256:0123: ' && [ -d /models ] && [ \"$(ls -A /models)\" ] \
    && echo 'OK ... Prefetched and valid (/models exists)' \
    || (echo 'NOK ... Prefetched but modelcar is invalid (/models does not exist or is empty)' && exit 1)";
const OK: &str = "OK ... Prefetched and valid (/models exists)\n";
const NOK: &str = "NOK ... Prefetched but modelcar is invalid (/models does not exist or is empty)\n";
const PATIENCE: Duration = Duration::from_secs(20);

/// A container's root, with the tools that start it.
struct Container {
    root: tempfile::TempDir,
    chroot: PathBuf,
}

impl Container {
    /// `None` (said on stderr) where this machine cannot start one.
    fn new() -> Option<Self> {
        let platform = native()?;
        if !geteuid().is_root() {
            lacks::<()>("the right to chroot");
            return None;
        }
        let chroot = need("chroot")?;
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "models", "mnt"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        // by a process of its own: a writable descriptor of ours may be inherited by a process that another test starts just
        // now, and a file open for writing cannot be executed
        let copied = Command::new(need("cp")?).arg(platform.file()).arg(root.path().join("bin/sh")).status().unwrap();
        assert!(copied.success());
        fs::write(root.path().join("models/model.onnx"), "weights").unwrap();
        Some(Self { root, chroot })
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside.trim_start_matches('/'))
    }

    /// `sh -c script` as a container runtime starts it: found on the image's PATH, in the image's root.
    fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.chroot);
        command.arg(self.root.path()).args(["sh", "-c", script]).env_clear().env("PATH", "/bin");
        command
    }

    fn run(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    fn start(&self, script: &str) -> Running {
        Running(self.command(script).stdin(Stdio::null()).spawn().unwrap())
    }
}

/// A container that is killed when the test ends, however it ends.
struct Running(Child);

impl Running {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Exit status, if it ends within a second.
    fn ends_within_a_second(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            if start.elapsed() > Duration::from_secs(1) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn points_to(link: &Path, pid: u32) -> bool {
    fs::read_link(link).is_ok_and(|target| target.to_str() == Some(&format!("/proc/{pid}/root/models")))
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

fn is_asleep(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sh\n")
        && fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| status.contains("State:\tS"))
}

#[test]
fn the_init_check_passes_an_image_with_a_model() {
    let Some(container) = Container::new() else { return };
    let output = container.run(INIT);
    assert!(output.status.success(), "{output:?}");
    let expected = format!("Pre-fetching modelcar quay.io/team/model@sha256:0123: \n{OK}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert!(output.stderr.is_empty());
}

#[test]
fn the_init_check_fails_an_image_whose_models_folder_is_empty_or_missing() {
    let Some(container) = Container::new() else { return };
    fs::remove_file(container.path("/models/model.onnx")).unwrap();
    let empty = container.run(INIT);
    fs::remove_dir(container.path("/models")).unwrap();
    let missing = container.run(INIT);
    for output in [empty, missing] {
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stdout).unwrap().ends_with(NOK));
    }
}

#[test]
fn another_process_reads_the_model_through_the_sidecars_link() {
    let own_path = "/mnt/it's all/a model";
    for (script, link) in [(SIDECAR, "/mnt/models"), (SIDECAR_BEFORE_0_15, "/mnt/models"), (SIDECAR_OWN_PATH, own_path)] {
        let Some(container) = Container::new() else { return };
        let sidecar = container.start(script);
        let link = container.path(link);
        wait_until("the link", || points_to(&link, sidecar.pid()));
        assert_eq!(fs::read_to_string(link.join("model.onnx")).unwrap(), "weights");
    }
}

#[test]
fn a_restarted_sidecar_replaces_its_predecessors_link_even_while_that_leads_to_a_folder() {
    let Some(container) = Container::new() else { return };
    let link = container.path("/mnt/models");
    let first = container.start(SIDECAR);
    wait_until("the first link", || points_to(&link, first.pid()));
    // The link resolves inside the chroot too, when /models is what it leads to.
    std::os::unix::fs::symlink("/models", container.path("/mnt/next")).unwrap();
    fs::rename(container.path("/mnt/next"), &link).unwrap();
    let second = container.start(SIDECAR);
    wait_until("the second link", || points_to(&link, second.pid()));
    assert_eq!(fs::read_dir(container.path("/models")).unwrap().count(), 1, "no link inside the model");
}

#[test]
fn a_sidecar_that_cannot_serve_fails_instead_of_waiting() {
    let Some(container) = Container::new() else { return };
    fs::create_dir(container.path("/mnt/models")).unwrap();
    let blocked = container.run(SIDECAR);
    fs::remove_dir_all(container.path("/models")).unwrap();
    let without_model = container.run("ln -sf /proc/$$/root/models /mnt/link && sleep infinity");
    for (output, reason) in [(blocked, "/mnt/models: is a directory"), (without_model, "/mnt/link would lead nowhere")] {
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(reason), "{output:?}");
    }
}

#[test]
fn an_asked_container_ends_at_once() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        let Some(container) = Container::new() else { return };
        let mut sidecar = container.start("sleep infinity");
        wait_until("the sleep", || is_asleep(sidecar.pid()));
        send(sidecar.pid(), signal);
        assert_eq!(sidecar.ends_within_a_second(), Some(status));
    }
}

/// Starts the script as process 1 of a new process namespace; gives `unshare`'s process and process 1's pid as seen from here.
fn start_as_process_1(container: &Container, script: &str) -> Option<(Running, u32)> {
    let mut command = Command::new(need("unshare")?);
    command.args(["--pid", "--fork", "--kill-child"]).arg(&container.chroot).arg(container.root.path());
    let unshare = Running(command.args(["sh", "-c", script]).env_clear().env("PATH", "/bin").spawn().unwrap());
    let mut children = Vec::new();
    wait_until("process 1", || {
        children = children_of(unshare.pid());
        children.first().is_some_and(|pid| is_asleep(*pid))
    });
    Some((unshare, children[0]))
}

fn children_of(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn process_1_ends_at_once_too() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let Some(container) = Container::new() else { return };
        let Some((mut unshare, process_1)) = start_as_process_1(&container, SIDECAR) else { return };
        assert_eq!(fs::read_link(container.path("/mnt/models")).unwrap(), Path::new("/proc/1/root/models"));
        send(process_1, signal);
        assert_eq!(unshare.ends_within_a_second(), Some(status));
    }
}

#[test]
fn process_1_leaves_no_zombies() {
    let Some(container) = Container::new() else { return };
    let Some(nsenter) = need("nsenter") else { return };
    let Some((_unshare, process_1)) = start_as_process_1(&container, "sleep infinity") else { return };
    // the shell in the namespace ends first, so its background process becomes process 1's
    let orphan = Command::new(nsenter).args(["--pid", "--target", &process_1.to_string(), "sh", "-c", "read line & exit"]).spawn();
    assert!(orphan.unwrap().wait().unwrap().success());
    wait_until("the orphan's end", || children_of(process_1).is_empty());
}

#[test]
fn memory_stays_below_one_mebibyte_even_with_the_largest_listing() {
    let Some(container) = Container::new() else { return };
    for number in 0..8192 {
        fs::write(container.path(&format!("/models/{number:020}")), "").unwrap();
    }
    for script in [SIDECAR, "[ \"$(ls -A /models)\" ] && sleep infinity"] {
        let sidecar = container.start(script);
        wait_until("the sleep", || is_asleep(sidecar.pid()));
        let status = fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        let kibibytes: u32 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kibibytes <= 1024, "{script}: {peak}");
    }
}
