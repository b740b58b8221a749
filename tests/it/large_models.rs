//! Models of many files: each is in the image once, within the layers that readers bear, and a new version sends what is new.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::support::{modelcar, stdout_of, temp_dir};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// From here on readers fail, base included: cri-o#6261, buildkit#4810.
const MOST_LAYERS: usize = 50;

/// What `build --format json` says of the model's layers.
struct Layers(Vec<Value>);

impl Layers {
    fn of(home: &Path, model: &Path) -> Self {
        let printed = stdout_of(modelcar(home).args(["build", "-q", "--dry-run", "--format", "json"]).arg(model));
        let build: Value = serde_json::from_str(&printed).unwrap();
        Self(build["layers"].as_array().unwrap().clone())
    }

    /// The places of all files, in the order of the layers.
    fn files(&self) -> Vec<&str> {
        self.0.iter().flat_map(files_of).collect()
    }

    fn digests(&self) -> BTreeSet<&str> {
        self.0.iter().map(|layer| layer["digest"].as_str().unwrap()).collect()
    }

    /// Those that `other` does not have, each as the files in it.
    fn not_in(&self, other: &Self) -> Vec<Vec<&str>> {
        let theirs = other.digests();
        let new = self.0.iter().filter(|layer| !theirs.contains(layer["digest"].as_str().unwrap()));
        new.map(files_of).collect()
    }
}

fn files_of(layer: &Value) -> Vec<&str> {
    layer["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()
}

/// A file that begins with its own name and goes on with a hole: no two are the same, and none is written out.
fn hole(path: &Path, size: u64) {
    let mut file = File::create_new(path).unwrap();
    file.write_all(path.file_name().unwrap().as_encoded_bytes()).unwrap();
    file.set_len(size).unwrap();
}

fn shards(model: &Path, count: usize, size: u64) {
    for shard in 1..=count {
        hole(&model.join(format!("model-{shard:05}-of-{count:05}.dat")), size);
    }
}

#[track_caller]
fn assert_each_file_once(layers: &Layers, expected: usize) {
    assert!(layers.0.len() < MOST_LAYERS, "{} model layers and the base's", layers.0.len());
    let files = layers.files();
    assert_eq!(files.len(), expected);
    assert_eq!(files.iter().collect::<BTreeSet<_>>().len(), expected, "a file is in the image twice");
}

#[test]
fn ten_thousand_files_are_in_the_image_once_each() {
    let home = temp_dir();
    let model = home.path().join("model");
    for folder in 0..100 {
        fs::create_dir_all(model.join(folder.to_string())).unwrap();
        for file in 0..100 {
            fs::write(model.join(format!("{folder}/{file}.txt")), format!("{folder} {file}")).unwrap();
        }
    }
    assert_each_file_once(&Layers::of(home.path(), &model), 10_000);
}

#[test]
fn more_shards_than_layers_are_in_the_image_once_each() {
    let home = temp_dir();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    shards(&model, 160, MIB + 4 * KIB);
    fs::write(model.join("notes.txt"), "small").unwrap();
    assert_each_file_once(&Layers::of(home.path(), &model), 161);
}

#[test]
fn a_new_version_sends_what_is_new_and_nothing_else() {
    let home = temp_dir();
    let model = home.path().join("model");
    fs::create_dir(&model).unwrap();
    shards(&model, 8, 2 * MIB);
    fs::write(model.join("notes.txt"), "first").unwrap();
    let first = Layers::of(home.path(), &model);

    fs::write(model.join("notes.txt"), "second").unwrap();
    let second = Layers::of(home.path(), &model);
    assert_eq!(second.not_in(&first), [["notes.txt"]], "all other layers are shared");

    hole(&model.join("adapter.dat"), 3 * MIB);
    fs::write(model.join("adapter.txt"), "small").unwrap();
    let third = Layers::of(home.path(), &model);
    assert_eq!(third.not_in(&second), [vec!["adapter.dat"], vec!["adapter.txt", "notes.txt"]]);
}
