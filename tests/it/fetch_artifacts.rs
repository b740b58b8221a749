//! `modelcar fetch oci://…`: ModelCar images and the artifacts of other packers. oras writes its artifacts itself; those of KitOps and
//! modctl are made here by what their formats say.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use modelcar::oci::{Annotations, Descriptor, ImageManifest, ManifestRef, RawManifest};
use modelcar::store::layout::LayoutStore;
use modelcar::store::{Access, Store};

use crate::support::registry::Registry;
use crate::support::{images, modelcar, need, run, stdout_of, temp_dir};

const TITLE: &str = "org.opencontainers.image.title";
const FILE_PATH: &str = "org.cncf.model.filepath";

fn fetch(home: &Path, source: &str) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).args(["fetch", source, "out"]);
    command
}

fn failure(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Paths and bytes below `out`, without the corner of the record.
fn files(home: &Path) -> Vec<(String, Vec<u8>)> {
    let dir = home.join("out");
    let entries = walkdir::WalkDir::new(&dir).sort_by_file_name().into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file() && !entry.path().starts_with(dir.join(".cache")));
    files
        .map(|entry| (entry.path().strip_prefix(&dir).unwrap().to_str().unwrap().to_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    expected.iter().map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec())).collect()
}

#[test]
fn what_oras_pushes_comes_from_the_registry_under_its_names() {
    let (Some(oras), Some(registry)) = (need("oras"), Registry::start()) else { return };
    let home = temp_dir();
    std::fs::create_dir_all(home.path().join("tokenizer")).unwrap();
    std::fs::write(home.path().join("model.onnx"), "weights").unwrap();
    std::fs::write(home.path().join("tokenizer/vocab.txt"), "a b c").unwrap();
    let reference = format!("{}/org/model:v1", registry.host);
    run(Command::new(oras).current_dir(home.path()).args([
        "push",
        "--plain-http",
        &reference,
        "model.onnx:application/x-onnx",
        "tokenizer",
    ]));
    let told = stdout_of(fetch(home.path(), &format!("oci://{reference}")).args(["--format", "json"]));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["source_uri"].as_str().unwrap().starts_with(&format!("oci://{}/org/model@sha256:", registry.host)), "{told}");
    assert_eq!(files(home.path()), pairs(&[("model.onnx", "weights"), ("tokenizer/vocab.txt", "a b c")]));
    let again = run(&mut fetch(home.path(), &reference));
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing to do: 2 files"), "{again:?}");
}

#[test]
fn the_model_of_a_modelcar_image_has_the_images_own_content_digest() {
    let home = temp_dir();
    std::fs::create_dir_all(home.path().join("model/1")).unwrap();
    std::fs::write(home.path().join("model/1/weights.bin"), "weights").unwrap();
    std::fs::write(home.path().join("model/readme.md"), "about").unwrap();
    run(modelcar(home.path()).current_dir(home.path()).args(["build", "model", "-o", "oci:car", "-t", "quay.io/org/model:v1"]));
    let told = stdout_of(fetch(home.path(), "oci:car").args(["--format", "json"]));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(files(home.path()), pairs(&[("1/weights.bin", "weights"), ("readme.md", "about")]));
    let inspected = stdout_of(modelcar(home.path()).current_dir(home.path()).args(["inspect", "oci:car", "--format", "json"]));
    assert!(inspected.contains(told["source_digest"].as_str().unwrap()), "{inspected}");
    let again = run(&mut fetch(home.path(), "oci:car"));
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing to do: 2 files"), "{again:?}");
    std::fs::write(home.path().join("out/readme.md"), "other").unwrap();
    run(&mut fetch(home.path(), "oci:car"));
    assert_eq!(files(home.path()), pairs(&[("1/weights.bin", "weights"), ("readme.md", "about")]));
}

/// A layer of an artifact: its media type, its bytes, its annotations.
type Layer<'a> = (&'a str, Vec<u8>, &'a [(&'a str, &'a str)]);

/// An artifact in the layout `art`, called `v1`.
fn artifact(home: &Path, config: &str, layers: &[Layer<'_>]) {
    let store = LayoutStore::open(&home.join("art"), Access::Write).unwrap();
    let put = |(media_type, bytes, annotations): &Layer<'_>| {
        let annotations: Annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        images::put(&store, media_type, bytes).annotated(annotations)
    };
    let layers: Vec<Descriptor> = layers.iter().map(put).collect();
    let manifest = ImageManifest::new(images::put(&store, config, b"{}"), layers);
    store.put_manifest(&RawManifest::image(&manifest).unwrap(), &ManifestRef::Tag("v1".to_owned())).unwrap();
}

fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// <https://github.com/kitops-ml/kitops/blob/main/docs/src/docs/modelkit/spec.md>
#[test]
fn a_modelkit_of_kitops_is_unpacked() {
    let home = temp_dir();
    let layers: [Layer<'_>; 2] = [
        ("application/vnd.kitops.modelkit.model.v1.tar", tar(&[("model/model.onnx", "weights")]), &[]),
        ("application/vnd.kitops.modelkit.code.v1.tar+gzip", gzip(&tar(&[("src/run.py", "pass")])), &[]),
    ];
    artifact(home.path(), "application/vnd.kitops.modelkit.config.v1+json", &layers);
    run(&mut fetch(home.path(), "oci:art:v1"));
    assert_eq!(files(home.path()), pairs(&[("model/model.onnx", "weights"), ("src/run.py", "pass")]));
    let listed = stdout_of(fetch(home.path(), "oci:art:v1").arg("--dry-run"));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    run(fetch(home.path(), "oci:art:v1").args(["--exclude", "src/"]));
    assert_eq!(files(home.path()), pairs(&[("model/model.onnx", "weights")]));
}

/// <https://github.com/modelpack/model-spec/blob/main/docs/spec.md>
#[test]
fn a_modelpack_is_taken_as_its_annotations_say() {
    let home = temp_dir();
    let layers: [Layer<'_>; 2] = [
        ("application/vnd.cncf.model.weight.v1.raw", b"weights".to_vec(), &[(FILE_PATH, "sub/model.safetensors")]),
        ("application/vnd.cncf.model.weight.config.v1.tar", tar(&[("config.json", "{}")]), &[(FILE_PATH, "config.json")]),
    ];
    artifact(home.path(), "application/vnd.cncf.model.config.v1+json", &layers);
    run(&mut fetch(home.path(), "oci:art:v1"));
    assert_eq!(files(home.path()), pairs(&[("config.json", "{}"), ("sub/model.safetensors", "weights")]));
}

/// A shipped ModelCar lost its `config.json` to another one of that name: <https://github.com/containers/olot/issues/209>.
#[test]
fn what_cannot_lie_in_one_folder_is_refused_and_nothing_is_written() {
    let raw = |path| ("application/octet-stream", b"x".to_vec(), path);
    for (layers, part) in [
        (vec![raw([(TITLE, "config.json")]), raw([(TITLE, "config.json")])], "names both `config.json` and `config.json`"),
        (vec![raw([(TITLE, "Config.json")]), raw([(TITLE, "config.json")])], "names both"),
        (vec![raw([(TITLE, "a")]), raw([(TITLE, "a/b")])], "names both `a` and `a/b`"),
        (vec![raw([(TITLE, "../x")])], "climbs"),
        (vec![raw([(TITLE, "/etc/x")])], "is absolute"),
        (vec![raw([(TITLE, "a\u{1b}b")])], "a control character"),
    ] {
        let home = temp_dir();
        let layers: Vec<Layer<'_>> = layers.iter().map(|(kind, bytes, names)| (*kind, bytes.clone(), names.as_slice())).collect();
        artifact(home.path(), "application/vnd.oci.empty.v1+json", &layers);
        let (code, told) = failure(&mut fetch(home.path(), "oci:art:v1"));
        assert!(code == 3 && told.contains(part) && !told.contains('\u{1b}'), "{part}: {code} {told}");
        assert!(!home.path().join("out").exists(), "{part}");
    }
    // What a tar holds is known only when it is there.
    let home = temp_dir();
    let kit = "application/vnd.kitops.modelkit.model.v1.tar";
    let layers: [Layer<'_>; 2] = [(kit, tar(&[("config.json", "1")]), &[]), (kit, tar(&[("config.json", "2"), ("b", "3")]), &[])];
    artifact(home.path(), "application/vnd.kitops.modelkit.config.v1+json", &layers);
    let (code, told) = failure(&mut fetch(home.path(), "oci:art:v1"));
    assert!(code == 3 && told.contains("names both"), "{code} {told}");
    assert_eq!(files(home.path()), []);
}

#[test]
fn a_damaged_blob_never_gets_a_name() {
    let home = temp_dir();
    artifact(home.path(), "application/vnd.oci.empty.v1+json", &[("application/x-onnx", b"weights".to_vec(), &[(TITLE, "model.onnx")])]);
    let blob = home.path().join("art/blobs/sha256").join(modelcar::oci::Digest::of(b"weights").hex());
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, "weightz").unwrap();
    let (code, told) = failure(&mut fetch(home.path(), "oci:art:v1"));
    assert!(code == 3 && told.contains("`model.onnx` should have sha256:"), "{code} {told}");
    assert_eq!(files(home.path()), []);
}

#[test]
fn an_artifact_without_names_is_told_from_a_model() {
    let home = temp_dir();
    artifact(home.path(), "application/vnd.example.chart.v1+json", &[("application/x-chart", b"x".to_vec(), &[])]);
    let (code, told) = failure(&mut fetch(home.path(), "oci:art:v1"));
    assert!(code == 1 && told.contains("a layer of this `application/vnd.example.chart.v1+json` has no name"), "{told}");
}
