use std::fs;
use std::path::Path;

use super::writer::{Message, attribute, external, external_at, model, node};
use crate::model::{Model, ModelError, OnnxExternal, Patterns, ReadOptions, read};

fn read_model(path: &Path) -> Result<Model, ModelError> {
    read(path, &ReadOptions { onnx_external: OnnxExternal::Keep, ..ReadOptions::default() })
}

fn write(dir: &Path, path: &str, content: &[u8]) {
    let file = dir.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

/// A model with one tensor in each of these files.
fn onnx_with(locations: &[&str]) -> Vec<u8> {
    let graph = locations.iter().fold(Message::new(), |graph, location| graph.message(5, &external_at("w", location)));
    model(&graph).0
}

fn paths(model: &Model) -> Vec<&str> {
    model.files.iter().map(|file| file.path.as_str()).collect()
}

/// The error and all its causes.
fn chain(error: &ModelError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn a_single_file_brings_the_data_it_names_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &onnx_with(&["sub/w.data", "v.data", "./v.data"]));
    for path in ["sub/w.data", "v.data", "private-notes.txt"] {
        write(dir.path(), path, b"12345678");
    }
    let model = read_model(&dir.path().join("net.onnx")).unwrap();
    assert_eq!(paths(&model), ["net.onnx", "sub/w.data", "v.data"]);
    assert_eq!(model.facts.get("external-data"), Some("sub/w.data, v.data"));
    let told: Vec<_> = model.findings.iter().map(|finding| (finding.rule.id, finding.path.as_deref(), finding.what.as_str())).collect();
    assert_eq!(told, [("external-data", Some("net.onnx"), "external data stay in sub/w.data, v.data: as asked for")]);
}

#[test]
fn data_are_looked_for_beside_the_model_not_at_the_top() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "onnx/model.onnx", &onnx_with(&["model.onnx_data"]));
    write(dir.path(), "model.onnx_data", b"12345678");
    assert!(chain(&read_model(dir.path()).unwrap_err()).ends_with("its external data \"model.onnx_data\" are missing"));
    write(dir.path(), "onnx/model.onnx_data", b"12345678");
    assert_eq!(paths(&read_model(dir.path()).unwrap()), ["model.onnx_data", "onnx/model.onnx", "onnx/model.onnx_data"]);
}

#[test]
fn data_that_the_user_left_out_are_told_from_data_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &onnx_with(&["w.data"]));
    write(dir.path(), "w.data", b"12345678");
    let patterns = Patterns { exclude: vec!["*.data".to_owned()], ..Patterns::default() };
    for onnx_external in [OnnxExternal::Keep, OnnxExternal::Inline, OnnxExternal::Auto] {
        let error = read(dir.path(), &ReadOptions { patterns: patterns.clone(), onnx_external, ..ReadOptions::default() }).unwrap_err();
        assert!(chain(&error).ends_with("its external data \"w.data\" are left out of the model"), "{}", chain(&error));
        assert!(error.hint().unwrap().contains("--include"));
    }
}

#[test]
fn missing_and_short_data_are_an_error_that_names_model_tensor_and_file() {
    for in_folder in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "net.onnx", &onnx_with(&["w.data"]));
        let path = if in_folder { dir.path().to_owned() } else { dir.path().join("net.onnx") };
        let shown = dir.path().join("net.onnx");
        let error = read_model(&path).unwrap_err();
        let expected = format!("cannot read {} as ONNX: tensor \"w\": its external data \"w.data\" are missing", shown.display());
        assert_eq!(chain(&error), expected);
        assert!(error.hint().unwrap().contains("beside the model"));
        write(dir.path(), "w.data", b"1234567");
        assert!(chain(&read_model(&path).unwrap_err()).ends_with("end at byte 8 of \"w.data\", which has 7"));
    }
}

