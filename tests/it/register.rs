//! `modelcar register` writes one model, one version and one artifact, however often, however many at once, and whatever goes wrong.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::model_registry::ModelRegistry;
use crate::support::openapi::OpenApi;
use crate::support::sigstore::http::{Answer, Fault, Server};
use crate::support::{modelcar, need_python_with, repo_root, run, stdout_of, temp_dir};

const IMAGE: &str = "oci:layout:quay.io/acme/iris:v1";

/// A home with the image quay.io/acme/iris:v1 in a layout.
struct World {
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { home: temp_dir() };
        let model = repo_root().join("testdata/models/iris/logreg_iris.onnx");
        run(&mut world.modelcar(&["build", &model.display().to_string(), "-t", "quay.io/acme/iris:v1", "-o", "oci:layout"]));
        world
    }

    /// With both kinds of signatures, and a bill of materials.
    fn signed() -> Self {
        let world = Self::new();
        let password = ("COSIGN_PASSWORD", "x");
        std::fs::write(world.path("sbom.json"), r#"{"bomFormat": "CycloneDX", "specVersion": "1.6"}"#).unwrap();
        run(world.modelcar(&["keygen"]).envs([password]));
        run(world.modelcar(&["sign", "oci:layout", "--key", "cosign.key"]).envs([password]));
        let attest = ["attest", "oci:layout", "--key", "cosign.key", "--type", "cyclonedx", "--predicate", "sbom.json"];
        run(world.modelcar(&attest).envs([password]));
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn modelcar(&self, words: &[&str]) -> Command {
        let mut command = modelcar(self.home.path());
        command.current_dir(self.home.path()).args(words).stdin(Stdio::null());
        command
    }

    fn register(&self, url: &str, words: &[&str]) -> Command {
        let mut command = self.modelcar(&["register", IMAGE, "--registry-url", url]);
        command.args(words);
        command
    }

    /// What a run tells scripts: an outcome for each entry.
    #[track_caller]
    fn outcomes(&self, url: &str, words: &[&str]) -> Vec<String> {
        let told: Value = serde_json::from_str(&stdout_of(self.register(url, words).args(["--format", "json"]))).unwrap();
        told["entries"].as_array().unwrap().iter().map(|entry| entry["outcome"].as_str().unwrap().to_owned()).collect()
    }

    fn digest(&self) -> String {
        let told: Value = serde_json::from_str(&stdout_of(&mut self.modelcar(&["inspect", IMAGE, "--format", "json"]))).unwrap();
        told["digest"].as_str().unwrap().to_owned()
    }
}

/// All that a user sees, without what differs between runs.
fn seen(output: &Output, url: &str, home: &Path) -> String {
    let clean = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).replace(url, "[URL]").replace(&home.display().to_string(), "[DIR]");
        text.lines().filter(|line| !line.contains(" WARN ")).map(|line| line.to_owned() + "\n").collect::<String>()
    };
    format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", output.status.code().unwrap(), clean(&output.stdout), clean(&output.stderr))
}

fn texts(properties: &Value, key: &str) -> String {
    properties[key]["string_value"].as_str().unwrap_or_default().to_owned()
}

fn expect_one_of_each(registry: &ModelRegistry) {
    for collection in ["registered_models", "model_versions", "model_artifacts"] {
        assert_eq!(registry.all(collection).len(), 1, "{collection}: {:#?}", registry.all(collection));
    }
    registry.expect_no_violations();
}

#[test]
fn a_model_is_registered_once_and_found_ever_after() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let run = || seen(&world.register(&registry.url, &[]).output().unwrap(), &registry.url, world.home.path());
    let first = run();
    let writes = registry.writes();
    assert_eq!(writes, ["POST registered_models", "POST model_versions", "POST model_versions/2/artifacts"]);
    let second = run();
    assert_eq!(registry.writes(), writes, "the second run writes nothing");
    expect_one_of_each(&registry);
    insta::assert_snapshot!(format!("{first}\n{second}"));
}

