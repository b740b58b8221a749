//! ONNX's schema over the wire walker: what is read of a model, and every place in it where a tensor can hide.
//!
//! Field numbers are those of <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>; they never change. Two occurrences of a
//! message field are read as one, as protobuf merges them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::io::{Read, Seek};

use super::error::{Defect, OnnxError};
use super::external::ExternalFile;
use super::inline::Outside;
use crate::model::TensorInfo;
use crate::model::facts::MAX_TEXT;
use crate::model::formats::protobuf::{Field, Message, Wire};

/// Bytes of names and texts that are kept of one model.
const MAX_KEPT: usize = 16 << 20;
/// Inputs as written: old models list every weight as an input.
const MAX_INPUTS: usize = 20_000;
/// Names of weights.
const MAX_INITIALIZERS: usize = 1_000_000;
/// Operator sets, operator domains, metadata.
pub(super) const MAX_LIST: usize = 64;

/// What an ONNX file says about itself. Texts are the file's own, cut but not escaped.
#[derive(Debug, Default)]
pub struct OnnxModel {
    /// The version of the file format.
    pub ir_version: i64,
    /// What wrote it: `pytorch`, `skl2onnx`.
    pub producer: String,
    /// That program's version.
    pub producer_version: String,
    /// The model's reverse-DNS domain.
    pub domain: String,
    /// The version that its author gave it; 0 is none.
    pub model_version: i64,
    /// The author's description.
    pub description: String,
    /// The main graph's name.
    pub graph: String,
    /// Operator sets: domain (empty for `ai.onnx`) and version.
    pub opsets: Vec<(String, i64)>,
    /// Keys and values that the author added.
    pub metadata: Vec<(String, String)>,
    /// What a caller must give: inputs that are not weights.
    pub inputs: Vec<TensorInfo>,
    /// What it gives back.
    pub outputs: Vec<TensorInfo>,
    /// What it computes with.
    pub tally: Tally,
    /// The files beside it that hold data, by their place beside it.
    pub external: BTreeMap<String, ExternalFile>,
    /// The tensors that those files hold, and whether they can be taken in.
    pub(super) outside: Outside,
}

/// Counts over the main graph, its subgraphs and the model's functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operators.
    pub nodes: u64,
    /// The domains they come from; `ai.onnx` is written out.
    pub domains: BTreeSet<String>,
    /// Stored elements (initializers and constants) by element type.
    pub elements: BTreeMap<&'static str, u64>,
}

impl OnnxModel {
    /// Reads an ONNX file in constant memory, whatever it holds.
    pub fn read(input: impl Read + Seek) -> Result<Self, OnnxError> {
        let (wire, message) = Wire::new(input)?;
        let mut scan = Scan { wire, model: Self::default(), weights: HashSet::new(), kept: 0, has_graph: false };
        scan.model(message)?;
        scan.finish()
    }
}

/// One pass over a file.
pub(super) struct Scan<R> {
    pub(super) wire: Wire<R>,
    pub(super) model: OnnxModel,
    /// Hashes of the names of the main graph's initializers.
    weights: HashSet<u64>,
    kept: usize,
    has_graph: bool,
}

impl<R: Read + Seek> Scan<R> {
    fn model(&mut self, mut message: Message) -> Result<(), OnnxError> {
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => self.model.ir_version = field.number()?,
                2 => self.model.producer = self.keep(&field)?,
                3 => self.model.producer_version = self.keep(&field)?,
                4 => self.model.domain = self.keep(&field)?,
                5 => self.model.model_version = field.number()?,
                6 => self.model.description = self.keep(&field)?,
                7 => self.main_graph(field.message()?)?,
                8 => self.opset(&field)?,
                14 => self.metadata(&field)?,
                20 => self.training(field.message()?)?,
                25 => self.function(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<OnnxModel, OnnxError> {
        if !self.has_graph {
            return Err(OnnxError::NotAModel { missing: "graph" });
        }
        if self.model.ir_version <= 0 {
            return Err(OnnxError::NotAModel { missing: "IR version" });
        }
        // Before IR 4 every weight had to be an input too; since then one may be, as a default value. Neither has to be given.
        let weights = self.weights;
        self.model.inputs.retain(|input| !weights.contains(&hash(&input.name)));
        Ok(self.model)
    }

    fn opset(&mut self, field: &Field) -> Result<(), OnnxError> {
        let mut message = field.message()?;
        let (mut domain, mut version) = (String::new(), 0);
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => domain = self.keep(&field)?,
                2 => version = field.number()?,
                _ => {}
            }
        }
        below(self.model.opsets.len(), MAX_LIST, "operator sets", field)?;
        self.model.opsets.push((domain, version));
        Ok(())
    }

    fn metadata(&mut self, field: &Field) -> Result<(), OnnxError> {
        let (key, value) = self.key_value(field.message()?, MAX_TEXT)?;
        if self.model.metadata.len() < MAX_LIST {
            self.model.metadata.push((key, value));
        }
        Ok(())
    }

