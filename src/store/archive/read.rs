//! Finds the blobs of an archive by its headers alone: what lies between them is skipped, so a 100 GB archive opens at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::entry::{Header, Kind, Pax, layout_path, text};
use crate::oci::Digest;
use crate::oci::tar_header::{BLOCK, padding};
use crate::store::layout::LayoutError;
use crate::store::layout::index::{LayoutIndex, check_version};
use crate::store::{MAX_MANIFEST, StoreError, files};

/// More entries than any layout in the field has.
const MAX_ENTRIES: usize = 65_536;
/// Names and PAX records are read into memory up to this many bytes.
const MAX_RECORDS: u64 = 64 << 10;

/// Where a content lies in the tar, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// An open tar file and the blobs in it.
#[derive(Default)]
pub(super) struct Tar {
    file: Option<Arc<File>>,
    blobs: BTreeMap<Digest, Extent>,
}

impl Tar {
    /// No blobs yet, in this file.
    pub(super) fn empty(file: File) -> Self {
        Self { file: Some(Arc::new(file)), blobs: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, digest: Digest, extent: Extent) {
        self.blobs.insert(digest, extent);
    }

    pub(super) fn size_of(&self, digest: &Digest) -> Option<u64> {
        self.blobs.get(digest).map(|extent| extent.size)
    }

    /// A blob's bytes, unverified.
    pub(super) fn slice(&self, digest: &Digest) -> Option<Slice> {
        let extent = *self.blobs.get(digest)?;
        Some(Slice { file: self.file.clone()?, extent })
    }

    /// All blobs in the order in which they lie in the file.
    pub(super) fn in_order(&self) -> Vec<(Digest, Slice)> {
        let mut blobs: Vec<_> = self.blobs.keys().filter_map(|digest| Some((*digest, self.slice(digest)?))).collect();
        blobs.sort_by_key(|(_, slice)| slice.extent.offset);
        blobs
    }
}

/// A part of an open file with a position of its own.
pub(super) struct Slice {
    file: Arc<File>,
    extent: Extent,
}

impl Slice {
    /// What is left behind the first `offset` bytes.
    pub(super) fn from(mut self, offset: u64) -> Self {
        let passed = offset.min(self.extent.size);
        self.extent.offset += passed;
        self.extent.size -= passed;
        self
    }

    /// Bytes left to read.
    pub(super) fn size(&self) -> u64 {
        self.extent.size
    }

    /// Copies all bytes, inside the kernel where it can. Moves the file's shared position, which no slice reads at.
    pub(super) fn copy_to(self, mut to: &File) -> io::Result<()> {
        let mut from = &*self.file;
        from.seek(SeekFrom::Start(self.extent.offset))?;
        match io::copy(&mut from.take(self.extent.size), &mut to)? {
            copied if copied == self.extent.size => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.extent.size).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_at(&mut buffer[..wanted], self.extent.offset)?;
        self.extent.offset += count as u64;
        self.extent.size -= count as u64;
        Ok(count)
    }
}

/// Opens an archive and reads its table of contents; `label` names it in errors.
pub(super) fn open(path: &Path, label: &str) -> Result<(Tar, LayoutIndex), StoreError> {
    let file = open_file(path)?;
    refuse_compressed(&file, path)?;
    let mut found = Scanner::of(&file, path)?.scan()?;
    let Some(version) = found.oci_layout else { return Err(not_a_layout(path, found.manifest_json, "it has no file `oci-layout`").into()) };
    let Some(index) = found.index else { return Err(not_a_layout(path, found.manifest_json, "it has no file `index.json`").into()) };
    check_version(label, &read_document(&file, path, version)?)?;
    let index = LayoutIndex::parse(label, &read_document(&file, path, index)?)?;
    found.tar.file = Some(Arc::new(file));
    Ok((found.tar, index))
}

fn open_file(path: &Path) -> Result<File, StoreError> {
    match files::open_regular(path) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(LayoutError::NotFound { path: path.to_owned() }.into()),
        Err(_) if path.is_dir() => {
            Err(LayoutError::NotALayout { path: path.to_owned(), reason: "it is a directory, not a tar file" }.into())
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(LayoutError::NotRegular { path: path.to_owned() }.into()),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

fn not_a_layout(path: &Path, manifest_json: bool, reason: &'static str) -> LayoutError {
    let path = path.to_owned();
    if manifest_json { LayoutError::DockerArchive { path } } else { LayoutError::NotALayout { path, reason } }
}

fn refuse_compressed(file: &File, path: &Path) -> Result<(), StoreError> {
    let mut magic = [0; 4];
    let length = file.read_at(&mut magic, 0).map_err(StoreError::io("read", path))?;
    let compression = match &magic[..length] {
        [0x1f, 0x8b, ..] => "gzip",
        [0x28, 0xb5, 0x2f, 0xfd] => "zstd",
        [0xfd, b'7', b'z', b'X'] => "xz",
        [b'B', b'Z', b'h', _] => "bzip2",
        _ => return Ok(()),
    };
    Err(LayoutError::Compressed { path: path.to_owned(), compression }.into())
}

fn read_document(file: &File, path: &Path, extent: Extent) -> Result<Vec<u8>, StoreError> {
    if extent.size > MAX_MANIFEST {
        return Err(StoreError::TooLarge { what: format!("a document of {}", path.display()), size: extent.size, limit: MAX_MANIFEST });
    }
    let mut bytes = vec![0; usize::try_from(extent.size).unwrap_or_default()];
    file.read_exact_at(&mut bytes, extent.offset).map_err(StoreError::io("read", path))?;
    Ok(bytes)
}

/// What a scan finds.
#[derive(Default)]
struct Found {
    tar: Tar,
    oci_layout: Option<Extent>,
    index: Option<Extent>,
    manifest_json: bool,
}

impl Found {
    /// Takes note of an entry. As for every reader of tar files, a later entry of the same path wins.
    fn note(&mut self, path: &str, kind: Kind, extent: Extent) -> Result<(), &'static str> {
        let blob = path.strip_prefix("blobs/sha256/").and_then(|hex| format!("sha256:{hex}").parse().ok());
        match (path, blob, kind) {
            ("oci-layout", _, Kind::File) => self.oci_layout = Some(extent),
            ("index.json", _, Kind::File) => self.index = Some(extent),
            (_, Some(digest), Kind::File) => self.tar.insert(digest, extent),
            ("manifest.json", ..) => self.manifest_json = true,
            ("oci-layout" | "index.json", ..) | (_, Some(_), _) => return Err("a link or device stands for a file of the layout"),
            _ => {}
        }
        Ok(())
    }
}

/// Goes from header to header.
struct Scanner<'a> {
    file: &'a File,
    path: &'a Path,
    length: u64,
    /// Where the current header begins.
    offset: u64,
    /// What came before the header of the entry it belongs to.
    ahead: Pax,
}

impl<'a> Scanner<'a> {
    fn of(file: &'a File, path: &'a Path) -> Result<Self, StoreError> {
        let length = file.metadata().map_err(StoreError::io("read", path))?.len();
        Ok(Self { file, path, length, offset: 0, ahead: Pax::default() })
    }

