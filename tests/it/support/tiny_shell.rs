//! The committed shells of `shell/built`, started natively or under qemu's user mode.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::need;

/// One platform the image is built for.
pub(crate) struct Platform {
    /// Its name in OCI, which is its folder in `shell/built`.
    pub(crate) arch: &'static str,
    /// ELF's `e_machine`, with the byte order of the platform.
    pub(crate) elf_machine: [u8; 2],
    rust_arch: &'static str,
    qemu: &'static str,
}

pub(crate) const PLATFORMS: [Platform; 4] = [
    Platform { arch: "amd64", elf_machine: [62, 0], rust_arch: "x86_64", qemu: "qemu-x86_64-static" },
    Platform { arch: "arm64", elf_machine: [183, 0], rust_arch: "aarch64", qemu: "qemu-aarch64-static" },
    Platform { arch: "ppc64le", elf_machine: [21, 0], rust_arch: "powerpc64", qemu: "qemu-ppc64le-static" },
    Platform { arch: "s390x", elf_machine: [0, 22], rust_arch: "s390x", qemu: "qemu-s390x-static" },
];

impl Platform {
    pub(crate) fn file(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("shell/built").join(self.arch).join("sh")
    }

    /// Whether this machine runs the file itself.
    pub(crate) fn is_native(&self) -> bool {
        self.rust_arch == std::env::consts::ARCH
    }

    /// The shell called by `name`; `None` where qemu is needed and missing.
    pub(crate) fn called(&self, name: &str) -> Option<Command> {
        if self.is_native() {
            let mut command = Command::new(self.file());
            std::os::unix::process::CommandExt::arg0(&mut command, name);
            return Some(command);
        }
        let mut command = Command::new(need(self.qemu)?);
        command.arg("-0").arg(name).arg(self.file());
        Some(command)
    }

    /// Runs `sh -c script` in `folder` and waits for its end.
    pub(crate) fn run(&self, folder: &Path, script: impl AsRef<OsStr>) -> Option<Output> {
        Some(self.called("sh")?.arg("-c").arg(script).current_dir(folder).output().unwrap())
    }
}

/// The platform of this machine.
pub(crate) fn native() -> Option<&'static Platform> {
    PLATFORMS.iter().find(|platform| platform.is_native())
}
