//! In how many requests a blob goes up. Pure.
//!
//! One request with the whole blob is the portable way and the default. Some registries know no other, some put a limit to it; those
//! that are known are in a table here, and others say so by their answers.

use std::ops::Range;

/// The chunk where a registry wants chunks and does not say of what size, in bytes. distribution reads a blob once more from its start for
/// every chunk, so they must not be small.
const CHUNK: u64 = 16 << 20;
/// Smaller chunks than this cost more in requests than they could save, in bytes. Also what a registry's own wish is held to.
const SMALLEST_CHUNK: u64 = 64 << 10;
/// GitHub answers 416 to a chunk above this, in bytes: <https://github.com/ocx-sh/ocx/issues/237>.
const GITHUB_CHUNK: u64 = 4 << 20;
/// What a new blob may have in order to be hashed first rather than sent in two requests, in bytes.
const SMALL: u64 = 256 << 10;

/// What a registry is known to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manners {
    /// Whether a whole blob may come in a `PATCH` before its digest is known.
    pub(super) streams: bool,
    pub(super) chunks: Chunks,
    /// Whether 413 or the registry's word has shown that it takes no whole blobs of any size.
    pub(super) whole: bool,
}

/// What a registry does with chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// It takes them, as far as is known.
    UpTo(u64),
    /// It refuses them.
    Never,
}

/// How a blob goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `PUT` with all bytes.
    Whole,
    /// `PATCH` with all bytes, then an empty `PUT`: the digest becomes known on the way.
    Stream,
    /// `PATCH` after `PATCH` of so many bytes, then an empty `PUT`.
    Chunks(u64),
}

/// What a registry says of its chunks when a session is opened, and the user on the command line; in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// `OCI-Chunk-Min-Length`
    pub(super) least: Option<u64>,
    /// `OCI-Chunk-Max-Length`
    pub(super) most: Option<u64>,
    /// `--chunk-size`
    pub(super) asked: Option<u64>,
}

impl Manners {
    /// The manners of the registries that are known to have peculiar ones; others are taken to keep to the specification.
    pub(super) fn of(host: &str) -> Self {
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let plain = Self { streams: true, chunks: Chunks::UpTo(u64::MAX), whole: true };
        let within = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        if within("ghcr.io") {
            return Self { chunks: Chunks::UpTo(GITHUB_CHUNK), ..plain };
        }
        // Amazon answers 201 to a PATCH, and wants parts of 5 MiB at least; Google takes one PATCH but no second.
        if within("amazonaws.com") || within("amazonaws.com.cn") || within("public.ecr.aws") {
            return Self { streams: false, chunks: Chunks::Never, ..plain };
        }
        if within("gcr.io") || within("pkg.dev") {
            return Self { chunks: Chunks::Never, ..plain };
        }
        plain
    }

    /// How a blob of `size` bytes goes up.
    pub(super) fn shape(&self, size: u64, digest_known: Knowledge, terms: Terms) -> Shape {
        if let Some(chunk) = self.chunk(terms).filter(|chunk| *chunk < size) {
            return Shape::Chunks(chunk);
        }
        match digest_known {
            Knowledge::Digest => Shape::Whole,
            Knowledge::SizeOnly => Shape::Stream,
        }
    }

    /// Whether a new blob is hashed before it is sent.
    pub(super) fn hashes_first(&self, size: u64) -> bool {
        !self.streams || size <= SMALL
    }

    /// The chunks to send, where chunks are sent.
    fn chunk(&self, terms: Terms) -> Option<u64> {
        let wanted = terms.asked.or(terms.most).or((!self.whole).then_some(CHUNK))?;
        self.bounded(wanted, terms)
    }

    /// The chunks in which the rest of a blob goes up that broke off; `None` where a registry takes none.
    pub(super) fn rest(&self, terms: Terms) -> Option<u64> {
        self.bounded(self.chunk(terms).unwrap_or(u64::MAX), terms)
    }

