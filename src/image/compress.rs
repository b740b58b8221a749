//! Compressed layers: how ours are written, always with the same bytes, and how anybody's are read, within bounds.
//!
//! Weights are noise to a compressor: it saves a few per cent, costs minutes at every build and every pull, and makes a layer's digest
//! depend on an encoder. So plain tar is the default. A compressed layer is made in two passes: the first one tells its digest and
//! size, the second one sends it. Nothing is kept in between, neither in memory nor on disk.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ImageError;
use super::tar::LayerTar;
use super::transfer::Blob;
use super::watch::{Event, Watch};
use crate::kserve::KserveError;
use crate::oci::{Descriptor, Hasher, media_type};
use crate::store::BlobSource;

// Every setting that decides a byte of our output is in these lines; `src/image/compress/tests.rs` holds the digests they give.
/// gzip's own default. `flate2` is built with miniz_oxide, whose output depends on nothing of the machine.
const GZIP_LEVEL: u32 = 6;
/// "Unknown" in gzip's header; anything else would name the machine.
const GZIP_OS: u8 = 255;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// Two to this power bytes. Pinned, as the default of a level has changed between releases.
const ZSTD_WINDOW_LOG: u32 = 21;

/// The largest window that is unpacked: 32 MiB. RFC 8878 asks decoders for 8 MiB; a stranger's frame may ask for terabytes.
const MAX_WINDOW_LOG: u32 = 25;
/// gzip cannot do better than 1032 to 1; whoever does better than this is a bomb.
const MAX_RATIO: u64 = 2000;
/// What any layer may unpack to, in bytes, whatever its ratio.
const ALWAYS_ALLOWED: u64 = 1 << 30;

/// How much is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// How the model's layers are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar: a layer's digest is its diff ID.
    #[default]
    None,
    /// For registries that charge by the byte. Every reader unpacks it.
    Gzip,
    /// Faster to unpack than gzip; KServe's `oci+fetch://` refuses it.
    Zstd,
}

impl Compression {
    const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The media type of such a layer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => media_type::LAYER_TAR,
            Self::Gzip => media_type::LAYER_GZIP,
            Self::Zstd => media_type::LAYER_ZSTD,
        }
    }

    /// How a layer of this media type is stored; `None` where it is no file system layer.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::LAYER_TAR | media_type::DOCKER_LAYER_TAR => Some(Self::None),
            media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => Some(Self::Gzip),
            media_type::LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The same bytes, compressed: one thread, no dictionary, nothing of the machine.
    fn encode(self, plain: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let plain = BufReader::with_capacity(BUFFER, plain);
        Ok(match self {
            Self::None => Box::new(plain),
            Self::Gzip => {
                let header = flate2::GzBuilder::new().mtime(0).operating_system(GZIP_OS);
                Box::new(header.buf_read(plain, flate2::Compression::new(GZIP_LEVEL)))
            }
            Self::Zstd => Box::new(zstd_encoder(plain)?),
        })
    }
}

fn zstd_encoder(plain: BufReader<Box<dyn Read + Send>>) -> io::Result<impl Read + Send> {
    let mut encoder = zstd::stream::read::Encoder::with_buffer(plain, ZSTD_LEVEL)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    encoder.long_distance_matching(false)?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(false)?;
    encoder.include_dictid(false)?;
    Ok(encoder)
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

impl FromStr for Compression {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        let named = Self::ALL.into_iter().find(|compression| compression.to_string() == text);
        named.ok_or_else(|| KserveError::unknown_word("compression", text, Self::ALL))
    }
}

/// A layer as it is stored. `plain` is the tar's descriptor; a compressed one is compressed here once, for its digest alone.
///
/// # Errors
/// A file that cannot be read, or that changed while it was read.
pub(super) fn packed(tar: &LayerTar, plain: Descriptor, compression: Compression, watch: &Watch) -> Result<Blob, ImageError> {
    if compression == Compression::None {
        return Ok(Blob::new(plain, source(tar, compression)));
    }
    let source = Packed { tar: tar.clone(), compression };
    let descriptor = measure(&source, watch).map_err(ImageError::Reading)?;
    Ok(Blob::new(descriptor, Arc::new(source)))
}

