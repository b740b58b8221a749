//! Small files of a model: read whole, up to a limit.

use std::io::{self, Read};

use crate::model::ModelFile;
use crate::model::facts::MAX_TEXT;

/// The first bytes of a file, at most `limit`.
pub(super) fn first_bytes(file: &ModelFile, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.open()?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a path has this extension, in any case.
pub(super) fn has_extension(path: &str, wanted: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case(wanted))
}

/// Whether a file lies at the top of the model's folder.
pub(super) fn is_at_top(path: &str) -> bool {
    !path.contains('/')
}

/// The first kibibyte of a text, in whole characters.
pub(super) fn beginning(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_no_further_than_asked() {
        assert_eq!(first_bytes(&ModelFile::generated("w", "12345678"), 3).unwrap(), b"123");
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&format!("a{}", "ä".repeat(600))).len(), MAX_TEXT - 1);
    }
}
