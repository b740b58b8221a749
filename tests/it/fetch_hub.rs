//! `modelcar fetch hf://…`: by commit, proved, resumed, and with the token for the hub alone.

use std::path::Path;
use std::process::Command;

use crate::support::hub::{COMMIT, File, Hub};
use crate::support::{modelcar, need_python_with, run, stdout_of, temp_dir};

fn weights() -> Vec<u8> {
    (0..3_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect()
}

fn files() -> Vec<File> {
    let file = |path, content: &[u8]| File { path, content: content.to_vec() };
    vec![
        file(".gitattributes", b"*.onnx filter=lfs\n"),
        file("config.json", b"{}\n"),
        file("onnx/a b.txt", b"hello\n"),
        File { path: "onnx/model.onnx", content: weights() },
        file("empty", b""),
    ]
}

fn fetch(home: &Path, hub: &Hub, source: &str) -> Command {
    let mut command = modelcar(home);
    command.env("HF_ENDPOINT", &hub.url).args(["fetch", source]).arg(home.join("out"));
    command
}

/// Everything but the corner of the record.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file() && !entry.path().components().any(|part| part.as_os_str() == ".cache"));
    files
        .map(|entry| (entry.path().strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

fn expected(but: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = files().into_iter().map(|file| (file.path.to_owned(), file.content)).collect();
    all.retain(|(path, _)| !but.contains(&path.as_str()));
    all.sort();
    all
}

fn failure(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_model_of_the_hub_comes_by_its_commit_and_only_once() {
    let (home, hub) = (temp_dir(), Hub::start(files(), None));
    let json =
        stdout_of(fetch(home.path(), &hub, "hf://org/model").args(["--format", "json", "--tekton-results"]).arg(results(home.path())));
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["source_uri"], format!("hf://org/model@{COMMIT}"));
    assert_eq!(told["files"].as_array().unwrap().len(), 4);
    assert_eq!(tree(&home.path().join("out")), expected(&[".gitattributes"]));
    let result = |name: &str| std::fs::read_to_string(home.path().join("results").join(name)).unwrap();
    assert_eq!(result("MODEL_PATH"), home.path().join("out").display().to_string());
    assert_eq!(result("SOURCE_URI"), format!("hf://org/model@{COMMIT}"));
    assert_eq!(result("SOURCE_DIGEST"), told["source_digest"].as_str().unwrap());
    let inputs: serde_json::Value = serde_json::from_str(&result("MODEL_ARTIFACT_INPUTS")).unwrap();
    assert_eq!((&inputs["uri"], &inputs["digest"]), (&told["source_uri"], &told["source_digest"]));
    assert_eq!(told["source_digest"].as_str().unwrap(), by_sha256sum(&home.path().join("out")));

    let before = hub.seen().len();
    let again = run(&mut fetch(home.path(), &hub, "hf://org/model"));
    assert!(String::from_utf8_lossy(&again.stderr).contains("nothing to do: 4 files"));
    assert!(hub.seen()[before..].iter().all(|request| request.contains("/api/")), "{:?}", &hub.seen()[before..]);
}

fn results(home: &Path) -> std::path::PathBuf {
    let folder = home.join("results");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// As docs/fetch.md tells people to compute it.
fn by_sha256sum(dir: &Path) -> String {
    let script = "find . -type f -not -path './.cache/*' -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64";
    format!("sha256:{}", stdout_of(Command::new("sh").args(["-c", script]).current_dir(dir)).trim())
}

#[test]
fn a_part_of_a_model_comes_without_the_folders_above_it() {
    let (home, hub) = (temp_dir(), Hub::start(files(), None));
    run(&mut fetch(home.path(), &hub, "hf://org/model@main/onnx"));
    assert_eq!(tree(&home.path().join("out")).iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["a b.txt", "model.onnx"]);
    // What an earlier run brought goes when it is no longer wanted; what somebody else put there stays.
    std::fs::write(home.path().join("out/own.txt"), "mine").unwrap();
    let output = run(fetch(home.path(), &hub, "hf://org/model@main/onnx").args(["--exclude", "*.txt"]));
    assert_eq!(tree(&home.path().join("out")).iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["model.onnx", "own.txt"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("removed `a b.txt`") && told.contains("also holds a file that the source does not have, such as `own.txt`"),
        "{told}"
    );
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (home, hub) = (temp_dir(), Hub::start(files(), None));
    hub.store.lock().unwrap().cuts = vec![1_000_000, 500_000];
    run(&mut fetch(home.path(), &hub, "hf://org/model"));
    assert_eq!(tree(&home.path().join("out")), expected(&[".gitattributes"]));
    let ranges = hub.store.lock().unwrap().ranges.clone();
    assert_eq!(ranges.len(), 3, "{ranges:?}");
    let begins = |range: &Option<String>| range.as_deref().map(|text| text["bytes=".len()..].trim_end_matches('-').parse::<u32>().unwrap());
    let (first, second) = (begins(&ranges[1]).unwrap(), begins(&ranges[2]).unwrap());
    assert!(ranges[0].is_none() && first > 0 && first <= 1_000_000 && second > first && second <= 1_500_000, "{ranges:?}");
}

#[test]
fn the_next_run_goes_on_with_what_a_killed_one_left() {
    let (home, hub) = (temp_dir(), Hub::start(files(), None));
    hub.store.lock().unwrap().cuts = vec![2_000_000, 0, 0, 0, 0, 0, 0];
    let (code, told) = failure(&mut fetch(home.path(), &hub, "hf://org/model"));
    assert!(code == 1 && told.contains("broke off") && told.contains("run the same command again"), "{told}");
    assert_eq!(tree(&home.path().join("out")), [], "nothing has its name before all is there");
    hub.store.lock().unwrap().cuts.clear();
    run(&mut fetch(home.path(), &hub, "hf://org/model"));
    assert_eq!(tree(&home.path().join("out")), expected(&[".gitattributes"]));
    let last = hub.store.lock().unwrap().ranges.last().cloned().flatten();
    assert!(last.is_some(), "the last request asked for the rest alone");
}

#[test]
fn other_bytes_than_the_hub_promises_never_get_a_name() {
    let (home, hub) = (temp_dir(), Hub::start(files(), None));
    hub.store.lock().unwrap().lies = true;
    let (code, told) = failure(&mut fetch(home.path(), &hub, "hf://org/model"));
    assert!(code == 3 && told.contains("`onnx/model.onnx` should have sha256:"), "{code} {told}");
    assert_eq!(tree(&home.path().join("out")), []);
    assert_eq!(hub.store.lock().unwrap().ranges.len(), 1, "a lie is not asked for twice");
}

#[test]
fn the_token_is_for_the_hub_and_not_for_its_store() {
    let (home, hub) = (temp_dir(), Hub::start(files(), Some("hf_CANARY")));
    let (code, told) = failure(&mut fetch(home.path(), &hub, "hf://org/model"));
    assert!(code == 1 && told.contains("status 401") && told.contains("HF_TOKEN"), "{told}");
    std::fs::write(home.path().join("token"), "hf_CANARY\n").unwrap();
    let output = run(fetch(home.path(), &hub, "hf://org/model").arg("-vv").arg("--token-file").arg(home.path()));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("CANARY"));
    let authorizations = hub.store.lock().unwrap().authorizations.clone();
    assert_eq!(authorizations, [None]);
}

#[test]
fn a_dry_run_lists_and_writes_nothing() {
    let (home, hub) = (temp_dir(), Hub::start(files(), None));
    let listed = stdout_of(fetch(home.path(), &hub, "hf://org/model").args(["--dry-run", "--include", "onnx/"]));
    assert_eq!(listed, "       6 B  onnx/a b.txt\n   2.9 MiB  onnx/model.onnx\n");
    assert!(!home.path().join("out").exists());
}

/// The hub's own client downloads the same from the stand-in, so that the stand-in is no fiction of ours.
#[test]
fn the_hubs_own_client_gets_the_same_files() {
    let Some(mut python) = need_python_with("huggingface-hub") else { return };
    let (home, hub) = (temp_dir(), Hub::start(files(), Some("hf_token")));
    let script =
        "import sys; from huggingface_hub import snapshot_download as d; print(d('org/model', local_dir=sys.argv[1], token='hf_token'))";
    let theirs = home.path().join("theirs");
    python.env("HF_ENDPOINT", &hub.url).env("HF_HUB_DISABLE_XET", "1").env("HF_HUB_DISABLE_TELEMETRY", "1").env("HOME", home.path());
    run(python.args(["-c", script]).arg(&theirs));
    assert_eq!(tree(&theirs), expected(&[]));
    run(fetch(home.path(), &hub, "hf://org/model").env("HF_TOKEN", "hf_token"));
    assert_eq!(tree(&home.path().join("out")), expected(&[".gitattributes"]));
}
