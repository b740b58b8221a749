//! What we read of an ONNX file is what the reference implementation reads of it.

use std::path::Path;
use std::process::Command;

use modelcar::model::{self, Model, ReadOptions, TensorInfo};
use serde_json::Value;

use crate::support;

const KEYS: [&str; 8] = ["ir-version", "producer", "graph", "opset", "nodes", "operator-domains", "parameters", "parameter-types"];

#[test]
fn our_own_models_read_as_onnx_reads_them() {
    let files = ["iris/logreg_iris.onnx", "magika/model.onnx", "silero_vad/silero_vad.onnx"];
    let folder = support::repo_root().join("testdata/models");
    let paths: Vec<_> = files.iter().map(|file| folder.join(file).into_os_string()).collect();
    assert_eq!(compare(&paths), Some(3).filter(|_| has_onnx()));
}

#[test]
fn the_models_of_the_onnx_package_read_as_onnx_reads_them() {
    let compared = compare(&["--backend-tests".into(), "200".into()]);
    assert!(compared.is_none_or(|count| count > 100), "{compared:?}");
}

fn has_onnx() -> bool {
    support::python().is_some_and(|python| Command::new(python).args(["-c", "import onnx"]).output().is_ok_and(|run| run.status.success()))
}

/// Compares every model that the script tells about, and counts them; none without the peer.
fn compare(arguments: &[std::ffi::OsString]) -> Option<usize> {
    let python = support::need_python()?;
    if !has_onnx() {
        return support::skip("Python's onnx");
    }
    let script = support::repo_root().join("tests/peers/onnx_facts.py");
    let told = support::stdout_of(Command::new(python).arg(script).args(arguments));
    let models: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    models.iter().for_each(assert_same);
    Some(models.len())
}

#[track_caller]
fn assert_same(theirs: &Value) {
    let path = theirs["path"].as_str().unwrap();
    let ours = model::read(Path::new(path), &ReadOptions::default()).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    for key in KEYS {
        // A fact without a value is not told.
        let expected = theirs[key].as_str().filter(|value| !value.is_empty() && *value != "0");
        assert_eq!(ours.facts.get(key), expected, "{key} of {path}");
    }
    for (key, tensors) in tensors(&ours) {
        let expected: Vec<_> = theirs[key].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect();
        assert_eq!(tensors.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{key} of {path}");
    }
}

fn tensors(model: &Model) -> [(&'static str, &[TensorInfo]); 2] {
    [("inputs", &model.facts.inputs), ("outputs", &model.facts.outputs)]
}
