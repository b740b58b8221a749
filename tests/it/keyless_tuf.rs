//! A deployment's TUF repository gives services and trusted root; nothing that was changed on the way is believed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::sigstore::{CLUSTER, Claims, Options, Service, Sigstore};
use crate::support::{modelcar, repo_root, run, temp_dir};

const IMAGE: &str = "oci:layout";
const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A TUF repository with one key for all roles (<https://theupdateframework.github.io/specification/v1.0.31/>).
struct Repository {
    url: String,
    root: String,
    files: Files,
}

impl Repository {
    fn start(targets: &[(&str, Value)]) -> Self {
        let key = SigningKey::random(&mut p256::elliptic_curve::rand_core::OsRng);
        let mut files: BTreeMap<String, Vec<u8>> =
            targets.iter().map(|(name, target)| (format!("/targets/{name}"), target.to_string().into_bytes())).collect();
        let described = targets.iter().map(|(name, target)| {
            let bytes = target.to_string();
            (name.to_string(), json!({"length": bytes.len(), "hashes": {"sha256": hex(&Sha256::digest(&bytes))}}))
        });
        let described: BTreeMap<String, Value> = described.collect();
        for (role, body) in [
            ("targets", json!({"targets": described})),
            ("snapshot", json!({"meta": {"targets.json": {"version": 1}}})),
            ("timestamp", json!({"meta": {"snapshot.json": {"version": 1}}})),
        ] {
            files.insert(format!("/{role}.json"), signed(role, body, &key).into_bytes());
        }
        let (files, root) = (Arc::new(Mutex::new(files)), signed("root", root(&key), &key));
        Self { url: serve(files.clone()), root, files }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn root(key: &SigningKey) -> Value {
    let pem = p256::PublicKey::from(key.verifying_key()).to_public_key_pem(LineEnding::LF).unwrap();
    let roles: BTreeMap<&str, Value> = ROLES.iter().map(|role| (*role, json!({"keyids": ["k"], "threshold": 1}))).collect();
    json!({
        "consistent_snapshot": false, "roles": roles,
        "keys": {"k": {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}}},
    })
}

/// A role's file: its content and the signature of its canonical form, in which line ends stand as they are.
fn signed(role: &str, mut body: Value, key: &SigningKey) -> String {
    for (name, value) in
        [("_type", json!(role)), ("spec_version", json!("1.0.31")), ("version", json!(1)), ("expires", json!("2099-01-01T00:00:00Z"))]
    {
        body[name] = value;
    }
    let canonical = body.to_string().replace("\\n", "\n");
    let signature: DerSignature = key.sign(canonical.as_bytes());
    json!({"signatures": [{"keyid": "k", "sig": hex(signature.as_bytes())}], "signed": body}).to_string()
}

/// Serves files until the process ends.
fn serve(files: Files) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines().map_while(Result::ok);
            let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
            lines.by_ref().find(String::is_empty);
            let file = files.lock().unwrap().get(&path).cloned();
            let (status, body) = file.map_or(("404 Not Found", Vec::new()), |file| ("200 OK", file));
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // a client that goes away is no failure of the server
            let _ = connection.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

struct Bench {
    home: tempfile::TempDir,
    repository: Repository,
    _services: Sigstore,
}

impl Bench {
    fn new() -> Self {
        let (home, services) = (temp_dir(), Sigstore::start(&Options::default()));
        let config = services.signing_config(&[Service::Fulcio, Service::Rekor, Service::Tsa]);
        let targets = [("trusted_root.json", services.trusted_root()), ("signing_config.v0.2.json", config)];
        let repository = Repository::start(&targets);
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        write("root.json", &repository.root);
        write("token", &services.token(&Claims::service_account("ml", "builder")));
        let bench = Self { home, repository, _services: services };
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        run(bench.command(&["build", "-q", "-t", "quay.io/o/iris:v1", "-o", IMAGE, "--platform", "linux/amd64"]).arg(model));
        bench
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).args(words);
        command
    }

    fn with_mirror(&self, words: &[&str]) -> Command {
        let mut command = self.command(words);
        command.args(["--tuf-mirror", &self.repository.url, "--tuf-root", "root.json"]);
        command
    }

    fn sign(&self) -> Command {
        self.with_mirror(&["sign", IMAGE, "--identity-token-file", "token"])
    }

    fn verify(&self) -> Output {
        let whom = ["--certificate-identity-regexp", "/serviceaccounts/builder$", "--certificate-oidc-issuer", CLUSTER];
        self.with_mirror(&["verify", IMAGE, "--consumer", "cosign-v3"]).args(whom).output().unwrap()
    }
}

#[test]
fn a_deployments_repository_is_enough_to_sign_and_to_verify() {
    let bench = Bench::new();
    run(&mut bench.sign());
    let output = bench.verify();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let kept: Vec<_> = std::fs::read_dir(bench.home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept.len(), 3, "nothing is kept between runs: {kept:?}");
}

#[test]
fn what_was_changed_on_the_way_is_not_believed() {
    let other = Repository::start(&[("trusted_root.json", json!({}))]);
    for (path, content, reason) in [
        ("/targets/trusted_root.json", b"{}".to_vec(), "trusted_root.json of the TUF mirror"),
        ("/targets.json", other.files.lock().unwrap()["/targets.json"].clone(), "TUF repository load failed"),
        ("/timestamp.json", b"{}".to_vec(), "TUF repository load failed"),
    ] {
        let bench = Bench::new();
        run(&mut bench.sign());
        bench.repository.files.lock().unwrap().insert(path.to_owned(), content);
        let output = bench.verify();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(reason), "{path}: {said}");
    }
}
