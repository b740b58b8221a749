//! `model.safetensors.index.json`: which tensor is in which file. Ten megabytes for the largest models, so it is read as a stream:
//! every tensor is looked up when its line comes, and only what is missing is kept.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::model::formats::json::{JsonError, reason};

/// The largest index that is read.
const MAX_SIZE: u64 = 32 << 20;
/// Files of one model.
const MAX_SHARDS: usize = 10_000;
/// The longest name, of a tensor or a file.
const MAX_NAME: usize = 1024;

/// The files that an index names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// By name.
    pub shards: BTreeMap<String, Shard>,
}

/// One of the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shard {
    /// Tensors that it should hold and does not.
    pub missing: u64,
    /// The first of them.
    pub first_missing: Option<String>,
}

impl Index {
    /// Reads an index of `size` bytes. `holds` answers whether a file holds a tensor; of a file that it does not know it says yes.
    ///
    /// # Errors
    /// [`JsonError`] names the byte.
    pub fn read(input: impl Read, size: u64, holds: impl Fn(&str, &str) -> bool) -> Result<Self, JsonError> {
        if size > MAX_SIZE {
            return Err(JsonError::TooLarge { size, limit: MAX_SIZE });
        }
        let offset = Cell::new(0);
        let counted = Counted { input: BufReader::new(input.take(MAX_SIZE)), offset: &offset };
        let mut json = serde_json::Deserializer::from_reader(counted);
        let index = Document(&holds).deserialize(&mut json).and_then(|index| json.end().map(|()| index));
        index.map_err(|error| match error.io_error_kind() {
            Some(kind) => JsonError::Io { offset: offset.get(), source: kind.into() },
            None => JsonError::Malformed { offset: offset.get(), reason: reason(&error) },
        })
    }
}

/// Knows how far reading got.
struct Counted<'a, R> {
    input: R,
    offset: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.offset.set(self.offset.get() + count as u64);
        Ok(count)
    }
}

/// The whole of an index.
struct Document<'a, H>(&'a H);

impl<'de, H: Fn(&str, &str) -> bool> DeserializeSeed<'de> for Document<'_, H> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, H: Fn(&str, &str) -> bool> Visitor<'de> for Document<'_, H> {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index of weights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Index, A::Error> {
        let mut index = None;
        while let Some(Name(name)) = access.next_key()? {
            if name == "weight_map" {
                index = Some(access.next_value_seed(WeightMap(self.0))?);
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        index.ok_or_else(|| A::Error::custom("it has no `weight_map`"))
    }
}

/// `weight_map`: a file for every tensor.
struct WeightMap<'a, H>(&'a H);

impl<'de, H: Fn(&str, &str) -> bool> DeserializeSeed<'de> for WeightMap<'_, H> {
    type Value = Index;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Index, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, H: Fn(&str, &str) -> bool> Visitor<'de> for WeightMap<'_, H> {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of file names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Index, A::Error> {
        let mut index = Index::default();
        while let Some((Name(tensor), Name(file))) = access.next_entry()? {
            let held = (self.0)(&file, &tensor);
            let shard = index.shards.entry(file).or_default();
            if !held {
                shard.missing += 1;
                shard.first_missing.get_or_insert(tensor);
            }
            if index.shards.len() > MAX_SHARDS {
                return Err(A::Error::custom(format!("it names more than {MAX_SHARDS} files")));
            }
        }
        Ok(index)
    }
}

/// A name, which is short.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        if text.len() > MAX_NAME {
            return Err(E::custom(format!("a name of {} bytes", text.len())));
        }
        Ok(Name(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Index, JsonError> {
        Index::read(text.as_bytes(), text.len() as u64, |file, tensor| file != "b" || tensor == "y")
    }

    #[test]
    fn tells_every_file_once_and_the_first_tensor_that_is_not_in_it() {
        let index = read(r#"{"metadata": {"total_size": 1}, "weight_map": {"x": "a", "y": "b", "z": "b", "q": "b"}}"#).unwrap();
        assert_eq!(index.shards.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(index.shards["a"], Shard::default());
        assert_eq!(index.shards["b"], Shard { missing: 2, first_missing: Some("z".to_owned()) });
    }

    #[test]
    fn what_is_no_index_is_refused_with_its_byte() {
        let long = format!(r#"{{"weight_map": {{"{}": "a"}}}}"#, "x".repeat(2000));
        let bomb = format!(r#"{{"a": {}"#, "[".repeat(100_000));
        let files = (0..=MAX_SHARDS).map(|file| format!(r#""{file}": "{file}""#)).collect::<Vec<_>>().join(",");
        for (text, at, why) in [
            ("{}", 2, "no `weight_map`"),
            ("[]", 1, "an index of weights"),
            (r#"{"weight_map": [1]}"#, 16, "an object of file names"),
            (r#"{"weight_map": {"a": 1}}"#, 23, "expected a name"),
            (r#"{"weight_map": {"a": "b""#, 24, "EOF"),
            (&long, 2018, "a name of 2000 bytes"),
            (&bomb, 100_006, "EOF"),
            (&format!(r#"{{"weight_map": {{{files}}}}}"#), files.len() as u64 + 16, "more than 10000 files"),
        ] {
            match read(text) {
                Err(JsonError::Malformed { offset, reason }) => {
                    assert!(reason.contains(why), "{reason}");
                    assert!(offset.abs_diff(at) <= 2, "{reason}: {offset}, not {at}");
                }
                other => panic!("{why}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_index_beyond_any_real_one_is_not_read() {
        let error = Index::read(io::empty(), MAX_SIZE + 1, |_, _| true).unwrap_err();
        assert!(matches!(error, JsonError::TooLarge { .. }), "{error}");
    }
}
