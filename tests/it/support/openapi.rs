//! A strict reader of the Model Registry's OpenAPI 3.0 document: what it does not name is a violation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex_automata::meta::Regex;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::crd::has_type;

/// An OpenAPI document.
pub struct OpenApi(Value);

/// An operation and how the path's placeholders are filled.
struct Operation<'a> {
    item: &'a Value,
    action: &'a Value,
    placeholders: Vec<(String, String)>,
}

impl OpenApi {
    /// The document, or `None` after saying that it is not there.
    pub fn find() -> Option<Self> {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/schemas/kubeflow-model-registry-v1alpha3.openapi.yaml");
        let file = std::env::var_os("MODEL_REGISTRY_OPENAPI").map_or_else(default, PathBuf::from);
        let Ok(text) = std::fs::read_to_string(&file) else {
            return super::lacks("the Model Registry's OpenAPI document (set MODEL_REGISTRY_OPENAPI)");
        };
        let options = serde_saphyr::options! { budget: None };
        Some(Self(serde_saphyr::from_str_with_options(&text, options).unwrap()))
    }

    /// Everything wrong with a request.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Vec<String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let Some(found) = self.operation(method, path) else { return vec![format!("{method} {path} is not in the document")] };
        let mut wrong = Vec::new();
        self.parameters(&found, query, &mut wrong);
        let schema = &self.resolve(&found.action["requestBody"])["content"]["application/json"]["schema"];
        match (schema.is_null(), serde_json::from_slice(body)) {
            (true, _) if body.is_empty() => {}
            (true, _) => wrong.push("it has a body".to_owned()),
            (false, Ok(value)) => self.check(schema, &value, "", &mut wrong),
            (false, Err(error)) => wrong.push(format!("the body is not JSON: {error}")),
        }
        wrong.into_iter().map(|what| format!("{method} {path}: {what}")).collect()
    }

    /// Everything wrong with an answer.
    pub fn answer(&self, method: &str, path: &str, status: u16, body: &[u8]) -> Vec<String> {
        let path = path.split('?').next().unwrap();
        let Some(found) = self.operation(method, path) else { return vec![] };
        let response = self.resolve(&found.action["responses"][status.to_string()]);
        if response.is_null() {
            return vec![format!("{method} {path} is not answered with {status}")];
        }
        let mut wrong = Vec::new();
        let value = serde_json::from_slice(body).unwrap_or_default();
        self.check(&response["content"]["application/json"]["schema"], &value, "", &mut wrong);
        wrong.into_iter().map(|what| format!("the answer to {method} {path}: {what}")).collect()
    }

    fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        self.0["paths"].as_object().unwrap().iter().find_map(|(template, item)| {
            let operation = item.get(method.to_lowercase())?;
            Some(Operation { item, action: operation, placeholders: placeholders(template, path)? })
        })
    }

    fn parameters(&self, found: &Operation<'_>, query: &str, wrong: &mut Vec<String>) {
        let lists = [&found.item["parameters"], &found.action["parameters"]];
        let known: Vec<&Value> = lists.iter().filter_map(|list| list.as_array()).flatten().map(|one| self.resolve(one)).collect();
        let sent = form_urlencoded::parse(query.as_bytes()).map(|(name, value)| ("query", name.into_owned(), value.into_owned()));
        let filled = found.placeholders.iter().map(|(name, value)| ("path", name.clone(), value.clone()));
        for (place, name, value) in sent.chain(filled) {
            match known.iter().find(|one| one["name"] == name.as_str() && one["in"] == place) {
                Some(parameter) => self.check(&parameter["schema"], &Value::String(value), &name, wrong),
                None => wrong.push(format!("it has no parameter {name}")),
            }
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        let schema = self.resolve(schema);
        self.check_parts(schema, value, at, wrong);
        // Only the outermost schema sees all properties of its parts.
        if let Value::Object(fields) = value {
            let (mut known, mut open) = (BTreeSet::new(), false);
            self.known(schema, value, &mut known, &mut open);
            let strangers = fields.keys().filter(|field| !open && !known.contains(field.as_str()));
            wrong.extend(strangers.map(|field| format!("{at}/{field} is not known")));
        }
    }

    fn check_parts(&self, schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check_parts(self.resolve(part), value, at, wrong);
        }
        if schema.get("oneOf").is_some() {
            match self.chosen(schema, value) {
                Some(chosen) => self.check(chosen, value, at, wrong),
                None => wrong.push(format!("{at} is none of the alternatives")),
            }
            return;
        }
        if !has_type(schema["type"].as_str(), value) {
            return wrong.push(format!("{at} should be {}, is {value}", schema["type"]));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            wrong.push(format!("{at} should be one of {}, is {value}", schema["enum"]));
        }
        match value {
            Value::String(text) => check_text(schema, text, at, wrong),
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{at}/{number}"), wrong);
                }
            }
            Value::Object(fields) => self.check_fields(schema, fields, at, wrong),
            _ => {}
        }
    }

    fn check_fields(&self, schema: &Value, fields: &Map<String, Value>, at: &str, wrong: &mut Vec<String>) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(required) {
                wrong.push(format!("{at}/{required} is missing"));
            }
        }
        for (name, value) in fields {
            if let Some(property) = schema["properties"].get(name) {
                self.check(property, value, &format!("{at}/{name}"), wrong);
            } else if schema["additionalProperties"].is_object() {
                self.check(&schema["additionalProperties"], value, &format!("{at}/{name}"), wrong);
            }
        }
    }

    /// The alternative that the discriminator names.
    fn chosen<'a>(&'a self, schema: &'a Value, value: &Value) -> Option<&'a Value> {
        let name = value[schema["discriminator"]["propertyName"].as_str()?].as_str()?;
        self.0.pointer(schema["discriminator"]["mapping"][name].as_str()?.trim_start_matches('#'))
    }

    fn known<'a>(&'a self, schema: &'a Value, value: &Value, names: &mut BTreeSet<&'a str>, open: &mut bool) {
        let schema = self.resolve(schema);
        *open |= schema["additionalProperties"].is_object();
        names.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()));
        schema["allOf"].as_array().into_iter().flatten().for_each(|part| self.known(part, value, names, open));
        if schema.get("oneOf").is_some() {
            self.chosen(schema, value).into_iter().for_each(|chosen| self.known(chosen, value, names, open));
        }
    }
}

