//! Root file systems that stand for images. They are **stand-ins** for what `make image` packs: the binary of this test run, which
//! is linked to shared libraries of this machine, and those.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::runc::busybox_root;
use crate::support::{need, stdout_of};

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image, unpacked.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) rootfs: PathBuf,
    /// `ENV` of its config.
    pub(crate) env: Vec<String>,
    /// Files and folders of this machine that are seen read-only in it, in place of a copy.
    pub(crate) parts: Vec<(PathBuf, PathBuf)>,
}

impl Image {
    pub(crate) fn new(rootfs: PathBuf) -> Self {
        Self { rootfs, env: vec![PATH.to_owned()], parts: Vec::new() }
    }

    /// Debian's static busybox; `None` where it is missing.
    pub(crate) fn busybox(folder: &Path) -> Option<Self> {
        let rootfs = busybox_root(&folder.join("image"))?;
        for name in ["echo", "printf", "env", "id", "touch", "dd", "test", "mount", "mkdir", "readlink", "stat", "head", "chmod"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(name)).unwrap();
        }
        Some(Self::new(rootfs))
    }

    /// The built binary, the libraries it is linked to, and this machine's CA certificates.
    pub(crate) fn modelcar(folder: &Path) -> Option<Self> {
        let rootfs = folder.join("modelcar");
        std::fs::create_dir_all(&rootfs).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_modelcar"));
        let mut parts = vec![(binary.to_owned(), PathBuf::from("/usr/bin/modelcar"))];
        parts.extend(libraries(binary)?.into_iter().chain([PathBuf::from(CERTIFICATES)]).map(|file| (file.clone(), file)));
        Some(Self { parts, ..Self::new(rootfs) })
    }

    /// The same with git and ssh, for which it sees all of this machine's `/usr`.
    pub(crate) fn modelcar_git(folder: &Path) -> Option<Self> {
        need("git").and(need("ssh"))?;
        let rootfs = folder.join("modelcar-git");
        for made in ["etc", "usr"] {
            std::fs::create_dir_all(rootfs.join(made)).unwrap();
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            std::os::unix::fs::symlink(Path::new("usr").join(link), rootfs.join(link)).unwrap();
        }
        // so that the engine adds its user, without whom ssh does not start
        std::fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/:/sbin/nologin\n").unwrap();
        let same = |file: &str| (PathBuf::from(file), PathBuf::from(file));
        let binary = (PathBuf::from(env!("CARGO_BIN_EXE_modelcar")), PathBuf::from("/opt/modelcar/modelcar"));
        let image = Self { parts: vec![same("/usr"), same(CERTIFICATES), binary], ..Self::new(rootfs) };
        Some(Self { env: vec![PATH.replace("PATH=", "PATH=/opt/modelcar:")], ..image })
    }
}

/// The shared libraries of a program, its loader among them.
fn libraries(program: &Path) -> Option<Vec<PathBuf>> {
    let listed = stdout_of(Command::new(need("ldd")?).arg(program));
    let paths = listed.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    Some(paths.map(PathBuf::from).collect())
}
