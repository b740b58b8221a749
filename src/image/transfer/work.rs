//! What is to be done: which layers are ready to go, and which are hashed first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::queue::Source;
use super::route::{Route, route};
use super::{Blob, KnownLayer, Transfer};
use crate::image::ImageError;
use crate::image::compress::{self, Compression};
use crate::image::hash::{LayerDigests, hash, hash_content};
use crate::image::tar::LayerTar;
use crate::image::watch::{Event, Watch};
use crate::oci::{Descriptor, media_type};

/// The layers of an image, and how they are brought to their place.
pub(super) struct Work<'a> {
    pub(super) layers: &'a [LayerTar],
    pub(super) compression: Compression,
    pub(super) transfer: &'a Transfer,
    pub(super) watch: &'a Watch,
}

/// Something that can be sent.
#[expect(clippy::large_enum_variant, reason = "few wait at a time")]
pub(super) enum Job {
    /// A blob of known digest.
    Ready {
        /// The position among the layers and the blobs behind them.
        number: usize,
        /// For a layer.
        digests: Option<LayerDigests>,
        blob: Blob,
    },
    /// A layer of which nothing is known.
    SinglePass {
        /// Its position.
        layer: usize,
    },
}

impl Job {
    /// How much there is to send, in bytes.
    pub(super) fn size(&self, layers: &[LayerTar]) -> u64 {
        match self {
            Self::Ready { blob, .. } => blob.descriptor.size,
            Self::SinglePass { layer } => layers[*layer].size(),
        }
    }
}

/// The layers by their routes.
pub(super) struct Plan<'a> {
    /// With the position of each.
    routes: Vec<(usize, Route<'a>)>,
    /// Those that are hashed first, the biggest in front: its upload is to start soonest.
    pub(super) ahead: Vec<usize>,
}

/// Decides the route of each layer.
pub(super) fn plan<'a>(layers: &[LayerTar], compression: Compression, transfer: &'a Transfer) -> Plan<'a> {
    let routes = layers.iter().enumerate().map(|(layer, tar)| (layer, route(layer, tar.size(), compression, transfer)));
    let (ahead, routes): (Vec<_>, Vec<_>) = routes.partition(|(_, route)| *route == Route::HashAhead);
    let mut ahead: Vec<usize> = ahead.into_iter().map(|(layer, _)| layer).collect();
    ahead.sort_by_key(|layer| std::cmp::Reverse(layers[*layer].size()));
    Plan { routes, ahead }
}

/// The layers that are hashed first, shared by the threads that do it.
pub(super) struct Ahead {
    layers: Vec<usize>,
    next: AtomicUsize,
    threads: usize,
}

impl Ahead {
    fn new(layers: Vec<usize>, threads: usize, transfer: &Transfer) -> Self {
        Self { threads: threads.clamp(1, transfer.parallel.get()).min(layers.len()), layers, next: AtomicUsize::new(0) }
    }

    /// How many threads take layers.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    fn next(&self) -> Option<usize> {
        self.layers.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

impl Work<'_> {
    /// What can be sent at once.
    pub(super) fn ready(&self, blobs: &[Blob]) -> Vec<Job> {
        let blobs = blobs.iter().enumerate();
        let blobs = blobs.map(|(number, blob)| Job::Ready { number: self.layers.len() + number, digests: None, blob: blob.clone() });
        let layers = self.plan().routes.into_iter().map(|(layer, route)| match route {
            Route::Known(known) => self.known(layer, known),
            Route::SinglePass | Route::HashAhead => Job::SinglePass { layer },
        });
        layers.chain(blobs).collect()
    }

    fn known(&self, layer: usize, known: &KnownLayer) -> Job {
        let source = compress::source(&self.layers[layer], self.compression);
        let blob = Blob::new(known.blob.clone(), source).from(self.transfer);
        Job::Ready { number: layer, digests: Some(known.digests.clone()), blob }
    }

    pub(super) fn ahead(&self) -> Ahead {
        let layers = self.plan().ahead;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ahead::new(layers.clone(), cores / self.hashes(&layers), self.transfer)
    }

    /// How many cores a thread needs for most of these layers: for a layer and the files in it, or, where an image tells of the layer, for its
    /// file alone. More threads than that would only hold memory.
    fn hashes(&self, layers: &[usize]) -> usize {
        let size = |layer: &usize| self.layers[*layer].size();
        let told = layers.iter().filter(|layer| self.transfer.known.told.contains_key(layer)).map(size).sum::<u64>();
        if told > layers.iter().map(size).sum::<u64>() / 2 { 1 } else { 2 }
    }

    fn plan(&self) -> Plan<'_> {
        plan(self.layers, self.compression, self.transfer)
    }

    /// Hashes layers as long as there are some, and hands each on.
    pub(super) fn hash_all(&self, ahead: &Ahead, to: &Source<'_, Job>) -> Result<(), ImageError> {
        while let Some(layer) = ahead.next() {
            let job = self.hash(layer).inspect_err(|_| self.watch.stop())?;
            to.put(job.size(self.layers), job);
        }
        Ok(())
    }

    fn hash(&self, layer: usize) -> Result<Job, ImageError> {
        let tar = &self.layers[layer];
        if let Some(known) = self.told(layer)? {
            return Ok(self.known(layer, known));
        }
        let digests = self.digests(tar)?;
        let plain = Descriptor::new(media_type::LAYER_TAR, digests.layer, tar.size());
        let blob = compress::packed(tar, plain, self.compression, self.watch)?;
        tracing::debug!("hashed layer {}: {} of {} bytes", layer + 1, blob.descriptor.digest, blob.descriptor.size);
        self.transfer.remember(tar, &digests, self.compression, &blob.descriptor);
        Ok(Job::Ready { number: layer, digests: Some(digests), blob: blob.from(self.transfer) })
    }

    /// Reads the only file of a layer to see whether it is what an image told of it. One that changed is read again, as a layer.
    fn told(&self, layer: usize) -> Result<Option<&KnownLayer>, ImageError> {
        let known = &self.transfer.known;
        let Some(file) = self.layers[layer].files().next().filter(|_| known.told.contains_key(&layer)) else { return Ok(None) };
        let content = hash_content(file, &|_| self.watch.go_on()).map_err(ImageError::Reading)?;
        let found = known.told(layer, &content);
        if found.is_some() {
            self.transfer.cache.remember_file(file, content);
            self.watch.tell(Event::Hashed { bytes: file.size });
        }
        Ok(found)
    }

    /// Reads a layer for its digests alone.
    pub(super) fn digests(&self, tar: &LayerTar) -> Result<LayerDigests, ImageError> {
        let seen = |bytes| {
            self.watch.tell(Event::Hashed { bytes });
            self.watch.go_on()
        };
        hash(tar, &self.transfer.known, &seen).map_err(ImageError::Reading)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    #[test]
    fn there_are_never_more_hashing_threads_than_layers_or_uploads() {
        for (layers, most) in [(0, 4), (1, 4), (3, 1), (64, 16)] {
            let transfer = Transfer { parallel: NonZeroUsize::new(most).unwrap(), ..Transfer::default() };
            let ahead = Ahead::new((0..layers).collect(), 8, &transfer);
            assert!(ahead.threads() <= layers.min(most));
            assert_eq!(ahead.threads() == 0, layers == 0);
            assert_eq!(std::iter::from_fn(|| ahead.next()).count(), layers);
        }
    }
}
