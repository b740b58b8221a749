//! Zip archives of PyTorch, TorchServe and numpy: their entries, read within bounds, and the pickles among them.
//!
//! PyTorch goes by the central directory and checks neither sums nor flags, so an archive at which a stricter reader stops is loaded all the
//! same: that got round scanners (GHSA-w8jq-xcqf-f792, GHSA-7q5r-7gvp-wc82 of picklescan). What is odd is a danger here, and what is behind it
//! is looked into nevertheless.

use std::io::{self, BufReader, Read, SeekFrom};

use zip::ZipArchive;
use zip::read::ZipReadOptions;
use zip::result::ZipError;

use crate::model::formats::files::has_ending;
use crate::model::formats::pickle::{self, Carrier, Scan};
use crate::model::lint::Finding;
use crate::model::{ReadSeek, facts};

/// Entries of one archive; a checkpoint has one for each tensor.
const MAX_ENTRIES: u64 = 65_536;
/// Bytes of its directory.
const MAX_DIRECTORY: u64 = 16 << 20;
/// An archive in an archive is looked into in memory.
const MAX_INNER: u64 = 16 << 20;
/// Archives within archives.
const MAX_DEPTH: u8 = 2;
/// What may be decompressed in all, besides [`PER_BYTE`] for each byte of the file. Archives within archives live on the same budget.
const FREE: u64 = 64 << 20;
const PER_BYTE: u64 = 32;
/// Pickles that are looked into, and names that they may import in all: a file of one megabyte holds millions of either.
const MAX_PICKLES: usize = 1024;
const MAX_IMPORTS: usize = 16_384;
/// Opcodes of all pickles, as many as one may have.
const MAX_OPCODES: u64 = pickle::MAX_OPCODES;
/// How much of an entry tells what it is.
const START: u64 = 512;
/// What no honest writer leaves.
const TWOFOLD: &str = "is in an archive with two entries of one name";
/// Findings about one archive.
const MAX_FINDINGS: usize = 32;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The file could not be read.
    #[error("reading failed")]
    Io(#[source] io::Error),
    /// It ends too early, or is something else.
    #[error("the archive has no directory at its end")]
    NoDirectory,
    /// More than any model has.
    #[error("its directory announces {entries} entries in {size} bytes")]
    TooLarge {
        /// Entries.
        entries: u64,
        /// Bytes of the directory.
        size: u64,
    },
    /// A name that leads out of the folder where it is unpacked.
    #[error("its entry {name:?} would be unpacked somewhere else")]
    Name {
        /// The entry.
        name: String,
    },
    /// The directory contradicts itself.
    #[error("the archive's directory is broken")]
    Broken(#[source] ZipError),
}

/// An archive whose directory was read.
pub(in crate::model) struct Archive<'a> {
    zip: ZipArchive<BufReader<Box<dyn ReadSeek + 'a>>>,
    names: Vec<String>,
    /// Bytes that may still be decompressed.
    budget: u64,
    seen: Seen,
}

/// What all pickles of an archive, and of those in it, cost so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    pickles: usize,
    imports: usize,
    opcodes: u64,
}

impl Seen {
    fn add(&mut self, scan: &Scan) {
        self.pickles += 1;
        self.imports += scan.imports.list().len();
        self.opcodes += scan.opcodes();
    }

    fn is_too_much(self) -> bool {
        self.pickles >= MAX_PICKLES || self.imports > MAX_IMPORTS || self.opcodes >= MAX_OPCODES
    }
}

/// A pickle in an archive.
pub(in crate::model) struct Entry {
    /// The entry's name, and those of the archives around it: `model.pt/archive/data.pkl`.
    pub(in crate::model) name: String,
    /// What it tells; none where it cannot be looked into.
    pub(in crate::model) scan: Option<Scan>,
}

