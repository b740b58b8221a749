//! The metadata: keys with typed values. Lists (a vocabulary has a hundred thousand texts) are counted and skipped.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read, Seek};

use super::bytes::Bytes;
use super::error::{Defect, GgufError};
use crate::model::facts::{MAX_TEXT, printable};

/// The longest key that is kept, in bytes; real ones stay below 60.
const MAX_KEY: u64 = 256;
/// Keys of one file; real ones have some 50.
const MAX_KEYS: u64 = 65_536;
/// Values that are kept.
const MAX_KEPT: usize = 2048;
/// Lists within lists.
const MAX_DEPTH: u8 = 4;
/// Texts and lists in all lists together: ten times the largest vocabulary. Each costs a jump.
const MAX_STEPS: u64 = 8_000_000;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number that is not negative and whole.
    Whole(u64),
    /// A negative whole number.
    Negative(i64),
    /// A number with a fraction.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A text, cut at 1 KiB.
    Text(String),
    /// A list of this length.
    List(u64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Negative(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::List(length) => write!(f, "{length} values"),
        }
    }
}

/// Reads `count` keys with their values.
pub(super) fn read<R: Read + Seek>(bytes: &mut Bytes<R>, count: u64) -> Result<BTreeMap<String, Value>, GgufError> {
    // A key's length, its type, and at least one byte of value.
    bytes.check_count(count, bytes.length_width() + 5, "keys")?;
    if count > MAX_KEYS {
        return Err(bytes.malformed(Defect::TooMany { what: "keys", limit: MAX_KEYS }));
    }
    let mut reader = Reader { bytes, steps: MAX_STEPS };
    let (mut kept, mut seen) = (BTreeMap::new(), HashSet::new());
    for _ in 0..count {
        let at = reader.bytes.at;
        let (key, value) = reader.pair()?;
        if !seen.insert(hash(&key)) {
            return Err(GgufError::Malformed { offset: at, defect: Defect::Twice { what: "key", name: printable(&key) } });
        }
        if kept.len() < MAX_KEPT {
            kept.insert(key, value);
        }
    }
    Ok(kept)
}

pub(super) fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

struct Reader<'a, R> {
    bytes: &'a mut Bytes<R>,
    steps: u64,
}

impl<R: Read + Seek> Reader<'_, R> {
    fn pair(&mut self) -> Result<(String, Value), GgufError> {
        let key = self.bytes.text(MAX_KEY)?;
        let kind = self.bytes.u32()?;
        Ok((key, self.value(kind)?))
    }

    #[allow(clippy::cast_possible_wrap, reason = "a signed number is stored in the same bits")]
    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Whole(u64::from(self.bytes.take::<1>()?[0])),
            1 => signed(i64::from(self.bytes.take::<1>()?[0] as i8)),
            2 => Value::Whole(u64::from(self.u16()?)),
            3 => signed(i64::from(self.u16()? as i16)),
            4 => Value::Whole(u64::from(self.bytes.u32()?)),
            5 => signed(i64::from(self.bytes.u32()? as i32)),
            6 => Value::Number(f64::from(f32::from_bits(self.bytes.u32()?))),
            7 => Value::Bool(self.bytes.take::<1>()?[0] != 0),
            8 => Value::Text(self.bytes.text(MAX_TEXT as u64)?),
            9 => self.list(0).map(Value::List)?,
            10 => Value::Whole(self.bytes.u64()?),
            11 => signed(self.bytes.u64()? as i64),
            12 => Value::Number(f64::from_bits(self.bytes.u64()?)),
            number => return Err(self.bytes.malformed(Defect::ValueType { number })),
        })
    }

    fn u16(&mut self) -> Result<u16, GgufError> {
        let bytes = self.bytes.take()?;
        Ok(if self.bytes.swapped { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    /// Skips a list, and tells its length.
    fn list(&mut self, depth: u8) -> Result<u64, GgufError> {
        if depth > MAX_DEPTH {
            return Err(self.bytes.malformed(Defect::Depth { limit: MAX_DEPTH }));
        }
        let kind = self.bytes.u32()?;
        let count = self.bytes.length()?;
        let length = self.bytes.length_width();
        match kind {
            8 => self.each(count, length, |reader| reader.bytes.skip_text())?,
            9 => self.each(count, length + 4, |reader| reader.list(depth + 1).map(|_| ()))?,
            kind => {
                let width = width(kind).ok_or_else(|| self.bytes.malformed(Defect::ValueType { number: kind }))?;
                self.bytes.check_count(count, width, "values")?;
                self.bytes.skip(count * width)?;
            }
        }
        Ok(count)
    }

    fn each(&mut self, count: u64, width: u64, skip: impl Fn(&mut Self) -> Result<(), GgufError>) -> Result<(), GgufError> {
        self.bytes.check_count(count, width, "values")?;
        let too_many = Defect::TooMany { what: "texts in lists", limit: MAX_STEPS };
        self.steps = self.steps.checked_sub(count).ok_or_else(|| self.bytes.malformed(too_many))?;
        (0..count).try_for_each(|_| skip(self))
    }
}

fn signed(number: i64) -> Value {
    u64::try_from(number).map_or(Value::Negative(number), Value::Whole)
}

/// The bytes of a value of fixed width.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
