//! Real containers: Debian's runc, started as root with a memory limit, an unprivileged user and a read-only root.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{lacks, need, run, stdout_of};

/// A user as OpenShift gives a namespace; nobody in any image.
pub(crate) const RANDOM_USER: u32 = 1_000_660_000;
/// KServe's default for the containers of a modelcar.
pub(crate) const MEMORY_LIMIT: u64 = 15 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts containers whose state lies in a folder of the test.
pub(crate) struct Runc {
    program: PathBuf,
    state: tempfile::TempDir,
}

/// What a container runs and where.
pub(crate) struct Container<'a> {
    pub(crate) rootfs: &'a Path,
    pub(crate) args: &'a [&'a str],
    /// Folders of this machine and where they appear, writable: a pod's emptyDir.
    pub(crate) volumes: &'a [(&'a Path, &'a str)],
    /// The process namespace to join: `shareProcessNamespace`.
    pub(crate) pid_of: Option<u32>,
    pub(crate) env: &'a [&'a str],
}

impl Runc {
    /// `None`, said on stderr, where this machine cannot start containers.
    pub(crate) fn new(busybox: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return lacks("the right to start containers");
        }
        let runc = Self { program: need("runc")?, state: super::temp_dir() };
        let probe = Container { rootfs: busybox, args: &["true"], volumes: &[], pid_of: None, env: &["PATH=/bin"] };
        let output = runc.run("probe", &probe);
        if output.status.success() { Some(runc) } else { lacks(&format!("a cgroup that runc may use ({})", text(&output.stderr).trim())) }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.state.path().join("state"));
        command
    }

    /// Runs a container to its end.
    pub(crate) fn run(&self, name: &str, container: &Container) -> Output {
        let bundle = self.bundle(name, container);
        self.command().arg("run").arg("--bundle").arg(bundle).arg(name).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts a container; gives it back once its process runs.
    pub(crate) fn start(&self, name: &str, container: &Container) -> Running<'_> {
        let (bundle, pid_file) = (self.bundle(name, container), self.state.path().join(format!("{name}.pid")));
        let log = std::fs::File::create(self.state.path().join(format!("{name}.log"))).unwrap();
        let mut command = self.command();
        command.arg("run").arg("--detach").arg("--pid-file").arg(&pid_file).arg("--bundle").arg(bundle).arg(name);
        let status = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).status().unwrap();
        let said = std::fs::read_to_string(self.state.path().join(format!("{name}.log"))).unwrap();
        assert!(status.success(), "runc run {name}: {said}");
        let pid = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        Running { runc: self, name: name.to_owned(), pid }
    }

    fn cgroup(name: &str) -> String {
        format!("/modelcar-test-{}-{name}", std::process::id())
    }

    /// A command that runs a container of this configuration in the foreground: its output and status are the container's.
    pub(crate) fn foreground(&self, name: &str, config: &Value) -> Command {
        let mut command = self.command();
        command.arg("run").arg("--bundle").arg(self.write_bundle(name, config)).arg(name).stdin(Stdio::null());
        command
    }

    /// Ends a container at once, however far it is.
    pub(crate) fn kill(&self, name: &str) {
        let _ = self.command().args(["kill", name, "KILL"]).output();
    }

    fn bundle(&self, name: &str, container: &Container) -> PathBuf {
        self.write_bundle(name, &container.config(name))
    }

    fn write_bundle(&self, name: &str, config: &Value) -> PathBuf {
        let bundle = self.state.path().join(name);
        std::fs::create_dir_all(&bundle).unwrap();
        std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        bundle
    }
}

