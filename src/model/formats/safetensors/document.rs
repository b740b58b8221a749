//! The JSON in a header, tensor by tensor: shapes are multiplied, not stored, and names are borrowed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::dtype::Dtype;
use super::{MAX_TENSORS, Tally};
use crate::model::facts::printable;
use crate::model::formats::small::beginning;

/// Entries of `__metadata__` that are kept.
const MAX_METADATA: usize = 16;
/// Types that are told apart; twenty-two exist.
const MAX_TYPES: usize = 64;

/// The longest name that is copied, in bytes.
const MAX_NAME: usize = 64 << 10;

/// What a header says.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    pub(super) tensors: Vec<Tensor<'a>>,
    pub(super) tally: Tally,
    pub(super) metadata: BTreeMap<String, String>,
}

/// Where a tensor is. Offsets count from the end of the header.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) begin: u64,
    pub(super) end: u64,
}

#[derive(Deserialize)]
struct Entry {
    dtype: Dtype,
    shape: Elements,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Document<'de>, A::Error> {
        let mut document = Document::default();
        let mut told = false;
        while let Some(Name(name)) = access.next_key()? {
            if name != "__metadata__" {
                document.add(name, access.next_value()?)?;
                continue;
            }
            if std::mem::replace(&mut told, true) {
                return Err(A::Error::custom("`__metadata__` is there twice"));
            }
            document.metadata = access.next_value::<Option<Metadata>>()?.map_or_else(BTreeMap::new, |metadata| metadata.0);
        }
        Ok(document)
    }
}

impl<'de> Document<'de> {
    fn add<E: Error>(&mut self, name: Cow<'de, str>, entry: Entry) -> Result<(), E> {
        let (begin, end) = entry.data_offsets;
        let fault = |what: String| E::custom(format!("tensor \"{}\" {what}", printable(&name)));
        let bytes = end.checked_sub(begin).ok_or_else(|| fault(format!("ends at {end}, before it begins at {begin}")))?;
        if !entry.dtype.fits(entry.shape.0, bytes) {
            return Err(fault(format!("has {bytes} bytes, and {} elements of {}", entry.shape.0, entry.dtype.name)));
        }
        if self.tensors.len() >= MAX_TENSORS {
            return Err(fault(format!("is one too many: more than {MAX_TENSORS} are not read")));
        }
        self.tally.add(entry.dtype.name, entry.shape.0);
        if self.tally.elements.len() > MAX_TYPES {
            return Err(fault(format!("has another element type after {MAX_TYPES} others")));
        }
        self.tensors.push(Tensor { name, begin, end });
        Ok(())
    }
}

/// A name; borrowed where nothing in it is escaped.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
        if text.len() > MAX_NAME {
            return Err(E::custom(format!("a name of {} bytes", text.len())));
        }
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Name(name) = Name::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::custom(format!("\"{}\" is no element type", printable(&name))))
    }
}

/// The product of a shape.
struct Elements(u64);

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shape")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Elements, A::Error> {
        let mut product: u64 = 1;
        while let Some(size) = access.next_element::<u64>()? {
            product = product.checked_mul(size).ok_or_else(|| A::Error::custom("a shape is beyond 64 bits"))?;
        }
        Ok(Elements(product))
    }
}

/// `__metadata__`: texts by name, the first few.
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Metadata, A::Error> {
        let mut kept = BTreeMap::new();
        while kept.len() < MAX_METADATA {
            let Some((Short(key), Short(value))) = access.next_entry()? else { return Ok(Metadata(kept)) };
            kept.insert(key, value);
        }
        while access.next_entry::<IgnoredAny, Short>()?.is_some() {}
        Ok(Metadata(kept))
    }
}

/// The beginning of a text: trainers write megabytes of statistics into one.
struct Short(String);

impl<'de> Deserialize<'de> for Short {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ShortVisitor)
    }
}

struct ShortVisitor;

impl Visitor<'_> for ShortVisitor {
    type Value = Short;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Short, E> {
        Ok(Short(beginning(text)))
    }
}
