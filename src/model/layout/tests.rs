use std::path::Path;

use super::*;
use crate::model::formats::{Format, Place, Reading, ServedName};
use crate::model::{Facts, UNKNOWN_FORMAT};

/// A model with these files; nothing is on disk but one file that lends its metadata.
fn model(format: &'static str, paths: &[&str]) -> Model {
    let metadata = std::fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let files = paths.iter().map(|path| ModelFile::new((*path).to_owned(), path.into(), &metadata)).collect();
    let mains = paths.iter().filter(|path| Path::new(path).extension() == Some("onnx".as_ref())).map(|path| (*path).to_owned()).collect();
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
        assert!(layout.args.is_empty() && layout.notes.is_empty(), "{:?}", layout.notes);
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

/// A format as another room of the table may define it.
const fn format(name: &'static str, servings: &'static [Serving]) -> Format {
    Format {
        name,
        detect: |_| false,
        read: |_| {
            Ok(Reading {
                facts: Facts { items: vec![], inputs: vec![], outputs: vec![] },
                mains: vec![],
                companions: vec![],
                findings: vec![],
                notes: vec![],
            })
        },
        servings,
    }
}

const fn serving(runtime: Runtime, place: Place, name: ServedName) -> Serving {
    Serving { runtime, place, name }
}

static OPENVINO: Format = format(
    "openvino",
    &[serving(Runtime::Ovms, Place::Version, ServedName::Kept), serving(Runtime::Triton, Place::Repository, ServedName::Stem("model"))],
);
static SAVED_MODEL: Format = format(
    "savedmodel",
    &[
        serving(Runtime::TensorflowServing, Place::Version, ServedName::Kept),
        serving(Runtime::Ovms, Place::Version, ServedName::Kept),
        serving(Runtime::Triton, Place::Repository, ServedName::Folder("model.savedmodel")),
    ],
);
static TORCHSCRIPT: Format = format("torchscript", &[serving(Runtime::Triton, Place::Repository, ServedName::File("model.pt"))]);
static TORCHSERVE: Format = format("torchserve", &[serving(Runtime::Torchserve, Place::Top, ServedName::Kept)]);
static SKLEARN: Format = format(
    "sklearn",
    &[
        serving(Runtime::Sklearnserver, Place::Top, ServedName::Kept),
        serving(Runtime::Mlserver, Place::Top, ServedName::File("model.joblib")),
    ],
);
static XGBOOST: Format = format(
    "xgboost",
    &[serving(Runtime::Xgbserver, Place::Top, ServedName::Kept), serving(Runtime::Mlserver, Place::Top, ServedName::Stem("model"))],
);
static HUGGING_FACE: Format = format(
    "huggingface",
    &[serving(Runtime::Vllm, Place::Top, ServedName::Kept), serving(Runtime::Huggingface, Place::Top, ServedName::Kept)],
);
static GGUF: Format = format("gguf", &[serving(Runtime::Vllm, Place::Top, ServedName::Kept)]);

/// A model of a format with these mains, and other files beside them.
fn model_of(format: &'static Format, mains: &[&str], others: &[&str]) -> Model {
    let mut paths = [mains, others].concat();
    paths.sort_unstable();
    let mains = mains.iter().map(|path| (*path).to_owned()).collect();
    Model { mains, ..model(format.name, &paths) }
}

fn laid_out(format: &'static Format, model: &Model, runtime: Option<Runtime>) -> Result<ServingLayout, ModelError> {
    decide(&Folder::of(Some(format), model), model, &Wish { runtime, name: ModelName::Usual("m".to_owned()), ..Wish::default() })
}

/// One row: format, mains, other files, wish, server, and where the files go, or the error.
type Row = (&'static Format, &'static [&'static str], &'static [&'static str], Option<Runtime>, Runtime, &'static [&'static str]);

static ROWS: &[Row] = &[
    (&OPENVINO, &["net.xml"], &["net.bin"], None, Runtime::Ovms, &["net.bin > 1/net.bin", "net.xml > 1/net.xml"]),
    (
        &OPENVINO,
        &["net.xml"],
        &["net.bin", "README.md"],
        Some(Runtime::Triton),
        Runtime::Triton,
        &["README.md > m/1/README.md", "net.bin > m/1/model.bin", "net.xml > m/1/model.xml"],
    ),
    (
        &SAVED_MODEL,
        &["saved_model.pb"],
        &["variables/variables.index", "assets/vocab.txt"],
        None,
        Runtime::TensorflowServing,
        &[
            "assets/vocab.txt > 1/assets/vocab.txt",
            "saved_model.pb > 1/saved_model.pb",
            "variables/variables.index > 1/variables/variables.index",
        ],
    ),
    (
        &SAVED_MODEL,
        &["saved_model.pb"],
        &["config.pbtxt", "variables/variables.index"],
        Some(Runtime::Triton),
        Runtime::Triton,
        &[
            "saved_model.pb > m/1/model.savedmodel/saved_model.pb",
            "variables/variables.index > m/1/model.savedmodel/variables/variables.index",
            "config.pbtxt > m/config.pbtxt",
        ],
    ),
    (
        &SAVED_MODEL,
        &["1/saved_model.pb", "2/saved_model.pb"],
        &["1/variables/v"],
        None,
        Runtime::TensorflowServing,
        &["1/saved_model.pb", "1/variables/v", "2/saved_model.pb"],
    ),
    (&SAVED_MODEL, &["a/1/model.savedmodel/saved_model.pb"], &[], None, Runtime::Triton, &["a/1/model.savedmodel/saved_model.pb"]),
    (&TORCHSCRIPT, &["net.pt"], &["config.pbtxt"], None, Runtime::Triton, &["net.pt > m/1/model.pt", "config.pbtxt > m/config.pbtxt"]),
    (
        &TORCHSCRIPT,
        &["1/model.pt"],
        &["config.pbtxt"],
        Some(Runtime::Triton),
        Runtime::Triton,
        &["1/model.pt > m/1/model.pt", "config.pbtxt > m/config.pbtxt"],
    ),
    (&TORCHSCRIPT, &["net.pt"], &[], None, Runtime::Raw, &["net.pt"]),
    (
        &TORCHSERVE,
        &["net.mar"],
        &["README.md"],
        None,
        Runtime::Torchserve,
        &["README.md", "config/config.properties", "net.mar > model-store/net.mar"],
    ),
    (
        &TORCHSERVE,
        &["net.mar"],
        &["config.properties"],
        None,
        Runtime::Torchserve,
        &["config.properties > config/config.properties", "net.mar > model-store/net.mar"],
    ),
    (
        &TORCHSERVE,
        &["model-store/a.mar", "model-store/b.mar"],
        &["config/config.properties"],
        None,
        Runtime::Torchserve,
        &["config/config.properties", "model-store/a.mar", "model-store/b.mar"],
    ),
    (&SKLEARN, &["iris.joblib"], &["README.md", "conda.yaml"], None, Runtime::Sklearnserver, &["README.md", "conda.yaml", "iris.joblib"]),
    (&SKLEARN, &["iris.joblib"], &["old/iris.pkl"], None, Runtime::Sklearnserver, &["iris.joblib", "old/iris.pkl"]),
    (&SKLEARN, &["iris.joblib"], &[], Some(Runtime::Mlserver), Runtime::Mlserver, &["iris.joblib > model.joblib"]),
    (&XGBOOST, &["net.ubj"], &["notes.txt"], None, Runtime::Xgbserver, &["net.ubj", "notes.txt"]),
    (&XGBOOST, &["net.ubj"], &["stray.json"], Some(Runtime::Mlserver), Runtime::Mlserver, &["net.ubj > model.ubj", "stray.json"]),
    (
        &HUGGING_FACE,
        &["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        &["config.json", "tokenizer/vocab.txt"],
        None,
        Runtime::Vllm,
        &["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer/vocab.txt"],
    ),
    (
        &HUGGING_FACE,
        &["model.safetensors"],
        &["config.json"],
        Some(Runtime::Huggingface),
        Runtime::Huggingface,
        &["config.json", "model.safetensors"],
    ),
    (&GGUF, &["q4.gguf"], &["tokenizer.json"], None, Runtime::Vllm, &["q4.gguf", "tokenizer.json"]),
    (&GGUF, &["q4.gguf", "q8.gguf"], &[], None, Runtime::Raw, &["q4.gguf", "q8.gguf"]),
];

#[test]
fn every_format_goes_where_each_of_its_servers_looks() {
    for (format, mains, others, wish, runtime, expected) in ROWS {
        let layout = laid_out(format, &model_of(format, mains, others), *wish).unwrap();
        assert_eq!(
            (layout.runtime, moves(&layout)),
            (*runtime, expected.iter().map(|text| (*text).to_owned()).collect()),
            "{}",
            format.name
        );
    }
}

#[test]
fn a_server_that_takes_the_only_file_is_not_given_two() {
    let cases: &[(&'static Format, &[&str], &[&str], &str)] = &[
        (
            &SKLEARN,
            &["a.joblib"],
            &["b.pkl"],
            "sklearnserver takes the only *.joblib, *.pkl, *.pickle at the top of the folder for the model, here are a.joblib, b.pkl",
        ),
        (
            &XGBOOST,
            &["net.ubj"],
            &["stray.json"],
            "xgbserver takes the only *.bst, *.json, *.ubj at the top of the folder for the model, here are net.ubj, stray.json",
        ),
    ];
    for (format, mains, others, expected) in cases {
        for wish in [None, Some(format.servings[0].runtime)] {
            let error = laid_out(format, &model_of(format, mains, others), wish).unwrap_err();
            assert_eq!(error.to_string(), *expected);
            assert!(error.hint().unwrap().contains("--exclude"));
        }
    }
}

#[test]
fn triton_is_not_given_what_it_cannot_describe() {
    let model = model_of(&TORCHSCRIPT, &["net.pt"], &[]);
    let error = laid_out(&TORCHSCRIPT, &model, Some(Runtime::Triton)).unwrap_err();
    assert!(error.to_string().starts_with("triton needs a config.pbtxt"), "{error}");
    assert!(error.hint().unwrap().contains("`input` and `output`"));
    assert!(laid_out(&TORCHSCRIPT, &model, None).unwrap().notes[0].contains("config.pbtxt"));
}

#[test]
fn only_vllm_is_told_which_gguf_file_to_load() {
    let layout = laid_out(&GGUF, &model_of(&GGUF, &["q4.gguf"], &[]), None).unwrap();
    assert_eq!(layout.args, ["--model=/mnt/models/q4.gguf"]);
    let raw = laid_out(&GGUF, &model_of(&GGUF, &["q4.gguf"], &[]), Some(Runtime::Raw)).unwrap();
    assert!(raw.args.is_empty());
    let two = laid_out(&GGUF, &model_of(&GGUF, &["q4.gguf", "q8.gguf"], &[]), Some(Runtime::Vllm)).unwrap_err();
    assert!(matches!(two, ModelError::NotOneModel { .. }));
}

#[test]
fn the_version_is_the_folder_where_a_server_has_one() {
    let version = NonZeroU32::new(7);
    let wish = |runtime, name| Wish { runtime: Some(runtime), version, name };
    let usual = || ModelName::Usual("m".to_owned());
    for (runtime, target, notes) in
        [(Runtime::Ovms, "7/model.onnx", 0), (Runtime::Triton, "m/7/model.onnx", 0), (Runtime::Mlserver, "model.onnx", 1)]
    {
        let layout = lay_out_as(&onnx(&["net.onnx"]), &wish(runtime, usual())).unwrap();
        assert_eq!((layout.files[0].target.as_str(), layout.notes.len()), (target, notes), "{:?}", layout.notes);
    }
    let repository = lay_out_as(&onnx(&["1/net.onnx"]), &wish(Runtime::Ovms, usual())).unwrap();
    assert_eq!((moves(&repository), repository.notes.len()), (vec!["1/net.onnx".to_owned()], 1));
}

#[test]
fn a_name_that_was_given_must_be_the_one_in_tritons_configuration() {
    let mut named = onnx(&["config.pbtxt", "net.onnx"]);
    named.facts.add("triton-name", "Triton's name", "flowers");
    let wish = |runtime, name| Wish { runtime: Some(runtime), version: None, name };
    let given = || ModelName::Given("iris".to_owned());
    let error = lay_out_as(&named, &wish(Runtime::Triton, given())).unwrap_err();
    assert!(error.to_string().contains("\"iris\" cannot be a model's name: the model's config.pbtxt"), "{error}");
    assert!(lay_out_as(&named, &wish(Runtime::Ovms, given())).is_ok());
    let layout = lay_out_as(&named, &wish(Runtime::Triton, ModelName::Usual("iris".to_owned()))).unwrap();
    assert_eq!(layout.files[0].target, "flowers/1/model.onnx");
}

#[test]
fn the_choice_names_what_else_could_be_chosen() {
    let layout = lay_out(&onnx(&["net.onnx"]), None, "m").unwrap();
    assert_eq!(layout.why, "the usual server for onnx; others: triton, mlserver");
    assert_eq!(servers(&onnx(&["net.onnx"])), [Runtime::Ovms, Runtime::Triton, Runtime::Mlserver]);
    assert!(servers(&model(UNKNOWN_FORMAT, &["x"])).is_empty());
}

#[test]
fn a_model_folder_of_triton_goes_into_a_folder_of_its_name() {
    let layout = lay_out(&onnx(&["1/model.onnx", "config.pbtxt"]), None, "m").unwrap();
    assert_eq!(
        (layout.runtime, moves(&layout)),
        (Runtime::Triton, vec!["1/model.onnx > m/1/model.onnx".into(), "config.pbtxt > m/config.pbtxt".into()])
    );
}
