//! HTTP for the small services beside a registry, such as Sigstore's: the same roots, proxies, time-outs and second tries.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::RegistryError;
use super::address::is_loopback;
use super::answer::printable;
use super::location::shown;
use super::retry::{Failure, Retry, Trouble, is_transient};
use super::roots;
use super::secret::Secret;
use super::transport::{Request, Transport, block_on};
use crate::store::{StoreError, StoreOptions};

/// All pauses between the tries of one request.
const LONGEST_WAIT: Duration = Duration::from_secs(150);

/// A client of services that answer with small documents.
///
/// Its methods block, and must not be called from a thread of an asynchronous runtime.
pub struct Web {
    pub(super) transport: Transport,
    pub(super) retry: Retry,
    plain: bool,
    idle: Duration,
}

/// One request.
#[derive(Clone)]
pub struct Ask<'a> {
    pub(super) url: &'a Url,
    method: Method,
    /// Its media type and the bytes.
    body: Option<(&'static str, Bytes)>,
    accept: &'static str,
    limit: u64,
    bearer: Option<&'a Bearer>,
    /// Further headers, and whether each is for this address alone.
    headers: Vec<(HeaderName, HeaderValue, Audience)>,
    /// Whether a redirect is followed, where it can be.
    pub(super) follows: bool,
}

/// Who may see a header when an answer leads elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Everyone,
    Origin,
}

/// A token that says who asks; wiped when it is dropped, and never printed.
#[derive(Debug)]
pub struct Bearer(Secret);

impl Bearer {
    /// The token, unless it holds what no header can carry: RFC 6750 allows visible ASCII alone.
    pub fn new(token: &str) -> Option<Self> {
        let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then(|| Self(Secret::new(token)))
    }

    fn header(&self) -> Option<HeaderValue> {
        let text = Zeroizing::new(format!("Bearer {}", self.0.expose()));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A server may repeat what it was sent, and its words may become an error's.
    fn scrub(&self, text: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(text);
        text.contains(self.0.expose()).then(|| text.replace(self.0.expose(), "***").into_bytes())
    }
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
        Self { url, method: Method::GET, body: None, accept, limit, bearer: None, headers: Vec::new(), follows: true }
    }

    /// POST, for an answer of at most `limit` bytes. The body may be sent several times.
    pub fn post(url: &'a Url, media_type: &'static str, body: impl Into<Bytes>, accept: &'static str, limit: u64) -> Self {
        Self { method: Method::POST, body: Some((media_type, body.into())), ..Self::get(url, accept, limit) }
    }

    /// PATCH, for an answer of at most `limit` bytes. The body may be sent several times.
    pub fn patch(url: &'a Url, media_type: &'static str, body: impl Into<Bytes>, accept: &'static str, limit: u64) -> Self {
        Self { method: Method::PATCH, ..Self::post(url, media_type, body, accept, limit) }
    }

    /// PUT, for an answer of at most `limit` bytes. The body may be sent several times.
    pub fn put(url: &'a Url, media_type: &'static str, body: impl Into<Bytes>, accept: &'static str, limit: u64) -> Self {
        Self { method: Method::PUT, ..Self::post(url, media_type, body, accept, limit) }
    }

    /// DELETE with a body, for an answer of at most `limit` bytes. The body may be sent several times.
    pub fn delete(url: &'a Url, media_type: &'static str, body: impl Into<Bytes>, accept: &'static str, limit: u64) -> Self {
        Self { method: Method::DELETE, ..Self::post(url, media_type, body, accept, limit) }
    }

    /// The same with a token. Redirects are never followed, so it goes to this address and no other; whether this address may have
    /// it is for the caller to ask: [`carries_secrets`].
    #[must_use]
    pub fn bearing(self, bearer: Option<&'a Bearer>) -> Self {
        Self { bearer, ..self }
    }

    /// The same, for which a redirect is an answer: [`Web::open`] follows none.
    #[must_use]
    pub fn staying(self) -> Self {
        Self { follows: false, ..self }
    }

    /// The same with another header.
    ///
    /// # Errors
    /// It is none that can be sent.
    pub fn with(self, name: &'static str, value: &str) -> Result<Self, StoreError> {
        self.heading(name, value, Audience::Everyone)
    }

    /// The same with a header that is for this address alone: a redirect to another one goes without it.
    ///
    /// # Errors
    /// It is none that can be sent.
    pub fn with_private(self, name: &'static str, value: &str) -> Result<Self, StoreError> {
        self.heading(name, value, Audience::Origin)
    }

