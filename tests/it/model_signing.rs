//! OpenSSF Model Signing with its other implementations: the reference one on folders, Red Hat's on images in a registry. What modelcar
//! signs they accept, what they sign modelcar accepts, and both find every change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use modelcar::oci::{Location, ManifestRef, RawManifest};
use modelcar::store::{self, Access, Store, StoreOptions};
use modelcar::trust::model_signing::{
    AttachReport, AttachRequest, Authorities, CertificateChain, ModelSigner, ModelTrust, Reading, SignatureFile, attach, verify_image,
};
use modelcar::trust::{Outcome, PrivateKey, Signer};

use crate::support::verifiers::{ALL, CLASSIC_KIND, Field, Host, Question, repository};
use crate::support::{need, need_python_with, repo_root, run, stdout_of};

/// The key `p` in both forms, a certificate of it, and a model.
struct Bench {
    field: Field,
    signer: Signer,
    python: fn(&str) -> Option<Command>,
}

impl Bench {
    /// `None` where a peer is missing.
    fn new() -> Option<Self> {
        need_python_with("model-signing").and(need_python_with("rh-model-signing"))?;
        let (field, openssl) = (Field::new()?, need("openssl")?);
        let keys = repo_root().join("testdata/keys");
        for end in ["key", "pub"] {
            field.write(&format!("p.{end}"), &fs::read(keys.join(format!("p256.{end}"))).unwrap());
        }
        let key = PrivateKey::load(&field.path("p.key"), &|| panic!("the key has no password")).unwrap();
        let bench = Self { field, signer: Signer::Key(key), python: need_python_with };
        bench.certify(&openssl);
        bench.write_model("model");
        Some(bench)
    }