#[test]
fn the_entry_tells_what_the_image_is() {
    let (world, registry) = (World::signed(), ModelRegistry::start());
    let lineage =
        ["--source-kind", "pipelines", "--source-class", "pipelinerun", "--source-group", "ml", "--source-id", "7-a", "--source-name", "n"];
    let words = ["--owner", "Ada", "--author", "Grace", "--description", "first", "--commit", "abc123", "--property", "team=vision"];
    let typed = ["--property", "epochs:int=12", "--property", "accuracy:double=0.97", "--property", "quantised:bool=false"];
    run(&mut world.register(&registry.url, &[&lineage[..], &words, &typed].concat()));
    expect_one_of_each(&registry);
    let [model, version, artifact] =
        ["registered_models", "model_versions", "model_artifacts"].map(|collection| registry.all(collection).remove(0));
    assert_eq!((&model["name"], &model["owner"]), (&json!("iris"), &json!("Ada")));
    assert_eq!((&version["name"], &version["author"], &version["description"]), (&json!("v1"), &json!("Grace"), &json!("first")));
    assert_eq!(version["registeredModelId"], model["id"]);
    let digest = world.digest();
    assert_eq!(artifact["uri"], format!("oci://quay.io/acme/iris@{digest}"));
    assert_eq!((&artifact["name"], &artifact["state"], &artifact["modelFormatName"]), (&json!("iris"), &json!("LIVE"), &json!("onnx")));
    let source = ["Kind", "Class", "Group", "Id", "Name"].map(|part| artifact[format!("modelSource{part}")].as_str().unwrap().to_owned());
    assert_eq!(source, ["pipelines", "pipelinerun", "ml", "7-a", "n"]);
    let properties = &artifact["customProperties"];
    assert_eq!(properties, &version["customProperties"]);
    assert_eq!(texts(properties, "digest"), digest);
    assert_eq!(texts(properties, "platforms"), "linux/amd64,linux/arm64");
    assert_eq!((texts(properties, "format").as_str(), texts(properties, "git_commit").as_str()), ("onnx", "abc123"));
    assert_eq!((&properties["epochs"]["int_value"], &properties["accuracy"]["double_value"]), (&json!("12"), &json!(0.97)));
    assert_eq!((&properties["quantised"]["bool_value"], texts(properties, "team").as_str()), (&json!(false), "vision"));
    expect_digests_of_the_layout(&world, properties);
}

