//! A strict reader of Kubernetes' structural schemas: what an API server would refuse or prune is an error here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

/// The folder with one sub-folder of CRDs per API group (`CRD_DIR`, else `../shared/crds`); `None` after saying so.
pub fn crd_dir() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds");
    let dir = std::env::var_os("CRD_DIR").map_or_else(default, PathBuf::from);
    if dir.is_dir() { Some(dir) } else { super::lacks("../shared/crds (set CRD_DIR to a folder of upstream CRDs)") }
}

/// The schema of an InferenceService, read once: it has 2 MB.
pub fn inference_service() -> Option<&'static Value> {
    static SCHEMA: OnceLock<Option<&'static Value>> = OnceLock::new();
    *SCHEMA.get_or_init(|| Some(known(&crd_dir()?, "serving.kserve.io", "InferenceService", "v1beta1")))
}

/// The schema of one version of a kind, read once: some have 2 MB.
pub fn known(dir: &Path, group: &str, kind: &str, version: &str) -> &'static Value {
    static KNOWN: Mutex<BTreeMap<String, &'static Value>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    known.entry(format!("{group}/{version}/{kind}")).or_insert_with(|| Box::leak(Box::new(schema(dir, group, kind, version))))
}

/// The schema of one version of a kind.
pub fn schema(dir: &Path, group: &str, kind: &str, version: &str) -> Value {
    let text = std::fs::read_to_string(dir.join(group).join(format!("{kind}.yaml"))).unwrap();
    // A large CRD is larger than the parser's default budget for untrusted input.
    let options = serde_saphyr::options! { budget: None };
    let crd: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
    let versions = crd["spec"]["versions"].as_array().unwrap();
    versions.iter().find(|one| one["name"] == version).unwrap()["schema"]["openAPIV3Schema"].clone()
}

/// Everything wrong with an object, one line each; empty when an API server would take it as it is.
pub fn violations(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for required in ["apiVersion", "kind", "metadata"] {
        if object.get(required).is_none() {
            found.push(format!("{required} is missing"));
        }
    }
    check(schema, object, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if schema["x-kubernetes-int-or-string"] == true {
        if !(value.is_i64() || value.is_u64() || value.is_string()) {
            found.push(format!("{at} is neither integer nor string"));
        }
        return;
    }
    if !has_type(schema["type"].as_str(), value) {
        found.push(format!("{at} should be {}, is {value}", schema["type"]));
        return;
    }
    if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
        found.push(format!("{at} should be one of {}, is {value}", schema["enum"]));
    }
    match value {
        Value::Object(members) => check_object(schema, members, at, found),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{at}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn check_object(schema: &Value, members: &serde_json::Map<String, Value>, at: &str, found: &mut Vec<String>) {
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(required) {
            found.push(format!("{at}.{required} is missing"));
        }
    }
    // The API server knows ObjectMeta by itself; CRDs only say `type: object`.
    if at == ".metadata" {
        return check_metadata(members, found);
    }
    for (name, value) in members {
        let here = format!("{at}.{name}");
        let rest = &schema["additionalProperties"];
        match schema["properties"].get(name) {
            Some(schema) => check(schema, value, &here, found),
            None if rest.is_object() => check(rest, value, &here, found),
            None if rest == true || schema["x-kubernetes-preserve-unknown-fields"] == true => {}
            None => found.push(format!("{here} is unknown")),
        }
    }
}

fn check_metadata(members: &serde_json::Map<String, Value>, found: &mut Vec<String>) {
    for (name, value) in members {
        let strings = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
        let fine = match name.as_str() {
            "name" | "namespace" => value.is_string(),
            "annotations" | "labels" => strings(value),
            "finalizers" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            _ => false,
        };
        if !fine {
            found.push(format!(".metadata.{name} is not as expected: {value}"));
        }
    }
}

/// Whether a value is of a type as schemas name it.
pub fn has_type(wanted: Option<&str>, value: &Value) -> bool {
    match wanted {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    }
}
