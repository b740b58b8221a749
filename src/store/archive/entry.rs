//! Tar headers as they come from elsewhere, as pure functions: what umoci, podman, skopeo, GNU tar and Python write.
//!
//! Bytes from a stranger: every field is checked, and a header that is wrong anywhere is refused, never guessed at.

/// What a header block says. Long names and PAX records are not applied yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The path, with the prefix of a POSIX header.
    pub(super) path: Vec<u8>,
    /// The size of the content in bytes.
    pub(super) size: u64,
    /// What it is.
    pub(super) kind: Kind,
}

/// The kinds of entries that make a difference to a reader of layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// PAX records for the next entry.
    Pax,
    /// PAX records for all entries.
    PaxGlobal,
    /// GNU: the content is the path of the next entry.
    LongName,
    /// A link, device, pipe, sparse file or anything unknown.
    Special,
}

impl Header {
    /// Reads a block; `None` for the empty block that ends an archive.
    pub(super) fn parse(block: &[u8; 512]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if number(&block[148..156]) != Some(checksum(block)) {
            return Err("a header's checksum is wrong");
        }
        let size = number(&block[124..136]).ok_or("a header has no size")?;
        Ok(Some(Self { path: path(block), size, kind: kind(block[156]) }))
    }
}

fn checksum(block: &[u8; 512]) -> u64 {
    let spaces = 8 * u64::from(b' ');
    block[..148].iter().chain(&block[156..]).map(|byte| u64::from(*byte)).sum::<u64>() + spaces
}

fn path(block: &[u8; 512]) -> Vec<u8> {
    let name = text(&block[..100]);
    match text(&block[345..500]) {
        prefix if &block[257..263] == b"ustar\0" && !prefix.is_empty() => [prefix, name].join(&b'/'),
        _ => name.to_vec(),
    }
}

fn kind(flag: u8) -> Kind {
    match flag {
        b'0' | b'7' | 0 => Kind::File,
        b'5' => Kind::Directory,
        b'x' => Kind::Pax,
        b'g' => Kind::PaxGlobal,
        b'L' => Kind::LongName,
        _ => Kind::Special,
    }
}

/// The bytes before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits with blanks around them, or GNU's base-256.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        let (high, low) = field[1..].split_at(field.len().saturating_sub(9));
        return high.iter().all(|byte| *byte == 0).then(|| low.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
    }
    let digits = str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    // `from_str_radix` takes a sign.
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, 8).ok() }
}

/// The records of a PAX header that change where an entry's content ends, or its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    /// The path.
    pub(super) path: Option<Vec<u8>>,
    /// The size in bytes; Go writes it from 8 GiB on.
    pub(super) size: Option<u64>,
}

impl Pax {
    /// Reads `LENGTH KEY=VALUE\n` records.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let (record, rest) = split_record(bytes).ok_or("a PAX record is broken")?;
            match record {
                (b"path", value) => pax.path = Some(value.to_vec()),
                (b"size", value) => {
                    let size = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                    pax.size = Some(size.ok_or("a PAX size is no number")?);
                }
                (key, _) if key.starts_with(b"GNU.sparse.") => return Err("a file is stored sparsely"),
                _ => {}
            }
            bytes = rest;
        }
        Ok(pax)
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits the first record off. Its length counts its own digits.
fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let blank = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &bytes[length..]))
}

/// A path as a layout names it, without `./` before it.
///
/// Nothing is ever extracted, but an archive with a path that leaves it was made to harm some reader, and is refused as a whole.
pub(super) fn layout_path(path: &[u8]) -> Result<&str, &'static str> {
    let path = str::from_utf8(path).map_err(|_| "a path is not UTF-8")?;
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err("a path leads out of the archive");
    }
    Ok(path.trim_start_matches("./").trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oci::tar_header::{EntryKind, header};

    fn block(path: &str, kind: EntryKind) -> [u8; 512] {
        header(path, kind, 0).try_into().unwrap()
    }

    #[test]
    fn reads_our_own_headers() {
        let size = 9 << 30;
        let header = Header::parse(&block("blobs/x", EntryKind::File { size, executable: false })).unwrap().unwrap();
        assert_eq!(header, Header { path: b"blobs/x".to_vec(), size, kind: Kind::File });
        assert_eq!(Header::parse(&block("blobs", EntryKind::Directory)).unwrap().unwrap().kind, Kind::Directory);
        assert_eq!(Header::parse(&[0; 512]).unwrap(), None);
    }

    #[test]
    fn refuses_a_header_with_one_wrong_bit() {
        let good = block("blobs/x", EntryKind::File { size: 5, executable: false });
        for at in (0..512).filter(|at| !(148..156).contains(at)) {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(Header::parse(&bad).is_err(), "{at}");
        }
    }

    #[test]
    fn reads_octal_and_binary_numbers_and_nothing_else() {
        for (field, value) in [
            (&b"00000000017\0"[..], Some(15)),
            (b" 17 \0\0\0\0", Some(15)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(2 << 32)),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"-0000000017\0", None),
            (b"+0000000017\0", None),
            (b"00000000018\0", None),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }

    #[test]
    fn reads_pax_records_that_move_the_content() {
        let pax = Pax::parse(b"20 size=12345678901\n12 path=a/b\n12 mtime=12\n").unwrap();
        assert_eq!(pax, Pax { path: Some(b"a/b".to_vec()), size: Some(12_345_678_901) });
        for bad in [&b"5"[..], b"99 size=1\n", b"0 size=1\n", b"3 \n", b"10 size=-1\n", b"8 size=1\n", b"24 GNU.sparse.major=1\n\n"] {
            assert!(Pax::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refuses_paths_that_leave_the_archive() {
        for bad in [&b"/etc/passwd"[..], b"../x", b"a/../../x", b"..", b"\xff"] {
            assert!(layout_path(bad).is_err(), "{bad:?}");
        }
        assert_eq!(layout_path(b"./blobs/sha256/"), Ok("blobs/sha256"));
    }

    proptest! {
        #[test]
        fn survives_any_block(bytes in proptest::collection::vec(any::<u8>(), 512)) {
            let _ = Header::parse(&bytes.try_into().unwrap());
        }

        #[test]
        fn survives_any_pax_records(bytes in "([0-9]{0,4} ?(path|size|x)=[a-z0-9]{0,9}\n?){0,5}") {
            let _ = Pax::parse(bytes.as_bytes());
        }
    }
}
