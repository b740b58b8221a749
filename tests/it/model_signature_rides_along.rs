//! A model signature that nobody asked for is there all the same: shipped with the image, in nobody's way, and worth asking for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::sigstore::{CLUSTER, Claims, Options, PROVIDER, Sigstore};
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};
use crate::the_whole_way;

const NAME: &str = "quay.io/models/iris:v1";
const ALL_THREE: &str = "sbom,provenance,model-signing";

fn command(home: &Path) -> Command {
    let mut command = modelcar(home);
    command.current_dir(home).env("COSIGN_PASSWORD", "");
    command
}

fn verify(home: &Path, image: &str, words: &[&str]) -> Output {
    command(home).args(["verify", image, "--key", "cosign.pub", "--require", ALL_THREE]).args(words).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A home with a key pair and the folder `model`.
fn home() -> tempfile::TempDir {
    let home = temp_dir();
    run(command(home.path()).args(["keygen", "-q"]));
    fs::create_dir(home.path().join("model")).unwrap();
    for (name, content) in [("weights.bin", "weights"), ("config.json", "{}")] {
        fs::write(home.path().join("model").join(name), content).unwrap();
    }
    home
}

fn build(home: &Path, layout: &str, words: &[&str]) -> Output {
    let place = format!("oci:{layout}");
    let words = [&["build", "model", "--runtime", "raw", "-t", NAME, "-o", &place], words].concat();
    command(home).args(words).output().unwrap()
}

fn blobs(layout: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path())
}

/// The JSON documents of a layout.
fn documents(layout: &Path) -> Vec<Value> {
    blobs(layout).filter_map(|file| serde_json::from_slice(&fs::read(file).unwrap()).ok()).collect()
}

#[test]
fn what_is_shipped_has_all_attestations_and_passes_for_everybody() {
    let home = the_whole_way::bench();
    the_whole_way::shipped(home.path(), &format!("oci:images:{NAME}"));
    for words in [&["--consumer", "all"][..], &["--layers"]] {
        let output = verify(home.path(), &format!("oci:images:{NAME}"), words);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    }
}

#[test]
fn a_good_image_looks_good_whether_or_not_its_model_signature_is_asked_for() {
    let home = home();
    let said = err(&build(home.path(), "out", &["--key", "cosign.key"]));
    assert!(said.contains("model-signing: 2 files; 3 model signatures added"), "{said}");
    let said = err(&run(command(home.path()).args(["verify", "oci:out", "--key", "cosign.pub"])));
    assert!(said.contains("a model signature; `--require model-signing` checks it") && !said.contains("bad"), "{said}");
    let said = err(&verify(home.path(), "oci:out", &[]));
    assert!(said.contains(" model signature  good, by key ") && !said.contains("checks it"), "{said}");
    let again = err(&run(command(home.path()).args(["attest", "oci:out", "--type", "model-signing", "--key", "cosign.key"])));
    assert!(again.contains("model-signing: 2 files, root sha256:"), "{again}");
    assert!(again.contains("already signed by this signer, nothing to add"), "{again}");
}

