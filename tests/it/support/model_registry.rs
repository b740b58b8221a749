//! A **stand-in** for Kubeflow's Model Registry: its REST API v1alpha3 as far as registering a model goes, in memory.
//!
//! It is not the real server (a Go program with a database), and agrees with it as far as its OpenAPI document tells:
//! - where the document is at hand (`MODEL_REGISTRY_OPENAPI`, else `../shared/schemas/kubeflow-model-registry-v1alpha3.openapi.yaml`),
//!   every request's path, method, query and body, and every answer of the stand-in, is checked against it. A field that the schema does
//!   not name is refused as well, because the real server decodes strictly;
//! - the API's version v1, which the Python client speaks from 0.3.18 on, is taken for the same with another path: that is what the
//!   client's own code and <https://github.com/kubeflow/hub/issues/2992> tell of the difference;
//! - names are unique below their parent (409), a missing entry is 404 with an `Error`, and a PATCH replaces all custom properties.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::openapi::OpenApi;
use super::sigstore::http::{Answer, Fault, Request, Server};

const API: &str = "/api/model_registry/v1alpha3/";
/// The next version of it.
const V1: &str = "/api/model_registry/v1/";

/// What the stand-in knows.
#[derive(Default)]
struct State {
    /// Entries of all kinds by their numbers, which begin with 1.
    entries: Vec<Entry>,
    token: Option<String>,
    /// Everything about a request that the document does not allow.
    violations: Vec<String>,
    /// Every token that was sent.
    tokens: Vec<Option<String>>,
    /// Done once, before the next request of this kind is answered: what somebody else does meanwhile.
    meanwhile: Option<(String, Meanwhile)>,
    /// The next request of this kind is answered so although it is done: what makes clients ask twice.
    untrue: Option<(String, u16)>,
}

type Meanwhile = Box<dyn Fn(&ModelRegistry) + Send>;

#[derive(Clone)]
struct Entry {
    collection: &'static str,
    parent: Option<String>,
    fields: Map<String, Value>,
}

/// A registry on a loopback port of its own.
pub struct ModelRegistry {
    pub url: String,
    server: Option<Server>,
    state: Arc<Mutex<State>>,
}

impl ModelRegistry {
    /// Starts it; checked against its OpenAPI document where that is at hand.
    pub fn start() -> Self {
        Self::start_with(OpenApi::find())
    }

    pub fn start_with(document: Option<OpenApi>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Self { url: url.clone(), server: None, state: state.clone() };
        let handler = move |request: &Request| shared.answer(request, document.as_ref());
        Self { url, server: Some(Server::start(listener, handler)), state }
    }

