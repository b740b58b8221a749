//! Signing without a key, against a stand-in for Sigstore's services, and checking it with a trusted root and no network.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::sigstore::{CLUSTER, Claims, Options, PROVIDER, Service, Sigstore};
use crate::support::{modelcar, repo_root, run, temp_dir};

const NAME: &str = "quay.io/o/iris:v1";
const IMAGE: &str = "oci:layout";
const BUILDER: &str = "https://kubernetes.io/namespaces/ml/serviceaccounts/builder";

/// Services, a home with an image in a layout, a trusted root and a token.
struct Bench {
    home: tempfile::TempDir,
    services: Sigstore,
}

/// What witnesses a signature.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Witness {
    V1,
    V1AndTsa,
    V2AndTsa,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { home: temp_dir(), services: Sigstore::start(&Options::default()) };
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        run(bench.command().args(["build", "-q", "-t", NAME, "-o", IMAGE, "--platform", "linux/amd64"]).arg(model));
        bench.write("root.json", &bench.services.trusted_root().to_string());
        bench.hand_out(&Claims::service_account("ml", "builder"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn hand_out(&self, claims: &Claims) {
        self.write("token", &self.services.token(claims));
    }

    fn command(&self) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path());
        command
    }

    fn signing(&self, witness: Witness) -> Command {
        let mut command = self.command();
        command.args(["sign", IMAGE, "--identity-token-file", "token", "--fulcio-url", &self.services.fulcio_url]);
        match witness {
            Witness::V1 => command.args(["--rekor-url", &self.services.rekor_url]),
            Witness::V1AndTsa => command.args(["--rekor-url", &self.services.rekor_url, "--tsa-url", &self.services.tsa_url]),
            Witness::V2AndTsa => {
                let v2 = ["--rekor-url", &self.services.rekor_v2_url, "--rekor-version", "2", "--tsa-url", &self.services.tsa_url];
                command.args(v2)
            }
        };
        command
    }

    fn sign(&self, witness: Witness) -> String {
        said(&run(self.signing(witness).args(["--trusted-root", "root.json"])))
    }

    /// Whether cosign would pass the image: podman and OpenShift take no service account, whatever it signs.
    fn verify(&self, identity: &str, issuer: &str) -> Output {
        self.verify_for("cosign-v3", identity, issuer)
    }

    fn verify_for(&self, consumer: &str, identity: &str, issuer: &str) -> Output {
        let mut command = self.command();
        command.args(["verify", IMAGE, "--consumer", consumer, "--format", "json", "--trusted-root", "root.json"]);
        command.args(["--certificate-identity", identity, "--certificate-oidc-issuer", issuer]).output().unwrap()
    }

    #[track_caller]
    fn verified(&self, identity: &str, issuer: &str) -> Value {
        let output = self.verify(identity, issuer);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, identity: &str, issuer: &str, reason: &str) {
        self.refused_for("cosign-v3", identity, issuer, reason);
    }

    #[track_caller]
    fn refused_for(&self, consumer: &str, identity: &str, issuer: &str, reason: &str) {
        let output = self.verify_for(consumer, identity, issuer);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(report["refusals"].to_string().contains(reason), "`{reason}` is not in\n{report:#}");
    }

    /// The command fails with this code, and says this.
    #[track_caller]
    fn fails(command: &mut Command, code: i32, words: &[&str]) {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        let said = said(&output);
        for words in words {
            assert!(said.contains(words), "`{words}` is not in\n{said}");
        }
    }

    fn certificates_asked(&self) -> usize {
        self.services.requests(Service::Fulcio).iter().filter(|request| *request == "POST /api/v2/signingCert").count()
    }

    fn entries_asked(&self) -> usize {
        self.services.requests(Service::Rekor).len()
    }

    fn index(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("layout/index.json")).unwrap()).unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What is accepted in a report, by kind.
