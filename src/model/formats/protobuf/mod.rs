//! A walker over protobuf's wire format that holds one small buffer, whatever the file holds.
//!
//! A decoder that builds the message would need as much memory as the model has weights, and trusts every length in it. Here a
//! message is a range of offsets; its fields come one by one, and what nobody asks for is skipped by seeking. Every range lies within
//! its parent's, so no length can lead outside the file, and time grows with the file, never faster.
//! See <https://protobuf.dev/programming-guides/encoding/>.

mod error;

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

pub use error::{Defect, WireError};

/// Messages within messages. Protobuf itself allows 100; a graph in a graph takes three.
const MAX_DEPTH: u8 = 64;
/// Small, because most of a model is skipped.
const BUFFER: usize = 8 << 10;
/// 2²⁹ − 1: the largest field number.
const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;

/// The bytes of a message.
#[derive(Debug)]
pub(in crate::model::formats) struct Wire<R> {
    input: BufReader<R>,
    at: u64,
}

/// A message: the offset of its next field, and its end.
#[derive(Debug)]
pub(in crate::model::formats) struct Message {
    at: u64,
    end: u64,
    depth: u8,
}

/// One field of a message.
#[derive(Debug)]
pub(in crate::model::formats) struct Field {
    /// Its number in the schema.
    pub(in crate::model::formats) id: u64,
    value: Value,
    /// Where it starts.
    at: u64,
    depth: u8,
}

#[derive(Debug)]
enum Value {
    Number(u64),
    /// Four or eight bytes; nothing that we want is stored so.
    Fixed,
    Bytes {
        start: u64,
        end: u64,
    },
}

impl<R: Read + Seek> Wire<R> {
    /// Reads the message that is all of `input`.
    pub(in crate::model::formats) fn new(mut input: R) -> Result<(Self, Message), WireError> {
        let sizes = input.seek(SeekFrom::End(0)).and_then(|end| input.rewind().map(|()| end));
        let end = sizes.map_err(|source| WireError::Io { offset: 0, source })?;
        if end > i32::MAX as u64 {
            return Err(WireError::TooLarge { size: end });
        }
        let wire = Self { input: BufReader::with_capacity(BUFFER, input), at: 0 };
        Ok((wire, Message { at: 0, end, depth: 0 }))
    }

    /// The next field of a message.
    pub(in crate::model::formats) fn next(&mut self, message: &mut Message) -> Result<Option<Field>, WireError> {
        if message.at == message.end {
            return Ok(None);
        }
        self.seek(message.at)?;
        let at = message.at;
        let tag = self.varint(message.end)?;
        let (id, value) = self.value(tag, at, message.end)?;
        message.at = match value {
            Value::Bytes { end, .. } => end,
            Value::Number(_) | Value::Fixed => self.at,
        };
        Ok(Some(Field { id, value, at, depth: message.depth }))
    }

    fn value(&mut self, tag: u64, at: u64, end: u64) -> Result<(u64, Value), WireError> {
        let number = tag >> 3;
        if number == 0 || number > MAX_FIELD_NUMBER {
            return Err(malformed(at, Defect::Tag { tag }));
        }
        let value = match tag & 7 {
            0 => Value::Number(self.varint(end)?),
            1 => self.fixed(8, end)?,
            2 => self.bytes(end)?,
            3 | 4 => return Err(malformed(at, Defect::Group { field: number })),
            5 => self.fixed(4, end)?,
            _ => return Err(malformed(at, Defect::Tag { tag })),
        };
        Ok((number, value))
    }

    fn bytes(&mut self, end: u64) -> Result<Value, WireError> {
        let at = self.at;
        let wanted = self.varint(end)?;
        let start = self.at;
        match start.checked_add(wanted) {
            Some(stop) if stop <= end => Ok(Value::Bytes { start, end: stop }),
            _ => Err(malformed(at, Defect::Truncated { wanted, left: end - start })),
        }
    }

    fn fixed(&mut self, width: u64, end: u64) -> Result<Value, WireError> {
        let left = end - self.at;
        if left < width {
            return Err(malformed(self.at, Defect::Truncated { wanted: width, left }));
        }
        self.seek(self.at + width)?;
        Ok(Value::Fixed)
    }

