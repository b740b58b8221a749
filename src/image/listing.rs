//! What an image's layers hold, by their tar headers alone: an uncompressed layer of 20 GB is listed by reading some kilobytes.
//!
//! Everything comes from strangers, so all of it is bounded: entries, the bytes of their names, and the bytes between two of them.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tar::{Archive, EntryType};

use super::ImageError;
use super::compress::{Compression, unpacked, unpacked_counting};
use crate::oci::{Descriptor, Digest, Hasher, ImageManifest};
use crate::store::{Store, StoreError};

/// The most entries of an image; a CUDA base has a hundred thousand.
const MAX_ENTRIES: usize = 120_000;
/// The longest name, in bytes: what Linux opens.
const MAX_NAME: usize = 4096;
/// The most bytes of all names and of what links lead to.
const MAX_NAMES: usize = 12 << 20;
/// The most bytes between two entries: headers, long names, extended attributes. A longer name is an attack.
pub(crate) const MAX_HEADERS: u64 = 1 << 20;
/// A shorter way is read; a longer one is passed over by a new request.
const WORTH_A_JUMP: u64 = 1 << 20;

/// A member of a layer's tar, as it is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as written: `models/1/model.onnx`, `./models/x`. Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The size of its content in bytes.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// The owning group.
    pub gid: u64,
    /// The layer, counted from the lowest.
    pub layer: usize,
    /// Where its content begins in the uncompressed layer, in bytes.
    pub offset: u64,
    /// Whether its size is written in a PAX record, on which readers disagree.
    pub pax_size: bool,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link and its target as written.
    Symlink(String),
    /// A second name of the file with this name.
    HardLink(String),
    /// A device, a pipe, or something unknown.
    Special,
}

impl Kind {
    /// What a link leads to, as written.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Symlink(target) | Self::HardLink(target) => Some(target),
            Self::File | Self::Directory | Self::Special => None,
        }
    }
}

impl Entry {
    /// The path in the image, without slashes at its ends or `.` in it; empty for the root.
    pub fn path(&self) -> String {
        let parts: Vec<&str> = self.name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        parts.join("/")
    }
}

/// A layer's members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerListing {
    /// In the order of the tar.
    pub entries: Vec<Rc<Entry>>,
    /// The digest of the uncompressed tar; `None` where the layer is uncompressed and only its headers were read.
    pub diff_id: Option<Digest>,
    /// The gzip members behind the first one; eStargz has one for every file.
    pub further_members: usize,
}

/// All members of an image's layers, lowest layer first. Nothing is merged: see [`super::rootfs`].
///
/// # Errors
/// A layer that is no file system layer or no tar, and more than the limits.
pub fn entries(store: &dyn Store, manifest: &ImageManifest) -> Result<Vec<Rc<Entry>>, ImageError> {
    let mut all = Vec::new();
    for (number, layer) in manifest.layers.iter().enumerate() {
        let listed = list_layer(store, layer, number)?.entries;
        if all.len() + listed.len() > MAX_ENTRIES {
            return Err(refused(layer, "the image has more than 120000 entries"));
        }
        all.extend(listed);
    }
    Ok(all)
}

/// The members of one layer. A compressed one is read whole, and verified; of an uncompressed one only the headers are.
///
/// # Errors
/// As for [`entries`].
pub fn list_layer(store: &dyn Store, layer: &Descriptor, number: usize) -> Result<LayerListing, ImageError> {
    if Compression::of(&layer.media_type) != Some(Compression::None) {
        return list_packed(store, layer, number);
    }
    let entries = read_entries(layer, number, Jumping { store, layer, at: 0, reader: None })?;
    Ok(LayerListing { entries, ..LayerListing::default() })
}

fn list_packed(store: &dyn Store, layer: &Descriptor, number: usize) -> Result<LayerListing, ImageError> {
    let mut blob = store.get_blob(layer)?;
    let listed = list_stream(layer, number, &mut blob);
    // A wrong digest explains whatever else went wrong.
    io::copy(&mut blob, &mut io::sink()).map_err(|source| StoreError::reading(layer, store, source))?;
    listed
}

/// The members of a layer that comes as a stream.
///
/// # Errors
/// As for [`entries`].
pub fn list_stream(layer: &Descriptor, number: usize, blob: impl Read + Send) -> Result<LayerListing, ImageError> {
    let further: Arc<AtomicUsize> = Arc::default();
    let mut hashing = Hashing { inner: unpacked_counting(layer, blob, further.clone())?, hasher: Hasher::default(), seen: 0 };
    let entries = read_entries(layer, number, Passing(&mut hashing))?;
    io::copy(&mut hashing, &mut io::sink()).map_err(|source| ImageError::Unpacking { digest: layer.digest, source })?;
    Ok(LayerListing { entries, diff_id: Some(hashing.hasher.finish()), further_members: further.load(Ordering::Relaxed) })
}

