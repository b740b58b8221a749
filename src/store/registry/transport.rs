//! One HTTP exchange: clients, time-outs, and what a failed connection means. Knows nothing of registries.
//!
//! The asynchronous world begins and ends here. All of the process shares one small runtime; callers are plain threads that wait
//! in [`block_on`], and must not be threads of a runtime themselves.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::tls::Version;
use reqwest::{Certificate, Method, StatusCode};
use tokio::runtime::Runtime;
use url::Url;

use super::address::{Address, Scheme, is_loopback};
use super::body::Portion;
use super::certs::{self, CertDirs};
use super::error::Cause;
use super::location::shown;
use super::pace::Pace;
use super::retry::{Failure, Trouble};
use super::{RegistryError, download, proxy, roots};
use crate::store::StoreOptions;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may lie unused: shorter than the registries' own patience, so that they do not close it first.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How much longer than otherwise a registry may think once it has all bytes of an upload: it moves gigabytes in its store then.
const COMMIT_FACTOR: u32 = 10;
/// How much longer than a pause may last a whole document may take, lest it come in drops for ever.
const DOCUMENT_FACTOR: u32 = 5;

/// A request that can be sent again.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// A right that it needs beyond those of the store.
    pub(super) scope: Option<String>,
}

impl Request {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new(), scope: None }
    }
}

/// An answer whose body has not been read yet.
pub(super) struct Response {
    pub(super) method: Method,
    pub(super) status: StatusCode,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    idle: Duration,
    pace: Pace,
    inner: reqwest::Response,
}

/// Sends requests and gives back answers of any status. Redirects are answers, too.
pub(super) struct Transport {
    verify: bool,
    extra_roots: Vec<Certificate>,
    cert_dirs: CertDirs,
    idle: Duration,
    pace: Pace,
    clients: Mutex<BTreeMap<Kind, reqwest::Client>>,
}

/// Each kind of host has its own client, made when it is first needed: reading the system's roots takes 30 ms and fails in an
/// image without any, and neither may trouble a plain-HTTP registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    tls: bool,
    proxied: bool,
    /// The folder of the host's own certificates.
    certs: Option<PathBuf>,
}

impl Transport {
    /// `idle` is how long nothing may move before a request is given up.
    pub(super) fn new(verify: bool, extra_roots: Vec<Certificate>, idle: Duration) -> Self {
        Self { verify, extra_roots, cert_dirs: CertDirs::default(), idle, pace: Pace::default(), clients: Mutex::default() }
    }

    /// What reaches a registry: with the authorities that the options name, the certificates for its host, and their rate.
    pub(super) fn for_registry(address: &Address, options: &StoreOptions, idle: Duration) -> Result<Self, RegistryError> {
        let extra_roots = options.ca_file.as_deref().map(roots::read_roots).transpose()?.unwrap_or_default();
        let cert_dirs = CertDirs::new(&address.api(Scheme::Https)?, options.cert_dir.as_deref(), &|name| std::env::var_os(name))?;
        let pace = Pace::new(options.limit_rate);
        Ok(Self { cert_dirs, pace, ..Self::new(options.tls_verify != Some(false), extra_roots, idle) })
    }

    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    fn kind(&self, url: &Url) -> Kind {
        let tls = url.scheme() == "https";
        Kind { tls, proxied: !is_loopback(url) && !proxy::names_port(url), certs: if tls { self.cert_dirs.of(url) } else { None } }
    }

    /// Sends a request whose body is in memory.
    pub(super) fn send(&self, request: &Request) -> Result<Response, Failure> {
        let body = reqwest::Body::from(request.body.clone());
        self.exchange(request, request.body.len() as u64, body, &Progress::default())
    }

    /// Sends a request whose body comes from a [`Portion`] instead.
    pub(super) fn send_portion(&self, request: &Request, portion: Portion) -> Result<Response, Failure> {
        let (size, progress) = (portion.size(), portion.progress());
        self.exchange(request, size, reqwest::Body::wrap_stream(portion), &progress)
    }

    fn exchange(&self, request: &Request, size: u64, body: reqwest::Body, progress: &Progress) -> Result<Response, Failure> {
        let client = self.client(&request.url)?;
        let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
        *outgoing.headers_mut() = request.headers.clone();
        if !matches!(request.method, Method::GET | Method::HEAD) {
            outgoing.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            *outgoing.body_mut() = Some(body);
        }
        let answer = block_on(watched(client.execute(outgoing), progress, self.idle))?;
        let inner = answer.ok_or_else(|| stalled(request, self.idle))?.map_err(|error| failed(request, &error))?;
        Ok(Response {
            method: request.method.clone(),
            status: inner.status(),
            url: inner.url().clone(),
            headers: inner.headers().clone(),
            idle: self.idle,
            pace: self.pace.clone(),
            inner,
        })
    }

