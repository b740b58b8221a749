//! The container of a step: runc as a container engine of a restricted-v2 namespace would call it, and what it used.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::volumes::{FS_GROUP, Laid};
use super::{Cluster, Image};
use crate::support::runc::{RANDOM_USER, kernel_mounts};

/// What cgroup v1 and v2 call the most memory that a group had.
const PEAK: [&str; 2] = ["memory.max_usage_in_bytes", "memory.peak"];

/// A folder of this machine and where the step sees it.
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) at: String,
    pub(crate) read_only: bool,
}

/// A step that is ready to start.
pub(crate) struct Sandbox<'a> {
    pub(crate) name: &'a str,
    pub(crate) image: &'a Image,
    pub(crate) command: &'a [String],
    pub(crate) environment: &'a [(String, String)],
    pub(crate) working_dir: &'a str,
    pub(crate) mounts: &'a [Mount],
    pub(crate) read_only_root: bool,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) time_limit: Duration,
    /// What is measured as scratch.
    pub(crate) scratch: &'a [&'a Laid],
    /// Where the engine keeps the container's files.
    pub(crate) folder: &'a Path,
}

/// What a step did.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// 137 where it was killed.
    pub(crate) exit_code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) timed_out: bool,
    pub(crate) usage: Usage,
}

/// The most that a step used, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Of memory as the kernel counts it against the limit: with the pages of files, and with runc's own start.
    pub(crate) memory: u64,
    /// Of memory that no file backs, looked at every few milliseconds.
    pub(crate) anonymous: u64,
    /// In all scratch volumes together, looked at likewise.
    pub(crate) scratch: u64,
}

impl Sandbox<'_> {
    pub(crate) fn run(&self, cluster: &Cluster) -> Ended {
        let group = Group::new(self.name);
        let (out, err) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let mut command = cluster.runc.foreground(self.name, &self.config(&group));
        let mut child = command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        let (start, mut usage, mut timed_out) = (Instant::now(), Usage::default(), false);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            self.look(&group, &mut usage);
            if start.elapsed() > self.time_limit {
                timed_out = true;
                cluster.runc.kill(self.name);
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        self.look(&group, &mut usage);
        usage.memory = group.peak();
        let text = |file: &Path| String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        Ended { exit_code: exit_code(status), stdout: text(&out), stderr: text(&err), timed_out, usage }
    }

    fn look(&self, group: &Group, usage: &mut Usage) {
        usage.anonymous = usage.anonymous.max(group.anonymous());
        usage.scratch = usage.scratch.max(self.scratch.iter().map(|laid| laid.used()).sum());
    }

    fn config(&self, group: &Group) -> Value {
        let env = self.image.env.iter().cloned().chain(["HOSTNAME=step-pod".to_owned()]);
        let env: Vec<String> = env.chain(self.environment.iter().map(|(name, value)| format!("{name}={value}"))).collect();
        let no_capabilities = json!({"bounding": [], "effective": [], "permitted": [], "inheritable": [], "ambient": []});
        // the network is this machine's, where the tests' registries and Git servers listen
        let namespaces = ["mount", "ipc", "uts", "pid"].map(|kind| json!({"type": kind}));
        json!({
            "ociVersion": "1.0.2",
            "hostname": "step-pod",
            "process": {
                "user": {"uid": RANDOM_USER, "gid": 0, "additionalGids": [FS_GROUP]}, "args": self.command, "env": env, "cwd": self.working_dir,
                "noNewPrivileges": true, "capabilities": no_capabilities,
            },
            "root": {"path": self.image.rootfs, "readonly": self.read_only_root},
            "mounts": self.all_mounts(),
            "linux": {
                "namespaces": namespaces, "cgroupsPath": group.of_container(),
                "resources": {"memory": {"limit": self.memory_limit}, "pids": {"limit": 4096}},
                "maskedPaths": ["/proc/kcore", "/proc/keys"], "readonlyPaths": ["/proc/sys", "/proc/bus"],
            },
        })
    }

    /// Parents before what is mounted in them.
    fn all_mounts(&self) -> Vec<Value> {
        let bind =
            |source: &Path, at: &Path, mode: &str| json!({"destination": at, "type": "bind", "source": source, "options": ["rbind", mode]});
        let parts = self.image.parts.iter().map(|(source, at)| bind(source, at, "ro"));
        let engine = ["hosts", "resolv.conf", "passwd"].map(|name| (self.folder.join(name), Path::new("/etc").join(name)));
        self.write_engine_files();
        let engine = engine.iter().filter(|(source, _)| source.exists()).map(|(source, at)| bind(source, at, "ro"));
        let own = self.mounts.iter().map(|mount| bind(&mount.source, Path::new(&mount.at), if mount.read_only { "ro" } else { "rw" }));
        let mut all: Vec<Value> = parts.chain(engine).chain(own).collect();
        all.sort_by_key(|mount| mount["destination"].as_str().map_or(0, |at| at.matches('/').count()));
        kernel_mounts().into_iter().chain(all).collect()
    }

    /// What CRI-O writes for a container: names of hosts, and its user where the image has a list of users.
    fn write_engine_files(&self) {
        for name in ["hosts", "resolv.conf"] {
            let _ = fs::write(self.folder.join(name), fs::read(Path::new("/etc").join(name)).unwrap_or_default());
        }
        if let Ok(users) = fs::read_to_string(self.image.rootfs.join("etc/passwd")) {
            let user = format!("{RANDOM_USER}:x:{RANDOM_USER}:0:{RANDOM_USER} user:{}:/sbin/nologin\n", self.working_dir);
            fs::write(self.folder.join("passwd"), users + &user).unwrap();
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// A cgroup around the container's own, which is still there when that one is gone.
struct Group {
    name: String,
    folder: PathBuf,
}

impl Group {
    fn new(name: &str) -> Self {
        let name = format!("modelcar-test-{}-{name}", std::process::id());
        let (first, second) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        let folder = if first.is_dir() { first } else { second }.join(&name);
        fs::create_dir(&folder).unwrap();
        Self { name, folder }
    }

    fn of_container(&self) -> String {
        format!("/{}/step", self.name)
    }

    fn peak(&self) -> u64 {
        let read = |file: &&str| fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok();
        PEAK.iter().find_map(read).unwrap_or_default()
    }

    /// `total_rss` of cgroup v1, `anon` of v2.
    fn anonymous(&self) -> u64 {
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let value = |line: &str| line.strip_prefix("total_rss ").or_else(|| line.strip_prefix("anon "))?.parse().ok();
        stat.lines().find_map(value).unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        for hierarchy in hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]) {
            let _ = fs::remove_dir(hierarchy.join(&self.name));
        }
    }
}
