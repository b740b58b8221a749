//! Files that are whole or not there: drafts, locks and regular files, for the layout directory and the archive.
//!
//! A draft is written under a name of its own beside its target and takes the target's name when it is complete and on the disk.
//! Its writer holds a lock on it, which the kernel drops with the process: a draft that can be locked has no writer any more.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::{BlobSource, StoreError, VerifiedReader};
use crate::oci::{Descriptor, Digest, Hasher};
use crate::stop::{self, Undo};

const PREFIX: &str = ".modelcar-";
const SUFFIX: &str = ".tmp";
/// Large enough that system calls do not show beside hashing.
const BUFFER: usize = 256 << 10;

/// A file in the making; gone when dropped, or when a signal ends the process.
pub(super) struct Draft {
    temp: NamedTempFile,
    _undo: Undo,
}

impl Draft {
    /// An empty file in the directory where it will stay, with the mode that the umask gives.
    pub(super) fn create_in(dir: &Path) -> io::Result<Self> {
        loop {
            let draft = stop::step(|| Self::make_in(dir))?;
            if let Err(error) = flock(&draft.temp, FlockOperation::LockExclusive) {
                tracing::debug!(%error, "drafts cannot be locked here and will not be swept");
            }
            // Another writer may have swept it between its creation and the lock.
            if fs::symlink_metadata(draft.temp.path()).is_ok() {
                return Ok(draft);
            }
        }
    }

    fn make_in(dir: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let temp = builder.prefix(PREFIX).suffix(SUFFIX).permissions(Permissions::from_mode(0o666)).tempfile_in(dir)?;
        let path = temp.path().to_owned();
        Ok(Self { temp, _undo: stop::undo(move || drop(fs::remove_file(path))) })
    }

    /// The open file.
    pub(super) fn file(&self) -> &File {
        self.temp.as_file()
    }

    /// Brings the bytes to the disk, gives them their name, and brings the name to the disk.
    pub(super) fn publish(self, path: &Path) -> io::Result<()> {
        self.temp.as_file().sync_all()?;
        self.temp.persist(path).map_err(|error| error.error)?;
        sync_dir(parent(path))
    }
}

/// Writes a small file as a whole.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = Draft::create_in(parent(path))?;
    draft.file().write_all(bytes)?;
    draft.publish(path)
}

/// The directory of a file, `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Copies a blob and checks it on the way, in constant memory. `refused` makes an error of a failed write.
pub(super) fn copy_blob(blob: &Descriptor, source: Box<dyn Read + Send>, mut to: &File) -> Result<(), CopyError> {
    let mut reader = VerifiedReader::new(source, blob);
    let mut buffer = vec![0; BUFFER];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count]).map_err(CopyError::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
    }
}

/// Copies a blob of unknown digest, in constant memory, and tells the digest.
pub(super) fn copy_new_blob(size: u64, mut source: Box<dyn Read + Send>, mut to: &File) -> Result<Digest, CopyError> {
    let (mut hasher, mut seen, mut buffer) = (Hasher::default(), 0, vec![0; BUFFER]);
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                hasher.update(&buffer[..count]);
                seen += count as u64;
                to.write_all(&buffer[..count]).map_err(CopyError::Write)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Read(error)),
        }
        if seen > size {
            break;
        }
    }
    let digest = hasher.finish();
    if seen == size { Ok(digest) } else { Err(CopyError::Read(StoreError::size_mismatch(digest, size, seen))) }
}

/// Which side of a copy failed.
pub(super) enum CopyError {
    /// The source, or its bytes were not those announced.
    Read(io::Error),
    /// The disk.
    Write(io::Error),
}

impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl CopyError {
    /// The store's words for it.
    pub(super) fn at(self, blob: &Descriptor, path: &Path) -> StoreError {
        match self {
            Self::Read(source) => StoreError::Source { digest: blob.digest, source },
            Self::Write(source) => StoreError::io("write", path)(source),
        }
    }

    /// The same for a blob whose digest is not known.
    pub(super) fn at_new(self, size: u64, path: &Path) -> StoreError {
        match self {
            Self::Read(source) => StoreError::Unhashed { size, source },
            Self::Write(source) => StoreError::io("write", path)(source),
        }
    }
}

