//! What is read of a PMML document, of any version; elements as in <https://dmg.org/pmml/v4-4-1/GeneralStructure.html>.

use std::collections::BTreeMap;
use std::io::Read;

use crate::model::TensorInfo;
use crate::model::formats::files::FormatError;
use crate::model::formats::xml::{Step, Xml, XmlError};

/// Fields that are kept; a document may have more.
const MAX_FIELDS: usize = 20_000;
/// Characters of a field's name that are kept.
const MAX_NAME: usize = 256;

/// Why a PMML document was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PmmlError {
    /// The XML cannot be read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is XML, but no PMML.
    #[error("its outermost element is `{found}`, not `PMML`")]
    Root {
        /// What it is; at most 256 bytes.
        found: String,
    },
    /// It is PMML without a model in it.
    #[error("it has no model in it, such as a RegressionModel")]
    NoModel,
}

impl FormatError for PmmlError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Xml(error) => error.hint(),
            _ => None,
        }
    }
}

/// What a PMML document says about itself. Texts are the file's own, cut but not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PmmlModel {
    /// The version of PMML: `4.4`.
    pub version: String,
    /// What wrote it, and its version.
    pub application: String,
    /// The author's description.
    pub description: String,
    /// The kind of its first model: `MiningModel`.
    pub kind: String,
    /// That model's name.
    pub name: String,
    /// `classification`, `regression`.
    pub function: String,
    /// How many models it has side by side.
    pub models: u64,
    /// Models within the first one.
    pub segments: u64,
    /// What a caller gives.
    pub inputs: Vec<TensorInfo>,
    /// What is predicted, and what is told besides.
    pub outputs: Vec<TensorInfo>,
    /// The types of all fields by their names.
    types: BTreeMap<String, String>,
}

impl PmmlModel {
    /// Reads a document in bounded memory.
    ///
    /// # Errors
    /// [`PmmlError`] with byte and reason.
    pub fn read(input: impl Read) -> Result<Self, PmmlError> {
        let mut xml = Xml::new(input);
        let mut model = Self::default();
        loop {
            match xml.next()? {
                Step::Start => model.element(&xml)?,
                Step::Text | Step::End => {}
                Step::Done => break,
            }
        }
        if model.models == 0 { Err(PmmlError::NoModel) } else { Ok(model) }
    }

    fn element<R: Read>(&mut self, xml: &Xml<R>) -> Result<(), PmmlError> {
        match (xml.depth(), xml.path()) {
            (1, "/PMML") => self.version = xml.attribute_text("version")?,
            (1, _) => return Err(PmmlError::Root { found: xml.name().to_owned() }),
            (2, "/PMML/Header") => self.description = xml.attribute_text("description")?,
            (3, "/PMML/Header/Application") => {
                self.application = format!("{} {}", xml.attribute_text("name")?, xml.attribute_text("version")?);
            }
            (3, "/PMML/DataDictionary/DataField") => self.data_field(xml)?,
            (2, _) if is_model(xml.name()) => self.model(xml)?,
            (4, path) if self.models == 1 => self.model_field(path, xml)?,
            _ => {}
        }
        Ok(())
    }

    fn data_field<R: Read>(&mut self, xml: &Xml<R>) -> Result<(), PmmlError> {
        if self.types.len() < MAX_FIELDS {
            self.types.insert(name_of(xml)?, cut(&xml.attribute_text("dataType")?));
        }
        Ok(())
    }

    fn model<R: Read>(&mut self, xml: &Xml<R>) -> Result<(), PmmlError> {
        self.models += 1;
        if self.models == 1 {
            xml.name().clone_into(&mut self.kind);
            self.name = xml.attribute_text("modelName")?;
            self.function = xml.attribute_text("functionName")?;
        }
        Ok(())
    }

    /// Something in the first model.
    fn model_field<R: Read>(&mut self, path: &str, xml: &Xml<R>) -> Result<(), PmmlError> {
        let inside = path.strip_prefix("/PMML/").and_then(|path| path.split_once('/'));
        match inside {
            Some((_, "MiningSchema/MiningField")) => self.mining_field(xml),
            Some((_, "Output/OutputField")) => {
                let field = self.field(name_of(xml)?, cut(&xml.attribute_text("dataType")?));
                push(&mut self.outputs, field);
                Ok(())
            }
            Some((_, "Segmentation/Segment")) => {
                self.segments += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Weights, groups and fields for information are neither given nor predicted.
    fn mining_field<R: Read>(&mut self, xml: &Xml<R>) -> Result<(), PmmlError> {
        let usage = xml.attribute("usageType")?;
        let field = self.field(name_of(xml)?, String::new());
        match usage.as_deref() {
            None | Some("active") => push(&mut self.inputs, field),
            Some("target" | "predicted") => push(&mut self.outputs, field),
            Some(_) => {}
        }
        Ok(())
    }

    fn field(&self, name: String, own_type: String) -> TensorInfo {
        let known = || self.types.get(&name).cloned().filter(|known| !known.is_empty());
        let element_type = Some(own_type).filter(|own| !own.is_empty()).or_else(known);
        TensorInfo { element_type: element_type.unwrap_or_else(|| "unknown".to_owned()), name, shape: None }
    }
}

/// All others at that level describe.
fn is_model(name: &str) -> bool {
    !matches!(name, "Header" | "MiningBuildTask" | "DataDictionary" | "TransformationDictionary" | "Extension")
}

/// `OutputField`, `MiningField` and `DataField` all have it.
fn name_of<R: Read>(xml: &Xml<R>) -> Result<String, XmlError> {
    Ok(cut(&xml.attribute_text("name")?))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

fn push(fields: &mut Vec<TensorInfo>, field: TensorInfo) {
    if fields.len() < MAX_FIELDS {
        fields.push(field);
    }
}
