//! What we read of models for tables and tensors is what the programs read that own the formats: XGBoost, LightGBM, OpenVINO, LiteRT.

use std::path::Path;
use std::process::Command;

use modelcar::model::{self, ReadOptions, TensorInfo};
use serde_json::Value;

use crate::support;

const NEEDED: &str = "import xgboost, lightgbm, openvino, ai_edge_litert, numpy";

#[test]
fn models_read_as_their_own_programs_read_them() {
    let Some(python) = support::need_python() else { return };
    let ready = Command::new(&python).args(["-c", NEEDED]).output().is_ok_and(|run| run.status.success());
    if !ready {
        support::skip::<()>("Python's xgboost, lightgbm, openvino or ai-edge-litert");
        return;
    }
    let (folder, root) = (support::temp_dir(), support::repo_root());
    let script = root.join("tests/peers/table_formats.py");
    let told = support::stdout_of(Command::new(python).arg(script).arg(folder.path()).arg(root.join("testdata/models")));
    let models: Vec<Value> = told.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    models.iter().for_each(assert_same);
    assert_eq!(models.len(), 13);
}

#[track_caller]
fn assert_same(theirs: &Value) {
    let path = theirs["path"].as_str().unwrap();
    let ours = model::read(Path::new(path), &ReadOptions::default()).unwrap_or_else(|error| panic!("{path}: {error:?}"));
    assert_eq!(ours.format, theirs["format"].as_str().unwrap(), "{path}");
    for (key, expected) in theirs["facts"].as_object().unwrap() {
        assert_eq!(ours.facts.get(key), expected.as_str(), "{key} of {path}");
    }
    for (key, tensors) in [("inputs", &ours.facts.inputs), ("outputs", &ours.facts.outputs)] {
        let Some(expected) = theirs[key].as_array() else { continue };
        assert_eq!(shown(tensors), expected.iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>(), "{key} of {path}");
    }
    assert_eq!(ours.findings, [], "{path}");
}

fn shown(tensors: &[TensorInfo]) -> Vec<String> {
    tensors.iter().map(ToString::to_string).collect()
}
