//! A **stand-in** for a Kubernetes cluster with KServe: its API server as far as InferenceServices go, in memory.
//!
//! It is no real cluster (none can run here), and agrees with one as far as this goes:
//! - an InferenceService is checked strictly against KServe's CRD where that is at hand, and refused with 422 as `fieldValidation=Strict`
//!   would; tokens, rights, namespaces, taken names and preconditions are answered with Kubernetes' own `Status`;
//! - what becomes ready really serves: the image is pulled from its registry, unpacked, loaded by real onnxruntime
//!   (`tests/peers/serve_onnx.py`), and answers v1 and v2 at the address in `status.address.url`, which is on this machine rather than in a
//!   cluster's DNS. A model that cannot be loaded becomes `ModelLoadFailed` with the library's own words, an image that cannot be pulled
//!   `ImagePullBackOff`;
//! - what KServe's controllers do in between (Deployments, Services, the modelcar's link) is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::registry::write_certificates;
use super::sigstore::http::{Answer, Fault, Request, Server};
use super::{crd, modelcar, need, need_python, repo_root, temp_dir};

const ISVCS: &str = "/apis/serving.kserve.io/v1beta1/namespaces/";
/// The namespace that there is.
pub const NAMESPACE: &str = "scratch";

/// What becomes of every InferenceService.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It serves; so much is added to what the model says, which makes it wrong.
    Serves { add: f64 },
    /// Nothing happens.
    Waits,
    /// The controller says that no ServingRuntime fits.
    NoRuntime,
    /// It is ready, and its server answers everything with this status.
    Answers(u16),
}

struct State {
    fate: Fate,
    token: String,
    tokens: usize,
    /// `create inferenceservices`
    forbidden: BTreeSet<String>,
    services: BTreeMap<String, Value>,
    pods: BTreeMap<String, Value>,
    servers: BTreeMap<String, Child>,
    stubs: Vec<Server>,
    /// Objects so far, for uids.
    made: usize,
    /// Every object as it came.
    created: Vec<Value>,
    violations: Vec<String>,
}

/// A cluster on a loopback port of its own.
pub struct KubeCluster {
    /// The API server: `http://127.0.0.1:PORT`, with TLS `https://…`.
    pub url: String,
    server: Server,
    state: Arc<Mutex<State>>,
    front: Option<Child>,
    account: tempfile::TempDir,
}

impl KubeCluster {
    /// Over plain HTTP, as behind `kubectl proxy`; with a token all the same. `None` where Python is missing.
    pub fn start(fate: Fate) -> Option<Self> {
        Self::start_with(fate, &[])
    }

