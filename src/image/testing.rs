//! Tars as other tools, and nobody sane, write them.

use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};

/// A tar under construction.
#[derive(Clone, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.0.extend(header(path, EntryKind::File { size: content.len() as u64, executable: false }, 0));
        self.0.extend(content);
        self.0.resize(self.0.len() + usize::try_from(padding(content.len() as u64)).unwrap(), 0);
        self
    }

    pub(super) fn directory(mut self, path: &str) -> Self {
        self.0.extend(header(path, EntryKind::Directory, 0));
        self
    }

    pub(super) fn link(mut self, path: &str, target: &str) -> Self {
        self.0.extend(header(path, EntryKind::Symlink { target }, 0));
        self
    }

    /// The last entry's header was that of a file or folder without content; it gets this mode and group.
    pub(super) fn owned(mut self, mode: u32, gid: u64) -> Self {
        let at = self.0.len() - 512;
        let mut fixed = tar::Header::from_byte_slice(&self.0[at..]).clone();
        fixed.set_mode(mode);
        fixed.set_gid(gid);
        fixed.set_cksum();
        self.0[at..].copy_from_slice(fixed.as_bytes());
        self
    }

    /// A file that may be executed.
    pub(super) fn program(mut self, path: &str, content: &[u8]) -> Self {
        self.0.extend(header(path, EntryKind::File { size: content.len() as u64, executable: true }, 0));
        self.0.extend(content);
        self.0.resize(self.0.len() + usize::try_from(padding(content.len() as u64)).unwrap(), 0);
        self
    }

    /// An entry of any type.
    pub(super) fn other(mut self, path: &str, flag: u8, target: &str) -> Self {
        let mut block = header(path, EntryKind::Symlink { target }, 0);
        block[156] = flag;
        let mut fixed = tar::Header::from_byte_slice(&block).clone();
        fixed.set_cksum();
        self.0.extend(fixed.as_bytes());
        self
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend(TRAILER);
        self.0
    }
}
