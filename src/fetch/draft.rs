//! A file on its way: bytes, and which version they are of. It survives the process, so that the next run goes on with it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::folder::{Folder, is_own, own_file};
use super::proof::Hashes;
use super::{FetchError, Item};
use crate::oci::Digest;

/// Longer is no version, in bytes.
const MAX_VERSION: u64 = 1024;

/// A draft, and the hashes of what is in it.
pub(super) struct Draft {
    path: PathBuf,
    note: PathBuf,
    file: fs::File,
    version: Option<String>,
    pub(super) hashes: Hashes,
    fresh: Hashes,
    /// Whether bytes of an earlier request are in it.
    pub(super) resumed: bool,
}

impl Draft {
    /// Bytes that an earlier run left.
    pub(super) fn bytes_of(folder: &Folder, item: &Item) -> u64 {
        fs::metadata(places(folder, item).0).map_or(0, |metadata| metadata.len())
    }

    /// The draft of an earlier run if it is of the same version, else an empty one.
    pub(super) fn open(folder: &Folder, item: &Item) -> Result<Self, FetchError> {
        let (path, note) = places(folder, item);
        let fresh = Hashes::new(&item.proof, item.size, item.sum);
        let (wanted, had) = (item.proof.version(), read_note(&note));
        let goes_on = had.is_some() && (wanted.is_none() || wanted == had);
        let file = own_file(&path)?;
        let mut draft = Self { file, hashes: fresh.clone(), fresh, version: had, resumed: false, path, note };
        let fits = item.size.is_none_or(|size| draft.file.metadata().is_ok_and(|metadata| metadata.len() <= size));
        if goes_on && fits {
            draft.take_in()?;
        } else {
            draft.clear()?;
        }
        if let Some(version) = wanted {
            draft.is_of(&version)?;
        }
        Ok(draft)
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.hashes.size()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Which version the bytes are of, by the source's word.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Notes the version before its first byte.
    pub(super) fn is_of(&mut self, version: &str) -> Result<(), FetchError> {
        if self.version.as_deref() != Some(version) {
            let mut note = own_file(&self.note)?;
            let written = note.set_len(0).and_then(|()| note.write_all(version.as_bytes()));
            written.map_err(FetchError::io("write", &self.note))?;
            self.version = Some(version.to_owned());
        }
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(FetchError::io("write", &self.path))?;
        self.hashes.update(bytes);
        Ok(())
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) -> Result<(), FetchError> {
        use std::io::Seek as _;
        let failed = || FetchError::io("write", &self.path);
        self.file.set_len(0).map_err(failed())?;
        self.file.rewind().map_err(failed())?;
        self.hashes = self.fresh.clone();
        self.resumed = false;
        if self.version.take().is_some() {
            fs::remove_file(&self.note).map_err(FetchError::io("remove", &self.note))?;
        }
        Ok(())
    }

    /// Makes sure that the bytes are on the disk before they get a name.
    pub(super) fn settle(&self) -> Result<(), FetchError> {
        self.file.sync_all().map_err(FetchError::io("write", &self.path))
    }

    /// Nothing of it stays.
    pub(super) fn discard(mut self) -> Result<(), FetchError> {
        self.clear()?;
        fs::remove_file(&self.path).map_err(FetchError::io("remove", &self.path))
    }

    fn take_in(&mut self) -> Result<(), FetchError> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match self.file.read(&mut buffer).map_err(FetchError::io("read", &self.path))? {
                0 => break,
                count => self.hashes.update(&buffer[..count]),
            }
        }
        self.resumed = self.len() > 0;
        Ok(())
    }
}

/// The draft and the note of its version. The name is a digest, so that no source can make two files share one.
fn places(folder: &Folder, item: &Item) -> (PathBuf, PathBuf) {
    let name = Digest::of(item.path.as_bytes()).hex();
    (folder.corner(&format!("{name}.part")), folder.corner(&format!("{name}.version")))
}

fn read_note(path: &Path) -> Option<String> {
    if !fs::symlink_metadata(path).is_ok_and(|metadata| is_own(&metadata)) {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(MAX_VERSION).read_to_string(&mut text).ok()?;
    Some(text)
}