    fn client(&self, url: &Url) -> Result<reqwest::Client, RegistryError> {
        let kind = self.kind(url);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let client = self.builder(&kind)?.build().map_err(|error| RegistryError::TlsSetup(innermost(&error)))?;
        clients.insert(kind, client.clone());
        Ok(client)
    }

    /// A client that ends every request after twice the idle time, for libraries that would wait for ever.
    pub(super) fn impatient_client(&self, url: &Url) -> Result<reqwest::Client, RegistryError> {
        let builder = self.builder(&self.kind(url))?.timeout(self.idle * 2);
        builder.build().map_err(|error| RegistryError::TlsSetup(innermost(&error)))
    }

    /// HTTP/1.1 only: the flow control of HTTP/2 gains uploads nothing.
    fn builder(&self, kind: &Kind) -> Result<reqwest::ClientBuilder, RegistryError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("modelcar/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(KEEP_ALIVE)
            .http1_only();
        let builder = if kind.proxied { builder } else { builder.no_proxy() };
        if !kind.tls {
            return Ok(builder.tls_certs_only([]));
        }
        let own = kind.certs.as_deref().map(certs::read).transpose()?;
        let (roots, identity) = own.map(|own| (own.roots, own.identity)).unwrap_or_default();
        let builder = identity.into_iter().fold(builder.tls_version_min(Version::TLS_1_2), reqwest::ClientBuilder::identity);
        if !self.verify {
            return Ok(builder.tls_danger_accept_invalid_certs(true));
        }
        Ok(builder.tls_certs_merge(self.extra_roots.iter().cloned().chain(roots)))
    }
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The whole body, refused when it is longer than `limit` bytes, or comes in drops.
    pub(super) fn bytes(self, limit: u64) -> Result<Vec<u8>, Failure> {
        let longest = self.idle * DOCUMENT_FACTOR;
        self.bytes_within(limit, longest)
    }

    /// The same, given up when it takes longer than `longest`.
    pub(super) fn bytes_within(self, limit: u64, longest: Duration) -> Result<Vec<u8>, Failure> {
        let (url, begun) = (shown(&self.url), Instant::now());
        let mut bytes = Vec::new();
        let mut chunks = self.chunks();
        while let Some(chunk) = chunks.next()? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                return Err(RegistryError::BadAnswer { url, reason: format!("it is longer than {limit} bytes") }.into());
            }
            if begun.elapsed() > longest {
                return Err(RegistryError::BadAnswer { url, reason: format!("it takes longer than {longest:.0?}") }.into());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The body as a blocking reader.
    pub(super) fn into_reader(self) -> download::BodyReader {
        download::BodyReader::new(self.chunks())
    }

    /// The pieces of the body as they arrive.
    pub(super) fn chunks(self) -> Chunks {
        Chunks { request: Request::new(self.method, self.url), idle: self.idle, pace: self.pace, inner: self.inner }
    }
}

/// The pieces of a body as they arrive.
pub(super) struct Chunks {
    request: Request,
    idle: Duration,
    pace: Pace,
    inner: reqwest::Response,
}

impl Chunks {
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunk = block_on(watched(self.inner.chunk(), &Progress::default(), self.idle))?;
        let chunk = chunk.ok_or_else(|| stalled(&self.request, self.idle))?.map_err(|error| failed(&self.request, &error))?;
        self.pace.pass(chunk.as_ref().map_or(0, Bytes::len));
        Ok(chunk)
    }
}

/// How much of a body has gone to the socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    size: Option<u64>,
    sent: AtomicU64,
}

impl Progress {
    /// Of a body whose end makes the registry work, also where it is empty because the bytes went before.
    pub(super) fn of(size: u64) -> Self {
        Self(Arc::new(Counters { size: Some(size), sent: AtomicU64::new(0) }))
    }

    pub(super) fn advance(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    fn patience(&self, idle: Duration) -> Duration {
        let committing = self.0.size.is_some_and(|size| self.sent() >= size);
        if committing { idle * COMMIT_FACTOR } else { idle }
    }
}

/// Waits for a future as long as something moves; `None` when nothing did.
async fn watched<F: Future>(future: F, progress: &Progress, idle: Duration) -> Option<F::Output> {
    tokio::pin!(future);
    loop {
        let before = progress.sent();
        if let Ok(output) = tokio::time::timeout(progress.patience(idle), &mut future).await {
            return Some(output);
        }
        if progress.sent() == before {
            return None;
        }
    }
}

/// Waits for a future on the process's runtime, which is started on first use.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, RegistryError> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if RUNTIME.get().is_none() {
        let built = start_runtime().map_err(RegistryError::Runtime)?;
        RUNTIME.get_or_init(|| built);
    }
    match RUNTIME.get() {
        Some(runtime) => Ok(runtime.block_on(future)),
        None => Err(RegistryError::Runtime(io::Error::other("it did not start"))),
    }
}

