//! An HTTP proxy in front of a real registry that misbehaves by rule.
//!
//! ```text
//! client ─► Proxy ─► relay ─► registry        one exchange at a time, streamed, nothing rewritten
//!             │        │
//!             │       rule                    where in an exchange, which of many, and what happens there
//!            gate     http                    how many bytes went by · heads and bodies of HTTP/1.1
//! ```
//!
//! Without rules it is a wire: heads go through as they came, `Host` among them, so that a registry which makes its addresses of it
//! leads its clients back here. A [`Rule`] names requests by method and path, a place in the exchange by part and byte
//! (`Part::RequestBody`, 65536), and a [`Fault`]. It strikes once, or as often as is said; every rule counts the exchanges that reach
//! its place by itself. What was asked, how many bytes went each way and what the client was told is kept for tests to count:
//! [`Proxy::seen`].
//!
//! A [`Gate`] stops the wire at an exact byte of all that went one way, calls a function, and goes on: a client that is killed there has
//! sent that byte and not the next, whatever the machine is doing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

mod gate;
mod http;
mod relay;
mod rule;

pub use gate::Gate;
pub use rule::{Fault, Part, Reply, Rule};

/// One exchange, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The request's headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// Bytes of the request's body that were passed on.
    pub sent: u64,
    /// What the client was told, if anything.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were passed on.
    pub received: u64,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// `PUT /v2/org/model/manifests/v1`, without the query.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target.split('?').next().unwrap_or_default())
    }
}

/// Serves on a free loopback port until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the connections of a proxy have in common.
pub(super) struct Shared {
    target: String,
    rules: Vec<Rule>,
    seen: Mutex<Vec<Seen>>,
    sent: Gate,
    received: Gate,
    closing: Mutex<bool>,
    closed: Condvar,
}

impl Proxy {
    /// Relays to `target`, `127.0.0.1:PORT`.
    pub fn start(target: &str, rules: Vec<Rule>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            rules,
            seen: Mutex::default(),
            sent: Gate::default(),
            received: Gate::default(),
            closing: Mutex::new(false),
            closed: Condvar::new(),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if *serving.closing.lock().unwrap() {
                    return;
                }
                let shared = serving.clone();
                // a connection that ends in the middle is what this is for
                std::thread::spawn(move || relay::converse(client, &shared).ok());
            }
        });
        Self { address, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// All exchanges so far, in the order in which they began.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The same in words, a line for each.
    pub fn log(&self) -> String {
        self.seen().iter().map(|seen| [seen.line(), format!("{:?} {}\n", seen.status, seen.sent)].join(" ")).collect()
    }

    /// The exchanges of a method whose path holds `part`.
    pub fn seen_of(&self, method: &str, part: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == method && seen.target.contains(part)).collect()
    }

    /// The bytes of all bodies that went to uploads.
    pub fn uploaded(&self) -> u64 {
        self.seen().iter().filter(|seen| seen.target.contains("/blobs/uploads/")).map(|seen| seen.sent).sum()
    }

    /// What clients send, heads and bodies.
    pub fn sent(&self) -> &Gate {
        &self.shared.sent
    }

    /// What clients are answered, heads and bodies.
    pub fn received(&self) -> &Gate {
        &self.shared.received
    }

    /// Whether every rule has struck at least once: a rule that never does tests nothing.
    pub fn all_struck(&self) -> bool {
        self.shared.rules.iter().all(Rule::has_struck)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *self.shared.closing.lock().unwrap() = true;
        self.shared.closed.notify_all();
        // wakes the thread that accepts
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn begin(&self, seen: Seen) -> usize {
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        all.len() - 1
    }

    fn note(&self, number: usize, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap()[number]);
    }

    /// Waits for the end of the proxy, or for a time no test takes.
    fn stand_still(&self) {
        let closing = self.closing.lock().unwrap();
        drop(self.closed.wait_timeout_while(closing, Duration::from_secs(60), |closing| !*closing).unwrap());
    }
}

mod tests;
