//! KServe's modelcar link breaks external data on most servers, and a model with its data inside loads on all of them.
//!
//! The link leads to `/proc/PID/root/models`; who resolves it gets `/models`, which the server's container does not have. The mount is
//! a real one: a process with a root of its own, as a container has (tests/peers/modelcar_mount.py).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{lacks, modelcar, need_python, need_python_with, repo_root, run, stdout_of, temp_dir};

/// What modelcar_mount.py exits with where the kernel allows no namespaces.
const NOT_ALLOWED: i32 = 77;

/// A server's library, and whether it finds external data through the link.
struct Library {
    name: &'static str,
    version: &'static str,
    /// What it says where it does not.
    fails_with: Option<&'static str>,
}

const LIBRARIES: [Library; 4] = [
    Library { name: "onnxruntime", version: "1.23.2", fails_with: None },
    Library { name: "onnxruntime", version: "1.32.0", fails_with: Some("weakly canonical path") },
    Library { name: "openvino", version: "2026.1.0", fails_with: None },
    Library { name: "openvino", version: "2026.4.1", fails_with: Some("cannot make canonical path") },
];

impl Library {
    /// A Python that imports this version.
    fn python(&self) -> Option<Command> {
        match self.fails_with {
            None => need_python_with(&format!("{}-{}", self.name, self.version)),
            Some(_) => need_python().map(Command::new),
        }
    }

    fn predict(&self, command: &mut Command, model: &Path) -> Output {
        let script = repo_root().join("tests/peers/predict.py");
        command.arg(script).args([self.name, self.version]).arg(model).output().unwrap()
    }

    /// Loads the model of a root file system through the link.
    fn predict_through_link(&self, root: &Path, link: &Path) -> Option<Output> {
        let mut python = self.python()?;
        let program = python.get_program().to_owned();
        python.arg(repo_root().join("tests/peers/modelcar_mount.py")).args([root, link]).arg(program);
        Some(self.predict(&mut python, &link.join("1/model.onnx")))
    }
}

/// The root file system of the image of a model, as far as the model goes.
fn rootfs(home: &Path, model: &Path, external: &str) -> PathBuf {
    let (layout, root) = (format!("oci:{}", home.join(format!("{external}.oci")).display()), home.join(external));
    run(modelcar(home).args(["build", "-q", "--runtime", "ovms", "--onnx-external", external, "-o", &layout]).arg(model));
    run(modelcar(home).args(["extract", "-q", &layout]).arg(root.join("models")));
    root
}

#[test]
fn external_data_are_lost_behind_the_link_and_inlined_data_are_not() {
    let Some(python) = need_python() else { return };
    let home = temp_dir();
    let models = home.path().join("made");
    stdout_of(Command::new(python).arg(repo_root().join("tests/peers/external_models.py")).arg("make").arg(&models));
    let source = models.join("initializers");
    let (kept, inlined) = (rootfs(home.path(), &source, "keep"), rootfs(home.path(), &source, "auto"));
    let link = home.path().join("mnt_models");
    for library in &LIBRARIES {
        let Some(mut python) = library.python() else { continue };
        let expected = library.predict(&mut python, &source.join("model.onnx"));
        let said = String::from_utf8_lossy(&expected.stdout).into_owned();
        assert!(said.starts_with("float32 (1, 8) "), "{} {}: {expected:?}", library.name, library.version);

        let Some(trapped) = library.predict_through_link(&kept, &link) else { continue };
        if trapped.status.code() == Some(NOT_ALLOWED) {
            return lacks("a mount namespace (root)").unwrap_or_default();
        }
        assert_trap(library, &trapped, &said);

        let Some(found) = library.predict_through_link(&inlined, &link) else { continue };
        assert!(found.status.success(), "{} {}: {}", library.name, library.version, String::from_utf8_lossy(&found.stderr));
        assert_eq!(String::from_utf8_lossy(&found.stdout), said, "{} {}", library.name, library.version);
    }
}

/// The un-inlined model: where no library failed, this test would prove nothing.
#[track_caller]
fn assert_trap(library: &Library, output: &Output, expected: &str) {
    let Library { name, version, fails_with } = library;
    let errors = String::from_utf8_lossy(&output.stderr);
    match fails_with {
        None => assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name} {version}: {errors}"),
        Some(words) => {
            assert!(!output.status.success(), "{name} {version} loads external data through the link now");
            assert!(errors.contains(words), "{name} {version}: {errors}");
        }
    }
}
