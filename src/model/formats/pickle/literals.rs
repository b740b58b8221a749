//! Values that stand in a pickle as they are: numbers, texts, empty collections.

use super::opcode::{Argument, Opcode};
use super::values::{Fields, Node, Value, Values};

/// The value that an opcode and its argument write down.
pub(super) fn value(opcode: Opcode, argument: &Argument, values: &mut Values) -> Value {
    match (opcode, argument) {
        (Opcode::None, _) => Value::None,
        (Opcode::NewTrue, _) => Value::Bool(true),
        (Opcode::NewFalse, _) => Value::Bool(false),
        (Opcode::EmptyTuple, _) => values.tuple(&[]),
        (Opcode::EmptyList, _) => values.node(Node::List(Vec::new())),
        (Opcode::EmptyDict, _) => values.node(Node::Dict(Fields::default())),
        (Opcode::BinInt | Opcode::BinInt1 | Opcode::BinInt2, Argument::Number(number)) => Value::Int(*number),
        (Opcode::Long1 | Opcode::Long4, Argument::Bytes(bytes)) => long(bytes.as_deref()),
        (Opcode::Int | Opcode::Long, Argument::Lines(line, _)) => decimal(line.as_deref()),
        (Opcode::String | Opcode::Unicode, Argument::Lines(line, _)) => {
            let text = line.as_deref().and_then(|line| plain_text(opcode, line));
            text.map_or(Value::Opaque, |text| values.text(text))
        }
        (
            Opcode::BinString | Opcode::ShortBinString | Opcode::BinUnicode | Opcode::ShortBinUnicode | Opcode::BinUnicode8,
            Argument::Bytes(Some(bytes)),
        ) => values.text(bytes),
        _ => Value::Opaque,
    }
}

/// A text line without escapes; with them readers and scanners have differed. `STRING` has quotes.
fn plain_text(opcode: Opcode, line: &[u8]) -> Option<&[u8]> {
    let ((Opcode::String, [b'\'', text @ .., b'\''] | [b'"', text @ .., b'"']) | (Opcode::Unicode, text)) = (opcode, line) else {
        return None;
    };
    (!text.contains(&b'\\') && text.is_ascii()).then_some(text)
}

/// A little-endian two's complement number of at most eight bytes.
fn long(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes.filter(|bytes| bytes.len() <= 8) else { return Value::Opaque };
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(whole))
}

/// `17`, `17L`, and `01` and `00`, which are true and false.
fn decimal(line: Option<&[u8]>) -> Value {
    let text = line.and_then(|line| std::str::from_utf8(line).ok());
    match text {
        Some("00") => Value::Bool(false),
        Some("01") => Value::Bool(true),
        Some(digits) => digits.trim_end_matches('L').parse().map_or(Value::Opaque, Value::Int),
        None => Value::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_python() {
        for (bytes, number) in [(&b""[..], 0), (b"\xff", -1), (b"\xff\x00", 255), (b"\x00\x80", -32768), (&[0xff; 8], -1)] {
            assert_eq!(long(Some(bytes)), Value::Int(number), "{bytes:?}");
        }
        assert_eq!(long(Some(&[1; 9])), Value::Opaque);
        for (line, value) in [("17", Value::Int(17)), ("-3L", Value::Int(-3)), ("01", Value::Bool(true)), ("x", Value::Opaque)] {
            assert_eq!(decimal(Some(line.as_bytes())), value, "{line}");
        }
    }

    #[test]
    fn a_text_with_escapes_is_not_guessed() {
        assert_eq!(plain_text(Opcode::String, b"'os'"), Some(&b"os"[..]));
        assert_eq!(plain_text(Opcode::Unicode, b"'os'"), Some(&b"'os'"[..]));
        for (opcode, line) in
            [(Opcode::String, &b"os"[..]), (Opcode::String, b"'"), (Opcode::String, b"'os\""), (Opcode::Unicode, b"\\u006fs")]
        {
            assert_eq!(plain_text(opcode, line), None, "{line:?}");
        }
    }
}
