//! Whatever is wrong with the input: one clear message, the right exit code, and nothing half-written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{clean_command, lacks, modelcar, need, repo_root, temp_dir};

/// Runs a command and shows all that its user sees, with the parts that differ between machines replaced.
fn seen(command: &mut Command, home: &Path) -> String {
    let output = command.output().unwrap();
    let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home.display().to_string(), "[DIR]");
    let (out, err) = (clean(&output.stdout), clean(&output.stderr));
    format!("exit code: {}\n--- stdout\n{out}--- stderr\n{err}", output.status.code().unwrap())
}

fn build(home: &Path, model: &str) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).args(["build", "-t", "quay.io/org/model:v1", model]);
    command
}

/// Everything below a folder, to see that nothing was added.
fn listing(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(dir).into_iter().map(|entry| entry.unwrap().path().display().to_string()).collect();
    names.sort();
    names
}

/// An ONNX model with one external tensor: `w`, float32[4], 16 bytes at `location`.
pub fn onnx_with_external(location: &str) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let entry = |key: &str, value: &str| field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat());
    let tensor =
        [&[1 << 3, 4, 2 << 3, 1][..], &field(8, b"w"), &entry("location", location), &entry("length", "16"), &[14 << 3, 1]].concat();
    let graph = [field(2, b"g"), field(5, &tensor)].concat();
    let opset = [2 << 3, 17];
    [&[1 << 3, 8][..], &field(7, &graph), &field(8, &opset)].concat()
}

#[test]
fn a_bad_model_is_refused_by_name_and_nothing_is_written() {
    let home = temp_dir();
    let dir = home.path();
    let iris = fs::read(repo_root().join("testdata/models/iris/logreg_iris.onnx")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    fs::write(dir.join("zero.onnx"), b"").unwrap();
    fs::write(dir.join("truncated.onnx"), &iris[..iris.len() - 100]).unwrap();
    fs::write(dir.join("short.data"), [0; 15]).unwrap();
    fs::create_dir(dir.join("link")).unwrap();
    symlink("/etc/passwd", dir.join("link/model.onnx")).unwrap();
    for (name, location) in [("missing", "gone.data"), ("escaping", "../secret"), ("absolute", "/etc/passwd"), ("short", "short.data")] {
        fs::write(dir.join(format!("external-{name}.onnx")), onnx_with_external(location)).unwrap();
    }
    let before = listing(dir);
    let models = [
        "nothing.onnx",
        "empty",
        "zero.onnx",
        "truncated.onnx",
        "external-missing.onnx",
        "external-escaping.onnx",
        "external-absolute.onnx",
        "external-short.onnx",
        "link",
    ];
    let all: Vec<String> = models.iter().map(|model| format!("$ modelcar build {model}\n{}", seen(&mut build(dir, model), dir))).collect();
    insta::assert_snapshot!(all.join("\n\n"));
    assert_eq!(listing(dir), before, "nothing was written");
}

#[test]
fn an_unreadable_file_is_named() {
    let home = temp_dir();
    let model = home.path().join("model.onnx");
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), &model).unwrap();
    fs::set_permissions(&model, PermissionsExt::from_mode(0o000)).unwrap();
    let mut command = modelcar(home.path());
    if fs::read(&model).is_ok() {
        // root reads everything; only another user can show it
        let Some(setpriv) = need("setpriv") else { return };
        fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let binary = home.path().join("modelcar");
        fs::copy(env!("CARGO_BIN_EXE_modelcar"), &binary).unwrap();
        command = clean_command(setpriv, home.path());
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
    }
    command.args(["build", "--dry-run", "-t", "quay.io/o/m:v1"]).arg(&model);
    insta::assert_snapshot!(seen(&mut command, home.path()));
}

#[test]
fn wrong_usage_is_told_with_what_to_write_instead() {
    let home = temp_dir();
    let dir = home.path();
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), dir.join("m.onnx")).unwrap();
    let commands: [&[&str]; 9] = [
        &["build", "m.onnx", "-t", "quay.io/org/model"],
        &["build", "m.onnx", "-t", "model:v1"],
        &["build", "m.onnx", "-t", "quay.io/Org/model:v1"],
        &["build", "m.onnx", "--push"],
        &["build", "m.onnx", "-t", "quay.io/org/model:v1", "--push", "-o", "oci:x"],
        &["build", "m.onnx", "--runtime", "tomcat"],
        &["build", "m.onnx", "--platform", "linux/mips"],
        &["inspect", "oci:nowhere"],
        &["extract", "oci:nowhere:v1", "out"],
    ];
    let run = |words: &&[&str]| {
        let mut command = modelcar(dir);
        format!("$ modelcar {}\n{}", words.join(" "), seen(command.current_dir(dir).args(*words), dir))
    };
    insta::assert_snapshot!(commands.iter().map(run).collect::<Vec<_>>().join("\n\n"));
    assert_eq!(listing(dir).len(), 2, "nothing was written");
}

#[test]
fn a_registry_that_is_down_is_said_once_and_soon() {
    let home = temp_dir();
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), home.path().join("m.onnx")).unwrap();
    // A port that was free a moment ago, and nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = modelcar(home.path());
    command.current_dir(home.path()).args(["build", "m.onnx", "--push", "-t", &format!("127.0.0.1:{port}/org/model:v1")]);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"in [0-9.]+m?s", "in [TIME]");
    settings.bind(|| insta::assert_snapshot!(seen(&mut command, home.path()).replace(&port.to_string(), "[PORT]")));
}

#[test]
fn a_full_disk_leaves_no_half_layout() {
    let home = temp_dir();
    let small = home.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&small).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return lacks("the right to mount a tmpfs").unwrap_or(());
    }
    fs::write(home.path().join("model.bin"), vec![1; 3 << 20]).unwrap();
    let mut command = modelcar(home.path());
    command.current_dir(home.path()).args(["build", "model.bin", "-t", "quay.io/org/model:v1", "-o", "oci:small/layout"]);
    let text = seen(&mut command, home.path());
    let mut left: Vec<String> = listing(&small).into_iter().filter(|path| Path::new(path).is_file()).collect();
    left.retain(|path| !path.ends_with("oci-layout") && !path.ends_with("index.json"));
    let whole = left.iter().all(|path| {
        let digest = modelcar_digest(Path::new(path));
        path.ends_with(&digest)
    });
    let unmounted = Command::new("umount").arg(&small).output().unwrap();
    assert!(unmounted.status.success());
    assert!(whole, "only whole blobs are left: {left:?}");
    // Which blob met the end of the disk first depends on the threads.
    let digest = text.find("sha256:").map_or(String::new(), |at| text[at..at + 71].to_owned());
    insta::assert_snapshot!(if digest.is_empty() { text } else { text.replace(&digest, "[DIGEST]") });
}

fn modelcar_digest(path: &Path) -> String {
    modelcar::oci::Digest::of(&fs::read(path).unwrap()).hex()
}