/// The first bytes of a member's content, at most `limit`.
///
/// # Errors
/// Whatever the store answers.
pub fn content(store: &dyn Store, layer: &Descriptor, entry: &Entry, limit: u64) -> Result<Vec<u8>, ImageError> {
    let unpacking = |source| ImageError::Unpacking { digest: layer.digest, source };
    let reader: Box<dyn Read + Send> = if Compression::of(&layer.media_type) == Some(Compression::None) {
        store.get_blob_from(layer, entry.offset)?
    } else {
        let mut plain = unpacked(layer, store.get_blob(layer)?)?;
        pass(&mut plain, entry.offset).map_err(unpacking)?;
        plain
    };
    let (mut bytes, wanted) = (Vec::new(), entry.size.min(limit));
    reader.take(wanted).read_to_end(&mut bytes).map_err(unpacking)?;
    if (bytes.len() as u64) < wanted { Err(unpacking(io::ErrorKind::UnexpectedEof.into())) } else { Ok(bytes) }
}

/// Goes from header to header.
fn read_entries<R: Read + Seek>(layer: &Descriptor, number: usize, reader: R) -> Result<Vec<Rc<Entry>>, ImageError> {
    let unpacking = |source| ImageError::Unpacking { digest: layer.digest, source };
    let budget = Rc::new(Cell::new(MAX_HEADERS));
    let mut archive = Archive::new(Guarded { inner: reader, budget: budget.clone() });
    let members = archive.entries_with_seek().map_err(unpacking)?;
    let (mut found, mut names) = (Vec::new(), 0);
    for member in members {
        let entry = entry(&mut member.map_err(unpacking)?, number).map_err(|reason| refused(layer, reason))?;
        names += entry.name.len() + entry.kind.target().map_or(0, str::len);
        if found.len() >= MAX_ENTRIES || names > MAX_NAMES {
            return Err(refused(layer, "it has more than 120000 entries, or their names are longer than 12 MiB"));
        }
        found.push(Rc::new(entry));
        budget.set(MAX_HEADERS);
    }
    Ok(found)
}

fn entry<R: Read>(member: &mut tar::Entry<'_, R>, layer: usize) -> Result<Entry, &'static str> {
    let name = text(&member.path_bytes())?;
    let link = member.link_name_bytes().map(|link| text(&link)).transpose()?.unwrap_or_default();
    let pax_size =
        member.pax_extensions().ok().flatten().is_some_and(|records| records.flatten().any(|record| record.key_bytes() == b"size"));
    let header = member.header();
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link),
        EntryType::Link => Kind::HardLink(link),
        _ => Kind::Special,
    };
    // Fields may be left empty, and every reader takes that for 0.
    let (mode, gid) = (header.mode().unwrap_or(0), header.gid().unwrap_or(0));
    Ok(Entry { name, kind, size: member.size(), mode: mode & 0o7777, gid, layer, offset: member.raw_file_position(), pax_size })
}

fn text(bytes: &[u8]) -> Result<String, &'static str> {
    if bytes.len() > MAX_NAME { Err("a name is longer than 4096 bytes") } else { Ok(String::from_utf8_lossy(bytes).into_owned()) }
}

fn refused(layer: &Descriptor, reason: &'static str) -> ImageError {
    ImageError::Unpacking { digest: layer.digest, source: io::Error::new(io::ErrorKind::InvalidData, reason) }
}

/// Reads until the budget is used up; what is passed over costs nothing.
pub(crate) struct Guarded<R> {
    pub(crate) inner: R,
    pub(crate) budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.budget.get().checked_sub(count as u64);
        self.budget.set(left.ok_or_else(|| io::Error::other("a tar header is larger than 1 MiB"))?);
        Ok(count)
    }
}

impl<R: Seek> Seek for Guarded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// How far a seek goes; a tar is only ever read forwards.
fn forward(to: SeekFrom) -> io::Result<u64> {
    match to {
        SeekFrom::Current(distance) => u64::try_from(distance).map_err(|_| io::ErrorKind::Unsupported.into()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn pass(reader: &mut dyn Read, distance: u64) -> io::Result<()> {
    let passed = io::copy(&mut reader.take(distance), &mut io::sink())?;
    if passed < distance { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// A stream in which a seek reads and drops.
struct Passing<'a, R>(&'a mut Hashing<R>);

impl<R: Read> Read for Passing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Seek for Passing<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        pass(self.0, forward(to)?)?;
        Ok(self.0.seen)
    }
}

struct Hashing<R> {
    inner: R,
    hasher: Hasher,
    seen: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.seen += count as u64;
        Ok(count)
    }
}

/// A blob of which only parts are fetched.
struct Jumping<'a> {
    store: &'a dyn Store,
    layer: &'a Descriptor,
    at: u64,
    reader: Option<Box<dyn Read + Send>>,
}

impl Jumping<'_> {
    fn reader(&mut self) -> io::Result<&mut Box<dyn Read + Send>> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.store.get_blob_from(self.layer, self.at).map_err(io::Error::other)?,
        };
        Ok(self.reader.insert(reader))
    }
}

impl Read for Jumping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader()?.read(buffer)?;
        // Nothing vouches for a part of a blob: an answer that ends early would look like the end of the tar.
        if count == 0 && !buffer.is_empty() && self.at < self.layer.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Jumping<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let distance = forward(to)?;
        let target = self.at.checked_add(distance).filter(|target| *target <= self.layer.size).ok_or(io::ErrorKind::UnexpectedEof)?;
        if distance > WORTH_A_JUMP {
            self.reader = None;
        } else {
            pass(self.reader()?, distance)?;
        }
        self.at = target;
        Ok(target)
    }
}

#[cfg(test)]
mod tests;