    /// `chain.pem` for the key, and `ca.pem` of who issued it.
    fn certify(&self, openssl: &Path) {
        self.field.write("extensions", b"keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n");
        for arguments in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=test-ca -keyout ca.key -out ca.pem",
            "req -new -key p.key -subj /CN=models -out leaf.csr",
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile extensions -out leaf.pem",
        ] {
            run(Command::new(openssl).args(arguments.split(' ')).current_dir(self.field.path("")));
        }
        let chain = ["leaf.pem", "ca.pem"].map(|name| fs::read(self.field.path(name)).unwrap()).concat();
        self.field.write("chain.pem", &chain);
    }

    /// One file in a layer of its own, some in one layer, and names on whose order Python and the specification disagree.
    fn write_model(&self, name: &str) -> PathBuf {
        let folder = self.field.path(name);
        let weights = "weights ".repeat(400_000);
        for (path, content) in [("weights.bin", weights.as_str()), ("config.json", "{}"), ("a/b", "1"), ("a-b", "2"), ("ü/x.txt", "3")] {
            write(&folder, path, content);
        }
        folder
    }

    /// The model with a changed file, one more, one less; and what modelcar says of each.
    fn twins(&self) -> [(PathBuf, &'static str); 3] {
        let [changed, extra, missing] = ["changed", "extra", "missing"].map(|name| self.write_model(name));
        write(&changed, "config.json", "[]");
        write(&extra, "a/c", "");
        fs::remove_file(missing.join("a-b")).unwrap();
        [(changed, "`config.json` was changed"), (extra, "`a/c` was added"), (missing, "`a-b` is missing")]
    }

    fn signers(&self) -> [(&'static str, ModelSigner<'_>); 2] {
        let chain = CertificateChain::load(&self.field.path("chain.pem")).unwrap();
        [("key", ModelSigner::new(&self.signer)), ("certificate", ModelSigner::with_chain(&self.signer, chain).unwrap())]
    }

    /// model_signing, on a folder.
    fn reference(&self, verb: &str, method: &str, folder: &Path, signature: &Path) -> bool {
        let mut command = (self.python)("model-signing").unwrap();
        command.args(["-m", "model_signing", verb, method, "--signature"]).arg(signature).current_dir(self.field.path(""));
        command.args(match (verb, method) {
            ("sign", "key") => ["--private_key", "p.key"].as_slice(),
            ("sign", _) => &["--private_key", "p.key", "--signing_certificate", "leaf.pem", "--certificate_chain", "ca.pem"],
            (_, "key") => &["--public_key", "p.pub"],
            _ => &["--certificate_chain", "ca.pem"],
        });
        let output = command.arg(folder).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() || said.contains("Signature mismatch"), "{command:?} could not be asked: {said}");
        output.status.success()
    }

    /// `modelcar verify FOLDER --model-signature`; what it said where it refused.
    fn verify(&self, method: &str, folder: &Path, signature: &Path) -> Result<(), String> {
        let mut command = self.field.modelcar();
        command.arg("verify").arg(folder).arg("--model-signature").arg(signature);
        command.args(if method == "key" { ["--key", "p.pub"] } else { ["--certificate-chain", "ca.pem"] });
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => Ok(()),
            Some(3) => Err(said),
            _ => panic!("could not be asked: {said}"),
        }
    }

    /// rh-model-signing, on an image.
    fn red_hat(&self, verb: &str, image: &str) -> bool {
        let mut command = (self.python)("rh-model-signing").unwrap();
        let key = self.field.path(if verb == "verify" { "p.pub" } else { "p.key" });
        command.arg(repo_root().join("tests/peers/rh_model_signing.py")).args([verb, image]).arg(key);
        let output = command.env("HOME", self.field.path("")).output().unwrap();
        match output.status.code() {
            Some(0) => true,
            Some(3) => false,
            _ => panic!("{command:?} could not be asked: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Attaches a model signature as anybody can, and nothing beside it.
    fn oras_attach(&self, image: &str, file: &str) {
        let file = format!("{file}:application/vnd.dev.sigstore.bundle.v0.3+json");
        self.field.oras(&["attach", "--artifact-type", "application/vnd.model-signing.signature.v0.1", image, &file]);
    }

    /// Pushes a folder as it is.
    fn build(&self, folder: &Path, image: &str) {
        stdout_of(self.field.modelcar().args(["build", "-q", "--push", "--runtime", "raw", "-t", image]).arg(folder));
    }

    /// Each image in an index, by digest: rh-model-signing reads no index.
    fn images(&self, image: &str) -> Vec<String> {
        self.field.manifests(image).iter().skip(1).map(|digest| format!("{}@{digest}", repository(image))).collect()
    }

    /// Whether modelcar accepts the model signature by the key, whichever way the image is read.
    fn is_accepted(&self, image: &str) -> bool {
        let (store, manifest) = open(image);
        let trusted = self.signer.trusted().unwrap();
        let trust = ModelTrust { trusted: &trusted, authorities: &Authorities::default() };
        let [quick, whole] = [Reading::Annotations, Reading::Layers]
            .map(|reading| verify_image(store.as_ref(), &manifest, &trust, reading).unwrap().is_accepted());
        assert_eq!(quick, whole, "the annotations of {image} lie");
        whole
    }
}

fn write(folder: &Path, path: &str, content: &str) {
    let file = folder.join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

fn open(image: &str) -> (Box<dyn Store>, RawManifest) {
    let location: Location = image.parse().unwrap();
    let store = store::open(&location, Access::Write, &StoreOptions::default()).unwrap();
    let (_, manifest) = store::resolve(store.as_ref(), &location).unwrap();
    (store, manifest)
}

fn sign_model(image: &str, signer: &ModelSigner<'_>) -> AttachReport {
    let (store, manifest) = open(image);
    attach(&AttachRequest { store: store.as_ref(), manifest, name: "iris", signer, reading: Reading::Annotations }).unwrap()
}

#[test]
fn a_folder_signed_before_push_is_accepted_by_the_reference_implementation() {
    let Some(bench) = Bench::new() else { return };
    let (folder, twins) = (bench.field.path("model"), bench.twins());
    for (method, signer) in bench.signers() {
        let file = bench.field.path(&format!("{method}.sig"));
        SignatureFile::of_folder(&folder, &file, &signer).unwrap().write().unwrap();
        assert!(bench.reference("verify", method, &folder, &file), "{method}");
        assert_eq!(bench.verify(method, &folder, &file), Ok(()));
        for (twin, reason) in &twins {
            assert!(!bench.reference("verify", method, twin, &file), "{method}: {reason}");
            let said = bench.verify(method, twin, &file).unwrap_err();
            assert!(said.contains(reason), "{said}");
        }
    }
}

#[test]
fn what_the_reference_implementation_signs_is_accepted() {
    let Some(bench) = Bench::new() else { return };
    let (folder, twins) = (bench.field.path("model"), bench.twins());
    for method in ["key", "certificate"] {
        // beside the model, and in it, where it leaves itself out
        for file in [bench.field.path(&format!("{method}.sig")), folder.join("model.sig")] {
            assert!(bench.reference("sign", method, &folder, &file));
            assert_eq!(bench.verify(method, &folder, &file), Ok(()));
            for (twin, reason) in &twins {
                let said = bench.verify(method, twin, &file).unwrap_err();
                assert!(said.contains(reason), "{said}");
            }
            fs::remove_file(&file).unwrap();
        }
    }
}

#[test]
fn an_image_is_accepted_by_red_hats_tool_and_by_all_verifiers_of_images() {
    let (Some(bench), Some(hosts)) = (Bench::new(), Host::both()) else { return };
    for (host, has_referrers) in hosts.iter().zip([false, true]) {
        let image = format!("{}/models/iris:v1", host.host);
        bench.build(&bench.field.path("model"), &image);
        bench.field.sign(&image, "p", &[]);
        for (_, signer) in bench.signers() {
            assert!(sign_model(&image, &signer).image_signatures.iter().all(|(_, outcome)| *outcome == Outcome::AlreadyThere));
        }
        assert!(bench.is_accepted(&image));
        for child in bench.images(&image) {
            assert!(bench.is_accepted(&child), "{child}");
            // it knows no fallback for registries without the referrers API
            assert!(!has_referrers || bench.red_hat("verify", &child), "{child}");
        }
        bench.field.expect(&image, "p", ALL);
    }
}

/// Somebody with access to the registry takes the model's signature to another image.
#[test]
fn a_signature_on_another_model_is_refused_by_both() {
    let (Some(bench), Some(host)) = (Bench::new(), Host::native()) else { return };
    let original = format!("{}/models/iris:v1", host.host);
    bench.build(&bench.field.path("model"), &original);
    sign_model(&original, &ModelSigner::new(&bench.signer));
    let (store, manifest) = open(&original);
    let taken = bench.field.path("taken.sig");
    SignatureFile::of_image(store.as_ref(), &manifest, &bench.field.path("elsewhere"), &taken).unwrap().write().unwrap();
    for ((twin, reason), number) in bench.twins().iter().zip(2..) {
        let image = format!("{}/models/iris:v{number}", host.host);
        bench.build(twin, &image);
        for child in bench.images(&image) {
            bench.oras_attach(&child, "taken.sig");
            assert!(!bench.red_hat("verify", &child), "{reason}");
            assert!(!bench.is_accepted(&child), "{reason}");
        }
    }
}

#[test]
fn what_red_hats_tool_signs_is_accepted_and_holds_after_extraction() {
    let (Some(bench), Some(host)) = (Bench::new(), Host::native()) else { return };
    let image = format!("{}/models/iris:v1", host.host);
    bench.build(&bench.field.path("model"), &image);
    assert!(!bench.is_accepted(&image));
    for child in bench.images(&image) {
        assert!(bench.red_hat("sign", &child));
        assert!(bench.is_accepted(&child), "{child}");
    }
    assert!(bench.is_accepted(&image), "every image of the index is signed");
    extract_and_check(&bench, &image, "key");
}

#[test]
fn an_extracted_model_is_accepted_by_the_reference_implementation() {
    let (Some(bench), Some(host)) = (Bench::new(), Host::fallback()) else { return };
    for (method, signer) in bench.signers() {
        let image = format!("{}/models/{method}:v1", host.host);
        bench.build(&bench.field.path("model"), &image);
        sign_model(&image, &signer);
        extract_and_check(&bench, &image, method);
    }
}

fn extract_and_check(bench: &Bench, image: &str, method: &str) {
    let (folder, file) = (bench.field.path(&format!("{method}-extracted")), bench.field.path(&format!("{method}-extracted.sig")));
    let inside = folder.join("model.sig");
    let mut command = bench.field.modelcar();
    let refused = command.args(["extract", image]).arg(&folder).arg("--model-signature").arg(&inside).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("inside the model") && !folder.exists());

    run(bench.field.modelcar().args(["extract", "-q", image]).arg(&folder).arg("--model-signature").arg(&file));
    assert!(bench.reference("verify", method, &folder, &file));
    assert_eq!(bench.verify(method, &folder, &file), Ok(()));
    write(&folder, "config.json", "[]");
    assert!(!bench.reference("verify", method, &folder, &file));
    assert!(bench.verify(method, &folder, &file).unwrap_err().contains("`config.json` was changed"));
}

/// The trap that `attach` avoids: where an image has a classic signature alone, one more bundle takes cosign's trust away.
#[test]
fn a_model_signature_alone_makes_cosign_refuse_an_image_and_attaching_heals_it() {
    let (Some(bench), Some(host)) = (Bench::new(), Host::native()) else { return };
    let image = format!("{}/models/iris:v1", host.host);
    bench.build(&bench.field.path("model"), &image);
    let pinned = format!("{}@{}", repository(&image), bench.field.manifests(&image)[0]);
    bench.field.cosign_sign(&pinned, "c", &["--new-bundle-format=false", "--sign-container-identity", &image]);
    assert!(bench.field.cosign_accepts(&image, "c", CLASSIC_KIND));
    let folder = bench.field.path("model");
    SignatureFile::of_folder(&folder, &bench.field.path("model.sig"), &ModelSigner::new(&bench.signer)).unwrap().write().unwrap();
    bench.oras_attach(&image, "model.sig");
    assert!(!bench.field.cosign_accepts(&image, "c", CLASSIC_KIND));

    let password = || Ok(zeroize::Zeroizing::new("correct horse".to_owned()));
    let signer = Signer::Key(PrivateKey::load(&bench.field.path("c.key"), &password).unwrap());
    let report = sign_model(&image, &ModelSigner::new(&signer));
    assert!(report.image_signatures.iter().all(|(_, outcome)| *outcome == Outcome::Added));
    bench.field.expect(&image, "c", ALL);
}

#[test]
fn signatures_that_red_hats_tag_mode_wrote_over_come_back_and_its_own_is_kept() {
    let (Some(bench), Some(host)) = (Bench::new(), Host::fallback()) else { return };
    let image = format!("{}/models/iris:v1", host.host);
    bench.build(&bench.field.path("model"), &image);
    bench.field.sign(&image, "p", &[]);
    let child = bench.images(&image).remove(0);
    assert!(bench.red_hat("sign-by-tag", &child));
    assert!(bench.field.ask_modelcar(&Question::new(&image, "p")).is_err(), "its tag mode does no harm any more");

    let again = run(bench.field.modelcar().args(["sign", &image, "--key", "p.key"]));
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("which is no classic signature: it was kept"), "{said}");
    let (store, _) = open(&child);
    let tag = format!("{}.sig", child.split('@').nth(1).unwrap().replace(':', "-"));
    let layers: serde_json::Value = serde_json::from_slice(&store.get_manifest(&ManifestRef::Tag(tag)).unwrap().bytes).unwrap();
    let kinds: Vec<&str> = layers["layers"].as_array().unwrap().iter().map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.cosign.simplesigning.v1+json"]);
    assert!(bench.red_hat("verify", &child), "its own signature is gone");
}
