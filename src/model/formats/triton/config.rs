//! What a `config.pbtxt` says about its model.
//! <https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto>

use super::error::PbtxtError;
use super::pbtxt::Message;
use crate::model::formats::small::first_bytes;
use crate::model::{Dimension, ModelFile, TensorInfo};

/// The largest file that is read, in bytes; the longest in Triton's own repositories have a few thousand.
const MAX_SIZE: u64 = 256 << 10;
/// Inputs or outputs that are told.
const MAX_TENSORS: usize = 64;
/// Dimensions of one tensor.
const MAX_RANK: usize = 16;

/// One model's description.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Its name, if it is written down: then the folder has the same.
    pub name: Option<String>,
    /// `onnxruntime`, `python`; or the older `platform`, such as `onnxruntime_onnx`.
    pub backend: Option<String>,
    /// 0 or absent: the model does not batch.
    pub max_batch_size: u64,
    /// Whether Triton puts requests together.
    pub dynamic_batching: bool,
    /// The models of an ensemble, in the order of its steps.
    pub steps: Vec<String>,
    /// What it takes.
    pub inputs: Vec<TensorInfo>,
    /// What it gives.
    pub outputs: Vec<TensorInfo>,
}

impl Config {
    /// Reads a file of a model.
    pub(crate) fn of(file: &ModelFile) -> Result<Self, PbtxtError> {
        if file.size > MAX_SIZE {
            return Err(PbtxtError::TooLarge { size: file.size, limit: MAX_SIZE });
        }
        Self::read(&first_bytes(file, MAX_SIZE)?)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`PbtxtError`] with the byte where it is not protobuf's text format.
    pub fn read(bytes: &[u8]) -> Result<Self, PbtxtError> {
        let text = std::str::from_utf8(bytes).map_err(|error| PbtxtError::NotText { offset: error.valid_up_to() })?;
        Ok(Self::from_message(&Message::read(text)?))
    }

    fn from_message(message: &Message) -> Self {
        let filled = |field| message.scalar(field).filter(|text| !text.is_empty()).map(str::to_owned);
        let scheduling = message.messages("ensemble_scheduling");
        let steps = scheduling.flat_map(|ensemble| ensemble.messages("step")).filter_map(|step| step.scalar("model_name"));
        Self {
            name: filled("name"),
            backend: filled("backend").or_else(|| filled("platform")),
            max_batch_size: message.scalar("max_batch_size").and_then(|size| size.parse().ok()).unwrap_or(0),
            dynamic_batching: message.has("dynamic_batching"),
            steps: steps.take(MAX_TENSORS).map(str::to_owned).collect(),
            inputs: tensors(message, "input"),
            outputs: tensors(message, "output"),
        }
    }
}

fn tensors(message: &Message, field: &str) -> Vec<TensorInfo> {
    message.messages(field).take(MAX_TENSORS).map(tensor).collect()
}

fn tensor(message: &Message) -> TensorInfo {
    let dimension = |text: &str| text.parse().map_or(Dimension::Unknown, Dimension::Fixed);
    let shape: Vec<_> = message.scalars("dims").take(MAX_RANK).map(dimension).collect();
    TensorInfo {
        name: crate::model::facts::printable(message.scalar("name").unwrap_or("?")),
        element_type: element_type(message.scalar("data_type").unwrap_or_default()),
        shape: (!shape.is_empty()).then_some(shape),
    }
}

/// Triton's words as other formats write them.
fn element_type(data_type: &str) -> String {
    let word = data_type.strip_prefix("TYPE_").unwrap_or(data_type).to_ascii_lowercase();
    let word = match word.strip_prefix("fp") {
        Some(bits) => format!("float{bits}"),
        None => word,
    };
    crate::model::facts::printable(if word.is_empty() { "?" } else { &word })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_person_wants_to_know() {
        let config = Config::read(
            br#"
            name: "resnet"
            platform: "onnxruntime_onnx"
            max_batch_size: 8
            input [ { name: "data" data_type: TYPE_FP32 dims: [ 3, -1, 224 ] } ]
            output { name: "scores" data_type: TYPE_INT64 dims: 1000 }
            dynamic_batching { }
            "#,
        )
        .unwrap();
        assert_eq!((config.name.as_deref(), config.backend.as_deref()), (Some("resnet"), Some("onnxruntime_onnx")));
        assert_eq!((config.max_batch_size, config.dynamic_batching), (8, true));
        assert_eq!(config.inputs[0].to_string(), "data: float32[3,?,224]");
        assert_eq!(config.outputs[0].to_string(), "scores: int64[1000]");
    }

    #[test]
    fn an_ensemble_names_its_models() {
        let text =
            br#"platform: "ensemble" ensemble_scheduling { step [ { model_name: "pre" }, { model_name: "net" model_version: -1 } ] }"#;
        assert_eq!(Config::read(text).unwrap().steps, ["pre", "net"]);
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        assert_eq!(Config::read(b"").unwrap(), Config::default());
        let odd = Config::read(br#"name: "" max_batch_size: many input { } input: 7"#).unwrap();
        assert_eq!((odd.name, odd.max_batch_size, odd.inputs.len()), (None, 0, 1));
        assert_eq!(odd.inputs[0].to_string(), "?: ?");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        assert_eq!(Config::read(b"name: \"\xff\"").unwrap_err().to_string(), "it is not UTF-8 from byte 7 on");
    }

    #[test]
    fn no_name_can_drive_a_terminal() {
        let config = Config::read(b"input { name: \"\x1b[2J\" data_type: TYPE_\x1b }");
        assert!(config.is_err_and(|error| error.to_string().contains("byte")));
        let config = Config::read(b"input { name: \"\x1b[2J\" }").unwrap();
        assert!(!config.inputs[0].to_string().contains('\x1b'));
    }
}