impl<'a> Archive<'a> {
    /// Reads the directory.
    pub(in crate::model) fn open(mut file: impl ReadSeek + 'a) -> Result<Self, ArchiveError> {
        let size = check_directory(&mut file)?;
        let boxed: Box<dyn ReadSeek + 'a> = Box::new(file);
        let zip = ZipArchive::new(BufReader::new(boxed)).map_err(ArchiveError::Broken)?;
        let names = zip.file_names_raw().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(Self { zip, names, budget: size.saturating_mul(PER_BYTE).saturating_add(FREE), seen: Seen::default() })
    }

    /// The names of all entries.
    pub(in crate::model) fn names(&self) -> &[String] {
        &self.names
    }

    /// The first entry whose name ends so, with or without the folder that PyTorch puts around everything.
    pub(in crate::model) fn ending_with(&self, name: &str) -> Option<&str> {
        self.names
            .iter()
            .map(String::as_str)
            .find(|entry| entry.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('/')))
    }

    /// The beginning of an entry, as text.
    pub(in crate::model) fn text(&mut self, name: &str, most: u64) -> Option<String> {
        let index = self.names.iter().position(|entry| entry == name)?;
        let bytes = self.start(index, most).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn start(&mut self, index: usize, most: u64) -> Result<Vec<u8>, ZipError> {
        let most = most.min(self.budget);
        let mut bytes = Vec::new();
        self.entry(index)?.take(most).read_to_end(&mut bytes)?;
        self.budget = self.budget.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }

    /// As PyTorch opens it.
    fn entry(&mut self, index: usize) -> Result<impl Read + '_, ZipError> {
        self.zip.by_index_with_options(index, ZipReadOptions::new().ignore_crc32(true).ignore_encryption_flag(true))
    }

    /// What one pickle tells; none where it is missing or cannot be read.
    pub(in crate::model) fn scan_named(&mut self, name: &str) -> Option<Scan> {
        let index = self.names.iter().position(|entry| entry == name)?;
        let budget = self.budget;
        pickle::scan_stream(Carrier::Plain, self.entry(index).ok()?, budget).0
    }

    /// An entry that would be unpacked outside of the folder it is meant for.
    pub(in crate::model) fn check_names(&self) -> Result<(), ArchiveError> {
        let leaves = |name: &&String| {
            name.starts_with('/') || name.contains('\\') || name.contains('\0') || name.split('/').any(|part| part == "..")
        };
        match self.names.iter().find(leaves) {
            Some(name) => Err(ArchiveError::Name { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// The pickles in it.
    pub(in crate::model) fn pickles(&mut self) -> Vec<Entry> {
        self.pickles_at(0)
    }

    fn pickles_at(&mut self, depth: u8) -> Vec<Entry> {
        let mut found = Vec::new();
        for index in 0..self.names.len() {
            if self.seen.is_too_much() {
                found.push(unseen(&self.names[index]));
                break;
            }
            match self.start(index, START) {
                Ok(start) => found.extend(self.pickles_of(index, &start, depth)),
                Err(_) if is_named_as_pickle(&self.names[index]) => found.push(Entry { name: self.names[index].clone(), scan: None }),
                Err(_) => {}
            }
        }
        if found.is_empty() {
            found.extend(self.twofold());
        }
        found
    }

    /// Of two entries with one name only the last is looked at here, and others may take the first.
    fn twofold(&self) -> Option<Entry> {
        let named = self.names.iter().find(|name| is_named_as_pickle(name)).filter(|_| self.zip.has_duplicate_names())?;
        let mut scan = Scan::default();
        scan.note_danger(0, TWOFOLD);
        Some(Entry { name: named.clone(), scan: Some(scan) })
    }

    fn pickles_of(&mut self, index: usize, start: &[u8], depth: u8) -> Vec<Entry> {
        let name = self.names[index].clone();
        let carrier = Carrier::of(start);
        let is_named = is_named_as_pickle(&name) || carrier.inside(start).is_some_and(Carrier::is_certain);
        match carrier {
            Carrier::Zip if depth < MAX_DEPTH => self.inner_archive(index, depth),
            Carrier::Plain | Carrier::LegacyTorch | Carrier::Numpy => self.scan(index, carrier).into_iter().collect(),
            Carrier::Doubtful | Carrier::Zlib | Carrier::Gzip if is_named => self.scan(index, carrier).into_iter().collect(),
            Carrier::Zip => vec![Entry { name, scan: None }],
            Carrier::Opaque(_) | Carrier::Tar if is_named => vec![Entry { name, scan: None }],
            _ => Vec::new(),
        }
    }

    /// One entry; none where it turns out to be no pickle.
    fn scan(&mut self, index: usize, carrier: Carrier) -> Option<Entry> {
        let name = self.names[index].clone();
        let budget = self.budget;
        let (scan, read) = match self.entry(index) {
            Ok(entry) => pickle::scan_stream(carrier, entry, budget),
            Err(_) => (None, 0),
        };
        self.budget = budget.saturating_sub(read);
        if let Some(scan) = &scan {
            self.seen.add(scan);
        }
        match scan {
            Some(mut scan) if scan.is_a_pickle() => {
                self.oddities(index).into_iter().for_each(|what| scan.note_danger(0, what));
                Some(Entry { name, scan: Some(scan) })
            }
            Some(_) => None,
            None if carrier == Carrier::Numpy => None,
            None => Some(Entry { name, scan: None }),
        }
    }

    /// What honest writers never leave.
    fn oddities(&mut self, index: usize) -> Vec<String> {
        let mut odd = Vec::new();
        if self.zip.offset() != 0 {
            odd.push("is in an archive with something before it".to_owned());
        }
        if self.zip.has_duplicate_names() {
            odd.push(TWOFOLD.to_owned());
        }
        let is_encrypted = self.zip.by_index_data(index).is_ok_and(|entry| entry.encrypted());
        if is_encrypted {
            odd.push("is marked as encrypted, which PyTorch does not mind".to_owned());
        } else if !self.sum_is_right(index) {
            odd.push("has a wrong checksum, which PyTorch does not mind".to_owned());
        }
        odd
    }

    fn sum_is_right(&mut self, index: usize) -> bool {
        let budget = self.budget;
        let Ok(entry) = self.zip.by_index(index) else { return false };
        let result = io::copy(&mut entry.take(budget), &mut io::sink());
        self.budget = budget.saturating_sub(*result.as_ref().unwrap_or(&0));
        result.is_ok()
    }

    fn inner_archive(&mut self, index: usize, depth: u8) -> Vec<Entry> {
        let name = self.names[index].clone();
        let size = self.zip.by_index_data(index).map_or(u64::MAX, |entry| entry.size());
        let unseen = || vec![Entry { name: name.clone(), scan: None }];
        if size > MAX_INNER {
            return unseen();
        }
        let Ok(bytes) = self.start(index, MAX_INNER) else { return unseen() };
        let Ok(mut inner) = Archive::open(io::Cursor::new(bytes)) else { return unseen() };
        (inner.budget, inner.seen) = (self.budget, self.seen);
        let mut found = inner.pickles_at(depth + 1);
        (self.budget, self.seen) = (inner.budget, inner.seen);
        for entry in &mut found {
            entry.name = format!("{name}/{}", entry.name);
        }
        found
    }
}

/// Where looking ended: what comes from here on may be anything.
fn unseen(name: &str) -> Entry {
    let mut scan = Scan::default();
    scan.note_danger(0, "and what follows is not looked into: there is more in the archive than in any model's");
    Entry { name: name.to_owned(), scan: Some(scan) }
}

/// Ends under which pickles are in archives.
pub(in crate::model) fn is_named_as_pickle(name: &str) -> bool {
    const ENDINGS: [&str; 8] = ["pkl", "pickle", "joblib", "pt", "pth", "ckpt", "dill", "p"];
    has_ending(name, &ENDINGS)
}

/// What was found in an archive, for the person who packs it.
pub(in crate::model) fn findings(path: &str, entries: &[Entry]) -> Vec<Finding> {
    let one = |entry: &Entry| match &entry.scan {
        Some(scan) => pickle::findings(path, &entry.name, scan),
        None => pickle::opaque(path, &format!("{} cannot be looked into: it may import anything", facts::printable(&entry.name))),
    };
    let mut found: Vec<_> = entries.iter().flat_map(one).collect();
    // The gravest must not be cut off.
    found.sort_by_key(|finding| finding.rule.id);
    found.truncate(MAX_FINDINGS);
    found
}

/// The end record, before anything is allocated for what it announces.
/// See §4.3.16 and §4.3.14 of <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.
fn check_directory(file: &mut impl ReadSeek) -> Result<u64, ArchiveError> {
    const LONGEST: u64 = 22 + 20 + 0xffff;
    let size = file.seek(SeekFrom::End(0)).map_err(ArchiveError::Io)?;
    file.seek(SeekFrom::Start(size.saturating_sub(LONGEST))).map_err(ArchiveError::Io)?;
    let mut tail = Vec::new();
    file.by_ref().take(LONGEST).read_to_end(&mut tail).map_err(ArchiveError::Io)?;
    let at = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").ok_or(ArchiveError::NoDirectory)?;
    let (mut entries, mut directory) = (number(&tail, at + 10, 2)?, number(&tail, at + 12, 4)?);
    if let Some(record) = zip64_record(&tail, at, file)? {
        (entries, directory) = (number(&record, 32, 8)?, number(&record, 40, 8)?);
    }
    file.rewind().map_err(ArchiveError::Io)?;
    if entries > MAX_ENTRIES || directory > MAX_DIRECTORY {
        return Err(ArchiveError::TooLarge { entries, size: directory });
    }
    Ok(size)
}

/// The record of an archive beyond 4 GiB, to which a locator right before the end record points.
fn zip64_record(tail: &[u8], end: usize, file: &mut impl ReadSeek) -> Result<Option<Vec<u8>>, ArchiveError> {
    let locator = end.checked_sub(20).and_then(|at| tail.get(at..end)).filter(|locator| locator.starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else { return Ok(None) };
    let mut record = Vec::new();
    file.seek(SeekFrom::Start(number(locator, 8, 8)?)).map_err(ArchiveError::Io)?;
    file.by_ref().take(56).read_to_end(&mut record).map_err(ArchiveError::Io)?;
    Ok(Some(record).filter(|record| record.starts_with(b"PK\x06\x06")))
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64, ArchiveError> {
    let bytes = bytes.get(at..at + width).ok_or(ArchiveError::NoDirectory)?;
    Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use zip::CompressionMethod::{Deflated, Stored};

    use super::super::testing::zipped;
    use super::*;

    const EVIL: &[u8] = b"\x80\x02cos\nsystem\n.";

    fn told(bytes: &[u8]) -> Vec<String> {
        let entries = Archive::open(Cursor::new(bytes.to_vec())).unwrap().pickles();
        findings("m.pt", &entries).into_iter().map(|finding| format!("{}: {}", finding.rule.id, finding.what)).collect()
    }

    #[test]
    fn pickles_are_found_under_every_name_and_compression() {
        for method in [Stored, Deflated] {
            for name in ["archive/data.pkl", "x/config.p", "weights.bin", "archive/data/0"] {
                let found = told(&zipped(&[("archive/version", b"3\n"), (name, EVIL)], method));
                assert_eq!(found[0], format!("dangerous-pickle: {name}: byte 2 imports os.system"), "{name}");
            }
        }
    }

    #[test]
    fn an_archive_in_an_archive_is_looked_into() {
        let inner = zipped(&[("archive/data.pkl", EVIL)], Stored);
        let found = told(&zipped(&[("model.pt", &inner)], Deflated));
        assert_eq!(found[0], "dangerous-pickle: model.pt/archive/data.pkl: byte 2 imports os.system");
        let deeper = (0..5).fold(inner, |inner, _| zipped(&[("model.pt", &inner)], Deflated));
        assert!(told(&deeper)[0].ends_with("cannot be looked into: it may import anything"));
    }

    #[test]
    fn weights_are_no_pickles() {
        let found = told(&zipped(&[("archive/data/0", b"\x80\x02\x7d\xff\xff\xff\xff"), ("archive/data/1", &[0; 64])], Stored));
        assert_eq!(found, [""; 0]);
    }

    /// A reader that stops at these says nothing, and PyTorch loads the file.
    #[test]
    fn what_pytorch_does_not_mind_is_told() {
        let whole = zipped(&[("archive/data.pkl", b"\x80\x02}.")], Stored);
        let directory = whole.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
        let changed = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] ^= byte;
            told(&bytes).join("; ")
        };
        assert_eq!(told(&whole), ["pickle: archive/data.pkl: pickle of protocol 2: imports nothing"]);
        assert!(changed(directory + 16, 0xff).contains("has a wrong checksum"));
        assert!(changed(directory + 8, 1).contains("is marked as encrypted"));
        let before = [b"PK\x03\x04 something", &whole[..]].concat();
        assert!(told(&before).join("; ").contains("something before it"));
    }

    #[test]
    fn a_directory_that_announces_too_much_is_refused_before_it_is_read() {
        let mut bytes = zipped(&[("a", b"x")], Stored);
        let end = bytes.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
        bytes[end + 12..end + 16].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        assert!(matches!(Archive::open(Cursor::new(bytes)), Err(ArchiveError::TooLarge { entries: 1, .. })));
        for bytes in [&b""[..], b"PK\x03\x04", b"PK\x05\x06"] {
            assert!(matches!(Archive::open(Cursor::new(bytes)), Err(ArchiveError::NoDirectory)));
        }
    }

    #[test]
    fn an_entry_that_decompresses_without_end_is_left() {
        let bomb = [b"\x80\x02B\xff\xff\xff\x7f".to_vec(), vec![0; 100 << 20]].concat();
        let bytes = zipped(&[("a.pkl", &bomb)], Deflated);
        let found = told(&bytes);
        assert!(found[0].starts_with("dangerous-pickle: a.pkl: what follows cannot be looked into"), "{found:?}");
    }

    #[test]
    fn archives_in_an_archive_live_on_its_budget() {
        let inner = zipped(&[("a.pkl", &[b"\x80\x02N0".repeat(1000), b"N.".to_vec()].concat())], Deflated);
        let outer = zipped(&[("1.pt", &inner), ("2.pt", &inner)], Stored);
        let mut archive = Archive::open(Cursor::new(outer)).unwrap();
        let before = archive.budget;
        assert_eq!(archive.pickles().len(), 2);
        assert_eq!((archive.seen.pickles, archive.seen.opcodes), (2, 2 * 3002));
        // Twice what is in the inner archive, besides the inner archives themselves; and each sum is checked.
        assert!(before - archive.budget > 4 * 4002, "{}", before - archive.budget);
    }

    #[test]
    fn more_than_a_model_has_is_a_danger_and_not_looked_into() {
        let many = |prefix: &str| (0..5000).fold(String::new(), |text, number| text + &format!("c{prefix}{number}\nf\n0")) + "N.";
        let imports: Vec<_> = (0..20).map(|number| (format!("{number:02}.pkl"), many(&number.to_string()).into_bytes())).collect();
        let pickles: Vec<_> = (0..MAX_PICKLES + 9).map(|number| (format!("{number:04}.pkl"), b"\x80\x02N.".to_vec())).collect();
        for (entries, looked_into) in [(imports, 5), (pickles, MAX_PICKLES)] {
            let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
            let found = Archive::open(Cursor::new(zipped(&entries, Deflated))).unwrap().pickles();
            assert_eq!(found.len(), looked_into + 1);
            assert!(findings("m.pt", &found).iter().any(|finding| finding.what.contains("what follows is not looked into")));
        }
    }
}
