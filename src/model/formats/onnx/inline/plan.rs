//! The rewriting: which bytes of the model stay, and what stands where the pointers to external data were.
//!
//! Where tensors hide is the reader's knowledge ([`super::Outside`]); here only their places count. From the outermost message down,
//! whatever holds one of them gets a new length, and each of them gets `raw_data` in place of `external_data` and `data_location`.
//! All other bytes stay as they are, also fields that nobody knows.

use std::io::{Read, Seek};
use std::ops::Range;

use super::super::error::OnnxError;
use super::super::external::DataRange;
use super::super::schema::OnnxModel;
use super::Obstacle;
use super::obstacle::MAX_SIZE;
use super::outside::{ExternalTensor, MAX_TENSORS, Outside};
use crate::model::formats::protobuf::{Field, Message, Wire};

/// Fields of `TensorProto`.
const RAW_DATA: u64 = 9;
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;

/// Places where bytes change. An initializer takes two, a constant four; those above are shared.
const MAX_EDITS: usize = 4 * MAX_TENSORS;

/// What would become of a model.
#[derive(Debug)]
pub enum Outcome {
    /// All its data are inside.
    Inlined(Plan),
    /// They stay outside.
    Kept(Obstacle),
}

/// The bytes of a model with its external data inside, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Their sources.
    pub parts: Vec<Part>,
    /// How many bytes they come to.
    pub size: u64,
    /// How many tensors were outside.
    pub tensors: usize,
    /// How many bytes of data they had there.
    pub data_bytes: u64,
}

/// A run of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These.
    Bytes(Vec<u8>),
    /// Of the model as it was.
    Model(Range<u64>),
    /// Of a data file.
    Data {
        /// Which: [`OnnxModel::places`] in that order.
        file: usize,
        /// Where they begin, in bytes.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// Bytes of the model that others replace.
#[derive(Debug)]
struct Edit {
    at: Range<u64>,
    bytes: Vec<u8>,
    data: Option<DataRange>,
}

/// Plans the rewriting of a model that was read before.
///
/// # Errors
/// Only where `input` is not what `model` was read from, or fails.
pub fn plan(input: impl Read + Seek, model: &OnnxModel) -> Result<Outcome, OnnxError> {
    let (wire, message) = Wire::new(input)?;
    let old_size = message.rest().end;
    let outside = &model.outside;
    if let Some(obstacle) = &outside.obstacle {
        return Ok(Outcome::Kept(obstacle.clone()));
    }
    // Before anything is computed with lengths that only the file claims. The rewriting itself adds and removes some bytes more.
    let size = old_size.saturating_add(outside.bytes());
    if outside.bytes() > MAX_SIZE {
        return Ok(Outcome::Kept(Obstacle::TooLarge { size }));
    }
    let mut rewriting = Rewriting { wire, left: &outside.tensors, edits: Vec::new() };
    let size = rewriting.message(message)?;
    Ok(rewriting.outcome(old_size, size, outside))
}

struct Rewriting<'a, R> {
    wire: Wire<R>,
    /// The tensors that are still ahead.
    left: &'a [ExternalTensor],
    edits: Vec<Edit>,
}

impl<R: Read + Seek> Rewriting<'_, R> {
    /// Rewrites the fields of a message that hold external tensors, and gives its new size.
    fn message(&mut self, mut message: Message) -> Result<u64, OnnxError> {
        let whole = message.rest();
        let mut size = whole.end - whole.start;
        while self.left.first().is_some_and(|tensor| tensor.span.start < whole.end) && self.edits.len() < MAX_EDITS {
            let Some(field) = self.wire.next(&mut message)? else { break };
            let Some(content) = field.content() else { continue };
            if let Some(tensor) = self.left.first().filter(|tensor| tensor.span.start < content.end) {
                let old = content.end - field.start();
                size = size - old + self.field(&field, &content, tensor)?;
            }
        }
        Ok(size)
    }

    /// Rewrites a field that is an external tensor or holds some, and gives its new size, number and length included.
    fn field(&mut self, field: &Field, content: &Range<u64>, tensor: &ExternalTensor) -> Result<u64, OnnxError> {
        let header = self.edits.len();
        self.edits.push(Edit::removing(field.start()..content.start));
        let size = if *content == tensor.span { self.tensor(field.message()?, tensor)? } else { self.message(field.message()?)? };
        let bytes = length_delimited(field.id, size);
        let size = size + bytes.len() as u64;
        self.edits[header].bytes = bytes;
        Ok(size)
    }

    /// Puts `raw_data` where the first of the fields about external data was, and removes the others.
    fn tensor(&mut self, mut message: Message, tensor: &ExternalTensor) -> Result<u64, OnnxError> {
        self.left = self.left.get(1..).unwrap_or_default();
        let mut raw = Some((length_delimited(RAW_DATA, tensor.data.length), tensor.data));
        let mut size = tensor.span.end - tensor.span.start;
        while let Some(field) = self.wire.next(&mut message)?.filter(|_| self.edits.len() < MAX_EDITS) {
            // An empty `raw_data` behind ours would be the one that counts.
            if !matches!(field.id, RAW_DATA | EXTERNAL_DATA | DATA_LOCATION) {
                continue;
            }
            let at = field.start()..message.rest().start;
            size -= at.end - at.start;
            match raw.take() {
                Some((bytes, data)) => {
                    size += bytes.len() as u64 + data.length;
                    self.edits.push(Edit { at, bytes, data: Some(data) });
                }
                None => self.remove(at),
            }
        }
        Ok(size)
    }

    /// A tensor has several `external_data` in a row: one edit for all of them.
    fn remove(&mut self, at: Range<u64>) {
        match self.edits.last_mut() {
            Some(last) if last.at.end == at.start => last.at.end = at.end,
            _ => self.edits.push(Edit::removing(at)),
        }
    }

    fn outcome(self, old_size: u64, size: u64, outside: &Outside) -> Outcome {
        if self.edits.len() >= MAX_EDITS {
            return Outcome::Kept(Obstacle::TooMany { what: "places to rewrite", limit: MAX_EDITS });
        }
        if size > MAX_SIZE {
            return Outcome::Kept(Obstacle::TooLarge { size });
        }
        let parts = parts(self.edits, old_size);
        Outcome::Inlined(Plan { parts, size, tensors: outside.tensors.len(), data_bytes: outside.bytes() })
    }
}

impl Edit {
    fn removing(at: Range<u64>) -> Self {
        Self { at, bytes: Vec::new(), data: None }
    }
}

/// What the edits leave and what they bring, in order.
fn parts(edits: Vec<Edit>, old_size: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    for edit in edits {
        push(&mut parts, Part::Model(at..edit.at.start));
        push(&mut parts, Part::Bytes(edit.bytes));
        if let Some(DataRange { file, offset, length }) = edit.data {
            push(&mut parts, Part::Data { file, offset, length });
        }
        at = edit.at.end;
    }
    push(&mut parts, Part::Model(at..old_size));
    parts
}

/// Nothing is no part, and bytes after bytes are one.
fn push(parts: &mut Vec<Part>, part: Part) {
    match (part, parts.last_mut()) {
        (Part::Bytes(bytes), _) if bytes.is_empty() => {}
        (Part::Model(range), _) if range.is_empty() => {}
        (Part::Data { length: 0, .. }, _) => {}
        (Part::Bytes(bytes), Some(Part::Bytes(last))) => last.extend(bytes),
        (part, _) => parts.push(part),
    }
}

/// The number and length that stand before so many bytes.
fn length_delimited(field: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint(&mut bytes, field << 3 | 2);
    varint(&mut bytes, length);
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}