impl Container<'_> {
    /// `config.json` as an engine would write it: <https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md>.
    fn config(&self, name: &str) -> Value {
        let volume =
            |(source, at): &(&Path, &str)| json!({"destination": at, "type": "bind", "source": source, "options": ["rbind", "rw"]});
        let mounts: Vec<Value> = kernel_mounts().into_iter().chain(self.volumes.iter().map(volume)).collect();
        let pid = match self.pid_of {
            Some(pid) => json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")}),
            None => json!({"type": "pid"}),
        };
        let namespaces: Vec<Value> =
            ["mount", "ipc", "uts", "network"].map(|kind| json!({"type": kind})).into_iter().chain([pid]).collect();
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": RANDOM_USER, "gid": 0}, "args": self.args, "env": self.env, "cwd": "/",
                "noNewPrivileges": true, "capabilities": {"bounding": [], "effective": [], "permitted": []},
            },
            "root": {"path": self.rootfs, "readonly": true},
            "mounts": mounts,
            "linux": {
                "namespaces": namespaces, "cgroupsPath": Runc::cgroup(name),
                "resources": {"memory": {"limit": MEMORY_LIMIT}, "pids": {"limit": 64}},
                "maskedPaths": ["/proc/kcore", "/proc/keys"], "readonlyPaths": ["/proc/sys", "/proc/bus"],
            },
        })
    }
}

/// What every container has of the kernel's file systems.
pub(crate) fn kernel_mounts() -> Vec<Value> {
    let mount = |kind: &str, at: &str, options: &[&str]| json!({"destination": at, "type": kind, "source": kind, "options": options});
    vec![mount("proc", "/proc", &[]), mount("tmpfs", "/dev", &["nosuid", "mode=755", "size=65536k"])]
}

/// A container that is removed when the test ends, however it ends.
pub(crate) struct Running<'a> {
    runc: &'a Runc,
    name: String,
    /// Its process as this machine counts.
    pub(crate) pid: u32,
}

impl Running<'_> {
    /// Asks it to end, and says how long that took.
    pub(crate) fn terminate(&self) -> Duration {
        let start = Instant::now();
        run(self.runc.command().args(["kill", &self.name, "TERM"]));
        while self.state() != "stopped" {
            assert!(start.elapsed() < PATIENCE, "{} does not end", self.name);
        }
        start.elapsed()
    }

    /// `running`, `stopped`.
    pub(crate) fn state(&self) -> String {
        let state: Value = serde_json::from_str(&stdout_of(self.runc.command().args(["state", &self.name]))).unwrap();
        state["status"].as_str().unwrap().to_owned()
    }

    /// The most memory its cgroup had, in bytes, with what runc itself needed to start it.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let cgroup = Runc::cgroup(&self.name);
        let places = [format!("/sys/fs/cgroup/memory{cgroup}/memory.max_usage_in_bytes"), format!("/sys/fs/cgroup{cgroup}/memory.peak")];
        places.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
    }

    /// What the container's cgroup holds now, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        let cgroup = Runc::cgroup(&self.name);
        let places = [format!("/sys/fs/cgroup/memory{cgroup}/memory.usage_in_bytes"), format!("/sys/fs/cgroup{cgroup}/memory.current")];
        places.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.runc.command().args(["delete", "--force", &self.name]).output();
    }
}

/// Waits for what a container does in its own time.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A root with Debian's static busybox, for the container beside the modelcar's; `None` where it is missing.
pub(crate) fn busybox_root(folder: &Path) -> Option<PathBuf> {
    let busybox = need("busybox")?;
    let root = folder.join("busybox");
    std::fs::create_dir_all(root.join("bin")).unwrap();
    // by a process of its own, see `shell_kserve.rs`
    run(Command::new(need("cp")?).arg("-L").arg(busybox).arg(root.join("bin/busybox")));
    for name in ["sh", "true", "sha256sum", "cat", "ls", "sleep"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    Some(root)
}

/// Unpacks the image for this machine's architecture as an engine would: skopeo chooses it, umoci unpacks.
pub(crate) fn unpack(layout: &Path, name: &str, into: &Path) -> Option<PathBuf> {
    let (skopeo, umoci) = (need("skopeo")?, need("umoci")?);
    let one = into.join("one");
    run(Command::new(skopeo)
        .args(["copy", "-q", "--override-os=linux"])
        .arg(format!("oci:{}:{name}", layout.display()))
        .arg(format!("oci:{}:v1", one.display())));
    run(Command::new(umoci).args(["unpack", "--image"]).arg(format!("{}:v1", one.display())).arg(into.join("bundle")));
    Some(into.join("bundle/rootfs"))
}

/// Bytes for a message.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
