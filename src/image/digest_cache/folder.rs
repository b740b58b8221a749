//! The folder of the entries: one small file each, so that many runs may write at once and none waits for another.
//!
//! Whoever can write here decides which bytes an image is said to hold. So the folder, the one above it and every entry have to belong to
//! this user and be writable by nobody else (a cache below a shared `/tmp` in which anybody can plant entries is a trap that other packers
//! fell into), and the folder is reached through the one descriptor that was looked at.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW};

use super::entry::{self, Hashed, MAX_ENTRY};
use crate::oci::Digest;

/// More entries are not kept; the ones that were not used for longest go.
const MAX_ENTRIES: usize = 10_000;
/// Nor more bytes.
const MAX_BYTES: u64 = 64 << 20;
/// So many entries are written between two looks at how many there are.
const SWEEP_EVERY: usize = 100;
/// An entry that was begun and not finished within this time never will be, in seconds.
const ABANDONED: i64 = 3600;
/// How an entry begins its name while it is written.
const DRAFT: &str = ".new-";

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{} {why}", path.display())]
    Untrusted { path: PathBuf, why: &'static str },
}

impl Unusable {
    /// The system's own word behind a colon, where there is one.
    fn cause(&self) -> String {
        match self {
            Self::Io { source, .. } => format!(": {source}"),
            Self::Untrusted { .. } => String::new(),
        }
    }
}

/// Where the entries are, made when there is one to keep: who has nothing to remember leaves no trace.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    folder: OnceLock<Option<Folder>>,
}

impl Place {
    /// The entries at `path`, of which there may be none yet.
    pub(super) fn at(path: &Path) -> Self {
        let place = Self { path: path.to_owned(), folder: OnceLock::new() };
        if path.symlink_metadata().is_ok() {
            place.open();
        }
        place
    }

    /// The folder, where there is one that can be used.
    pub(super) fn there(&self) -> Option<&Folder> {
        self.folder.get()?.as_ref()
    }

    /// The folder, made where it is not there. One that cannot be used is said once, and not tried again.
    pub(super) fn open(&self) -> Option<&Folder> {
        let opened = || make(&self.path).and_then(|()| Folder::open(&self.path));
        let told = |error: &Unusable| tracing::debug!("no digest cache: {error}{}", error.cause());
        self.folder.get_or_init(|| opened().inspect_err(told).ok()).as_ref()
    }
}

/// A folder that only this user can write.
#[derive(Debug)]
pub(super) struct Folder {
    dir: OwnedFd,
    written: AtomicUsize,
}

impl Folder {
    fn open(path: &Path) -> Result<Self, Unusable> {
        // Who may write the folder above may put another one in this one's place.
        if let Some(above) = path.parent() {
            own_folder(above)?;
        }
        Ok(Self { dir: own_folder(path)?, written: AtomicUsize::new(0) })
    }

    /// What is known under a key; an entry that cannot be believed is none.
    pub(super) fn get(&self, key: &Digest) -> Option<Vec<Hashed>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.dir, key.hex(), flags, Mode::empty()).ok()?);
        let stat = rustix::fs::fstat(&file).ok()?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || objection(&stat).is_some() {
            tracing::debug!("a cached digest is not believed: others can write it");
            return None;
        }
        let mut text = String::new();
        (&file).take(MAX_ENTRY + 1).read_to_string(&mut text).ok()?;
        let known = entry::read(key, &text);
        if known.is_none() {
            tracing::debug!("a cached digest is damaged: {}", key.short());
        }
        // What is used is kept; a read-only place keeps what it has.
        let used = Timestamps { last_access: moment(), last_modification: moment() };
        let _ = rustix::fs::futimens(&file, &used);
        known
    }

    /// Writes an entry aside and puts it in its place.
    pub(super) fn put(&self, key: &Digest, known: &[Hashed]) -> io::Result<()> {
        let Some(text) = entry::write(key, known) else { return Ok(()) };
        if self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            self.sweep(MAX_ENTRIES, MAX_BYTES)?;
        }
        let draft = draft_name();
        let placed = self.write_draft(&draft, &text).and_then(|()| Ok(rustix::fs::renameat(&self.dir, &draft, &self.dir, key.hex())?));
        if placed.is_err() {
            let _ = rustix::fs::unlinkat(&self.dir, &draft, AtFlags::empty());
        }
        placed
    }

    fn write_draft(&self, name: &str, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?;
        File::from(file).write_all(text.as_bytes())
    }

    /// Removes the oldest entries beyond a number and a sum of bytes, and what was never finished.
    pub(super) fn sweep(&self, most: usize, bytes: u64) -> io::Result<()> {
        let (mut entries, now) = (Vec::new(), seconds());
        for name in Dir::read_from(&self.dir)?.filter_map(Result::ok).map(|found| found.file_name().to_owned()) {
            let Ok(stat) = rustix::fs::statat(&self.dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            if !name.to_bytes().starts_with(DRAFT.as_bytes()) {
                entries.push((stat.st_mtime, u64::try_from(stat.st_size).unwrap_or(0), name));
            } else if stat.st_mtime < now - ABANDONED {
                let _ = rustix::fs::unlinkat(&self.dir, &name, AtFlags::empty());
            }
        }
        entries.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
        let mut sum = 0_u64;
        for (number, (_, size, name)) in entries.iter().enumerate() {
            sum = sum.saturating_add(*size);
            if number >= most || sum > bytes {
                let _ = rustix::fs::unlinkat(&self.dir, name, AtFlags::empty());
            }
        }
        Ok(())
    }
}

fn make(path: &Path) -> Result<(), Unusable> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Unusable::Io { action: "make", path: path.to_owned(), source })
}

fn own_folder(path: &Path) -> Result<OwnedFd, Unusable> {
    let failed = |errno: rustix::io::Errno| Unusable::Io { action: "open", path: path.to_owned(), source: errno.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&dir).map_err(failed)?;
    objection(&stat).map_or(Ok(dir), |why| Err(Unusable::Untrusted { path: path.to_owned(), why }))
}

/// Why what is here may be somebody else's.
fn objection(stat: &Stat) -> Option<&'static str> {
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Some("belongs to another user");
    }
    (stat.st_mode & 0o022 != 0).then_some("can be written by others")
}

fn moment() -> Timespec {
    Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// A name that no other thread or process uses at this moment.
fn draft_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{DRAFT}{}-{nanoseconds}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