    /// The same; images are pulled with these words more for `modelcar extract` (`--ca-file=…`).
    pub fn start_with(fate: Fate, pull: &[&str]) -> Option<Self> {
        need_python()?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::new(fate)));
        let pull: Vec<String> = pull.iter().map(|&word| word.to_owned()).collect();
        let shared = state.clone();
        let server = Server::start(listener, move |request| answer(&shared, &pull, request));
        let account = temp_dir();
        std::fs::write(account.path().join("namespace"), NAMESPACE).unwrap();
        let cluster = Self { url, server, state, front: None, account };
        cluster.rotate();
        Some(cluster)
    }

    /// Over TLS with a certificate of an authority of its own, as an API server is reached from a pod. `None` where a peer is missing.
    pub fn start_with_tls(fate: Fate, pull: &[&str]) -> Option<Self> {
        let openssl = need("openssl")?;
        let mut cluster = Self::start_with(fate, pull)?;
        let dir = cluster.account.path();
        let keys = dir.join("keys");
        std::fs::create_dir(&keys).unwrap();
        write_certificates(&openssl, &keys);
        std::fs::copy(keys.join("ca.pem"), dir.join("ca.crt")).unwrap();
        let plain = cluster.url.rsplit(':').next().unwrap().to_owned();
        let mut python = Command::new(need_python()?);
        python.arg(repo_root().join("tests/peers/tls_front.py")).args([keys.join("server.pem"), keys.join("server.key")]).arg(plain);
        let (front, port) = started(&mut python).unwrap();
        cluster.url = format!("https://127.0.0.1:{port}");
        cluster.front = Some(front);
        Some(cluster)
    }

    /// A folder as Kubernetes mounts it at /var/run/secrets/kubernetes.io/serviceaccount: `token`, `namespace`, with TLS `ca.crt`.
    pub fn service_account(&self) -> &Path {
        self.account.path()
    }

    /// What a pod's environment says about the API server.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let port = self.url.rsplit(':').next().unwrap().to_owned();
        [("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()), ("KUBERNETES_SERVICE_PORT", port)]
    }

    /// Words for the command line that lead here from outside.
    pub fn words(&self) -> Vec<String> {
        let file = |name: &str| self.account.path().join(name);
        let mut words = vec![format!("--kube-url={}", self.url), format!("--kube-token-file={}", file("token").display())];
        words.extend(file("ca.crt").is_file().then(|| format!("--kube-ca-file={}", file("ca.crt").display())));
        words
    }

    /// Another token takes the place of the one there was, which is worth nothing from now on.
    pub fn rotate(&self) {
        let mut state = self.state.lock().unwrap();
        state.tokens += 1;
        state.token = format!("token-{}", state.tokens);
        std::fs::write(self.account.path().join("token"), &state.token).unwrap();
    }

    /// Takes a right away: `create inferenceservices`, `list pods`.
    pub fn forbid(&self, right: &str) {
        self.state.lock().unwrap().forbidden.insert(right.to_owned());
    }

    /// The next requests fail.
    pub fn fail(&self, fault: Fault, times: usize) {
        self.server.fail(fault, times);
    }

    /// Puts an InferenceService in as if somebody else had.
    pub fn put(&self, object: Value) {
        let mut state = self.state.lock().unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let object = state.with_uid(object);
        state.services.insert(name, object);
    }

    /// The names of the InferenceServices that there are.
    pub fn names(&self) -> Vec<String> {
        self.state.lock().unwrap().services.keys().cloned().collect()
    }

    /// Every InferenceService as it was sent, those deleted since included.
    pub fn created(&self) -> Vec<Value> {
        self.state.lock().unwrap().created.clone()
    }

    /// `GET /path` of every request so far.
    pub fn seen(&self) -> Vec<String> {
        self.server.seen()
    }

    /// How many models are being served.
    pub fn serving(&self) -> usize {
        self.state.lock().unwrap().servers.len()
    }

    /// # Panics
    /// Where a request was none that the API has.
    #[track_caller]
    pub fn expect_no_violations(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.violations.is_empty(), "{:#?}", state.violations);
    }
}

impl Drop for KubeCluster {
    fn drop(&mut self) {
        let servers = std::mem::take(&mut self.state.lock().unwrap().servers);
        for mut child in servers.into_values().chain(self.front.take()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl State {
    fn new(fate: Fate) -> Self {
        Self {
            fate,
            token: String::new(),
            tokens: 0,
            forbidden: BTreeSet::new(),
            services: BTreeMap::new(),
            pods: BTreeMap::new(),
            servers: BTreeMap::new(),
            stubs: Vec::new(),
            made: 0,
            created: Vec::new(),
            violations: Vec::new(),
        }
    }

    fn with_uid(&mut self, mut object: Value) -> Value {
        self.made += 1;
        object["metadata"]["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.made));
        object["metadata"]["generation"] = json!(1);
        object
    }
}

fn answer(state: &Arc<Mutex<State>>, pull: &[String], request: &Request) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let Some((namespace, plural, name)) = place(path) else { return Answer::new(404, "text/plain", "404 page not found\n") };
    let verb = match (request.method.as_str(), name.is_empty()) {
        ("POST", true) => "create",
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("DELETE", false) => "delete",
        _ => return status(405, "MethodNotAllowed", plural, &name, "the server does not allow this method on the requested resource"),
    };
    {
        let state = state.lock().unwrap();
        if request.bearer.as_deref() != Some(&state.token) {
            return status(401, "Unauthorized", "", "", "Unauthorized");
        }
        if state.forbidden.contains(&format!("{verb} {plural}")) {
            let message = format!(
                "{plural} is forbidden: User \"system:serviceaccount:{NAMESPACE}:pipeline\" cannot {verb} resource \"{plural}\" in the namespace \"{namespace}\""
            );
            return status(403, "Forbidden", plural, &name, &message);
        }
    }
    let selector = selector(query);
    match (plural, verb) {
        ("pods", "list") => list(&state.lock().unwrap().pods, &selector),
        ("inferenceservices", "list") => list(&state.lock().unwrap().services, &selector),
        ("inferenceservices", "get") => {
            state.lock().unwrap().services.get(&name).map_or_else(|| missing(&name), |object| Answer::json(200, object))
        }
        ("inferenceservices", "create") if namespace != NAMESPACE => {
            status(404, "NotFound", "namespaces", &namespace, &format!("namespaces \"{namespace}\" not found"))
        }
        ("inferenceservices", "create") => create(state, pull, request, query),
        ("inferenceservices", "delete") => delete(state, request, &name),
        _ => status(405, "MethodNotAllowed", plural, &name, "not here"),
    }
}

/// Namespace, plural, name (empty for all).
fn place(path: &str) -> Option<(String, &'static str, String)> {
    let rest = path.strip_prefix(ISVCS).or_else(|| path.strip_prefix("/api/v1/namespaces/"))?;
    let mut parts = rest.split('/');
    let namespace = parts.next()?.to_owned();
    let plural = ["inferenceservices", "pods"].into_iter().find(|plural| path.contains(&format!("/{namespace}/{plural}")))?;
    let name = parts.nth(1).unwrap_or_default().to_owned();
    (path.starts_with(ISVCS) == (plural == "inferenceservices")).then_some((namespace, plural, name))
}

fn selector(query: &str) -> (String, String) {
    let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "labelSelector").map(|(_, value)| value.into_owned());
    found.and_then(|text| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))).unwrap_or_default()
}

