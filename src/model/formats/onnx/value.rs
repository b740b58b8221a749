//! Inputs and outputs: a name, an element type and a shape.

use std::io::{Read, Seek};

use super::error::OnnxError;
use super::schema::{Scan, below};
use super::types;
use crate::model::facts::shape_text;
use crate::model::formats::protobuf::{Field, Message};
use crate::model::{Dimension, TensorInfo};

/// Dimensions of one tensor; numpy stops at 64.
const MAX_RANK: usize = 64;

/// A type as people write it.
#[derive(Debug)]
struct Type {
    element: String,
    shape: Option<Vec<Dimension>>,
}

impl Type {
    fn unknown() -> Self {
        Self::of("unknown")
    }

    fn of(element: impl Into<String>) -> Self {
        Self { element: element.into(), shape: None }
    }

    /// With its shape behind it, as part of a larger type.
    fn text(&self) -> String {
        self.shape.as_deref().map_or(self.element.clone(), |shape| format!("{}{}", self.element, shape_text(shape)))
    }
}

impl<R: Read + Seek> Scan<R> {
    /// A `ValueInfoProto`.
    pub(super) fn value_info(&mut self, mut message: Message) -> Result<TensorInfo, OnnxError> {
        let (mut name, mut value) = (String::new(), Type::unknown());
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => name = self.keep(&field)?,
                2 => value = self.value_type(field.message()?)?,
                _ => {}
            }
        }
        Ok(TensorInfo { name, element_type: value.element, shape: value.shape })
    }

    /// A `TypeProto`.
    fn value_type(&mut self, mut message: Message) -> Result<Type, OnnxError> {
        let mut value = Type::unknown();
        while let Some(field) = self.wire.next(&mut message)? {
            value = match field.id {
                1 => self.tensor_type(field.message()?)?,
                4 => self.wrapped_type("sequence", field.message()?)?,
                5 => self.map_type(field.message()?)?,
                7 => Type::of("opaque"),
                8 => self.sparse_type(field.message()?)?,
                9 => self.wrapped_type("optional", field.message()?)?,
                _ => value,
            };
        }
        Ok(value)
    }

    fn tensor_type(&mut self, mut message: Message) -> Result<Type, OnnxError> {
        let mut value = Type::unknown();
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => types::name(field.number()?).clone_into(&mut value.element),
                2 => value.shape = Some(self.shape(field.message()?)?),
                _ => {}
            }
        }
        Ok(value)
    }

    fn sparse_type(&mut self, message: Message) -> Result<Type, OnnxError> {
        let Type { element, shape } = self.tensor_type(message)?;
        Ok(Type { element: format!("sparse({element})"), shape })
    }

    /// `sequence(T)`, `optional(T)`.
    fn wrapped_type(&mut self, kind: &str, mut message: Message) -> Result<Type, OnnxError> {
        let mut inner = Type::unknown();
        while let Some(field) = self.wire.next(&mut message)? {
            if field.id == 1 {
                inner = self.value_type(field.message()?)?;
            }
        }
        Ok(Type::of(format!("{kind}({})", inner.text())))
    }

    fn map_type(&mut self, mut message: Message) -> Result<Type, OnnxError> {
        let (mut key, mut value) = ("unknown", Type::unknown());
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => key = types::name(field.number()?),
                2 => value = self.value_type(field.message()?)?,
                _ => {}
            }
        }
        Ok(Type::of(format!("map({key},{})", value.text())))
    }

    fn shape(&mut self, mut message: Message) -> Result<Vec<Dimension>, OnnxError> {
        let mut shape = Vec::new();
        while let Some(field) = self.wire.next(&mut message)? {
            if field.id == 1 {
                below(shape.len(), MAX_RANK, "dimensions", &field)?;
                shape.push(self.dimension(&field)?);
            }
        }
        Ok(shape)
    }

    fn dimension(&mut self, field: &Field) -> Result<Dimension, OnnxError> {
        let mut message = field.message()?;
        let mut dimension = Dimension::Unknown;
        while let Some(field) = self.wire.next(&mut message)? {
            dimension = match field.id {
                // Some exporters write -1 for an open dimension.
                1 => u64::try_from(field.number()?).map_or(Dimension::Unknown, Dimension::Fixed),
                2 => named(self.keep(&field)?),
                _ => dimension,
            };
        }
        Ok(dimension)
    }
}

fn named(name: String) -> Dimension {
    if name.is_empty() { Dimension::Unknown } else { Dimension::Named(name) }
}
