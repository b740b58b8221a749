//! A disk that is soon full.

use std::path::Path;
use std::process::Command;

use super::{lacks, run};

/// A file system in memory that can be full.
pub struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `size=1m`; `None` without the right to mount.
    pub fn mount(folder: &'a Path, size: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        let mounted = command.args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|output| output.status.success()) { Some(Self(folder)) } else { lacks("the right to mount a tmpfs") }
    }

    pub fn grow(&self, size: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{size}")]).arg(self.0));
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
