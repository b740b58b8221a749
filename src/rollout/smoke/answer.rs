//! What a model answered, as far as it can be compared. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use super::numbers;
use crate::kserve::Protocol;
use crate::oci::printable;

/// The longest name of an output, in characters.
const MAX_NAME: usize = 200;
/// Tensors have four or five dimensions.
const MAX_RANK: usize = 16;
/// More outputs than any model has.
const MAX_OUTPUTS: usize = 1000;

/// Why an answer is none of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    reason: String,
}

fn malformed(reason: impl Into<String>) -> Malformed {
    Malformed { reason: reason.into() }
}

/// An answer of one of the two protocols.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer(pub(super) Content);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// v1: whatever stands in `predictions`, or in TensorFlow Serving's `outputs`.
    Tree { member: &'static str, value: Value },
    /// v2: tensors.
    Tensors(Vec<Tensor>),
}

/// An output of protocol v2.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<u64>,
    /// Row by row, as many as the shape says.
    pub(super) values: Vec<Value>,
}

/// How the elements of a datatype are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Float,
    Integer,
    Bool,
    Text,
}

impl Answer {
    /// Reads an answer, or what is expected to be one. What both may leave out (ids, versions) does not count.
    pub fn parse(protocol: Protocol, bytes: &[u8]) -> Result<Self, Malformed> {
        let document = numbers::parse(bytes).map_err(malformed)?;
        let members = document.as_object().ok_or_else(|| malformed("it is no JSON object"))?;
        match protocol {
            Protocol::V2 | Protocol::GrpcV2 => tensors(members.get("outputs")).map(|tensors| Self(Content::Tensors(tensors))),
            Protocol::V1 | Protocol::GrpcV1 => tree(members).map(Self),
        }
    }

    /// How many numbers, words and truth values it holds.
    pub fn values(&self) -> usize {
        match &self.0 {
            Content::Tensors(tensors) => tensors.iter().map(|tensor| tensor.values.len()).sum(),
            Content::Tree { value, .. } => leaves(value),
        }
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaves).sum(),
        Value::Object(members) => members.values().map(leaves).sum(),
        _ => 1,
    }
}

fn tree(members: &serde_json::Map<String, Value>) -> Result<Content, Malformed> {
    let found = ["predictions", "outputs"].into_iter().find_map(|member| Some((member, members.get(member)?)));
    let (member, value) = found.ok_or_else(|| malformed("it has neither `predictions` nor `outputs`"))?;
    if leaves(value) == 0 {
        return Err(malformed(format!("`{member}` is empty")));
    }
    Ok(Content::Tree { member, value: value.clone() })
}

fn tensors(outputs: Option<&Value>) -> Result<Vec<Tensor>, Malformed> {
    let outputs = outputs.and_then(Value::as_array).ok_or_else(|| malformed("it has no list `outputs`"))?;
    if outputs.is_empty() || outputs.len() > MAX_OUTPUTS {
        return Err(malformed(format!("`outputs` has {} entries", outputs.len())));
    }
    let tensors: Vec<Tensor> = outputs.iter().map(tensor).collect::<Result<_, _>>()?;
    let names: BTreeSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    if names.len() < tensors.len() { Err(malformed("two outputs have the same name")) } else { Ok(tensors) }
}

fn tensor(output: &Value) -> Result<Tensor, Malformed> {
    let name = output["name"].as_str().ok_or_else(|| malformed("an output has no name"))?;
    let name = printable(name, MAX_NAME);
    let wrong = |what: &str| malformed(format!("output `{name}` {what}"));
    let datatype = output["datatype"].as_str().ok_or_else(|| wrong("has no datatype"))?;
    let element = Element::of(datatype).ok_or_else(|| wrong(&format!("has the unknown datatype `{}`", printable(datatype, 20))))?;
    let shape = shape(&output["shape"]).ok_or_else(|| wrong("has no shape, or none that can be"))?;
    if output["parameters"]["binary_data_size"].is_number() {
        return Err(wrong("comes in binary, and only JSON is read: leave `binary_data_output` out of the request"));
    }
    let values = flat(&output["data"]).ok_or_else(|| wrong("has no list `data`"))?;
    let announced = shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side));
    if announced != Some(values.len() as u64) {
        return Err(wrong(&format!("has {} values for the shape {}", values.len(), shown(&shape))));
    }
    if let Some(value) = values.iter().find(|value| !element.fits(value)) {
        return Err(wrong(&format!("has {} among its {datatype} values", printable(&value.to_string(), 40))));
    }
    Ok(Tensor { name: name.clone(), datatype: datatype.to_owned(), shape, values })
}

