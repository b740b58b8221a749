//! `modelcar verify` as its user sees it: the tables, the exit codes, the document for scripts, and that offline is offline.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{clean_command, modelcar, peer, repo_root, run, stdout_of, temp_dir};

const NAME: &str = "quay.io/org/iris:v1";

/// A home with a key pair and an image of the iris model in the layout `image`.
struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { home: temp_dir() };
        run(bench.modelcar().args(["keygen", "-q", "--output-key-prefix", "a"]));
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        run(bench.modelcar().args(["build", "-q", "-t", NAME, "-o", "oci:image"]).arg(model));
        bench
    }

    fn signed() -> Self {
        let bench = Self::new();
        run(bench.modelcar().args(["sign", "-q", "oci:image", "--key", "a.key"]));
        bench
    }

    fn modelcar(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "correct horse");
        command
    }

    fn verify(&self, words: &[&str]) -> Output {
        self.modelcar().args(["verify", "--key", "a.pub"]).args(words).output().unwrap()
    }

    /// What is said, without what changes from run to run.
    fn said(&self, output: &Output) -> String {
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let key = stdout_of(self.modelcar().args(["verify", "oci:image", "--key", "a.pub", "--format", "json", "--identity", NAME]));
        let key: Value = serde_json::from_str(&key).unwrap();
        let hint = key["manifests"][0]["classic"][0]["detail"]["key"].as_str().unwrap_or("no key").to_owned();
        text.replace(&hint[..hint.len().min(12)], "[KEY]").replace(self.home.path().to_str().unwrap(), "[DIR]")
    }
}

fn snapshot(name: &str, text: &str) {
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\(\d+\.\d s\)", "([TIME])");
        settings.add_filter("sha256:[0-9a-f]{64}", "sha256:[DIGEST]");
        settings.add_filter(r"(?m)^ [0-9a-f]{12} ", " [DIGEST]     ");
        settings.add_filter(r": [0-9a-f]{12}(:| \()", ": [DIGEST]$1");
        settings
    };
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn the_tables_tell_what_is_there_and_who_takes_it() {
    let bench = Bench::signed();
    let cases: [(&str, &[&str], i32); 5] = [
        ("default", &["oci:image"], 0),
        ("all", &["oci:image", "--consumer", "all"], 3),
        ("another_name", &["oci:image", "--identity", "quay.io/org/iris:prod"], 3),
        ("what_is_missing", &["oci:image", "--consumer", "cosign-v4,quay", "--require", "sbom,provenance", "--layers"], 3),
        ("layers", &["oci:image", "--layers"], 0),
    ];
    for (name, words, code) in cases {
        let output = bench.verify(words);
        assert_eq!(output.status.code(), Some(code), "{name}: {output:?}");
        snapshot(&format!("verify_{name}"), &bench.said(&output));
    }
}

