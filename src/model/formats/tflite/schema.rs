//! What is read of a LiteRT model. Field numbers are positions in
//! <https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs>; fields are only ever added at the end.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use super::error::TfliteError;
use super::flatbuffer::{Flatbuffer, Table, Vector};
use super::operators::BUILTIN;
use crate::model::formats::files::Sample;
use crate::model::{Dimension, TensorInfo};

/// Bytes of a text that are kept.
const MAX_TEXT: usize = 1024;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 256;
/// Inputs, outputs, signatures, metadata, subgraphs.
const MAX_LIST: u64 = 1000;
/// Kinds of operators.
const MAX_OPERATORS: u64 = 5000;
/// Tensors whose quantisation is looked at.
const MAX_TENSORS: u64 = 20_000;
/// The operator code of an operator that LiteRT does not bring.
const CUSTOM: i32 = 32;

/// What a LiteRT model says about itself. Texts are the file's own, cut but not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TfliteModel {
    /// The version of the schema: 3.
    pub version: u32,
    /// The author's or the converter's description.
    pub description: String,
    /// The least LiteRT that runs it.
    pub min_runtime: String,
    /// The names of its metadata.
    pub metadata: Sample,
    /// The names of its signatures.
    pub signatures: Sample,
    /// Operators of all graphs.
    pub operators: u64,
    /// The kinds of operators that LiteRT brings.
    pub builtin: BTreeSet<String>,
    /// Those that it does not.
    pub custom: BTreeSet<String>,
    /// The types of quantised tensors.
    pub quantised: BTreeSet<&'static str>,
    /// What it takes.
    pub inputs: Vec<TensorInfo>,
    /// What it gives.
    pub outputs: Vec<TensorInfo>,
}

impl TfliteModel {
    /// Reads a model; weights are not touched.
    ///
    /// # Errors
    /// [`TfliteError`] with byte and reason.
    pub fn read(input: impl Read + Seek) -> Result<Self, TfliteError> {
        let mut scan = Scan { buffer: Flatbuffer::new(input)?, model: Self::default(), tensors: 0 };
        let root = scan.buffer.root(*b"TFL3")?;
        scan.model(root)?;
        Ok(scan.model)
    }
}

/// One walk over a file.
struct Scan<R> {
    buffer: Flatbuffer<R>,
    model: TfliteModel,
    /// Tensors that were looked at.
    tensors: u64,
}

impl<R: Read + Seek> Scan<R> {
    fn model(&mut self, root: Table) -> Result<(), TfliteError> {
        self.model.version = self.buffer.scalar(root, 0)?.map_or(0, u32::from_le_bytes);
        self.model.description = self.buffer.text(root, 3, MAX_TEXT)?;
        self.operator_codes(root)?;
        let graphs = self.buffer.short_vector(root, 2, "subgraphs", MAX_LIST)?;
        if graphs.count == 0 {
            return Err(TfliteError::NoGraph);
        }
        for index in 0..graphs.count {
            let graph = self.buffer.item(graphs, index)?;
            self.graph(graph)?;
        }
        let main = self.buffer.item(graphs, 0)?;
        self.model.inputs = self.tensors_of(main, 1, "inputs")?;
        self.model.outputs = self.tensors_of(main, 2, "outputs")?;
        self.metadata(root)?;
        self.signatures(root)
    }

    fn operator_codes(&mut self, root: Table) -> Result<(), TfliteError> {
        let codes = self.buffer.short_vector(root, 1, "kinds of operators", MAX_OPERATORS)?;
        for index in 0..codes.count {
            let code = self.buffer.item(codes, index)?;
            // Numbers above 127 came later and have their own field.
            let old = self.buffer.scalar(code, 0)?.map_or(0, i8::from_le_bytes);
            let new = self.buffer.scalar(code, 3)?.map_or(0, i32::from_le_bytes);
            match new.max(old.into()) {
                CUSTOM => {
                    let name = self.buffer.text(code, 1, MAX_NAME)?;
                    self.model.custom.insert(name);
                }
                number => {
                    self.model.builtin.insert(builtin(number));
                }
            }
        }
        Ok(())
    }

    fn graph(&mut self, graph: Table) -> Result<(), TfliteError> {
        self.model.operators += self.buffer.vector(graph, 3, 4)?.count;
        let tensors = self.buffer.vector(graph, 0, 4)?;
        for index in 0..tensors.count {
            self.tensors += 1;
            if self.tensors > MAX_TENSORS {
                break;
            }
            let tensor = self.buffer.item(tensors, index)?;
            self.quantisation(tensor)?;
        }
        Ok(())
    }

