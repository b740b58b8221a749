//! One pass over a layer that yields the layer's digest and the digest of every file in it.
//!
//! SHA-256 is the only thing that costs CPU time in a build (about 1.9 GB/s on a core with SHA instructions, while the page cache
//! gives 10 GB/s). A model file needs two of them: the layer's digest, and the file's own, which `olot.layer.content.digest` and
//! model signing carry. The second runs on a thread of its own, fed with the same buffers.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::tar::{LayerTar, Segment};
use super::transfer::Known;
use crate::model::ModelFile;
use crate::oci::{Digest, Hasher};

/// How much is read at once, in bytes; larger reads gain nothing.
const BUFFER: usize = 256 << 10;
/// How many buffers are on their way to the second thread.
const IN_FLIGHT: usize = 4;
/// Files below this size are not worth a thread, in bytes.
pub(super) const WORTH_A_THREAD: u64 = 4 << 20;

/// Hears of every buffer read, in bytes; an error from it ends the reading.
pub type Seen<'a> = dyn Fn(u64) -> io::Result<()> + Sync + 'a;

/// What a layer's bytes come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDigests {
    /// The digest of the tar: the layer's diff ID, and its digest where it is not compressed.
    pub layer: Digest,
    /// The digest of each file's content, in the order of the tar.
    pub files: Vec<Digest>,
}

/// Reads a layer once and hashes it. Files of known digest are hashed as a part of the layer only.
///
/// # Errors
/// A file that cannot be read, or that changed while it was read.
pub fn hash(tar: &LayerTar, known: &Known, seen: &Seen) -> io::Result<LayerDigests> {
    let mut layer = Hasher::default();
    let mut files = Vec::new();
    for segment in tar.segments() {
        match segment {
            Segment::Bytes(bytes) => layer.update(bytes),
            Segment::File(file) => files.push(hash_file(file, known.file(file), &mut layer, seen)?),
        }
    }
    Ok(LayerDigests { layer: layer.finish(), files })
}

/// Hashes the content of a file alone.
///
/// # Errors
/// The file cannot be read, or changed while it was read.
pub fn hash_content(file: &ModelFile, seen: &Seen) -> io::Result<Digest> {
    let mut content = Hasher::default();
    each_piece(file, seen, |bytes| content.update(bytes))?;
    Ok(content.finish())
}

fn hash_file(file: &ModelFile, known: Option<Digest>, layer: &mut Hasher, seen: &Seen) -> io::Result<Digest> {
    if let Some(digest) = known {
        return each_piece(file, seen, |bytes| layer.update(bytes)).map(|()| digest);
    }
    if file.size < WORTH_A_THREAD {
        return hash_in_turn(file, layer, seen);
    }
    thread::scope(|scope| {
        let (send, receive) = sync_channel(IN_FLIGHT);
        let (give_back, returned) = channel();
        let content = scope.spawn(move || hash_buffers(&receive, &give_back));
        hash_and_pass_on(file, layer, seen, &send, &returned)?;
        drop(send);
        content.join().map_err(|_| io::Error::other("the hashing thread stopped"))
    })
}

/// Layer and content on one thread.
fn hash_in_turn(file: &ModelFile, layer: &mut Hasher, seen: &Seen) -> io::Result<Digest> {
    let mut content = Hasher::default();
    each_piece(file, seen, |bytes| {
        layer.update(bytes);
        content.update(bytes);
    })?;
    Ok(content.finish())
}

fn each_piece(file: &ModelFile, seen: &Seen, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER.min(usize::try_from(file.size).unwrap_or(BUFFER)).max(1)];
    let mut reader = file.open()?;
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        each(&buffer[..count]);
        seen(count as u64)?;
    }
}

type Buffer = Arc<(Vec<u8>, usize)>;

/// Reads, hands each buffer to the content thread, and hashes it for the layer meanwhile.
fn hash_and_pass_on(
    file: &ModelFile,
    layer: &mut Hasher,
    seen: &Seen,
    send: &SyncSender<Buffer>,
    returned: &Receiver<Buffer>,
) -> io::Result<()> {
    let mut reader = file.open()?;
    loop {
        let mut buffer = recycled(returned);
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let buffer = Arc::new((buffer, count));
        if send.send(buffer.clone()).is_err() {
            return Err(io::Error::other("the hashing thread stopped"));
        }
        layer.update(&buffer.0[..count]);
        seen(count as u64)?;
    }
}

/// A buffer that both threads are done with, or a new one.
fn recycled(returned: &Receiver<Buffer>) -> Vec<u8> {
    let done = returned.try_recv().ok().and_then(Arc::into_inner);
    done.map_or_else(|| vec![0; BUFFER], |(buffer, _)| buffer)
}

fn hash_buffers(receive: &Receiver<Buffer>, give_back: &Sender<Buffer>) -> Digest {
    let mut content = Hasher::default();
    for buffer in receive {
        content.update(&buffer.0[..buffer.1]);
        // Nobody takes buffers back at the very end.
        let _ = give_back.send(buffer);
    }
    content.finish()
}
