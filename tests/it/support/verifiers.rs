//! The verifiers of the field, asked about the same image with the same key: cosign in both of its modes, the library inside
//! podman, skopeo and CRI-O, and modelcar itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use super::registry::Registry;
use super::{clean_command, modelcar, need, repo_root, run, stdout_of, temp_dir};

/// cosign 3 as it comes, where it found bundles. cosign 2.6 looks for bundles first too.
pub const BUNDLE: &str = "cosign, bundle";
/// cosign 3 told to look at `.sig` tags, and cosign before 2.6.
pub const CLASSIC: &str = "cosign, classic";
/// containers/image with the default rule for names, `matchRepoDigestOrExact`.
pub const PODMAN: &str = "podman";
/// `modelcar verify`.
pub const MODELCAR: &str = "modelcar";
/// Everybody.
pub const ALL: &[&str] = &[BUNDLE, CLASSIC, PODMAN, MODELCAR];
/// Nobody.
pub const NOBODY: &[&str] = &[];

/// The type of an attestation.
pub const REVIEW: &str = "https://example.com/review";
/// What cosign calls a bundle that is an image signature.
pub const BUNDLE_KIND: &str = "https://sigstore.dev/cosign/sign/v1";
/// What cosign calls a classic signature.
pub const CLASSIC_KIND: &str = "cosign container image signature";

/// What rh-model-signing calls its referrers.
pub const MODEL_SIGNATURE: &str = "application/vnd.model-signing.signature.v0.1";
/// A bundle's media type.
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const PASSWORD: &str = "correct horse";

/// A registry without the referrers API (Debian's) or with it (go-containerregistry's), until this is dropped.
pub struct Host {
    /// `127.0.0.1:PORT`
    pub host: String,
    _server: Server,
}

enum Server {
    Fallback { _registry: Registry },
    Native(Child),
}

impl Host {
    /// One of either kind. `None` where a peer is missing.
    pub fn both() -> Option<[Self; 2]> {
        Some([Self::fallback()?, Self::native()?])
    }

    /// One without the referrers API.
    pub fn fallback() -> Option<Self> {
        let registry = Registry::start()?;
        Some(Self { host: registry.host.clone(), _server: Server::Fallback { _registry: registry } })
    }

