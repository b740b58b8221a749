//! What is attested about an image: right by the official schemas, read by cosign, and never in the way of a signature.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::registry::Registry;
use crate::support::verifiers::{ALL, Field, Host, repository};
use crate::support::{clean_command, modelcar, need, need_python_with, repo_root, run, stdout_of, temp_dir};

const BOM: &str = "https://cyclonedx.org/bom";
const SLSA: &str = "https://slsa.dev/provenance/v1";
const MODEL: &str = "https://model_signing/signature/v1.0";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const NAME: &str = "quay.io/org/iris:v1";

/// A home with the key pairs `a` and `b`.
struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { home: temp_dir() };
        for name in ["a", "b"] {
            run(bench.command().args(["keygen", "-q", "--output-key-prefix", name]));
        }
        bench
    }

    fn command(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "");
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn build(&self, model: &str, words: &[&str]) -> Output {
        run(self.command().arg("build").arg(repo_root().join("testdata/models").join(model)).args(words))
    }

    /// The statements in the bundles of a layout.
    fn statements(&self, layout: &str) -> Vec<Value> {
        let files = fs::read_dir(self.path(layout).join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
        let bundles = files.filter_map(|file| serde_json::from_slice::<Value>(&fs::read(file).unwrap()).ok());
        let payloads = bundles.filter_map(|bundle| Some(STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str()?).unwrap()));
        payloads.map(|payload| serde_json::from_slice(&payload).unwrap()).collect()
    }

    /// The kinds of statements in a layout, sorted.
    fn kinds(&self, layout: &str) -> Vec<String> {
        let mut kinds: Vec<_> = self.statements(layout).iter().map(|it| it["predicateType"].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds
    }

    /// Holds a document against its official schema.
    fn judge(&self, kind: &str, document: &str) -> Option<()> {
        let file = self.path("document.json");
        fs::write(&file, document).unwrap();
        let script = repo_root().join("tests/peers/attestations.py");
        run(need_python_with("attestations")?.arg(script).arg(kind).arg(file));
        Some(())
    }
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files of a layout, which is all there is.
fn content(layout: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = walkdir::WalkDir::new(layout).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.is_file()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A folder of a model on Hugging Face, as its cache has it.
fn hub_snapshot(bench: &Bench) -> PathBuf {
    let folder = bench.path("models--org--tiny/snapshots/0123456789abcdef0123456789abcdef01234567");
    fs::create_dir_all(&folder).unwrap();
    let card = "---\nlicense: other\nlicense_name: tiny-licence\nlicense_link: https://example.com/licence\npipeline_tag: text-classification\n---\n";
    fs::write(folder.join("README.md"), card).unwrap();
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    fs::copy(model, folder.join("model.onnx")).unwrap();
    folder
}

#[test]
fn bills_of_materials_and_provenance_keep_their_official_schemas() {
    let bench = Bench::new();
    let hub = hub_snapshot(&bench);
    let source = [
        "--annotation",
        "org.opencontainers.image.source=https://example.com/repo",
        "--annotation",
        "org.opencontainers.image.revision=abc",
    ];
    let table: [(&str, &[&str], Option<&str>); 5] = [
        ("iris/logreg_iris.onnx", &[], None),
        ("tf_linear", &["--compression", "gzip", "--base", "none"], Some("1700000000")),
        ("tflite_linear", &source, None),
        ("pmml_tree", &["--source-uri", "git+https://example.com/models@abc", "--source-digest", "gitCommit:0123456789abcdef"], None),
        (hub.to_str().unwrap(), &["--builder-id", "https://example.com/builder", "--platform", "linux/arm64"], None),
    ];
    for ((model, words, time), number) in table.into_iter().zip(1..) {
        let layout = format!("oci:out{number}");
        let mut command = bench.command();
        command.env("SOURCE_DATE_EPOCH", time.unwrap_or_default());
        let model = repo_root().join("testdata/models").join(model);
        run(command.arg("build").arg(&model).args(["-q", "-t", NAME, "-o", &layout, "--key", "a.key"]).args(words));
        let mut kinds = vec![];
        for statement in bench.statements(&layout[4..]) {
            if [BOM, SLSA].contains(&statement["predicateType"].as_str().unwrap()) {
                kinds.push(statement["predicateType"].clone());
                let Some(()) = bench.judge("statement", &statement.to_string()) else { return };
            }
        }
        assert_eq!(kinds.len(), 2, "{kinds:?}");
        for what in [layout.as_str(), model.to_str().unwrap()] {
            bench.judge("bom", &stdout_of(bench.command().args(["sbom", "-q", what])));
        }
    }
}

#[test]
fn the_schemas_refuse_what_is_wrong() {
    let bench = Bench::new();
    if need_python_with("attestations").is_none() {
        return;
    }
    let wrong = [
        ("bom", json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"type": "model", "name": "x"}]})),
        ("statement", json!({"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": SLSA, "predicate": {"a": 1}})),
        (
            "statement",
            json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "00"}}], "predicateType": SLSA,
            "predicate": {"buildDefinition": {"buildType": "x", "unknown": 1}}}),
        ),
    ];
    for (kind, document) in wrong {
        fs::write(bench.path("wrong.json"), document.to_string()).unwrap();
        let mut command = need_python_with("attestations").unwrap();
        command.arg(repo_root().join("tests/peers/attestations.py")).arg(kind).arg(bench.path("wrong.json"));
        assert!(!command.output().unwrap().status.success(), "{document}");
    }
}

