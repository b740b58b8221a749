//! The list of tensors, and where their data lie.

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Seek};

use super::bytes::Bytes;
use super::error::{Defect, GgufError};
use super::types::TensorType;
use super::values::hash;
use crate::model::facts::printable;

/// Tensors of one file; real ones have a few thousand. The names of all are kept until the end of the header is known.
const MAX_TENSORS: u64 = 1 << 16;
/// llama.cpp knows four.
const MAX_DIMENSIONS: u32 = 4;
/// The longest name that is kept, in bytes; llama.cpp allows 63.
const MAX_NAME: u64 = 256;
/// Types that are told apart; thirty-four exist.
const MAX_TYPES: usize = 256;

/// How much of what there is, and which data are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tensors {
    /// Tensors and their elements by type: `Q4_K`.
    pub types: BTreeMap<String, Count>,
    /// A type that is not known, whose size cannot be checked.
    pub unknown: Option<String>,
    /// The first tensor that the file is too short for.
    pub cut: Option<Cut>,
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Tensors.
    pub tensors: u64,
    /// Their elements.
    pub elements: u64,
}

/// A tensor whose data end beyond the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its name.
    pub tensor: String,
    /// Where its data would end in the file, in bytes.
    pub end: u64,
}

/// A tensor as it is announced.
struct Info {
    at: u64,
    name: String,
    kind: TensorType,
    elements: u64,
    row: u64,
    offset: u64,
}

/// Reads `count` tensors; `alignment` is a power of two.
pub(super) fn read<R: Read + Seek>(bytes: &mut Bytes<R>, count: u64, alignment: u64) -> Result<Tensors, GgufError> {
    // A name's length, the number of dimensions, the type and the offset.
    bytes.check_count(count, bytes.length_width() + 16, "tensors")?;
    if count > MAX_TENSORS {
        return Err(bytes.malformed(Defect::TooMany { what: "tensors", limit: MAX_TENSORS }));
    }
    let mut places = Places { alignment, next: Some(0), ends: Vec::new() };
    let (mut tensors, mut seen) = (Tensors::default(), HashSet::new());
    for _ in 0..count {
        let info = info(bytes)?;
        if !seen.insert(hash(&info.name)) {
            return Err(info.malformed(Defect::Twice { what: "tensor", name: printable(&info.name) }));
        }
        places.add(&info)?;
        tensors.add(&info)?;
    }
    tensors.cut = places.cut(bytes.at, bytes.end);
    Ok(tensors)
}

fn info<R: Read + Seek>(bytes: &mut Bytes<R>) -> Result<Info, GgufError> {
    let at = bytes.at;
    let name = bytes.text(MAX_NAME)?;
    let dimensions = bytes.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(bytes.malformed(Defect::TooMany { what: "dimensions", limit: u64::from(MAX_DIMENSIONS) }));
    }
    let (mut elements, mut row) = (Some(1u64), 1);
    for dimension in 0..dimensions {
        let size = bytes.length()?;
        row = if dimension == 0 { size } else { row };
        elements = elements.and_then(|elements| elements.checked_mul(size));
    }
    let kind = TensorType::of(bytes.u32()?);
    let offset = bytes.u64()?;
    match elements {
        Some(elements) => Ok(Info { at, name, kind, elements, row, offset }),
        None => Err(GgufError::Malformed { offset: at, defect: Defect::Shape { tensor: printable(&name), kind: kind.name } }),
    }
}

impl Info {
    fn malformed(&self, defect: Defect) -> GgufError {
        GgufError::Malformed { offset: self.at, defect }
    }
}

impl Tensors {
    fn add(&mut self, info: &Info) -> Result<(), GgufError> {
        if !info.kind.is_known() {
            self.unknown.get_or_insert_with(|| info.kind.name.clone());
        }
        let count = self.types.entry(info.kind.name.clone()).or_default();
        count.tensors += 1;
        count.elements = count.elements.saturating_add(info.elements);
        if self.types.len() > MAX_TYPES {
            return Err(info.malformed(Defect::TooMany { what: "types", limit: MAX_TYPES as u64 }));
        }
        Ok(())
    }

    /// Adds what another part of the same model has.
    pub(super) fn merge(&mut self, other: &Self) {
        for (kind, more) in &other.types {
            let count = self.types.entry(kind.clone()).or_default();
            count.tensors += more.tensors;
            count.elements = count.elements.saturating_add(more.elements);
        }
    }

    /// All elements.
    pub fn elements(&self) -> u64 {
        self.types.values().fold(0, |sum, count| sum.saturating_add(count.elements))
    }
}

/// Where data lie: each tensor begins where the one before it ends, aligned. Writers put them so and llama.cpp loads nothing else.
struct Places {
    alignment: u64,
    /// Where the next tensor begins; unknown after a tensor of unknown size.
    next: Option<u64>,
    /// The ends, for as long as they grow: the first tensor that does not fit is the answer.
    ends: Vec<(String, u64)>,
}

impl Places {
    fn add(&mut self, info: &Info) -> Result<(), GgufError> {
        let tensor = || printable(&info.name);
        if let Some(expected) = self.next.filter(|expected| *expected != info.offset) {
            return Err(info.malformed(Defect::Place { tensor: tensor(), offset: info.offset, expected }));
        }
        if !info.kind.is_known() {
            self.next = None;
            return Ok(());
        }
        let shape = || info.malformed(Defect::Shape { tensor: tensor(), kind: info.kind.name.clone() });
        let size = info.kind.bytes(info.elements, info.row).ok_or_else(shape)?;
        let end = info.offset.checked_add(size).ok_or_else(shape)?;
        self.next = Some(end.checked_next_multiple_of(self.alignment).ok_or_else(shape)?);
        self.ends.push((info.name.clone(), end));
        Ok(())
    }

    /// The first tensor that ends beyond the file, whose header ends at `header`.
    fn cut(self, header: u64, size: u64) -> Option<Cut> {
        let data = header.checked_next_multiple_of(self.alignment)?;
        let (tensor, end) = self.ends.into_iter().find(|(_, end)| data.saturating_add(*end) > size)?;
        Some(Cut { tensor, end: data.saturating_add(end) })
    }
}
