//! Which way a layer goes, from what is known of it. Pure.

use super::knowledge::{KnownLayer, Transfer};
use crate::image::compress::Compression;

/// How a layer comes to its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// Its digest is known: it is read only where the place does not have it.
    Known(&'a KnownLayer),
    /// The place cannot have it: it is sent at once, and hashed on the way.
    SinglePass,
    /// The place may have it: it is hashed first, and sent where that was wrong.
    HashAhead,
}

/// The route of the layer at this position, whose tar has `size` bytes.
pub(super) fn route(layer: usize, size: u64, compression: Compression, transfer: &Transfer) -> Route<'_> {
    if let Some(known) = transfer.known.layers.get(&layer) {
        return Route::Known(known);
    }
    // Nobody knows the length of what is compressed before the end, and uploads are announced with theirs.
    if compression != Compression::None || transfer.previous.may_have(size) {
        return Route::HashAhead;
    }
    Route::SinglePass
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::hash::LayerDigests;
    use crate::image::transfer::Previous;
    use crate::oci::{Descriptor, Digest, media_type};

    fn layer(size: u64) -> Descriptor {
        Descriptor::new(media_type::LAYER_TAR, Digest::of(b"layer"), size)
    }

    #[test]
    fn a_layer_is_read_no_oftener_than_needed() {
        let there = |sizes: &[u64]| Previous::Layers(sizes.iter().map(|size| layer(*size)).collect());
        let table = [
            ("nobody looked", Previous::Unknown, Compression::None, Route::HashAhead),
            ("an empty repository", there(&[]), Compression::None, Route::SinglePass),
            ("layers of other sizes", there(&[6, 8]), Compression::None, Route::SinglePass),
            ("a layer of this size", there(&[6, 7]), Compression::None, Route::HashAhead),
            ("gzip into an empty repository", there(&[]), Compression::Gzip, Route::HashAhead),
            ("zstd into an empty repository", there(&[]), Compression::Zstd, Route::HashAhead),
        ];
        for (name, previous, compression, expected) in table {
            let transfer = Transfer { previous, ..Transfer::default() };
            assert_eq!(route(3, 7, compression, &transfer), expected, "{name}");
        }
    }

    #[test]
    fn a_known_layer_is_not_read_whatever_is_there() {
        let digests = LayerDigests { layer: Digest::of(b"tar"), files: vec![Digest::of(b"file")] };
        let known = KnownLayer { digests, blob: layer(7) };
        for previous in [Previous::Unknown, Previous::Layers(Vec::new()), Previous::Layers(vec![layer(7)])] {
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let mut transfer = Transfer { previous: previous.clone(), ..Transfer::default() };
                transfer.known.layers.insert(3, known.clone());
                assert_eq!(route(3, 7, compression, &transfer), Route::Known(&known));
                assert_ne!(route(2, 7, compression, &transfer), Route::Known(&known), "another layer");
            }
        }
    }
}
