//! The real verifiers accept what the `sigstore-*` crates sign with the stand-in, and refuse it once anything in it is changed: so what they
//! say of modelcar's signatures counts.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use modelcar::trust::PrivateKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::support::keyless_verifiers::{self as verifiers, Answer, Format, FulcioPolicy, Who};
use crate::support::sigstore::by_crates::{Log, sign_bytes, sign_statement};
use crate::support::sigstore::{CLUSTER, Claims, Options, PROVIDER, Sigstore, hex};
use crate::support::verifiers::{Host, repository};
use crate::support::{clean_command, modelcar, need, repo_root, run, stdout_of, temp_dir};

const ACCOUNT: &str = "https://kubernetes.io/namespaces/models/serviceaccounts/release";
/// A broken time stamp is no time stamp to sigstore-python and cosign, and where another time is left they do not mind.
const TIME: &str = "the time stamp";
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn statement(artifact: &[u8]) -> Vec<u8> {
    let digest = hex_digest(artifact);
    let predicate = "https://sigstore.dev/cosign/sign/v1";
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": digest}}], "predicateType": predicate, "predicate": {}})
        .to_string()
        .into_bytes()
}

fn hex_digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Services, and a folder with their trusted root.
struct Scene {
    services: Sigstore,
    home: tempfile::TempDir,
    root: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let (services, home) = (Sigstore::start(&Options::default()), temp_dir());
        let root = home.path().join("trusted_root.json");
        std::fs::write(&root, services.trusted_root().to_string()).unwrap();
        Self { services, home, root }
    }

    fn who(&self) -> Who<'_> {
        Who { root: &self.root, identity: ACCOUNT, issuer: CLUSTER }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.home.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    }

    fn token(&self) -> String {
        self.services.token(&Claims::service_account("models", "release"))
    }

    fn signed_bytes(&self, bytes: &[u8], log: Log) -> Value {
        json(&sign_bytes(&self.services, &self.token(), bytes, log).unwrap())
    }

    fn signed_statement(&self, about: &[u8], log: Log) -> Value {
        json(&sign_statement(&self.services, &self.token(), &statement(about), log).unwrap())
    }
}

fn json(bundle: &sigstore_types::Bundle) -> Value {
    serde_json::from_str(&bundle.to_json().unwrap()).unwrap()
}

/// Bundles that differ from a good one in one thing, each with the name of that thing.
fn tampered(good: &Value) -> Vec<(&'static str, Value)> {
    [
        ("the signature", "/messageSignature/signature"),
        ("the signature", "/dsseEnvelope/signatures/0/sig"),
        ("the statement", "/dsseEnvelope/payload"),
        ("the certificate", "/verificationMaterial/certificate/rawBytes"),
        ("the entry", "/verificationMaterial/tlogEntries/0/canonicalizedBody"),
        ("the proof", "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0"),
        ("the promise", "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp"),
        (TIME, "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp"),
    ]
    .into_iter()
    .filter(|(_, pointer)| good.pointer(pointer).is_some_and(Value::is_string))
    .map(|(what, pointer)| {
        let mut twin = good.clone();
        let bytes = twin.pointer_mut(pointer).unwrap();
        *bytes = json!(flip_last(bytes.as_str().unwrap()));
        (what, twin)
    })
    .chain([("the checkpoint", with_other_checkpoint(good))])
    .collect()
}

/// The last byte is in a signature, a hash or a closing bracket; the encodings around it stay whole.
fn flip_last(base64: &str) -> String {
    let mut bytes = STANDARD.decode(base64).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    STANDARD.encode(bytes)
}

fn with_other_checkpoint(good: &Value) -> Value {
    let mut twin = good.clone();
    let envelope = twin.pointer_mut("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope").unwrap();
    let (note, signature) = envelope.as_str().unwrap().trim_end().rsplit_once(' ').unwrap();
    *envelope = json!(format!("{note} {}\n", flip_last(signature)));
    twin
}

/// A verifier of bundles, and the broken part that it puts up with where Rekor's promise states the time as well.
struct Judge {
    ask: fn(&Path, &Path, Who<'_>) -> Option<Answer>,
    tolerates: &'static [&'static str],
}

