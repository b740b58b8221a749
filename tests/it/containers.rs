//! The modelcar delivery for real: runc starts init container and sidecar from the built image with KServe's own arguments, as a user
//! that the image does not know, without capabilities, on a read-only root, within 15 MiB; and another container of the pod reads
//! the model through the sidecar's link.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::images::put_busybox_base;
use crate::support::runc::{Container, Runc, Running, busybox_root, text, unpack, wait_until};
use crate::support::{modelcar, need, repo_root, run, stdout_of, temp_dir};

/// kserve `pkg/utils/storage.go` (v0.15 to v0.21), as the kubelet passes it on.
const SIDECAR: &str = "ln -sf /proc/$$/root/models /mnt/models && sleep infinity";
const SIDECAR_OWN_PATH: &str = "mkdir -p /mnt/other && ln -sf /proc/$$/root/models '/mnt/other/a model' && sleep infinity";
const INIT: &str = "echo 'Pre-fetching modelcar quay.io/team/model@sha256:0123: ' && [ -d /models ] && [ \"$(ls -A /models)\" ] \
    && echo 'OK ... Prefetched and valid (/models exists)' \
    || (echo 'NOK ... Prefetched but modelcar is invalid (/models does not exist or is empty)' && exit 1)";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A pod in the making.
struct Pod {
    home: tempfile::TempDir,
    runc: Runc,
    /// The unpacked image.
    image: PathBuf,
    /// The root of the container with the model server.
    server: PathBuf,
    /// The emptyDir that both containers see.
    volume: PathBuf,
}

/// `None`, said on stderr, where this machine cannot start one.
fn pod(base: &[&str], prepare: impl FnOnce(&Path) -> Option<()>) -> Option<Pod> {
    let home = temp_dir();
    let server = busybox_root(home.path())?;
    let runc = Runc::new(&server)?;
    prepare(home.path())?;
    let iris = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let layout = home.path().join("layout");
    let image = format!("oci:{}:v1", layout.display());
    run(modelcar(home.path()).current_dir(home.path()).args(["build", "-q", "--delivery", "modelcar", "-t", &image]).args(base).arg(iris));
    let image = unpack(&layout, "v1", home.path())?;
    let volume = home.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, PermissionsExt::from_mode(0o777)).unwrap();
    Some(Pod { home, runc, image, server, volume })
}

fn default_pod() -> Option<Pod> {
    pod(&[], |_| Some(()))
}

impl Pod {
    /// A container of the image with KServe's `args`: `sh` is found on the image's `PATH`.
    fn of_image<'a>(&'a self, args: &'a [&'a str], volumes: &'a [(&'a Path, &'a str)]) -> Container<'a> {
        Container { rootfs: &self.image, args, volumes, pid_of: None, env: &[PATH] }
    }

    /// Runs the sidecar (as process 1 of the pod, unless that is another) and reads a file of the model from the server's container through its link.
    fn serves(&self, script: &str, mount: &str, link: &str, process_1: Option<&Running>) {
        let (args, volumes) = (["sh", "-c", script], [(self.volume.as_path(), mount)]);
        let container = Container { pid_of: process_1.map(|process| process.pid), ..self.of_image(&args, &volumes) };
        let sidecar = self.runc.start("sidecar", &container);
        let name = link.rsplit('/').next().unwrap();
        wait_until("the link", || self.volume.join(name).is_symlink());
        let model = format!("{link}/1/model.onnx");
        let reader = ["sha256sum", &model];
        let server = Container { rootfs: &self.server, args: &reader, volumes: &volumes, pid_of: Some(sidecar.pid), env: &[PATH] };
        let read = self.runc.run("server", &server);
        assert!(read.status.success(), "{}", text(&read.stderr));
        let expected = stdout_of(std::process::Command::new(need("sha256sum").unwrap()).arg(self.image.join("models/1/model.onnx")));
        assert_eq!(text(&read.stdout).split(' ').next(), expected.split(' ').next());
        assert_eq!(sidecar.state(), "running");
        let (memory, peak) = (sidecar.memory(), sidecar.peak_memory());
        let took = sidecar.terminate();
        eprintln!("sidecar: {memory:?} bytes now, {peak:?} at most with runc's own start; ended after {took:?}");
        assert!(took < Duration::from_secs(1), "SIGTERM took {took:?}");
        assert!(memory.is_some(), "the memory limit was not in force");
    }
}

#[test]
fn a_model_server_reads_the_model_through_the_sidecar() {
    let Some(pod) = default_pod() else { return };
    pod.serves(SIDECAR, "/mnt", "/mnt/models", None);
}

#[test]
fn a_mount_path_of_ones_own_works_too() {
    let Some(pod) = default_pod() else { return };
    pod.serves(SIDECAR_OWN_PATH, "/mnt/other", "/mnt/other/a model", None);
}

#[test]
fn a_sidecar_from_a_busybox_base_serves_alike() {
    let base = |home: &Path| put_busybox_base(&home.join("base"), "v1");
    let Some(pod) = pod(&["--base", "oci:base:v1"], base) else { return };
    // Process 1 is the kubelet's pause container; in its place busybox would not hear SIGTERM, as modelcar's own shell does.
    let pause = Container { rootfs: &pod.server, args: &["sleep", "1000"], volumes: &[], pid_of: None, env: &[PATH] };
    let pause = pod.runc.start("pause", &pause);
    pod.serves(SIDECAR, "/mnt", "/mnt/models", Some(&pause));
}

#[test]
fn the_init_container_passes_a_model_and_fails_an_empty_folder() {
    let Some(pod) = default_pod() else { return };
    let args = ["sh", "-c", INIT];
    let init = pod.runc.run("init", &pod.of_image(&args, &[]));
    assert!(init.status.success(), "{}", text(&init.stderr));
    assert!(text(&init.stdout).ends_with("OK ... Prefetched and valid (/models exists)\n"), "{}", text(&init.stdout));

    fs::remove_dir_all(pod.image.join("models/1")).unwrap();
    let init = pod.runc.run("init-empty", &pod.of_image(&args, &[]));
    assert_eq!(init.status.code(), Some(1));
    assert!(text(&init.stdout).contains("NOK ... Prefetched but modelcar is invalid"), "{}", text(&init.stdout));
    drop(pod.home);
}
