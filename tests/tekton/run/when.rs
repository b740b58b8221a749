//! `when`: whether something runs. <https://tekton.dev/docs/pipelines/pipelines/#guard-task-execution-using-when-expressions>

use super::spec::When;
use super::{Refused, refuse};

/// Whether all of them hold; CEL is not known.
pub(crate) fn all_hold(of: &str, expressions: &[When]) -> Result<bool, Refused> {
    for when in expressions {
        let is_in = when.values.contains(&when.input);
        match when.operator.as_str() {
            "in" if !is_in => return Ok(false),
            "notin" if is_in => return Ok(false),
            "in" | "notin" => {}
            other => refuse!("{of}: operator {other:?} is not recognized. valid operators: in,notin"),
        }
    }
    Ok(true)
}

mod tests {
    use super::all_hold;
    use serde_json::{Value, json};

    fn hold(expressions: Value) -> Result<bool, String> {
        all_hold("task t", &serde_json::from_value::<Vec<_>>(expressions).unwrap()).map_err(|refused| refused.to_string())
    }

    #[test]
    fn all_must_hold() {
        let when = |input: &str, operator: &str| json!({"input": input, "operator": operator, "values": ["a", "b"]});
        assert!(hold(json!([])).unwrap());
        assert!(hold(json!([when("a", "in"), when("c", "notin")])).unwrap());
        assert!(!hold(json!([when("a", "in"), when("b", "notin")])).unwrap());
        assert!(!hold(json!([when("", "in")])).unwrap());
        assert!(hold(json!([when("a", "is")])).unwrap_err().contains("\"is\" is not recognized"));
    }
}
