//! The one form of tar header that modelcar writes: GNU, 0:0, 0644 or 0755, no names of users, nothing from the machine.
//!
//! A layer's digest is the digest of its tar, so every byte of a header is decided here. GNU and not PAX: readers
//! have disagreed about the size in a PAX record (GHSA-3pv8-6f4r-ffg2), while they read base-256 sizes and `L` entries alike.
//! Format: <https://www.gnu.org/software/tar/manual/html_node/Standard.html>.

/// The unit of a tar file, in bytes.
pub const BLOCK: u64 = 512;

/// What ends a tar file: two empty blocks, without GNU tar's filling up to 10 240 bytes.
pub const TRAILER: [u8; 1024] = [0; 1024];

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A regular file; its bytes and their [`padding`] follow the header.
    File {
        /// The number of bytes.
        size: u64,
        /// Mode 0755 instead of 0644.
        executable: bool,
    },
    /// A directory, mode 0755.
    Directory,
    /// A symbolic link, mode 0777 as every link has.
    Symlink {
        /// Where it points: at most 100 bytes, the rest is cut off.
        target: &'a str,
    },
}

/// The header of an entry: one block, or three and more where the path is longer than 100 bytes.
///
/// `path` is relative, uses `/`, and holds no NUL; a directory's final `/` is added where it is missing. `mtime` is in seconds since 1970.
pub fn header(path: &str, kind: EntryKind<'_>, mtime: u64) -> Vec<u8> {
    let path = match kind {
        EntryKind::Directory if !path.ends_with('/') => format!("{path}/"),
        _ => path.to_owned(),
    };
    let mut bytes = long_name(path.as_bytes());
    let (mode, size, flag, target) = match kind {
        EntryKind::File { size, executable: false } => (0o644, size, b'0', ""),
        EntryKind::File { size, executable: true } => (0o755, size, b'0', ""),
        EntryKind::Directory => (0o755, 0, b'5', ""),
        EntryKind::Symlink { target } => (0o777, 0, b'2', target),
    };
    bytes.extend_from_slice(&block(path.as_bytes(), mode, size, mtime, flag, target.as_bytes()));
    bytes
}

/// How many zero bytes follow a content of `size` bytes.
pub fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// GNU's pseudo-entry for a path that does not fit into the header: the path and a NUL as content. Empty for paths that fit.
fn long_name(path: &[u8]) -> Vec<u8> {
    if path.len() <= NAME {
        return Vec::new();
    }
    let size = path.len() as u64 + 1;
    let mut bytes = block(b"././@LongLink", 0o644, size, 0, b'L', b"").to_vec();
    bytes.extend_from_slice(path);
    bytes.resize(512 + (path.len() + 1).next_multiple_of(512), 0);
    bytes
}

/// The width of the name field; a name may fill it without a NUL.
const NAME: usize = 100;

/// One header block. Fields, offsets and the NUL after octal digits are those of GNU tar.
fn block(path: &[u8], mode: u64, size: u64, mtime: u64, flag: u8, target: &[u8]) -> [u8; 512] {
    let mut block = [0; 512];
    let name = &path[..path.len().min(NAME)];
    block[..name.len()].copy_from_slice(name);
    number(&mut block[100..108], mode);
    number(&mut block[108..116], 0);
    number(&mut block[116..124], 0);
    number(&mut block[124..136], size);
    number(&mut block[136..148], mtime);
    block[156] = flag;
    let target = &target[..target.len().min(NAME)];
    block[157..157 + target.len()].copy_from_slice(target);
    block[257..265].copy_from_slice(b"ustar  \0");
    // The checksum counts its own field as spaces, and ends in NUL and space instead of digit and NUL.
    block[148..156].fill(b' ');
    let sum = block.iter().map(|byte| u64::from(*byte)).sum();
    number(&mut block[148..155], sum);
    block
}

/// Octal digits and a NUL; base-256 where they do not hold the value (8 GiB and more in a size field).
fn number(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    if u32::try_from(digits * 3).ok().and_then(|bits| value.checked_shr(bits)).unwrap_or(0) > 0 {
        return base256(field, value);
    }
    field[digits] = 0;
    for (place, digit) in field[..digits].iter_mut().rev().enumerate() {
        *digit = b'0' + (value >> (3 * place) & 7) as u8;
    }
}

/// Big-endian binary with the top bit of the first byte set.
fn base256(field: &mut [u8], value: u64) {
    for (byte, source) in field.iter_mut().rev().zip(value.to_le_bytes()) {
        *byte = source;
    }
    field[0] = 0x80;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(size: u64) -> EntryKind<'static> {
        EntryKind::File { size, executable: false }
    }

    /// What the `tar` crate reads from a header: path, size, mode, mtime.
    fn read_back(header: &[u8]) -> (String, u64, u32, u64, tar::EntryType) {
        let mut archive = tar::Archive::new(header);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let fields = entry.header();
        assert_eq!((fields.uid().unwrap(), fields.gid().unwrap()), (0, 0));
        assert_eq!(fields.username_bytes(), Some(&b""[..]));
        (path, entry.size(), fields.mode().unwrap(), fields.mtime().unwrap(), fields.entry_type())
    }

    #[test]
    fn writes_the_bytes_that_gnu_tar_writes() {
        let header = header("models/1/model.onnx", EntryKind::File { size: 1000, executable: false }, 0);
        assert_eq!(header.len(), 512);
        assert_eq!(&header[..20], b"models/1/model.onnx\0");
        assert_eq!(&header[100..136], b"0000644\x000000000\x000000000\x0000000001750\0");
        assert_eq!(&header[136..148], b"00000000000\0");
        assert_eq!(&header[154..157], b"\0 0");
        assert_eq!(&header[257..265], b"ustar  \0");
        assert!(header[265..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn ends_directories_in_a_slash() {
        for path in ["models", "models/"] {
            assert_eq!(read_back(&header(path, EntryKind::Directory, 0)), ("models/".into(), 0, 0o755, 0, tar::EntryType::Directory));
        }
    }

    #[test]
    fn marks_executables() {
        let kind = EntryKind::File { size: 3, executable: true };
        assert_eq!(read_back(&header("bin/sh", kind, 7)), ("bin/sh".into(), 3, 0o755, 7, tar::EntryType::Regular));
    }

    #[test]
    fn holds_sizes_around_and_beyond_eight_gibibytes() {
        for size in [0, 1, 511, 512, (1 << 33) - 1, 1 << 33, (1 << 33) + 1, 1 << 40, i64::MAX as u64] {
            assert_eq!(read_back(&header("a", file(size), 0)).1, size, "{size}");
        }
    }

    #[test]
    fn keeps_names_around_the_field_and_block_borders() {
        for length in [1, 99, 100, 101, 511, 512, 513, 1023, 1024, 1025] {
            let name = "n".repeat(length);
            let header = header(&name, file(0), 0);
            assert_eq!(header.len() % 512, 0, "{length}");
            assert_eq!(header.len() == 512, length <= 100, "{length}");
            assert_eq!(read_back(&header).0, name, "{length}");
        }
    }

    #[test]
    fn pads_to_whole_blocks() {
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
        assert_eq!(padding(u64::MAX), 1);
    }

    proptest! {
        #[test]
        fn reads_back_what_was_written(path in "[a-zA-Z0-9ä._-]{1,60}(/[a-z ]{1,60}){0,5}", size in 0..i64::MAX as u64, mtime in 0..(1u64 << 40)) {
            let bytes = header(&path, file(size), mtime);
            prop_assert_eq!(read_back(&bytes), (path, size, 0o644, mtime, tar::EntryType::Regular));
        }
    }
}