/// Takes the model signature of `from` to the image in `to`, as anybody with access to a registry can.
fn transplant(from: &Path, to: &Path) {
    let is_model =
        |document: &&Value| document["annotations"]["dev.sigstore.bundle.predicateType"] == "https://model_signing/signature/v1.0";
    let index: Value = serde_json::from_slice(&fs::read(to.join("index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let image = entries.iter().find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == NAME).unwrap();
    let mut signature = documents(from).iter().find(is_model).unwrap().clone();
    signature["subject"] = serde_json::json!({"mediaType": image["mediaType"], "digest": image["digest"], "size": image["size"]});
    for file in blobs(from) {
        fs::copy(&file, to.join("blobs/sha256").join(file.file_name().unwrap())).unwrap();
    }
    let bytes = signature.to_string().into_bytes();
    let digest = modelcar::oci::Digest::of(&bytes);
    fs::write(to.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
    let mut index = index.clone();
    let entry = serde_json::json!({"mediaType": signature["mediaType"], "digest": digest.to_string(), "size": bytes.len()});
    index["manifests"].as_array_mut().unwrap().push(entry);
    fs::write(to.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn a_model_that_is_not_as_signed_is_refused() {
    let home = home();
    assert!(build(home.path(), "original", &["--key", "cosign.key"]).status.success());
    let model = home.path().join("model");
    for (layout, change, said) in [
        ("changed", &(|| fs::write(model.join("config.json"), "[]").unwrap()) as &dyn Fn(), "`config.json` was changed"),
        ("extra", &|| fs::write(model.join("extra.py"), "").unwrap(), "`extra.py` was added"),
    ] {
        change();
        let twin = build(home.path(), layout, &["--key", "cosign.key", "--attest", "sbom,provenance"]);
        assert!(twin.status.success(), "{}", err(&twin));
        let place = format!("oci:{layout}:{NAME}");
        let output = verify(home.path(), &place, &[]);
        assert_eq!(output.status.code(), Some(3), "{}", err(&output));
        assert!(err(&output).contains("model-signing is required, and none is attached"), "{}", err(&output));
        transplant(&home.path().join("original"), &home.path().join(layout));
        let output = verify(home.path(), &place, &[]);
        assert_eq!(output.status.code(), Some(3), "{}", err(&output));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
}

#[test]
fn layers_are_read_where_layers_are_asked_for() {
    let home = home();
    assert!(build(home.path(), "out", &["--key", "cosign.key", "--base", "none"]).status.success());
    let layer = blobs(&home.path().join("out")).find(|file| fs::read(file).unwrap().windows(7).any(|part| part == b"weights")).unwrap();
    let mut bytes = fs::read(&layer).unwrap();
    let at = bytes.windows(7).position(|part| part == b"weights").unwrap();
    bytes[at] = b'W';
    fs::write(&layer, bytes).unwrap();
    let output = verify(home.path(), "oci:out", &["--layers"]);
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let json = stdout_of_refused(command(home.path()).args(["verify", "oci:out", "--key", "cosign.pub", "--format", "json", "--layers"]));
    assert_eq!(json["layers"]["refusals"].as_array().map(Vec::len), Some(1), "{json}");
}

fn stdout_of_refused(command: &mut Command) -> Value {
    let output = command.args(["--require", "model-signing"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["required"][0]["unmet"].as_str().unwrap().contains("sha256:"), "{json}");
    json
}

#[test]
fn a_model_of_too_many_files_is_signed_without_where_nobody_asked_for_it() {
    let home = home();
    for number in 0..6000 {
        fs::write(home.path().join("model").join(format!("part-with-a-rather-long-name-{number:04}.txt")), "x").unwrap();
    }
    let output = build(home.path(), "out", &["--key", "cosign.key"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).contains("no model signature is attached: the model has 6002 files"), "{}", err(&output));
    assert!(err(&output).contains("no sbom is attached: it has "), "{}", err(&output));
    run(command(home.path()).args(["verify", "oci:out", "--key", "cosign.pub", "--require", "provenance"]));
    let output = build(home.path(), "asked", &["--key", "cosign.key", "--attest", "model-signing"]);
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    assert!(err(&output).contains("is pushed and signed, but not attested"), "{}", err(&output));
}

/// An attestation in a bundle would hide the only signature that such a key makes.
#[test]
fn a_key_that_writes_no_bundles_attaches_none() {
    let home = home();
    for (key, name) in [("rsa", "RSA"), ("p384", "ECDSA P-384")] {
        let file = repo_root().join(format!("testdata/keys/{key}.key"));
        let file = file.to_str().unwrap();
        let output = build(home.path(), key, &["--key", file]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let said = err(&output);
        assert!(said.contains(&format!("not attested: sbom, provenance and model-signing: the key is {name}")), "{said}");
        assert!(said.contains("verified: openshift accepts it"), "{said}");
        assert!(documents(&home.path().join(key)).iter().all(|document| document.get("dsseEnvelope").is_none()));
        let place = format!("oci:{key}");
        fs::write(home.path().join("review.json"), "{}").unwrap();
        let review = ["--type", "custom=urn:review", "--predicate", "review.json"];
        for words in [&["--type", "model-signing"][..], &review] {
            let output = command(home.path()).args(["attest", &place, "--key", file]).args(words).output().unwrap();
            assert!(!output.status.success() && err(&output).contains("P-256 key"), "{}", err(&output));
        }
        assert!(documents(&home.path().join(key)).iter().all(|document| document.get("dsseEnvelope").is_none()));
        run(command(home.path()).args(["attest", &place, "--key", file, "--attestation-format", "att"]).args(review));
        let asked = build(home.path(), &format!("{key}-asked"), &["--key", file, "--attest", "sbom"]);
        assert!(!asked.status.success() && !home.path().join(format!("{key}-asked")).exists(), "{}", err(&asked));
    }
}

#[test]
fn options_of_another_type_are_wrong_usage() {
    let home = home();
    assert!(build(home.path(), "out", &[]).status.success());
    let attest = |words: &[&str]| command(home.path()).args(["attest", "oci:out", "--key", "cosign.key"]).args(words).output().unwrap();
    for (words, said) in [
        (&["--type", "model-signing", "--predicate", "x"][..], "is made from the image"),
        (&["--type", "model-signing", "--attestation-format", "att"], "has no other form"),
        (&["--type", "custom=urn:x"], "`--predicate` is missing"),
        (&["--type", "custom=urn:x", "--predicate", "x", "--certificate-chain", "y"], "goes with `--type model-signing` alone"),
        (&["--type", "oms"], "or model-signing"),
    ] {
        let output = attest(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", err(&output));
        assert!(err(&output).contains(said), "{}", err(&output));
    }
    let said = err(&attest(&["--type", "model-signing"]));
    assert!(said.contains("3 bundle signatures added first") && said.contains("3 model signatures added"), "{said}");
    assert!(
        stdout_of(command(home.path()).args(["verify", "oci:out", "--key", "cosign.pub", "--consumer", "cosign-v3"])).contains("sha256")
    );
}

#[test]
fn without_a_key_it_all_works_and_is_held_to_what_a_token_can_give() {
    let (home, services) = (home(), Sigstore::start(&Options::default()));
    fs::write(home.path().join("root.json"), services.trusted_root().to_string()).unwrap();
    let builder = "https://kubernetes.io/namespaces/ml/serviceaccounts/builder";
    for (layout, claims, identity, issuer, accepts) in [
        ("person", Claims::email("ci@example.com"), "ci@example.com", PROVIDER, "openshift and cosign-v3 accept it"),
        ("service", Claims::service_account("ml", "builder"), builder, CLUSTER, "cosign-v3 accepts it"),
    ] {
        fs::write(home.path().join("token"), services.token(&claims)).unwrap();
        let place = format!("oci:{layout}");
        let token = ["--identity-token-file", "token", "--fulcio-url", &services.fulcio_url, "--rekor-url", &services.rekor_url];
        let signing = [&token[..], &["--trusted-root", "root.json"]].concat();
        let output = build(home.path(), layout, &signing);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("3 model signatures added") && said.contains(&format!("verified: {accepts}")), "{said}");
        assert_eq!(said.contains("openshift would refuse it"), layout == "service", "{said}");
        let again = run(command(home.path()).args(["attest", &place, "--type", "model-signing"]).args(&signing));
        assert!(err(&again).contains("already signed by this signer, nothing to add"), "{}", err(&again));

        let trust = ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer, "--trusted-root", "root.json"];
        run(command(home.path()).args(["verify", &place, "--consumer", "cosign-v3", "--require", ALL_THREE]).args(trust));
        for verb in ["sbom", "provenance"] {
            let said = err(&run(command(home.path()).args([verb, &place]).args(trust)));
            assert!(said.contains(&format!("verified: by {identity}")), "{said}");
        }
    }
}
