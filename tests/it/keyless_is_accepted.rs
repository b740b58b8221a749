//! What modelcar signs without a key, verifiers of the field accept: cosign both kinds, the library in podman and CRI-O the classic ones
//! of people, sigstore-python and sigstore-js the bundles. Each refuses the same signature as somebody else's.

use serde_json::Value;

use crate::support::keyless_verifiers::{self as verifiers, Format, FulcioPolicy, Who};
use crate::support::sigstore::{CLUSTER, Claims, Options, PROVIDER, Sigstore};
use crate::support::verifiers::Host;
use crate::support::{modelcar, repo_root, run, stdout_of, temp_dir};

const ACCOUNT: &str = "https://kubernetes.io/namespaces/models/serviceaccounts/release";
const PERSON: &str = "ci@example.com";

struct Scene {
    home: tempfile::TempDir,
    services: Sigstore,
    image: String,
}

impl Scene {
    /// An image of its own that was signed with these services.
    fn signed(host: &Host, claims: &Claims, services: fn(&Sigstore) -> Vec<&str>) -> Self {
        let (home, sigstore) = (temp_dir(), Sigstore::start(&Options::default()));
        let port = sigstore.fulcio_url.rsplit(':').next().unwrap();
        let image = format!("{}/models/iris-{port}:v1", host.host);
        let write = |name: &str, text: String| std::fs::write(home.path().join(name), text).unwrap();
        write("root.json", sigstore.trusted_root().to_string());
        write("token", sigstore.token(claims));
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        run(modelcar(home.path()).args(["build", "-q", "--push", "-t", &image]).arg(model));
        let mut sign = modelcar(home.path());
        sign.current_dir(home.path()).args(["sign", "-q", &image, "--identity-token-file", "token", "--trusted-root", "root.json"]);
        run(sign.args(["--fulcio-url", &sigstore.fulcio_url]).args(services(&sigstore)));
        Self { home, services: sigstore, image }
    }

    fn cosign(&self, format: Format, identity: &str, issuer: &str) -> Option<verifiers::Answer> {
        let root = self.home.path().join("root.json");
        verifiers::cosign(self.home.path(), &self.image, format, Who { root: &root, identity, issuer })
    }
}

fn log_v1(services: &Sigstore) -> Vec<&str> {
    vec!["--rekor-url", &services.rekor_url]
}

fn log_v1_and_stamp(services: &Sigstore) -> Vec<&str> {
    vec!["--rekor-url", &services.rekor_url, "--tsa-url", &services.tsa_url]
}

fn log_v2_and_stamp(services: &Sigstore) -> Vec<&str> {
    vec!["--rekor-url", &services.rekor_v2_url, "--rekor-version", "2", "--tsa-url", &services.tsa_url]
}

#[test]
fn cosign_accepts_the_signatures_of_service_accounts() {
    let Some(hosts) = Host::both() else { return };
    for host in &hosts {
        for (services, formats) in [
            (log_v1 as fn(&Sigstore) -> Vec<&str>, &[Format::Bundle, Format::Classic][..]),
            (log_v1_and_stamp, &[Format::Bundle, Format::Classic]),
            (log_v2_and_stamp, &[Format::Bundle]),
        ] {
            let scene = Scene::signed(host, &Claims::service_account("models", "release"), services);
            for format in formats {
                let Some(answer) = scene.cosign(*format, ACCOUNT, CLUSTER) else { return };
                answer.unwrap_or_else(|why| panic!("{format:?}: {why}"));
                scene.cosign(*format, &ACCOUNT.replace("release", "other"), CLUSTER).unwrap().unwrap_err();
            }
        }
    }
}

#[test]
fn podman_accepts_the_signatures_of_people() {
    let Some(host) = Host::fallback() else { return };
    for services in [log_v1 as fn(&Sigstore) -> Vec<&str>, log_v1_and_stamp] {
        let scene = Scene::signed(&host, &Claims::email(PERSON), services);
        let (authorities, rekor_key) = (scene.services.fulcio_chain(), scene.services.rekor_key());
        let policy = FulcioPolicy { authorities: &authorities, rekor_key: &rekor_key, email: PERSON, issuer: PROVIDER };
        let ask = |policy| verifiers::podman(scene.home.path(), &scene.image, policy);
        let Some(answer) = ask(policy) else { return };
        answer.unwrap();
        ask(FulcioPolicy { email: "other@example.com", ..policy }).unwrap().unwrap_err();
    }
}

#[test]
fn sigstores_own_verifiers_accept_the_bundles() {
    let Some(host) = Host::native() else { return };
    for services in [log_v1 as fn(&Sigstore) -> Vec<&str>, log_v1_and_stamp, log_v2_and_stamp] {
        let scene = Scene::signed(&host, &Claims::service_account("models", "release"), services);
        let file = |name: &str| scene.home.path().join(name);
        let layout = format!("oci:{}", file("copy").display());
        run(modelcar(scene.home.path()).args(["pull", "-q", &scene.image]).arg(file("copy")));
        let digest = stdout_of(modelcar(scene.home.path()).args(["inspect", "--format", "json", &layout]));
        let digest = serde_json::from_str::<Value>(&digest).unwrap()["digest"].as_str().unwrap().replace("sha256:", "");
        let artifact = file("copy/blobs/sha256").join(&digest);
        let bundle = bundle_about(&file("copy/blobs/sha256"), &digest);
        std::fs::write(file("bundle.json"), bundle).unwrap();
        let (root, bundle) = (file("root.json"), file("bundle.json"));
        let who = Who { root: &root, identity: ACCOUNT, issuer: CLUSTER };
        for verifier in [verifiers::sigstore_python, verifiers::sigstore_js] {
            let Some(answer) = verifier(&bundle, &artifact, who) else { continue };
            answer.unwrap();
            verifier(&bundle, &artifact, Who { issuer: PROVIDER, ..who }).unwrap().unwrap_err();
        }
    }
}

/// The bundle whose statement is about this manifest.
fn bundle_about(blobs: &std::path::Path, digest: &str) -> Vec<u8> {
    use base64::Engine as _;
    let is_ours = |bytes: &[u8]| {
        let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let payload = json["dsseEnvelope"]["payload"].as_str().unwrap_or_default();
        let statement = base64::engine::general_purpose::STANDARD.decode(payload).unwrap_or_default();
        String::from_utf8_lossy(&statement).contains(digest)
    };
    let blobs = std::fs::read_dir(blobs).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    blobs.into_iter().find(|bytes| is_ours(bytes)).expect("no bundle about the manifest")
}
