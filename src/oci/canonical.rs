//! Canonical JSON: compact, ASCII only, members in the order of the type.
//!
//! Equal to Python's `json.dumps(document, separators=(",", ":"))`, which `rh-model-signing` hashes as the image's digest.

use std::io;

use serde::Serialize;

/// Serialises a document to its one canonical byte form.
///
/// # Errors
/// Only for types that JSON cannot hold, such as maps without string keys.
pub fn to_vec<T: Serialize>(document: &T) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Ascii))?;
    Ok(bytes)
}

struct Ascii;

impl serde_json::ser::Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            match character {
                '\u{7f}' | ' '..='~' => writer.write_all(&[character as u8])?,
                _ => {
                    for unit in character.encode_utf16(&mut units) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Annotations;

    #[test]
    fn writes_the_bytes_of_pythons_compact_dumps() {
        let annotations = Annotations::from([("z".to_owned(), "Größe 🚗\u{7f}\"\\\n".to_owned()), ("a".to_owned(), "b/c".to_owned())]);
        let expected = "{\"a\":\"b/c\",\"z\":\"Gr\\u00f6\\u00dfe \\ud83d\\ude97\u{7f}\\\"\\\\\\n\"}";
        assert_eq!(String::from_utf8(to_vec(&annotations).unwrap()).unwrap(), expected);
    }
}