    /// A tensor with a scale is quantised.
    fn quantisation(&mut self, tensor: Table) -> Result<(), TfliteError> {
        let Some(parameters) = self.buffer.child(tensor, 4)? else { return Ok(()) };
        if self.buffer.vector(parameters, 2, 4)?.count > 0 {
            let kind = self.element_type(tensor)?;
            self.model.quantised.insert(kind);
        }
        Ok(())
    }

    fn tensors_of(&mut self, graph: Table, field: u64, what: &'static str) -> Result<Vec<TensorInfo>, TfliteError> {
        let tensors = self.buffer.vector(graph, 0, 4)?;
        let indices = self.buffer.short_vector(graph, field, what, MAX_LIST)?;
        let mut found = Vec::new();
        for place in 0..indices.count {
            let index = self.buffer.number(indices, place)?;
            let at = u64::try_from(index).ok().filter(|at| *at < tensors.count).ok_or(TfliteError::Tensor { index })?;
            let tensor = self.buffer.item(tensors, at)?;
            found.push(self.tensor(tensor)?);
        }
        Ok(found)
    }

    fn tensor(&mut self, tensor: Table) -> Result<TensorInfo, TfliteError> {
        let fixed = self.buffer.short_vector(tensor, 0, "dimensions", 64)?;
        // With −1 for what is open; old converters wrote none.
        let signature = self.buffer.short_vector(tensor, 7, "dimensions", 64)?;
        let shape = if signature.count > 0 { signature } else { fixed };
        Ok(TensorInfo {
            name: self.buffer.text(tensor, 3, MAX_NAME)?,
            element_type: self.element_type(tensor)?.to_owned(),
            shape: Some(self.shape(shape)?),
        })
    }

    fn shape(&mut self, dimensions: Vector) -> Result<Vec<Dimension>, TfliteError> {
        let mut shape = Vec::new();
        for index in 0..dimensions.count {
            let size = self.buffer.number(dimensions, index)?;
            shape.push(u64::try_from(size).map_or(Dimension::Unknown, Dimension::Fixed));
        }
        Ok(shape)
    }

    fn element_type(&mut self, tensor: Table) -> Result<&'static str, TfliteError> {
        const TYPES: [&str; 23] = [
            "float32",
            "float16",
            "int32",
            "uint8",
            "int64",
            "string",
            "bool",
            "int16",
            "complex64",
            "int8",
            "float64",
            "complex128",
            "uint64",
            "resource",
            "variant",
            "uint32",
            "uint16",
            "int4",
            "bfloat16",
            "int2",
            "uint4",
            "float8_e4m3fn",
            "float8_e5m2",
        ];
        let number = self.buffer.scalar(tensor, 1)?.map_or(0, u8::from_le_bytes);
        Ok(TYPES.get(usize::from(number)).copied().unwrap_or("unknown"))
    }

    fn metadata(&mut self, root: Table) -> Result<(), TfliteError> {
        let entries = self.buffer.short_vector(root, 6, "metadata", MAX_LIST)?;
        for index in 0..entries.count {
            let entry = self.buffer.item(entries, index)?;
            let name = self.buffer.text(entry, 0, MAX_NAME)?;
            self.model.metadata.push(&name);
            if name == "min_runtime_version" {
                let place = self.buffer.scalar(entry, 1)?.map_or(0, u32::from_le_bytes);
                self.model.min_runtime = self.buffer_text(root, place.into())?;
            }
        }
        Ok(())
    }

    /// A text that is padded with zeros, in one of the model's buffers.
    fn buffer_text(&mut self, root: Table, place: u64) -> Result<String, TfliteError> {
        let buffers = self.buffer.vector(root, 4, 4)?;
        if place >= buffers.count {
            return Ok(String::new());
        }
        let buffer = self.buffer.item(buffers, place)?;
        let text = self.buffer.text(buffer, 0, MAX_NAME)?;
        Ok(text.trim_end_matches('\0').to_owned())
    }

    fn signatures(&mut self, root: Table) -> Result<(), TfliteError> {
        let signatures = self.buffer.short_vector(root, 7, "signatures", MAX_LIST)?;
        for index in 0..signatures.count {
            let signature = self.buffer.item(signatures, index)?;
            let name = self.buffer.text(signature, 2, MAX_NAME)?;
            self.model.signatures.push(&name);
        }
        Ok(())
    }
}

fn builtin(number: i32) -> String {
    let known = usize::try_from(number).ok().and_then(|number| BUILTIN.get(number));
    known.map_or_else(|| format!("operator {number}"), |name| (*name).to_owned())
}
