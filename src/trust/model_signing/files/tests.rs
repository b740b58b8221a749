use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::trust::model_signing::testing::{put_file, put_image, put_index, put_layer, put_model};
use crate::trust::testing::MemoryStore;

fn expected(files: &[(&str, &str)]) -> ModelFiles {
    files.iter().map(|(path, content)| ((*path).to_owned(), Digest::of(content.as_bytes()))).collect()
}

fn of(store: &MemoryStore, layers: Vec<Descriptor>, reading: Reading) -> Result<ModelFiles, String> {
    files_of_image(store, &put_image(store, layers), reading).map_err(|error| error.to_string())
}

#[test]
fn an_index_gives_the_one_model_of_its_images() {
    let store = MemoryStore::default();
    let model = put_model(&store);
    let files = expected(&[("1/model.onnx", "weights"), ("a-b", "s"), ("config.json", "{}")]);
    for reading in [Reading::Annotations, Reading::Layers] {
        assert_eq!(files_of_image(&store, &model, reading).unwrap(), files);
    }
}

#[test]
fn an_annotated_layer_is_not_fetched_unless_asked_for() {
    let store = MemoryStore::default();
    let layer = put_file(&store, "a", "x");
    let image = put_image(&store, vec![layer.clone()]);
    store.tamper(|content| drop(content.blobs.remove(&layer.digest)));
    assert_eq!(files_of_image(&store, &image, Reading::Annotations).unwrap(), expected(&[("a", "x")]));
    assert!(files_of_image(&store, &image, Reading::Layers).is_err());
}

#[test]
fn refuses_an_index_with_two_models() {
    let store = MemoryStore::default();
    let images = ["x", "y"].map(|content| put_image(&store, vec![put_file(&store, "a", content)]));
    let error = files_of_image(&store, &put_index(&store, &images), Reading::Annotations).unwrap_err();
    assert!(matches!(error, ModelSigningError::Models { .. }), "{error}");
}

#[test]
fn an_upper_layer_replaces_a_file_of_a_lower_one() {
    let store = MemoryStore::default();
    let layers = vec![put_layer(&store, &[("models/a", "old")], &[]), put_file(&store, "a", "new")];
    assert_eq!(of(&store, layers, Reading::Annotations).unwrap(), expected(&[("a", "new")]));
}

/// What no annotation speaks of would be an unsigned file of a signed model.
#[test]
fn a_layer_without_annotations_is_read() {
    let store = MemoryStore::default();
    let layers = vec![put_file(&store, "a", "x"), put_layer(&store, &[("models/hidden", "y")], &[])];
    assert_eq!(of(&store, layers, Reading::Annotations).unwrap(), expected(&[("a", "x"), ("hidden", "y")]));
}

#[test]
fn an_annotation_that_lies_is_found_by_reading_the_layer() {
    let store = MemoryStore::default();
    let mut layer = put_file(&store, "a", "x");
    layer.annotations.insert(LAYER_DIGEST.to_owned(), Digest::of(b"other").to_string());
    assert!(of(&store, vec![layer.clone()], Reading::Annotations).is_ok(), "the annotation is taken at its word");
    let error = of(&store, vec![layer], Reading::Layers).unwrap_err();
    assert!(error.contains("it holds something else"), "{error}");
}

#[test]
fn refuses_annotations_that_cannot_be_true() {
    let store = MemoryStore::default();
    for (key, value, reason) in [
        (LAYER_PATH, Some("/etc/passwd"), "is not below /models"),
        (LAYER_PATH, Some("/models/../x"), "climbs"),
        (LAYER_PATH, Some("/models/"), "empty"),
        (LAYER_PATH, None, "has no `olot.layer.content.inlayerpath`"),
        (LAYER_DIGEST, Some("md5:00"), "its digest is none"),
        (LAYER_DIGEST, None, "has no `olot.layer.content.digest`"),
    ] {
        let mut layer = put_file(&store, "a", "x");
        match value {
            Some(value) => drop(layer.annotations.insert(key.to_owned(), value.to_owned())),
            None => drop(layer.annotations.remove(key)),
        }
        let error = of(&store, vec![layer], Reading::Annotations).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[test]
fn an_image_without_a_model_is_refused() {
    let store = MemoryStore::default();
    let error = of(&store, vec![put_layer(&store, &[("bin/sh", "x")], &[])], Reading::Annotations).unwrap_err();
    assert!(error.contains("no files under /models"), "{error}");
}

#[test]
fn a_folder_gives_its_files_without_those_that_are_ignored() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("model");
    for (path, content) in [("1/model.onnx", "weights"), ("a", "x"), (".git/config", "g"), ("sub/.git/x", "s"), (".gitignore", "i")] {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), content).unwrap();
    }
    fs::create_dir(folder.join("empty")).unwrap();
    let files = expected(&[("1/model.onnx", "weights"), ("a", "x"), ("sub/.git/x", "s")]);
    assert_eq!(files_of_folder(&folder, &IgnoredPaths::default()).unwrap(), files);
    // KServe's /mnt/models is a link
    symlink(&folder, home.path().join("link")).unwrap();
    assert_eq!(files_of_folder(&home.path().join("link"), &IgnoredPaths::default()).unwrap(), files);
}

#[test]
fn refuses_a_folder_with_what_is_no_plain_file() {
    let home = tempfile::tempdir().unwrap();
    let refused = |folder: &Path| files_of_folder(folder, &IgnoredPaths::default()).unwrap_err().to_string();
    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(refused(&empty).contains("no files to sign"));
    fs::write(home.path().join("a"), "x").unwrap();
    assert!(refused(&home.path().join("a")).contains("one file"));
    symlink("a", home.path().join("link")).unwrap();
    assert!(refused(home.path()).contains("symbolic link"));
    assert!(refused(&home.path().join("nowhere")).contains("cannot read"));
}

/// They could not be signed by anybody, so a strange image cannot make us hold them.
#[test]
fn refuses_more_files_than_a_signature_can_name() {
    let store = MemoryStore::default();
    let names: Vec<String> = (0..=MOST_FILES).map(|number| format!("models/{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let error = of(&store, vec![put_layer(&store, &files, &[])], Reading::Annotations).unwrap_err();
    assert!(error.starts_with("the model has 10486 files"), "{error}");
}
