//! What is read of OpenVINO's intermediate representation: a graph in XML, whose constants are ranges of the `.bin` beside it. See
//! <https://docs.openvino.ai/2025/documentation/openvino-ir-format.html>.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::error::OpenvinoError;
use super::types::{element_type, elements, first_name, shape};
use crate::model::formats::xml::{Step, Xml, XmlError};
use crate::model::{Dimension, TensorInfo};

/// Inputs and outputs; language models have dozens.
const MAX_TENSORS: usize = 10_000;
/// Names of ports that are kept, for outputs whose layer does not tell them: OpenVINO before 2023 wrote none there.
const MAX_PORTS: usize = 50_000;
/// Types of constants, dimensions of an output.
const MAX_LIST: usize = 64;

/// What an OpenVINO model says about itself. Texts are the file's own, cut but not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenvinoModel {
    /// The graph's name.
    pub name: String,
    /// The version of the representation: `11`.
    pub ir_version: String,
    /// The OpenVINO that wrote it.
    pub producer: String,
    /// What it was converted from.
    pub framework: String,
    /// How the weights were compressed after training: `int4_asym`.
    pub compression: String,
    /// Layers of the main graph.
    pub layers: u64,
    /// Elements of constants by type, in all graphs.
    pub elements: BTreeMap<String, u64>,
    /// Where the constants end in the weights, in bytes.
    pub weights_end: u64,
    /// What it takes.
    pub inputs: Vec<TensorInfo>,
    /// What it gives.
    pub outputs: Vec<TensorInfo>,
}

impl OpenvinoModel {
    /// Reads the `.xml` in bounded memory.
    ///
    /// # Errors
    /// [`OpenvinoError`] with byte and reason.
    pub fn read(input: impl Read) -> Result<Self, OpenvinoError> {
        let mut scan =
            Scan { xml: Xml::new(input), model: Self::default(), layer: Layer::default(), results: HashMap::new(), ports: HashMap::new() };
        loop {
            match scan.xml.next()? {
                Step::Start => scan.element()?,
                Step::Text => scan.text(),
                Step::End if scan.xml.path() == LAYER => scan.finish_layer(),
                Step::End => {}
                Step::Done => break,
            }
        }
        if scan.model.layers == 0 { Err(OpenvinoError::NoLayers) } else { Ok(scan.model) }
    }
}

const LAYER: &str = "/net/layers/layer";

/// One pass over a file.
struct Scan<R> {
    xml: Xml<R>,
    model: OpenvinoModel,
    layer: Layer,
    /// Outputs that still want a name: the id of their layer, and which they are.
    results: HashMap<u64, usize>,
    /// Names of outputs of layers, by layer and port.
    ports: HashMap<(u64, u64), String>,
}

/// The layer of the main graph that is being read.
#[derive(Default)]
struct Layer {
    id: u64,
    name: String,
    kind: String,
    /// The name of its first output, or of the output that it is.
    tensor: Option<String>,
    element_type: String,
    shape: Option<Vec<Dimension>>,
}

impl<R: Read> Scan<R> {
    fn element(&mut self) -> Result<(), OpenvinoError> {
        let xml = &self.xml;
        match (xml.depth(), xml.path()) {
            (1, "/net") => self.net()?,
            (1, _) => return Err(OpenvinoError::Root { found: xml.name().to_owned() }),
            (3, LAYER) => self.begin_layer()?,
            (4, "/net/layers/layer/data") => self.data()?,
            (5, "/net/layers/layer/output/port") => self.output_port()?,
            (5, "/net/layers/layer/input/port") if self.layer.kind == "Result" => self.input_port()?,
            (3, "/net/edges/edge") => self.edge()?,
            (_, path) if path.starts_with("/net/rt_info/") => self.runtime_info()?,
            // The bodies of loops and branches have constants too.
            (_, path) if path.ends_with("/layers/layer/data") => self.constant()?,
            _ => {}
        }
        Ok(())
    }

    fn net(&mut self) -> Result<(), XmlError> {
        self.model.name = self.xml.attribute_text("name")?;
        self.model.ir_version = self.xml.attribute_text("version")?;
        Ok(())
    }