fn accepted(report: &Value, kind: &str) -> Vec<Value> {
    let manifests = report["manifests"].as_array().unwrap().iter();
    let findings = manifests.flat_map(|manifest| manifest[kind].as_array().unwrap());
    findings.filter(|finding| finding["verdict"] == "accepted").map(|finding| finding["detail"].clone()).collect()
}

#[test]
fn a_service_account_signs_for_both_worlds_with_a_log_of_version_1() {
    for witness in [Witness::V1, Witness::V1AndTsa] {
        let bench = Bench::new();
        let said = bench.sign(witness);
        assert!(said.contains("iss https://kubernetes.default.svc, aud sigstore, sub system:serviceaccount:ml:builder, exp in "), "{said}");
        let report = bench.verified(BUILDER, CLUSTER);
        for kind in ["classic", "bundle"] {
            let accepted = accepted(&report, kind);
            assert_eq!(accepted.len(), 2, "the index and its image, {kind}, {witness:?}");
            assert_eq!((&accepted[0]["certificate_identity"], &accepted[0]["certificate_oidc_issuer"]), (&json!(BUILDER), &json!(CLUSTER)));
        }
        assert_eq!(bench.certificates_asked(), 1, "one certificate for all signatures");
        assert_eq!(bench.services.requests(Service::Tsa).is_empty(), witness == Witness::V1);
    }
}

#[test]
fn a_log_of_version_2_gives_bundles_and_says_that_podman_finds_nothing() {
    let bench = Bench::new();
    let said = bench.sign(Witness::V2AndTsa);
    assert!(said.contains("no classic keyless signature is possible"), "{said}");
    let output = bench.verify_for("openshift", BUILDER, CLUSTER);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), accepted(&report, "bundle").len(), accepted(&report, "classic").len()), (Some(3), 2, 0));
    let refusals = report["refusals"].to_string();
    assert!(refusals.contains("classic signature: no signature exists") && !refusals.contains("bundle:"), "{refusals}");
}

#[test]
fn a_person_signs_with_an_e_mail_address() {
    let bench = Bench::new();
    bench.hand_out(&Claims::email("ci@example.com"));
    bench.sign(Witness::V1);
    bench.verified("ci@example.com", PROVIDER);
}

#[test]
fn finds_the_token_where_cosign_does() {
    let bench = Bench::new();
    let token = bench.services.token(&Claims::service_account("ml", "builder"));
    let mut command = bench.command();
    command.args(["sign", IMAGE, "--fulcio-url", &bench.services.fulcio_url, "--rekor-url", &bench.services.rekor_url]);
    run(command.env("SIGSTORE_ID_TOKEN", &token));
    bench.verified(BUILDER, CLUSTER);
    let mut command = bench.command();
    command.args(["sign", IMAGE, "--fulcio-url", &bench.services.fulcio_url, "--rekor-url", &bench.services.rekor_url]);
    Bench::fails(&mut command, 1, &["no identity token", "audience: sigstore"]);
}

#[test]
fn a_signing_config_names_the_services() {
    for (services, classic) in [(&[Service::Fulcio, Service::Rekor][..], 2), (&[Service::Fulcio, Service::RekorV2, Service::Tsa], 0)] {
        let bench = Bench::new();
        bench.write("config.json", &bench.services.signing_config(services).to_string());
        run(bench.command().args(["sign", IMAGE, "--identity-token-file", "token", "--signing-config", "config.json"]));
        let report: Value = serde_json::from_slice(&bench.verify(BUILDER, CLUSTER).stdout).unwrap();
        assert_eq!((accepted(&report, "bundle").len(), accepted(&report, "classic").len()), (2, classic));
    }
}

#[test]
fn signing_twice_adds_nothing() {
    for with_root in [true, false] {
        let bench = Bench::new();
        let sign = || {
            let mut command = bench.signing(Witness::V1);
            run(if with_root { command.args(["--trusted-root", "root.json"]) } else { &mut command });
        };
        sign();
        let before = (bench.index(), bench.entries_asked());
        sign();
        assert_eq!((bench.index(), bench.entries_asked()), before, "with a trusted root: {with_root}");
        // Somebody else's signature stays, and comes besides.
        bench.hand_out(&Claims::service_account("ml", "other"));
        sign();
        bench.verified(BUILDER, CLUSTER);
        bench.verified(&BUILDER.replace("builder", "other"), CLUSTER);
    }
}

