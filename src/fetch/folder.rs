//! The folder that a model is fetched into: its lock, its corner for drafts, and names given at the end.

use std::fs::{File, Metadata, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{Mode, OFlags};

use super::FetchError;
use super::proof::{Hashes, Proof, Sums};

/// Where drafts and the record lie: builds leave `.cache` out.
const CORNER: [&str; 2] = [".cache", "modelcar"];

/// A folder, locked as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    corner: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes what is not there, and locks it.
    pub(super) fn open(root: &Path) -> Result<Self, FetchError> {
        let root = std::path::absolute(root).map_err(FetchError::io("find", root))?;
        fs::create_dir_all(&root).map_err(FetchError::io("create", &root))?;
        let mut corner = root.clone();
        for name in CORNER {
            corner.push(name);
            ensure_folder(&corner)?;
        }
        let path = corner.join("lock");
        let lock = own_file(&path)?.into_parts().0;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, corner, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FetchError::Busy { path: root }),
            Err(TryLockError::Error(source)) => Err(FetchError::Io { action: "lock", path, source }),
        }
    }

    /// The folder itself, absolute.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A place in the corner.
    pub(super) fn corner(&self, name: &str) -> PathBuf {
        self.corner.join(name)
    }

    /// Bytes that can still be written.
    pub(super) fn free(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.corner).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// What the file at this place has, if it is a file of this size.
    pub(super) fn sums(&self, path: &str, size: Option<u64>, proof: &Proof) -> Result<Option<(u64, Sums)>, FetchError> {
        let file = self.root.join(path);
        let Some(metadata) = fs::symlink_metadata(&file).ok().filter(std::fs::Metadata::is_file) else { return Ok(None) };
        if size.is_some_and(|size| size != metadata.len()) || self.is_behind_link(path) {
            return Ok(None);
        }
        let mut hashes = Hashes::new(proof, Some(metadata.len()), None);
        let mut reader = fs::File::open(&file).map_err(FetchError::io("read", &file))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match reader.read(&mut buffer).map_err(FetchError::io("read", &file))? {
                0 => return Ok(Some((hashes.size(), hashes.finish()))),
                count => hashes.update(&buffer[..count]),
            }
        }
    }

    fn is_behind_link(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| self.root.join(&path[..at]));
        parents.into_iter().any(|parent| fs::symlink_metadata(parent).is_ok_and(|metadata| metadata.is_symlink()))
    }

    /// Whether a draft can take its name: nothing in the way but a file. Makes the folders above it.
    pub(super) fn prepare(&self, path: &str) -> Result<(), FetchError> {
        for (at, _) in path.match_indices('/') {
            ensure_folder(&self.root.join(&path[..at]))?;
        }
        let target = self.root.join(path);
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_dir() => Err(FetchError::Occupied { path: target, reason: "a folder is there" }),
            _ => Ok(()),
        }
    }

    /// Gives a draft its name.
    pub(super) fn place(&self, draft: &Path, path: &str) -> Result<(), FetchError> {
        let target = self.root.join(path);
        fs::rename(draft, &target).map_err(FetchError::io("write", &target))
    }

    /// Removes a file, and the folders that are empty then.
    pub(super) fn remove(&self, path: &str) -> Result<(), FetchError> {
        let target = self.root.join(path);
        fs::remove_file(&target).map_err(FetchError::io("remove", &target))?;
        for (at, _) in path.rmatch_indices('/') {
            if fs::remove_dir(self.root.join(&path[..at])).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Leaves the record and the lock in the corner, and nothing else.
    pub(super) fn tidy(&self) -> Result<(), FetchError> {
        for entry in fs::read_dir(&self.corner).map_err(FetchError::io("list", &self.corner))? {
            let entry = entry.map_err(FetchError::io("list", &self.corner))?;
            let (path, name) = (entry.path(), entry.file_name());
            if name == "lock" || name == "fetch.json" {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(FetchError::io("remove", &path))?;
        }
        Ok(())
    }
}

/// Opens a file of the corner to read and write; makes it where it is not there. Others may write to a shared volume: a link or a pipe in
/// its place, or a second name of a file elsewhere, is removed, for what is outside would be written to through it.
pub(super) fn own_file(path: &Path) -> Result<fs::File, FetchError> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !is_own(&metadata)) {
        fs::remove_file(path).map_err(FetchError::io("remove", path))?;
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::from_raw_mode(0o666)).map_err(|error| FetchError::io("open", path)(error.into()))?;
    Ok(fs::File::from_parts(opened.into(), path))
}