#[test]
fn data_never_come_from_elsewhere() {
    let secret = tempfile::tempdir().unwrap();
    write(secret.path(), "token", b"12345678");
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(secret.path().join("token"), dir.path().join("w.data")).unwrap();
    write(dir.path(), "net.onnx", &onnx_with(&["w.data"]));
    for path in [dir.path().to_owned(), dir.path().join("net.onnx")] {
        assert!(matches!(read_model(&path), Err(ModelError::LinkLeaves { .. })));
    }
    let absolute = secret.path().join("token");
    write(dir.path(), "net.onnx", &onnx_with(&[absolute.to_str().unwrap()]));
    assert!(chain(&read_model(&dir.path().join("net.onnx")).unwrap_err()).contains("is an absolute path"));
}

#[test]
fn a_model_cannot_name_itself_as_its_data() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &onnx_with(&["net.onnx"]));
    assert!(chain(&read_model(dir.path()).unwrap_err()).contains("is the model file itself"));
}

#[test]
fn a_damaged_file_is_an_error_with_byte_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let whole = model(&Message::new().bytes(10, &[b'x'; 100])).0;
    write(dir.path(), "net.onnx", &whole[..60]);
    let error = read_model(dir.path()).unwrap_err();
    assert!(chain(&error).ends_with("net.onnx as ONNX: byte 11: 102 bytes are announced, 48 are left"), "{}", chain(&error));
    for content in [&b""[..], b"not a model at all"] {
        write(dir.path(), "net.onnx", content);
        write(dir.path(), "other.txt", b"x");
        assert!(matches!(read_model(dir.path()), Err(ModelError::Unreadable { .. })));
    }
}

#[test]
fn a_git_lfs_pointer_is_recognised() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n");
    assert!(read_model(dir.path()).unwrap_err().hint().unwrap().contains("git lfs pull"));
}

#[test]
fn of_several_models_all_are_checked_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.onnx", &model(&Message::new()).0);
    write(dir.path(), "b/B.ONNX", &model(&Message::new()).0);
    let found = read_model(dir.path()).unwrap();
    assert_eq!(found.facts.get("models"), Some("a.onnx, b/B.ONNX"));
    assert!(found.facts.inputs.is_empty());
    write(dir.path(), "c.onnx", b"broken");
    assert!(chain(&read_model(dir.path()).unwrap_err()).contains("c.onnx as ONNX"));
}

#[test]
fn large_data_that_nobody_uses_are_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "net.onnx", &model(&Message::new()).0);
    write(dir.path(), "small.data", b"x");
    write(dir.path(), "old.data", &vec![0; 1 << 20]);
    assert_eq!(read_model(dir.path()).unwrap().notes, ["old.data (1048576 bytes) is used by no ONNX file"]);
}

#[test]
fn texts_of_a_model_are_escaped_and_its_lists_cut() {
    let dir = tempfile::tempdir().unwrap();
    let graph = (0..300).fold(Message::new(), |graph, n| graph.message(12, &Message::new().text(1, &format!("o{n}\x1b[2J"))));
    let property = |key: &str| Message::new().text(1, key).text(2, "a\nb");
    write(dir.path(), "net.onnx", &model(&graph).message(14, &property("My Key!")).message(14, &property("模型")).0);
    let found = read_model(dir.path()).unwrap();
    assert_eq!(found.facts.outputs.len(), 256);
    assert_eq!(found.facts.outputs[0].name, "o0\\u{1b}[2J");
    assert_eq!(found.notes, ["outputs: the first 256 are told, … and 44 more"]);
    assert_eq!(found.facts.get("metadata-my-key"), Some("a\\nb"));
    assert!(found.facts.items.iter().all(|fact| fact.key != "metadata-"));
}

#[test]
fn external_data_in_a_branch_travel_with_a_single_file() {
    let dir = tempfile::tempdir().unwrap();
    let branch = Message::new().message(5, &external("v", &[4], &[("location", "branch.data")]));
    let graph = Message::new().message(1, &node("If", &[attribute("else_branch", 6, &branch)]));
    write(dir.path(), "net.onnx", &model(&graph).0);
    write(dir.path(), "branch.data", &[0; 16]);
    assert_eq!(paths(&read_model(&dir.path().join("net.onnx")).unwrap()), ["branch.data", "net.onnx"]);
}