#[test]
fn others_and_their_roots_are_refused() {
    let bench = Bench::new();
    bench.sign(Witness::V1AndTsa);
    bench.refused("https://kubernetes.io/namespaces/ml/serviceaccounts/other", CLUSTER, &format!("is for `{BUILDER}`, not for `https://"));
    bench.refused(BUILDER, "https://else", "the certificate's issuer is `https://kubernetes.default.svc`, not `https://else`");
    let ours = bench.services.trusted_root();
    let theirs = Sigstore::start(&Options::default()).trusted_root();
    for (part, reason) in [
        ("certificateAuthorities", "the certificate is not from the trusted root"),
        ("ctlogs", "nothing proves that the certificate was published"),
        ("tlogs", "the log entry does not match"),
        ("timestampAuthorities", "the time stamp does not pass"),
    ] {
        let mut root = ours.clone();
        root[part] = theirs[part].clone();
        bench.write("root.json", &root.to_string());
        bench.refused(BUILDER, CLUSTER, reason);
    }
    let mut without = ours;
    without["ctlogs"] = json!([]);
    bench.write("root.json", &without.to_string());
    bench.verified(BUILDER, CLUSTER);
}

#[test]
fn a_key_is_no_certificate_and_a_certificate_is_no_key() {
    let bench = Bench::new();
    bench.sign(Witness::V1);
    run(bench.command().env("COSIGN_PASSWORD", "").args(["keygen", "-q"]));
    let mut by_key = bench.command();
    Bench::fails(by_key.args(["verify", IMAGE, "--key", "cosign.pub"]), 3, &["keyless (made with a certificate): not checked with a key"]);
    let mut both = bench.signing(Witness::V1);
    Bench::fails(both.args(["--key", "cosign.key"]), 2, &["`--key` and `--fulcio-url` are both given"]);
    let mut neither = bench.command();
    Bench::fails(neither.args(["sign", IMAGE]), 2, &["nobody is named who signs", "--key FILE", "--fulcio-url"]);
    let mut nobody = bench.command();
    Bench::fails(nobody.args(["verify", IMAGE]), 2, &["nobody is named whose signature counts"]);
}

#[test]
fn a_log_entry_of_another_signature_is_refused() {
    const BUNDLE: &str = "dev.sigstore.cosign/bundle";
    const MAIL: &str = "ci@example.com";
    let bench = Bench::new();
    bench.hand_out(&Claims::email(MAIL));
    let names = ["--sign-identity", "quay.io/o/iris:a", "--sign-identity", NAME];
    run(bench.signing(Witness::V1).args(names));
    assert_eq!(bench.verify_for("openshift", MAIL, PROVIDER).status.code(), Some(0));
    change_signature_images(&bench, |image| {
        let other = image["layers"][0]["annotations"][BUNDLE].clone();
        image["layers"][1]["annotations"][BUNDLE] = other;
    });
    bench.refused_for("openshift", MAIL, PROVIDER, "the log entry does not match");
    change_signature_images(&bench, |image| {
        let layers = image["layers"].as_array_mut().unwrap();
        for layer in layers {
            layer["annotations"].as_object_mut().unwrap().remove(BUNDLE);
        }
    });
    bench.refused_for("openshift", MAIL, PROVIDER, "nothing proves when it was signed");
}