#[test]
fn a_bill_made_from_the_image_is_the_one_that_was_attested() {
    let bench = Bench::new();
    for (model, words) in [("iris/logreg_iris.onnx", &[][..]), ("tf_linear", &[]), ("tf_linear", &["--compression", "zstd"])] {
        let name = format!("q.io/m:{}", words.len());
        bench.build(model, &[&["-q", "-t", &name, "-o", "oci:signed", "--key", "a.key"], words].concat());
        bench.build(model, &[&["-q", "-t", &name, "-o", "oci:plain"], words].concat());
        let bill = |words: &[&str]| run(bench.command().arg("sbom").args(words));
        let (attested, made) = (bill(&[&format!("oci:signed:{name}"), "--key", "a.pub"]), bill(&[&format!("oci:plain:{name}")]));
        assert!(err(&attested).contains("verified: by key") && err(&made).contains("made from the image now"));
        assert_eq!(String::from_utf8_lossy(&attested.stdout), String::from_utf8_lossy(&made.stdout));
        for layout in ["signed", "plain"] {
            fs::remove_dir_all(bench.path(layout)).unwrap();
        }
    }
}

#[test]
fn the_documents_of_the_iris_model() {
    let bench = Bench::new();
    let mut build = bench.command();
    build.env("SOURCE_DATE_EPOCH", "1700000000").arg("build").arg(repo_root().join("testdata/models/iris/logreg_iris.onnx"));
    run(build.args(["-q", "-t", NAME, "-o", "oci:out", "--key", "a.key", "--base", "none"]));
    let documents = ["sbom", "provenance"].map(|verb| stdout_of(bench.command().args([verb, "-q", "oci:out", "--key", "a.pub"])));
    let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    insta::assert_snapshot!(documents.concat().replace(&version, "\"VERSION\""));
}

