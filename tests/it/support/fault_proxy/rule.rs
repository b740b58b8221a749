//! When a proxy misbehaves, and how.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Seen;

/// A part of an exchange; with a byte of it, a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// From the method to the empty line. Byte 0 is before anything is passed on.
    RequestHead,
    /// Byte 0 is after the head; the last place is behind the last byte.
    RequestBody,
    /// Byte 0 is when the registry has answered and the client knows nothing of it.
    ResponseHead,
    /// Byte 0 is after the head.
    ResponseBody,
}

/// What happens.
#[derive(Clone)]
pub enum Fault {
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed as if all were said (FIN).
    Finish,
    /// Nothing moves any more.
    Stall,
    /// This answer instead of the registry's. In the middle of a request's body the rest is not waited for.
    Answer(Reply),
    /// A header of the answer is made anew of what it was, which is nothing where there is none. Only at byte 0 of [`Part::ResponseHead`].
    Header(&'static str, fn(&str) -> String),
    /// All that follows arrives byte by byte, with this pause between.
    Drip(Duration),
    /// The next byte is another one.
    Flip,
    /// Something happens elsewhere; then all goes on.
    Call(Arc<dyn Fn() + Send + Sync>),
}

/// An answer that no registry gave. `{host}` in a header is the proxy's own address.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// An error as registries write it.
    pub fn saying(self, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string();
        Self { body: body.into_bytes(), ..self }.with("Content-Type", "application/json")
    }
}

/// A fault, its place, and which requests it is for.
pub struct Rule {
    /// Separated by `|`.
    methods: &'static str,
    path: String,
    /// A header that the request must have.
    having: Option<&'static str>,
    place: (Part, u64),
    fault: Fault,
    skip: usize,
    times: usize,
    reached: AtomicUsize,
}

impl Rule {
    /// Strikes the first request of a method (`PUT`, `PUT|PATCH`) whose path and query hold `path`, at a byte of a part.
    pub fn on(methods: &'static str, path: impl Into<String>, part: Part, byte: u64, fault: Fault) -> Self {
        Self { methods, path: path.into(), having: None, place: (part, byte), fault, skip: 0, times: 1, reached: AtomicUsize::new(0) }
    }

    /// Answers in place of the registry, which is not asked.
    pub fn instead(methods: &'static str, path: impl Into<String>, reply: Reply) -> Self {
        Self::on(methods, path, Part::RequestHead, 0, Fault::Answer(reply))
    }

    /// Changes a header of the registry's answer.
    pub fn header(methods: &'static str, path: impl Into<String>, name: &'static str, change: fn(&str) -> String) -> Self {
        Self::on(methods, path, Part::ResponseHead, 0, Fault::Header(name, change))
    }

    /// Only requests with this header, in lower case.
    pub fn having(self, header: &'static str) -> Self {
        Self { having: Some(header), ..self }
    }

    /// Lets so many requests pass first.
    pub fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Strikes so many of them.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Strikes all of them.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    pub(super) fn is_for(&self, request: &Seen) -> bool {
        self.methods.split('|').any(|other| other == request.method)
            && request.target.contains(&self.path)
            && self.having.is_none_or(|name| request.header(name).is_some())
    }

    /// The byte of `part` at which it may strike.
    pub(super) fn byte(&self, part: Part) -> Option<u64> {
        (self.place.0 == part).then_some(self.place.1)
    }

    pub(super) fn changes_header(&self) -> bool {
        matches!(self.fault, Fault::Header(..))
    }

    /// Tells it that its place is reached.
    pub(super) fn strike(&self) -> Option<&Fault> {
        let before = self.reached.fetch_add(1, Ordering::SeqCst);
        (before >= self.skip && before - self.skip < self.times).then_some(&self.fault)
    }

    pub(super) fn has_struck(&self) -> bool {
        self.reached.load(Ordering::SeqCst) > self.skip
    }
}
