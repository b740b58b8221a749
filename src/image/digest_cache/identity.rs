//! What tells that a file or a layer is the one that was hashed, without reading it.

use crate::image::compress::Compression;
use crate::image::tar::{LayerTar, Segment};
use crate::model::{Content, FileStamp, ModelFile, Piece};
use crate::oci::{Digest, Hasher};

/// Of the meaning of keys and entries; another number forgets all of them.
const VERSION: &str = "modelcar digests 1";

/// The key of an entry, and what decides whether there may be one.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: Digest,
    /// The number of files.
    pub(super) files: usize,
    stamps: Vec<FileStamp>,
}

impl Identity {
    /// Of the content of a file on disk; of no other.
    pub(super) fn of_file(file: &ModelFile) -> Option<Self> {
        let Content::Disk { stamp, .. } = &file.content else { return None };
        let mut writing = Writing::new("file");
        writing.stamp(*stamp);
        writing.files = 1;
        Some(writing.finish())
    }

    /// Of a tar: its headers as they are, and the identity of each file between them.
    pub(super) fn of_layer(tar: &LayerTar) -> Option<Self> {
        let mut writing = Writing::new("layer");
        for segment in tar.segments() {
            match segment {
                Segment::Bytes(bytes) => writing.bytes(bytes),
                Segment::File(file) => writing.file(file)?,
            }
        }
        Some(writing.finish())
    }

    /// Of the same tar compressed. What an encoder makes may change with every release of ours.
    pub(super) fn packed(self, compression: Compression) -> Self {
        let text = format!("{VERSION}\npacked {compression} {}\n{}", env!("CARGO_PKG_VERSION"), self.key);
        Self { key: Digest::of(text.as_bytes()), ..self }
    }

    /// Whether each file was last changed before this moment, in nanoseconds since 1970, on a file system whose times tell versions apart.
    pub(super) fn is_settled(&self, before: i128) -> bool {
        self.stamps.iter().all(|stamp| stamp.mtime_ns < before && stamp.ctime_ns < before && stamp.ctime_ns % 1_000_000_000 != 0)
    }
}

/// A key in the making: every part with its kind and length before it, so that no two lists of parts read the same.
struct Writing {
    hasher: Hasher,
    files: usize,
    stamps: Vec<FileStamp>,
}

impl Writing {
    fn new(what: &str) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(format!("{VERSION}\n{what}\n").as_bytes());
        Self { hasher, files: 0, stamps: Vec::new() }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.update(format!("bytes {}\n", bytes.len()).as_bytes());
        self.hasher.update(bytes);
    }

    fn file(&mut self, file: &ModelFile) -> Option<()> {
        self.files += 1;
        self.hasher.update(format!("file {}\n", file.size).as_bytes());
        match &file.content {
            Content::Disk { stamp, .. } => self.stamp(*stamp),
            Content::Pieces(pieces) => pieces.iter().try_for_each(|piece| self.piece(piece))?,
            Content::Within(_) => return None,
        }
        Some(())
    }

    fn piece(&mut self, piece: &Piece) -> Option<()> {
        match piece {
            Piece::Bytes(bytes) => self.bytes(bytes),
            Piece::Range { file, offset, length } => {
                let Content::Disk { stamp, .. } = &file.content else { return None };
                self.hasher.update(format!("range {offset} {length}\n").as_bytes());
                self.stamp(*stamp);
            }
        }
        Some(())
    }

    fn stamp(&mut self, stamp: FileStamp) {
        let FileStamp { dev, ino, size, mtime_ns, ctime_ns } = stamp;
        self.hasher.update(format!("disk {dev} {ino} {size} {mtime_ns} {ctime_ns}\n").as_bytes());
        self.stamps.push(stamp);
    }

    fn finish(self) -> Identity {
        Identity { key: self.hasher.finish(), files: self.files, stamps: self.stamps }
    }
}