#[test]
fn building_and_attesting_twice_adds_nothing() {
    let bench = Bench::new();
    fs::write(bench.path("review.json"), r#"{"review": "good"}"#).unwrap();
    let both = ["--attestation-format", "both", "--key", "a.key"];
    let attest =
        || run(bench.command().args(["attest", "oci:out", "--type", "custom=urn:review", "--predicate", "review.json"]).args(both));
    let build = || bench.build("iris/logreg_iris.onnx", &[&["-t", NAME, "-o", "oci:out"][..], &both].concat());
    assert!(err(&build()).contains("sbom and provenance: 4 attestations added"));
    assert!(err(&attest()).contains("urn:review: 2 attestations added"));
    let before = content(&bench.path("out"));
    for again in [build(), attest()] {
        assert!(err(&again).contains("already attested by this signer, nothing to add"), "{}", err(&again));
    }
    assert!(content(&bench.path("out")) == before, "something was written");
}

#[test]
fn attest_says_when_it_has_to_sign_first() {
    let bench = Bench::new();
    bench.build("iris/logreg_iris.onnx", &["-q", "-t", NAME, "-o", "oci:out"]);
    fs::write(bench.path("review.json"), r#"{"review": "good"}"#).unwrap();
    let attest = |format: &str| {
        let words =
            ["attest", "oci:out", "--type", "custom=urn:review", "--predicate", "review.json", "--key", "a.key", "--attestation-format"];
        err(&run(bench.command().args(words).arg(format)))
    };
    assert!(attest("att").contains("urn:review: 1 attestation added"));
    assert!(bench.kinds("out").is_empty(), "a bundle was written");
    let said = attest("bundle");
    assert!(
        said.contains("1 bundle signature added first, without which verifiers would find the image unsigned; 1 attestation added"),
        "{said}"
    );
    assert_eq!(bench.kinds("out"), ["https://sigstore.dev/cosign/sign/v1", "urn:review"]);
}

#[test]
fn what_cannot_be_attested_is_refused_with_what_to_do() {
    let bench = Bench::new();
    bench.build("iris/logreg_iris.onnx", &["-q", "-t", NAME, "-o", "oci:out"]);
    let before = content(&bench.path("out"));
    fs::write(bench.path("empty.json"), "{}").unwrap();
    fs::write(bench.path("large.json"), format!("{{\"x\": \"{}\"}}", "x".repeat(750 << 10))).unwrap();
    fs::write(bench.path("statement.json"), r#"{"_type": "x", "predicateType": "y", "predicate": {}}"#).unwrap();
    let table: [&[&str]; 8] = [
        &["attest", "oci:out", "--type", "slsa", "--predicate", "empty.json", "--key", "a.key"],
        &["attest", "oci:out", "--type", "cyclonedx", "--predicate", "empty.json", "--key", "a.key"],
        &["attest", "oci:out", "--type", "custom=urn:x", "--predicate", "large.json", "--key", "a.key"],
        &["attest", "oci:out", "--type", "custom=urn:x", "--predicate", "statement.json", "--key", "a.key"],
        &["attest", "oci:out", "--type", "custom=urn:x", "--predicate", "missing.json", "--key", "a.key"],
        &["attest", "oci:out", "--type", "custom=urn:x", "--predicate", "empty.json"],
        &["provenance", "oci:out"],
        &["sbom", "oci:out", "--key", "a.pub"],
    ];
    let mut said = String::new();
    for words in table {
        let output = bench.command().args(words).output().unwrap();
        let code = output.status.code().unwrap();
        write!(said, "$ modelcar {}\n{}exit code {code}\n\n", words.join(" "), err(&output)).unwrap();
    }
    assert!(content(&bench.path("out")) == before, "something was written");
    insta::assert_snapshot!(said);
}

#[test]
fn a_document_of_another_signer_is_refused_and_can_be_read_unverified() {
    let bench = Bench::new();
    bench.build("iris/logreg_iris.onnx", &["-q", "-t", NAME, "-o", "oci:out", "--key", "a.key"]);
    let output = bench.command().args(["provenance", "oci:out", "--key", "b.pub"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    assert!(err(&output).contains("does not pass: signed by another key"), "{}", err(&output));
    assert!(output.stdout.is_empty());
    let output = run(bench.command().args(["provenance", "oci:out", "-o", "file.json"]));
    assert!(err(&output).contains("unverified, `--key cosign.pub` verifies it"), "{}", err(&output));
    let document: Value = serde_json::from_slice(&fs::read(bench.path("file.json")).unwrap()).unwrap();
    assert_eq!(document["buildDefinition"]["externalParameters"]["model"], "logreg_iris.onnx");
}

#[test]
fn nothing_is_signed_without_a_key_and_nothing_attested_without_leave() {
    let bench = Bench::new();
    bench.build("iris/logreg_iris.onnx", &["-q", "-t", NAME, "-o", "oci:plain"]);
    assert!(bench.kinds("plain").is_empty());
    let sign = "https://sigstore.dev/cosign/sign/v1";
    for (words, kinds) in [
        (&["--attest", "none"][..], vec![sign; 3]),
        (&["--attest", "sbom"], vec![BOM, sign, sign, sign]),
        (&["--attest", "model-signing"], vec![MODEL, sign, sign, sign]),
        (&["--provenance", "never"], vec![BOM, MODEL, sign, sign, sign]),
        (&["--provenance", "always"], vec![BOM, MODEL, sign, sign, sign, SLSA]),
    ] {
        let layout = format!("out-{}", words.join("-"));
        let place = format!("oci:{layout}");
        bench.build("iris/logreg_iris.onnx", &[&["-q", "-t", NAME, "-o", &place, "--key", "a.key"], words].concat());
        let mut expected = kinds;
        expected.sort_unstable();
        assert_eq!(bench.kinds(&layout), expected, "{words:?}");
    }
    let dry = bench.build("iris/logreg_iris.onnx", &["-t", NAME, "-o", "oci:dry", "--key", "a.key", "--dry-run"]);
    let plan = [format!("would sign it as {NAME} by "), " and attest sbom, provenance and model-signing".to_owned()];
    assert!(plan.iter().all(|words| err(&dry).contains(words)), "{}", err(&dry));
    assert!(!bench.path("dry").exists());
}

#[test]
fn an_image_that_cannot_be_attested_is_told_to_be_public_with_exit_code_4() {
    let bench = Bench::new();
    let words = ["-t", NAME, "-o", "oci:out", "--key", "a.key"];
    let image = bench.build("iris/logreg_iris.onnx", &[&words[..], &["--attest", "none"]].concat());
    // The `.att` tag of the image is taken by something that is no image of attestations: there it stays.
    let digest = String::from_utf8(image.stdout).unwrap().trim().rsplit('@').next().unwrap().replace(':', "-");
    let index = bench.path("out/index.json");
    let mut layout: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    let entries = layout["manifests"].as_array_mut().unwrap();
    let mut squatter = entries.iter().find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == NAME).unwrap().clone();
    squatter["annotations"]["org.opencontainers.image.ref.name"] = format!("{digest}.att").into();
    entries.push(squatter);
    fs::write(&index, layout.to_string()).unwrap();
    let mut command = bench.command();
    command.arg("build").arg(repo_root().join("testdata/models/iris/logreg_iris.onnx")).args(words).args(["--attestation-format", "both"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    assert!(err(&output).contains("is pushed and signed, but not attested"), "{}", err(&output));
    assert!(err(&output).contains("attesting stopped with 2 of its documents in place"), "{}", err(&output));
    assert_eq!(bench.kinds("out").len(), 5, "the bundles are in place");
}

#[test]
fn a_push_without_a_key_says_that_it_is_not_signed() {
    let Some(registry) = Registry::start() else { return };
    let bench = Bench::new();
    let image = format!("{}/models/iris:v1", registry.host);
    let said = err(&bench.build("iris/logreg_iris.onnx", &["--push", "-t", &image]));
    assert!(said.contains("the image is not signed: add `--key cosign.key`"), "{said}");
    // every name that is pushed is signed
    let other = format!("{}/models/iris:prod", registry.host);
    bench.build("iris/logreg_iris.onnx", &["--push", "-t", &image, "-t", &other, "--key", "a.key"]);
    for name in [&image, &other] {
        run(bench.command().args(["verify", name, "--key", "a.pub"]));
    }
    run(bench.command().args(["sbom", &image, "--key", "a.pub"]));
}

#[test]
fn the_path_of_the_model_and_the_machine_are_no_part_of_the_documents() {
    let bench = Bench::new();
    let folder = bench.path("secret-place");
    fs::create_dir(&folder).unwrap();
    fs::copy(repo_root().join("testdata/models/iris/logreg_iris.onnx"), folder.join("m.onnx")).unwrap();
    let name = format!("oci:{}/out:v1", folder.display());
    run(bench.command().arg("build").arg(folder.join("m.onnx")).args(["-q", "-t", &name, "--key", "a.key", "--sign-identity", NAME]));
    let statements = bench.statements("secret-place/out");
    assert_eq!(statements.len(), 6);
    assert!(statements.iter().all(|statement| !statement.to_string().contains("secret-place")));
}

/// `cosign verify-attestation`, without Sigstore's services.
fn cosign_accepts(field: &Field, program: &str, image: &str, key: &str, words: &[&str]) -> bool {
    let mut command = clean_command(need(program).unwrap(), &field.path(""));
    command.current_dir(field.path("")).args(["verify-attestation", "--insecure-ignore-tlog=true", "--allow-http-registry"]);
    command.args(["--key", &format!("{key}.pub")]).args(words).arg(image);
    command.output().unwrap().status.success()
}

/// Another image, with the attestations of this one changed so that they are about it; signed by nobody.
fn tampered_twin(field: &Field, image: &str) -> String {
    let twin = format!("{}-twin:v1", repository(image));
    let pinned = field.build(&twin, &["--annotation", "it-is=another"]);
    let layout = format!("layout-{}", image.replace([':', '/'], "-"));
    run(field.modelcar().args(["pull", "-q", image, &layout]));
    for file in fs::read_dir(field.path(&layout).join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(mut bundle) = serde_json::from_slice::<Value>(&fs::read(&file).unwrap()) else { continue };
        let Some(payload) = bundle["dsseEnvelope"]["payload"].as_str() else { continue };
        let mut statement: Value = serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
        statement["subject"][0]["digest"]["sha256"] = pinned.rsplit(':').next().unwrap().into();
        bundle["dsseEnvelope"]["payload"] = STANDARD.encode(statement.to_string()).into();
        field.write("twin.json", bundle.to_string().as_bytes());
        let kind = format!("dev.sigstore.bundle.predicateType={}", statement["predicateType"].as_str().unwrap());
        field.oras(&["attach", &pinned, "--artifact-type", BUNDLE, "--annotation", &kind, &format!("twin.json:{BUNDLE}")]);
    }
    twin
}

#[test]
fn cosign_accepts_what_modelcar_attests_and_refuses_its_tampered_twin() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    for host in &hosts {
        let image = format!("{}/models/iris:v1", host.host);
        field.build(&image, &["--key", "a.key", "--attestation-format", "both"]);
        field.expect(&image, "a", ALL);
        let classic = "--new-bundle-format=false";
        for kind in ["cyclonedx", "slsaprovenance1"] {
            for words in [&["--type", kind][..], &["--type", kind, classic]] {
                assert!(cosign_accepts(&field, "cosign", &image, "a", words), "{words:?}");
                assert!(!cosign_accepts(&field, "cosign", &image, "b", words), "{words:?}");
            }
            assert!(!cosign_accepts(&field, "cosign", &image, "a", &["--type", "spdx"]));
        }
        let twin = tampered_twin(&field, &image);
        for (verb, kind) in [("sbom", "cyclonedx"), ("provenance", "slsaprovenance1")] {
            assert!(!cosign_accepts(&field, "cosign", &twin, "a", &["--type", kind]), "{kind}");
            let read = |image: &str| field.modelcar().args([verb, image, "--key", "a.pub"]).output().unwrap();
            assert_eq!(read(&image).status.code(), Some(0));
            assert_eq!(read(&twin).status.code(), Some(3));
            assert!(err(&read(&twin)).contains("changed after signing"), "{}", err(&read(&twin)));
        }
    }
}

#[test]
fn modelcar_reads_what_cosign_attests_and_cosign_2_reads_modelcars() {
    let (Some(field), Some(hosts)) = (Field::new(), Host::both()) else { return };
    let bom = stdout_of(field.modelcar().args(["sbom", "-q"]).arg(repo_root().join("testdata/models/iris/logreg_iris.onnx")));
    field.write("bom.json", bom.as_bytes());
    for host in &hosts {
        for (program, words, form) in [
            ("cosign", &["--use-signing-config=false"][..], "in a bundle"),
            ("cosign", &["--use-signing-config=false", "--new-bundle-format=false"], "in an `.att` image"),
            ("cosign2", &[], "in an `.att` image"),
        ] {
            let Some(cosign) = need(program) else { continue };
            let image = format!("{}/models/{program}{}:v1", host.host, words.len());
            let pinned = field.build(&image, &[]);
            let mut command = clean_command(cosign, &field.path(""));
            command.current_dir(field.path("")).env("COSIGN_PASSWORD", "correct horse").args(["attest", "--yes", "--tlog-upload=false"]);
            command.args(["--allow-http-registry", "--key", "c.key", "--type", "cyclonedx", "--predicate", "bom.json"]);
            run(command.args(words).arg(&pinned));
            let read = run(field.modelcar().args(["sbom", &image, "--key", "c.pub"]));
            assert!(err(&read).contains(form), "{}", err(&read));
            let same: Value = serde_json::from_slice(&read.stdout).unwrap();
            assert_eq!(same, serde_json::from_str::<Value>(&bom).unwrap());
            let other = field.modelcar().args(["sbom", &image, "--key", "a.pub"]).output().unwrap();
            assert_eq!(other.status.code(), Some(3), "{}", err(&other));

            if program == "cosign2" {
                let words = ["--type", "cyclonedx", "--key", "a.key", "--attestation-format", "att", "--predicate", "bom.json"];
                run(field.modelcar().args(["attest", &image]).args(words));
                for key in ["a", "c"] {
                    assert!(cosign_accepts(&field, program, &image, key, &["--type", "cyclonedx"]), "{key}");
                }
                assert!(!cosign_accepts(&field, program, &image, "b", &["--type", "cyclonedx"]));
            }
        }
    }
}
