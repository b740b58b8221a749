//! Pickles put together by hand, as attackers do.

use super::{Scan, scan};

/// Reads a pickle.
pub(in crate::model) fn scanned(bytes: &[u8]) -> Scan {
    scan(std::io::Cursor::new(bytes)).unwrap()
}

/// `BINUNICODE`.
pub(in crate::model) fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"X", &length.to_le_bytes()[..], text.as_bytes()].concat()
}
