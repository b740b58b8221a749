//! A model with its external data taken in is the same model: every byte of every tensor, the checker's consent, the same outputs.

use std::path::Path;
use std::process::Command;

use crate::support::{modelcar, need_python, repo_root, run, stdout_of, temp_dir};

/// Builds a model and unpacks the image.
fn through_the_image(home: &Path, source: &Path, name: &str) -> std::path::PathBuf {
    let (layout, target) = (format!("oci:{}", home.join(format!("{name}.oci")).display()), home.join(format!("{name}.out")));
    run(modelcar(home).args(["build", "-q", "--runtime", "raw", "--onnx-external", "inline", "-o", &layout]).arg(source));
    run(modelcar(home).args(["extract", "-q", &layout]).arg(&target));
    target
}

#[test]
fn wherever_tensors_hide_the_reference_implementation_finds_the_same_in_the_image() {
    let Some(python) = need_python() else { return };
    let home = temp_dir();
    let (models, peers) = (home.path().join("models"), repo_root().join("tests/peers"));
    let script = |arguments: &[&std::ffi::OsStr]| stdout_of(Command::new(&python).arg(peers.join("external_models.py")).args(arguments));
    let names = script(&["make".as_ref(), models.as_os_str()]);
    assert!(names.lines().count() >= 9, "{names}");
    for name in names.lines() {
        let (source, target) = (models.join(name), home.path().join(format!("{name}.out")));
        through_the_image(home.path(), &source, name);
        let files: Vec<_> = target.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(files.iter().all(|file| Path::new(file).extension().is_some_and(|ending| ending == "onnx")), "{name}: {files:?}");
        let compared = script(&["compare".as_ref(), source.as_os_str(), target.as_os_str()]);
        assert_eq!(compared.trim(), files.len().to_string(), "{name}");
        for file in files {
            let predict = |folder: &Path| {
                let script = peers.join("predict.py");
                stdout_of(Command::new(&python).arg(script).args(["onnxruntime", "1.32.0"]).arg(folder.join(&file)))
            };
            let expected = predict(&source);
            assert!(expected.starts_with("float32 (1, 8) "), "{expected}");
            assert_eq!(predict(&target), expected, "{name}/{}", file.display());
        }
    }
}
