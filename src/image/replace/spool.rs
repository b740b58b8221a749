//! A layer that was read whole and verified, kept to be read again: a small one in memory, a larger one in a temporary file without a name.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::image::ImageError;
use crate::model::ByteSource;
use crate::oci::Descriptor;
use crate::store::{Store, StoreError};

/// Up to this size a layer is held in memory, in bytes.
const IN_MEMORY: u64 = 8 << 20;
/// Larger ones are not read, in bytes. A group of small files has some 64 MiB; only images of more than fifty large files have larger
/// groups.
const MAX_SPOOL: u64 = 4 << 30;

#[derive(Debug)]
enum Spool {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

/// Reads a layer to its end, where its digest is checked.
pub(super) fn spooled(store: &dyn Store, layer: &Descriptor) -> Result<Arc<dyn ByteSource>, ImageError> {
    if layer.size > MAX_SPOOL {
        let reason = format!("layer {} holds several files in {} bytes, more than are taken apart", layer.digest.short(), layer.size);
        return Err(ImageError::NotOurs { reason });
    }
    let mut blob = store.get_blob(layer)?;
    let reading = |source| StoreError::reading(layer, store, source);
    if layer.size <= IN_MEMORY {
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).map_err(reading)?;
        return Ok(Arc::new(Spool::Memory(bytes.into())));
    }
    Ok(Arc::new(Spool::File(Arc::new(into_file(&mut blob, reading)?))))
}

fn into_file(blob: &mut dyn Read, reading: impl Fn(io::Error) -> StoreError) -> Result<File, ImageError> {
    let writing = |source| ImageError::Writing { path: std::env::temp_dir(), source };
    let mut file = tempfile::tempfile().map_err(writing)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = blob.read(&mut buffer).map_err(&reading)?;
        if count == 0 {
            return Ok(file);
        }
        file.write_all(&buffer[..count]).map_err(writing)?;
    }
}

impl ByteSource for Spool {
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Memory(bytes) => {
                let mut cursor = io::Cursor::new(bytes.clone());
                cursor.set_position(offset);
                Box::new(cursor)
            }
            Self::File(file) => Box::new(At { file: file.clone(), offset }),
        })
    }
}

/// Reads a file from a place of its own, whoever else reads it.
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
