//! What is read of `saved_model.pb`. Field numbers are those of
//! <https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/meta_graph.proto>; they never change.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::error::SavedModelError;
use super::types::{FILE_OPERATORS, element_type};
use crate::model::formats::files::Sample;
use crate::model::formats::protobuf::{Field, Message, Wire};
use crate::model::{Dimension, TensorInfo};

/// Bytes of a name that are kept.
const MAX_NAME: usize = 256;
/// Tensors of a signature that are kept.
const MAX_TENSORS: usize = 10_000;
/// Signatures, tags, dimensions.
const MAX_LIST: usize = 64;
/// The signature that servers call unless told otherwise.
const DEFAULT: &str = "serving_default";

/// What a SavedModel says about itself. Texts are the file's own, cut but not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedModel {
    /// The version of TensorFlow that wrote it.
    pub version: String,
    /// What its graphs are for: `serve`.
    pub tags: BTreeSet<String>,
    /// Its graphs.
    pub graphs: u64,
    /// Operators in all graphs and functions.
    pub operators: u64,
    /// The names of its signatures.
    pub signatures: Sample,
    /// The signature that is told, `serving_default` if it is there.
    pub signature: String,
    /// What that one takes.
    pub inputs: Vec<TensorInfo>,
    /// What that one gives.
    pub outputs: Vec<TensorInfo>,
    /// Whether its graphs have variables, whose values are in files beside it.
    pub has_variables: bool,
    /// Operators that read or write files, or run Python.
    pub file_operators: BTreeSet<&'static str>,
}

impl SavedModel {
    /// Reads `saved_model.pb` in bounded memory.
    ///
    /// # Errors
    /// [`SavedModelError`] with byte and reason.
    pub fn read(input: impl Read + Seek) -> Result<Self, SavedModelError> {
        let (wire, mut message) = Wire::new(input)?;
        let mut scan = Scan { wire, model: Self::default() };
        while let Some(field) = scan.wire.next(&mut message)? {
            if field.id == 2 {
                scan.meta_graph(field.message()?)?;
            }
        }
        if scan.model.graphs == 0 { Err(SavedModelError::NoGraph) } else { Ok(scan.model) }
    }
}

/// One pass over a file.
struct Scan<R> {
    wire: Wire<R>,
    model: SavedModel,
}

impl<R: Read + Seek> Scan<R> {
    fn meta_graph(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => self.meta_info(field.message()?)?,
                2 => self.graph(field.message()?)?,
                5 => self.signature(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn meta_info(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                4 if self.model.tags.len() < MAX_LIST => {
                    let tag = self.wire.text(&field, MAX_NAME)?;
                    self.model.tags.insert(tag);
                }
                5 => self.model.version = self.wire.text(&field, MAX_NAME)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn graph(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        self.model.graphs += 1;
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => self.operator(field.message()?)?,
                2 => self.library(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Functions, of which the graph is made since TensorFlow 2.
    fn library(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        while let Some(field) = self.wire.next(&mut message)? {
            if field.id == 1 {
                self.function(field.message()?)?;
            }
        }
        Ok(())
    }

    fn function(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        while let Some(field) = self.wire.next(&mut message)? {
            if field.id == 3 {
                self.operator(field.message()?)?;
            }
        }
        Ok(())
    }

    fn operator(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        let mut name = String::new();
        while let Some(field) = self.wire.next(&mut message)? {
            if field.id == 2 {
                name = self.wire.text(&field, MAX_NAME)?;
            }
        }
        self.model.operators += 1;
        self.model.has_variables |= matches!(name.as_str(), "VarHandleOp" | "VariableV2" | "Variable");
        self.model.file_operators.extend(FILE_OPERATORS.iter().find(|known| **known == name));
        Ok(())
    }

    /// An entry of the map from names to signatures.
    fn signature(&mut self, mut message: Message) -> Result<(), SavedModelError> {
        let (mut name, mut inputs, mut outputs) = (String::new(), Vec::new(), Vec::new());
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => name = self.wire.text(&field, MAX_NAME)?,
                2 => (inputs, outputs) = self.signature_def(field.message()?)?,
                _ => {}
            }
        }
        // TensorFlow's own bookkeeping, not for callers.
        if name == "__saved_model_init_op" {
            return Ok(());
        }
        self.model.signatures.push(&name);
        if self.model.signature.is_empty() || name == DEFAULT {
            (self.model.signature, self.model.inputs, self.model.outputs) = (name, inputs, outputs);
        }
        Ok(())
    }

    fn signature_def(&mut self, mut message: Message) -> Result<(Vec<TensorInfo>, Vec<TensorInfo>), SavedModelError> {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => self.tensor_entry(field.message()?, &mut inputs)?,
                2 => self.tensor_entry(field.message()?, &mut outputs)?,
                _ => {}
            }
        }
        // A map has no order; a person and a test want one.
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        outputs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((inputs, outputs))
    }

    /// An entry of the map from names to tensors.
    fn tensor_entry(&mut self, mut message: Message, tensors: &mut Vec<TensorInfo>) -> Result<(), SavedModelError> {
        let mut tensor = TensorInfo { name: String::new(), element_type: "unknown".to_owned(), shape: None };
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => tensor.name = self.wire.text(&field, MAX_NAME)?,
                2 => self.tensor_info(field.message()?, &mut tensor)?,
                _ => {}
            }
        }
        if tensors.len() < MAX_TENSORS {
            tensors.push(tensor);
        }
        Ok(())
    }

    fn tensor_info(&mut self, mut message: Message, tensor: &mut TensorInfo) -> Result<(), SavedModelError> {
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                2 => tensor.element_type = element_type(field.number()?),
                3 => tensor.shape = self.shape(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn shape(&mut self, mut message: Message) -> Result<Option<Vec<Dimension>>, SavedModelError> {
        let (mut shape, mut unknown_rank) = (Vec::new(), false);
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                2 if shape.len() < MAX_LIST => shape.push(self.dimension(&field)?),
                3 => unknown_rank = field.number()? != 0,
                _ => {}
            }
        }
        Ok((!unknown_rank).then_some(shape))
    }

    fn dimension(&mut self, field: &Field) -> Result<Dimension, SavedModelError> {
        let mut message = field.message()?;
        let mut size = 0;
        while let Some(field) = self.wire.next(&mut message)? {
            if field.id == 1 {
                size = field.number()?;
            }
        }
        Ok(u64::try_from(size).map_or(Dimension::Unknown, Dimension::Fixed))
    }
}
