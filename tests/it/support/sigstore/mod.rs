//! A stand-in for Sigstore's services inside the test process: Fulcio, a certificate transparency log, Rekor v1, Rekor v2, an RFC 3161
//! time-stamp authority and a TUF repository, each on a loopback port of its own. **It is not Sigstore.** What a test proves with it is that modelcar speaks the
//! protocols as written down here; that real services agree is for runs against them.
//!
//! What it does as the real ones do, because clients and verifiers depend on it:
//!
//! - **Fulcio** (`POST /api/v2/signingCert`, `GET /api/v2/trustBundle`, `GET /api/v2/configuration`): takes the token in the body or the
//!   header; checks its ES256 signature, issuer, audience and times, and the proof of possession over the subject (service accounts) or the
//!   verified e-mail address (people). Whatever is wrong with a token, the answer is the same bare sentence. Issues from an intermediate:
//!   empty subject, critical SAN, the two issuer extensions, an embedded SCT over the precertificate.
//! - **Rekor v1** (`POST` and `GET /api/v1/log/entries`, `GET …/publicKey`): checks the signature of `hashedrekord` and `dsse` 0.0.1 against
//!   the certificate or key; stores its own form of the entry (PEM with LF; of an envelope only hashes and signature); signs the entry (SET)
//!   and a checkpoint of a real Merkle tree, in which indices differ from those of the log; answers 409 with `Location` to an equal entry.
//! - **Rekor v2** (`POST /api/v2/log/entries`, `GET /api/v2/checkpoint`): `hashedrekord` 0.0.2 with a certificate or a key; checkpoints signed
//!   with Ed25519, named by the host; no promise, no time; 409 to an equal entry.
//! - **TUF repository**: one root, timestamp, snapshot and targets of version 1 with consistent snapshots, by one Ed25519 key; the targets are
//!   `trusted_root.json` and a `signing_config.v0.2.json` of all services.
//! - **Time-stamp authority** (`POST /api/v1/timestamp`): DER queries of SHA-256/384/512; echoes the nonce, whole seconds, critical EKU.
//!
//! What it does not: TLS; delegations and key rotation in TUF; OIDC discovery (both issuers share one key that Fulcio just knows); CSRs;
//! algorithms other than P-256 with SHA-256; checking that a certificate in a log entry chains to anything; v1's index search, v2's tiles,
//! witnesses; JSON time-stamp requests; a CT log that can be asked; persistence; limits of size or rate.

pub mod by_crates;
mod ct;
mod fulcio;
pub mod http;
mod merkle;
mod pki;
mod rekor;
mod rekor_v2;
mod token;
mod trust_root;
mod tsa;
mod tuf;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use http::Fault;
use http::{Answer, Request, Server};
pub use token::{CLUSTER, Claims, PROVIDER};

/// A service that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Fulcio,
    Rekor,
    RekorV2,
    Tsa,
    Tuf,
}

impl Service {
    /// Those that a signing config can name.
    pub const SIGNING: [Self; 4] = [Self::Fulcio, Self::Rekor, Self::RekorV2, Self::Tsa];
}

/// How the services are set up.
pub struct Options {
    /// What Fulcio wants in `aud`.
    pub audience: String,
    /// How long certificates live.
    pub lifetime: Duration,
    /// When the metadata of the TUF repository expires.
    pub tuf_expires: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self { audience: "sigstore".to_owned(), lifetime: Duration::from_secs(600), tuf_expires: "2043-01-01T00:00:00Z" }
    }
}

struct Parts {
    fulcio: fulcio::Fulcio,
    rekor: rekor::Rekor,
    rekor_v2: rekor_v2::RekorV2,
    tsa: tsa::Tsa,
}

/// Running services; they stop when this is dropped.
pub struct Sigstore {
    pub fulcio_url: String,
    pub rekor_url: String,
    pub rekor_v2_url: String,
    /// With the path, as clients want it.
    pub tsa_url: String,
    pub tuf_url: String,
    /// The `root.json` that clients of the TUF repository start from.
    pub tuf_root: String,
    parts: Arc<Parts>,
    servers: Vec<Server>,
}

