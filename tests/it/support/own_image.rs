//! Modelcar's own image, as `make image` left it in `target/modelcar-image`, and containers of it: as a user that nobody knows with
//! group 0, without capabilities, on a read-only root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use super::runc::{Runc, busybox_root, unpack};
use super::{need, repo_root, skip, temp_dir};

/// The version, which is the image's name in the layout.
pub(crate) const NAME: &str = env!("CARGO_PKG_VERSION");

/// The layout with the image; `None`, said on stderr, where nobody made it.
pub(crate) fn layout() -> Option<PathBuf> {
    let layout = repo_root().join("target/modelcar-image");
    if layout.join("index.json").is_file() { Some(layout) } else { skip("target/modelcar-image (`make image` makes it)") }
}

/// The image, unpacked.
pub(crate) struct OwnImage {
    pub(crate) rootfs: PathBuf,
    /// What the image says of its containers.
    pub(crate) config: Value,
    runc: PathBuf,
    pub(crate) home: tempfile::TempDir,
}

/// A container that was started.
pub(crate) struct Started {
    /// Ends with the container's status.
    pub(crate) runc: Child,
    /// Where runc writes the number of the container's process, once there is one.
    pub(crate) pid_file: PathBuf,
    cgroup: String,
}

impl Started {
    /// The memory limit that the kernel enforces, in bytes.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        let name = &self.cgroup;
        let files = [format!("/sys/fs/cgroup/memory/{name}/memory.limit_in_bytes"), format!("/sys/fs/cgroup/{name}/memory.max")];
        files.iter().find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
    }
}

/// A container of it.
#[derive(Default)]
pub(crate) struct Container<'a> {
    pub(crate) args: &'a [&'a str],
    /// Files and folders of this machine and where they appear, to be read.
    pub(crate) inputs: &'a [(&'a Path, &'a str)],
    /// Folders that the container may write to.
    pub(crate) outputs: &'a [(&'a Path, &'a str)],
    /// A tmpfs: where, and of how many bytes.
    pub(crate) scratch: Option<(&'a str, u64)>,
    /// In bytes.
    pub(crate) memory: Option<u64>,
}

impl OwnImage {
    /// `None`, said on stderr, where there is no image or no right to start containers.
    pub(crate) fn unpacked() -> Option<Self> {
        let (layout, home) = (layout()?, temp_dir());
        // asks whether containers can be started here
        Runc::new(&busybox_root(home.path())?)?;
        let rootfs = unpack(&layout, NAME, home.path())?;
        let inspected =
            super::stdout_of(Command::new(need("skopeo")?).args(["inspect", "--config"]).arg(format!("oci:{}:{NAME}", layout.display())));
        let config: Value = serde_json::from_str(&inspected).unwrap();
        Some(Self { rootfs, config: config["config"].clone(), runc: need("runc")?, home })
    }

    /// Runs a container to its end.
    pub(crate) fn run(&self, container: &Container) -> Output {
        self.start(container).runc.wait_with_output().unwrap()
    }

    /// Starts a container.
    pub(crate) fn start(&self, container: &Container) -> Started {
        let bundle = tempfile::tempdir_in(self.home.path()).unwrap().keep();
        let name = format!("modelcar-own-{}-{}", std::process::id(), bundle.file_name().unwrap().to_string_lossy().replace('.', ""));
        fs::write(bundle.join("config.json"), self.runtime_config(container, &name).to_string()).unwrap();
        let (state, pid_file) = (self.home.path().join("state"), bundle.join("pid"));
        let mut command = Command::new(&self.runc);
        command.arg("--root").arg(state).arg("run").arg("--pid-file").arg(&pid_file).arg("--bundle").arg(&bundle).arg(&name);
        let runc = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Started { runc, pid_file, cgroup: name }
    }

    /// What an engine makes of the image's config and a pod's `args`: <https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md>.
    /// The network is this machine's, because the registries of the tests are.
    fn runtime_config(&self, container: &Container, name: &str) -> Value {
        let entrypoint = self.config["Entrypoint"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let args: Vec<&str> = entrypoint.chain(container.args.iter().copied()).collect();
        let namespaces = ["mount", "ipc", "uts", "pid"].map(|kind| json!({"type": kind}));
        let memory = container.memory.map_or(json!({}), |limit| json!({"limit": limit}));
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 123_456, "gid": 0}, "args": args, "env": self.config["Env"], "cwd": self.config["WorkingDir"],
                "noNewPrivileges": true, "capabilities": {"bounding": [], "effective": [], "permitted": []},
            },
            "root": {"path": self.rootfs, "readonly": true},
            "mounts": container.mounts(),
            "linux": {"namespaces": namespaces, "cgroupsPath": format!("/{name}"), "resources": {"memory": memory}},
        })
    }
}

impl Container<'_> {
    fn mounts(&self) -> Vec<Value> {
        let bind = |(source, at): &(&Path, &str), access: &str| json!({"destination": at, "type": "bind", "source": source, "options": ["rbind", access]});
        let mut mounts = vec![json!({"destination": "/proc", "type": "proc", "source": "proc", "options": []})];
        mounts.extend(self.inputs.iter().map(|input| bind(input, "ro")));
        mounts.extend(self.outputs.iter().map(|output| bind(output, "rw")));
        mounts.extend(self.scratch.map(|(at, size)| {
            json!({"destination": at, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777", format!("size={size}")]})
        }));
        mounts
    }
}
