use std::path::Path;

use super::*;
use crate::model::{Facts, UNKNOWN_FORMAT};

/// A model with these files; nothing is on disk but one file that lends its metadata.
fn model(format: &'static str, paths: &[&str]) -> Model {
    let metadata = std::fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let files = paths.iter().map(|path| ModelFile::new((*path).to_owned(), path.into(), &metadata)).collect();
    let mains = paths.iter().filter(|path| path.ends_with(".onnx")).map(|path| (*path).to_owned()).collect();
    Model { format, facts: Facts::default(), files, mains, findings: Vec::new(), notes: Vec::new() }
}

fn onnx(paths: &[&str]) -> Model {
    model("onnx", paths)
}

/// `source > target` of every file that moved, and the rest as it is.
fn moves(layout: &ServingLayout) -> Vec<String> {
    let text = |placed: &PlacedFile| match &placed.file.path {
        path if *path == placed.target => path.clone(),
        path => format!("{path} > {}", placed.target),
    };
    layout.files.iter().map(text).collect()
}

#[test]
fn one_model_goes_where_its_server_looks() {
    let files = ["config.json", "config.pbtxt", "net.onnx", "sub/w.data"];
    for (runtime, expected) in [
        (None, ["config.json > 1/config.json", "config.pbtxt > 1/config.pbtxt", "net.onnx > 1/model.onnx", "sub/w.data > 1/sub/w.data"]),
        (
            Some(Runtime::Triton),
            [
                "config.json > iris/1/config.json",
                "net.onnx > iris/1/model.onnx",
                "sub/w.data > iris/1/sub/w.data",
                "config.pbtxt > iris/config.pbtxt",
            ],
        ),
        (Some(Runtime::Mlserver), ["config.json", "config.pbtxt", "net.onnx > model.onnx", "sub/w.data"]),
        (Some(Runtime::Raw), ["config.json", "config.pbtxt", "net.onnx", "sub/w.data"]),
    ] {
        let layout = lay_out(&onnx(&files), runtime, "iris").unwrap();
        assert_eq!(moves(&layout), expected);
        assert_eq!(layout.runtime, runtime.unwrap_or(Runtime::Ovms));
        assert!(layout.notes.is_empty(), "{:?}", layout.notes);
    }
}

#[test]
fn a_repository_stays_as_it_is() {
    for (files, runtime) in [
        (&["1/model.onnx", "2/net.onnx", "2/w.data", "README.md"][..], Runtime::Ovms),
        (&["iris/1/model.onnx", "iris/config.pbtxt", "other/12/model.onnx"], Runtime::Triton),
    ] {
        for wish in [None, Some(runtime)] {
            let layout = lay_out(&onnx(files), wish, "m").unwrap();
            assert_eq!(layout.runtime, runtime);
            assert_eq!(moves(&layout), files);
        }
    }
}

#[test]
fn in_doubt_the_folder_stays_as_it_is_and_a_note_says_how_to_choose() {
    for files in [
        &["decoder.onnx", "encoder.onnx"][..],
        &["config.json", "onnx/model.onnx"],
        &["01/model.onnx"],
        &["1/deep/model.onnx", "1/model.onnx"],
    ] {
        let layout = lay_out(&onnx(files), None, "m").unwrap();
        assert_eq!((layout.runtime, moves(&layout)), (Runtime::Raw, files.iter().map(|path| (*path).to_owned()).collect()));
        assert!(layout.notes[0].contains(".onnx") && layout.notes[0].contains("give that file as MODEL"), "{:?}", layout.notes);
    }
}

#[test]
fn a_wish_that_the_server_could_not_load_is_refused_with_the_files() {
    for (files, expected) in [
        (&["a.onnx", "b.onnx"][..], "ovms serves one onnx model at the top of the folder, here are a.onnx, b.onnx"),
        (&["onnx/model.onnx"], "ovms serves one onnx model at the top of the folder, here is only onnx/model.onnx"),
        (
            &["a.onnx", "b.onnx", "c.onnx", "d.onnx", "e.onnx", "f.onnx", "g.onnx"],
            "ovms serves one onnx model at the top of the folder, here are a.onnx, b.onnx, c.onnx, d.onnx, e.onnx … and 2 more",
        ),
    ] {
        let error = lay_out(&onnx(files), Some(Runtime::Ovms), "m").unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().is_some());
    }
    let repository = onnx(&["iris/1/model.onnx"]);
    assert!(matches!(lay_out(&repository, Some(Runtime::Ovms), "m"), Err(ModelError::NotOneModel { .. })));
}

#[test]
fn an_unknown_format_is_packed_raw_or_refused() {
    let unknown = model(UNKNOWN_FORMAT, &["a.json", "b/c.bin"]);
    for runtime in [None, Some(Runtime::Raw)] {
        assert_eq!(moves(&lay_out(&unknown, runtime, "m").unwrap()), ["a.json", "b/c.bin"]);
    }
    let error = lay_out(&unknown, Some(Runtime::Ovms), "m").unwrap_err();
    assert_eq!(error.to_string(), "ovms cannot be laid out for a model of format `unknown`; raw can");
    assert!(error.hint().unwrap().contains("--runtime raw"));
}

#[test]
fn two_files_never_share_a_place() {
    for (files, expected) in [
        (&["model.onnx/readme", "net.onnx"][..], "net.onnx and model.onnx/readme would both become model.onnx"),
        (&["net.onnx", "w", "w"], "w and w would both become w"),
    ] {
        let error = lay_out(&onnx(files), Some(Runtime::Mlserver), "m").unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn only_a_triton_repository_needs_a_name_and_checks_it() {
    let model = onnx(&["net.onnx"]);
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", &"x".repeat(256)] {
        assert!(matches!(lay_out(&model, Some(Runtime::Triton), name), Err(ModelError::ModelName { .. })), "{name:?}");
        assert!(lay_out(&model, Some(Runtime::Ovms), name).is_ok());
    }
}

#[test]
fn the_data_keep_their_place_beside_the_model() {
    for runtime in [Runtime::Ovms, Runtime::Triton, Runtime::Mlserver] {
        let layout = lay_out(&onnx(&["net.onnx", "sub/w.data"]), Some(runtime), "m").unwrap();
        let folder = |path: &str| layout.files.iter().find(|placed| placed.file.path == path).unwrap().target.clone();
        let beside = folder("net.onnx").strip_suffix("model.onnx").unwrap().to_owned();
        assert_eq!(folder("sub/w.data"), format!("{beside}sub/w.data"));
    }
}
