//! What proves that a file is the one that the source has: digests and checksums, computed while the bytes go by.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::oci::{Digest, Hasher};

/// What a source says about a file's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Its digest.
    Sha256(Digest),
    /// The id of a blob in Git: SHA-1 over a header and the bytes, 40 digits. <https://git-scm.com/book/en/v2/Git-Internals-Git-Objects>
    GitBlob(String),
    /// A word for its version that says nothing about its bytes.
    Version(String),
    /// Nothing yet.
    None,
}

impl Proof {
    /// What tells this version of the file from others.
    pub(super) fn version(&self) -> Option<String> {
        match self {
            Self::Sha256(digest) => Some(digest.to_string()),
            Self::GitBlob(id) => Some(format!("git:{id}")),
            Self::Version(version) => Some(version.clone()),
            Self::None => None,
        }
    }

    /// Whether it can be told from the bytes alone.
    pub(super) fn is_of_content(&self) -> bool {
        matches!(self, Self::Sha256(_) | Self::GitBlob(_))
    }
}

/// The checksums that S3 keeps of whole objects:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SumKind {
    Sha256,
    Sha1,
    Crc32,
    Crc32c,
    Crc64Nvme,
}

impl SumKind {
    pub(super) const ALL: [Self; 5] = [Self::Sha256, Self::Sha1, Self::Crc32, Self::Crc32c, Self::Crc64Nvme];

    /// As lists of objects write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha1 => "SHA1",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
        }
    }

    /// The header of an answer that holds it.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Sha256 => "x-amz-checksum-sha256",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
        }
    }
}

/// Everything that is computed of a file's bytes.
#[derive(Clone)]
pub(super) struct Hashes {
    sha256: Hasher,
    git: Option<Context>,
    sum: Option<(SumKind, Sum)>,
    size: u64,
}

#[derive(Clone)]
enum Sum {
    /// Computed anyway.
    Sha256,
    Sha1(Box<Context>),
    Crc(Crc),
}

/// What came of it.
pub(super) struct Sums {
    pub(super) sha256: Digest,
    pub(super) git: Option<String>,
    /// In Base64.
    pub(super) sum: Option<(SumKind, String)>,
}

impl Hashes {
    /// For a file of this size.
    pub(super) fn new(proof: &Proof, size: Option<u64>, kind: Option<SumKind>) -> Self {
        let git = matches!(proof, Proof::GitBlob(_)).then(|| {
            let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
            context.update(format!("blob {}\0", size.unwrap_or_default()).as_bytes());
            context
        });
        Self { sha256: Hasher::default(), git, sum: kind.map(|kind| (kind, Sum::new(kind))), size: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
        match &mut self.sum {
            Some((_, Sum::Sha1(context))) => context.update(bytes),
            Some((_, Sum::Crc(crc))) => crc.update(bytes),
            Some((_, Sum::Sha256)) | None => {}
        }
    }

    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn finish(self) -> Sums {
        let sha256 = self.sha256.finish();
        let sum = self.sum.map(|(kind, sum)| (kind, STANDARD.encode(sum.bytes(&sha256))));
        Sums { sha256, git: self.git.map(|context| hex(context.finish().as_ref())), sum }
    }
}

impl Sums {
    /// What was expected and found, where they differ.
    pub(super) fn differ(&self, proof: &Proof, told: &[(SumKind, String)]) -> Option<(String, String)> {
        let by_proof = match proof {
            Proof::Sha256(digest) => (*digest != self.sha256).then(|| (digest.to_string(), self.sha256.to_string())),
            Proof::GitBlob(id) => {
                let found = self.git.as_deref().unwrap_or_default();
                (id != found).then(|| (format!("the Git blob id {id}"), found.to_owned()))
            }
            Proof::Version(_) | Proof::None => None,
        };
        let (kind, found) = self.sum.as_ref().map_or((SumKind::Sha256, STANDARD.encode(self.sha256.as_bytes())), Clone::clone);
        let expected = told.iter().find(|(told, value)| *told == kind && *value != found);
        by_proof.or_else(|| expected.map(|(kind, value)| (format!("the {} {value}", kind.name()), found)))
    }
}

impl Sum {
    fn new(kind: SumKind) -> Self {
        match kind {
            SumKind::Sha256 => Self::Sha256,
            SumKind::Sha1 => Self::Sha1(Box::new(Context::new(&SHA1_FOR_LEGACY_USE_ONLY))),
            SumKind::Crc32 => Self::Crc(Crc::new(0xedb8_8320, 32)),
            SumKind::Crc32c => Self::Crc(Crc::new(0x82f6_3b78, 32)),
            SumKind::Crc64Nvme => Self::Crc(Crc::new(0x9a6c_9329_ac4b_c9b5, 64)),
        }
    }

