//! How layers and blobs are placed, and what is known about them before a byte is read: plain data, filled in by the caller.
//!
//! The default knows nothing, and then every layer is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::image::compress::Compression;
use crate::image::digest_cache::DigestCache;
use crate::image::earlier::stamp;
use crate::image::hash::LayerDigests;
use crate::image::tar::LayerTar;
use crate::model::{Content, FileStamp, ModelFile};
use crate::oci::{Descriptor, Digest, Reference, media_type};

/// How many blobs are sent at once unless the user says otherwise. More gains nothing where the registry hashes a stream per core.
pub const PARALLEL: NonZeroUsize = NonZeroUsize::MIN.saturating_add(3);

/// How a transfer is made.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// How many blobs are on their way at once.
    pub parallel: NonZeroUsize,
    /// What is known of the layers' bytes without reading them.
    pub known: Known,
    /// What the place holds of an earlier version of the image.
    pub previous: Previous,
    /// Repositories that have layers of these digests: where one is the target's neighbour, no byte need move.
    pub origins: HashMap<Digest, Reference>,
    /// Remembers what is hashed.
    pub cache: Arc<DigestCache>,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { parallel: PARALLEL, known: Known::default(), previous: Previous::default(), origins: HashMap::new(), cache: Arc::default() }
    }
}

impl Transfer {
    /// The same where nothing is sent, and so nothing can be hashed on its way.
    #[must_use]
    pub fn without_sending(&self) -> Self {
        Self { previous: Previous::Unknown, ..self.clone() }
    }

    /// Remembers a layer as soon as it is hashed: where the rest breaks off, the next run need not read it again.
    pub(super) fn remember(&self, tar: &LayerTar, digests: &LayerDigests, compression: Compression, blob: &Descriptor) {
        if tar.files().filter_map(stamp).any(|stamp| self.known.borrowed.contains(&stamp)) {
            return;
        }
        self.cache.remember_layer(tar, digests);
        if compression != Compression::None {
            self.cache.remember_packed(tar, compression, blob.digest, blob.size);
        }
    }
}

/// Digests that are known without reading. Whoever fills it in vouches for it: a layer that the store has under such a digest is never read.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Whole layers, by their position in the image, as in [`Build::layers`](crate::image::Build::layers).
    pub layers: BTreeMap<usize, KnownLayer>,
    /// What these layers are if their only file has the digest that each names: the word of a trusted image. The file's digest is then all that
    /// is hashed.
    pub told: BTreeMap<usize, KnownLayer>,
    /// The content of files on disk that still bear this stamp.
    pub files: HashMap<FileStamp, Digest>,
    /// Those of the files whose digest is somebody else's word: it is not remembered as what was hashed here.
    pub borrowed: HashSet<FileStamp>,
}

/// A layer that need not be read to know what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLayer {
    /// The digests of the tar and of the files in it.
    pub digests: LayerDigests,
    /// How it is stored: the tar itself, or what it is compressed to.
    pub blob: Descriptor,
}

impl Known {
    /// What a layer is whose only file has this content.
    pub(in crate::image) fn told(&self, layer: usize, content: &Digest) -> Option<&KnownLayer> {
        self.told.get(&layer).filter(|told| told.digests.files.as_slice() == std::slice::from_ref(content))
    }

    /// The digest of a file that was not changed since it became known.
    pub(in crate::image) fn file(&self, file: &ModelFile) -> Option<Digest> {
        match &file.content {
            Content::Disk { stamp, .. } => self.files.get(stamp).copied(),
            Content::Pieces(_) | Content::Within(_) => None,
        }
    }
}

impl KnownLayer {
    /// A layer that is stored as it is.
    pub fn plain(tar: &LayerTar, digests: LayerDigests) -> Self {
        Self { blob: Descriptor::new(media_type::LAYER_TAR, digests.layer, tar.size()), digests }
    }
}

/// What is known of an earlier version in the same place: it decides how a layer is sent, and never what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Previous {
    /// Nobody looked: any layer may be there.
    #[default]
    Unknown,
    /// These are its layers, with their annotations; none where the place holds no image at all.
    Layers(Vec<Descriptor>),
}

impl Previous {
    /// Whether a layer of this size, in bytes, may be there already.
    pub fn may_have(&self, size: u64) -> bool {
        match self {
            Self::Unknown => true,
            Self::Layers(layers) => layers.iter().any(|layer| layer.size == size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_layer_of_the_same_size_can_be_the_same_layer() {
        let layer = |size| Descriptor::new(media_type::LAYER_TAR, Digest::of(b""), size);
        let table = [
            (Previous::Unknown, 7, true),
            (Previous::Layers(Vec::new()), 7, false),
            (Previous::Layers(vec![layer(6), layer(8)]), 7, false),
            (Previous::Layers(vec![layer(6), layer(7)]), 7, true),
        ];
        for (previous, size, expected) in table {
            assert_eq!(previous.may_have(size), expected, "{previous:?}");
        }
    }
}
