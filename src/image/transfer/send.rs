//! One blob, or one layer of which nothing is known, on its way.

use std::io;

use super::passing::Passing;
use super::work::{Job, Work};
use super::{Blob, Done, Placed};
use crate::image::ImageError;
use crate::image::hash::LayerDigests;
use crate::image::watch::{Event, Metered, Watch};
use crate::oci::{Descriptor, media_type};
use crate::store::{Store, StoreError};

/// Brings it to the store.
pub(super) fn send(job: Job, work: &Work<'_>, store: &dyn Store) -> Result<Done, ImageError> {
    match job {
        Job::Ready { number, digests, blob } => Ok(Done { number, digests, placed: place_blob(number, blob, store, work.watch)? }),
        Job::SinglePass { layer } => single_pass(layer, work, store),
    }
}

fn place_blob(number: usize, blob: Blob, store: &dyn Store, watch: &Watch) -> Result<Placed, ImageError> {
    let sent = !store.has_blob(&blob.descriptor)? && !mounted(&blob, store)?;
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

fn mounted(blob: &Blob, store: &dyn Store) -> Result<bool, ImageError> {
    let Some(origin) = &blob.origin else { return Ok(false) };
    Ok(store.mount_blob(&blob.descriptor, origin)?)
}

fn single_pass(layer: usize, work: &Work<'_>, store: &dyn Store) -> Result<Done, ImageError> {
    let tar = &work.layers[layer];
    let passing = Passing::new(tar, &work.transfer.known);
    let source = Metered { source: &passing, blob: layer, watch: work.watch.clone() };
    let digest = store.put_new_blob(tar.size(), &source).map_err(of_the_model)?;
    tracing::debug!("stored new layer {}: {digest} in {}", layer + 1, store.name());
    work.watch.tell(Event::Stored { blob: layer });
    let descriptor = Descriptor::new(media_type::LAYER_TAR, digest, tar.size());
    // A store that took the layer has read it to its end.
    let files = passing.files().ok_or_else(|| ImageError::Reading(io::ErrorKind::UnexpectedEof.into()))?;
    let digests = LayerDigests { layer: digest, files };
    work.transfer.remember(tar, &digests, work.compression, &descriptor);
    Ok(Done { number: layer, digests: Some(digests), placed: Placed { descriptor, sent: true } })
}

/// What a store could not read here is a file of the model.
fn of_the_model(error: StoreError) -> ImageError {
    match error {
        StoreError::Unhashed { source, .. } => ImageError::Reading(source),
        other => other.into(),
    }
}