    fn scan(mut self) -> Result<Found, StoreError> {
        let mut found = Found::default();
        for _ in 0..MAX_ENTRIES {
            let Some(header) = Header::parse(&self.block()?).map_err(|reason| self.broken(reason))? else { return Ok(found) };
            let size = self.ahead.size.filter(|_| !is_ahead(header.kind)).unwrap_or(header.size);
            let extent = self.extent(size)?;
            if is_ahead(header.kind) {
                self.read_ahead(header.kind, extent)?;
            } else {
                let path = std::mem::take(&mut self.ahead).path.unwrap_or(header.path);
                layout_path(&path).and_then(|path| found.note(path, header.kind, extent)).map_err(|reason| self.broken(reason))?;
            }
            self.offset = extent.offset + size + padding(size);
        }
        Err(self.broken("it has too many entries"))
    }

    fn block(&self) -> Result<[u8; 512], StoreError> {
        let mut block = [0; 512];
        match self.file.read_exact_at(&mut block, self.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.broken("it is cut short")),
            outcome => outcome.map(|()| block).map_err(StoreError::io("read", self.path)),
        }
    }

    /// Where the content behind the current header lies; all of it must be there.
    fn extent(&self, size: u64) -> Result<Extent, StoreError> {
        let offset = self.offset + BLOCK;
        match offset.checked_add(size) {
            Some(end) if end <= self.length => Ok(Extent { offset, size }),
            _ => Err(self.broken("it is cut short")),
        }
    }

    fn read_ahead(&mut self, kind: Kind, extent: Extent) -> Result<(), StoreError> {
        if extent.size > MAX_RECORDS {
            return Err(self.broken("its extended headers are too large"));
        }
        let bytes = read_document(self.file, self.path, extent)?;
        match kind {
            Kind::LongName => self.ahead.path = Some(text(&bytes).to_vec()),
            Kind::Pax => self.ahead = Pax::parse(&bytes).map_err(|reason| self.broken(reason))?,
            // A size or path for all entries makes no sense in a layout.
            _ => match Pax::parse(&bytes) {
                Ok(global) if global == Pax::default() => {}
                _ => return Err(self.broken("its global PAX records are broken")),
            },
        }
        Ok(())
    }

    fn broken(&self, reason: &'static str) -> StoreError {
        LayoutError::Tar { path: self.path.to_owned(), offset: self.offset, reason }.into()
    }
}

/// Whether an entry only says something about the next one.
fn is_ahead(kind: Kind) -> bool {
    matches!(kind, Kind::LongName | Kind::Pax | Kind::PaxGlobal)
}
