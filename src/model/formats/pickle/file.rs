//! A file that may hold pickles: plain, compressed as joblib does it, behind numpy's header, or in PyTorch's old form.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::error::Defect;
use super::input::{Input, Stream, Window};
use super::members::ZlibMembers;
use super::scan::Scan;

/// How much of a file's beginning tells what it is; a tar says so at byte 257.
const START: u64 = 512;
/// What may come out of a compressed file of no size, and for each of its bytes: honest weights shrink by a tenth, not to a hundredth.
const FREE: u64 = 64 << 20;
const PER_BYTE: u64 = 32;
/// PyTorch before 1.6 wrote a magic number, a protocol number, the machine's sizes, the object and the names of its storages, each a
/// pickle; then come the storages.
const LEGACY_PICKLES: u32 = 5;
/// The first of them, behind its protocol: `LONG1` 0x1950a86a20f9469cfc6c `STOP`.
const LEGACY_MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// numpy's header is a few hundred bytes; readers refuse more than this.
const MAX_NUMPY_HEADER: u64 = 64 << 10;

/// What holds the pickles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Carrier {
    /// Nothing else.
    Plain,
    /// Perhaps a pickle of protocol 0 or 1, which start with any letter.
    Doubtful,
    Zlib,
    Gzip,
    /// A compression that is not undone here.
    Opaque(&'static str),
    /// PyTorch before 1.6.
    LegacyTorch,
    /// PyTorch before 0.1.10.
    Tar,
    /// PyTorch, numpy's `.npz`, or any other.
    Zip,
    /// numpy's `.npy`.
    Numpy,
    /// A pointer of Git LFS.
    LfsPointer,
}

impl Carrier {
    /// What a file is by its first bytes. See `_COMPRESSORS` in joblib's `numpy_pickle_utils.py` and `_is_zipfile` in
    /// PyTorch's `serialization.py`: both go by the first bytes only.
    pub(in crate::model) fn of(start: &[u8]) -> Self {
        match start {
            [0x80, _, rest @ ..] if rest.starts_with(LEGACY_MAGIC) => Self::LegacyTorch,
            // Protocol 4 puts it in a frame.
            [0x80, _, 0x95, _, _, _, _, _, _, _, _, rest @ ..] if rest.starts_with(LEGACY_MAGIC) => Self::LegacyTorch,
            _ if start.get(257..262) == Some(b"ustar") => Self::Tar,
            _ if super::is_pickle(start) => Self::Plain,
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            [0x78, flags, ..] if is_zlib(*flags) => Self::Zlib,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', ..] => Self::Opaque("bzip2"),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Opaque("xz"),
            [0x5d, 0, ..] => Self::Opaque("lzma"),
            [4, 0x22, 0x4d, 0x18, ..] => Self::Opaque("lz4"),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Opaque("zstd"),
            [b'Z', b'F', ..] => Self::Opaque("joblib before 0.10"),
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Self::Numpy,
            _ if start.starts_with(b"version https://git-lfs") => Self::LfsPointer,
            _ => Self::Doubtful,
        }
    }

    /// What is compressed in a file that starts so, as far as its first bytes tell.
    pub(in crate::model) fn inside(self, start: &[u8]) -> Option<Self> {
        let mut bytes = Vec::new();
        // The rest is missing, so reading fails in the end; what came before counts.
        let _ = match self {
            Self::Zlib | Self::Gzip => uncompressed(self, start).take(START).read_to_end(&mut bytes),
            _ => return None,
        };
        Some(Self::of(&bytes))
    }

    /// Whether it is a pickle by its first bytes, whatever its name is.
    pub(in crate::model) fn is_certain(self) -> bool {
        matches!(self, Self::Plain | Self::LegacyTorch | Self::Numpy)
    }

    /// For people.
    pub(in crate::model) fn compression(self) -> Option<&'static str> {
        match self {
            Self::Zlib => Some("zlib"),
            Self::Gzip => Some("gzip"),
            Self::Opaque(name) => Some(name),
            _ => None,
        }
    }
}

/// The second byte of zlib's header behind 0x78: both are a multiple of 31, and no dictionary is needed (RFC 1950, §2.2). Weights and
/// texts may well start with an `x`.
fn is_zlib(flags: u8) -> bool {
    (0x7800 | u16::from(flags)).is_multiple_of(31) && flags & 0x20 == 0
}

/// The carrier of a file, which is then at its start again.
pub(in crate::model) fn carrier(file: &mut (impl Read + Seek)) -> io::Result<Carrier> {
    start(file).map(|start| Carrier::of(&start))
}

/// The first bytes of a file, which is then at its start again.
pub(in crate::model) fn start(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    file.by_ref().take(START).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start)
}