    fn bytes(self, sha256: &Digest) -> Vec<u8> {
        match self {
            Self::Sha256 => sha256.as_bytes().to_vec(),
            Self::Sha1(context) => context.finish().as_ref().to_vec(),
            Self::Crc(crc) => crc.finish(),
        }
    }
}

/// A reflected CRC of 32 or 64 bits, a byte at a time.
#[derive(Clone)]
struct Crc {
    table: Box<[u64; 256]>,
    value: u64,
    ones: u64,
}

impl Crc {
    fn new(polynomial: u64, width: u32) -> Self {
        let ones = u64::MAX >> (64 - width);
        let step = |value: u64, _| if value & 1 == 1 { value >> 1 ^ polynomial } else { value >> 1 };
        let mut table = Box::new([0; 256]);
        for (byte, entry) in (0..).zip(table.iter_mut()) {
            *entry = (0..8).fold(byte, step);
        }
        Self { table, value: ones, ones }
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [low, ..] = self.value.to_le_bytes();
            self.value = self.table[usize::from(low ^ byte)] ^ self.value >> 8;
        }
    }

    fn finish(self) -> Vec<u8> {
        let value = (self.value ^ self.ones).to_be_bytes();
        if self.ones == u64::MAX { value.to_vec() } else { value[4..].to_vec() }
    }
}

/// Bytes as hexadecimal digits in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(proof: &Proof, kind: Option<SumKind>, bytes: &[u8]) -> Sums {
        let mut hashes = Hashes::new(proof, Some(bytes.len() as u64), kind);
        bytes.chunks(4).for_each(|piece| hashes.update(piece));
        assert_eq!(hashes.size(), bytes.len() as u64);
        hashes.finish()
    }

    /// The check values of <https://reveng.sourceforge.io/crc-catalogue/all.htm>, over "123456789".
    #[test]
    fn checksums_are_those_of_the_catalogue() {
        for (kind, expected) in [
            (SumKind::Crc32, &[0xcb, 0xf4, 0x39, 0x26][..]),
            (SumKind::Crc32c, &[0xe3, 0x06, 0x92, 0x83]),
            (SumKind::Crc64Nvme, &[0xae, 0x8b, 0x14, 0x86, 0x0a, 0x79, 0x98, 0x88]),
        ] {
            let (found, sum) = sums(&Proof::None, Some(kind), b"123456789").sum.unwrap();
            assert_eq!((found, sum), (kind, STANDARD.encode(expected)));
        }
        let (_, sha1) = sums(&Proof::None, Some(SumKind::Sha1), b"abc").sum.unwrap();
        assert_eq!(sha1, "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
    }

    #[test]
    fn a_git_blob_has_the_id_that_git_gives_it() {
        // `printf 'hello\n' | git hash-object --stdin`
        let proof = Proof::GitBlob("ce013625030ba8dba906f756967f9e9ca394464a".to_owned());
        assert_eq!(sums(&proof, None, b"hello\n").differ(&proof, &[]), None);
        assert!(sums(&proof, None, b"hellO\n").differ(&proof, &[]).is_some());
        let empty = Proof::GitBlob("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391".to_owned());
        assert_eq!(sums(&empty, None, b"").differ(&empty, &[]), None);
    }

    #[test]
    fn what_differs_is_told_and_what_says_nothing_does_not_differ() {
        let right = STANDARD.encode(Digest::of(b"x").as_bytes());
        for (proof, kind, told, differs) in [
            (Proof::Sha256(Digest::of(b"x")), None, vec![], false),
            (Proof::Sha256(Digest::of(b"y")), None, vec![], true),
            (Proof::Version("\"etag\"".to_owned()), None, vec![], false),
            (Proof::None, None, vec![(SumKind::Sha256, right.clone())], false),
            (Proof::None, None, vec![(SumKind::Sha256, "AAAA".to_owned())], true),
            (Proof::None, Some(SumKind::Crc32), vec![(SumKind::Crc32, "AAAA".to_owned())], true),
            (Proof::None, None, vec![(SumKind::Crc32, "AAAA".to_owned())], false),
        ] {
            assert_eq!(sums(&proof, kind, b"x").differ(&proof, &told).is_some(), differs, "{proof:?} {told:?}");
        }
    }
}
