//! One GGUF file: magic, version, counts, metadata, tensors. <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::bytes::Bytes;
use super::error::{Defect, GgufError};
use super::tensors::{self, Tensors};
use super::values::{self, Value};

const MAGIC: [u8; 4] = *b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;

/// What a GGUF file says.
#[derive(Debug)]
pub struct GgufFile {
    /// 1, 2 or 3.
    pub version: u32,
    /// Whether it is for big-endian machines; only version 3 can be.
    pub big_endian: bool,
    /// The metadata; lists by their length, texts cut.
    pub values: BTreeMap<String, Value>,
    /// How much of what there is.
    pub tensors: Tensors,
}

impl GgufFile {
    /// Reads the header of a file, and nothing of its weights.
    ///
    /// # Errors
    /// [`GgufError`] names the byte. A file that is too short for its tensors is no error here.
    pub fn read<R: Read + Seek>(input: R) -> Result<Self, GgufError> {
        let mut bytes = Bytes::new(input)?;
        let version = version(&mut bytes)?;
        let tensor_count = bytes.length()?;
        let key_count = bytes.length()?;
        let values = values::read(&mut bytes, key_count)?;
        let alignment = alignment(&values).map_err(|alignment| bytes.malformed(Defect::Alignment { alignment }))?;
        let tensors = tensors::read(&mut bytes, tensor_count, alignment)?;
        Ok(Self { version, big_endian: bytes.swapped, values, tensors })
    }

    /// A text of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number of the metadata.
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.values.get(key) {
            Some(Value::Whole(number)) => Some(*number),
            _ => None,
        }
    }
}

/// The version also tells the byte order: swapped, a small number has its low half empty.
fn version<R: Read + Seek>(bytes: &mut Bytes<R>) -> Result<u32, GgufError> {
    if bytes.take()? != MAGIC {
        return Err(GgufError::Malformed { offset: 0, defect: Defect::Magic });
    }
    let mut version = bytes.u32()?;
    if version.trailing_zeros() >= 16 && version != 0 {
        bytes.swapped = true;
        version = version.swap_bytes();
    }
    bytes.short = version == 1;
    let known = if bytes.swapped { version == 3 } else { (1..=3).contains(&version) };
    if known { Ok(version) } else { Err(GgufError::Malformed { offset: 4, defect: Defect::Version { version } }) }
}

fn alignment(values: &BTreeMap<String, Value>) -> Result<u64, u64> {
    match values.get("general.alignment") {
        Some(Value::Whole(alignment)) if alignment.is_power_of_two() => Ok(*alignment),
        Some(Value::Whole(alignment)) => Err(*alignment),
        _ => Ok(DEFAULT_ALIGNMENT),
    }
}
