//! JSON text laid out anew. Parsing and writing would change what was signed or will be: long numbers, the order of members,
//! members that are there twice. Here only the white space between the pieces changes.

/// Without white space. The text must be JSON.
pub fn compact(json: &str) -> String {
    lay_out(json, &mut |_, _, _| ())
}

/// Deeper levels are not indented further: strangers nest brackets by the hundred thousand, whose indentation would take gigabytes.
const MAX_INDENT: usize = 16;

/// A member to a line, two spaces per level, as `serde_json` and most tools print. The text must be JSON.
pub fn pretty(json: &str) -> String {
    lay_out(json, &mut |out, depth, gap| match gap {
        Gap::Line => {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth.min(MAX_INDENT)));
        }
        Gap::Space => out.push(' '),
    })
}

/// Where white space may go.
#[derive(Clone, Copy)]
enum Gap {
    /// Behind a bracket or comma.
    Line,
    /// Behind a colon.
    Space,
}

fn lay_out(json: &str, gap: &mut dyn FnMut(&mut String, usize, Gap)) -> String {
    let (mut out, mut depth) = (String::with_capacity(json.len()), 0_usize);
    let mut rest = json.trim();
    while let Some(symbol) = rest.chars().next() {
        let length = if symbol == '"' { string_length(rest) } else { symbol.len_utf8() };
        let (piece, behind) = rest.split_at(length);
        rest = behind.trim_start();
        match symbol {
            '{' | '[' if rest.starts_with(['}', ']']) => {
                out.push(symbol);
                out.extend(rest.chars().next());
                rest = rest[1..].trim_start();
            }
            '{' | '[' => {
                depth += 1;
                out.push(symbol);
                gap(&mut out, depth, Gap::Line);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                gap(&mut out, depth, Gap::Line);
                out.push(symbol);
            }
            ',' => {
                out.push(symbol);
                gap(&mut out, depth, Gap::Line);
            }
            ':' => {
                out.push(symbol);
                gap(&mut out, depth, Gap::Space);
            }
            _ => out.push_str(piece),
        }
    }
    out
}

/// The bytes of the string that the text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn changes_nothing_but_white_space() {
        let text = "{ \"b\" : 1.0,\n\"a\\\"\": [ ] , \"a\": 12345678901234567890123, \"c\": {\"x \": [1, {}]} }\n";
        let compacted = r#"{"b":1.0,"a\"":[],"a":12345678901234567890123,"c":{"x ":[1,{}]}}"#;
        assert_eq!(compact(text), compacted);
        assert_eq!(compact(&pretty(text)), compacted);
        assert_eq!(
            pretty(text),
            "{\n  \"b\": 1.0,\n  \"a\\\"\": [],\n  \"a\": 12345678901234567890123,\n  \"c\": {\n    \"x \": [\n      1,\n      {}\n    ]\n  }\n}"
        );
    }

    #[test]
    fn indents_deep_nests_no_further() {
        let depth = 100_000;
        let deep = "[".repeat(depth) + "1" + &"]".repeat(depth);
        let laid_out = pretty(&deep);
        assert!(laid_out.len() < deep.len() * (2 * MAX_INDENT + 2), "{} bytes of {}", laid_out.len(), deep.len());
        assert_eq!(compact(&laid_out), deep);
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(words in proptest::collection::vec(".{0,8}", 0..6), number: i64) {
            let value = serde_json::json!({"words": words, "number": number, "nothing": [], "map": {"null": null, "yes": true}});
            prop_assert_eq!(pretty(&value.to_string()), serde_json::to_string_pretty(&value).unwrap());
            prop_assert_eq!(compact(&serde_json::to_string_pretty(&value).unwrap()), value.to_string());
        }

        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = (pretty(&text), serde_json::from_str::<Value>(&compact(&text)));
        }
    }
}
