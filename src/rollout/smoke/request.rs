//! What a model is asked. Pure.

use serde_json::{Map, Value, json};

use super::answer::{Answer, Element};
use super::{SmokeError, numbers};
use crate::kserve::Protocol;

/// Values of a request that is made up here.
const MAX_ZEROS: u64 = 1 << 20;
/// More inputs than any model has.
const MAX_INPUTS: usize = 1000;

/// A request, by its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it is from: a file, or `zeros`.
    pub label: String,
    /// The protocol that it is written in.
    pub protocol: Protocol,
    pub(super) body: Vec<u8>,
}

/// A request and what is expected of its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What is asked; without one, zeros of the model's own signature.
    pub request: Option<Request>,
    /// What is expected; without it, any well-formed answer.
    pub expected: Option<Answer>,
}

impl Request {
    /// A request as it will be sent, to the last byte. Its protocol is that which it is written in.
    ///
    /// # Errors
    /// It is written in neither.
    pub fn parse(label: &str, bytes: Vec<u8>) -> Result<Self, SmokeError> {
        let refused = |reason: &str| SmokeError::Request { label: label.to_owned(), reason: reason.to_owned() };
        let document = numbers::parse(&bytes).map_err(refused)?;
        let protocol = protocol(&document).ok_or_else(|| refused("it has neither v1's `instances` nor v2's `inputs` with datatypes"))?;
        Ok(Self { label: label.to_owned(), protocol, body: bytes })
    }

    /// Zeros in the shape that a model says itself that it takes (v2's metadata); sides that may be anything are 1.
    ///
    /// # Errors
    /// What of it cannot be met.
    pub(super) fn zeros(metadata: &[u8]) -> Result<Self, String> {
        let document = numbers::parse(metadata)?;
        let inputs = document["inputs"].as_array().filter(|inputs| !inputs.is_empty() && inputs.len() <= MAX_INPUTS);
        let inputs = inputs.ok_or("it tells no inputs")?.iter().map(zeros_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { label: "zeros".to_owned(), protocol: Protocol::V2, body: json!({"inputs": inputs}).to_string().into_bytes() })
    }
}

fn protocol(document: &Value) -> Option<Protocol> {
    let is_tensor = |input: &Value| input["datatype"].is_string() && input["name"].is_string();
    let inputs = document.get("inputs");
    if inputs.and_then(Value::as_array).is_some_and(|inputs| !inputs.is_empty() && inputs.iter().all(is_tensor)) {
        return Some(Protocol::V2);
    }
    (document.get("instances").is_some() || inputs.is_some()).then_some(Protocol::V1)
}

fn zeros_of(input: &Value) -> Result<Value, String> {
    let name = input["name"].as_str().ok_or("an input has no name")?;
    let datatype = input["datatype"].as_str().unwrap_or_default();
    let element = Element::of(datatype).ok_or_else(|| format!("the datatype of the input `{name}` is not known"))?;
    let sides = input["shape"].as_array().ok_or_else(|| format!("the input `{name}` has no shape"))?;
    let side = |side: &Value| side.as_i64().map(|side| u64::try_from(side).ok().filter(|side| *side > 0).unwrap_or(1));
    let shape: Vec<u64> =
        sides.iter().map(side).collect::<Option<_>>().ok_or_else(|| format!("the shape of the input `{name}` is none"))?;
    let count = shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side)).filter(|count| *count <= MAX_ZEROS);
    let count =
        count.and_then(|count| usize::try_from(count).ok()).ok_or_else(|| format!("the input `{name}` has over a million values"))?;
    let zero = match element {
        Element::Float => json!(0.0),
        Element::Integer => json!(0),
        Element::Bool => json!(false),
        Element::Text => json!(""),
    };
    let members = [("name", json!(name)), ("datatype", json!(datatype)), ("shape", json!(shape)), ("data", json!(vec![zero; count]))];
    Ok(Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_tells_its_protocol() {
        for (text, protocol) in [
            (r#"{"instances": [[1, 2]]}"#, Some(Protocol::V1)),
            (r#"{"inputs": {"x": [1]}}"#, Some(Protocol::V1)),
            (r#"{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}"#, Some(Protocol::V2)),
            (r#"{"data": [1]}"#, None),
            ("[1]", None),
            ("no", None),
        ] {
            let request = Request::parse("r.json", text.as_bytes().to_vec());
            assert_eq!(request.as_ref().ok().map(|request| request.protocol), protocol, "{text}");
            assert!(request.is_ok_and(|request| request.body == text.as_bytes()) || protocol.is_none());
        }
    }

    #[test]
    fn zeros_are_what_the_model_says_it_takes() {
        let metadata = json!({"inputs": [
            {"name": "x", "datatype": "FP32", "shape": [-1, 4]}, {"name": "ids", "datatype": "INT64", "shape": [2]},
            {"name": "w", "datatype": "BYTES", "shape": []}, {"name": "on", "datatype": "BOOL", "shape": [1]},
        ]});
        let request = Request::zeros(metadata.to_string().as_bytes()).unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let told: Vec<_> = body["inputs"].as_array().unwrap().iter().map(|input| (&input["shape"], &input["data"])).collect();
        let expected = [
            (json!([1, 4]), json!([0.0, 0.0, 0.0, 0.0])),
            (json!([2]), json!([0, 0])),
            (json!([]), json!([""])),
            (json!([1]), json!([false])),
        ];
        assert_eq!(told, expected.iter().map(|(shape, data)| (shape, data)).collect::<Vec<_>>());
    }

    #[test]
    fn a_signature_that_cannot_be_met_is_told() {
        for (inputs, reason) in [
            (json!([]), "no inputs"),
            (json!([{"name": "x", "datatype": "FP32", "shape": [u32::MAX, u32::MAX, u32::MAX]}]), "over a million"),
            (json!([{"name": "x", "datatype": "FP32", "shape": [1 << 21]}]), "over a million"),
            (json!([{"name": "x", "datatype": "STRING", "shape": [1]}]), "datatype of the input `x`"),
            (json!([{"name": "x", "datatype": "FP32"}]), "has no shape"),
        ] {
            let error = Request::zeros(json!({"inputs": inputs}).to_string().as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