    /// Wants this token from everybody.
    pub fn protect(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.to_owned());
    }

    pub fn fail(&self, fault: Fault, times: usize) {
        self.server.as_ref().unwrap().fail(fault, times);
    }

    /// What somebody else does just before the next request of this kind (`POST model_versions`) is answered.
    pub fn meanwhile(&self, what: &str, act: impl Fn(&ModelRegistry) + Send + 'static) {
        self.state.lock().unwrap().meanwhile = Some((what.to_owned(), Box::new(act)));
    }

    /// The next request of this kind is done, and answered with a failure.
    pub fn deny(&self, what: &str, status: u16) {
        self.state.lock().unwrap().untrue = Some((what.to_owned(), status));
    }

    /// `POST model_versions` of every request so far.
    pub fn seen(&self) -> Vec<String> {
        self.server.as_ref().unwrap().seen().iter().map(|line| line.replacen(API, "", 1).replacen(V1, "", 1)).collect()
    }

    /// The requests that write.
    pub fn writes(&self) -> Vec<String> {
        self.seen().into_iter().filter(|line| !line.starts_with("GET")).collect()
    }

    pub fn tokens(&self) -> Vec<Option<String>> {
        self.state.lock().unwrap().tokens.clone()
    }

    /// All entries of a collection.
    pub fn all(&self, collection: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state.entries.iter().filter(|entry| entry.collection == collection).map(|entry| Value::Object(entry.fields.clone())).collect()
    }

    /// # Panics
    /// Where a request or an answer was not what the OpenAPI document says.
    #[track_caller]
    pub fn expect_no_violations(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.violations.is_empty(), "{:#?}", state.violations);
    }

    /// Puts an entry in as if another client had.
    pub fn put(&self, collection: &'static str, parent: Option<&str>, fields: &Value) -> String {
        let mut state = self.state.lock().unwrap();
        let entry = state.add(collection, parent, fields.as_object().unwrap());
        entry["id"].as_str().unwrap().to_owned()
    }

    fn answer(&self, request: &Request, document: Option<&OpenApi>) -> Answer {
        let request = &in_first_version(request);
        self.let_others_act(request);
        let mut state = self.state.lock().unwrap();
        state.tokens.push(request.bearer.clone());
        if state.token.is_some() && state.token != request.bearer {
            return refused(401, "the token is not known");
        }
        let violations = document.map(|document| document.request(&request.method, &request.path, &request.body)).unwrap_or_default();
        if !violations.is_empty() {
            let said = violations.join("; ");
            state.violations.extend(violations);
            return refused(400, &said);
        }
        let answer = state.answer(request);
        if let Some(document) = document {
            state.violations.extend(document.answer(&request.method, &request.path, answer.status, &answer.body));
        }
        let untrue = state.untrue.take_if(|(awaited, _)| *awaited == what(request));
        untrue.map_or(answer, |(_, status)| refused(status, "made to fail"))
    }

    fn let_others_act(&self, request: &Request) {
        let act = self.state.lock().unwrap().meanwhile.take_if(|(awaited, _)| *awaited == what(request));
        if let Some((_, act)) = act {
            act(self);
        }
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let Some(path) = request.path.strip_prefix(API) else { return Answer::new(404, "text/plain", "404 page not found\n") };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["registered_model"]) => self.find("registered_models", &query),
            ("GET", ["model_version"]) => self.find("model_versions", &query),
            ("GET", ["model_artifact"]) => self.find("model_artifacts", &query),
            ("GET", ["registered_models"]) => self.list("registered_models", None),
            ("GET", ["registered_models", id, "versions"]) => self.list("model_versions", Some(id)),
            ("GET", ["model_versions", id, "artifacts"]) => self.list("model_artifacts", Some(id)),
            ("GET", [collection, id]) => self.get(collection, id),
            ("POST", ["registered_models"]) => self.create("registered_models", None, &request.json()),
            ("POST", ["model_versions"]) => {
                let parent = request.json()["registeredModelId"].as_str().unwrap_or_default().to_owned();
                self.create("model_versions", Some(&parent), &request.json())
            }
            ("POST", ["model_versions", id, "artifacts"]) => self.create("model_artifacts", Some(id), &request.json()),
            ("PATCH", [collection, id]) => self.update(collection, id, &request.json()),
            _ => Answer::new(404, "text/plain", "404 page not found\n"),
        }
    }

    fn find(&self, collection: &str, query: &[(String, String)]) -> Answer {
        let asked = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let is_it = |entry: &&Entry| {
            entry.collection == collection
                && entry.fields.get("name").and_then(Value::as_str) == asked("name").as_deref()
                && (asked("parentResourceId").is_none() || entry.parent == asked("parentResourceId"))
        };
        self.entries.iter().find(is_it).map_or_else(|| refused(404, "no such entry"), |entry| shown(200, &entry.fields))
    }

    fn list(&self, collection: &str, parent: Option<&str>) -> Answer {
        let of_parent =
            self.entries.iter().filter(|entry| entry.collection == collection && (parent.is_none() || entry.parent.as_deref() == parent));
        let items: Vec<&Map<String, Value>> = of_parent.map(|entry| &entry.fields).collect();
        Answer::json(200, &json!({"items": items, "size": items.len(), "pageSize": 100, "nextPageToken": ""}))
    }

    fn get(&self, collection: &str, id: &str) -> Answer {
        match self.entry(collection, id) {
            Some(at) => shown(200, &self.entries[at].fields),
            None => refused(404, "no such entry"),
        }
    }

    fn create(&mut self, collection: &'static str, parent: Option<&str>, body: &Value) -> Answer {
        let Some(fields) = body.as_object() else { return refused(400, "the body is no object") };
        let name = fields.get("name").cloned().unwrap_or_default();
        let taken = |entry: &Entry| entry.collection == collection && entry.parent.as_deref() == parent && entry.fields["name"] == name;
        if self.entries.iter().any(taken) {
            return refused(409, "an entry of this name exists");
        }
        shown(201, &self.add(collection, parent, fields))
    }

    fn add(&mut self, collection: &'static str, parent: Option<&str>, fields: &Map<String, Value>) -> Map<String, Value> {
        let mut fields = fields.clone();
        fields.insert("id".to_owned(), json!((self.entries.len() + 1).to_string()));
        fields.entry("state").or_insert(json!("LIVE"));
        for time in ["createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"] {
            fields.insert(time.to_owned(), json!("1700000000000"));
        }
        self.entries.push(Entry { collection, parent: parent.map(str::to_owned), fields: fields.clone() });
        fields
    }

    fn update(&mut self, collection: &str, id: &str, body: &Value) -> Answer {
        let (Some(at), Some(changes)) = (self.entry(collection, id), body.as_object()) else { return refused(404, "no such entry") };
        let fields = &mut self.entries[at].fields;
        fields.extend(changes.clone());
        shown(200, fields)
    }

    fn entry(&self, collection: &str, id: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.collection == collection && entry.fields["id"] == id)
    }
}

fn in_first_version(request: &Request) -> Request {
    Request {
        method: request.method.clone(),
        path: request.path.replacen(V1, API, 1),
        content_type: request.content_type.clone(),
        bearer: request.bearer.clone(),
        headers: Vec::new(),
        body: request.body.clone(),
    }
}

/// `POST model_versions`
fn what(request: &Request) -> String {
    request.what().replacen(API, "", 1)
}

fn shown(status: u16, fields: &Map<String, Value>) -> Answer {
    Answer::json(status, &Value::Object(fields.clone()))
}

/// The API's `Error`; its code is text.
fn refused(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"code": status.to_string(), "message": message}))
}
