//! What would go wrong later is said before anything is written, and what was allowed all the same is on the image.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use modelcar::model::lint::rules::RULES;

use crate::support::registry::Registry;
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";

/// A folder `m` with a real ONNX model and these files beside it.
fn model(home: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(home.join("m")).unwrap();
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), home.join("m/net.onnx")).unwrap();
    for (path, content) in files {
        fs::write(home.join("m").join(path), content).unwrap();
    }
}

/// Two errors, two warnings and a piece of advice.
const BAD: [(&str, &str); 4] =
    [("a.safetensors", ""), ("b.bin", POINTER), ("config.json", "{\"vocab\": \"/home/ann/v.txt\", \"auto_map\": {}}"), ("notes.txt", "")];

fn command(home: &Path, words: &[&str]) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).args(words);
    command
}

/// The command line and all that its user sees.
fn seen(home: &Path, words: &[&str]) -> String {
    let output = command(home, words).output().unwrap();
    let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home.display().to_string(), "[DIR]");
    let (out, err) = (clean(&output.stdout), clean(&output.stderr));
    format!("$ modelcar {}\nexit code: {}\n--- stdout\n{out}--- stderr\n{err}", words.join(" "), output.status.code().unwrap())
}

fn all_seen(home: &Path, commands: &[&[&str]]) -> String {
    commands.iter().map(|words| seen(home, words)).collect::<Vec<_>>().join("\n")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn inspect_and_build_tell_scripts_and_people_what_was_decided() {
    let home = temp_dir();
    model(home.path(), &[("a.safetensors", ""), ("other.onnx", "")]);
    let iris = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    fs::copy(&iris, home.path().join("m/other.onnx")).unwrap();
    let shown = seen(home.path(), &["inspect", "m", "--runtime", "ovms"]);
    assert!(shown.contains("no server is sure to load the folder as it is") && !shown.contains("as asked for"), "{shown}");
    let words = ["build", "-q", "m", "--dry-run", "--format", "json", "--runtime", "raw", "--allow", "empty-file"];
    let built: serde_json::Value = serde_json::from_str(&stdout_of(&mut command(home.path(), &words))).unwrap();
    let expected = serde_json::json!(["onnx", "raw", [], ["empty-file"], ["linux/amd64", "linux/arm64"]]);
    let told = serde_json::json!(["format", "runtime", "args", "allowed", "platforms"].map(|key| &built[key]));
    assert_eq!(told, expected, "{built}");
}

#[test]
fn findings_are_a_table_with_reasons_and_totals() {
    let home = temp_dir();
    model(home.path(), &BAD);
    fs::write(home.path().join("damaged.onnx"), "not a model").unwrap();
    fs::write(home.path().join("pointer.onnx"), POINTER).unwrap();
    let iris = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    fs::copy(iris, home.path().join("good.onnx")).unwrap();
    insta::assert_snapshot!(all_seen(
        home.path(),
        &[
            &["lint", "good.onnx"],
            &["lint", "m"],
            &["lint", "m", "--allow", "empty-file,lfs-pointer"],
            &["lint", "m", "--allow", "empty-file,lfs-pointer", "--strict"],
            &["lint", "damaged.onnx"],
            &["lint", "pointer.onnx", "--allow", "lfs-pointer"],
            &["lint", "m", "--runtime", "vllm"],
            &["lint", "nothing"],
        ]
    ));
}

#[test]
fn rules_are_explained() {
    let home = temp_dir();
    insta::assert_snapshot!(all_seen(home.path(), &[&["lint", "--rules"], &["lint", "--explain", "realpath-trap"]]));
}

#[test]
fn wrong_words_are_told_with_the_right_ones() {
    let home = temp_dir();
    model(home.path(), &[]);
    let commands: [&[&str]; 7] = [
        &["lint"],
        &["lint", "m", "--allow", "pickles"],
        &["lint", "m", "--allow", "unreadable"],
        &["lint", "--explain", "everything"],
        &["lint", "m", "--delivery", "post"],
        &["lint", "m", "--kserve", "1.0"],
        &["build", "m", "--allow", "pickle,everything"],
    ];
    insta::assert_snapshot!(all_seen(home.path(), &commands));
}

#[test]
fn the_same_model_is_judged_by_server_delivery_and_platform() {
    let home = temp_dir();
    fs::write(home.path().join("net.onnx"), crate::bad_input::onnx_with_external("net.data")).unwrap();
    fs::write(home.path().join("net.data"), [0; 16]).unwrap();
    let commands: [&[&str]; 4] = [
        &["lint", "--onnx-external=keep", "net.onnx"],
        &["lint", "--onnx-external=keep", "net.onnx", "--kserve", "rhoai-3.3"],
        &["lint", "--onnx-external=keep", "net.onnx", "--kserve", "rhoai-3.4", "--delivery", "modelcar"],
        &["lint", "--onnx-external=keep", "net.onnx", "--delivery", "native,fetch"],
    ];
    insta::assert_snapshot!(all_seen(home.path(), &commands));
}

#[test]
fn scripts_read_all_of_it() {
    let home = temp_dir();
    model(home.path(), &BAD);
    let output = command(home.path(), &["lint", "m", "--format", "json", "--allow", "lfs-pointer", "--kserve", "0.20"]).output().unwrap();
    assert_eq!(code(&output), 3);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn a_model_that_lint_refuses_is_not_built() {
    let home = temp_dir();
    model(home.path(), &BAD);
    insta::assert_snapshot!(seen(home.path(), &["build", "m", "-t", "quay.io/org/model:latest", "-o", "oci:out"]));
    assert!(!home.path().join("out").exists());
    let quiet = command(home.path(), &["build", "-q", "m", "-o", "oci:out"]).output().unwrap();
    let told = String::from_utf8(quiet.stderr).unwrap();
    assert!(told.contains("error[lfs-pointer]") && !told.contains("warning["), "{told}");
}

#[test]
fn what_was_allowed_is_on_the_image_and_only_that() {
    let home = temp_dir();
    model(home.path(), &BAD);
    let allowed = |words: &[&str]| {
        run(command(home.path(), &["build", "m", "-o", "oci:out:v1"]).args(words));
        let image: serde_json::Value =
            serde_json::from_str(&stdout_of(&mut command(home.path(), &["inspect", "oci:out:v1", "--format", "json"]))).unwrap();
        image["annotations"]["io.modelcar.lint.allowed"].as_str().map(str::to_owned)
    };
    let both = ["--allow", "lfs-pointer,empty-file", "--allow-pickle", "--allow", "case-clash"];
    assert_eq!(allowed(&both).as_deref(), Some("empty-file,lfs-pointer"), "sorted, and without what was not needed");
    fs::remove_file(home.path().join("m/a.safetensors")).unwrap();
    fs::remove_file(home.path().join("m/b.bin")).unwrap();
    assert_eq!(allowed(&both), None);
}

#[test]
fn a_site_that_cannot_load_the_model_gets_nothing() {
    let home = crate::the_whole_way::bench();
    model(home.path(), &[("w.bin", POINTER)]);
    let words = ["ship", "m", "oci:out:quay.io/org/iris:v1", "--key", "cosign.key", "--gitops", "gitops", "--site", "s1", "--name", "iris"];
    let ship = |more: &[&str]| crate::the_whole_way::command(home.path()).args(words).args(more).output().unwrap();
    for more in [&[][..], &["--dry-run"]] {
        let output = ship(more);
        assert_eq!(code(&output), 3);
        assert!(String::from_utf8_lossy(&output.stderr).contains("lint refuses the model: lfs-pointer"));
        assert!(!home.path().join("out").exists() && !home.path().join("gitops/sites").exists());
    }
    assert_eq!(code(&ship(&["--allow", "lfs-pointer"])), 0);
}

#[test]
fn the_model_in_an_image_is_judged_where_it_lies() {
    let home = temp_dir();
    model(home.path(), &BAD);
    let allow = ["--allow", "lfs-pointer,empty-file"];
    run(command(home.path(), &["build", "m", "-t", "quay.io/org/model:latest", "-o", "oci:out", "--runtime", "triton"]).args(allow));
    // What is read must not depend on what the model's folder is now.
    fs::remove_dir_all(home.path().join("m")).unwrap();
    let commands: [&[&str]; 3] =
        [&["lint", "out"], &["lint", "oci:out", "--allow", "lfs-pointer,empty-file", "--kserve", "0.20"], &["lint", "oci:nowhere"]];
    insta::assert_snapshot!(all_seen(home.path(), &commands));
}

#[test]
fn an_image_is_judged_alike_in_an_archive_and_in_a_registry() {
    let Some(registry) = Registry::start() else { return };
    let home = temp_dir();
    model(home.path(), &[("config.json", r#"{"vocab_file": "/home/ann/v.txt"}"#)]);
    let pushed = format!("{}/org/m:v1", registry.host);
    run(&mut command(home.path(), &["build", "m", "-o", "oci-archive:m.tar:v1"]));
    run(&mut command(home.path(), &["push", "oci-archive:m.tar:v1", &pushed]));
    let in_archive = stdout_of(&mut command(home.path(), &["lint", "oci-archive:m.tar:v1"]));
    assert!(in_archive.contains("absolute-path  1/config.json  names /home/ann/v.txt"), "{in_archive}");
    assert_eq!(stdout_of(&mut command(home.path(), &["lint", &pushed])), in_archive);
}

/// A table of every rule, for the page of the documentation.
fn table() -> String {
    let mut text = "| rule | | why | what to do |\n|---|---|---|---|\n".to_owned();
    for rule in RULES {
        let why = rule.link.map_or_else(|| rule.why.to_owned(), |link| format!("{} ([more]({link}))", rule.why));
        writeln!(text, "| `{}` | {} | {why} | {} |", rule.id, rule.severity, rule.fix).unwrap();
    }
    text
}

#[test]
fn the_page_lists_every_rule() {
    let path = repo_root().join("docs/lint.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("cargo test --test it lint` -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of rules -->").unwrap();
    let expected = format!("{before}cargo test --test it lint` -->\n{}<!-- end of rules -->{after}", table());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, expected).unwrap();
    } else {
        assert!(page == expected, "docs/lint.md is behind: UPDATE_GOLDEN=1 cargo test --test it lint");
    }
}