/// What an attacker with access to the layout does to every `.sig` image.
fn change_signature_images(bench: &Bench, change: impl Fn(&mut Value)) {
    use sha2::{Digest as _, Sha256};
    let blob = |digest: &str| bench.path("layout/blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let mut index = bench.index();
    for entry in index["manifests"].as_array_mut().unwrap() {
        let mut image: Value = serde_json::from_slice(&fs::read(blob(entry["digest"].as_str().unwrap())).unwrap()).unwrap();
        if !entry.to_string().contains(".sig\"") {
            continue;
        }
        change(&mut image);
        let bytes = image.to_string();
        let hex = Sha256::digest(&bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        fs::write(blob(&hex), &bytes).unwrap();
        entry["digest"] = format!("sha256:{hex}").into();
        entry["size"] = bytes.len().into();
    }
    bench.write("layout/index.json", &index.to_string());
}

#[test]
fn what_fulcio_would_refuse_is_said_before_it_is_asked() {
    let account = || Claims::service_account("ml", "builder");
    for (claims, words) in [
        (account().expired(), &["expired 3600 s ago", "renews a projected token"][..]),
        (
            account().for_audience("vault"),
            &["is for the audience `vault`, and --oidc-client-id expects `sigstore`", "`audience: sigstore`"],
        ),
        (account().with("aud", json!("vault")), &["`vault`"]),
        (account().with("sub", Value::Null), &["a token without `sub`"]),
        (account().with("iss", json!("https://kubernetes.default.svc/")), &["does not know", "only `https://kubernetes.default.svc`"]),
    ] {
        let bench = Bench::new();
        bench.hand_out(&claims);
        let output = bench.signing(Witness::V1).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        for words in words {
            assert!(said(&output).contains(words), "`{words}` is not in\n{}", said(&output));
        }
        assert_eq!(bench.certificates_asked(), 0);
    }
}

#[test]
fn an_audience_of_its_own_is_asked_for() {
    let bench = Bench { services: Sigstore::start(&Options { audience: "tas".to_owned(), ..Options::default() }), ..Bench::new() };
    bench.hand_out(&Claims::service_account("ml", "builder").for_audience("tas"));
    bench.write("root.json", &bench.services.trusted_root().to_string());
    run(bench.signing(Witness::V1).args(["--oidc-client-id", "tas"]));
    bench.verified(BUILDER, CLUSTER);
    // The user's word is not Fulcio's.
    bench.hand_out(&Claims::service_account("ml", "builder"));
    Bench::fails(&mut bench.signing(Witness::V1), 1, &["is for the audience `sigstore`, and Fulcio expects `tas`"]);
}

#[test]
fn the_token_appears_nowhere() {
    let bench = Bench::new();
    let token = fs::read_to_string(bench.path("token")).unwrap();
    let secret = token.rsplit('.').next().unwrap();
    let mut outputs = vec![bench.signing(Witness::V1AndTsa).arg("-vv").output().unwrap()];
    bench.services.fail(Service::Fulcio, crate::support::sigstore::Fault::Status(403), usize::MAX);
    outputs.push(bench.signing(Witness::V1AndTsa).arg("-vv").output().unwrap());
    for output in outputs {
        let text = format!("{}{}", said(&output), String::from_utf8_lossy(&output.stdout));
        assert!(!text.contains(secret), "{text}");
    }
    for entry in walkdir::WalkDir::new(bench.home.path()).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file()) {
        let content = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        assert_eq!(content.contains(secret), entry.path() == bench.path("token"), "{}", entry.path().display());
    }
}

#[test]
fn tells_a_deployment_that_cannot_sign() {
    let bench = Bench::new();
    let fulcio = || {
        let mut command = bench.command();
        command.args(["sign", IMAGE, "--identity-token-file", "token", "--fulcio-url", &bench.services.fulcio_url]);
        command
    };
    Bench::fails(&mut fulcio(), 2, &["nothing would prove when the signature was made", "--tsa-url"]);
    Bench::fails(fulcio().args(["--rekor-url", "https://r", "--rekor-version", "2"]), 2, &["needs a time-stamp authority"]);
    let mut plain = bench.command();
    plain.args(["sign", IMAGE, "--identity-token-file", "token", "--fulcio-url", "http://fulcio.example.com", "--rekor-url", "https://r"]);
    Bench::fails(&mut plain, 1, &["will not speak to Fulcio at http://fulcio.example.com/", "use https"]);
}