    fn bounded(&self, wanted: u64, terms: Terms) -> Option<u64> {
        let Chunks::UpTo(most) = self.chunks else { return None };
        let least = terms.least.unwrap_or(0).max(SMALLEST_CHUNK);
        Some(wanted.max(least).min(most).min(terms.most.unwrap_or(u64::MAX).max(SMALLEST_CHUNK)))
    }
}

/// The largest layer that a registry is known to take by default, in bytes: Quay's `MAXIMUM_LAYER_SIZE` is 20G. That others have none is not said.
pub(super) fn layer_limit(host: &str) -> Option<u64> {
    (host == "quay.io").then_some(20 << 30)
}

/// What is known of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    Digest,
    SizeOnly,
}

/// What an answer that is no success teaches about a registry; `None`: nothing, it is the answer to this blob.
///
/// `said` tells that the registry has explained itself with a code of the specification; a proxy in front of it knows none.
pub(super) fn lesson(manners: Manners, shape: Shape, status: u16, said: bool) -> Option<Manners> {
    let no_chunks = Manners { chunks: Chunks::Never, ..manners };
    match (shape, status) {
        (Shape::Stream | Shape::Whole, 413) if !said && manners.chunks != Chunks::Never => Some(Manners { whole: false, ..manners }),
        (Shape::Stream, 400 | 404 | 405 | 411 | 413 | 415 | 416 | 501) => Some(Manners { streams: false, ..manners }),
        // chunks that nobody but the user has asked for
        (Shape::Chunks(_), 400 | 404 | 405 | 411 | 415 | 416 | 501) if manners.whole => Some(no_chunks),
        _ => None,
    }
}

/// Both bounds of a chunk, the last one included, as the specification writes them: without unit and length.
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>
pub(super) fn content_range(chunk: &Range<u64>) -> String {
    format!("{}-{}", chunk.start, chunk.end.saturating_sub(1))
}