impl Sigstore {
    /// Services with keys of their own.
    pub fn start(options: &Options) -> Self {
        let parts = Arc::new(Parts {
            fulcio: fulcio::Fulcio::new(&options.audience, options.lifetime),
            rekor: rekor::Rekor::new("127.0.0.1"),
            rekor_v2: rekor_v2::RekorV2::new("127.0.0.1"),
            tsa: tsa::Tsa::new(),
        });
        let (fulcio_url, fulcio) = serve(&parts, |parts, request| parts.fulcio.answer(request));
        let (rekor_url, rekor) = serve(&parts, |parts, request| parts.rekor.answer(request));
        let (rekor_v2_url, rekor_v2) = serve(&parts, |parts, request| parts.rekor_v2.answer(request));
        let (tsa_url, tsa) = serve(&parts, |parts, request| parts.tsa.answer(request));
        let tsa_url = tsa_url + "/api/v1/timestamp";
        let servers = vec![fulcio, rekor, rekor_v2, tsa];
        let (tuf_url, tuf_root) = Default::default();
        let mut services = Self { fulcio_url, rekor_url, rekor_v2_url, tsa_url, tuf_url, tuf_root, parts, servers };
        services.start_tuf(options.tuf_expires);
        services
    }

    /// Last, for it speaks of the others.
    fn start_tuf(&mut self, expires: &str) {
        let (root, config) = (self.trusted_root(), self.signing_config(&Service::SIGNING));
        let repository = tuf::Repository::new(&[(tuf::TRUSTED_ROOT, &root), (tuf::SIGNING_CONFIG, &config)], expires);
        repository.root().clone_into(&mut self.tuf_root);
        let (url, listener) = bind();
        self.tuf_url = url;
        self.servers.push(Server::start(listener, move |request| repository.answer(request)));
    }

    /// A token that Fulcio believes, if what it says is right.
    pub fn token(&self, claims: &Claims) -> String {
        claims.signed_by(&self.parts.fulcio.tokens)
    }

    /// The same, signed by somebody else.
    pub fn forged_token(&self, claims: &Claims) -> String {
        claims.signed_by(&self.parts.fulcio.ct.key)
    }

    /// `trusted_root.json` of these services.
    pub fn trusted_root(&self) -> Value {
        trust_root::trusted_root(self)
    }

    /// `signing_config.json` (v0.2) that names these services.
    pub fn signing_config(&self, services: &[Service]) -> Value {
        trust_root::signing_config(self, services)
    }

    /// The authorities behind the certificates, the intermediate first, in PEM.
    pub fn fulcio_chain(&self) -> String {
        self.parts.fulcio.intermediate.pem() + &self.parts.fulcio.root.pem()
    }

    /// The key of Rekor v1 in PEM.
    pub fn rekor_key(&self) -> String {
        self.parts.rekor.key.public().pem()
    }

    /// Makes a service fail so many times from now, or until [`Self::heal`] (`usize::MAX`).
    pub fn fail(&self, service: Service, fault: Fault, times: usize) {
        self.server(service).fail(fault, times);
    }

    /// Ends its failing.
    pub fn heal(&self, service: Service) {
        self.server(service).heal();
    }

    /// What a service was asked so far, in order: `POST /api/v2/signingCert`, without queries. Failures count.
    pub fn requests(&self, service: Service) -> Vec<String> {
        self.server(service).seen()
    }

    fn server(&self, service: Service) -> &Server {
        &self.servers[service as usize]
    }
}

fn serve(parts: &Arc<Parts>, answer: fn(&Parts, &Request) -> Answer) -> (String, Server) {
    let (url, listener) = bind();
    let parts = parts.clone();
    (url, Server::start(listener, move |request| answer(&parts, request)))
}

fn bind() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.is_ascii().then_some(())?;
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
