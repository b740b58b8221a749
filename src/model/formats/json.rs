//! JSON from strangers.
//!
//! A configuration is read as an [`Outline`]: its upper part, with every text cut and a bounded number of values. What lies deeper or
//! comes later is checked as JSON and left out, so neither a hundred thousand labels nor a hostile file costs memory.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::small::{beginning, first_bytes};
use crate::model::facts::printable;
use crate::model::{ModelError, ModelFile, Tree};

/// The largest configuration that is read. The label lists of image classifiers take 2 MiB.
const MAX_SIZE: u64 = 8 << 20;
/// Objects within objects that are kept.
const MAX_DEPTH: u8 = 6;
/// Values that are kept.
const MAX_VALUES: u32 = 16_384;

/// Why a JSON file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Offset into the file, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No JSON, or not of the expected kind.
    #[error("byte {offset}: {reason}")]
    Malformed {
        /// Offset into the file, in bytes.
        offset: u64,
        /// What is wrong there, in words that are safe to print.
        reason: String,
    },
    /// Larger than any real one.
    #[error("it has {size} bytes, and more than {limit} are not read")]
    TooLarge {
        /// Bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

impl JsonError {
    /// As the error of a model's file.
    pub(super) fn of(self, tree: &Tree, file: &ModelFile, format: &'static str) -> ModelError {
        let path = tree.shown(&file.path);
        match self {
            Self::Io { source, .. } => ModelError::io("read", path)(source),
            other => ModelError::Unreadable { path, format, source: other.into(), hint: None },
        }
    }
}

/// What serde_json says, without its line and column: a header is one line, and a person looks for bytes.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    printable(text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason))
}

/// The offset of an error in the text that was parsed.
pub(super) fn offset(bytes: &[u8], error: &serde_json::Error) -> u64 {
    let before: usize = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    (before + error.column()) as u64
}

/// The upper part of a JSON file.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Outline {
    /// `null`, what is not there, and what was left out.
    #[default]
    Nothing,
    /// `true` or `false`.
    Bool(bool),
    /// A number that is not negative and whole.
    Whole(u64),
    /// Any other number.
    Number(f64),
    /// A text, cut at 1 KiB.
    Text(String),
    /// A list.
    List(Vec<Outline>),
    /// An object; of a name that comes twice the last one, as in Python.
    Object(BTreeMap<String, Outline>),
}

static NOTHING: Outline = Outline::Nothing;

impl Outline {
    /// The outline of a file.
    pub(super) fn of(tree: &Tree, file: &ModelFile, format: &'static str) -> Result<Self, ModelError> {
        Self::read(file).map_err(|error| error.of(tree, file, format))
    }

    fn read(file: &ModelFile) -> Result<Self, JsonError> {
        if file.size > MAX_SIZE {
            return Err(JsonError::TooLarge { size: file.size, limit: MAX_SIZE });
        }
        let bytes = first_bytes(file, MAX_SIZE).map_err(|source| JsonError::Io { offset: 0, source })?;
        Self::parse(bytes)
    }

    /// The outline of a text.
    ///
    /// # Errors
    /// [`JsonError::Malformed`].
    pub fn parse(mut bytes: Vec<u8>) -> Result<Self, JsonError> {
        replace_python_numbers(&mut bytes);
        let left = Cell::new(MAX_VALUES);
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let outline = Level { left: &left, depth: 0 }.deserialize(&mut json).and_then(|outline| json.end().map(|()| outline));
        outline.map_err(|error| JsonError::Malformed { offset: offset(&bytes, &error), reason: reason(&error) })
    }

    /// The value of a name in an object; [`Outline::Nothing`] where there is none.
    pub fn get(&self, name: &str) -> &Self {
        match self {
            Self::Object(object) => object.get(name).unwrap_or(&NOTHING),
            _ => &NOTHING,
        }
    }

    /// The value, where it is a text with something in it.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The value, where it is a whole number above zero.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Whole(number) if *number > 0 => Some(*number),
            _ => None,
        }
    }

    /// The texts of a list, or the one text.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Self::List(list) => list.iter().filter_map(Self::text).collect(),
            other => other.text().into_iter().collect(),
        }
    }

    /// Whether there is anything.
    pub fn is_something(&self) -> bool {
        *self != Self::Nothing
    }
}

impl fmt::Display for Outline {
    /// A value as a person writes it; lists and objects are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Nothing | Self::List(_) | Self::Object(_) => Ok(()),
        }
    }
}