/// Size, signatures and bill of materials, as the layout's own files tell them.
fn expect_digests_of_the_layout(world: &World, properties: &Value) {
    let blob = |digest: &str| -> Value {
        serde_json::from_slice(&std::fs::read(world.path("layout/blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())).unwrap())
            .unwrap()
    };
    let classic = blob(&texts(properties, "signature_classic"));
    assert_eq!(classic["layers"][0]["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    for (key, predicate) in [("signature_bundle", "https://sigstore.dev/cosign/sign/v1"), ("sbom_digest", "https://cyclonedx.org/bom")] {
        let bundle = blob(&texts(properties, key));
        assert_eq!(bundle["subject"]["digest"], texts(properties, "digest"), "{key}");
        assert_eq!(bundle["annotations"]["dev.sigstore.bundle.predicateType"], predicate, "{key}");
    }
    let index = blob(&texts(properties, "digest"));
    let sizes = index["manifests"].as_array().unwrap().iter().filter(|entry| entry["platform"]["os"] == "linux").map(|entry| {
        let manifest = blob(entry["digest"].as_str().unwrap());
        manifest["layers"].as_array().unwrap().iter().map(|layer| layer["size"].as_u64().unwrap()).sum::<u64>()
    });
    assert_eq!(properties["size"]["int_value"], sizes.max().unwrap().to_string());
}

#[test]
fn only_what_differs_is_written_and_what_others_wrote_stays() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let model = registry.put("registered_models", None, &json!({"name": "iris", "owner": "Ada", "description": "theirs"}));
    let version = registry.put("model_versions", Some(&model), &json!({"name": "v1", "registeredModelId": model}));
    let old = json!({
        "artifactType": "model-artifact", "name": "iris", "uri": "s3://bucket/iris", "storageKey": "theirs",
        "customProperties": {
            "team": {"metadataType": "MetadataStringValue", "string_value": "vision"},
            "sbom_digest": {"metadataType": "MetadataStringValue", "string_value": "sha256:of-another-image"},
        },
    });
    registry.put("model_artifacts", Some(&version), &old);
    assert_eq!(world.outcomes(&registry.url, &[]), ["unchanged", "updated", "updated"]);
    assert_eq!(registry.writes(), ["PATCH model_versions/2", "PATCH model_artifacts/3"]);
    expect_one_of_each(&registry);
    let artifact = registry.all("model_artifacts").remove(0);
    assert_eq!((&artifact["storageKey"], artifact["uri"].as_str().unwrap().starts_with("oci://")), (&json!("theirs"), true));
    let properties = &artifact["customProperties"];
    assert_eq!((texts(properties, "team").as_str(), properties.get("sbom_digest")), ("vision", None));
    assert_eq!(world.outcomes(&registry.url, &["--owner", "Grace"]), ["updated", "unchanged", "unchanged"]);
    assert_eq!(registry.all("registered_models")[0]["description"], "theirs");
    assert_eq!(world.outcomes(&registry.url, &["--owner", "Grace"]), ["unchanged"; 3]);
}

#[test]
fn the_same_image_under_another_name_is_no_second_artifact() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let model = registry.put("registered_models", None, &json!({"name": "iris"}));
    let version = registry.put("model_versions", Some(&model), &json!({"name": "v1", "registeredModelId": model}));
    let uri = format!("oci://quay.io/acme/iris@{}", world.digest());
    registry.put("model_artifacts", Some(&version), &json!({"artifactType": "model-artifact", "name": "by hand", "uri": uri}));
    assert_eq!(world.outcomes(&registry.url, &[])[2], "updated");
    expect_one_of_each(&registry);
}

#[test]
fn several_at_once_make_one_of_each() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let start = || world.register(&registry.url, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running: Vec<_> = (0..6).map(|_| start()).collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    expect_one_of_each(&registry);
}

/// The same, step by step: somebody else is faster just before each of the three is created.
#[test]
fn whoever_comes_second_finds_what_the_first_one_made() {
    for (what, collection, parent, fields) in [
        ("POST registered_models", "registered_models", None, json!({"name": "iris"})),
        ("POST model_versions", "model_versions", Some("1"), json!({"name": "v1", "registeredModelId": "1"})),
        ("POST model_versions/2/artifacts", "model_artifacts", Some("2"), json!({"artifactType": "model-artifact", "name": "iris"})),
    ] {
        let (world, registry) = (World::new(), ModelRegistry::start());
        registry.meanwhile(what, move |registry| drop(registry.put(collection, parent, &fields)));
        let outcomes = world.outcomes(&registry.url, &[]);
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "created").count(), 2, "{what}: {outcomes:?}");
        expect_one_of_each(&registry);
    }
}

#[test]
fn a_request_that_was_done_and_answered_with_a_failure_is_not_done_twice() {
    for what in ["POST registered_models", "POST model_versions", "POST model_versions/2/artifacts"] {
        let (world, registry) = (World::new(), ModelRegistry::start());
        registry.deny(what, 500);
        world.outcomes(&registry.url, &[]);
        expect_one_of_each(&registry);
    }
}

#[test]
fn a_service_that_recovers_is_asked_again() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    for fault in [Fault::Status(503), Fault::CloseConnection] {
        registry.fail(fault, 1);
        world.outcomes(&registry.url, &[]);
    }
    expect_one_of_each(&registry);
}