    /// A `StringStringEntryProto`.
    pub(super) fn key_value(&mut self, mut message: Message, limit: usize) -> Result<(String, String), OnnxError> {
        let (mut key, mut value) = (String::new(), String::new());
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                1 => key = self.wire.text(&field, limit)?,
                2 => value = self.wire.text(&field, limit)?,
                _ => {}
            }
        }
        Ok((key, value))
    }

    fn main_graph(&mut self, mut message: Message) -> Result<(), OnnxError> {
        self.has_graph = true;
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                2 => self.model.graph = self.keep(&field)?,
                5 => self.weight(&field)?,
                11 => self.input(&field)?,
                12 => self.output(&field)?,
                15 => self.sparse_weight(&field)?,
                _ => self.graph_field(&field)?,
            }
        }
        Ok(())
    }

    fn subgraph(&mut self, mut message: Message) -> Result<(), OnnxError> {
        while let Some(field) = self.wire.next(&mut message)? {
            self.graph_field(&field)?;
        }
        Ok(())
    }

    /// What counts in every graph.
    fn graph_field(&mut self, field: &Field) -> Result<(), OnnxError> {
        match field.id {
            1 => self.node(field.message()?),
            5 => self.tensor(field.message()?).map(drop),
            15 => self.sparse_tensor(field.message()?).map(drop),
            _ => Ok(()),
        }
    }

    fn weight(&mut self, field: &Field) -> Result<(), OnnxError> {
        let name = self.tensor(field.message()?)?;
        self.remember_weight(&name, field)
    }

    /// A sparse initializer has the name of its values.
    fn sparse_weight(&mut self, field: &Field) -> Result<(), OnnxError> {
        let name = self.sparse_tensor(field.message()?)?;
        self.remember_weight(&name, field)
    }

    fn remember_weight(&mut self, name: &str, field: &Field) -> Result<(), OnnxError> {
        below(self.weights.len(), MAX_INITIALIZERS, "initializers", field)?;
        self.weights.insert(hash(name));
        Ok(())
    }

    fn input(&mut self, field: &Field) -> Result<(), OnnxError> {
        below(self.model.inputs.len(), MAX_INPUTS, "inputs", field)?;
        let input = self.value_info(field.message()?)?;
        self.model.inputs.push(input);
        Ok(())
    }

    fn output(&mut self, field: &Field) -> Result<(), OnnxError> {
        below(self.model.outputs.len(), MAX_INPUTS, "outputs", field)?;
        let output = self.value_info(field.message()?)?;
        self.model.outputs.push(output);
        Ok(())
    }

    fn node(&mut self, mut message: Message) -> Result<(), OnnxError> {
        let mut domain = String::new();
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                5 => self.attribute(field.message()?)?,
                7 => domain = self.wire.text(&field, MAX_TEXT)?,
                _ => {}
            }
        }
        self.model.tally.nodes += 1;
        let domain = domain_name(&domain);
        let domains = &mut self.model.tally.domains;
        if domains.len() < MAX_LIST && !domains.contains(domain) {
            domains.insert(domain.to_owned());
        }
        Ok(())
    }

    fn attribute(&mut self, mut message: Message) -> Result<(), OnnxError> {
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                5 | 10 => self.tensor(field.message()?).map(drop)?,
                6 | 11 => self.subgraph(field.message()?)?,
                22 | 23 => self.sparse_tensor(field.message()?).map(drop)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A function that the model defines: its body, and the default values of its attributes.
    fn function(&mut self, mut message: Message) -> Result<(), OnnxError> {
        while let Some(field) = self.wire.next(&mut message)? {
            match field.id {
                7 => self.node(field.message()?)?,
                11 => self.attribute(field.message()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Its data must travel with the model, but no server computes with it: it does not count.
    fn training(&mut self, mut message: Message) -> Result<(), OnnxError> {
        let tally = self.model.tally.clone();
        while let Some(field) = self.wire.next(&mut message)? {
            if let 1 | 2 = field.id {
                self.subgraph(field.message()?)?;
            }
        }
        self.model.tally = tally;
        Ok(())
    }

    /// A text that stays in memory.
    pub(super) fn keep(&mut self, field: &Field) -> Result<String, OnnxError> {
        let text = self.wire.text(field, MAX_TEXT)?;
        self.kept += text.len();
        below(self.kept, MAX_KEPT, "bytes of names", field)?;
        Ok(text)
    }
}

/// Room for one more.
pub(super) fn below(count: usize, limit: usize, what: &'static str, field: &Field) -> Result<(), OnnxError> {
    if count < limit { Ok(()) } else { Err(field.malformed(Defect::TooMany { what, limit: limit as u64 }).into()) }
}

/// The default domain has two names.
pub(super) fn domain_name(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