fn start_runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("modelcar-net").enable_all().build()
}

fn stalled(request: &Request, idle: Duration) -> Failure {
    let error = RegistryError::Stalled { method: request.method.to_string(), url: shown(&request.url), idle };
    Failure::transient(Trouble::Stalled, error)
}

/// Sorts a failed exchange. The URL in reqwest's own message would show a query with its signatures, so only causes are kept.
fn failed(request: &Request, error: &reqwest::Error) -> Failure {
    let source = innermost(error);
    let host = host(&request.url);
    // what a server thinks of our certificate comes with its first answer in TLS 1.3
    if is_alert(&source) {
        return RegistryError::Tls { host, source }.into();
    }
    if error.is_connect() {
        let unreachable = |source| Failure::transient(Trouble::Connect, RegistryError::Unreachable { host: host.clone(), source });
        return if is_tls(error) { RegistryError::Tls { host, source }.into() } else { unreachable(source) };
    }
    let broken = RegistryError::Broken { method: request.method.to_string(), url: shown(&request.url), source };
    Failure::transient(Trouble::Broken, broken)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// rustls wraps what it dislikes in an [`io::Error`] of this kind, and hyper-rustls wraps that in another one.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = causes(error).filter_map(|error| error.downcast_ref::<io::Error>());
    io.flat_map(nested).any(|error| error.kind() == io::ErrorKind::InvalidData)
}

/// What the other side ended TLS with, in rustls's words.
fn is_alert(cause: &Cause) -> bool {
    cause.0.starts_with("received fatal alert")
}

/// An [`io::Error`] inside another one is not its source: that is the inner one's source.
fn nested(error: &io::Error) -> impl Iterator<Item = &io::Error> {
    std::iter::successors(Some(error), |error| error.get_ref().and_then(|inner| inner.downcast_ref()))
}

pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> Cause {
    Cause(super::answer::printable(&causes(error).last().map(ToString::to_string).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_has_all_bytes_may_think_longer() {
        let idle = Duration::from_secs(60);
        let progress = Progress::of(100);
        progress.advance(99);
        assert_eq!(progress.patience(idle), idle);
        progress.advance(1);
        assert_eq!(progress.patience(idle), Duration::from_secs(600));
        assert_eq!(Progress::of(0).patience(idle), Duration::from_secs(600), "the bytes went before");
        assert_eq!(Progress::default().patience(idle), idle);
    }

    #[test]
    fn a_slow_transfer_is_not_a_stalled_one() {
        // Three pieces, each later than half the idle time: only what stands still is given up.
        let progress = Progress::of(1000);
        let moving = progress.clone();
        let work = async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(150)).await;
                moving.advance(1);
            }
        };
        assert_eq!(block_on(watched(work, &progress, Duration::from_millis(200))).unwrap(), Some(()));
        let nothing = std::future::pending::<()>();
        assert_eq!(block_on(watched(nothing, &progress, Duration::from_millis(20))).unwrap(), None);
    }

    /// A byte now and then keeps a connection from being idle, and a document must end all the same.
    #[test]
    fn a_document_that_comes_in_drops_is_given_up() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 1024]);
            let mut write = |text: &str| client.write_all(text.as_bytes());
            write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").unwrap();
            while write(" ").is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let transport = Transport::new(true, Vec::new(), Duration::from_millis(200));
        let response = transport.send(&Request::new(Method::GET, url)).ok().unwrap();
        let begun = Instant::now();
        let error = response.bytes(1 << 20).unwrap_err().error.to_string();
        assert!(error.contains("it takes longer than 1s") && begun.elapsed() < Duration::from_secs(20), "{error}");
    }

    #[test]
    fn a_plain_http_client_needs_no_root_certificates() {
        let transport = Transport::new(true, Vec::new(), Duration::from_secs(1));
        let before = transport.clients.lock().unwrap().len();
        transport.client(&"http://quay.io/".parse().unwrap()).unwrap();
        transport.client(&"http://127.0.0.1/".parse().unwrap()).unwrap();
        let clients = transport.clients.lock().unwrap();
        let kinds: Vec<(bool, bool)> = clients.keys().map(|kind| (kind.tls, kind.proxied)).collect();
        assert_eq!((before, kinds.as_slice()), (0, &[(false, false), (false, true)][..]), "no TLS, and no proxy for loopback");
    }
}
