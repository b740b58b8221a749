//! Signing and checking as a user does it, on a real registry and on a layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::registry::Registry;
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

/// A home with two key pairs, `a` and `b`.
struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { home: temp_dir() };
        for name in ["a", "b"] {
            run(bench.command().args(["keygen", "-q", "--output-key-prefix"]).arg(bench.path(name)));
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", "correct horse");
        command
    }

    fn build(&self, words: &[&str]) -> String {
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        stdout_of(self.command().args(["build", "-q"]).args(words).arg(model)).trim().to_owned()
    }

    fn sign(&self, image: &str, key: &str) {
        run(self.command().args(["sign", "-q", image, "--key", &format!("{key}.key")]));
    }

    fn verify(&self, image: &str, key: &str) -> Output {
        self.command().args(["verify", image, "--key", &format!("{key}.pub")]).output().unwrap()
    }

    #[track_caller]
    fn refused(&self, image: &str, key: &str, reason: &str) {
        let output = self.verify(image, key);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(reason), "`{reason}` is not in\n{text}");
    }

    #[track_caller]
    fn verified(&self, image: &str, key: &str) {
        let output = self.verify(image, key);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_signed_image_passes_by_tag_and_by_digest_and_two_signers_survive() {
    let Some(registry) = Registry::start() else { return };
    let bench = Bench::new();
    let image = format!("{}/models/iris:v1", registry.host);
    let pinned = bench.build(&["--push", "-t", &image]);
    bench.refused(&image, "a", "no signature exists");

    bench.sign(&image, "a");
    bench.verified(&image, "a");
    bench.verified(&pinned, "a");
    bench.refused(&image, "b", "signed by another key");

    bench.sign(&image, "b");
    for key in ["a", "b"] {
        bench.verified(&image, key);
        bench.verified(&pinned, key);
    }

    // The same digest under another tag: podman and CRI-O would refuse it, so we do.
    let other = format!("{}/models/iris:prod", registry.host);
    bench.build(&["--push", "-t", &other]);
    bench.refused(&other, "a", "is not accepted for");
}

#[test]
fn signatures_travel_with_the_image_to_a_layout_and_back() {
    let Some(registry) = Registry::start() else { return };
    let bench = Bench::new();
    let image = format!("{}/models/iris:v1", registry.host);
    bench.build(&["-t", &image, "-o", "oci:first"]);
    bench.sign(&format!("oci:first:{image}"), "a");

    run(bench.command().args(["push", "-q", &format!("oci:first:{image}"), &image]));
    bench.verified(&image, "a");
    run(bench.command().args(["pull", "-q", &image, "second"]));
    bench.verified(&format!("oci:second:{image}"), "a");
    run(bench.command().args(["push", "-q", &format!("oci:second:{image}"), &format!("oci-archive:third.tar:{image}")]));
    bench.verified(&format!("oci-archive:third.tar:{image}"), "a");
}

#[test]
fn a_copy_keeps_the_signatures_that_the_target_has() {
    let Some(registry) = Registry::start() else { return };
    let bench = Bench::new();
    let image = format!("{}/models/iris:v1", registry.host);
    for key in ["a", "b"] {
        bench.build(&["-t", &image, "-o", &format!("oci:by-{key}")]);
        bench.sign(&format!("oci:by-{key}"), key);
    }
    for target in [image.clone(), format!("oci:target:{image}")] {
        for source in ["oci:by-a", "oci:by-b", "oci:by-a"] {
            run(bench.command().args(["push", "-q", source, &target]));
        }
        bench.verified(&target, "a");
        bench.verified(&target, "b");
    }
}

#[test]
fn signing_twice_adds_nothing() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    bench.sign("oci:layout", "a");
    let blobs = || fs::read_dir(bench.path("layout/blobs/sha256")).unwrap().count();
    let (index, before) = (fs::read(bench.path("layout/index.json")).unwrap(), blobs());
    bench.sign("oci:layout", "a");
    assert_eq!((fs::read(bench.path("layout/index.json")).unwrap(), blobs()), (index, before));
}

/// Every blob of a signed layout, by what it is.
fn signed_layout(bench: &Bench) -> Vec<(String, PathBuf)> {
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    bench.sign("oci:layout", "a");
    let kind = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match text {
            text if text.contains("\"critical\"") => "payload",
            text if text.starts_with("{\"mediaType\":\"application/vnd.dev.sigstore.bundle") => "bundle",
            text if text.contains("dev.cosignproject.cosign/signature") => "signature manifest",
            text if text.contains("\"subject\"") => "referrer manifest",
            text if text.contains("\"manifests\"") => "index",
            text if text.contains("\"layers\":[") && text.contains("io.modelcar") => "manifest",
            _ => "other",
        }
        .to_owned()
    };
    let mut blobs: Vec<_> = fs::read_dir(bench.path("layout/blobs/sha256")).unwrap().map(|blob| blob.unwrap().path()).collect();
    blobs.sort();
    blobs.into_iter().map(|path| (kind(&fs::read(&path).unwrap()), path)).collect()
}

#[test]
fn a_flipped_byte_anywhere_is_refused() {
    let bench = Bench::new();
    let blobs = signed_layout(&bench);
    bench.verified("oci:layout", "a");
    let kinds = ["payload", "bundle", "signature manifest", "referrer manifest", "index", "manifest"];
    for kind in kinds {
        // all of a kind: some consumers look at the index alone
        let originals: Vec<(&PathBuf, Vec<u8>)> =
            blobs.iter().filter(|(found, _)| found == kind).map(|(_, path)| (path, fs::read(path).unwrap())).collect();
        assert!(!originals.is_empty(), "no {kind} among {blobs:?}");
        for part in [3, 2, 1] {
            for (path, original) in &originals {
                let mut flipped = original.clone();
                flipped[original.len() / part - if part == 1 { 9 } else { 0 }] ^= 1;
                fs::write(path, flipped).unwrap();
            }
            let output = bench.verify("oci:layout", "a");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{kind} at 1/{part}: {text}");
            assert!(text.contains("error: "), "{text}");
        }
        for (path, original) in &originals {
            fs::write(path, original).unwrap();
        }
    }
    bench.verified("oci:layout", "a");
}

