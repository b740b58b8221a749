//! Reads the errors that registries answer with:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes>. Pure.

use serde::Deserialize;

use crate::oci::is_harmless;

/// As much of a registry's words as a message shows, in characters.
const MAX_MESSAGE: usize = 300;

/// What a registry says about a refusal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The specification's code, such as `NAME_UNKNOWN`; may be empty.
    pub(super) code: String,
    /// Code and message in one line, cut and cleaned; may be empty.
    pub(super) text: String,
}

#[derive(Deserialize)]
struct Body {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
}

/// Reads the body of an error answer: the specification's JSON, else plain text; a web page says nothing.
pub(super) fn complaint(body: &[u8]) -> Complaint {
    if let Ok(Body { errors }) = serde_json::from_slice(body) {
        let code = errors.first().map(|entry| printable(&entry.code)).unwrap_or_default();
        let lines: Vec<String> = errors.iter().map(line).filter(|line| !line.is_empty()).collect();
        return Complaint { code, text: printable(&lines.join("; ")) };
    }
    let text = String::from_utf8_lossy(body);
    let markup = text.trim_start().starts_with(['<', '{', '[']);
    Complaint { code: String::new(), text: if markup { String::new() } else { printable(&text) } }
}

fn line(entry: &Entry) -> String {
    match entry.message.as_deref() {
        None | Some("") => entry.code.clone(),
        Some(message) if entry.code.is_empty() => message.to_owned(),
        Some(message) => format!("{} ({})", message, entry.code),
    }
}

/// The headers in which registries tell about a limit and its end: Docker Hub's, GitHub's, and those of
/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.
const LIMITS: [&str; 8] = [
    "Retry-After",
    "RateLimit",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
];

/// What an answer's headers say about limits, in one line; mostly empty.
pub(super) fn limits<'a>(header: impl Fn(&str) -> Option<&'a str>) -> String {
    let said = |name: &&str| header(name).map(|value| format!("{name}: {}", printable(value)));
    printable(&LIMITS.iter().filter_map(said).collect::<Vec<_>>().join(", "))
}

/// Cuts a foreign text and makes one line without control characters of it: terminals obey them.
pub(super) fn printable(text: &str) -> String {
    let clean: String = text.trim().chars().take(MAX_MESSAGE).map(|c| if is_legible(c) { c } else { ' ' }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a registry says is prose: there the zero-width characters hide words and join none.
fn is_legible(character: char) -> bool {
    is_harmless(character) && !matches!(character, '\u{200b}'..='\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_registrys_words() {
        for (body, code, text) in [
            (r#"{"errors":[{"code":"DENIED","message":"quota exceeded","detail":{}}]}"#, "DENIED", "quota exceeded (DENIED)"),
            (r#"{"errors":[{"code":"A"},{"code":"B","message":"b"}]}"#, "A", "A; b (B)"),
            (r#"{"errors":[{"message":"only words"}]}"#, "", "only words"),
            (r#"{"errors":[]}"#, "", ""),
            (r#"{"error":"other"}"#, "", ""),
            ("404 page not found\n", "", "404 page not found"),
            ("<html><body>502</body></html>", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(complaint(body.as_bytes()), Complaint { code: code.to_owned(), text: text.to_owned() }, "{body}");
        }
    }

    #[test]
    fn tells_what_headers_say_about_limits() {
        let hub = [("Retry-After", "60"), ("RateLimit-Limit", "100;w=21600"), ("RateLimit-Remaining", "0;w=21600\u{1b}[2J"), ("Date", "x")];
        let header = |name: &str| hub.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert_eq!(limits(header), "Retry-After: 60, RateLimit-Limit: 100;w=21600, RateLimit-Remaining: 0;w=21600 [2J");
        assert_eq!(limits(|_| None), "");
    }

    #[test]
    fn foreign_words_cannot_steer_a_terminal_or_flood_it() {
        assert_eq!(printable("a\u{1b}[2J\r\nb\u{202e}c\0"), "a [2J b c");
        assert_eq!(printable(&"x".repeat(100_000)).len(), MAX_MESSAGE);
        assert!(complaint(&[0xff; 1000]).text.chars().count() <= MAX_MESSAGE);
    }
}
