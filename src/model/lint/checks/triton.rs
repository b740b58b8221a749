//! Batches in Triton: the model's first dimension and what `config.pbtxt` says have to agree.
//! <https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md#maximum-batch-size>

use super::super::engine::Subject;
use super::super::text::{Text, file_name};
use super::super::{Finding, Severity, rules};
use crate::kserve::Runtime;
use crate::model::{Dimension, Model, TensorInfo};

const CONFIG: &str = "config.pbtxt";

/// What the inputs of a model say about batches.
#[derive(Debug, PartialEq, Eq)]
enum Batch {
    /// This input always takes this many at once.
    Fixed(String, u64),
    /// The first dimension of all inputs is open.
    Open,
    /// Nothing.
    Unknown,
}

/// A configuration that asks for batches which the model cannot take, or for none where it can.
pub(super) fn config(subject: &Subject<'_>, text: &Text<'_>) -> Vec<Finding> {
    if subject.layout.runtime != Runtime::Triton || text.name() != CONFIG {
        return Vec::new();
    }
    let largest = max_batch_size(&text.content).unwrap_or(0);
    match batch(subject.model) {
        Batch::Fixed(input, count) if largest > 0 => {
            let what = format!("max_batch_size is {largest}, but input {input} always takes {count}");
            vec![Finding::at(&rules::TRITON_DYNAMIC_BATCH, text.path(), what)]
        }
        Batch::Open if largest == 0 => vec![unused(Some(text.path()), "max_batch_size is 0, and the model could take batches")],
        _ => Vec::new(),
    }
}

/// No configuration: Triton makes one, with its own limit.
pub(super) fn no_config(subject: &Subject<'_>) -> Vec<Finding> {
    let configured = subject.layout.files.iter().any(|placed| file_name(&placed.target) == CONFIG);
    if subject.layout.runtime != Runtime::Triton || configured || batch(subject.model) != Batch::Open {
        return Vec::new();
    }
    vec![unused(None, "without config.pbtxt Triton makes batches of at most 4, its default")]
}

fn unused(path: Option<&str>, what: &str) -> Finding {
    let finding = match path {
        Some(path) => Finding::at(&rules::TRITON_DYNAMIC_BATCH, path, what),
        None => Finding::of_model(&rules::TRITON_DYNAMIC_BATCH, what),
    };
    finding.weighing(Severity::Advice)
}

fn batch(model: &Model) -> Batch {
    let first = |input: &TensorInfo| input.shape.as_ref().and_then(|shape| shape.first().cloned());
    let inputs = &model.facts.inputs;
    let fixed = inputs.iter().find_map(|input| match first(input) {
        Some(Dimension::Fixed(count)) => Some(Batch::Fixed(input.name.clone(), count)),
        _ => None,
    });
    let is_open = !inputs.is_empty() && inputs.iter().all(|input| first(input).is_some());
    fixed.unwrap_or(if is_open { Batch::Open } else { Batch::Unknown })
}

/// The value of `max_batch_size`, outside comments.
fn max_batch_size(text: &str) -> Option<u64> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let values = lines.filter_map(|line| line.split_once("max_batch_size")).filter_map(|(_, rest)| rest.trim_start().strip_prefix(':'));
    let digits = |value: &str| value.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>();
    values.map(digits).find_map(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_batch_size_is_read_as_protobuf_text() {
        for (text, expected) in [
            ("max_batch_size: 8", Some(8)),
            ("name: \"m\" max_batch_size : 16 input []", Some(16)),
            ("# max_batch_size: 8\nmax_batch_size:0", Some(0)),
            ("max_batch_size", None),
            ("max_batch_size: x", None),
            ("max_batch_size: 99999999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(max_batch_size(text), expected, "{text}");
        }
    }
}
