//! Parameters: what is declared, what is given, what is missing.
//! <https://tekton.dev/docs/pipelines/tasks/#specifying-parameters>

use std::collections::BTreeMap;

use super::spec::ParamSpec;
use super::substitute::{Variables, variables};
use super::{ParamValue, Refused, refuse};

/// The values of the declared parameters. What is given and not declared is left out, as Tekton does.
pub(crate) fn resolve(
    of: &str,
    declared: &[ParamSpec],
    given: &BTreeMap<String, ParamValue>,
) -> Result<BTreeMap<String, ParamValue>, Refused> {
    refuse_missing(of, declared, given.keys())?;
    let mut values = BTreeMap::new();
    for param in declared {
        let value = given.get(&param.name).or(param.default.as_ref());
        let value = value.ok_or_else(|| Refused(format!("{of}: no value for {}", param.name)))?;
        values.insert(param.name.clone(), checked(of, param, value)?);
    }
    for param in declared.iter().filter(|param| !given.contains_key(&param.name)) {
        follow(of, &param.name, &mut values)?;
    }
    Ok(values)
}

/// Refuses where a parameter without a default is not given.
pub(crate) fn refuse_missing<'a>(of: &str, declared: &[ParamSpec], given: impl Iterator<Item = &'a String>) -> Result<(), Refused> {
    let given: Vec<&String> = given.collect();
    let is_missing = |param: &&ParamSpec| param.default.is_none() && !given.iter().any(|name| **name == param.name);
    let missing: Vec<&str> = declared.iter().filter(is_missing).map(|param| param.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    refuse!("invalid input params for {of}: missing values for these params which have no default values: {}", missing.join(" "));
}

fn checked(of: &str, param: &ParamSpec, value: &ParamValue) -> Result<ParamValue, Refused> {
    let (wanted, is) = (param.kind(), value.kind());
    if wanted != is {
        refuse!("{of}: param types don't match the user-specified type: {} is {is} and not {wanted}", param.name);
    }
    if let (Some(text), false) = (value.text(), param.choices.is_empty())
        && !param.choices.iter().any(|choice| choice == text)
    {
        refuse!("{of}: param `{}` value: {text} is not in the enum list", param.name);
    }
    let ParamValue::Map(given) = value else { return Ok(value.clone()) };
    with_all_keys(of, param, given)
}

/// An object has the keys of its default too, and must have those of its properties.
fn with_all_keys(of: &str, param: &ParamSpec, given: &BTreeMap<String, String>) -> Result<ParamValue, Refused> {
    let mut fields = if let Some(ParamValue::Map(fields)) = &param.default { fields.clone() } else { BTreeMap::new() };
    fields.extend(given.clone());
    let missing: Vec<&str> = param.properties.keys().filter(|key| !fields.contains_key(*key)).map(String::as_str).collect();
    if !missing.is_empty() {
        refuse!("{of}: missing keys for {} which are required in ParamSpec's properties: {}", param.name, missing.join(" "));
    }
    Ok(ParamValue::Map(fields))
}

/// A default may name another parameter, one step deep.
fn follow(of: &str, name: &str, values: &mut BTreeMap<String, ParamValue>) -> Result<(), Refused> {
    let Some(text) = values[name].text().filter(|text| text.contains("$(params.")).map(str::to_owned) else { return Ok(()) };
    let followed = given(values).in_text(&text);
    if let Some(left) = variables(&followed).first() {
        refuse!("{of}: the default of {name} references non-existent parameter {left:?}");
    }
    values.insert(name.to_owned(), followed.into());
    Ok(())
}

/// Parameters as variables.
pub(crate) fn given(values: &BTreeMap<String, ParamValue>) -> Variables {
    let mut known = Variables::default();
    for (name, value) in values {
        known.value("params", name, value);
    }
    known
}

mod tests {
    use super::resolve;
    use crate::tekton::run::ParamValue;
    use serde_json::{Value, json};

    fn resolved(declared: Value, given: Value) -> Result<Value, String> {
        let declared: Vec<_> = serde_json::from_value(declared).unwrap();
        let values = resolve("task t", &declared, &serde_json::from_value(given).unwrap());
        values.map(|values| json!(values)).map_err(|refused| refused.to_string())
    }

    #[test]
    fn defaults_are_taken_and_what_nobody_declared_is_ignored() {
        let declared = json!([{"name": "A", "default": "a"}, {"name": "B", "type": "array", "default": []}, {"name": "C"}]);
        assert_eq!(resolved(declared, json!({"C": "c", "D": "d"})).unwrap(), json!({"A": "a", "B": [], "C": "c"}));
    }

    #[test]
    fn a_default_may_name_another_parameter() {
        let declared = json!([{"name": "A"}, {"name": "B", "default": "$(params.A):v1"}]);
        assert_eq!(resolved(declared.clone(), json!({"A": "a"})).unwrap(), json!({"A": "a", "B": "a:v1"}));
        assert_eq!(resolved(declared, json!({"A": "a", "B": "$(params.A)"})).unwrap()["B"], "$(params.A)");
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_refused() {
        let object = json!([{"name": "A", "type": "object", "properties": {"uri": {}, "digest": {}}, "default": {"uri": "u"}}]);
        let cases = [
            (json!([{"name": "A"}, {"name": "B"}]), json!({}), "missing values for these params which have no default values: A B"),
            (json!([{"name": "A"}]), json!({"A": ["a"]}), "A is array and not string"),
            (json!([{"name": "A", "type": "array"}]), json!({"A": "a"}), "A is string and not array"),
            (json!([{"name": "A", "enum": ["x"]}]), json!({"A": "a"}), "value: a is not in the enum list"),
            (json!([{"name": "A", "default": "$(params.B)"}]), json!({}), "references non-existent parameter \"params.B\""),
            (object.clone(), json!({"A": {"name": "n"}}), "missing keys for A which are required in ParamSpec's properties: digest"),
        ];
        for (declared, given, reason) in cases {
            let refused = resolved(declared, given).unwrap_err();
            assert!(refused.ends_with(reason), "{refused}");
        }
        let whole = resolved(object, json!({"A": {"digest": "d"}})).unwrap();
        assert_eq!(whole, json!({"A": ParamValue::of_file("{\"uri\":\"u\",\"digest\":\"d\"}")}));
    }
}
