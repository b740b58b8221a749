//! A layer as a deterministic tar: its exact length before a byte is read, its bytes as often as wanted, in constant memory.
//!
//! Nothing of the machine reaches the tar: entries are in path order, parents come first and once, owners are 0:0, modes 0644 or
//! 0755, and every entry has the one modification time of the build. Content is always written out, so sparse files and hard links
//! give the same bytes as plain ones.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;

use crate::model::ModelFile;
use crate::oci::tar_header::{EntryKind, TRAILER, header, padding};
use crate::store::BlobSource;

/// A piece of a tar.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// Headers, padding, trailer.
    Bytes(Vec<u8>),
    /// The content of a file.
    File(ModelFile),
}

impl Segment {
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.size,
        }
    }
}

/// A tar that can be read from the start as often as wanted.
#[derive(Clone, Debug)]
pub struct LayerTar {
    segments: Arc<[Segment]>,
    size: u64,
}

/// Opens a file for one pass.
pub(super) type OpenFile = Box<dyn FnMut(&ModelFile) -> io::Result<Box<dyn Read + Send>> + Send>;

/// What goes into a tar.
#[derive(Clone, Debug)]
pub enum TarEntry {
    /// A file of the model.
    File {
        /// The path in the image, without a leading slash.
        path: String,
        /// The content.
        file: ModelFile,
    },
    /// A file made here.
    Bytes {
        /// The path in the image.
        path: String,
        /// The content.
        bytes: Vec<u8>,
        /// Mode 0755 instead of 0644.
        executable: bool,
    },
    /// A symbolic link. Only the base uses them, never the model: runtimes that resolve paths would lose their way.
    Symlink {
        /// The path in the image.
        path: String,
        /// Where it points.
        target: String,
    },
}

impl TarEntry {
    fn path(&self) -> &str {
        match self {
            Self::File { path, .. } | Self::Bytes { path, .. } | Self::Symlink { path, .. } => path,
        }
    }
}

impl LayerTar {
    /// Lays out the tar of these entries and of the directories above them. `mtime` is in seconds since 1970.
    pub fn new(mut entries: Vec<TarEntry>, mtime: u64) -> Self {
        entries.sort_by(|a, b| a.path().cmp(b.path()));
        let mut tar = Builder { mtime, ..Builder::default() };
        for entry in entries {
            tar.parents(entry.path());
            tar.entry(entry);
        }
        tar.finish()
    }

    /// The number of bytes of the tar.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The files in it, in the order of the tar.
    pub fn files(&self) -> impl Iterator<Item = &ModelFile> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Bytes(_) => None,
            Segment::File(file) => Some(file),
        })
    }

    /// The bytes from `offset` on, with zeros for the content of every file: no file is opened.
    pub(super) fn outline_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let (mut next, mut left) = (0, offset);
        while let Some(size) = self.segments.get(next).map(Segment::size).filter(|size| *size <= left) {
            (next, left) = (next + 1, left - size);
        }
        let mut reader = self.reader(next, Box::new(zeros));
        io::copy(&mut (&mut reader).take(left), &mut io::sink())?;
        Ok(Box::new(reader))
    }

    /// The bytes, with files that are opened in the caller's way, in the order of the tar and each when its turn comes.
    pub(super) fn open_with(&self, open: OpenFile) -> Box<dyn Read + Send> {
        Box::new(self.reader(0, open))
    }

    fn reader(&self, next: usize, open: OpenFile) -> TarReader {
        TarReader { segments: self.segments.clone(), next, current: Box::new(io::empty()), open }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl BlobSource for LayerTar {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(self.open_with(Box::new(ModelFile::open)))
    }
}

#[derive(Default)]
struct Builder {
    mtime: u64,
    directories: BTreeSet<String>,
    segments: Vec<Segment>,
    /// Headers and padding that wait for the next file, so that a reader is not fed in crumbs.
    pending: Vec<u8>,
    size: u64,
}

impl Builder {
    fn parents(&mut self, path: &str) {
        for (slash, _) in path.match_indices('/') {
            let directory = &path[..slash];
            if self.directories.insert(directory.to_owned()) {
                self.pending.extend(header(directory, EntryKind::Directory, self.mtime));
            }
        }
    }

    fn entry(&mut self, entry: TarEntry) {
        match entry {
            TarEntry::File { path, file } => {
                let size = file.size;
                self.pending.extend(header(&path, EntryKind::File { size, executable: file.executable }, self.mtime));
                self.flush();
                self.size += size;
                self.segments.push(Segment::File(file));
                self.pad(size);
            }
            TarEntry::Bytes { path, bytes, executable } => {
                let size = bytes.len() as u64;
                self.pending.extend(header(&path, EntryKind::File { size, executable }, self.mtime));
                self.pending.extend(bytes);
                self.pad(size);
            }
            TarEntry::Symlink { path, target } => self.pending.extend(header(&path, EntryKind::Symlink { target: &target }, self.mtime)),
        }
    }

    fn pad(&mut self, size: u64) {
        self.pending.extend(std::iter::repeat_n(0, usize::try_from(padding(size)).unwrap_or(0)));
    }

    fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.pending);
        self.size += bytes.len() as u64;
        if !bytes.is_empty() {
            self.segments.push(Segment::Bytes(bytes));
        }
    }

    fn finish(mut self) -> LayerTar {
        self.pending.extend(TRAILER);
        self.flush();
        LayerTar { segments: self.segments.into(), size: self.size }
    }
}

struct TarReader {
    segments: Arc<[Segment]>,
    next: usize,
    current: Box<dyn Read + Send>,
    open: OpenFile,
}

#[expect(clippy::unnecessary_wraps, reason = "stands for `ModelFile::open`")]
fn zeros(file: &ModelFile) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(io::repeat(0).take(file.size)))
}

impl Read for TarReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(segment) = self.segments.get(self.next) else { return Ok(0) };
            self.current = match segment {
                Segment::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
                Segment::File(file) => (self.open)(file)?,
            };
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests;
