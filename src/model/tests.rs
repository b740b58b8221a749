use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::kserve::Runtime;

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/models").join(path)
}

fn read_model(path: &Path) -> Model {
    read(path, &ReadOptions::default()).unwrap()
}

fn shown(tensors: &[TensorInfo]) -> Vec<String> {
    tensors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_real_model_says_what_it_takes_and_gives() {
    let iris = read_model(&testdata("iris/logreg_iris.onnx"));
    assert_eq!(iris.format, "onnx");
    assert_eq!(shown(&iris.facts.inputs), ["float_input: float32[3,2]"]);
    assert_eq!(shown(&iris.facts.outputs), ["label: int64[3]", "probabilities: sequence(map(int64,float32))"]);

    let silero = read_model(&testdata("silero_vad/silero_vad.onnx"));
    assert_eq!(shown(&silero.facts.inputs), ["input: float32[?,?]", "state: float32[2,?,128]", "sr: int64[]"]);
}

#[test]
fn a_real_folder_is_laid_out_for_its_server() {
    let magika = read_model(&testdata("magika"));
    let layout = lay_out(&magika, None, "magika").unwrap();
    assert_eq!(layout.runtime, Runtime::Ovms);
    let targets: Vec<_> = layout.files.iter().map(|placed| placed.target.as_str()).collect();
    assert_eq!(targets, ["1/LICENSE", "1/README.md", "1/config.min.json", "1/metadata.json", "1/model.onnx"]);
}

#[test]
fn what_no_format_recognises_is_packed_with_a_note() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("weights.xyz"), b"w").unwrap();
    let model = read_model(dir.path());
    assert_eq!((model.format, model.files.len()), (UNKNOWN_FORMAT, 1));
    assert_eq!(model.notes, [format!("no known format in {}: packed as it is", dir.path().display())]);
}

/// The digest of the image must be the same wherever the model lies.
#[test]
fn neither_name_nor_place_of_the_folder_is_in_what_is_packed() {
    let parent = tempfile::tempdir().unwrap();
    let described = |name: &str| {
        let dir = parent.path().join(name);
        fs::create_dir(&dir).unwrap();
        fs::copy(testdata("iris/logreg_iris.onnx"), dir.join("m.onnx")).unwrap();
        fs::write(dir.join("a.txt"), name.len().to_string()).unwrap();
        let model = read_model(&dir);
        let layout = lay_out(&model, None, "m").unwrap();
        let places: Vec<_> = layout.files.iter().map(|placed| (placed.target.clone(), placed.file.path.clone())).collect();
        (model.format, model.facts, layout.why, places)
    };
    assert_eq!(described("first"), described("other"));
}

#[test]
fn a_file_that_changes_after_reading_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    fs::copy(testdata("iris/logreg_iris.onnx"), &path).unwrap();
    let model = read_model(dir.path());
    fs::write(&path, b"other").unwrap();
    let error = model.files[0].open().err().unwrap();
    assert!(error.get_ref().unwrap().is::<FileChanged>(), "{error}");
}

#[test]
fn every_format_can_be_found_by_its_name() {
    for format in formats::FORMATS {
        assert!(std::ptr::eq(formats::by_name(format.name).unwrap(), format));
        assert_ne!(format.name, UNKNOWN_FORMAT);
    }
}