/// The pickles of a file; none where they cannot be looked into, or where there are none.
pub(in crate::model) fn scan_carried(carrier: Carrier, mut file: impl Read + Seek) -> io::Result<Option<Scan>> {
    match carrier {
        Carrier::Plain | Carrier::Doubtful => super::scan(file).map(Some),
        Carrier::LegacyTorch => Ok(Some(Scan::first(&mut Input::new(Window::rest_of(file)?), LEGACY_PICKLES))),
        Carrier::Numpy => Ok(numpy_stream(&mut Input::new(Window::rest_of(file)?))),
        Carrier::Zlib | Carrier::Gzip => {
            let limit = limit(file.seek(SeekFrom::End(0))?);
            file.rewind()?;
            Ok(Some(Scan::of(&mut decompressed(carrier, file, limit))))
        }
        Carrier::Opaque(_) | Carrier::Zip | Carrier::Tar | Carrier::LfsPointer => Ok(None),
    }
}

/// The first `most` bytes of what a file carries: enough to see what kind of model it is.
pub(in crate::model) fn scan_start(carrier: Carrier, file: impl Read + Seek, most: u64) -> Option<Scan> {
    match carrier {
        Carrier::Plain | Carrier::Doubtful => Some(Scan::of(&mut Input::new(Stream::new(file.take(most), most)))),
        Carrier::Zlib | Carrier::Gzip => Some(Scan::of(&mut decompressed(carrier, file, most))),
        _ => None,
    }
}

/// The pickles of a stream that cannot be sought in, an entry of an archive, and how many bytes of it were read.
pub(in crate::model) fn scan_stream(carrier: Carrier, stream: impl Read, limit: u64) -> (Option<Scan>, u64) {
    let mut input = match carrier {
        Carrier::Zlib | Carrier::Gzip => decompressed(carrier, stream, limit),
        _ => Input::new(Stream::new(stream, limit)),
    };
    let scan = match carrier {
        Carrier::LegacyTorch => Some(Scan::first(&mut input, LEGACY_PICKLES)),
        Carrier::Numpy => numpy_stream(&mut input),
        _ => Some(Scan::of(&mut input)),
    };
    (scan, input.at())
}

fn limit(compressed: u64) -> u64 {
    compressed.saturating_mul(PER_BYTE).saturating_add(FREE)
}

fn decompressed<'a>(carrier: Carrier, file: impl Read + 'a, limit: u64) -> Input<'a> {
    Input::new(Stream::new(uncompressed(carrier, file), limit))
}

/// What comes out of a compressed file; whoever reads it bounds it.
pub(in crate::model) fn uncompressed<'a>(carrier: Carrier, file: impl Read + 'a) -> Box<dyn Read + 'a> {
    let file = BufReader::new(file);
    match carrier {
        Carrier::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        _ => Box::new(ZlibMembers::new(file)),
    }
}

/// numpy's header says whether a pickle follows: where elements are Python objects.
/// See <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
fn numpy_stream(input: &mut Input<'_>) -> Option<Scan> {
    match numpy_header(input) {
        Ok(Some(header)) => has_objects(&header).then(|| Scan::of(input)),
        Ok(None) => {
            let mut scan = Scan::default();
            scan.note_danger(8, format!("has a numpy header of more than {MAX_NUMPY_HEADER} bytes"));
            Some(scan)
        }
        // Cut off before the data begin: nothing can be loaded.
        Err(_) => None,
    }
}

fn numpy_header(input: &mut Input<'_>) -> Result<Option<Vec<u8>>, Defect> {
    let [.., version, _] = input.array::<8>()?;
    let length = if version == 1 { u64::from(u16::from_le_bytes(input.array()?)) } else { u64::from(u32::from_le_bytes(input.array()?)) };
    if length > MAX_NUMPY_HEADER {
        return Ok(None);
    }
    input.payload(length, MAX_NUMPY_HEADER)
}

