//! Brings layers and blobs to a store, each on the way that reads and sends the least.
//!
//! ```text
//! digest known        ask for it, send where it is not there                    [`Known`]
//! cannot be there     send at once, hashed on the way: read once                no layer of its size in [`Previous`]
//! may be there        hash ahead, ask, send                                     while others are on their way
//! ```
//!
//! The biggest goes first, since what takes longest must not begin last. As many threads send as [`Transfer::parallel`] says, and one for
//! every two cores hashes ahead: a layer and the files in it are two hashes. The first error stops all of them.

use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use super::ImageError;
use super::compress::Compression;
use super::hash::LayerDigests;
use super::tar::LayerTar;
use super::watch::Watch;
use crate::oci::{Descriptor, Reference, media_type};
use crate::store::{BlobSource, Store};

mod keep;
mod knowledge;
mod passing;
mod queue;
mod route;
mod send;
mod work;

use queue::Queue;
use send::send;
use work::{Job, Work};

pub use keep::Unheld;
pub use knowledge::{Known, KnownLayer, PARALLEL, Previous, Transfer};

/// A blob of known digest to be placed in a store.
#[derive(Clone)]
pub struct Blob {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub source: Arc<dyn BlobSource>,
    /// A repository that has it: where it is the target's neighbour, no byte need move.
    pub origin: Option<Reference>,
}

impl Blob {
    /// A blob that no repository is known to have.
    pub fn new(descriptor: Descriptor, source: Arc<dyn BlobSource>) -> Self {
        Self { descriptor, source, origin: None }
    }

    /// The same, from the repository that is known to have it.
    fn from(self, transfer: &Transfer) -> Self {
        Self { origin: transfer.origins.get(&self.descriptor.digest).cloned(), ..self }
    }
}

/// What became of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// False where the store had it already.
    pub sent: bool,
}

/// A layer after its transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedLayer {
    /// The digests of the layer and of the files in it.
    pub digests: LayerDigests,
    /// Where it ended.
    pub placed: Placed,
}

/// Hashes the layers without sending them anywhere.
///
/// # Errors
/// A file that cannot be read, or that changed while it was read.
pub fn hash_layers(
    layers: &[LayerTar],
    compression: Compression,
    transfer: &Transfer,
    watch: &Watch,
) -> Result<Vec<PlacedLayer>, ImageError> {
    let transfer = transfer.without_sending();
    let work = Work { layers, compression, transfer: &transfer, watch };
    let only_told = |job: Job| match job {
        Job::Ready { number, digests, blob } => Ok(Done { number, digests, placed: Placed { descriptor: blob.descriptor, sent: false } }),
        Job::SinglePass { .. } => Err(ImageError::Stopped),
    };
    Ok(in_order(run(&work, &[], &only_told)?).0)
}

/// Brings the layers and the blobs to the store. Blobs come behind the layers in the numbering of events.
///
/// # Errors
/// The first one that is not a mere consequence of another.
pub fn place(
    layers: &[LayerTar],
    compression: Compression,
    blobs: &[Blob],
    store: &dyn Store,
    transfer: &Transfer,
    watch: &Watch,
) -> Result<(Vec<PlacedLayer>, Vec<Placed>), ImageError> {
    // A registry that is down, or that wants a login, says so before gigabytes are hashed, and once instead of from each thread.
    store.has_blob(&Descriptor::of(media_type::EMPTY, b"{}"))?;
    let work = Work { layers, compression, transfer, watch };
    Ok(in_order(run(&work, blobs, &|job| send(job, &work, store))?))
}

/// How many bytes of files will be read before anything of theirs can be sent.
pub fn hashed_ahead(layers: &[LayerTar], compression: Compression, transfer: &Transfer) -> u64 {
    let passes = if compression == Compression::None { 1 } else { 2 };
    let ahead = work::plan(layers, compression, transfer).ahead;
    ahead.iter().flat_map(|layer| layers[*layer].files()).map(|file| file.size * passes).sum()
}

/// What became of a job.
struct Done {
    /// The position among the layers and the blobs behind them.
    number: usize,
    /// For a layer.
    digests: Option<LayerDigests>,
    placed: Placed,
}

/// Hashes what must be hashed ahead, while `each` takes what is ready.
fn run(work: &Work<'_>, blobs: &[Blob], each: &(dyn Fn(Job) -> Result<Done, ImageError> + Sync)) -> Result<Vec<Done>, ImageError> {
    let (queue, ahead) = (Queue::new(), work.ahead());
    thread::scope(|scope| {
        // All that may bring work are counted before the first taker could find that nobody will.
        let sources: Vec<_> = (0..ahead.threads()).map(|_| queue.source()).collect();
        let ready = queue.source();
        work.ready(blobs).into_iter().for_each(|job| ready.put(job.size(work.layers), job));
        drop(ready);
        let ahead = &ahead;
        let hashing = sources.into_iter().map(|source| scope.spawn(move || work.hash_all(ahead, &source))).collect();
        let taking = (0..work.transfer.parallel.get()).map(|_| scope.spawn(|| take_all(&queue, work.watch, each))).collect();
        gather(all(hashing), all(taking))
    })
}

fn take_all(queue: &Queue<Job>, watch: &Watch, each: &(dyn Fn(Job) -> Result<Done, ImageError> + Sync)) -> Result<Vec<Done>, ImageError> {
    let mut done = Vec::new();
    while let Some(job) = queue.take() {
        watch.go_on().map_err(|_| ImageError::Stopped)?;
        done.push(each(job).inspect_err(|_| watch.stop())?);
    }
    Ok(done)
}

fn all<T>(threads: Vec<ScopedJoinHandle<'_, Result<T, ImageError>>>) -> Vec<Result<T, ImageError>> {
    threads.into_iter().map(|thread| thread.join().unwrap_or(Err(ImageError::Stopped))).collect()
}

/// All that is done, or the error that explains the others: a stop is only ever a consequence.
fn gather(hashed: Vec<Result<(), ImageError>>, taken: Vec<Result<Vec<Done>, ImageError>>) -> Result<Vec<Done>, ImageError> {
    let mut done = Vec::new();
    let mut errors: Vec<ImageError> = hashed.into_iter().filter_map(Result::err).collect();
    for result in taken {
        match result {
            Ok(more) => done.extend(more),
            Err(error) => errors.push(error),
        }
    }
    errors.sort_by_key(ImageError::is_stop);
    errors.into_iter().next().map_or(Ok(done), Err)
}

fn in_order(mut done: Vec<Done>) -> (Vec<PlacedLayer>, Vec<Placed>) {
    done.sort_by_key(|done| done.number);
    let (mut layers, mut blobs) = (Vec::new(), Vec::new());
    for Done { digests, placed, .. } in done {
        match digests {
            Some(digests) => layers.push(PlacedLayer { digests, placed }),
            None => blobs.push(placed),
        }
    }
    (layers, blobs)
}

#[cfg(test)]
mod tests;
