//! Judges of YAML and JSON: JSON schemas by Python's jsonschema, Kubernetes' own kinds by kubernetes-validate, custom resources by their
//! CRDs. All are strict: what is unknown is wrong.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{crd, need_python, need_python_with};

/// Judges each of the YAML texts that standard input lists.
const JUDGE: &str = "
import json, sys, yaml, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(json.dumps([validator.is_valid(yaml.safe_load(text)) for text in json.load(sys.stdin)]))
";

/// Says of each of the objects that standard input lists what is wrong with it, by the schemas of the Kubernetes below OpenShift 4.20.
const KUBERNETES: &str = "
import json, sys, kubernetes_validate
def wrong(thing):
    try:
        kubernetes_validate.validate(thing, '1.33', strict=True)
    except kubernetes_validate.ValidationError as error:
        return '/'.join(map(str, error.absolute_path)) + ': ' + error.message
    except kubernetes_validate.SchemaNotFoundError as error:
        return error.message
print(json.dumps([wrong(thing) for thing in json.load(sys.stdin)]))
";

/// Whether each YAML text is what a JSON schema asks for; `None` after saying that Python is missing.
pub fn verdicts(schema: &Path, texts: &[String]) -> Option<Vec<bool>> {
    let mut command = Command::new(need_python()?);
    command.args(["-c", JUDGE]).arg(schema);
    Some(serde_json::from_value(asked(command, &json!(texts))).unwrap())
}

/// What is wrong with objects that a cluster would get, a line each; `None` after saying which judge is missing.
pub fn refusals(objects: &[Value]) -> Option<Vec<String>> {
    let folder = crd::crd_dir()?;
    let group = |object: &Value| object["apiVersion"].as_str().unwrap().split_once('/').map_or("", |(group, _)| group).to_owned();
    let custom = |object: &&Value| group(object).contains('.') && !group(object).ends_with(".k8s.io");
    let (custom, own): (Vec<&Value>, Vec<&Value>) = objects.iter().partition(custom);
    let mut all = Vec::new();
    for object in custom {
        let version = object["apiVersion"].as_str().unwrap().split_once('/').unwrap().1;
        let kind = object["kind"].as_str().unwrap();
        let schema = crd::known(&folder, &group(object), kind, version);
        all.extend(crd::violations(schema, object).into_iter().map(|wrong| format!("{}: {wrong}", name(object))));
    }
    let mut command = need_python_with("kubernetes")?;
    command.args(["-c", KUBERNETES]);
    let judged: Vec<Option<String>> = serde_json::from_value(asked(command, &json!(own))).unwrap();
    all.extend(own.iter().zip(judged).filter_map(|(object, wrong)| Some(format!("{}: {}", name(object), wrong?))));
    Some(all)
}

/// `Kind/name`.
pub fn name(object: &Value) -> String {
    format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

fn asked(mut command: Command, question: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "the judge ended with {}", done.status);
    serde_json::from_slice(&done.stdout).unwrap()
}