#[test]
fn an_unsigned_image_is_refused_for_everybody() {
    let bench = Bench::new();
    let output = bench.verify(&["oci:image"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    snapshot("verify_unsigned", &text);
}

#[test]
fn an_image_without_a_name_is_said_to_be_compared_with_none() {
    let bench = Bench::signed();
    let layout = bench.home.path().join("image/index.json");
    let index = fs::read_to_string(&layout).unwrap();
    fs::write(&layout, index.replace(NAME, "renamed")).unwrap();
    let output = bench.verify(&["oci:image:renamed"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no name was compared: give --identity REGISTRY/REPOSITORY:TAG"), "{said}");
    let identity = |words: &[&str]| {
        let output = bench.verify(&[&["oci:image:renamed", "--format", "json"], words].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["identity"].clone()
    };
    assert_eq!(identity(&[]), Value::Null);
    assert_eq!(identity(&["--identity", NAME]), NAME);
    let named = bench.verify(&["oci:image:renamed", "--identity", NAME]);
    assert!(!String::from_utf8_lossy(&named.stderr).contains("no name"), "{named:?}");
}

#[test]
fn of_an_index_that_alone_is_signed_the_platforms_are_told() {
    let bench = Bench::new();
    run(bench.modelcar().args(["sign", "-q", "oci:image", "--key", "a.key", "--no-recursive"]));
    for consumer in ["openshift", "cosign"] {
        let output = bench.verify(&["oci:image", "--consumer", consumer]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("hint: the index is signed and its platforms are not") && said.contains("--recursive"), "{said}");
    }
}

#[test]
fn wrong_words_are_told_with_the_right_ones() {
    let bench = Bench::signed();
    let cases: [&[&str]; 4] = [
        &["oci:image", "--consumer", "cosign-v5"],
        &["oci:image", "--require", "bom"],
        &["quay.io/org/iris:v1", "--offline"],
        &["oci:image", "--consumer", ""],
    ];
    let said = cases.map(|words| {
        let output = bench.verify(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    });
    snapshot("verify_wrong_words", &said.join("\n---\n"));
}

#[test]
fn scripts_read_all_of_it() {
    let bench = Bench::signed();
    let output = bench.verify(&["oci:image", "--format", "json", "--layers", "--require", "sbom"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verified"], false);
    assert_eq!(report["required"][0]["attestation"], "sbom");
    assert_eq!(report["required"][0]["met_by"], Value::Null);
    assert_eq!(report["layers"]["blobs"], 5);
    let consumers = report["consumers"].as_array().unwrap();
    assert_eq!(consumers.len(), 9, "all of them, whoever is named");
    let named: Vec<&str> = consumers.iter().filter(|it| it["named"] == true).map(|it| it["consumer"].as_str().unwrap()).collect();
    assert_eq!(named, ["openshift", "cosign-v3"]);
    let conforma = consumers.iter().find(|it| it["consumer"] == "conforma").unwrap();
    assert_eq!(conforma["refusals"][0]["reason"], "no SLSA provenance by the same signer");
    assert!(conforma["refusals"][0]["remedy"].as_str().unwrap().contains("modelcar attest"));
    let index = &report["manifests"][0];
    assert_eq!(index["signature_tag"]["present"], true);
    for format in ["classic", "bundle"] {
        assert_eq!((&index[format][0]["says"], &index[format][0]["verdict"]), (&"signature".into(), &"accepted".into()));
        assert_eq!(index[format][0]["detail"]["algorithm"], "ECDSA P-256 and SHA-256");
    }
    assert_eq!(index["classic"][0]["detail"]["identity"], NAME);
}

#[test]
fn a_changed_layer_is_found_only_where_layers_are_read() {
    let bench = Bench::signed();
    let blobs = fs::read_dir(bench.home.path().join("image/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let largest = blobs.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    assert_eq!(bench.verify(&["oci:image"]).status.code(), Some(0));
    let output = bench.verify(&["oci:image", "--layers"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("blob sha256:{} cannot be read", largest.file_name().unwrap().to_str().unwrap())), "{said}");
}

/// Whatever asks a proxy is heard by the listener; where the system lets us, there is no network at all.
#[test]
fn offline_makes_no_connection() {
    let bench = Bench::signed();
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", canary.local_addr().unwrap());
    let words = ["verify", "oci:image", "--key", "a.pub", "--offline", "--layers", "--consumer", "openshift,cosign-v4"];
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    run(bench.modelcar().args(words).envs(names.map(|name| (name, &proxy))));
    assert!(canary.accept().is_err(), "somebody called");

    let Some(unshare) = peer("unshare") else { return };
    let alone = |program: &str| {
        let mut command = clean_command(&unshare, bench.home.path());
        command.current_dir(bench.home.path()).args(["--net", "--map-root-user", program]);
        command
    };
    if alone("true").output().unwrap().status.success() {
        run(alone(env!("CARGO_BIN_EXE_modelcar")).args(words));
    }
}