    fn varint(&mut self, end: u64) -> Result<u64, WireError> {
        let at = self.at;
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            if self.at == end {
                return Err(malformed(at, Defect::Truncated { wanted: 1, left: 0 }));
            }
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed(at, Defect::LongNumber))
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        let mut byte = [0];
        self.fill(&mut byte)?;
        Ok(byte[0])
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), WireError> {
        let result = self.input.read_exact(buffer);
        result.map_err(|source| self.io(source))?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn seek(&mut self, to: u64) -> Result<(), WireError> {
        if to == self.at {
            return Ok(());
        }
        // Offsets are below 2³¹, see `new`.
        let distance = to.cast_signed() - self.at.cast_signed();
        let result = self.input.seek_relative(distance);
        result.map_err(|source| self.io(source))?;
        self.at = to;
        Ok(())
    }

    fn io(&self, source: io::Error) -> WireError {
        WireError::Io { offset: self.at, source }
    }

    /// The first bytes of a text, at most `limit`; what is no UTF-8 is replaced.
    pub(in crate::model::formats) fn text(&mut self, field: &Field, limit: usize) -> Result<String, WireError> {
        let Value::Bytes { start, end } = field.value else {
            return Err(field.mistyped("a text"));
        };
        let size = usize::try_from(end - start).unwrap_or(usize::MAX).min(limit);
        let mut bytes = vec![0; size];
        self.seek(start)?;
        self.fill(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The numbers of a repeated field, one by one or packed: proto2 and proto3 writers differ.
    pub(in crate::model::formats) fn numbers(&mut self, field: &Field, each: &mut dyn FnMut(i64)) -> Result<(), WireError> {
        match field.value {
            Value::Number(number) => each(number.cast_signed()),
            Value::Fixed => return Err(field.mistyped("a number")),
            Value::Bytes { start, end } => {
                self.seek(start)?;
                while self.at < end {
                    each(self.varint(end)?.cast_signed());
                }
            }
        }
        Ok(())
    }
}

impl Message {
    /// Where its next field begins, and where it ends. The field that was read last ends where the next one begins.
    pub(super) fn rest(&self) -> Range<u64> {
        self.at..self.end
    }
}

impl Field {
    /// Where it begins: at its number.
    pub(super) fn start(&self) -> u64 {
        self.at
    }

    /// Where its bytes are; none for numbers.
    pub(super) fn content(&self) -> Option<Range<u64>> {
        match self.value {
            Value::Bytes { start, end } => Some(start..end),
            Value::Number(_) | Value::Fixed => None,
        }
    }

    /// The message in this field.
    pub(in crate::model::formats) fn message(&self) -> Result<Message, WireError> {
        let Value::Bytes { start, end } = self.value else {
            return Err(self.mistyped("a message"));
        };
        if self.depth >= MAX_DEPTH {
            return Err(malformed(self.at, Defect::Depth { limit: MAX_DEPTH }));
        }
        Ok(Message { at: start, end, depth: self.depth + 1 })
    }

    /// The number in this field.
    pub(in crate::model::formats) fn number(&self) -> Result<i64, WireError> {
        match self.value {
            Value::Number(number) => Ok(number.cast_signed()),
            _ => Err(self.mistyped("a number")),
        }
    }

    /// The error for something wrong here.
    pub(in crate::model::formats) fn malformed(&self, defect: Defect) -> WireError {
        malformed(self.at, defect)
    }

    fn mistyped(&self, expected: &'static str) -> WireError {
        self.malformed(Defect::Type { field: self.id, expected })
    }
}

fn malformed(offset: u64, defect: Defect) -> WireError {
    WireError::Malformed { offset, defect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::formats::onnx::writer;
    use std::io::Cursor;

    /// All fields of the outermost message.
    fn fields(bytes: &[u8]) -> Result<Vec<(u64, String)>, WireError> {
        let (mut wire, mut message) = Wire::new(Cursor::new(bytes))?;
        let mut found = Vec::new();
        while let Some(field) = wire.next(&mut message)? {
            let value = match field.value {
                Value::Number(number) => number.to_string(),
                Value::Fixed => "fixed".to_owned(),
                Value::Bytes { .. } => wire.text(&field, 8)?,
            };
            found.push((field.id, value));
        }
        Ok(found)
    }

    fn defect(bytes: &[u8]) -> (u64, Defect) {
        match fields(bytes) {
            Err(WireError::Malformed { offset, defect }) => (offset, defect),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wire_type_is_read_or_skipped() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],                                             // 1: 150
            &[0x11, 1, 2, 3, 4, 5, 6, 7, 8],                                     // 2: 64 bits
            &[0x1a, 3, b'a', b'b', b'c'],                                        // 3: "abc"
            &[0x25, 1, 2, 3, 4],                                                 // 4: 32 bits
            &[0x1a, 0],                                                          // 3: ""
            &[0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], // 5: 2⁶⁴ − 1
        ]
        .concat();
        let expected = [(1, "150"), (2, "fixed"), (3, "abc"), (4, "fixed"), (3, ""), (5, "18446744073709551615")];
        assert_eq!(fields(&bytes).unwrap(), expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn a_defect_is_told_with_its_offset() {
        for (bytes, expected) in [
            (&[0x08, 0x01, 0x0a, 5, b'x'][..], (3, Defect::Truncated { wanted: 5, left: 1 })),
            (&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], (1, Defect::Truncated { wanted: u64::MAX, left: 0 })),
            (&[0x08], (1, Defect::Truncated { wanted: 1, left: 0 })),
            (&[0x08, 0x80], (1, Defect::Truncated { wanted: 1, left: 0 })),
            (&[0x11, 1, 2], (1, Defect::Truncated { wanted: 8, left: 2 })),
            (&[0x25, 1], (1, Defect::Truncated { wanted: 4, left: 1 })),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], (1, Defect::LongNumber)),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], (1, Defect::LongNumber)),
            (&[0x00], (0, Defect::Tag { tag: 0 })),
            (&[0x0f], (0, Defect::Tag { tag: 15 })),
            (&[0x0b], (0, Defect::Group { field: 1 })),
            (&[0x0c], (0, Defect::Group { field: 1 })),
        ] {
            assert_eq!(defect(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_message_cannot_reach_beyond_its_parent() {
        // Field 1 holds two bytes that announce five; the file goes on, the parent does not.
        let bytes = [0x0a, 2, 0x0a, 5, b'a', b'b', b'c', b'd', b'e'];
        let (mut wire, mut outer) = Wire::new(Cursor::new(&bytes)).unwrap();
        let mut inner = wire.next(&mut outer).unwrap().unwrap().message().unwrap();
        assert!(matches!(wire.next(&mut inner), Err(WireError::Malformed { offset: 3, defect: Defect::Truncated { wanted: 5, left: 0 } })));
    }

    #[test]
    fn endless_nesting_ends() {
        let nested = (0..100).fold(writer::Message::new(), |inner, _| writer::Message::new().message(1, &inner));
        let (mut wire, mut message) = Wire::new(Cursor::new(&nested.0)).unwrap();
        let error = loop {
            match wire.next(&mut message).unwrap().unwrap().message() {
                Ok(inner) => message = inner,
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string().split(": ").nth(1), Some("messages are nested more than 64 deep"));
    }

    #[test]
    fn numbers_are_read_packed_and_one_by_one() {
        let bytes = [0x08, 3, 0x0a, 3, 1, 0x96, 0x01];
        let (mut wire, mut message) = Wire::new(Cursor::new(&bytes)).unwrap();
        let mut found = Vec::new();
        while let Some(field) = wire.next(&mut message).unwrap() {
            wire.numbers(&field, &mut |number| found.push(number)).unwrap();
        }
        assert_eq!(found, [3, 1, 150]);
    }

    #[test]
    fn a_long_text_is_read_in_part() {
        let mut bytes = vec![0x0a, 0xff, 0x7f];
        bytes.resize(3 + 0x3fff, b'x');
        assert_eq!(fields(&bytes).unwrap(), [(1, "xxxxxxxx".to_owned())]);
    }
}
