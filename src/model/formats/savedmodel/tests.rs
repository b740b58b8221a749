use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::*;
use crate::model::formats::onnx::writer::Message;
use crate::model::{Model, ReadOptions, lay_out, read};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/models/tf_linear");

fn read_model(path: &Path) -> Result<Model, ModelError> {
    read(path, &ReadOptions::default())
}

fn operator(name: &str) -> Message {
    Message::new().text(1, "n").text(2, name)
}

/// A graph with operators in itself and in a function, and one signature.
fn saved(operators: &[&str], in_function: &[&str], signature: &str) -> Vec<u8> {
    let function = in_function.iter().fold(Message::new(), |function, name| function.message(3, &operator(name)));
    let graph = operators.iter().fold(Message::new(), |graph, name| graph.message(1, &operator(name)));
    let graph = graph.message(2, &Message::new().message(1, &function));
    let dimension = |size| Message::new().number(1, size);
    let tensor =
        Message::new().text(1, "t:0").number(2, 9).message(3, &Message::new().message(2, &dimension(-1)).message(2, &dimension(3)));
    let open = Message::new().number(2, 7).message(3, &Message::new().number(3, 1));
    let entry = |name: &str, value: &Message| Message::new().text(1, name).message(2, value);
    let def = Message::new().message(1, &entry("x", &tensor)).message(1, &entry("a", &open)).message(2, &entry("y", &tensor));
    let info = Message::new().text(4, "serve").text(5, "2.21.0");
    let meta = Message::new().message(1, &info).message(2, &graph).message(5, &entry(signature, &def));
    Message::new().number(1, 1).message(2, &meta).0
}

fn folder(graph: &[u8], others: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("variables")).unwrap();
    fs::write(dir.path().join(GRAPH), graph).unwrap();
    for name in others {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    dir
}

#[test]
fn a_real_model_says_what_it_takes_and_gives() {
    let model = read_model(Path::new(SAMPLE)).unwrap();
    assert_eq!((model.format, &model.mains[..]), ("tensorflow", &[GRAPH.to_owned()][..]));
    assert_eq!(model.facts.get("producer"), Some("TensorFlow 2.21.0"));
    assert_eq!(model.facts.get("tags"), Some("serve"));
    assert_eq!(model.facts.get("signatures"), Some("serving_default"));
    assert_eq!(model.facts.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["features: float32[?,3]"]);
    assert_eq!(model.facts.outputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["scores: float32[?,2]", "winner: int64[?]"]);
    assert_eq!(model.findings, []);
}

#[test]
fn a_folder_is_laid_out_for_each_server() {
    let model = read_model(Path::new(SAMPLE)).unwrap();
    for (runtime, expected) in [
        (Runtime::Ovms, "1/saved_model.pb"),
        (Runtime::TensorflowServing, "1/variables/variables.index"),
        (Runtime::Triton, "net/1/model.savedmodel/variables/variables.index"),
    ] {
        let layout = lay_out(&model, Some(runtime), "net").unwrap();
        assert!(layout.files.iter().any(|placed| placed.target == expected), "{runtime}: {:?}", layout.files);
    }
}

#[test]
fn a_folder_with_a_version_number_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("1")).unwrap();
    fs::write(dir.path().join("1/saved_model.pb"), saved(&["Add"], &[], "serving_default")).unwrap();
    assert_eq!(read_model(dir.path()).unwrap().mains, ["1/saved_model.pb"]);
}

#[test]
fn operators_are_counted_in_functions_too() {
    let model = SavedModel::read(Cursor::new(saved(&["Add", "VarHandleOp"], &["ReadFile", "MatMul"], "score"))).unwrap();
    assert_eq!((model.operators, model.graphs, model.has_variables), (4, 1, true));
    assert_eq!(model.file_operators.iter().copied().collect::<Vec<_>>(), ["ReadFile"]);
    assert_eq!((model.signature.as_str(), model.version.as_str()), ("score", "2.21.0"));
    assert_eq!(model.inputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a: string", "x: int64[?,3]"]);
}

#[test]
fn files_of_the_variables_that_are_missing_are_found() {
    let graph = saved(&["VarHandleOp"], &["WriteFile"], "serving_default");
    let (index, first) = ("variables/variables.index", "variables/variables.data-00000-of-00002");
    for (others, expected) in [
        (&[][..], &["variables/variables.index", "variables/variables.data-00000-of-00001"][..]),
        (&[index, first], &["variables/variables.data-00001-of-00002"]),
        (&[first], &["variables/variables.index", "variables/variables.data-00001-of-00002"]),
        (&[index, "variables/variables.data-00000-of-00001"], &[]),
        (&[index, "variables/variables.data-x-of-y"], &["variables/variables.data-00000-of-00001"]),
    ] {
        let found = read_model(folder(&graph, others).path()).unwrap().findings;
        let paths: Vec<_> =
            found.iter().filter(|finding| finding.rule.id == "missing-shard").filter_map(|finding| finding.path.as_deref()).collect();
        assert_eq!(paths, expected, "{others:?}");
        assert_eq!(found.last().map(|finding| (finding.rule.id, finding.what.as_str())), Some(("tf-file-ops", "operators: WriteFile")));
    }
    let constant = folder(&saved(&["Add"], &[], "s"), &[]);
    assert_eq!(read_model(constant.path()).unwrap().findings, []);
}

#[test]
fn the_graph_alone_is_refused_where_its_variables_are_beside_it() {
    let dir = folder(&saved(&["VarHandleOp"], &[], "s"), &["variables/variables.index"]);
    let error = read_model(&dir.path().join(GRAPH)).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("give the folder that holds saved_model.pb"));
}

#[test]
fn what_is_no_model_is_refused() {
    for (bytes, expected) in [
        (vec![], "it has no graph in it, so it is no SavedModel"),
        (Message::new().number(1, 1).0, "it has no graph in it, so it is no SavedModel"),
        (saved(&[], &[], "s")[..40].to_vec(), "byte 3: 109 bytes are announced, 36 are left"),
        (b"version https://git-lfs.github.com/spec/v1".to_vec(), "byte 0: 118 is no field"),
    ] {
        assert_eq!(SavedModel::read(Cursor::new(bytes)).unwrap_err().to_string(), expected);
    }
}

#[test]
fn no_damage_to_a_real_model_makes_it_panic() {
    let whole = fs::read(Path::new(SAMPLE).join(GRAPH)).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let _ = SavedModel::read(Cursor::new(&bytes));
        let _ = SavedModel::read(Cursor::new(&whole[..at]));
    }
}
