//! Pickles in tar files: NVIDIA's `.nemo`, and whatever else goes from hand to hand as a `.tar` or `.tar.gz`.
//!
//! Headers only: long names and sparse files are not put together, so nothing is kept that a header announces.

use std::io::{self, Read};

use super::formats::pickle::{self, Carrier};
use super::formats::pytorch::{self, Entry};
use super::lint::Finding;

/// Entries of one file that are looked at.
const MAX_ENTRIES: usize = 65_536;
/// How much of an entry tells what it is.
const START: u64 = 512;
/// What is read of the pickles of one file, in bytes.
const BUDGET: u64 = 256 << 20;

/// The findings about the pickles in a tar file.
pub(super) fn findings<R: Read>(path: &str, entries: tar::Entries<'_, R>) -> Vec<Finding> {
    let (mut found, mut budget) = (Vec::new(), BUDGET);
    for (number, entry) in entries.raw(true).enumerate() {
        // Whoever unpacks it stops here too.
        let Ok(entry) = entry else { break };
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if number >= MAX_ENTRIES {
            found.push(Entry { name, scan: None });
            break;
        }
        // A broken entry is the last one that anybody reads.
        let Ok(pickle) = look(name, entry, &mut budget) else { break };
        found.extend(pickle);
    }
    pytorch::findings(path, &found)
}

fn look<R: Read>(name: String, mut entry: tar::Entry<'_, R>, budget: &mut u64) -> io::Result<Option<Entry>> {
    let mut start = Vec::new();
    entry.by_ref().take(START).read_to_end(&mut start)?;
    let kind = entry.header().entry_type();
    if kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
        return Ok(changes_sizes(&start).then_some(Entry { name, scan: None }));
    }
    let carrier = Carrier::of(&start);
    let is_named = pytorch::is_named_as_pickle(&name);
    match carrier {
        _ if !is_named && !carrier.is_certain() => Ok(None),
        Carrier::Opaque(_) | Carrier::Tar | Carrier::Zip => Ok(Some(Entry { name, scan: None })),
        _ => {
            let (scan, read) = pickle::scan_stream(carrier, start.as_slice().chain(entry), *budget);
            *budget = budget.saturating_sub(read);
            Ok(scan.filter(pickle::Scan::is_a_pickle).map(|scan| Entry { name, scan: Some(scan) }))
        }
    }
}

/// Whether other readers take the next entry to be longer or shorter than its header says.
fn changes_sizes(records: &[u8]) -> bool {
    records.len() as u64 == START || records.windows(6).any(|bytes| bytes == b" size=")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &[u8] = b"\x80\x02cos\nsystem\n.";

    fn tarred(entries: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content, kind) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn rules(entries: &[(&str, &[u8])]) -> Vec<&'static str> {
        let regular: Vec<_> = entries.iter().map(|(name, content)| (*name, *content, tar::EntryType::Regular)).collect();
        let bytes = tarred(&regular);
        let mut archive = tar::Archive::new(bytes.as_slice());
        findings("m.nemo", archive.entries().unwrap()).iter().map(|finding| finding.rule.id).collect()
    }

    #[test]
    fn pickles_are_found_and_told_from_other_files() {
        assert_eq!(rules(&[("model.yaml", b"a: 1"), ("x", EVIL)]), ["dangerous-pickle", "pickle"]);
        assert_eq!(rules(&[("v.pkl", &EVIL[2..])]), ["dangerous-pickle", "pickle"]);
        assert_eq!(rules(&[("model_weights.ckpt", b"PK\x03\x04")]), ["dangerous-pickle", "pickle"]);
        assert_eq!(rules(&[("a.txt", b"cos\nsystem\n."), ("b.zip", b"PK\x03\x04"), ("c.pkl", b"hello")]), [""; 0]);
    }

    #[test]
    fn a_size_that_others_read_differently_is_told() {
        for (records, expected) in [(&b"15 size=100000\n"[..], 2), (b"14 path=abcde\n", 0), (&[b'x'; 600], 2)] {
            let bytes = tarred(&[("pax", records, tar::EntryType::XHeader), ("a", b"b", tar::EntryType::Regular)]);
            let mut archive = tar::Archive::new(bytes.as_slice());
            assert_eq!(findings("m.nemo", archive.entries().unwrap()).len(), expected);
        }
    }

    #[test]
    fn what_is_cut_off_or_no_tar_ends_at_once() {
        let whole = tarred(&[("a", EVIL, tar::EntryType::Regular)]);
        for bytes in [&whole[..600], &whole[..300], &[b'x'; 2000], b""] {
            let mut archive = tar::Archive::new(bytes);
            let found = findings("m.nemo", archive.entries().unwrap());
            assert!(found.len() <= 2, "{found:?}");
        }
    }
}
