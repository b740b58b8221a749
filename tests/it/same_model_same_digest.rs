//! Same model, same options: same digest, whatever the machine did to the files; and the bytes are those of the golden layout.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::store::Access;
use modelcar::store::layout::LayoutStore;
use serde_json::json;

use crate::support::images::{BaseImage, put_docker_list};
use crate::support::{clean_command, modelcar, repo_root, run, stdout_of, temp_dir};

/// A model folder with a large file, small ones, an executable and a nested folder.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let onnx = fs::read(repo_root().join("testdata/models/iris/logreg_iris.onnx")).unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(|n| if n % 100_000 < 50_000 { [0; 1] } else { [(n % 251) as u8] }).collect();
    vec![
        ("model.onnx", onnx),
        ("weights/table.bin", large),
        ("config.json", b"{\"a\": 1}\n".to_vec()),
        ("labels/de.txt", "Größe\n".as_bytes().to_vec()),
        ("labels/en.txt", b"size\n".to_vec()),
        ("run.sh", b"#!/bin/sh\n".to_vec()),
    ]
}

fn write(dir: &Path, files: &[(&str, Vec<u8>)]) {
    for (path, bytes) in files {
        let file = dir.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, bytes).unwrap();
        if *path == "run.sh" {
            fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
}

/// The digest of the image of a model.
fn digest(model: &Path, prepare: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let home = temp_dir();
    let mut command = modelcar(home.path());
    command
        .args(["build", "--quiet", "-t", "quay.io/org/model:v1", "-o"])
        .arg(format!("oci:{}", home.path().join("out").display()))
        .arg(model);
    prepare(&mut command);
    let printed = stdout_of(&mut command);
    printed.trim().rsplit('@').next().unwrap().to_owned()
}

#[test]
fn one_digest_whatever_the_machine_did_to_the_files() {
    let dir = temp_dir();
    let plain = dir.path().join("plain");
    write(&plain, &files());
    let expected = digest(&plain, |command| command);
    assert!(expected.starts_with("sha256:"));

    for (name, other) in variants(dir.path()) {
        assert_eq!(digest(&other, |command| command), expected, "{name}");
    }
    assert_eq!(digest(&plain, |command| command.env("TZ", "Asia/Kathmandu").env("LC_ALL", "tr_TR.UTF-8")), expected, "time zone, locale");
    let under_umask = "umask 077; exec \"$0\" \"$@\"";
    let home = temp_dir();
    let mut command = clean_command("sh", home.path());
    command.args(["-c", under_umask, env!("CARGO_BIN_EXE_modelcar"), "build", "-q", "--dry-run", "-t", "quay.io/org/model:v1"]).arg(&plain);
    assert!(stdout_of(&mut command).trim().ends_with(&expected), "built under umask 077");
    assert_eq!(digest(Path::new("./plain"), |command| command.current_dir(dir.path())), expected, "a relative path");
}

/// The same files, made differently.
fn variants(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    let made = |name: &str| dir.join(name);
    let mut reversed = files();
    reversed.reverse();
    write(&made("another order"), &reversed);

    write(&made("other times"), &files());
    run(Command::new("find").arg(made("other times")).args(["-exec", "touch", "-d", "2001-02-03", "{}", "+"]));

    // The shell's own umask, for the writing; the build under it comes below.
    let script = "umask 077 && mkdir \"$1\" && cp -R \"$0/.\" \"$1\" && chmod -R go= \"$1\"";
    run(Command::new("sh").args(["-c", script]).arg(made("plain")).arg(made("umask 077")));

    symlink(made("plain"), made("symlinked path")).unwrap();

    hugging_face_cache(&made("models--org--model"));

    run(Command::new("cp").args(["-r", "--sparse=always"]).arg(made("plain")).arg(made("sparse copy")));

    write(&made("hard links"), &files());
    fs::hard_link(made("hard links/config.json"), dir.join("second name")).unwrap();

    ["another order", "other times", "umask 077", "symlinked path", "models--org--model/snapshots/0a1b", "sparse copy", "hard links"]
        .map(|name| (name, made(name)))
        .to_vec()
}

/// A snapshot of the Hugging Face cache: every file is a link to a blob named by its hash.
fn hugging_face_cache(dir: &Path) {
    let snapshot = dir.join("snapshots/0a1b");
    for (number, (path, bytes)) in files().into_iter().enumerate() {
        let blob = format!("blobs/{number:064x}");
        write(dir, &[(&blob, bytes)]);
        if path == "run.sh" {
            fs::set_permissions(dir.join(&blob), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let link = snapshot.join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(Path::new(&"../".repeat(2 + path.matches('/').count())).join(blob), link).unwrap();
    }
}

#[test]
fn a_changed_byte_an_option_or_an_epoch_is_another_digest() {
    let dir = temp_dir();
    write(dir.path(), &files());
    let original = digest(dir.path(), |command| command);
    let others = [
        digest(dir.path(), |command| command.env("SOURCE_DATE_EPOCH", "1700000000")),
        digest(dir.path(), |command| command.args(["--label", "a=b"])),
        digest(dir.path(), |command| command.args(["--annotation", "a=b"])),
        digest(dir.path(), |command| command.args(["--runtime", "raw"])),
        digest(dir.path(), |command| command.args(["--platform", "linux/amd64"])),
        digest(dir.path(), |command| command.args(["--base", "none"])),
        {
            fs::write(dir.path().join("config.json"), "{\"a\": 2}\n").unwrap();
            digest(dir.path(), |command| command)
        },
    ];
    let mut all: Vec<&String> = others.iter().chain([&original]).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), others.len() + 1, "{all:?}");
}

#[test]
fn the_place_of_a_base_is_no_part_of_the_image() {
    let home = temp_dir();
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    for dir in ["one", "two"] {
        let store = LayoutStore::open(&home.path().join(dir), Access::Write).unwrap();
        let base = BaseImage { architecture: "amd64", programs: &[("sh", b"\x7fELF")], links: &["ls"], config: json!({"User": "1001"}) };
        put_docker_list(&store, &[base], "quay.io/org/base:v1");
    }
    let absolute = format!("oci:{}:quay.io/org/base:v1", home.path().join("two").display());
    let on = |base: &str| digest(&model, |command| command.current_dir(home.path()).args(["--base", base]));
    assert_eq!(on("oci:one:quay.io/org/base:v1"), on(&absolute));
}

#[test]
fn the_tag_is_no_part_of_the_image() {
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let home = temp_dir();
    let build = |tag: &str| stdout_of(modelcar(home.path()).args(["build", "--dry-run", "-q", "-t", tag]).arg(&model));
    let digest = |printed: String| printed.trim().rsplit('@').next().unwrap().to_owned();
    assert_eq!(digest(build("quay.io/org/a:v1")), digest(build("registry.example.com/other/b:v2")));
}

#[test]
fn a_dry_run_tells_the_digest_and_writes_nothing() {
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let home = temp_dir();
    let mut command = modelcar(home.path());
    let printed = stdout_of(command.current_dir(home.path()).args(["build", "-q", "--dry-run", "-t", "quay.io/org/m:v1"]).arg(&model));
    assert_eq!(printed.trim().rsplit('@').next().unwrap(), digest(&model, |command| command));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

/// Every file of a layout by its path.
fn layout(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files.insert(path.strip_prefix(dir).unwrap().display().to_string(), fs::read(path).unwrap());
        }
    }
    files
}

/// `UPDATE_GOLDEN=1 cargo test golden` writes it anew; look at the difference before you commit it.
#[test]
fn the_golden_layout_is_built_byte_for_byte() {
    let golden = repo_root().join("tests/golden/iris.oci");
    let home = temp_dir();
    let built = home.path().join("built");
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    run(modelcar(home.path())
        .args(["build", "-q", "-t", "quay.io/modelcar/iris:v1", "-o"])
        .arg(format!("oci:{}", built.display()))
        .arg(model));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let _ = fs::remove_dir_all(&golden);
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        run(Command::new("cp").arg("-r").arg(&built).arg(&golden));
    }
    let (expected, found) = (layout(&golden), layout(&built));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (path, bytes) in &expected {
        assert!(bytes == &found[path], "{path} differs");
    }
}
