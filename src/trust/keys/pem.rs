//! PEM blocks, as key files use them (<https://www.rfc-editor.org/rfc/rfc7468>).
//!
//! An own reader, because the strict ones refuse what real key files hold: lines of any width, and openssl's `EC PARAMETERS`
//! block in front of the key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::InvalidKey;

/// One decoded block. The bytes are wiped when it is dropped.
pub(super) struct Block {
    /// What stands behind BEGIN.
    pub(super) label: String,
    /// The decoded body.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Reads the first block that is not `EC PARAMETERS`.
pub(super) fn read(text: &str) -> Result<Block, InvalidKey> {
    let mut lines = text.lines().map(str::trim);
    loop {
        let label = lines.find_map(begin_label).ok_or(InvalidKey::NotPem)?;
        let end = format!("-----END {label}-----");
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        if label != "EC PARAMETERS" {
            return Ok(Block { label: label.to_owned(), bytes: decode(label, &body)? });
        }
    }
}

fn begin_label(line: &str) -> Option<&str> {
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

fn decode(label: &str, body: &[&str]) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    // `Proc-Type: 4,ENCRYPTED` and `DEK-Info: …` head the bodies that openssl encrypted the old way.
    if body.iter().any(|line| line.contains(':')) {
        return Err(InvalidKey::ForeignEncryption { label: label.to_owned() });
    }
    let joined = Zeroizing::new(body.concat());
    STANDARD.decode(joined.as_bytes()).map(Zeroizing::new).map_err(|_| InvalidKey::NotPem)
}

/// Writes a block in lines of 64 characters with a final newline, as Go's `encoding/pem` does.
pub(in crate::trust) fn write(label: &str, bytes: &[u8]) -> Zeroizing<String> {
    const WIDTH: usize = 64;
    let body = Zeroizing::new(STANDARD.encode(bytes));
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / WIDTH + 2 * label.len() + 40));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    // Base64 is ASCII, so any byte position is a character boundary.
    for start in (0..body.len()).step_by(WIDTH) {
        text.push_str(&body[start..body.len().min(start + WIDTH)]);
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_at_every_line_boundary() {
        for length in [0, 1, 47, 48, 49, 96, 200] {
            let bytes = vec![7; length];
            let block = read(&write("X KEY", &bytes)).unwrap();
            assert_eq!((block.label.as_str(), block.bytes.as_slice()), ("X KEY", bytes.as_slice()), "{length} bytes");
        }
    }

    #[test]
    fn reads_windows_line_ends_text_in_front_and_other_widths() {
        let text = "# my key\r\n-----BEGIN EC PARAMETERS-----\r\nBggq\r\n-----END EC PARAMETERS-----\r\n-----BEGIN K-----\r\nAQ\r\nID\r\n-----END K-----\r\n";
        assert_eq!(*read(text).unwrap().bytes, [1, 2, 3]);
    }

    #[test]
    fn refuses_text_without_a_block_and_bad_base64() {
        for text in ["", "hello", "-----BEGIN K-----\n***\n-----END K-----\n", "-----BEGIN EC PARAMETERS-----\nBggq\n"] {
            assert!(matches!(read(text), Err(InvalidKey::NotPem)), "{text:?}");
        }
    }

    #[test]
    fn names_old_openssl_encryption() {
        let text = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END EC PRIVATE KEY-----\n";
        assert!(matches!(read(text), Err(InvalidKey::ForeignEncryption { .. })));
    }
}