/// What fills `{name}` in a template, where the path fits it.
fn placeholders(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    if template.len() != path.len() {
        return None;
    }
    let mut filled = Vec::new();
    for (wanted, part) in template.into_iter().zip(path) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => filled.push((name.to_owned(), part.to_owned())),
            None if wanted == part => {}
            None => return None,
        }
    }
    Some(filled)
}

fn check_text(schema: &Value, text: &str, at: &str, wrong: &mut Vec<String>) {
    let fits = |pattern: &str| Regex::new(pattern).unwrap().is_match(text);
    if schema["pattern"].as_str().is_some_and(|pattern| !fits(pattern)) {
        wrong.push(format!("{at} should fit {}, is {text:?}", schema["pattern"]));
    }
    if schema["minLength"].as_u64().is_some_and(|least| (text.chars().count() as u64) < least) {
        wrong.push(format!("{at} is too short"));
    }
}

mod tests {
    use serde_json::json;

    use super::OpenApi;

    const MODELS: &str = "/api/model_registry/v1alpha3/registered_models";

    #[test]
    fn what_the_document_does_not_allow_is_told() {
        let Some(document) = OpenApi::find() else { return };
        let post = |path: &str, body: serde_json::Value| document.request("POST", path, body.to_string().as_bytes()).join("\n");
        assert_eq!(post(MODELS, json!({"name": "iris", "owner": "x"})), "");
        let text = json!({"metadataType": "MetadataStringValue", "string_value": "x"});
        assert_eq!(post(MODELS, json!({"name": "iris", "customProperties": {"a": text}})), "");
        for (body, reason) in [
            (json!({}), "/name is missing"),
            (json!({"name": ""}), "/name is too short"),
            (json!({"name": "a", "colour": "red"}), "/colour is not known"),
            (json!({"name": "a", "state": "GONE"}), "/state should be one of"),
            (json!({"name": "a", "customProperties": {"k": "v"}}), "/customProperties/k is none of the alternatives"),
            (
                json!({"name": "a", "customProperties": {"k": {"metadataType": "MetadataIntValue", "int_value": "1234567890"}}}),
                "int_value should fit",
            ),
            (
                json!({"name": "a", "customProperties": {"k": {"metadataType": "MetadataIntValue", "int_value": "1", "x": 1}}}),
                "/customProperties/k/x is not known",
            ),
        ] {
            assert!(post(MODELS, body.clone()).contains(reason), "{body}: {}", post(MODELS, body.clone()));
        }
        assert!(document.request("GET", &format!("{MODELS}?colour=red"), b"").join("").contains("no parameter colour"));
        assert!(document.request("GET", &format!("{MODELS}/abc"), b"").join("").contains("should fit"));
        assert!(document.request("GET", "/api/model_registry/v1/x", b"").join("").contains("not in the document"));
        assert!(document.answer("GET", MODELS, 418, b"{}").join("").contains("not answered with 418"));
    }
}