/// How many bytes a `Range` header says are there: `0-99` is a hundred. Quay writes `bytes=0-99`.
///
/// `None` for `0-0` too, with which distribution means none at all.
pub(super) fn received(header: Option<&str>) -> Option<u64> {
    let header = header?.trim();
    let last = header.strip_prefix("bytes=").unwrap_or(header).strip_prefix("0-")?;
    let last: u64 = last.bytes().all(|byte| byte.is_ascii_digit()).then(|| last.parse().ok())??;
    last.checked_add(1).filter(|count| *count > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn registries_of_known_manners() {
        let chunks = |host| Manners::of(host).chunks;
        for host in ["gcr.io", "eu.gcr.io", "europe-docker.pkg.dev", "123.dkr.ecr.eu-west-1.amazonaws.com", "public.ecr.aws"] {
            assert_eq!(chunks(host), Chunks::Never, "{host}");
        }
        for host in ["quay.io", "notgcr.io", "gcr.io.evil.example", "localhost:5000", "ghcr.io.example.com"] {
            assert_eq!(chunks(host), Chunks::UpTo(u64::MAX), "{host}");
        }
        assert_eq!(chunks("GHCR.io:443"), Chunks::UpTo(4 * MIB));
        for (host, streams) in [("quay.io", true), ("ghcr.io", true), ("gcr.io", true), ("1.dkr.ecr.x.amazonaws.com", false)] {
            assert_eq!(Manners::of(host).streams, streams, "{host}");
        }
    }

    #[test]
    fn only_quays_limit_is_known() {
        assert_eq!((layer_limit("quay.io"), layer_limit("quay.io.example.com"), layer_limit("ghcr.io")), (Some(20 << 30), None, None));
    }

    #[test]
    fn the_shape_of_an_upload() {
        let (size, whole, stream) = (100 * MIB, Shape::Whole, Shape::Stream);
        let chunks = |mib| Shape::Chunks(mib * MIB);
        let terms = |least, most, asked| Terms {
            least: Some(least * MIB).filter(|bytes| *bytes > 0),
            most: Some(most * MIB).filter(|bytes| *bytes > 0),
            asked: Some(asked * MIB).filter(|bytes| *bytes > 0),
        };
        for (host, terms, known, new) in [
            ("quay.io", terms(0, 0, 0), whole, stream),
            ("ghcr.io", terms(0, 0, 0), whole, stream),
            ("quay.io", terms(0, 0, 32), chunks(32), chunks(32)),
            ("quay.io", terms(0, 0, 200), whole, stream),
            ("ghcr.io", terms(0, 0, 32), chunks(4), chunks(4)),
            ("gcr.io", terms(0, 0, 32), whole, stream),
            ("quay.io", terms(5, 0, 0), whole, stream),
            ("quay.io", terms(5, 0, 1), chunks(5), chunks(5)),
            ("quay.io", terms(0, 50, 0), chunks(50), chunks(50)),
            ("quay.io", terms(0, 50, 80), chunks(50), chunks(50)),
            ("quay.io", terms(60, 50, 10), chunks(50), chunks(50)),
            ("quay.io", terms(0, 500, 0), whole, stream),
        ] {
            let manners = Manners::of(host);
            let shapes = (manners.shape(size, Knowledge::Digest, terms), manners.shape(size, Knowledge::SizeOnly, terms));
            assert_eq!(shapes, (known, new), "{host} {terms:?}");
        }
    }

    #[test]
    fn absurd_wishes_of_a_registry_are_bounded() {
        let manners = Manners::of("quay.io");
        for (least, most) in [(None, Some(0)), (None, Some(1)), (Some(u64::MAX), Some(0)), (Some(0), Some(1))] {
            let terms = Terms { least, most, asked: None };
            assert_eq!(manners.shape(MIB, Knowledge::Digest, terms), Shape::Chunks(SMALLEST_CHUNK), "{terms:?}");
        }
        let endless = Terms { least: Some(u64::MAX), most: None, asked: Some(1) };
        assert_eq!(manners.shape(MIB, Knowledge::Digest, endless), Shape::Whole);
    }

    #[test]
    fn refusals_teach_another_shape_and_end() {
        let plain = Manners::of("quay.io");
        let (stream, whole, chunks) = (Shape::Stream, Shape::Whole, Shape::Chunks(1));
        for (manners, shape, status, said, lesson_is) in [
            (plain, stream, 405, true, Some(Manners { streams: false, ..plain })),
            (plain, stream, 416, false, Some(Manners { streams: false, ..plain })),
            (plain, stream, 413, false, Some(Manners { whole: false, ..plain })),
            (plain, stream, 413, true, Some(Manners { streams: false, ..plain })),
            (plain, whole, 413, false, Some(Manners { whole: false, ..plain })),
            (plain, whole, 413, true, None),
            (plain, whole, 400, true, None),
            (plain, stream, 403, true, None),
            (plain, chunks, 416, true, Some(Manners { chunks: Chunks::Never, ..plain })),
            (Manners { whole: false, ..plain }, chunks, 416, true, None),
            (Manners::of("gcr.io"), whole, 413, false, None),
        ] {
            assert_eq!(lesson(manners, shape, status, said), lesson_is, "{shape:?} {status} {said}");
        }
    }

    #[test]
    fn small_new_blobs_are_hashed_first() {
        let manners = Manners::of("quay.io");
        assert!(manners.hashes_first(0) && manners.hashes_first(1000) && !manners.hashes_first(MIB));
        assert!(Manners { streams: false, ..manners }.hashes_first(1 << 40));
    }

    /// Distribution specification, "Pushing a blob in chunks": "both the beginning and the end of the range are inclusive", and the form is
    /// `^[0-9]+-[0-9]+$`.
    #[test]
    fn a_content_range_is_inclusive_and_without_unit() {
        assert_eq!(content_range(&(0..100)), "0-99");
        assert_eq!(content_range(&(100..101)), "100-100");
    }

    #[test]
    fn what_a_range_header_says_is_there() {
        for (header, count) in [
            ("0-99", Some(100)),
            (" bytes=0-99 ", Some(100)),
            ("0-1", Some(2)),
            ("0-0", None),
            ("bytes=0--1", None),
            ("1-99", None),
            ("0-", None),
            ("0-+9", None),
            ("0-18446744073709551615", None),
            ("0-99999999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(received(Some(header)), count, "{header}");
        }
        assert_eq!(received(None), None);
    }
}