/// Python writes `NaN` and `Infinity`, which are no JSON; configurations of Mamba models hold them. A zero of the same length takes
/// their place, so offsets stay true.
fn replace_python_numbers(bytes: &mut [u8]) {
    let (mut at, mut in_text) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_text => at += 1,
            b'"' => in_text = !in_text,
            b'N' | b'I' if !in_text => {
                for word in [&b"NaN"[..], b"Infinity"] {
                    if bytes[at..].starts_with(word) {
                        bytes[at..at + word.len()].fill(b' ');
                        bytes[at] = b'0';
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Reads one value at its depth.
#[derive(Clone, Copy)]
struct Level<'a> {
    left: &'a Cell<u32>,
    depth: u8,
}

impl Level<'_> {
    /// The level below, unless enough is kept.
    fn below(self) -> Option<Self> {
        let left = self.left.get().checked_sub(1)?;
        self.left.set(left);
        (self.depth < MAX_DEPTH).then_some(Self { left: self.left, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Outline;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Outline, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Outline, E> {
        Ok(Outline::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Outline, E> {
        Ok(Outline::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Outline, E> {
        Ok(Outline::Whole(value))
    }

    #[allow(clippy::cast_precision_loss, reason = "a negative number in a configuration is only shown")]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Outline, E> {
        Ok(Outline::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Outline, E> {
        Ok(Outline::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Outline, E> {
        Ok(Outline::Text(beginning(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Outline, A::Error> {
        let mut list = Vec::new();
        while let Some(below) = self.below() {
            match access.next_element_seed(below)? {
                Some(value) => list.push(value),
                None => return Ok(Outline::List(list)),
            }
        }
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outline::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Outline, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(below) = self.below() {
            let Some(name) = access.next_key::<String>()? else { return Ok(Outline::Object(object)) };
            object.insert(beginning(&name), access.next_value_seed(below)?);
        }
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Outline::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Outline {
        Outline::parse(text.into()).unwrap()
    }

    #[test]
    fn tells_what_a_configuration_says() {
        let outline = parse(r#"{"a": {"b": ["x", 1, "y"]}, "n": 7, "f": -0.5, "t": true, "z": null, "n": 8}"#);
        assert_eq!(outline.get("a").get("b").texts(), ["x", "y"]);
        assert_eq!(outline.get("n").count(), Some(8), "the last of two counts");
        assert_eq!(outline.get("f").to_string(), "-0.5");
        assert_eq!(outline.get("t"), &Outline::Bool(true));
        assert!(!outline.get("z").is_something() && !outline.get("none").get("deeper").is_something());
    }

    #[test]
    fn takes_the_numbers_that_only_python_writes_and_leaves_texts_alone() {
        let outline = parse(r#"{"time_step_limit": [0.0, Infinity, -Infinity, NaN], "a": "NaN \" Infinity"}"#);
        assert_eq!(outline.get("a").text(), Some("NaN \" Infinity"));
        assert!(matches!(outline.get("time_step_limit"), Outline::List(list) if list.len() == 4));
    }

    #[test]
    fn says_at_which_byte_a_text_stops_being_json() {
        for (text, at) in [("{\"a\": 1,\n\"b\" 2}", 14), ("", 0), ("{} x", 4), ("{\"a\": Inf}", 7), ("[1,]", 4)] {
            match Outline::parse(text.into()) {
                Err(JsonError::Malformed { offset, reason }) => {
                    assert_eq!(offset, at, "{text}: {reason}");
                    assert!(!reason.contains("line"), "{reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn keeps_little_of_much() {
        let labels = (0..100_000).map(|number| format!("\"{number}\": \"label\"")).collect::<Vec<_>>().join(",");
        let outline = parse(&format!("{{\"first\": 1, \"id2label\": {{{labels}}}, \"long\": \"{}\"}}", "ä".repeat(4000)));
        assert_eq!(outline.get("first").count(), Some(1));
        let Outline::Object(kept) = outline.get("id2label") else { panic!("{outline:?}") };
        assert!(kept.len() < MAX_VALUES as usize);
    }

    #[test]
    fn a_long_list_does_not_hide_what_comes_after_it_from_the_check() {
        let text = format!("[{}0", "0,".repeat(50_000));
        assert!(Outline::parse(text.into_bytes()).is_err());
    }

    #[test]
    fn ten_thousand_brackets_are_an_error_and_no_stack_overflow() {
        assert!(Outline::parse("[".repeat(10_000).into_bytes()).is_err());
        assert!(Outline::parse("{\"a\":".repeat(10_000).into_bytes()).is_err());
    }
}
