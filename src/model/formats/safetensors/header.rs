//! A file's header: eight bytes of length, little-endian, and a JSON object of tensors.
//! <https://github.com/huggingface/safetensors#format>
//!
//! The rules are those of the safetensors library, because a server loads with it: tensors lie one after the other without a hole,
//! none twice, and nothing follows the last one.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read, Seek, SeekFrom};

use super::document::{Document, Tensor};
use super::error::{Conflict, Defect, SafetensorsError};
use super::{MAX_HEADER, Tally};
use crate::model::formats::json;

/// The bytes before the header.
const LENGTH: u64 = 8;

/// What a header says.
#[derive(Debug)]
pub struct Header {
    /// How much of what there is.
    pub tally: Tally,
    /// The first entries of `__metadata__`, cut at 1 KiB.
    pub metadata: BTreeMap<String, String>,
    /// The first tensor that the file is too short for.
    pub cut: Option<Cut>,
    /// Hashes of the tensors' names, sorted: a name takes a hundred bytes, its hash eight.
    names: Vec<u64>,
}

/// A tensor whose data end beyond the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Its name.
    pub tensor: String,
    /// Where its data would end in the file, in bytes.
    pub end: u64,
}

impl Header {
    /// Reads the header of a file, and nothing of its weights.
    ///
    /// # Errors
    /// [`SafetensorsError`] names the byte or the tensor. A file that is too short for its tensors is no error here.
    pub fn read<R: Read + Seek>(mut input: R) -> Result<Self, SafetensorsError> {
        let at_start = |source| SafetensorsError::Io { offset: 0, source };
        let size = input.seek(SeekFrom::End(0)).map_err(at_start)?;
        input.rewind().map_err(at_start)?;
        let bytes = header_bytes(input, size)?;
        let data = LENGTH + bytes.len() as u64;
        let mut document = parse(&bytes)?;
        check_names(&mut document.tensors)?;
        let names = hashes(&document.tensors);
        let cut = check_places(&mut document.tensors, data, size)?;
        Ok(Self { tally: document.tally, metadata: document.metadata, cut, names })
    }

    /// Whether a tensor is in the file.
    pub fn holds(&self, tensor: &str) -> bool {
        self.names.binary_search(&hash(tensor)).is_ok()
    }
}

/// The header, which lies within the file and below [`MAX_HEADER`].
fn header_bytes<R: Read>(mut input: R, size: u64) -> Result<Vec<u8>, SafetensorsError> {
    let left = size.checked_sub(LENGTH).ok_or_else(|| SafetensorsError::malformed(0, Defect::NoLength { size }))?;
    let mut length = [0; 8];
    input.read_exact(&mut length).map_err(|source| SafetensorsError::Io { offset: 0, source })?;
    let announced = u64::from_le_bytes(length);
    if announced > left {
        return Err(SafetensorsError::malformed(0, Defect::LongHeader { announced, left }));
    }
    if announced > MAX_HEADER {
        return Err(SafetensorsError::malformed(0, Defect::HugeHeader { announced, limit: MAX_HEADER }));
    }
    let mut bytes = Vec::new();
    let read = input.take(announced).read_to_end(&mut bytes);
    match read {
        Ok(count) if count as u64 == announced => Ok(bytes),
        Ok(count) => Err(SafetensorsError::Io { offset: LENGTH + count as u64, source: io::ErrorKind::UnexpectedEof.into() }),
        Err(source) => Err(SafetensorsError::Io { offset: LENGTH, source }),
    }
}

fn parse(bytes: &[u8]) -> Result<Document<'_>, SafetensorsError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let defect = Defect::Json { reason: json::reason(&error) };
        SafetensorsError::malformed(LENGTH + json::offset(bytes, &error), defect)
    })
}

fn check_names(tensors: &mut [Tensor<'_>]) -> Result<(), SafetensorsError> {
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    match tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(conflict(&pair[0], Conflict::Twice)),
        None => Ok(()),
    }
}

/// The tensors in the order of their data: each begins where the one before it ends, and the last ends with the file.
fn check_places(tensors: &mut [Tensor<'_>], data: u64, size: u64) -> Result<Option<Cut>, SafetensorsError> {
    tensors.sort_unstable_by_key(|tensor| (tensor.begin, tensor.end));
    let mut end = 0;
    for tensor in &*tensors {
        let begin = tensor.begin;
        match begin.cmp(&end) {
            std::cmp::Ordering::Less => return Err(conflict(tensor, Conflict::Overlap { begin, end })),
            std::cmp::Ordering::Greater => return Err(conflict(tensor, Conflict::Hole { begin, end })),
            std::cmp::Ordering::Equal => end = tensor.end,
        }
    }
    let left = size - data;
    if end < left {
        return Err(SafetensorsError::malformed(data + end, Defect::Trailing { count: left - end }));
    }
    let short = tensors.iter().find(|tensor| tensor.end > left);
    Ok(short.map(|tensor| Cut { tensor: tensor.name.clone().into_owned(), end: data.saturating_add(tensor.end) }))
}

fn conflict(tensor: &Tensor<'_>, conflict: Conflict) -> SafetensorsError {
    SafetensorsError::Tensor { tensor: crate::model::facts::printable(&tensor.name), conflict }
}

fn hashes(tensors: &[Tensor<'_>]) -> Vec<u64> {
    let mut hashes: Vec<_> = tensors.iter().map(|tensor| hash(&tensor.name)).collect();
    hashes.sort_unstable();
    hashes
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