fn list(objects: &BTreeMap<String, Value>, (key, value): &(String, String)) -> Answer {
    let chosen: Vec<_> = objects.values().filter(|object| key.is_empty() || object["metadata"]["labels"][key] == **value).collect();
    Answer::json(200, &json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": chosen}))
}

fn create(state: &Arc<Mutex<State>>, pull: &[String], request: &Request, query: &str) -> Answer {
    let object = request.json();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut wrong = crd::inference_service().map(|schema| crd::violations(schema, &object)).unwrap_or_default();
    if !query.contains("fieldValidation=Strict") || request.content_type != "application/json" {
        wrong.push("the request is not as strict as it should be".to_owned());
    }
    let mut known = state.lock().unwrap();
    if !wrong.is_empty() {
        let message = wrong.join("; ");
        known.violations.extend(wrong);
        return status(422, "Invalid", "inferenceservices", &name, &message);
    }
    if known.services.contains_key(&name) {
        let message = format!("inferenceservices.serving.kserve.io \"{name}\" already exists");
        return status(409, "AlreadyExists", "inferenceservices", &name, &message);
    }
    known.created.push(object.clone());
    let object = known.with_uid(object);
    known.services.insert(name.clone(), object.clone());
    drop(known);
    let (state, pull, made) = (state.clone(), pull.to_vec(), object.clone());
    thread::spawn(move || reconcile(&state, &pull, &made, &name));
    Answer::json(201, &object)
}

fn delete(state: &Arc<Mutex<State>>, request: &Request, name: &str) -> Answer {
    let mut state = state.lock().unwrap();
    let Some(object) = state.services.get(name) else { return missing(name) };
    let options = request.json();
    if options["propagationPolicy"] != "Background" || options["kind"] != "DeleteOptions" {
        state.violations.push(format!("strange DeleteOptions: {options}"));
    } else if options["preconditions"]["uid"] != object["metadata"]["uid"] {
        return status(409, "Conflict", "inferenceservices", name, "the UID in the precondition does not match the UID in record");
    }
    state.services.remove(name);
    state.pods.remove(name);
    if let Some(mut child) = state.servers.remove(name) {
        let _ = child.kill();
        let _ = child.wait();
    }
    status(200, "", "inferenceservices", name, "")
}

fn missing(name: &str) -> Answer {
    status(404, "NotFound", "inferenceservices", name, &format!("inferenceservices.serving.kserve.io \"{name}\" not found"))
}

fn status(code: u16, reason: &str, kind: &str, name: &str, message: &str) -> Answer {
    let outcome = if code < 300 { "Success" } else { "Failure" };
    let details = json!({"name": name, "kind": kind});
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome, "code": code, "reason": reason, "message": message,
        "details": details,
    });
    Answer::json(code, &body)
}

