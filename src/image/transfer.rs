//! Hash ahead, then send: while some layers are on their way, the next one is hashed.
//!
//! A blob that the store has is never sent. One thread hashes, biggest layer first, so that its upload starts soonest; up to
//! [`PARALLEL`] threads send. The first error stops all of them.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::ImageError;
use super::compress::{self, Compression};
use super::hash::{LayerDigests, hash};
use super::tar::LayerTar;
use super::watch::{Event, Metered, Watch};
use crate::oci::{Descriptor, media_type};
use crate::store::{BlobSource, Store};

/// How many blobs are sent at once. More gains nothing where the registry hashes a stream per core.
pub const PARALLEL: usize = 4;

/// A blob of known digest to be placed in a store.
#[derive(Clone)]
pub struct Blob {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub source: Arc<dyn BlobSource>,
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
pub fn hash_layers(layers: &[LayerTar], compression: Compression, watch: &Watch) -> Result<Vec<PlacedLayer>, ImageError> {
    let mut done = Vec::new();
    hash_each(layers, compression, watch, |layer, digests, blob| {
        done.push((layer, Some(digests), Placed { descriptor: blob.descriptor, sent: false }));
    })?;
    Ok(in_order(done).0)
}

/// Hashes the layers and places them and the blobs in the store. Blobs come behind the layers in the numbering of events.
///
/// # Errors
/// The first one that is not a mere consequence of another.
pub fn place(
    layers: &[LayerTar],
    compression: Compression,
    blobs: &[Blob],
    store: &dyn Store,
    watch: &Watch,
) -> Result<(Vec<PlacedLayer>, Vec<Placed>), ImageError> {
    // A registry that is down, or that wants a login, says so before gigabytes are hashed, and once instead of from each thread.
    store.has_blob(&Descriptor::of(media_type::EMPTY, b"{}"))?;
    let (send, receive) = channel();
    for (number, blob) in blobs.iter().enumerate() {
        let _ = send.send((layers.len() + number, None, blob.clone()));
    }
    let receive = Mutex::new(receive);
    let done = thread::scope(|scope| {
        let senders: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(|| send_all(&receive, store, watch))).collect();
        // Nobody takes the work once sending has failed; that error is the one reported.
        let hashed = hash_each(layers, compression, watch, |layer, digests, blob| drop(send.send((layer, Some(digests), blob))));
        drop(send);
        let sent = senders.into_iter().map(|sender| sender.join().unwrap_or(Err(ImageError::Stopped))).collect();
        gather(hashed, sent)
    })?;
    Ok(in_order(done))
}

fn hash_each(
    layers: &[LayerTar],
    compression: Compression,
    watch: &Watch,
    mut each: impl FnMut(usize, LayerDigests, Blob),
) -> Result<(), ImageError> {
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by_key(|layer| std::cmp::Reverse(layers[*layer].size()));
    let seen = |bytes| {
        watch.tell(Event::Hashed { bytes });
        watch.go_on()
    };
    for layer in order {
        let digests = hash(&layers[layer], &seen).map_err(ImageError::Reading).inspect_err(|_| watch.stop())?;
        let plain = Descriptor::new(media_type::LAYER_TAR, digests.layer, layers[layer].size());
        let blob = compress::packed(&layers[layer], plain, compression, watch).inspect_err(|_| watch.stop())?;
        tracing::debug!("hashed layer {}: {} of {} bytes", layer + 1, blob.descriptor.digest, blob.descriptor.size);
        each(layer, digests, blob);
    }
    Ok(())
}

type Work = (usize, Option<LayerDigests>, Blob);
type Done = (usize, Option<LayerDigests>, Placed);

fn send_all(receive: &Mutex<Receiver<Work>>, store: &dyn Store, watch: &Watch) -> Result<Vec<Done>, ImageError> {
    let mut done = Vec::new();
    loop {
        let work = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, digests, blob)) = work else { return Ok(done) };
        watch.go_on().map_err(|_| ImageError::Stopped)?;
        let placed = place_blob(number, blob, store, watch).inspect_err(|_| watch.stop())?;
        done.push((number, digests, placed));
    }
}

fn place_blob(number: usize, blob: Blob, store: &dyn Store, watch: &Watch) -> Result<Placed, ImageError> {
    let sent = !store.has_blob(&blob.descriptor)?;
    if sent {
        store.put_blob(&blob.descriptor, &Metered { source: &*blob.source, blob: number, watch: watch.clone() })?;
        tracing::debug!("stored {} in {}", blob.descriptor.digest, store.name());
        watch.tell(Event::Stored { blob: number });
    } else {
        tracing::debug!("{} has {}", store.name(), blob.descriptor.digest);
        watch.tell(Event::Present { blob: number });
    }
    Ok(Placed { descriptor: blob.descriptor, sent })
}

/// All that is done, or the error that explains the others: a stop is only ever a consequence.
fn gather(hashed: Result<(), ImageError>, sent: Vec<Result<Vec<Done>, ImageError>>) -> Result<Vec<Done>, ImageError> {
    let mut done = Vec::new();
    let mut errors: Vec<ImageError> = hashed.err().into_iter().collect();
    for result in sent {
        match result {
            Ok(placed) => done.extend(placed),
            Err(error) => errors.push(error),
        }
    }
    errors.sort_by_key(ImageError::is_stop);
    errors.into_iter().next().map_or(Ok(done), Err)
}

fn in_order(mut done: Vec<Done>) -> (Vec<PlacedLayer>, Vec<Placed>) {
    done.sort_by_key(|(number, ..)| *number);
    let mut layers = Vec::new();
    let mut blobs = Vec::new();
    for (_, digests, placed) in done {
        match digests {
            Some(digests) => layers.push(PlacedLayer { digests, placed }),
            None => blobs.push(placed),
        }
    }
    (layers, blobs)
}

#[cfg(test)]
mod tests;