    fn heading(mut self, name: &'static str, value: &str, audience: Audience) -> Result<Self, StoreError> {
        let unusable = || RegistryError::BadAnswer { url: shown(self.url), reason: format!("{name} cannot be sent") };
        let mut value = HeaderValue::from_str(value).map_err(|_| unusable())?;
        value.set_sensitive(audience == Audience::Origin);
        self.headers.push((HeaderName::from_static(name), value, audience));
        Ok(self)
    }

    /// The most bytes that are read of an answer in memory.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The headers that no other address may see.
    pub(super) fn private(&self) -> impl Iterator<Item = HeaderName> {
        let own = self.headers.iter().filter(|(_, _, audience)| *audience == Audience::Origin);
        own.map(|(name, ..)| name.clone()).chain([AUTHORIZATION])
    }

    pub(super) fn request(&self) -> Request {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        request.headers.insert(ACCEPT, HeaderValue::from_static(self.accept));
        if let Some((media_type, body)) = &self.body {
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            request.body = body.clone();
        }
        request.headers.extend(self.bearer.and_then(Bearer::header).map(|value| (AUTHORIZATION, value)));
        request.headers.extend(self.headers.iter().map(|(name, value, _)| (name.clone(), value.clone())));
        request
    }

    pub(super) fn scrubbed(&self, text: Vec<u8>) -> Vec<u8> {
        self.bearer.and_then(|bearer| bearer.scrub(&text)).unwrap_or(text)
    }
}

impl fmt::Display for Ask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, shown(self.url))
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
        RegistryError::Unexpected { method, url, status: self.status, message: self.words() }.into()
    }

    /// The service's own words, cut and cleaned; may be empty.
    pub fn words(&self) -> String {
        words(&self.body)
    }
}

impl Web {
    /// A client that gives up when nothing moves for `idle`. Files named by the options are read.
    pub fn new(options: &StoreOptions, idle: Duration) -> Result<Self, StoreError> {
        let roots = options.ca_file.as_deref().map(roots::read_roots).transpose()?.unwrap_or_default();
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

    /// Sends a request once; here "not now" is an answer, too.
    ///
    /// # Errors
    /// No answer, or one that is too long.
    pub fn send_once(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        self.exchange(ask).map(|(answer, _)| answer).map_err(|failure| failure.error)
    }

    fn attempt(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        let (answer, trouble) = self.exchange(ask)?;
        if is_transient(answer.status) { Err(Failure { trouble: Some(trouble), error: answer.refused() }) } else { Ok(answer) }
    }

    /// An answer, and when to ask again where it says "not now".
    fn exchange(&self, ask: &Ask<'_>) -> Result<(Answer, Trouble), Failure> {
        let response = self.transport.send(&ask.request())?;
        let status = response.status.as_u16();
        let location = response.header("location").map(|text| ask.scrubbed(text.into()));
        let location = location.map(|text| String::from_utf8_lossy(&text).into_owned());
        tracing::debug!("{ask} answered {status}");
        let trouble = Trouble::of(&response);
        // A document this small that takes longer is being dripped.
        let body = ask.scrubbed(response.bytes_within(ask.limit, self.idle * 2)?);
        Ok((Answer { status, location, body, method: ask.method.clone(), url: ask.url.clone() }, trouble))
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

/// Whether what goes to this address is read by nobody else: it is encrypted, or stays on this machine.
pub fn carries_secrets(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

/// A URL without its query, for messages.
pub fn shown_url(url: &Url) -> String {
    shown(url)
}

/// The service's own words: the `message` of its JSON, else plain text; a web page says nothing.
pub(super) fn words(body: &[u8]) -> String {
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
    fn a_token_is_visible_ascii_and_neither_printed_nor_repeated() {
        for refused in ["", "a b", "a\nb", "tökn", "a\u{7f}"] {
            assert!(Bearer::new(refused).is_none(), "{refused:?}");
        }
        let token = Bearer::new("abc.def-123").unwrap();
        assert_eq!(format!("{token:?}"), "Bearer(***)");
        assert_eq!(format!("{:?}", token.header().unwrap()), "Sensitive");
        assert_eq!(token.scrub(b"you sent Bearer abc.def-123!"), Some(b"you sent Bearer ***!".to_vec()));
        assert_eq!(token.scrub(b"nothing"), None);
    }

    #[test]
    fn a_secret_travels_encrypted_or_not_at_all() {
        for (url, safe) in [
            ("https://registry.example.com", true),
            ("http://registry.example.com", false),
            ("http://registry.kubeflow.svc.cluster.local:8080", false),
            ("http://127.0.0.1:8080", true),
            ("http://localhost", true),
            ("ftp://127.0.0.1", false),
        ] {
            assert_eq!(carries_secrets(&url.parse().unwrap()), safe, "{url}");
        }
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
