//! HTTP for the small services beside a registry, such as Sigstore's: the same roots, proxies, time-outs and second tries.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::RegistryError;
use super::address::is_loopback;
use super::answer::printable;
use super::location::shown;
use super::retry::{Failure, Retry, Trouble, is_transient};
use super::transport::{self, Request, Transport, block_on};
use crate::store::{StoreError, StoreOptions};

/// All pauses between the tries of one request.
const LONGEST_WAIT: Duration = Duration::from_secs(150);

/// A client of services that answer with small documents.
///
/// Its methods block, and must not be called from a thread of an asynchronous runtime.
pub struct Web {
    transport: Transport,
    retry: Retry,
    plain: bool,
    idle: Duration,
}

/// One request.
pub struct Ask<'a> {
    url: &'a Url,
    /// A POST with its media type and body; without one, a GET.
    body: Option<(&'static str, Bytes)>,
    accept: &'static str,
    limit: u64,
}

/// What a service answered that was not "not now".
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The body, at most as long as was asked for.
    pub body: Vec<u8>,
    method: Method,
    url: Url,
}

impl<'a> Ask<'a> {
    /// GET, for an answer of at most `limit` bytes.
    pub fn get(url: &'a Url, accept: &'static str, limit: u64) -> Self {
        Self { url, body: None, accept, limit }
    }

    /// POST, for an answer of at most `limit` bytes. The body may be sent several times.
    pub fn post(url: &'a Url, media_type: &'static str, body: impl Into<Bytes>, accept: &'static str, limit: u64) -> Self {
        Self { url, body: Some((media_type, body.into())), accept, limit }
    }

    fn request(&self) -> Request {
        let mut request = Request::new(self.method(), self.url.clone());
        request.headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        if let Some((media_type, body)) = &self.body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            request.body = body.clone();
        }
        request
    }

    fn method(&self) -> Method {
        if self.body.is_some() { Method::POST } else { Method::GET }
    }
}

impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), shown(self.url))
    }
}

impl Answer {
    /// Whether it is a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer as an error: its status and its words, cut and cleaned.
    pub fn refused(&self) -> StoreError {
        let (method, url) = (self.method.to_string(), shown(&self.url));
        RegistryError::Unexpected { method, url, status: self.status, message: words(&self.body) }.into()
    }
}

impl Web {
    /// A client that gives up when nothing moves for `idle`. Files named by the options are read.
    pub fn new(options: &StoreOptions, idle: Duration) -> Result<Self, StoreError> {
        let roots = options.ca_file.as_deref().map(transport::read_roots).transpose()?.unwrap_or_default();
        let verify = options.tls_verify != Some(false);
        let retry = Retry::default().waiting_at_most(LONGEST_WAIT);
        Ok(Self { transport: Transport::new(verify, roots, idle), retry, plain: !verify, idle })
    }

    /// The same with another way to wait between tries.
    #[must_use]
    pub fn pausing(self, pause: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self { retry: Retry::new(pause).waiting_at_most(LONGEST_WAIT), ..self }
    }

    /// Whether what goes to this address is encrypted, stays on this machine, or may be read by others by the user's own word.
    pub fn may_reach(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => true,
            "http" => self.plain || is_loopback(url),
            _ => false,
        }
    }

    /// Sends a request until there is an answer other than "not now".
    ///
    /// # Errors
    /// No answer, "not now" to the last, or one that is too long.
    pub fn send(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        self.retry.run(ask, || self.attempt(ask))
    }

    fn attempt(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let response = self.transport.send(&ask.request())?;
        let (status, location) = (response.status.as_u16(), response.header("location").map(str::to_owned));
        tracing::debug!("{ask} answered {status}");
        let trouble = Trouble::of(&response);
        // A document this small that takes longer is being dripped.
        let body = response.bytes_within(ask.limit, self.idle * 2)?;
        let answer = Answer { status, location, body, method: ask.method(), url: ask.url.clone() };
        if is_transient(status) { Err(Failure { trouble: Some(trouble), error: answer.refused() }) } else { Ok(answer) }
    }

    /// Waits as between tries.
    pub fn pause(&self, pause: Duration) {
        self.retry.pause(pause);
    }

    /// A client for libraries that bring their own requests, with the same roots and proxies.
    pub fn client(&self, url: &Url) -> Result<reqwest::Client, StoreError> {
        Ok(self.transport.impatient_client(url)?)
    }

    /// Waits for what such a library does.
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output, StoreError> {
        Ok(block_on(future)?)
    }
}

/// The service's own words: the `message` of its JSON, else plain text; a web page says nothing.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        message: String,
    }
    if let Ok(Body { message }) = serde_json::from_slice(body) {
        return printable(&message);
    }
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with(['<', '{', '[']) { String::new() } else { printable(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_services_own_words_and_no_web_page() {
        for (body, expected) in [
            (
                r#"{"code":3,"message":"There was an error\nprocessing the identity token"}"#,
                "There was an error processing the identity token",
            ),
            ("upstream connect error", "upstream connect error"),
            ("<html>no</html>", ""),
            (r#"{"other":1}"#, ""),
        ] {
            assert_eq!(words(body.as_bytes()), expected);
        }
        assert!(words(&[b'x'; 10_000]).len() <= 300);
    }

    #[test]
    fn plain_http_is_for_this_machine_and_for_those_who_ask() {
        let web = |tls_verify| Web::new(&StoreOptions { tls_verify, ..StoreOptions::default() }, Duration::from_secs(1)).unwrap();
        for (url, tls_verify, reachable) in [
            ("https://fulcio.example.com", None, true),
            ("http://fulcio.example.com", None, false),
            ("http://fulcio.example.com", Some(false), true),
            ("http://127.0.0.1:5555", None, true),
            ("ftp://127.0.0.1", None, false),
        ] {
            assert_eq!(web(tls_verify).may_reach(&url.parse().unwrap()), reachable, "{url} {tls_verify:?}");
        }
    }
}
