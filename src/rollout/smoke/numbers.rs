//! JSON as model servers write it. Pure.
//!
//! JSON has no word for what is no number, and servers have four: RapidJSON (OpenVINO Model Server, Triton) and Python's `json` write
//! `NaN`, `Infinity` and `-Infinity`, orjson (KServe's own servers) writes `null`. The bare words become strings here, so that any JSON
//! parser takes them; [`float`] reads all of them.

use std::borrow::Cow;

use serde_json::Value;

/// Longer documents are not read, in bytes.
pub(super) const MAX_DOCUMENT: u64 = 32 << 20;
/// Members and elements of one document: each is 32 bytes in memory.
const MAX_PARTS: usize = 1 << 21;
/// Longer words first: `-Infinity` ends with `Infinity`.
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// The document.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, &'static str> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err("it is longer than 32 MiB");
    }
    if bytes.iter().filter(|byte| matches!(byte, b',' | b':')).count() > MAX_PARTS {
        return Err("it has more than two million parts");
    }
    serde_json::from_slice(&quoted(bytes)).map_err(|_| "it is no JSON document")
}

/// The number that a value stands for, where it stands for one.
pub(super) fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::Null => Some(f64::NAN),
        Value::String(word) => match word.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// The same document with bare words in quotes.
fn quoted(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut done: Vec<u8> = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at = string_end(bytes, at);
            continue;
        }
        let word = WORDS.iter().find(|word| bytes[at..].starts_with(word.as_bytes()));
        let Some(word) = word else {
            at += 1;
            continue;
        };
        done.extend_from_slice(&bytes[from..at]);
        done.extend([b"\"", word.as_bytes(), b"\""].concat());
        at += word.len();
        from = at;
    }
    if from == 0 {
        return Cow::Borrowed(bytes);
    }
    done.extend_from_slice(&bytes[from..]);
    Cow::Owned(done)
}

/// Behind the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut escaped = false;
    for (offset, byte) in bytes[at + 1..].iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + offset + 2,
            _ => {}
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn takes_the_words_that_json_does_not_have() {
        for (text, expected) in [
            ("[NaN, Infinity,-Infinity]", json!(["NaN", "Infinity", "-Infinity"])),
            (r#"{"a": NaN, "NaN": "x\"NaN"}"#, json!({"a": "NaN", "NaN": "x\"NaN"})),
            ("[1e5,null]", json!([1e5, null])),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), expected, "{text}");
        }
        for text in ["", "[NaNa]", "[--Infinity]", "\"NaN", "[1,]", "<html>"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_small_on_the_wire_and_large_in_memory_is_refused() {
        assert_eq!(parse(format!("[{}0]", "0,".repeat(MAX_PARTS + 1)).as_bytes()), Err("it has more than two million parts"));
        assert_eq!(parse("[".repeat(100_000).as_bytes()), Err("it is no JSON document"));
    }

    proptest! {
        #[test]
        fn what_is_json_stays_as_it_is(text in r#"[a-zNI"\\ -]{0,20}"#, number: f64) {
            let value = json!({&text: [number, &text], "n": null});
            prop_assert_eq!(parse(value.to_string().as_bytes()).unwrap(), value);
        }

        #[test]
        fn nothing_makes_it_fall(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
