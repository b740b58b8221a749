use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::*;
use crate::model::{Model, ReadOptions, read};

const JSON: &str = r#"{"learner":{"attributes":{},"feature_names":["a","b"],"feature_types":["q","i"],"gradient_booster":{"model":
{"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"3"},"trees":[{"split_conditions":[NaN,1E0]}]},"name":"gbtree"},
"learner_model_param":{"base_score":"[5E-1]","num_class":"3","num_feature":"2","num_target":"1"},"objective":{"name":"multi:softprob"}},"version":[3,2,0]}"#;

fn read_model(path: &Path) -> Model {
    read(path, &ReadOptions::default()).unwrap()
}

/// A model of the old form as XGBoost 1.7 writes it, as far as it is read.
pub(super) fn written(objective: &str, booster: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0.5f32.to_le_bytes());
    bytes.extend(4u32.to_le_bytes());
    bytes.extend(3i32.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(7u32.to_le_bytes());
    bytes.resize(136, 0);
    for name in [objective, booster] {
        bytes.extend((name.len() as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
    }
    bytes.extend(12i32.to_le_bytes());
    bytes.resize(bytes.len() + 156, 0);
    bytes
}

/// The same document in UBJSON; texts and lists only.
fn ubjson() -> Vec<u8> {
    let text = |text: &str| [&[b'i', u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    let pair = |key: &str, value: &[u8]| [&text(key)[..], value].concat();
    let leaf = |key: &str, value: &str| pair(key, &[b"S", &text(value)[..]].concat());
    let object = |members: &[Vec<u8>]| [b"{", &members.concat()[..], b"}"].concat();
    let params = object(&[leaf("num_class", "0"), leaf("num_feature", "2"), leaf("base_score", "5E-1")]);
    let trees = pair("trees", b"[#i\x01{i\x01w[$d#i\x0212345678}");
    let booster =
        object(&[pair("model", &object(&[pair("gbtree_model_param", &object(&[leaf("num_trees", "1")])), trees])), leaf("name", "gbtree")]);
    let learner = object(&[
        pair("gradient_booster", &booster),
        pair("learner_model_param", &params),
        pair("objective", &object(&[leaf("name", "reg:squarederror")])),
    ]);
    object(&[pair("learner", &learner), pair("version", b"[#i\x03i\x03i\x02i\x00")])
}

#[test]
fn json_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("iris.json"), JSON).unwrap();
    let model = read_model(dir.path());
    assert_eq!((model.format, &model.mains[..]), ("xgboost", &["iris.json".to_owned()][..]));
    for (key, expected) in [
        ("producer", Some("XGBoost 3.2.0")),
        ("encoding", Some("JSON")),
        ("objective", Some("multi:softprob")),
        ("booster", Some("gbtree")),
        ("trees", Some("3")),
        ("features", Some("2")),
        ("classes", Some("3")),
        ("targets", None),
        ("base-score", Some("[5E-1]")),
        ("feature-names", Some("a, b")),
        ("feature-types", Some("q, i")),
    ] {
        assert_eq!(model.facts.get(key), expected, "{key}");
    }
    assert_eq!(model.facts.inputs[0].to_string(), "input: float32[batch,2]");
    assert_eq!(model.findings, []);
}

#[test]
fn ubjson_is_read_by_the_same_schema() {
    let model = XgboostModel::read(Cursor::new(ubjson())).unwrap();
    assert_eq!((model.form, model.objective.as_str(), model.trees.as_str()), ("UBJSON", "reg:squarederror", "1"));
    assert_eq!((model.features.as_str(), model.version.join(".").as_str()), ("2", "3.2.0"));
}

#[test]
fn content_decides_not_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let legacy = written("binary:logistic", "gbtree");
    for (name, content, form) in [
        ("m.bst", JSON.as_bytes(), Some("JSON")),
        ("m.bst", &ubjson(), Some("UBJSON")),
        ("m.model", &legacy, Some("binary")),
        ("m.json", &b"{\"learner\": 5, \"version\":[1]}"[..], None),
        ("config.json", b"{\"model_type\":\"llama\"}", None),
        ("m.bst", b"tree\nof life\n", None),
        ("m.txt", JSON.as_bytes(), None),
        ("m.ubj", b"{", None),
        ("m.ubj", b"", None),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        fs::write(dir.path().join("x"), "x").unwrap();
        let model = read_model(dir.path());
        assert_eq!(model.facts.get("encoding").filter(|_| model.format == "xgboost"), form, "{name}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn the_old_form_is_told_to_be_old() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.bst"), written("binary:logistic", "gbtree")).unwrap();
    let model = read_model(dir.path());
    assert_eq!(model.notes, ["m.bst is in XGBoost's old binary form, which XGBoost cannot load from 3.1 on"]);
}

#[test]
fn what_the_server_would_count_as_a_model_is_found() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("docs")).unwrap();
    for (name, content) in
        [("m.ubj", &ubjson()[..]), ("config.json", b"{}"), ("README.md", b"x"), ("docs/a.json", b"{}"), ("old.bst", b"tree\n")]
    {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let found = read_model(dir.path()).findings;
    let told: Vec<_> = found.iter().map(|finding| (finding.rule.id, finding.path.as_deref().unwrap())).collect();
    assert_eq!(told, [("stray-json", "config.json"), ("stray-json", "old.bst")]);
}

#[test]
fn the_one_stray_file_is_named_in_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.ubj"), ubjson()).unwrap();
    for (stray, hint) in [("config.json", "leave it out with `--exclude config.json`"), ("old.bst", "the others with `--exclude NAME`")] {
        fs::write(dir.path().join(stray), b"tree\n").unwrap();
        let error = crate::model::lay_out(&read_model(dir.path()), None, "m").unwrap_err();
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
    }
}

#[test]
fn of_several_models_all_are_mains() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.json"), JSON).unwrap();
    fs::write(dir.path().join("b.ubj"), ubjson()).unwrap();
    let model = read_model(dir.path());
    assert_eq!(model.mains, ["a.json", "b.ubj"]);
    assert_eq!(model.facts.get("models"), Some("a.json, b.ubj"));
}

#[test]
fn a_damaged_file_is_an_error_with_its_byte() {
    for (content, expected) in [
        (JSON.as_bytes()[..300].to_vec(), "byte 300: 1 bytes are announced, 0 are left"),
        (ubjson()[..40].to_vec(), "byte 40: 18 bytes are announced, 0 are left"),
        (
            JSON.replace("num_feature", "feature").into_bytes(),
            "it has no learner/learner_model_param/num_feature, so it is no XGBoost model",
        ),
        (vec![b'x'; 400], "it is neither XGBoost's JSON nor UBJSON nor its old binary form"),
    ] {
        assert_eq!(XgboostModel::read(Cursor::new(content)).unwrap_err().to_string(), expected);
    }
}
