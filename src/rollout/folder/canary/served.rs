//! The name by which clients call a canary's model: that of the service beside it.
//!
//! A ServingRuntime gives its server the service's name (`--model_name={{.Name}}`), and calls have it in their path
//! (`/v2/models/iris/infer`) or body. Behind one route a service that answers to `iris-canary` would answer 404 to each of its calls.

use serde_json::{Value, json};

use crate::kserve::{NamedBy, Runtime};

/// Lets the server of `model` (`spec.predictor.model`) answer to a name, unless its owner gave it one. False where it is not known how.
pub(super) fn answer_to(name: &str, model: &mut Value, server: Option<Runtime>) -> bool {
    match server.and_then(Runtime::named_by) {
        Some(NamedBy::Argument(switch)) => add(model, "args", |arg| is_switch(arg, switch), json!(format!("{switch}={name}"))),
        Some(NamedBy::Variable(variable)) => {
            add(model, "env", |entry| entry["name"] == variable, json!({"name": variable, "value": name}));
        }
        Some(NamedBy::Folders) => {}
        None => return false,
    }
    true
}

fn add(model: &mut Value, list: &str, is_there: impl Fn(&Value) -> bool, entry: Value) {
    let mut entries = model[list].as_array().cloned().unwrap_or_default();
    if !entries.iter().any(is_there) {
        entries.push(entry);
        model[list] = Value::Array(entries);
    }
}

/// `--model_name=iris`, or `--model_name` before its value.
fn is_switch(arg: &Value, switch: &str) -> bool {
    arg.as_str().and_then(|arg| arg.strip_prefix(switch)).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_told_in_its_own_way() {
        for (server, told) in [
            (Runtime::Ovms, json!({"args": ["--model_name=iris"]})),
            (Runtime::Vllm, json!({"args": ["--served-model-name=iris"]})),
            (Runtime::Mlserver, json!({"env": [{"name": "MLSERVER_MODEL_NAME", "value": "iris"}]})),
            (Runtime::Triton, json!({})),
        ] {
            let mut model = json!({});
            assert!(answer_to("iris", &mut model, Some(server)), "{server}");
            assert_eq!(model, told, "{server}");
            assert!(answer_to("iris", &mut model, Some(server)) && model == told, "{server}: twice is once");
        }
        assert!(!answer_to("iris", &mut json!({}), None) && !answer_to("iris", &mut json!({}), Some(Runtime::TensorflowServing)));
    }

    #[test]
    fn a_name_that_the_owner_gave_stays() {
        for (server, model) in [
            (Runtime::Vllm, json!({"args": ["--served-model-name", "chat"]})),
            (Runtime::Ovms, json!({"args": ["--model_name=flowers", "--nireq=2"]})),
            (Runtime::Mlserver, json!({"env": [{"name": "MLSERVER_MODEL_NAME", "value": "flowers"}]})),
        ] {
            let mut told = model.clone();
            assert!(answer_to("iris", &mut told, Some(server)) && told == model, "{server}");
        }
        let mut model = json!({"args": ["--model_names=x"]});
        assert!(answer_to("iris", &mut model, Some(Runtime::Ovms)));
        assert_eq!(model["args"], json!(["--model_names=x", "--model_name=iris"]));
    }
}