/// Whether a file of the corner can be one that was made there: no link, no pipe, and no file with another name.
pub(super) fn is_own(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.nlink() == 1
}

/// Makes a folder, unless it is there. A link to one would lead out of the folder that was named.
fn ensure_folder(path: &Path) -> Result<(), FetchError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(metadata) if metadata.is_symlink() => Err(FetchError::Occupied { path: path.to_owned(), reason: "a link is there" }),
        Ok(_) => Err(FetchError::Occupied { path: path.to_owned(), reason: "a file is there" }),
        Err(_) => fs::create_dir(path).map_err(FetchError::io("create", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cannot_fetch_into_one_folder() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        assert!(matches!(Folder::open(home.path()), Err(FetchError::Busy { .. })));
        drop(folder);
        Folder::open(home.path()).unwrap();
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = Folder::open(home.path()).unwrap();
        std::os::unix::fs::symlink(other.path(), home.path().join("sub")).unwrap();
        std::fs::write(other.path().join("a"), "x").unwrap();
        let error = folder.prepare("sub/a").unwrap_err();
        assert!(error.to_string().ends_with("sub: a link is there"), "{error}");
        assert!(folder.sums("sub/a", None, &Proof::None).unwrap().is_none(), "nor is it taken for ours");
        std::fs::create_dir(home.path().join("folder")).unwrap();
        assert!(folder.prepare("folder").is_err());
        assert!(folder.prepare("a/b/c").is_ok());
        drop(folder);
        std::fs::remove_dir_all(home.path().join(".cache")).unwrap();
        std::os::unix::fs::symlink(other.path(), home.path().join(".cache")).unwrap();
        assert!(matches!(Folder::open(home.path()), Err(FetchError::Occupied { .. })));
    }

    #[test]
    fn nothing_outside_is_written_through_what_others_put_into_the_corner() {
        let home = tempfile::tempdir().unwrap();
        let (outside, inside) = (home.path().join("outside"), home.path().join("x.part"));
        std::fs::write(&outside, "theirs").unwrap();
        let links: [&dyn Fn(); 3] =
            [&|| std::os::unix::fs::symlink(&outside, &inside).unwrap(), &|| std::fs::hard_link(&outside, &inside).unwrap(), &|| {
                rustix::fs::mknodat(rustix::fs::CWD, &inside, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
            }];
        for link in links {
            link();
            std::io::Write::write_all(&mut own_file(&inside).unwrap(), b"ours").unwrap();
            assert_eq!(std::fs::read(&outside).unwrap(), b"theirs");
            assert_eq!(std::fs::read(&inside).unwrap(), b"ours");
            own_file(&inside).unwrap();
            assert_eq!(std::fs::read(&inside).unwrap(), b"ours", "what is our own stays");
            std::fs::remove_file(&inside).unwrap();
        }
    }

    #[test]
    fn a_removed_file_takes_its_empty_folders_along() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        folder.prepare("a/b/c").unwrap();
        std::fs::write(home.path().join("a/b/c"), "x").unwrap();
        std::fs::write(home.path().join("a/d"), "x").unwrap();
        folder.remove("a/b/c").unwrap();
        assert!(!home.path().join("a/b").exists() && home.path().join("a/d").exists());
    }
}
