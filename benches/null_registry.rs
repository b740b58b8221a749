//! A stand-in for a registry that takes everything and keeps nothing: what is sent to it costs as little as a loopback connection can,
//! so a benchmark against it shows the client. It is no registry: it checks no digest, and gives no blob back.
//!
//! ```text
//! rustc --edition 2024 -O benches/null_registry.rs && ./null_registry 127.0.0.1:5000
//! ```
//!
//! It speaks as much of the protocol as a push needs: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push>.
//! `make bench` builds it, without the crates that modelcar needs, and `benches/run` starts it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What one `read` takes at most: large, so that the cost per byte is the kernel's copy.
const BUFFER: usize = 256 << 10;
/// More than any request's head.
const MOST_HEAD: usize = 64 << 10;
/// More than any manifest: registries stop at 4 MiB.
const MOST_MANIFEST: u64 = 4 << 20;

#[allow(dead_code, reason = "a test serves in its own process")]
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5000".to_owned());
    serve(&TcpListener::bind(address)?)
}

/// Answers every connection in a thread of its own.
///
/// # Errors
/// Only where the listener itself fails.
pub(crate) fn serve(listener: &TcpListener) -> io::Result<()> {
    let kept = Arc::new(Mutex::new(Kept::default()));
    for stream in listener.incoming() {
        let (stream, kept) = (stream?, Arc::clone(&kept));
        // a client that goes away in the middle is its own business
        thread::spawn(move || converse(stream, &kept).ok());
    }
    Ok(())
}

/// All that is remembered: names and sizes, and the manifests.
#[derive(Default)]
struct Kept {
    /// Bytes of each upload that is not finished, by its number.
    uploads: HashMap<usize, u64>,
    /// Uploads that were ever begun.
    begun: usize,
    /// Sizes of the blobs that were sent, by digest.
    blobs: HashMap<String, u64>,
    /// Media type and bytes, by the name that they were put under.
    manifests: HashMap<String, (String, Vec<u8>)>,
}

/// The head of a request.
struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The digest that the query names.
    fn digest(&self) -> Option<String> {
        self.query.split('&').find_map(|pair| pair.strip_prefix("digest=")).map(|value| value.replace("%3A", ":").replace("%3a", ":"))
    }
}

struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn of(status: &'static str) -> Self {
        Self { status, headers: vec![], body: vec![] }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

fn converse(stream: TcpStream, kept: &Mutex<Kept>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::with_capacity(BUFFER, stream);
    while let Some(request) = read_head(&mut input)? {
        if request.header("expect").eq_ignore_ascii_case("100-continue") {
            output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let is_manifest = request.method == "PUT" && request.path.contains("/manifests/");
        let mut manifest = Vec::new();
        let received = if is_manifest { keep(&mut input, &request, &mut manifest)? } else { discard(&mut input, &request)? };
        let answer = {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            answer(&request, received, manifest, &mut kept)
        };
        write_answer(&mut output, &request, &answer)?;
    }
    Ok(())
}

/// The next request's head; `None` where the client has hung up.
fn read_head(input: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        let read = input.by_ref().take(MOST_HEAD as u64).read_line(&mut line)?;
        length += read;
        if read == 0 || length > MOST_HEAD {
            return Ok(None);
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    Ok(Some(Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(),
    }))
}

/// Reads the request's body and forgets it; its length.
fn discard(input: &mut BufReader<TcpStream>, request: &Request) -> io::Result<u64> {
    if request.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        return discard_chunks(input);
    }
    let length = length_of(request);
    skip(input, length)?;
    Ok(length)
}

fn length_of(request: &Request) -> u64 {
    request.header("content-length").parse().unwrap_or(0)
}

fn discard_chunks(input: &mut BufReader<TcpStream>) -> io::Result<u64> {
    let mut total = 0;
    loop {
        let mut line = String::new();
        input.by_ref().take(MOST_HEAD as u64).read_line(&mut line)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        skip(input, size)?;
        input.by_ref().take(MOST_HEAD as u64).read_line(&mut line)?;
        if size == 0 {
            return Ok(total);
        }
        total += size;
    }
}

fn skip(input: &mut BufReader<TcpStream>, mut left: u64) -> io::Result<()> {
    while left > 0 {
        let here = input.fill_buf()?.len();
        if here == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = here.min(usize::try_from(left).unwrap_or(usize::MAX));
        input.consume(taken);
        left -= taken as u64;
    }
    Ok(())
}

fn keep(input: &mut BufReader<TcpStream>, request: &Request, body: &mut Vec<u8>) -> io::Result<u64> {
    let length = length_of(request);
    if length > MOST_MANIFEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    body.resize(usize::try_from(length).unwrap_or_default(), 0);
    input.read_exact(body)?;
    Ok(length)
}

fn answer(request: &Request, received: u64, manifest: Vec<u8>, kept: &mut Kept) -> Answer {
    if request.path == "/v2/" || request.path == "/v2" {
        return Answer::of("200 OK");
    }
    if let Some((name, reference)) = request.path.split_once("/manifests/") {
        return answer_manifest(request, name, reference, manifest, kept);
    }
    if let Some((name, session)) = request.path.split_once("/blobs/uploads/") {
        return answer_upload(request, name, session, received, kept);
    }
    let blob = request.path.split_once("/blobs/").and_then(|(_, digest)| kept.blobs.get(digest));
    match (request.method.as_str(), blob) {
        ("HEAD", Some(size)) => Answer::of("200 OK").with("Content-Length", size.to_string()),
        _ => Answer::of("404 Not Found"),
    }
}

fn answer_upload(request: &Request, name: &str, session: &str, received: u64, kept: &mut Kept) -> Answer {
    let begins = request.method == "POST";
    let number = if begins { kept.begun } else { session.parse().unwrap_or(usize::MAX) };
    kept.begun += usize::from(begins);
    if begins {
        kept.uploads.insert(number, 0);
    }
    let Some(size) = kept.uploads.get_mut(&number) else { return Answer::of("404 Not Found") };
    *size += received;
    let size = *size;
    let digest = request.digest().filter(|_| request.method == "PUT" || begins);
    if let Some(digest) = digest {
        kept.uploads.remove(&number);
        let place = format!("{name}/blobs/{digest}");
        kept.blobs.insert(digest.clone(), size);
        return Answer::of("201 Created").with("Location", place).with("Docker-Content-Digest", digest);
    }
    match request.method.as_str() {
        "POST" | "PATCH" => Answer::of("202 Accepted"),
        "GET" => Answer::of("204 No Content"),
        _ => {
            kept.uploads.remove(&number);
            return Answer::of("204 No Content");
        }
    }
    .with("Location", format!("{name}/blobs/uploads/{number}"))
    .with("Range", format!("0-{}", size.saturating_sub(1)))
}

fn answer_manifest(request: &Request, name: &str, reference: &str, bytes: Vec<u8>, kept: &mut Kept) -> Answer {
    let place = format!("{name}:{reference}");
    if request.method == "PUT" {
        kept.manifests.insert(place, (request.header("content-type").to_owned(), bytes));
        return Answer::of("201 Created").with("Location", format!("{name}/manifests/{reference}"));
    }
    let Some((kind, bytes)) = kept.manifests.get(&place) else { return Answer::of("404 Not Found") };
    let mut found = Answer::of("200 OK").with("Content-Type", kind);
    found.body.clone_from(bytes);
    found
}

fn write_answer(output: &mut TcpStream, request: &Request, answer: &Answer) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status);
    for (name, value) in &answer.headers {
        // writing to a string cannot fail
        let _ = write!(head, "{name}: {value}\r\n");
    }
    // the size of a blob is told already, and 204 has no length
    if !answer.headers.iter().any(|(name, _)| *name == "Content-Length") && !answer.status.starts_with("204") {
        let _ = write!(head, "Content-Length: {}\r\n", answer.body.len());
    }
    head.push_str("\r\n");
    output.write_all(head.as_bytes())?;
    if request.method == "HEAD" { Ok(()) } else { output.write_all(&answer.body) }
}