/// The bytes of a layer as it is stored.
pub(super) fn source(tar: &LayerTar, compression: Compression) -> Arc<dyn BlobSource> {
    match compression {
        Compression::None => Arc::new(tar.clone()),
        compression => Arc::new(Packed { tar: tar.clone(), compression }),
    }
}

fn measure(source: &Packed, watch: &Watch) -> io::Result<Descriptor> {
    let plain = Told { inner: source.tar.open()?, watch: watch.clone() };
    let mut packed = source.compression.encode(Box::new(plain))?;
    let (mut hasher, mut size, mut buffer) = (Hasher::default(), 0, vec![0; BUFFER]);
    loop {
        let count = packed.read(&mut buffer)?;
        if count == 0 {
            return Ok(Descriptor::new(source.compression.media_type(), hasher.finish(), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

/// A tar that is compressed whenever it is read.
struct Packed {
    tar: LayerTar,
    compression: Compression,
}

impl BlobSource for Packed {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.compression.encode(self.tar.open()?)
    }
}

/// Tells how much of the first pass is done, and ends when the work is stopped.
struct Told {
    inner: Box<dyn Read + Send>,
    watch: Watch,
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.go_on()?;
        let count = self.inner.read(buffer)?;
        self.watch.tell(Event::Hashed { bytes: count as u64 });
        Ok(count)
    }
}

/// The tar inside a layer.
///
/// # Errors
/// A layer that is no file system layer. The reader itself fails at a zstd window above 32 MiB, and at a bomb.
pub fn unpacked<'a>(layer: &Descriptor, blob: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>, ImageError> {
    unpacked_counting(layer, blob, Arc::default())
}

/// The same, and how many gzip members begin behind the first one: not every reader goes on with them.
///
/// # Errors
/// As for [`unpacked`].
pub(super) fn unpacked_counting<'a>(
    layer: &Descriptor,
    blob: impl Read + Send + 'a,
    further: Arc<AtomicUsize>,
) -> Result<Box<dyn Read + Send + 'a>, ImageError> {
    let limit = layer.size.saturating_mul(MAX_RATIO).max(ALWAYS_ALLOWED);
    let bounded = |inner: Box<dyn Read + Send + 'a>| Box::new(Bounded { inner, left: limit });
    let compression = Compression::of(&layer.media_type);
    match compression.ok_or_else(|| ImageError::LayerType { digest: layer.digest, media_type: layer.media_type.clone() })? {
        Compression::None => Ok(Box::new(blob)),
        Compression::Gzip => Ok(bounded(Box::new(Members::of(blob, further)))),
        Compression::Zstd => {
            let unpacking = |source| ImageError::Unpacking { digest: layer.digest, source };
            let mut decoder = zstd::stream::read::Decoder::new(blob).map_err(unpacking)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(unpacking)?;
            Ok(bounded(Box::new(decoder)))
        }
    }
}

/// The members of a gzip file as one stream (RFC 1952, 2.2).
struct Members<R> {
    /// Always there; taken for a moment between two members.
    member: Option<flate2::bufread::GzDecoder<BufReader<R>>>,
    further: Arc<AtomicUsize>,
}

impl<R: Read> Members<R> {
    fn of(blob: R, further: Arc<AtomicUsize>) -> Self {
        Self { member: Some(flate2::bufread::GzDecoder::new(BufReader::with_capacity(BUFFER, blob))), further }
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() || member.get_mut().fill_buf()?.is_empty() {
                return Ok(count);
            }
            self.member = self.member.take().map(|member| flate2::bufread::GzDecoder::new(member.into_inner()));
            self.further.fetch_add(1, Ordering::Relaxed);
        }
        Ok(0)
    }
}

/// Fails where more comes out than any honest layer holds.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let bomb = || io::Error::new(io::ErrorKind::InvalidData, "it unpacks to more than 2000 times its size");
        self.left = self.left.checked_sub(count as u64).ok_or_else(bomb)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