    /// One with the referrers API.
    pub fn native() -> Option<Self> {
        let mut command = Command::new(need("referrers-registry")?);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut host = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut host).unwrap();
        Some(Self { host: host.trim().to_owned(), _server: Server::Native(child) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Native(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A home with the keys `a` and `b` of modelcar and `c` of cosign, and all who judge.
pub struct Field {
    home: tempfile::TempDir,
    cosign: PathBuf,
    cosign2: PathBuf,
    policy: PathBuf,
    oras: PathBuf,
}

/// Where a squatter goes in a `.sig` image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the signatures.
    Beside,
    /// In the place of all of them.
    Instead,
}

/// What is asked of everybody.
pub struct Question<'a> {
    /// By tag or by digest.
    pub image: &'a str,
    /// The name of the key.
    pub key: &'a str,
    /// The rule for names in podman's policy; null is the default.
    pub signed_identity: Value,
    /// `--identity` of modelcar.
    pub identity: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// With the default rules for names.
    pub fn new(image: &'a str, key: &'a str) -> Self {
        Self { image, key, signed_identity: Value::Null, identity: None }
    }
}

impl Field {
    /// `None` where a peer is missing.
    pub fn new() -> Option<Self> {
        let [cosign, cosign2] = [need("cosign")?, need("cosign2")?];
        let field = Self { home: temp_dir(), cosign, cosign2, policy: need("containers-policy")?, oras: need("oras")? };
        for name in ["a", "b"] {
            run(field.modelcar().args(["keygen", "-q", "--output-key-prefix", name]));
        }
        run(field.cosign().args(["generate-key-pair", "--output-key-prefix", "c"]));
        Some(field)
    }

    /// Has cosign encrypt one of the key pairs in `testdata/keys`.
    pub fn import(&self, name: &str) {
        let plain = repo_root().join(format!("testdata/keys/{name}.key"));
        run(self.cosign().args(["import-key-pair", "--yes", "--output-key-prefix", name, "--key"]).arg(plain));
    }

    /// A file at home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// modelcar at home.
    pub fn modelcar(&self) -> Command {
        self.at_home(modelcar(self.home.path()))
    }

    fn cosign(&self) -> Command {
        self.at_home(clean_command(&self.cosign, self.home.path()))
    }

    fn cosign2(&self) -> Command {
        self.at_home(clean_command(&self.cosign2, self.home.path()))
    }

    fn at_home(&self, mut command: Command) -> Command {
        command.current_dir(self.home.path()).env("COSIGN_PASSWORD", PASSWORD);
        command
    }

    /// Pushes the image of the iris model; gives its name with the digest.
    pub fn build(&self, image: &str, words: &[&str]) -> String {
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        stdout_of(self.modelcar().args(["build", "-q", "--push", "-t", image]).args(words).arg(model)).trim().to_owned()
    }

    /// Pushes the manifest of one platform alone, without an index around it.
    pub fn build_single(&self, image: &str) {
        self.build(&format!("{}-index:v1", repository(image)), &[]);
        let index = format!("{}-index", repository(image));
        let child = &self.manifests(&format!("{index}:v1"))[1];
        run(self.modelcar().args(["push", "-q", &format!("{index}@{child}"), image]));
    }

    /// Signs with modelcar.
    pub fn sign(&self, image: &str, key: &str, words: &[&str]) {
        run(self.modelcar().args(["sign", "-q", image, "--key", &format!("{key}.key")]).args(words));
    }

    /// Signs index and children with cosign, without Sigstore's public services.
    pub fn cosign_sign(&self, pinned: &str, key: &str, words: &[&str]) {
        let private = ["--yes", "--recursive", "--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry"];
        run(self.cosign().arg("sign").args(private).args(["--key", &format!("{key}.key")]).args(words).arg(pinned));
    }

    /// Signs index and children with cosign 2, without Sigstore's public services.
    pub fn cosign2_sign(&self, pinned: &str, key: &str, words: &[&str]) {
        let private = ["--yes", "--recursive", "--tlog-upload=false", "--allow-http-registry"];
        run(self.cosign2().arg("sign").args(private).args(["--key", &format!("{key}.key")]).args(words).arg(pinned));
    }

    /// Signs index and children as skopeo and podman do, under a name. `None` where the peer is missing.
    pub fn containers_sign(&self, image: &str, key: &str, identity: &str) -> Option<()> {
        let mut command = self.at_home(clean_command(need("containers-sign")?, self.home.path()));
        command.args(["--insecure", "--key", &format!("{key}.key"), "--identity", identity]);
        let name = format!("docker://{image}");
        run(command.arg("--registries-d").arg(self.registries_d(image)).args([&name, &name]));
        Some(())
    }

    /// Attaches an attestation of the type `https://example.com/review` to index and children with cosign.
    pub fn cosign_attest(&self, image: &str, key: &str) {
        self.cosign_attest_type(image, key, REVIEW, &json!({"approved": true}));
    }

    /// Attaches an attestation to index and children with cosign.
    pub fn cosign_attest_type(&self, image: &str, key: &str, predicate_type: &str, predicate: &Value) {
        self.write("predicate.json", predicate.to_string().as_bytes());
        let words = ["--use-signing-config=false", "--type", predicate_type];
        self.manifests(image).iter().for_each(|digest| attest(self.cosign(), image, digest, key, &words));
    }

    /// Attaches such a one to the index alone as cosign 2 does, behind the tag `.att`.
    pub fn cosign_attest_classic(&self, image: &str, key: &str) {
        self.write("predicate.json", b"{\"approved\": true}");
        attest(self.cosign2(), image, &self.manifests(image)[0], key, &["--type", REVIEW]);
    }

    /// Whether cosign finds one behind the tag `.att`.
    pub fn cosign_attested_classic(&self, image: &str, key: &str) -> bool {
        let mut command = self.cosign();
        let words = ["--new-bundle-format=false", "--insecure-ignore-tlog=true", "--allow-http-registry", "--type", REVIEW];
        let output = command.arg("verify-attestation").args(words).args(["--key", &format!("{key}.pub"), image]).output().unwrap();
        assert!(output.status.success() || said(&output).contains("no matching attestations"), "{}", said(&output));
        output.status.success()
    }

    /// The first bundle of an image, as a file at home.
    pub fn first_bundle(&self, image: &str) -> PathBuf {
        let found: Value = serde_json::from_slice(&self.oras(&["discover", "--format", "json", image])).unwrap();
        let name = |digest: &Value| format!("{}@{}", repository(image), digest.as_str().unwrap());
        let referrer: Value = serde_json::from_slice(&self.oras(&["manifest", "fetch", &name(&found["referrers"][0]["digest"])])).unwrap();
        let bundle = self.oras(&["blob", "fetch", "--output", "-", &name(&referrer["layers"][0]["digest"])]);
        self.write("bundle.json", &bundle)
    }

    /// Attaches a file as a bundle in a referrer of this artifact type.
    pub fn attach(&self, pinned: &str, bundle: &Path, artifact_type: &str) {
        let mut command = self.at_home(clean_command(&self.oras, self.home.path()));
        command.args(["attach", "--plain-http", "--artifact-type", artifact_type, pinned]);
        run(command.arg(format!("{}:{BUNDLE_TYPE}", bundle.file_name().unwrap().to_str().unwrap())));
    }

    /// Puts a bundle into the `.sig` images of index and children.
    pub fn squat(&self, image: &str, bundle: &Path, place: Place) {
        let bytes = fs::read(bundle).unwrap();
        let squatter = modelcar::oci::Descriptor::of(BUNDLE_TYPE, &bytes);
        let blob = format!("{}@{}", repository(image), squatter.digest);
        self.oras(&["blob", "push", &blob, bundle.to_str().unwrap()]);
        for digest in self.manifests(image) {
            let tag = format!("{}:{}.sig", repository(image), digest.replace(':', "-"));
            let mut signatures: Value = serde_json::from_slice(&self.oras(&["manifest", "fetch", &tag])).unwrap();
            let layers = signatures["layers"].as_array_mut().unwrap();
            if place == Place::Instead {
                layers.clear();
            }
            layers.insert(0, json!(squatter));
            let file = self.write("signatures.json", signatures.to_string().as_bytes());
            self.oras(&["manifest", "push", "--media-type", signatures["mediaType"].as_str().unwrap(), &tag, file.to_str().unwrap()]);
        }
    }

    /// Whether plain `cosign verify` accepts index and children, and by documents of this type.
    pub fn cosign_accepts(&self, image: &str, key: &str, kind: &str) -> bool {
        self.ask_cosign(key, &self.with_children(image), &[], kind).is_ok()
    }

    /// The manifest of an index and those in it, each by digest.
    pub fn manifests(&self, image: &str) -> Vec<String> {
        let found: Value = serde_json::from_slice(&self.oras(&["manifest", "fetch", "--descriptor", image])).unwrap();
        let index: Value = serde_json::from_slice(&self.oras(&["manifest", "fetch", image])).unwrap();
        let children = index["manifests"].as_array().into_iter().flatten();
        std::iter::once(&found).chain(children).map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    }

    /// What oras prints.
    #[track_caller]
    pub fn oras(&self, words: &[&str]) -> Vec<u8> {
        run(&mut self.oras_command(words)).stdout
    }

    /// oras at home, over plain HTTP.
    pub fn oras_command(&self, words: &[&str]) -> Command {
        let (verb, rest) = words.split_at(if ["discover", "attach"].contains(&words[0]) { 1 } else { 2 });
        let mut command = self.at_home(clean_command(&self.oras, self.home.path()));
        command.args(verb).arg("--plain-http").args(rest);
        command
    }

    /// Fails unless exactly these accept the image.
    #[track_caller]
    pub fn expect(&self, image: &str, key: &str, accepted_by: &[&str]) {
        self.expect_answer(&Question::new(image, key), accepted_by);
    }

    /// The same, with rules for names; and whatever is asked, modelcar says of each consumer what that consumer says.
    #[track_caller]
    pub fn expect_answer(&self, question: &Question<'_>, accepted_by: &[&str]) {
        let images = self.with_children(question.image);
        let plain = self.ask_cosign(question.key, &images, &[], "");
        let by_cosign2 = self.ask_cosign2(question.key, &images);
        assert_eq!(plain.is_ok(), by_cosign2.is_ok(), "cosign 2 and 3 disagree: {plain:#?} {by_cosign2:#?}");
        let answers = [
            (BUNDLE, plain.and_then(|said| of_kind(said, BUNDLE_KIND, images.len()))),
            (CLASSIC, self.ask_cosign(question.key, &images, &["--new-bundle-format=false"], CLASSIC_KIND)),
            (PODMAN, self.ask_podman(question)),
            (MODELCAR, self.ask_modelcar(question)),
        ];
        let accepted: Vec<&str> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(name, _)| *name).collect();
        assert_eq!(accepted, accepted_by, "{} with key {}: {answers:#?}", question.image, question.key);
        self.expect_agreement(question, accepted.contains(&PODMAN), accepted.contains(&MODELCAR));
    }

    /// Fails unless modelcar's verdict on each consumer is that consumer's own.
    #[track_caller]
    fn expect_agreement(&self, question: &Question<'_>, podman: bool, modelcar: bool) {
        let (image, key) = (question.image, question.key);
        let verdicts = self.verdicts(question);
        let cosign = self.accepts(&self.cosign, image, key, &[]);
        let expected = [("openshift", podman), ("podman", podman), ("cosign-v3", cosign)];
        for (consumer, accepts) in expected {
            assert_eq!(verdicts[consumer], accepts, "{consumer} on {image} with key {key}: {verdicts:?}");
        }
        assert_eq!(modelcar, podman && cosign, "modelcar for its default consumers on {image} with key {key}");
        let root = self.write("nobody.json", br#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#);
        let accepts = self.accepts(&self.cosign2, image, key, &["--trusted-root", root.to_str().unwrap()]);
        // 2.6 reads bundles, and versions before it do not: modelcar speaks for all of them
        assert!(accepts || !verdicts["cosign-v2"], "cosign 2 refuses {image} with key {key}, and modelcar says it accepts");
        assert!(!accepts || verdicts["cosign-v2"] || !verdicts["quay"] || !podman, "modelcar says cosign 2 refuses {image}");
    }

    /// Whether each consumer would accept the image, by what modelcar says.
    pub fn verdicts(&self, question: &Question<'_>) -> BTreeMap<String, bool> {
        let mut command = self.modelcar();
        command.args(["verify", question.image, "--format", "json", "--key", &format!("{}.pub", question.key)]);
        command.args(question.identity.iter().flat_map(|identity| ["--identity", identity]));
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", said(&output)));
        let of = |judgement: &Value| (judgement["consumer"].as_str().unwrap().to_owned(), judgement["accepts"].as_bool().unwrap());
        report["consumers"].as_array().unwrap().iter().map(of).collect()
    }

    /// Whether a cosign accepts what is asked for, by whatever it finds.
    fn accepts(&self, cosign: &Path, image: &str, key: &str, words: &[&str]) -> bool {
        let mut command = self.at_home(clean_command(cosign, self.home.path()));
        command.args(["verify", "--insecure-ignore-tlog=true", "--allow-http-registry", "--key", &format!("{key}.pub")]);
        command.args(words).arg(image).output().unwrap().status.success()
    }

    /// cosign looks at what it is asked for alone, so it is asked for each child too.
    fn with_children(&self, image: &str) -> Vec<String> {
        let children = self.manifests(image).into_iter().skip(1).map(|child| format!("{}@{child}", repository(image)));
        std::iter::once(image.to_owned()).chain(children).collect()
    }

    /// Whether cosign accepts every one of these, by signatures of this type.
    fn ask_cosign(&self, key: &str, images: &[String], words: &[&str], kind: &str) -> Result<String, String> {
        self.judged_by(self.cosign(), key, images, words).and_then(|said| of_kind(said, kind, images.len()))
    }

    /// The same of cosign 2, which wants a trusted root, be it an empty one.
    fn ask_cosign2(&self, key: &str, images: &[String]) -> Result<String, String> {
        let root = self.write("nobody.json", br#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#);
        self.judged_by(self.cosign2(), key, images, &["--trusted-root", root.to_str().unwrap()])
    }

    fn judged_by(&self, mut command: Command, key: &str, images: &[String], words: &[&str]) -> Result<String, String> {
        let offline = ["--insecure-ignore-tlog=true", "--allow-http-registry", "--output=text"];
        command.arg("verify").args(offline).args(["--key", &format!("{key}.pub")]).args(words);
        let output = command.args(images).output().unwrap();
        assert!(!self.path(".sigstore").exists(), "cosign went to look for Sigstore's public root");
        let (accepted, said) = (output.status.success(), said(&output));
        let is_refusal = said.contains("no matching") || said.contains("no signatures found");
        assert!(accepted || is_refusal, "cosign could not be asked: {said}");
        if accepted { Ok(said) } else { Err(said) }
    }

    fn ask_podman(&self, question: &Question<'_>) -> Result<String, String> {
        let registries = self.registries_d(question.image);
        let policy = self.path("policy.json");
        fs::write(&policy, self.policy_of(question).to_string()).unwrap();
        let mut command = clean_command(&self.policy, self.home.path());
        command.arg("--policy").arg(&policy).arg("--registries-d").arg(&registries).arg("--insecure");
        let output = command.arg(format!("docker://{}", question.image)).output().unwrap();
        answer(&output, 1)
    }

    /// A folder that tells podman and skopeo to look for signatures in the image's registry.
    pub fn registries_d(&self, image: &str) -> PathBuf {
        let registries = self.path("registries.d");
        fs::create_dir_all(&registries).unwrap();
        let host = image.split('/').next().unwrap();
        fs::write(registries.join("test.yaml"), format!("docker:\n  \"{host}\":\n    use-sigstore-attachments: true\n")).unwrap();
        registries
    }

    fn policy_of(&self, question: &Question<'_>) -> Value {
        let mut rule = json!({"type": "sigstoreSigned", "keyPath": self.path(&format!("{}.pub", question.key))});
        if !question.signed_identity.is_null() {
            rule["signedIdentity"] = question.signed_identity.clone();
        }
        json!({"default": [{"type": "reject"}], "transports": {"docker": {repository(question.image): [rule]}}})
    }

    /// What `modelcar verify` says.
    pub fn ask_modelcar(&self, question: &Question<'_>) -> Result<String, String> {
        let mut command = self.modelcar();
        command.args(["verify", question.image, "--key", &format!("{}.pub", question.key)]);
        command.args(question.identity.iter().flat_map(|identity| ["--identity", identity]));
        answer(&command.output().unwrap(), 3)
    }

    /// Writes a file at home.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.path(name);
        fs::write(&file, bytes).unwrap();
        file
    }
}

/// Has a cosign sign `predicate.json` of its home about a manifest, without Sigstore's public services.
fn attest(mut cosign: Command, image: &str, digest: &str, key: &str, words: &[&str]) {
    let private = ["attest", "--yes", "--tlog-upload=false", "--allow-http-registry", "--predicate", "predicate.json"];
    cosign.args(private).args(["--key", &format!("{key}.key")]).args(words);
    run(cosign.arg(format!("{}@{digest}", repository(image))));
}

/// What cosign said, if it is of this type for each of the images.
fn of_kind(said: String, kind: &str, images: usize) -> Result<String, String> {
    if said.matches(kind).count() >= images { Ok(said) } else { Err(said) }
}

/// Exit code 0 accepts and `refused` refuses; with any other, the question was not answered.
fn answer(output: &Output, refused: i32) -> Result<String, String> {
    match output.status.code() {
        Some(0) => Ok(said(output)),
        Some(code) if code == refused => Err(said(output)),
        _ => panic!("could not be asked: {}", said(output)),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `host/repo` of `host/repo:tag` or `host/repo@digest`.
pub fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap();
    let slash = name.rfind('/').unwrap();
    name[slash..].find(':').map_or(name, |colon| &name[..slash + colon])
}