/// What controllers and nodes do, on a thread of its own.
fn reconcile(state: &Arc<Mutex<State>>, pull: &[String], object: &Value, name: &str) {
    let fate = state.lock().unwrap().fate.clone();
    match fate {
        Fate::Waits => {}
        Fate::NoRuntime => {
            let failure = json!({"reason": "NoSupportingRuntime", "message": "No runtime found to support specified framework/version"});
            set(state, name, &json!({"modelStatus": {"transitionStatus": "InvalidSpec", "lastFailureInfo": failure}}));
        }
        Fate::Answers(code) => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let stub = Server::start(listener, move |request| match request.method.as_str() {
                "GET" => Answer::json(200, &json!({})),
                _ => Answer::json(code, &json!({"error": "the operator is not implemented"})),
            });
            state.lock().unwrap().stubs.push(stub);
            set(state, name, &ready(&url));
        }
        Fate::Serves { add } => serve(state, pull, object, name, add),
    }
}

fn serve(state: &Arc<Mutex<State>>, pull: &[String], object: &Value, name: &str, add: f64) {
    let home = temp_dir();
    let uri = object.pointer("/spec/predictor/model/storageUri").and_then(Value::as_str).unwrap_or_default();
    let image = uri.split_once("://").map_or(uri, |(_, image)| image);
    let output = modelcar(home.path()).args(["extract", image]).arg(home.path().join("models")).args(pull).output().unwrap();
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        return crash(state, name, "modelcar", &json!({"waiting": {"reason": "ImagePullBackOff", "message": message}}), "");
    }
    let mut python = Command::new(need_python().unwrap());
    python.arg(repo_root().join("tests/peers/serve_onnx.py")).arg(home.path().join("models")).args([name, &add.to_string()]);
    match started(&mut python) {
        Ok((child, port)) => {
            let mut known = state.lock().unwrap();
            // deleted meanwhile: nobody else would end it
            if !known.services.contains_key(name) {
                drop(known);
                return end(child);
            }
            known.servers.insert(name.to_owned(), child);
            drop(known);
            set(state, name, &ready(&format!("http://127.0.0.1:{port}")));
        }
        Err(words) => {
            let failure = json!({"reason": "ModelLoadFailed", "exitCode": 1, "message": words});
            let states = json!({"activeModelState": "", "targetModelState": "FailedToLoad"});
            set(
                state,
                name,
                &json!({"modelStatus": {"transitionStatus": "BlockedByFailedLoad", "states": states, "lastFailureInfo": failure}}),
            );
            crash(state, name, "kserve-container", &json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}), &words);
        }
    }
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn ready(url: &str) -> Value {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let states = json!({"activeModelState": "Loaded", "targetModelState": "Loaded"});
    json!({
        "observedGeneration": 1, "address": {"url": url}, "url": "http://not.resolved.example.com",
        "conditions": [condition("PredictorReady"), {"type": "Stopped", "status": "False"}, condition("Ready")],
        "modelStatus": {"transitionStatus": "UpToDate", "states": states},
    })
}

fn set(state: &Arc<Mutex<State>>, name: &str, status: &Value) {
    if let Some(object) = state.lock().unwrap().services.get_mut(name) {
        object["status"] = status.clone();
    }
}

fn crash(state: &Arc<Mutex<State>>, name: &str, container: &str, waiting: &Value, words: &str) {
    let last = json!({"terminated": {"reason": "Error", "exitCode": 1, "message": words}});
    let one = json!({"name": container, "restartCount": 3, "state": waiting, "lastState": last});
    let labels = json!({"serving.kserve.io/inferenceservice": name});
    let pod = json!({
        "metadata": {"name": format!("{name}-predictor-0"), "uid": "p", "labels": labels}, "status": {"containerStatuses": [one]},
    });
    state.lock().unwrap().pods.insert(name.to_owned(), pod);
}

/// Starts a program that prints its port; where it ends instead, its last words.
fn started(command: &mut Command) -> Result<(Child, u16), String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if let Ok(port) = line.trim().parse() {
        return Ok((child, port));
    }
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    let _ = child.wait();
    Err(words.lines().last().unwrap_or_default().to_owned())
}

/// The file with a model that no server can load.
pub fn broken_model(dir: &Path) -> PathBuf {
    let mut bytes = std::fs::read(repo_root().join("testdata/models/iris/logreg_iris.onnx")).unwrap();
    // the operator's type is the last word of this kind; the first is its name
    let at = bytes.windows(10).rposition(|window| window == b"Classifier").unwrap();
    bytes[at..at + 10].copy_from_slice(b"Klassifier");
    let file = dir.join("broken.onnx");
    std::fs::write(&file, bytes).unwrap();
    file
}