    fn begin_layer(&mut self) -> Result<(), XmlError> {
        self.model.layers += 1;
        let (name, kind) = (self.xml.attribute_text("name")?, self.xml.attribute_text("type")?);
        let tensor = self.xml.attribute("output_names")?.and_then(|names| first_name(&names));
        let shape = (kind == "Result").then(Vec::new);
        self.layer = Layer { id: self.number("id")?, name, kind, tensor, shape, ..Layer::default() };
        Ok(())
    }

    fn data(&mut self) -> Result<(), OpenvinoError> {
        if self.layer.kind == "Parameter" {
            self.layer.element_type = element_type(&self.xml.attribute_text("element_type")?);
            self.layer.shape = self.xml.attribute("shape")?.and_then(|text| shape(&text));
        }
        self.constant()
    }

    fn constant(&mut self) -> Result<(), OpenvinoError> {
        let (Some(offset), Some(size)) = (self.xml.attribute("offset")?, self.xml.attribute("size")?) else { return Ok(()) };
        let end = offset.parse::<u64>().ok().zip(size.parse::<u64>().ok()).and_then(|(offset, size)| offset.checked_add(size));
        let Some(end) = end else { return Err(OpenvinoError::Range { layer: self.layer.name.clone(), offset, size }) };
        self.model.weights_end = self.model.weights_end.max(end);
        let (kind, shape) = (element_type(&self.xml.attribute_text("element_type")?), self.xml.attribute_text("shape")?);
        if self.model.elements.len() < MAX_LIST || self.model.elements.contains_key(&kind) {
            let count = self.model.elements.entry(kind).or_default();
            *count = count.saturating_add(elements(&shape));
        }
        Ok(())
    }

    fn output_port(&mut self) -> Result<(), XmlError> {
        let Some(name) = self.xml.attribute("names")?.and_then(|names| first_name(&names)) else { return Ok(()) };
        if self.ports.len() < MAX_PORTS {
            self.ports.insert((self.layer.id, self.number("id")?), name.clone());
        }
        self.layer.tensor.get_or_insert(name);
        Ok(())
    }

    /// What a `Result` takes is what the model gives.
    fn input_port(&mut self) -> Result<(), XmlError> {
        self.layer.element_type = element_type(&self.xml.attribute_text("precision")?);
        Ok(())
    }

    fn text(&mut self) {
        if self.layer.kind != "Result" || self.xml.path() != "/net/layers/layer/input/port/dim" {
            return;
        }
        if let Some(shape) = self.layer.shape.as_mut().filter(|shape| shape.len() < MAX_LIST) {
            shape.push(self.xml.text().parse().map_or(Dimension::Unknown, Dimension::Fixed));
        }
    }

    fn finish_layer(&mut self) {
        let layer = std::mem::take(&mut self.layer);
        let tensors = match layer.kind.as_str() {
            "Parameter" => &mut self.model.inputs,
            "Result" => &mut self.model.outputs,
            _ => return,
        };
        if tensors.len() >= MAX_TENSORS {
            return;
        }
        if layer.kind == "Result" && layer.tensor.is_none() {
            self.results.insert(layer.id, tensors.len());
        }
        tensors.push(TensorInfo { name: layer.tensor.unwrap_or(layer.name), element_type: layer.element_type, shape: layer.shape });
    }

    /// An output without a name of its own has that of what leads to it.
    fn edge(&mut self) -> Result<(), XmlError> {
        let Some(at) = self.results.get(&self.number("to-layer")?).copied() else { return Ok(()) };
        let from = (self.number("from-layer")?, self.number("from-port")?);
        if let (Some(name), Some(output)) = (self.ports.get(&from), self.model.outputs.get_mut(at)) {
            output.name.clone_from(name);
        }
        Ok(())
    }

    fn runtime_info(&mut self) -> Result<(), XmlError> {
        let Some(value) = self.xml.attribute("value")? else { return Ok(()) };
        let path = self.xml.path();
        let named = self.xml.attribute_text("name")?;
        let slot = match path {
            _ if path.ends_with("/Runtime_version") || named == "OpenVINO Runtime" => &mut self.model.producer,
            _ if path.ends_with("/framework") => &mut self.model.framework,
            _ if path.ends_with("/weight_compression/mode") => &mut self.model.compression,
            _ => return Ok(()),
        };
        *slot = value;
        Ok(())
    }

    fn number(&self, attribute: &str) -> Result<u64, XmlError> {
        Ok(self.xml.attribute_text(attribute)?.parse().unwrap_or(u64::MAX))
    }
}
