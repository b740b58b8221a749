//! An entry as text: what it is about, what was hashed, and the digest of the lines above, so that neither half an entry nor one under
//! another's name is ever believed.

use std::fmt::Write as _;

use crate::oci::Digest;

/// The longest entry that is written or read, in bytes: some ten thousand files.
pub(super) const MAX_ENTRY: u64 = 1 << 20;

/// Something that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hashed {
    pub(super) digest: Digest,
    /// In bytes.
    pub(super) size: u64,
}

/// `None` where it would be too long.
pub(super) fn write(key: &Digest, known: &[Hashed]) -> Option<String> {
    let mut text = format!("key {key}\n");
    for Hashed { digest, size } in known {
        let _ = writeln!(text, "{digest} {size}");
    }
    let end = Digest::of(text.as_bytes());
    let _ = writeln!(text, "end {end}");
    (text.len() as u64 <= MAX_ENTRY).then_some(text)
}

/// What an entry tells; `None` where it is not whole, or is about something else.
pub(super) fn read(key: &Digest, text: &str) -> Option<Vec<Hashed>> {
    let (above, end) = text.strip_suffix('\n')?.rsplit_once("\nend ")?;
    if end.parse::<Digest>().ok()? != Digest::of(format!("{above}\n").as_bytes()) {
        return None;
    }
    let mut lines = above.lines();
    let about: Digest = lines.next()?.strip_prefix("key ")?.parse().ok()?;
    if about != *key {
        return None;
    }
    lines.map(hashed).collect()
}

fn hashed(line: &str) -> Option<Hashed> {
    let (digest, size) = line.split_once(' ')?;
    Some(Hashed { digest: digest.parse().ok()?, size: size.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_entry_is_read_back_and_no_other() {
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        let known = [Hashed { digest: Digest::of(b"a"), size: 7 }, Hashed { digest: Digest::of(b"b"), size: 0 }];
        let text = write(&key, &known).unwrap();
        assert_eq!(read(&key, &text).unwrap(), known);
        assert_eq!(read(&other, &text), None);
        for length in 0..text.len() {
            assert_eq!(read(&key, &text[..length]), None, "cut at {length}");
        }
        for (at, _) in text.char_indices() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            assert_eq!(read(&key, &String::from_utf8(damaged).unwrap()), None, "changed at {at}");
        }
    }

    #[test]
    fn an_entry_without_end_is_not_written() {
        let known = vec![Hashed { digest: Digest::of(b"a"), size: 7 }; 20_000];
        assert_eq!(write(&Digest::of(b"key"), &known), None);
    }
}
