//! What of an entry is not in the registry yet. Pure.

use serde_json::{Map, Value};

use super::record::OWN;

const PROPERTIES: &str = "customProperties";

/// What has to be written to an entry that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Change {
    /// The fields that differ, for people: `uri`, `customProperties.digest`.
    pub(super) fields: Vec<String>,
    /// The body of the PATCH.
    pub(super) patch: Map<String, Value>,
}

/// Compares field by field. Fields that are not wanted are others' and stay; so do properties, except those that are modelcar's own
/// and belong to an earlier image.
pub(super) fn change(wanted: &Map<String, Value>, found: &Map<String, Value>) -> Change {
    let mut change = Change::default();
    for (field, value) in wanted {
        match value {
            Value::Object(properties) if field == PROPERTIES => change.properties(properties, found.get(PROPERTIES)),
            _ if found.get(field).is_some_and(|there| same(value, there)) => {}
            // what kind of artifact it is says the request itself, and some registries do not repeat it
            _ if field == "artifactType" => {}
            _ => change.set(field.clone(), field, value.clone()),
        }
    }
    if !change.patch.is_empty()
        && let Some(kind) = wanted.get("artifactType")
    {
        change.patch.insert("artifactType".to_owned(), kind.clone());
    }
    change
}

impl Change {
    fn set(&mut self, told: String, field: &str, value: Value) {
        self.fields.push(told);
        self.patch.insert(field.to_owned(), value);
    }

    /// A PATCH replaces all properties, so what others wrote is written again.
    fn properties(&mut self, wanted: &Map<String, Value>, found: Option<&Value>) {
        let nothing = Map::new();
        let found = found.and_then(Value::as_object).unwrap_or(&nothing);
        let differs = |(key, value): &(&String, &Value)| !found.get(*key).is_some_and(|there| same(value, there));
        let stale = |key: &&String| OWN.contains(&key.as_str()) && !wanted.contains_key(*key);
        let changed: Vec<&String> = wanted.iter().filter(differs).map(|(key, _)| key).chain(found.keys().filter(stale)).collect();
        if changed.is_empty() {
            return;
        }
        self.fields.extend(changed.iter().map(|key| format!("{PROPERTIES}.{key}")));
        let kept = found.iter().filter(|(key, _)| !stale(key)).chain(wanted.iter());
        self.patch.insert(PROPERTIES.to_owned(), kept.map(|(key, value)| (key.clone(), value.clone())).collect());
    }
}

/// Whether two JSON values say the same; 1 and 1.0 do.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, value)| other.get(key).is_some_and(|there| same(value, there)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(wanted: &Value, found: &Value) -> (Vec<String>, Value) {
        let change = change(wanted.as_object().unwrap(), found.as_object().unwrap());
        (change.fields, Value::Object(change.patch))
    }

    fn text(text: &str) -> Value {
        json!({"metadataType": "MetadataStringValue", "string_value": text})
    }

    #[test]
    fn what_is_there_is_not_written_again() {
        let wanted = json!({
            "artifactType": "model-artifact",
            "uri": "oci://a",
            "customProperties": {"digest": text("d"), "size": {"metadataType": "MetadataDoubleValue", "double_value": 5e9}},
        });
        let found = json!({
            "id": "7",
            "uri": "oci://a",
            "storageKey": "theirs",
            "customProperties": {
                "digest": text("d"),
                "size": {"metadataType": "MetadataDoubleValue", "double_value": 5_000_000_000_u64},
                "team": text("vision"),
            },
        });
        assert_eq!(changed(&wanted, &found), (vec![], json!({})));
    }

    #[test]
    fn only_what_differs_is_written() {
        let wanted = json!({"artifactType": "model-artifact", "uri": "oci://b", "state": "LIVE", "modelFormatName": "onnx"});
        let found = json!({"uri": "oci://a", "state": "LIVE"});
        assert_eq!(
            changed(&wanted, &found),
            (
                vec!["modelFormatName".to_owned(), "uri".to_owned()],
                json!({"artifactType": "model-artifact", "uri": "oci://b", "modelFormatName": "onnx"})
            )
        );
    }

    #[test]
    fn others_properties_stay_and_those_of_an_earlier_image_go() {
        let wanted = json!({"customProperties": {"digest": text("new")}});
        let found = json!({"customProperties": {"digest": text("old"), "sbom_digest": text("of the old"), "team": text("vision")}});
        assert_eq!(
            changed(&wanted, &found),
            (
                vec!["customProperties.digest".to_owned(), "customProperties.sbom_digest".to_owned()],
                json!({"customProperties": {"digest": text("new"), "team": text("vision")}})
            )
        );
    }

    #[test]
    fn a_value_of_another_type_is_another_value() {
        let wanted = json!({"customProperties": {"size": {"metadataType": "MetadataIntValue", "int_value": "5"}}});
        for found in
            [json!({}), json!({"customProperties": null}), json!({"customProperties": {"size": text("5")}}), json!({"customProperties": 7})]
        {
            assert_eq!(changed(&wanted, &found), (vec!["customProperties.size".to_owned()], wanted.clone()), "{found}");
        }
    }
}
