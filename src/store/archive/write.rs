//! The archive in the making: a draft beside FILE that grows by whole entries.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::FileType;

use super::read::{Extent, Tar};
use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
use crate::oci::{Descriptor, Digest};
use crate::store::files::{self, CopyError, Draft};
use crate::store::layout::index::OCI_LAYOUT;

/// What a path was at some time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<Seen>);

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    mode: u32,
}

impl Stamp {
    /// Looks at a path now.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) => Ok(Self(Some(Seen {
                inode: (found.dev(), found.ino()),
                size: found.size(),
                modified: (found.mtime(), found.mtime_nsec()),
                mode: found.mode(),
            }))),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Self(None)),
            Err(error) => Err(error),
        }
    }

    /// Nothing there, or an empty regular file.
    pub(super) fn is_vacant(&self) -> bool {
        self.0.as_ref().is_none_or(|seen| seen.size == 0 && FileType::from_raw_mode(seen.mode).is_file())
    }

    /// The mode of what was there, for what replaces it.
    fn permissions(&self) -> Option<Permissions> {
        self.0.as_ref().map(|seen| Permissions::from_mode(seen.mode & 0o777))
    }
}

/// A tar file without its end.
pub(super) struct DraftTar {
    draft: Draft,
    /// Behind the last whole entry, in bytes.
    end: u64,
}

impl DraftTar {
    /// Begins a draft beside `path` with the blobs of an older archive.
    pub(super) fn begin(path: &Path, old: &Tar) -> io::Result<(Self, Tar)> {
        let dir = files::parent(path);
        files::sweep(dir);
        let mut tar = Self { draft: Draft::create_in(dir)?, end: 0 };
        let mut blobs = Tar::empty(tar.draft.file().try_clone()?);
        tar.append_bytes("oci-layout", OCI_LAYOUT)?;
        for (digest, slice) in old.in_order() {
            blobs.insert(digest, tar.append(&blob_path(&digest), slice.size(), |file| slice.copy_to(file))?);
        }
        Ok((tar, blobs))
    }

    /// Adds a blob. Where that fails, the draft is as before.
    pub(super) fn append_blob(&mut self, blob: &Descriptor, source: Box<dyn Read + Send>) -> Result<Extent, CopyError> {
        self.append(&blob_path(&blob.digest), blob.size, |file| files::copy_blob(blob, source, file))
    }

    /// Adds a blob whose digest is not known yet. Where that fails, the draft is as before.
    ///
    /// Its name is as long as any other's, so the header can be written again once the name is known.
    pub(super) fn append_new_blob(&mut self, size: u64, source: Box<dyn Read + Send>) -> Result<(Digest, Extent), CopyError> {
        let (start, mut digest) = (self.end, Digest::of(b""));
        let extent = self.append(&blob_path(&digest), size, |file| {
            digest = files::copy_new_blob(size, source, file)?;
            Ok::<_, CopyError>(())
        })?;
        self.write_header(start, &blob_path(&digest), size).inspect_err(|_| self.cut_back(start))?;
        Ok((digest, extent))
    }

    /// Adds the table of contents and the end, and gives the archive its name.
    pub(super) fn finish(mut self, index: &[u8], path: &Path, replaced: &Stamp) -> io::Result<()> {
        self.append_bytes("index.json", index)?;
        self.draft.file().write_all(&TRAILER)?;
        if let Some(permissions) = replaced.permissions() {
            self.draft.file().set_permissions(permissions)?;
        }
        self.draft.publish(path)
    }

    fn append_bytes(&mut self, path: &str, bytes: &[u8]) -> io::Result<Extent> {
        self.append(path, bytes.len() as u64, |mut file| file.write_all(bytes))
    }

    fn append<E: From<io::Error>>(&mut self, path: &str, size: u64, content: impl FnOnce(&File) -> Result<(), E>) -> Result<Extent, E> {
        let start = self.end;
        let written = self.write_entry(path, size, content);
        if written.is_err() {
            self.cut_back(start);
        }
        written
    }

    /// Behind the last whole entry, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Drops what was written behind this place, and gives the space back. Should that fail, the next entry is written over it.
    pub(super) fn cut_back(&mut self, end: u64) {
        self.end = end;
        let truncated = self.draft.file().set_len(end);
        tracing::debug!(?truncated, "dropped an entry");
    }

    fn write_entry<E: From<io::Error>>(
        &mut self,
        path: &str,
        size: u64,
        content: impl FnOnce(&File) -> Result<(), E>,
    ) -> Result<Extent, E> {
        let mut file = self.draft.file();
        let offset = self.write_header(self.end, path, size)?;
        content(file)?;
        io::copy(&mut io::repeat(0).take(padding(size)), &mut file)?;
        self.end = file.stream_position()?;
        Ok(Extent { offset, size })
    }

    /// Where it ends, in bytes.
    fn write_header(&self, at: u64, path: &str, size: u64) -> io::Result<u64> {
        let mut file = self.draft.file();
        let header = header(path, EntryKind::File { size, executable: false }, 0);
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&header)?;
        Ok(at + header.len() as u64)
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