#[test]
fn an_address_that_says_v1_is_spoken_to_in_v1() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    assert_eq!(world.outcomes(&format!("{}/api/model_registry/v1", registry.url), &[]), ["created"; 3]);
    assert_eq!(world.outcomes(&registry.url, &[]), ["unchanged"; 3]);
    expect_one_of_each(&registry);
}

#[test]
fn a_rehearsal_writes_nothing() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let rehearse = || seen(&world.register(&registry.url, &["--dry-run"]).output().unwrap(), &registry.url, world.home.path());
    let empty = rehearse();
    registry.put("registered_models", None, &json!({"name": "iris", "state": "ARCHIVED"}));
    let half = rehearse();
    assert!(registry.writes().is_empty());
    registry.expect_no_violations();
    insta::assert_snapshot!(format!("{empty}\n{half}"));
}

/// A service that answers everything in one way, and keeps the tokens that it was sent.
fn answering(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (String, Server, Arc<Mutex<Vec<Option<String>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tokens: Arc<Mutex<Vec<_>>> = Arc::default();
    let kept = tokens.clone();
    let server = Server::start(listener, move |request| {
        kept.lock().unwrap().push(request.bearer.clone());
        answer()
    });
    (url, server, tokens)
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"code": status.to_string(), "message": message}))
}

