//! Strings of strangers, fit for a terminal and for one line of it.

/// At most `limit` characters, without anything that moves a cursor, breaks a line or turns the direction of text.
pub fn printable(text: &str, limit: usize) -> String {
    let cut = text.chars().take(limit).map(|character| if is_harmless(character) { character } else { '\u{fffd}' });
    let mut clean: String = cut.collect();
    if text.chars().nth(limit).is_some() {
        clean.push('…');
    }
    clean
}

/// Whether a character can only be read: no control, line separator or byte order mark, and none of the bidirectional marks of
/// <https://trojansource.codes>.
pub fn is_harmless(character: char) -> bool {
    let marks = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    !character.is_control() && !marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_text_and_defuses_the_rest() {
        let table = [
            ("Größe 🚗", "Größe 🚗"),
            ("a\u{1b}[2Jb\r\nsigned yes", "a\u{fffd}[2Jb\u{fffd}\u{fffd}signed yes"),
            ("a\u{202e}b\u{2028}c", "a\u{fffd}b\u{fffd}c"),
        ];
        for (text, expected) in table {
            assert_eq!(printable(text, 100), expected);
        }
        assert_eq!(printable("123456", 5), "12345…");
        assert_eq!(printable("12345", 5), "12345");
    }
}
