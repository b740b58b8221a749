//! A **stand-in** for the Hugging Face hub: the endpoints that downloading a model takes, in memory. The real `huggingface_hub` client
//! downloads from it in `fetch_hub.rs`, so that the stand-in is judged too.
//!
//! As on the hub, a revision leads to a commit, lists come in pages, large files are redirected to another host, and ranges work.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};

use super::sigstore::http::{Answer, Request, Server};

/// The commit of every stand-in.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Files from this size on are stored beside Git.
const LARGE: usize = 1000;
const PAGE: usize = 2;

pub struct File {
    pub path: &'static str,
    pub content: Vec<u8>,
}

/// What is asked of the store of large files, and how it misbehaves.
#[derive(Default)]
pub struct Store {
    /// The header `Range` of each request.
    pub ranges: Vec<Option<String>>,
    /// The header `Authorization` of each request.
    pub authorizations: Vec<Option<String>>,
    /// The next answers break off after so many bytes.
    pub cuts: Vec<usize>,
    /// Answers hold other bytes than they should.
    pub lies: bool,
}

pub struct Hub {
    pub url: String,
    pub store: Arc<Mutex<Store>>,
    server: Server,
}

impl Hub {
    /// `org/model` with these files; with a token, nobody gets anything without it.
    pub fn start(files: Vec<File>, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let store: Arc<Mutex<Store>> = Arc::default();
        let shared = store.clone();
        let server = Server::start(listener, move |request| answer(request, &files, token, port, &shared));
        Self { url: format!("http://127.0.0.1:{port}"), store, server }
    }

    /// `GET /path` of every request so far.
    pub fn seen(&self) -> Vec<String> {
        self.server.seen()
    }
}

fn answer(request: &Request, files: &[File], token: Option<&str>, port: u16, store: &Mutex<Store>) -> Answer {
    let path = request.path.split('?').next().unwrap();
    if let Some(name) = path.strip_prefix("/store/") {
        return stored(request, files, name, &mut store.lock().unwrap());
    }
    if token.is_some() && request.bearer.as_deref() != token {
        return Answer::json(401, &json!({"error": "Invalid username or password."}));
    }
    if path == "/api/models/org/model/revision/main" || path == format!("/api/models/org/model/revision/{COMMIT}") {
        let siblings: Vec<Value> = files.iter().map(|file| json!({"rfilename": file.path})).collect();
        return Answer::json(
            200,
            &json!({"id": "org/model", "modelId": "org/model", "sha": COMMIT, "siblings": siblings, "private": false, "tags": []}),
        );
    }
    if path == format!("/api/models/org/model/tree/{COMMIT}") {
        return page(request, files, port);
    }
    match path.strip_prefix(&format!("/org/model/resolve/{COMMIT}/")).and_then(|name| find(files, name)) {
        Some(file) => resolved(request, file, port),
        None => Answer::json(404, &json!({"error": "Repository not found"})).with_header("x-error-code", "RepoNotFound".to_owned()),
    }
}

fn page(request: &Request, files: &[File], port: u16) -> Answer {
    let from: usize = request.path.split("cursor=").nth(1).map_or(0, |text| text.parse().unwrap());
    let entries: Vec<Value> = files.iter().skip(from).take(PAGE).map(entry).collect();
    let answer = Answer::json(200, &Value::from(entries));
    if from + PAGE >= files.len() {
        return answer;
    }
    let next = format!("<http://127.0.0.1:{port}/api/models/org/model/tree/{COMMIT}?recursive=true&cursor={}>; rel=\"next\"", from + PAGE);
    answer.with_header("link", next)
}

fn entry(file: &File) -> Value {
    let mut entry = json!({"type": "file", "oid": git_id(&file.content), "size": file.content.len(), "path": file.path});
    if file.content.len() >= LARGE {
        entry["lfs"] = json!({"oid": sha256(&file.content), "size": file.content.len(), "pointerSize": 134});
    }
    entry
}

/// Small files at once, large ones from the store, which goes by another name.
fn resolved(request: &Request, file: &File, port: u16) -> Answer {
    let large = file.content.len() >= LARGE;
    let tag = if large { sha256(&file.content) } else { git_id(&file.content) };
    let answer = if large { Answer::new(302, "text/plain", "") } else { part(request, &file.content) };
    let answer = answer.with_header("x-repo-commit", COMMIT.to_owned()).with_header("etag", format!("\"{tag}\""));
    if !large {
        return answer;
    }
    answer
        .with_header("x-linked-etag", format!("\"{tag}\""))
        .with_header("x-linked-size", file.content.len().to_string())
        .with_header("location", format!("http://localhost:{port}/store/{}?signature=CANARY", file.path))
}

fn stored(request: &Request, files: &[File], name: &str, store: &mut Store) -> Answer {
    let file = find(files, name).unwrap();
    if request.method == "GET" {
        store.ranges.push(request.header("range").map(str::to_owned));
        store.authorizations.push(request.header("authorization").map(str::to_owned));
    }
    let mut content = file.content.clone();
    if store.lies {
        content[LARGE / 2] ^= 1;
    }
    let answer = part(request, &content);
    let cut = if store.cuts.is_empty() { usize::MAX } else { store.cuts.remove(0) };
    Answer { cut, ..answer }
}

/// The bytes that are asked for.
fn part(request: &Request, content: &[u8]) -> Answer {
    let from = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let answer = match from {
        None => Answer::new(200, "application/octet-stream", content),
        Some(from) if from >= content.len() => Answer::new(416, "text/plain", ""),
        Some(from) => Answer::new(206, "application/octet-stream", &content[from..])
            .with_header("content-range", format!("bytes {from}-{}/{}", content.len() - 1, content.len())),
    };
    if request.method == "HEAD" { Answer { cut: 0, ..answer } } else { answer }
}

fn find<'a>(files: &'a [File], name: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path.replace(' ', "%20") == name)
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn git_id(content: &[u8]) -> String {
    let blob = [format!("blob {}\0", content.len()).as_bytes(), content].concat();
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &blob).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