fn shape(value: &Value) -> Option<Vec<u64>> {
    let sides = value.as_array().filter(|sides| sides.len() <= MAX_RANK)?;
    sides.iter().map(Value::as_u64).collect()
}

/// The elements of a list of lists; the protocol allows both.
fn flat(data: &Value) -> Option<Vec<Value>> {
    fn collect(value: &Value, all: &mut Vec<Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, all)),
            single => all.push(single.clone()),
        }
    }
    let mut all = Vec::new();
    data.as_array()?.iter().for_each(|item| collect(item, &mut all));
    Some(all)
}

/// `[2,3]`
pub(super) fn shown(shape: &[u64]) -> String {
    let sides: Vec<_> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", sides.join(","))
}

impl Element {
    /// By the word for a datatype; protocol v2 has these and no others.
    pub(super) fn of(datatype: &str) -> Option<Self> {
        Some(match datatype {
            "FP16" | "FP32" | "FP64" | "BF16" => Self::Float,
            "INT8" | "INT16" | "INT32" | "INT64" | "UINT8" | "UINT16" | "UINT32" | "UINT64" => Self::Integer,
            "BOOL" => Self::Bool,
            "BYTES" => Self::Text,
            _ => return None,
        })
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Float => numbers::float(value).is_some(),
            Self::Integer => value.is_i64() || value.is_u64(),
            // Triton writes truth values as numbers
            Self::Bool => value.is_boolean() || matches!(value.as_u64(), Some(0 | 1)),
            Self::Text => value.is_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn v2(output: &Value) -> Result<Answer, Malformed> {
        Answer::parse(Protocol::V2, json!({"model_name": "m", "outputs": [output]}).to_string().as_bytes())
    }

    #[test]
    fn reads_both_protocols() {
        let flat = v2(&json!({"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1, 2.5, null, "NaN"]})).unwrap();
        let nested = v2(&json!({"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [[1, 2.5], [null, "NaN"]]})).unwrap();
        assert_eq!((&flat, flat.values()), (&nested, 4));
        for body in [r#"{"predictions": [[1, 2], [3, NaN]]}"#, r#"{"outputs": {"a": [1, 2, 3], "b": "x"}}"#] {
            assert_eq!(Answer::parse(Protocol::V1, body.as_bytes()).unwrap().values(), 4);
        }
        assert_eq!(v2(&json!({"name": "y", "datatype": "INT64", "shape": [], "data": [7]})).unwrap().values(), 1);
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        for (output, reason) in [
            (json!({"datatype": "FP32", "shape": [1], "data": [1]}), "an output has no name"),
            (json!({"name": "y", "shape": [1], "data": [1]}), "no datatype"),
            (json!({"name": "y", "datatype": "FLOAT", "shape": [1], "data": [1]}), "unknown datatype `FLOAT`"),
            (json!({"name": "y", "datatype": "FP32", "shape": [-1], "data": [1]}), "no shape"),
            (json!({"name": "y", "datatype": "FP32", "shape": [2], "data": [1]}), "1 values for the shape [2]"),
            (json!({"name": "y", "datatype": "FP32", "shape": [u64::MAX, 9], "data": []}), "0 values for the shape"),
            (json!({"name": "y", "datatype": "INT64", "shape": [1], "data": [1.5]}), "1.5 among its INT64"),
            (json!({"name": "y", "datatype": "BYTES", "shape": [1], "data": [1]}), "1 among its BYTES"),
            (json!({"name": "y", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}), "in binary"),
        ] {
            let error = v2(&output).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        for (protocol, body) in [
            (Protocol::V2, r#"{"outputs": []}"#),
            (Protocol::V2, r#"{"error": "no"}"#),
            (Protocol::V1, r#"{"error": "no"}"#),
            (Protocol::V1, r#"{"predictions": []}"#),
            (Protocol::V1, "[1]"),
            (Protocol::V1, "<html>"),
        ] {
            assert!(Answer::parse(protocol, body.as_bytes()).is_err(), "{body}");
        }
        let twice = json!({"name": "y", "datatype": "BOOL", "shape": [1], "data": [true]});
        let body = json!({"outputs": [twice, twice]}).to_string();
        assert!(Answer::parse(Protocol::V2, body.as_bytes()).unwrap_err().to_string().contains("same name"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall(bytes: Vec<u8>, text in r#"\{"outputs":\[\{"name":"y","datatype":"FP32","shape":\[[0-9,]{0,9}\],"data":\[[0-9,.NaN\[\]]{0,9}\]\}\]\}"#) {
            for protocol in [Protocol::V1, Protocol::V2] {
                let _ = Answer::parse(protocol, &bytes);
                let _ = Answer::parse(protocol, text.as_bytes());
            }
        }
    }
}