/// Whether a type in the header is `O`, as in `'|O'`, `'O8'` and `[('name', '|O8')]`.
fn has_objects(header: &[u8]) -> bool {
    header.windows(3).any(|part| matches!(part, [b'\'' | b'"' | b'|' | b'<' | b'>' | b'=', b'O', b'\'' | b'"' | b'0'..=b'9']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};

    fn looked(bytes: &[u8]) -> (Carrier, Option<Scan>) {
        let mut file = Cursor::new(bytes);
        let carrier = carrier(&mut file).unwrap();
        (carrier, scan_carried(carrier, file).unwrap())
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    const EVIL: &[u8] = b"cos\nsystem\n.";

    #[test]
    fn what_is_compressed_is_looked_into() {
        for (bytes, expected) in [(zlib(EVIL), Carrier::Zlib), (gzip(EVIL), Carrier::Gzip)] {
            let (carrier, scan) = looked(&bytes);
            assert_eq!((carrier, scan.unwrap().imports.dangers()), (expected, &["byte 0 imports os.system".to_owned()][..]));
        }
    }

    /// joblib goes on with the next stream where one ends, so a pickle may start in one and end in the other.
    #[test]
    fn compressed_streams_one_after_the_other_are_one() {
        for bytes in [[zlib(b"N0cos\nsys"), zlib(b"tem\n.")].concat(), [gzip(b"N0cos\nsys"), gzip(b"tem\n.")].concat()] {
            let scan = looked(&bytes).1.unwrap();
            assert_eq!(scan.imports.dangers(), ["byte 2 imports os.system"]);
            assert!(scan.defect.is_none(), "{:?}", scan.defect);
        }
    }

    #[test]
    fn broken_compression_never_looks_clean() {
        let mut flipped = zlib(b"N.");
        *flipped.last_mut().unwrap() ^= 1;
        let half = zlib(&b"N0".repeat(1000));
        for bytes in [flipped, half[..half.len() / 2].to_vec(), [zlib(b"N."), b"rest".to_vec()].concat()] {
            let scan = looked(&bytes).1.unwrap();
            assert!(!scan.looks_clean(), "{:?}", scan.defect);
        }
    }

    #[test]
    fn a_compressed_bomb_is_never_clean() {
        for content in [vec![b'0'; 1 << 10], [b"B\xff\xff\xff\x7f".to_vec(), vec![0; 100 << 20]].concat(), b"N0".repeat(500_000)] {
            let bytes = zlib(&content);
            assert!(!looked(&bytes).1.unwrap().looks_clean());
        }
    }

    #[test]
    fn a_text_that_starts_with_an_x_is_not_compressed() {
        for bytes in [&b"xx"[..], b"x", b"x,y\n1,2\n", b"x\0\0\0"] {
            assert_eq!(Carrier::of(bytes), Carrier::Doubtful, "{bytes:?}");
        }
        for level in [0, 1, 6, 9] {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(EVIL).unwrap();
            assert_eq!(Carrier::of(&encoder.finish().unwrap()), Carrier::Zlib);
        }
    }

    #[test]
    fn what_is_inside_is_told_by_the_first_bytes() {
        let long = [b"\x80\x04N0".as_slice(), &b"N0K\x07M\x01\x023".repeat(5000)].concat();
        for bytes in [zlib(&long), gzip(&long)] {
            let start = &bytes[..bytes.len().min(512)];
            assert_eq!(Carrier::of(start).inside(start), Some(Carrier::Plain));
        }
        assert_eq!(Carrier::Gzip.inside(b"\x1f\x8b\x08\0"), Some(Carrier::Doubtful));
        assert_eq!(Carrier::Plain.inside(b"\x80\x04N."), None);
    }

    #[test]
    fn a_compression_that_is_not_undone_is_named() {
        for (start, name) in [(&b"BZh91AY"[..], "bzip2"), (b"\xfd7zXZ\0\0", "xz"), (b"]\0\0\x80", "lzma"), (b"\x04\x22\x4d\x18d", "lz4")] {
            let (carrier, scan) = looked(start);
            assert_eq!((carrier.compression(), scan.is_none()), (Some(name), true));
        }
    }

    #[test]
    fn objects_behind_numpys_header_are_looked_into() {
        let npy = |descr: &str, data: &[u8]| {
            let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}\n");
            let length = u16::try_from(header.len()).unwrap().to_le_bytes();
            [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
        };
        for descr in ["'|O'", "'O8'", "[('Old', '<f8'), ('x', '|O')]"] {
            assert!(!looked(&npy(descr, EVIL)).1.unwrap().looks_clean(), "{descr}");
        }
        assert!(looked(&npy("'<f8'", EVIL)).1.is_none());
        assert!(looked(&npy("[('Old', '<f8')]", EVIL)).1.is_none());
        assert!(!looked(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}").1.unwrap().looks_clean());
    }

    #[test]
    fn behind_pytorchs_old_pickles_are_weights() {
        let magic = [b"\x80\x02", LEGACY_MAGIC].concat();
        let file = [&magic[..], b"K\x01.", b"}.", b"cos\nsystem\n.", b"].", b"\xff\xff\xff"].concat();
        let (carrier, scan) = looked(&file);
        let scan = scan.unwrap();
        assert_eq!((carrier, scan.streams, scan.defect.is_none()), (Carrier::LegacyTorch, 5, true));
        assert_eq!(scan.imports.dangers(), ["byte 20 imports os.system"]);
    }
}
