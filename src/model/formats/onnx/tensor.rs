//! Tensors that are stored in a model: how many elements of which type, and where their data are. The data are never read.

use std::io::{Read, Seek};

use super::error::{Defect, OnnxError};
use super::external::{DataRange, Pointer};
use super::inline::Obstacle;
use super::schema::Scan;
use super::types;
use crate::model::facts::MAX_TEXT;
use crate::model::formats::protobuf::{Field, Message};

/// Linux' limit for a path, in bytes; a longer location names nothing.
const MAX_LOCATION: usize = 4096;
/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: i64 = 1;

/// A `TensorProto` without its data.
#[derive(Debug)]
struct Tensor {
    name: String,
    data_type: i64,
    /// The product of its dimensions; none where that is no number of elements.
    elements: Option<u64>,
    location: i64,
    pointer: Pointer,
    /// Whether there are data in the message itself.
    has_own_data: bool,
}

impl Tensor {
    /// Why its data cannot become `raw_data`. Texts never can; of unknown types nobody knows how much to take unless it is said.
    fn obstacle(&self, data: DataRange, needed: Option<u64>) -> Option<Obstacle> {
        let tensor = || self.name.clone();
        if self.has_own_data {
            return Some(Obstacle::TwoData { tensor: tensor() });
        }
        match self.data_type {
            types::STRING => Some(Obstacle::Text { tensor: tensor() }),
            _ if needed.is_none() && data.length == 0 => Some(Obstacle::NoLength { tensor: tensor() }),
            _ => None,
        }
    }
}

impl<R: Read + Seek> Scan<R> {
    /// Counts a `TensorProto` and notes its external data; gives its name.
    pub(super) fn tensor(&mut self, message: Message) -> Result<String, OnnxError> {
        let span = message.rest();
        let tensor = self.tensor_fields(message)?;
        let elements = self.model.tally.elements.entry(types::name(tensor.data_type)).or_default();
        *elements = elements.saturating_add(tensor.elements.unwrap_or_default());
        if tensor.location == EXTERNAL {
            let needed = tensor.elements.and_then(|elements| types::size_of(tensor.data_type, elements));
            let data = self.model.point(&tensor.name, &tensor.pointer, needed)?;
            self.model.outside.add(span, data, tensor.obstacle(data, needed));
        }
        Ok(tensor.name)
    }

    /// A `SparseTensorProto`: two tensors, and the name of the first.
    pub(super) fn sparse_tensor(&mut self, mut message: Message) -> Result<String, OnnxError> {
        let mut name = String::new();
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => name = self.tensor(field.message()?)?,
                2 => drop(self.tensor(field.message()?)?),
                _ => {}
            }
        }
        Ok(name)
    }

    fn tensor_fields(&mut self, mut message: Message) -> Result<Tensor, OnnxError> {
        let mut tensor =
            Tensor { name: String::new(), data_type: 0, elements: Some(1), location: 0, pointer: Pointer::default(), has_own_data: false };
        let mut last = None;
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => self.dimensions(&field, &mut tensor.elements)?,
                2 => tensor.data_type = field.number()?,
                8 => tensor.name = self.wire.text(&field, MAX_TEXT)?,
                13 => self.external_entry(&field, &mut tensor.pointer)?,
                14 => tensor.location = field.number()?,
                4..=7 | 9..=11 => tensor.has_own_data |= field.content().is_none_or(|content| !content.is_empty()),
                _ => {}
            }
            last = Some(field);
        }
        match (tensor.elements, last) {
            (None, Some(field)) => Err(field.malformed(Defect::Shape { tensor: tensor.name }).into()),
            _ => Ok(tensor),
        }
    }

    fn dimensions(&mut self, field: &Field, elements: &mut Option<u64>) -> Result<(), OnnxError> {
        self.wire.numbers(field, &mut |dimension| {
            let dimension = u64::try_from(dimension).ok();
            *elements = elements.zip(dimension).and_then(|(so_far, dimension)| so_far.checked_mul(dimension));
        })?;
        Ok(())
    }

    fn external_entry(&mut self, field: &Field, pointer: &mut Pointer) -> Result<(), OnnxError> {
        let (key, value) = self.key_value(field.message()?, MAX_LOCATION)?;
        pointer.set(&key, value);
        Ok(())
    }
}