/// A name, what is answered, and more words for the command line.
type Refusal = (&'static str, fn() -> Answer, &'static [&'static str]);

#[test]
fn a_refusal_says_what_to_do() {
    let world = World::new();
    std::fs::write(world.path("token"), "abc").unwrap();
    let cases: [Refusal; 9] = [
        ("no token", || error(401, "unauthorized"), &[]),
        ("a wrong token", || error(401, ""), &["--token-file", "token"]),
        ("no rights", || error(403, "user may not create registered models"), &["--token-file", "token"]),
        ("another service", || Answer::new(404, "text/plain", "404 page not found\n"), &[]),
        ("a log-in page", || Answer::new(200, "text/html", "<html>Log in</html>"), &[]),
        ("a redirect", || Answer::new(302, "text/html", "").with_header("location", "https://login.example.com/?state=x".to_owned()), &[]),
        ("a refusal", || error(400, "the name is on a list"), &[]),
        ("another model", || Answer::json(200, &json!({"id": "1", "name": "roses"})), &[]),
        ("an id that is an address", || Answer::json(200, &json!({"id": "../x", "name": "iris"})), &[]),
    ];
    let told = cases.map(|(name, answer, words)| {
        let (url, _server, _) = answering(answer);
        format!("## {name}\n{}", seen(&world.register(&url, words).output().unwrap(), &url, world.home.path()))
    });
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_conflict_that_cannot_be_found_is_told() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _server = Server::start(listener, |request| match request.method.as_str() {
        "GET" => error(404, "no such model"),
        _ => error(409, "it is there"),
    });
    let told = seen(&world.register(&url, &[]).output().unwrap(), &url, world.home.path());
    assert!(told.contains("exit code: 5") && told.contains("in the way of `iris`: it is there"), "{told}");
}

#[test]
fn endless_answers_are_given_up() {
    let (world, registry) = (World::new(), ModelRegistry::start_with(None));
    registry.fail(Fault::Huge, 1);
    let told = seen(&world.register(&registry.url, &[]).output().unwrap(), &registry.url, world.home.path());
    assert!(told.contains("exit code: 1") && told.contains("longer than 4194304 bytes"), "{told}");
    let endless = json!({"items": [{"id": "3", "artifactType": "doc-artifact"}], "nextPageToken": "more", "size": 1, "pageSize": 1});
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::start(listener, move |request| match request.path.as_str() {
        path if path.contains("registered_model?") => Answer::json(200, &json!({"id": "1", "name": "iris"})),
        path if path.contains("model_version?") => Answer::json(200, &json!({"id": "2", "name": "v1", "registeredModelId": "1"})),
        path if path.contains("/model_versions/2/artifacts") => Answer::json(200, &endless),
        _ => Answer::json(200, &json!({"id": "2"})),
    });
    let told = seen(&world.register(&url, &[]).output().unwrap(), &url, world.home.path());
    assert!(told.contains("exit code: 1") && told.contains("goes on after 20 pages"), "{told}");
    assert!(server.seen().len() < 30);
}

#[test]
fn a_token_is_sent_where_it_is_meant_to_go_and_nowhere_else() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    registry.protect("abc.def");
    std::fs::write(world.path("token"), "abc.def\n").unwrap();
    assert!(!world.register(&registry.url, &[]).output().unwrap().status.success());
    run(&mut world.register(&registry.url, &["--token-file", "token"]));
    run(world.register(&registry.url, &[]).env("MODELCAR_MODEL_REGISTRY_TOKEN", "abc.def"));
    assert!(registry.tokens()[1..].iter().all(|token| token.as_deref() == Some("abc.def")), "{:?}", registry.tokens());

    let (elsewhere, _other, followed) = answering(|| error(404, "no such model"));
    let location = format!("{elsewhere}/api/model_registry/v1alpha3/registered_model");
    let (url, _server, sent) = answering(move || Answer::new(307, "text/plain", "").with_header("location", location.clone()));
    let told = seen(&world.register(&url, &["--token-file", "token"]).output().unwrap(), &url, world.home.path());
    assert!(told.contains("exit code: 1") && told.contains("sends its callers on to"), "{told}");
    assert_eq!(*sent.lock().unwrap(), [Some("abc.def".to_owned())]);
    assert!(followed.lock().unwrap().is_empty(), "no redirect is followed");
}

#[test]
fn what_is_not_encrypted_is_refused_and_never_gets_a_token() {
    let world = World::new();
    std::fs::write(world.path("token"), "abc.def\n").unwrap();
    let url = "http://registry.invalid";
    let told = |words: &[&str]| seen(&world.register(url, words).output().unwrap(), url, world.home.path());
    insta::assert_snapshot!([told(&[]), told(&["--tls-verify=false", "--token-file", "token"])].join("\n"));
}

#[test]
fn wrong_words_are_told_with_the_right_ones() {
    let world = World::new();
    let digest = format!("oci:layout@{}", world.digest());
    let cases: [&[&str]; 7] = [
        &["register", IMAGE],
        &["register", IMAGE, "--registry-url", "registry.example.com"],
        &["register", IMAGE, "--registry-url", "https://ci:s3cret@registry.example.com"],
        &["register", &digest, "--registry-url", "http://127.0.0.1:1"],
        &["register", IMAGE, "--registry-url", "http://127.0.0.1:1", "--version", "größe"],
        &["register", IMAGE, "--registry-url", "http://127.0.0.1:1", "--property", "digest=x"],
        &["register", IMAGE, "--registry-url", "http://127.0.0.1:1", "--property", "n:int=many"],
    ];
    let told = cases.map(|words| {
        let shown = words.join(" ").replace(&world.digest(), "[DIGEST]").replace("s3cret", "[SECRET]");
        format!(
            "$ modelcar {shown}\n{}",
            seen(&world.modelcar(words).output().unwrap(), "[URL]", world.home.path()).replace(&world.digest(), "[DIGEST]")
        )
    });
    let told = told.join("\n");
    assert!(!told.contains("s3cret"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn settings_name_the_registry_and_the_image() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let settings = format!("registry = \"127.0.0.1:1\"\norganisation = \"acme\"\n[model-registry]\nurl = \"{}\"\n", registry.url);
    std::fs::write(world.path("modelcar.toml"), settings).unwrap();
    run(&mut world.modelcar(&["register", IMAGE]));
    expect_one_of_each(&registry);
    // the short name leads to a registry where nobody listens: it was understood
    let output = world.modelcar(&["register", "iris:v1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot connect to 127.0.0.1:1"));
}

/// Always on: what is written without the OpenAPI document at hand is the same.
#[test]
fn the_stand_in_works_without_its_document() {
    let (world, registry) = (World::new(), ModelRegistry::start_with(None));
    assert_eq!(world.outcomes(&registry.url, &[]), ["created"; 3]);
    assert_eq!(world.outcomes(&registry.url, &[]), ["unchanged"; 3]);
    expect_one_of_each(&registry);
}

#[test]
fn the_stand_in_refuses_what_the_document_does_not_allow() {
    let Some(document) = OpenApi::find() else { return };
    let (world, registry) = (World::new(), ModelRegistry::start_with(Some(document)));
    // an id of ten digits is none that the API's paths take
    let model = registry.put("registered_models", None, &json!({"name": "iris"}));
    assert_eq!(model, "1");
    registry.put("model_versions", Some(&model), &json!({"name": "v1", "registeredModelId": model, "colour": "red"}));
    world.register(&registry.url, &[]).output().unwrap();
    let complaint = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| registry.expect_no_violations())).unwrap_err();
    assert!(complaint.downcast_ref::<String>().unwrap().contains("/colour is not known"));
}

#[test]
fn the_registrys_own_client_reads_back_what_was_written() {
    let (world, registry) = (World::signed(), ModelRegistry::start());
    let Some(mut python) = need_python_with("model-registry") else { return };
    let words = ["--owner", "Ada", "--author", "Grace", "--description", "first", "--source-kind", "pipelines", "--source-id", "7-a"];
    run(world.register(&registry.url, &words).args(["--property", "epochs:int=12", "--property", "quantised:bool=true"]));
    let script = repo_root().join("tests/peers/read_model_registry.py");
    let read: Value = serde_json::from_str(&stdout_of(python.arg(&script).args([&registry.url, "iris", "v1"]))).unwrap();
    let digest = world.digest();
    for (key, expected) in [
        ("models", json!(["iris"])),
        ("versions", json!(["v1"])),
        ("owner", json!("Ada")),
        ("author", json!("Grace")),
        ("description", json!("first")),
        ("uri", json!(format!("oci://quay.io/acme/iris@{digest}"))),
        ("format", json!("onnx")),
        ("state", json!("LIVE")),
        ("source", json!(["pipelines", null, null, "7-a", null])),
    ] {
        assert_eq!(read[key], expected, "{key}: {read:#}");
    }
    let properties = &read["properties"];
    assert_eq!(properties, &read["versionProperties"]);
    assert_eq!((&properties["digest"], &properties["platforms"]), (&json!(digest), &json!("linux/amd64,linux/arm64")));
    assert_eq!((&properties["epochs"], &properties["quantised"], properties["size"].is_u64()), (&json!(12), &json!(true), true));
    assert!(properties["sbom_digest"].is_string() && properties["signature_bundle"].is_string());
    registry.expect_no_violations();
}

#[test]
fn what_the_registrys_own_client_wrote_is_found_and_completed() {
    let (world, registry) = (World::new(), ModelRegistry::start());
    let Some(mut python) = need_python_with("model-registry") else { return };
    let script = repo_root().join("tests/peers/read_model_registry.py");
    run(python.arg(&script).args([&registry.url, "iris", "v1", "add", "oci://quay.io/acme/iris:v1"]));
    assert_eq!(world.outcomes(&registry.url, &[]), ["unchanged", "updated", "updated"]);
    let [model, version, artifact] =
        ["registered_models", "model_versions", "model_artifacts"].map(|collection| registry.all(collection).remove(0));
    assert_eq!((&model["owner"], &version["author"]), (&json!("Ada"), &json!("Ada")), "nothing was said about people, so they stay");
    assert_eq!(texts(&version["customProperties"], "team"), "vision");
    assert_eq!(artifact["uri"], format!("oci://quay.io/acme/iris@{}", world.digest()));
    assert_eq!(artifact["modelFormatVersion"], "1");
    expect_one_of_each(&registry);
}