/// Opens the source of a blob for [`copy_blob`].
pub(super) fn open_source(blob: &Descriptor, source: &dyn BlobSource) -> Result<Box<dyn Read + Send>, StoreError> {
    source.open_unverified().map_err(|source| StoreError::Source { digest: blob.digest, source })
}

/// Removes the drafts whose writers are gone. What cannot be removed is left for the next one.
pub(super) fn sweep(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if is_draft(&entry.file_name()) {
            let removed = remove_if_abandoned(&entry.path());
            tracing::debug!(path = %entry.path().display(), ?removed, "found a draft");
        }
    }
}

fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    let Some(file) = open_regular(path)? else { return Ok(()) };
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    fs::remove_file(path)
}

/// Whether a directory entry is a draft.
pub(super) fn is_draft(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

/// Keeps other writers, in this process and in others, out of a directory until it is dropped. Leaves no file behind.
pub(super) fn lock_dir(dir: &Path) -> io::Result<File> {
    let file = File::open(dir)?;
    match flock(&file, FlockOperation::LockExclusive) {
        // NFS cannot lock a directory. One writer, the usual case, is safe without.
        Err(error @ (Errno::BADF | Errno::NOLCK | Errno::NOTSUP | Errno::NOSYS)) => {
            tracing::warn!(dir = %dir.display(), %error, "this file system has no locks: do not write to it twice at a time");
        }
        outcome => outcome?,
    }
    Ok(file)
}

/// Opens a regular file for reading; `None` where nothing is.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for links, devices and pipes. A blob that is a link out of a foreign layout would be sent to a registry
/// before its digest could tell that it is somebody's private key, and a pipe would never end. Directories on the way may be links.
pub(super) fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Err(irregular()),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(irregular()) }
}

/// Brings the names in a directory to the disk, where the file system can.
fn sync_dir(dir: &Path) -> io::Result<()> {
    match File::open(dir)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

/// Reads to the end, for the judgement of a verified reader alone.
pub(super) fn drain(mut reader: Box<dyn Read + Send>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Reads from a place further on, where a source cannot seek: what comes before is read and dropped.
pub(super) struct PassOver<R> {
    pub(super) inner: R,
    /// Bytes still to drop.
    pub(super) left: u64,
}

impl<R: Read> Read for PassOver<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left > 0 {
            let dropped = io::copy(&mut (&mut self.inner).take(self.left), &mut io::sink())?;
            if dropped < self.left {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left = 0;
        }
        self.inner.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn sweeps_drafts_of_the_dead_and_spares_the_living() {
        let dir = tempfile::tempdir().unwrap();
        let living = Draft::create_in(dir.path()).unwrap();
        fs::write(dir.path().join(".modelcar-dead01.tmp"), "half").unwrap();
        fs::write(dir.path().join("model.onnx"), "mine").unwrap();
        sweep(dir.path());
        assert!(living.temp.path().exists());
        assert_eq!(names(dir.path()).len(), 2);
        drop(living);
        assert_eq!(names(dir.path()), ["model.onnx"]);
    }

    #[test]
    fn never_sweeps_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), "x").unwrap();
        std::os::unix::fs::symlink("precious", dir.path().join(".modelcar-x.tmp")).unwrap();
        sweep(dir.path());
        assert_eq!(fs::read(dir.path().join("precious")).unwrap(), b"x");
    }

    #[test]
    fn no_draft_is_lost_to_a_busy_sweeper() {
        let dir = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    sweep(dir.path());
                }
            });
            let lost = (0..20_000).filter(|_| !Draft::create_in(dir.path()).unwrap().temp.path().exists()).count();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(lost, 0);
        });
    }

    #[test]
    fn opens_regular_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(open_regular(&path("file")).unwrap().is_some());
        assert!(open_regular(&path("none")).unwrap().is_none());
        assert!(open_regular(&path("file/below")).unwrap().is_none());
        for name in ["link", "pipe", ""] {
            assert_eq!(open_regular(&path(name)).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }
}