#[test]
fn a_flipped_byte_in_the_key_is_refused() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    bench.sign("oci:layout", "a");
    let original = fs::read_to_string(bench.path("a.pub")).unwrap();
    let mut flipped = original.into_bytes();
    flipped[60] = if flipped[60] == b'A' { b'B' } else { b'A' };
    fs::write(bench.path("a.pub"), flipped).unwrap();
    bench.refused("oci:layout", "a", "cannot use the key a.pub");
}

#[test]
fn a_wrong_password_says_so_and_shows_no_secret() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    let output =
        bench.command().env("COSIGN_PASSWORD", "canary-4711").args(["sign", "-vv", "oci:layout", "--key", "a.key"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("wrong password"), "{text}");
    assert!(!text.contains("canary-4711"), "{text}");
    insta::assert_snapshot!(text.replace(&bench.home.path().display().to_string(), "[DIR]"));
}

#[test]
fn without_a_terminal_and_a_password_nothing_hangs() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    let mut command = bench.command();
    let output =
        command.env_remove("COSIGN_PASSWORD").stdin(std::process::Stdio::null()).args(["sign", "oci:layout", "--key", "a.key"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("COSIGN_PASSWORD"));
}

#[test]
fn an_index_signed_alone_is_refused_and_the_warning_says_by_whom() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    let output = run(bench.command().args(["sign", "oci:layout", "--key", "a.key", "--recursive", "--no-recursive"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("podman and CRI-O check the manifest of the platform") && said.contains("one manifest"), "{said}");
    bench.refused("oci:layout", "a", "(linux/amd64): classic signature: no signature exists");
    run(bench.command().args(["sign", "-q", "oci:layout", "--key", "a.key", "--no-recursive", "--recursive"]));
    bench.verified("oci:layout", "a");
}

#[test]
fn a_key_that_cannot_sign_for_all_says_for_whom_it_signs() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    for name in ["p384", "rsa"] {
        let key = repo_root().join(format!("testdata/keys/{name}.key"));
        let output = run(bench.command().args(["sign", "oci:layout", "--key"]).arg(key));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("cosign 4 and others that want a bundle") && said.contains("classic alone"), "{said}");
    }
}

#[test]
fn keys_come_from_variables_and_mounted_secrets() {
    let bench = Bench::new();
    bench.build(&["-t", "quay.io/o/iris:v1", "-o", "oci:layout"]);
    fs::create_dir(bench.path("mounted")).unwrap();
    for (from, to) in [("a.key", "cosign.key"), ("a.pub", "cosign.pub")] {
        fs::copy(bench.path(from), bench.path("mounted").join(to)).unwrap();
    }
    fs::write(bench.path("mounted/cosign.password"), "correct horse\n").unwrap();
    let text = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    let (private, public) = (text("b.key"), text("b.pub"));
    run(bench.command().env_remove("COSIGN_PASSWORD").args(["sign", "-q", "oci:layout", "--key", "mounted"]));
    run(bench.command().env("COSIGN_PRIVATE_KEY", private).args(["sign", "-q", "oci:layout", "--key", "env://COSIGN_PRIVATE_KEY"]));
    for key in ["a", "b"] {
        bench.verified("oci:layout", key);
    }
    run(bench.command().args(["verify", "oci:layout", "--key", "mounted"]));
    run(bench.command().env("PUBLIC", public).args(["verify", "oci:layout", "--key", "env://PUBLIC"]));
}

#[test]
fn a_key_that_cannot_be_had_is_refused_by_name() {
    let bench = Bench::new();
    let table = [
        ("k8s://tekton-chains/signing-secrets", "mount the secret"),
        ("awskms:///alias/models", "AWS KMS"),
        ("gcpkms://projects/p", "Google Cloud KMS"),
        ("azurekms://vault/key", "Azure Key Vault"),
        ("hashivault://key", "HashiCorp Vault"),
        ("pkcs11:token=t", "PKCS#11"),
        ("env://$COSIGN_PRIVATE_KEY", "without `$`"),
    ];
    for (key, reason) in table {
        for verb in ["sign", "verify"] {
            let output = bench.command().args([verb, "oci:layout", "--key", key]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains(reason), "`{reason}` is not in\n{said}");
        }
    }
}

#[test]
fn openssl_agrees_with_our_classic_signature() {
    let Some(openssl) = crate::support::need("openssl") else { return };
    let bench = Bench::new();
    let blobs = signed_layout(&bench);
    let (_, manifest) = blobs.iter().find(|(kind, _)| kind == "signature manifest").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest).unwrap()).unwrap();
    let layer = &manifest["layers"][0];
    let payload = Path::new("layout/blobs/sha256").join(layer["digest"].as_str().unwrap().trim_start_matches("sha256:"));
    fs::write(bench.path("signature.b64"), layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap()).unwrap();
    let mut command = Command::new(openssl);
    run(command.current_dir(bench.home.path()).args(["base64", "-d", "-A", "-in", "signature.b64", "-out", "signature"]));
    let mut command = Command::new(crate::support::need("openssl").unwrap());
    let said = stdout_of(
        command.current_dir(bench.home.path()).args(["dgst", "-sha256", "-verify", "a.pub", "-signature", "signature"]).arg(payload),
    );
    assert_eq!(said.trim(), "Verified OK");
}