impl Judge {
    /// Fails unless all is judged rightly. `None` where the verifier is missing.
    fn judges_all_rightly(&self) -> Option<()> {
        let (scene, bytes) = (Scene::new(), b"the bytes of a manifest");
        let (artifact, other) = (scene.write("artifact", bytes), scene.write("other", "other bytes"));
        let said_of = |bundle: &Value, artifact, who| (self.ask)(&scene.write("bundle.json", bundle.to_string()), artifact, who);
        for log in Log::ALL {
            for good in [scene.signed_bytes(bytes, log), scene.signed_statement(bytes, log)] {
                said_of(&good, &artifact, scene.who())?.unwrap_or_else(|why| panic!("{log:?}: refused the good one: {why}"));
                said_of(&good, &other, scene.who())?.expect_err("other bytes");
            }
            for (what, twin) in tampered(&scene.signed_statement(bytes, log)) {
                let tolerated = log == Log::V1AndTsa && self.tolerates.contains(&what);
                let answer = said_of(&twin, &artifact, scene.who())?;
                assert_eq!(answer.is_ok(), tolerated, "{log:?}: {what} was changed: {answer:?} {twin:#}");
            }
        }
        let good = scene.signed_statement(bytes, Log::V1);
        for other in [Who { identity: &ACCOUNT[..ACCOUNT.len() - 1], ..scene.who() }, Who { issuer: PROVIDER, ..scene.who() }] {
            said_of(&good, &artifact, other)?.expect_err("another identity");
        }
        Some(())
    }
}

#[test]
fn sigstore_python_tells_good_bundles_from_changed_ones() {
    Judge { ask: verifiers::sigstore_python, tolerates: &[TIME] }.judges_all_rightly();
}

#[test]
fn sigstore_js_tells_good_bundles_from_changed_ones() {
    Judge { ask: verifiers::sigstore_js, tolerates: &[] }.judges_all_rightly();
}

#[test]
fn sigstore_js_tells_good_bundles_of_keys_from_changed_ones() {
    let home = temp_dir();
    let [ours, other] = ["ours", "other"].map(|name| modelcar::trust::keygen(home.path(), name, "").unwrap());
    let (artifact, payload) = (b"the bytes of a manifest", statement(b"the bytes of a manifest"));
    let public = sigstore_types::DerPublicKey::from_pem(&ours.key.to_pem()).unwrap();
    let hint = STANDARD.encode(Sha256::digest(public.as_bytes()));
    let key = PrivateKey::load(&ours.private, &|| Ok(Zeroizing::default())).unwrap();
    let signature = key.sign(&sigstore_types::dsse::pae("application/vnd.in-toto+json", &payload));
    let good = json!({
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": [], "timestampVerificationData": {}},
        "dsseEnvelope": {
            "payloadType": "application/vnd.in-toto+json", "payload": STANDARD.encode(&payload),
            "signatures": [{"sig": STANDARD.encode(signature.unwrap())}],
        },
    });
    let write = |name: &str, bytes: &[u8]| {
        let file = home.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let (bundle, artifact) = (write("good.json", good.to_string().as_bytes()), write("artifact", artifact));
    let Some(answer) = verifiers::sigstore_js_by_key(&bundle, &artifact, &ours.public) else { return };
    answer.unwrap();
    verifiers::sigstore_js_by_key(&bundle, &artifact, &other.public).unwrap().unwrap_err();
    verifiers::sigstore_js_by_key(&bundle, &write("other", b"other"), &ours.public).unwrap().unwrap_err();
    let mut twin = good;
    twin["dsseEnvelope"]["signatures"][0]["sig"] = json!(flip_last(twin["dsseEnvelope"]["signatures"][0]["sig"].as_str().unwrap()));
    verifiers::sigstore_js_by_key(&write("twin.json", twin.to_string().as_bytes()), &artifact, &ours.public).unwrap().unwrap_err();
}

/// Images in a registry, by the plain means of oras.
struct Images<'a> {
    scene: &'a Scene,
    oras: PathBuf,
    host: String,
}

