//! Results: what a step's termination message may hold, and what comes out of it.
//! <https://tekton.dev/docs/pipelines/tasks/#emitting-results>

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::spec::{ResultSpec, Step};
use super::{ParamValue, Refused, refuse};

/// Kubernetes' limit for the message of a container.
const LIMIT: usize = 4096;
/// The kubelet's for all containers of a pod together.
const LIMIT_OF_POD: usize = 12 * 1024;
/// Tekton's own init container, `prepare`.
const INIT_CONTAINERS: usize = 1;

/// Results by name, as they are in the files.
pub(crate) type Contents = BTreeMap<String, String>;

/// What a container of a pod with that many steps may say at its end.
pub(crate) fn budget(steps: usize) -> usize {
    LIMIT.min(LIMIT_OF_POD / (steps + INIT_CONTAINERS))
}

/// The declared results that are there.
pub(crate) fn read(of: &str, folder: &Path, declared: &[ResultSpec]) -> Result<Contents, Refused> {
    let mut contents = Contents::new();
    for result in declared.iter().filter(|result| result.value.is_none()) {
        let file = folder.join(&result.name);
        if !file.exists() {
            continue;
        }
        let bytes = std::fs::read(&file).map_err(|error| Refused(format!("{of}: {}: {error}", file.display())))?;
        contents.insert(result.name.clone(), String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(contents)
}

/// How long the termination message of a step is: Tekton's entrypoint writes its start and all results into it as JSON.
/// <https://github.com/tektoncd/pipeline/blob/v1.15.0/pkg/termination/write.go>
pub(crate) fn message_length(task_results: &Contents, step_results: &Contents) -> usize {
    let entry = |name: &str, value: &str, kind: u8| json!({"key": name, "value": value, "type": kind});
    let started = entry("StartedAt", "2026-11-23T12:00:00.000Z", 3);
    let of_task = task_results.iter().map(|(name, value)| entry(name, value, 1));
    let of_step = step_results.iter().map(|(name, value)| entry(name, value, 4));
    let message: Vec<Value> = of_task.chain(of_step).chain([started]).collect();
    // Go writes these as \u003c
    let escaped = task_results.values().chain(step_results.values()).map(|value| value.matches(['<', '>', '&']).count()).sum::<usize>();
    Value::from(message).to_string().len() + 5 * escaped
}

/// The results of a Task as they are declared. `values` has those of the steps for results that come from them.
pub(crate) fn typed(
    of: &str,
    declared: &[ResultSpec],
    contents: &Contents,
    values: impl Fn(&str) -> Option<ParamValue>,
) -> Result<BTreeMap<String, ParamValue>, Refused> {
    let mut results = BTreeMap::new();
    for result in declared {
        let written = || contents.get(&result.name).map(|text| of_kind(result, text));
        if let Some(value) = result.value.as_deref().map_or_else(written, &values) {
            refuse_mismatch(of, result, &value)?;
            results.insert(result.name.clone(), value);
        }
    }
    Ok(results)
}

/// A string stays what it is, even where it looks like JSON.
pub(crate) fn of_kind(result: &ResultSpec, text: &str) -> ParamValue {
    if result.kind() == "string" { text.into() } else { ParamValue::of_file(text) }
}

fn refuse_mismatch(of: &str, result: &ResultSpec, value: &ParamValue) -> Result<(), Refused> {
    let (wanted, is) = (result.kind(), value.kind());
    if wanted != is {
        refuse!("{of}: Provided results don't match declared results: {} is expected to be {wanted} but is {is}", result.name);
    }
    let ParamValue::Map(fields) = value else { return Ok(()) };
    let missing: Vec<&str> = result.properties.keys().filter(|key| !fields.contains_key(*key)).map(String::as_str).collect();
    if !missing.is_empty() {
        refuse!("{of}: missing keys for result {} which are required in TaskResult's properties: {}", result.name, missing.join(" "));
    }
    Ok(())
}

/// The folder of a step below `/tekton/steps`.
pub(crate) fn step_folder(step: &Step) -> String {
    format!("step-{}", step.name)
}

mod tests {
    use super::{Contents, budget, message_length, typed};
    use serde_json::{Value, json};

    fn contents(name: &str, value: &str) -> Contents {
        [(name.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn the_message_has_tektons_own_words_too() {
        assert_eq!(
            message_length(&Contents::new(), &Contents::new()),
            "[{\"key\":\"StartedAt\",\"value\":\"2026-11-23T12:00:00.000Z\",\"type\":3}]".len()
        );
        let one = message_length(&contents("A", "x"), &Contents::new());
        assert_eq!(message_length(&contents("A", "xy"), &Contents::new()), one + 1);
        assert_eq!(message_length(&contents("A", "x\""), &Contents::new()), one + 2);
        assert_eq!(message_length(&contents("A", "x<"), &Contents::new()), one + 6);
    }

    #[test]
    fn many_steps_share_the_pods_budget() {
        assert_eq!([1, 2, 3, 5].map(budget), [4096, 4096, 3072, 2048]);
    }

    #[test]
    fn types_are_checked_as_declared() {
        let results = |declared: Value, file: &str| {
            let declared: Vec<_> = serde_json::from_value(declared).unwrap();
            typed("task t", &declared, &contents("A", file), |_| None).map(|results| json!(results)).map_err(|refused| refused.to_string())
        };
        let object = json!([{"name": "A", "type": "object", "properties": {"uri": {}, "digest": {}}}]);
        assert_eq!(results(json!([{"name": "A"}]), "{\"a\":\"b\"}").unwrap(), json!({"A": "{\"a\":\"b\"}"}));
        assert_eq!(results(object.clone(), "{\"uri\":\"u\",\"digest\":\"d\"}").unwrap(), json!({"A": {"uri": "u", "digest": "d"}}));
        assert!(results(object.clone(), "{\"uri\":\"u\"}").unwrap_err().contains("missing keys for result A"));
        assert!(results(object, "text").unwrap_err().contains("A is expected to be object but is string"));
        assert_eq!(results(json!([{"name": "B"}]), "text").unwrap(), json!({}));
    }
}
