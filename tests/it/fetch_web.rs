//! `modelcar fetch https://…/model.onnx`, and folders that are there already.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::sigstore::http::{Answer, Request, Server};
use crate::support::{modelcar, run, stdout_of, temp_dir};

/// A web server with one file, which may change.
struct Site {
    url: String,
    file: Arc<Mutex<File>>,
    _server: Server,
}

#[derive(Default)]
struct File {
    content: Vec<u8>,
    tag: &'static str,
    /// The next answers break off after so many bytes.
    cuts: Vec<usize>,
    /// The status of each answer.
    statuses: Vec<u16>,
    /// Becomes this before the second answer.
    then: Option<(Vec<u8>, &'static str)>,
}

impl Site {
    fn start(content: &[u8], tag: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let file = Arc::new(Mutex::new(File { content: content.to_vec(), tag, ..File::default() }));
        let shared = file.clone();
        Self { url, file, _server: Server::start(listener, move |request| shared.lock().unwrap().answer(request)) }
    }

    fn statuses(&self) -> Vec<u16> {
        std::mem::take(&mut self.file.lock().unwrap().statuses)
    }
}

impl File {
    fn answer(&mut self, request: &Request) -> Answer {
        if !self.statuses.is_empty()
            && let Some((content, tag)) = self.then.take()
        {
            (self.content, self.tag) = (content, tag);
        }
        let cut = if self.cuts.is_empty() { usize::MAX } else { self.cuts.remove(0) };
        let answer = Answer { cut, ..self.whole_or_part(request) };
        self.statuses.push(answer.status);
        answer.with_header("etag", self.tag.to_owned())
    }

    fn whole_or_part(&self, request: &Request) -> Answer {
        if request.path != "/m/model.onnx" {
            return Answer::new(404, "text/html", "<html>no</html>");
        }
        if request.header("if-none-match") == Some(self.tag) {
            return Answer::new(304, "text/plain", "");
        }
        let from = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        match from.filter(|_| request.header("if-range").is_none_or(|tag| tag == self.tag)) {
            None => Answer::new(200, "application/octet-stream", self.content.as_slice()),
            Some(from) => Answer::new(206, "application/octet-stream", &self.content[from..])
                .with_header("content-range", format!("bytes {from}-{}/{}", self.content.len() - 1, self.content.len())),
        }
    }
}

fn fetch(home: &Path, site: &Site) -> Command {
    let mut command = modelcar(home);
    command.arg("fetch").arg(format!("{}/m/model.onnx", site.url)).arg(home.join("out"));
    command
}

fn content(home: &Path) -> Vec<u8> {
    std::fs::read(home.join("out/model.onnx")).unwrap()
}

fn failure(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

const BIG: usize = 1_000_000;

#[test]
fn a_file_comes_once_and_again_when_it_changed() {
    let (home, site) = (temp_dir(), Site::start(b"weights", "\"1\""));
    run(&mut fetch(home.path(), &site));
    run(&mut fetch(home.path(), &site));
    assert_eq!((content(home.path()).as_slice(), site.statuses()), (&b"weights"[..], vec![200, 304]));
    (site.file.lock().unwrap().content, site.file.lock().unwrap().tag) = (b"others".to_vec(), "\"2\"");
    run(&mut fetch(home.path(), &site));
    assert_eq!((content(home.path()).as_slice(), site.statuses()), (&b"others"[..], vec![200]));
    // What somebody changed here is not what the server has, whatever it is called.
    std::fs::write(home.path().join("out/model.onnx"), "mine!!").unwrap();
    run(&mut fetch(home.path(), &site));
    assert_eq!((content(home.path()).as_slice(), site.statuses()), (&b"others"[..], vec![200]));
}

#[test]
fn a_broken_download_goes_on_with_the_same_version_only() {
    for (then, statuses) in [(None, vec![200, 206]), (Some((vec![b'n'; BIG], "\"2\"")), vec![200, 200])] {
        let (home, site) = (temp_dir(), Site::start(&vec![b'o'; BIG], "\"1\""));
        let expected = then.as_ref().map_or_else(|| vec![b'o'; BIG], |(content, _)| content.clone());
        site.file.lock().unwrap().cuts = vec![BIG / 2];
        site.file.lock().unwrap().then = then;
        run(&mut fetch(home.path(), &site));
        assert!(content(home.path()) == expected, "{statuses:?}");
        assert_eq!(site.statuses(), statuses);
    }
}

#[test]
fn without_a_strong_tag_nothing_is_pieced_together() {
    let (home, site) = (temp_dir(), Site::start(&vec![b'o'; BIG], "W/\"1\""));
    site.file.lock().unwrap().cuts = vec![BIG / 2];
    site.file.lock().unwrap().then = Some((vec![b'n'; BIG], "W/\"1\""));
    run(&mut fetch(home.path(), &site));
    assert!(content(home.path()) == vec![b'n'; BIG]);
    assert_eq!(site.statuses(), [200, 200]);
}

#[test]
fn another_digest_than_the_users_leaves_nothing() {
    let (home, site) = (temp_dir(), Site::start(b"weights", "\"1\""));
    let right = modelcar::oci::Digest::of(b"weights").to_string();
    let wrong = modelcar::oci::Digest::of(b"other").to_string();
    let (code, told) = failure(fetch(home.path(), &site).args(["--digest", &wrong]));
    assert!(code == 3 && told.contains(&format!("`model.onnx` should have {wrong}, but has {right}")), "{code} {told}");
    assert!(!home.path().join("out/model.onnx").exists());
    run(fetch(home.path(), &site).args(["--digest", &right]));
    run(fetch(home.path(), &site).args(["--digest", &right]));
    assert_eq!(site.statuses(), [200, 200], "what has the digest is not asked for again");
}

#[test]
fn what_cannot_be_had_is_told() {
    let (home, site) = (temp_dir(), Site::start(b"weights", "\"1\""));
    let fetch = |source: &str| failure(modelcar(home.path()).args(["fetch", source]).arg(home.path().join("out")));
    for (source, expected, part) in [
        (format!("{}/other", site.url), 1, "status 404"),
        ("http://192.0.2.1/model.onnx".to_owned(), 1, "it is plain HTTP"),
        ("gs://bucket/model".to_owned(), 2, "KServe's storage initializer"),
        ("hf://org/../x".to_owned(), 2, "expected hf://"),
        ("pvc://claim/../x".to_owned(), 2, "expected pvc://"),
    ] {
        let (code, told) = fetch(&source);
        assert!(code == expected && told.contains(part), "{source}: {code} {told}");
    }
}

#[test]
fn a_folder_is_there_already_and_has_the_same_digest_wherever_it_lies() {
    let (home, site) = (temp_dir(), Site::start(b"weights", "\"1\""));
    let told = |command: &mut Command| serde_json::from_str::<serde_json::Value>(&stdout_of(command.args(["--format", "json"]))).unwrap();
    let fetched = told(&mut fetch(home.path(), &site));
    let local = told(modelcar(home.path()).arg("fetch").arg(home.path().join("out")));
    assert_eq!(local["source_digest"], fetched["source_digest"]);
    assert_eq!(local["source_uri"], format!("file://{}", home.path().join("out").display()));
    let claim = told(modelcar(home.path()).args(["fetch", "pvc://models/out"]).arg(home.path()));
    assert_eq!((&claim["source_digest"], &claim["source_uri"]), (&fetched["source_digest"], &"pvc://models/out".into()));
    assert_eq!(claim["path"], home.path().join("out").display().to_string());
    assert_eq!(failure(modelcar(home.path()).args(["fetch", "nowhere"])).0, 1);
}