impl Images<'_> {
    fn oras(&self, words: &[&str]) -> Command {
        let mut command = clean_command(&self.oras, self.scene.home.path());
        command.current_dir(self.scene.home.path()).args(words);
        command
    }

    fn fetch(&self, image: &str) -> String {
        stdout_of(&mut self.oras(&["manifest", "fetch", "--plain-http", image]))
    }

    /// An image of its own with one bundle about it, by digest.
    fn with_bundle(&self, name: &str, bundle: impl Fn(&[u8]) -> Value) -> String {
        let image = format!("{}/models/{}:1", self.host, name.to_lowercase());
        self.scene.write("layer", name);
        run(&mut self.oras(&["push", "--plain-http", "--artifact-type", "application/vnd.example", &image, "layer"]));
        let manifest = self.fetch(&image);
        let pinned = format!("{}@sha256:{}", repository(&image), hex_digest(manifest.as_bytes()));
        self.scene.write("bundle.json", bundle(manifest.as_bytes()).to_string());
        // as cosign 3 does
        let mut command = self.oras(&["attach", "--plain-http", "--artifact-type", BUNDLE_TYPE]);
        command.args(["--annotation", "dev.sigstore.bundle.content=dsse-envelope"]);
        command.args(["--annotation", "dev.sigstore.bundle.predicateType=https://sigstore.dev/cosign/sign/v1"]);
        run(command.arg(&pinned).arg(format!("bundle.json:{BUNDLE_TYPE}")));
        pinned
    }

    /// A classic signature of a manifest: the tag `.sig`.
    fn sign_classic(&self, image: &str, digest: &str, token: &str, change: impl Fn(&mut Value)) {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": image}, "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string();
        let mut bundle = json(&sign_bytes(&self.scene.services, token, payload.as_bytes(), Log::V1).unwrap());
        change(&mut bundle);
        self.scene.write("payload.json", payload);
        self.scene.write("config.json", json!({"architecture": "", "os": "", "rootfs": {"type": "layers", "diff_ids": []}}).to_string());
        let annotations = json!({"payload.json": annotations(&bundle, &self.scene.services.fulcio_chain())});
        self.scene.write("annotations.json", annotations.to_string());
        let tag = format!("{}:{}.sig", repository(image), digest.replace(':', "-"));
        let mut command = self.oras(&["push", "--plain-http", "--image-spec", "v1.0", "--annotation-file", "annotations.json"]);
        command.args(["--config", "config.json:application/vnd.oci.image.config.v1+json", &tag]);
        run(command.arg("payload.json:application/vnd.dev.cosign.simplesigning.v1+json"));
    }
}

/// What a layer of a `.sig` image says of its signature, from a bundle that Rekor v1 logged.
fn annotations(bundle: &Value, chain: &str) -> Value {
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let number = |name: &str| entry[name].as_str().unwrap().parse::<u64>().unwrap();
    let certificate = STANDARD.decode(bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap()).unwrap();
    let log = hex(&STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap());
    let payload = json!({
        "body": entry["canonicalizedBody"], "integratedTime": number("integratedTime"), "logIndex": number("logIndex"), "logID": log,
    });
    let promise = &entry["inclusionPromise"]["signedEntryTimestamp"];
    json!({
        "dev.cosignproject.cosign/signature": bundle["messageSignature"]["signature"],
        "dev.sigstore.cosign/certificate": sigstore_types::DerCertificate::new(certificate).to_pem().replace("\r\n", "\n"),
        "dev.sigstore.cosign/chain": chain,
        "dev.sigstore.cosign/bundle": json!({"SignedEntryTimestamp": promise, "Payload": payload}).to_string(),
    })
}

#[test]
fn cosign_accepts_good_bundles_in_every_registry() {
    let (Some(oras), Some(hosts)) = (need("oras"), Host::both()) else { return };
    let scene = Scene::new();
    let ask = |pinned: &str, who| verifiers::cosign(scene.home.path(), pinned, Format::Bundle, who);
    for host in &hosts {
        let images = Images { scene: &scene, oras: oras.clone(), host: host.host.clone() };
        for log in Log::ALL {
            let pinned = images.with_bundle(&format!("{log:?}"), |manifest| scene.signed_statement(manifest, log));
            let Some(answer) = ask(&pinned, scene.who()) else { return };
            answer.unwrap_or_else(|why| panic!("{log:?}: {why}"));
            ask(&pinned, Who { issuer: PROVIDER, ..scene.who() }).unwrap().unwrap_err();
        }
    }
}

#[test]
fn cosign_refuses_bundles_that_were_changed() {
    let (Some(oras), Some(host)) = (need("oras"), Host::native()) else { return };
    let scene = Scene::new();
    let images = Images { scene: &scene, oras, host: host.host.clone() };
    for log in Log::ALL {
        let other = images.with_bundle(&format!("{log:?}-other"), |_| scene.signed_statement(b"other bytes", log));
        let Some(answer) = verifiers::cosign(scene.home.path(), &other, Format::Bundle, scene.who()) else { return };
        answer.unwrap_err();
        let twins = tampered(&scene.signed_statement(b"", log)).into_iter().enumerate();
        for (at, (what, _)) in twins {
            let twin = |manifest: &[u8]| tampered(&scene.signed_statement(manifest, log)).remove(at).1;
            let pinned = images.with_bundle(&format!("{log:?}-{at}"), twin);
            let answer = verifiers::cosign(scene.home.path(), &pinned, Format::Bundle, scene.who()).unwrap();
            assert_eq!(answer.is_ok(), log == Log::V1AndTsa && what == TIME, "{log:?}: {what} was changed: {answer:?}");
        }
    }
}

/// podman knows people only, so that is who signs.
#[test]
fn podman_and_cosign_tell_good_classic_signatures_from_changed_ones() {
    let (Some(oras), Some(host)) = (need("oras"), Host::fallback()) else { return };
    let scene = Scene::new();
    let images = Images { scene: &scene, oras, host: host.host.clone() };
    let (home, token) = (scene.home.path(), scene.services.token(&Claims::email("ci@example.com")));
    let (chain, rekor) = (scene.services.fulcio_chain(), scene.services.rekor_key());
    let who = Who { identity: "ci@example.com", issuer: PROVIDER, ..scene.who() };
    let policy = FulcioPolicy { authorities: &chain, rekor_key: &rekor, email: who.identity, issuer: PROVIDER };
    let flip = |pointer: &'static str| {
        move |bundle: &mut Value| {
            let value = bundle.pointer_mut(pointer).unwrap();
            *value = json!(flip_last(value.as_str().unwrap()));
        }
    };
    let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
    let build = |image: &str| stdout_of(modelcar(home).args(["build", "-q", "--push", "-t", image]).arg(&model)).trim().to_owned();
    let sign = |image: &str, change: &dyn Fn(&mut Value)| {
        let index = build(image);
        let manifests: Value = serde_json::from_str(&images.fetch(&index)).unwrap();
        let children = manifests["manifests"].as_array().unwrap().iter().map(|child| child["digest"].as_str().unwrap());
        for digest in children.chain([index.split_once('@').unwrap().1]) {
            images.sign_classic(image, digest, &token, change);
        }
    };
    let good = format!("{}/models/good:1", host.host);
    sign(&good, &|_| ());
    let (Some(cosign), Some(podman)) = (verifiers::cosign(home, &good, Format::Classic, who), verifiers::podman(home, &good, policy))
    else {
        return;
    };
    cosign.unwrap();
    podman.unwrap();
    verifiers::cosign(home, &good, Format::Classic, Who { identity: "ci@example.co", ..who }).unwrap().unwrap_err();
    verifiers::podman(home, &good, FulcioPolicy { email: "ci@example.co", ..policy }).unwrap().unwrap_err();
    let twins = [
        ("signature", flip("/messageSignature/signature")),
        ("certificate", flip("/verificationMaterial/certificate/rawBytes")),
        ("promise", flip("/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp")),
    ];
    for (what, change) in twins {
        let image = format!("{}/models/{what}:1", host.host);
        sign(&image, &change);
        assert!(verifiers::cosign(home, &image, Format::Classic, who).unwrap().is_err(), "cosign accepts another {what}");
        assert!(verifiers::podman(home, &image, policy).unwrap().is_err(), "podman accepts another {what}");
    }
}
