//! The request loop: find the registry, log in, follow redirects, try again.

use std::sync::OnceLock;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::RegistryError;
use super::address::{Address, Scheme};
use super::answer::{complaint, limits};
use super::auth::{Auth, Scopes};
use super::body::Portion;
use super::error::tells_of_no_tls;
use super::location::{self, shown};
use super::pace::Pace;
use super::retry::{Failure, Retry, Trouble, is_transient};
use super::transport::{Request, Response, Transport};
use crate::stop;
use crate::store::StoreError;

/// Object stores redirect once or twice.
const MAX_REDIRECTS: usize = 5;
/// As much of an error answer as is read, in bytes.
const MAX_COMPLAINT: u64 = 64 << 10;

/// A request before it is known how the registry is reached.
#[derive(Clone, Debug)]
pub(super) struct Call {
    method: Method,
    target: Target,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

#[derive(Clone, Debug)]
enum Target {
    /// `/v2/` itself.
    Api,
    /// Below `/v2/NAME/`.
    Path(String),
    /// As the registry gave it.
    Url(Url),
}

impl Call {
    /// A request for `/v2/NAME/path`.
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, target: Target::Path(path.into()), headers: Vec::new(), body: Bytes::new() }
    }

    /// A request for `/v2/`, which tells nothing but who may come in.
    pub(super) fn api(method: Method) -> Self {
        Self { method, target: Target::Api, headers: Vec::new(), body: Bytes::new() }
    }

    /// A request for an address that the registry gave.
    pub(super) fn to(method: Method, url: Url) -> Self {
        Self { method, target: Target::Url(url), headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            Target::Api => write!(f, "{} /v2/", self.method),
            Target::Path(path) => write!(f, "{} {path}", self.method),
            Target::Url(url) => write!(f, "{} {}", self.method, shown(url)),
        }
    }
}

/// Speaks to one repository.
pub(super) struct Client {
    address: Address,
    schemes: &'static [Scheme],
    scopes: Scopes,
    transport: Transport,
    auth: Auth,
    retry: Retry,
    /// `https://quay.io/v2/` once the registry has answered.
    api: OnceLock<Url>,
}

impl Client {
    pub(super) fn new(
        address: Address,
        schemes: &'static [Scheme],
        scopes: Scopes,
        transport: Transport,
        auth: Auth,
        retry: Retry,
    ) -> Self {
        Self { address, schemes, scopes, transport, auth, retry, api: OnceLock::new() }
    }

    pub(super) fn retry(&self) -> &Retry {
        &self.retry
    }

    /// How the registry asked to log in: `bearer`, `basic`; `None` where it asked for nothing.
    pub(super) fn asked_to_log_in(&self) -> Option<String> {
        self.auth.asked()
    }

    /// Who asks, for messages.
    pub(super) fn who(&self) -> String {
        self.auth.who()
    }

    /// Sends a request until there is an answer other than "not now" and "who are you".
    pub(super) fn call(&self, call: &Call) -> Result<Response, StoreError> {
        self.retry.run(call, || self.attempt(call))
    }

    /// The same, once.
    pub(super) fn attempt(&self, call: &Call) -> Result<Response, Failure> {
        self.attempt_request(self.request(call)?)
    }

    /// The same, with rights beyond those of the store: `repository:org/other:pull`.
    pub(super) fn attempt_with_scope(&self, call: &Call, scope: String) -> Result<Response, Failure> {
        self.attempt_request(Request { scope: Some(scope), ..self.request(call)? })
    }

    fn attempt_request(&self, mut request: Request) -> Result<Response, Failure> {
        stop::hold();
        for _ in 0..MAX_REDIRECTS {
            let response = self.authorized(&request)?;
            if !is_redirect(&response) {
                return self.settled(response);
            }
            request.url = location::redirect(&response.url, response.header("location"))?;
        }
        Err(RegistryError::BadAnswer { url: shown(&request.url), reason: "it redirects again and again".to_owned() }.into())
    }

    /// Sends a portion, once. It cannot be sent twice, so a refused token makes the attempt fail, and the next one is better.
    pub(super) fn attempt_portion(&self, call: &Call, portion: Portion) -> Result<Response, Failure> {
        stop::hold();
        let mut request = self.request(call)?;
        request.headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let sent = self.authorize(&mut request)?;
        let response = self.transport.send_portion(&request, portion).map_err(|failure| self.met_before(failure))?;
        if response.status != StatusCode::UNAUTHORIZED || sent.is_none() {
            return self.settled(response);
        }
        self.auth.challenged(&response, sent.as_ref())?;
        Err(Failure { trouble: Some(Trouble::TokenExpired), error: self.refused(response).into() })
    }

    /// What an answer means that is not the one hoped for.
    pub(super) fn refused(&self, response: Response) -> RegistryError {
        let (method, url, status) = (response.method.to_string(), shown(&response.url), response.status.as_u16());
        let ours = self.is_ours(&response.url);
        let registry = self.address.registry.clone();
        let limits = limits(|name| response.header(name));
        let complaint = response.bytes(MAX_COMPLAINT).map(|body| complaint(&body)).unwrap_or_default();
        let message = self.auth.scrub(&complaint.text);
        match status {
            401 if ours => RegistryError::Unauthorized { registry, who: self.auth.who(), message },
            403 if ours => RegistryError::Denied { registry, method, url, who: self.auth.who(), message },
            404 if complaint.code == "NAME_UNKNOWN" => RegistryError::NameUnknown { name: self.name(), message },
            413 => RegistryError::UploadRefused { registry, message },
            429 => RegistryError::RateLimited { registry, message: with_limits(message, &limits) },
            _ => RegistryError::Unexpected { method, url, status, message },
        }
    }

    /// How fast bytes may pass.
    pub(super) fn pace(&self) -> &Pace {
        self.transport.pace()
    }

    /// Which registry and repository these are.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// `quay.io/org/model`, with the repository's full path.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.address.registry, self.address.repository)
    }

    fn request(&self, call: &Call) -> Result<Request, Failure> {
        let url = match &call.target {
            Target::Url(url) => url.clone(),
            Target::Api => self.api()?,
            Target::Path(path) => self.url(path)?,
        };
        let mut request = Request::new(call.method.clone(), url);
        request.body = call.body.clone();
        for (name, value) in &call.headers {
            let unusable = |_| RegistryError::BadAnswer { url: shown(&request.url), reason: format!("{name} cannot be sent") };
            request.headers.append(name, HeaderValue::from_str(value).map_err(unusable)?);
        }
        Ok(request)
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let address = |error: url::ParseError| RegistryError::Address { registry: self.name(), reason: error.to_string() };
        Ok(self.api()?.join(&self.address.path(path)).map_err(address)?)
    }

    /// Sends a request and answers one challenge.
    fn authorized(&self, request: &Request) -> Result<Response, Failure> {
        let mut request = request.clone();
        let sent = self.authorize(&mut request)?;
        let response = self.transport.send(&request).map_err(|failure| self.met_before(failure))?;
        if response.status != StatusCode::UNAUTHORIZED || !self.is_ours(&request.url) {
            return Ok(response);
        }
        self.auth.challenged(&response, sent.as_ref())?;
        if self.authorize(&mut request)? == sent {
            return Ok(response);
        }
        self.transport.send(&request)
    }

    /// A registry that has answered before is being restarted rather than misspelt: that is worth more patience.
    fn met_before(&self, failure: Failure) -> Failure {
        match failure.trouble {
            Some(Trouble::Connect) if self.api.get().is_some() => Failure { trouble: Some(Trouble::Broken), ..failure },
            _ => failure,
        }
    }

    /// Adds the log-in, for the registry's own address only (CVE-2020-15157); gives what was added.
    fn authorize(&self, request: &mut Request) -> Result<Option<HeaderValue>, Failure> {
        request.headers.remove(AUTHORIZATION);
        let api = self.api()?;
        if !location::same_origin(&api, &request.url) {
            return Ok(None);
        }
        let scopes: Scopes = self.scopes.iter().chain(&request.scope).cloned().collect();
        let header = self.auth.header(&api, &scopes, &self.transport)?;
        request.headers.extend(header.clone().map(|value| (AUTHORIZATION, value)));
        Ok(header)
    }

    fn is_ours(&self, url: &Url) -> bool {
        self.api.get().is_none_or(|api| location::same_origin(api, url))
    }

    fn settled(&self, response: Response) -> Result<Response, Failure> {
        let status = response.status.as_u16();
        let limits = limits(|name| response.header(name));
        tracing::debug!("{}", with_limits(format!("{} {} answered {status}", response.method, shown(&response.url)), &limits));
        if is_transient(status) {
            let trouble = Trouble::of(&response);
            return Err(Failure::transient(trouble, self.refused(response)));
        }
        if status == 401 { Err(self.refused(response).into()) } else { Ok(response) }
    }

    /// Where the API is. Threads that start together each ask: waiting in turn for a registry that is down would take longer.
    fn api(&self) -> Result<Url, Failure> {
        if let Some(url) = self.api.get() {
            return Ok(url.clone());
        }
        let (url, response) = self.reach()?;
        if response.status == StatusCode::UNAUTHORIZED {
            self.auth.challenged(&response, None)?;
        }
        tracing::debug!("{} is reached at {url}", self.address.registry);
        Ok(self.api.get_or_init(|| url).clone())
    }

    /// Tries the schemes in order. Where none works, what TLS did not like explains most, else the first failure: it can be retried.
    fn reach(&self) -> Result<(Url, Response), Failure> {
        let mut failures = Vec::new();
        for scheme in self.schemes {
            let failure = match self.ping(*scheme) {
                Ok(reached) => return Ok(reached),
                Err(failure) => failure,
            };
            let go_on = speaks_otherwise(*scheme, &failure);
            failures.push(failure);
            if !go_on {
                break;
            }
        }
        let telling = failures.iter().position(is_tls).unwrap_or_default();
        Err(failures.swap_remove(telling))
    }

    fn ping(&self, scheme: Scheme) -> Result<(Url, Response), Failure> {
        let url = self.address.api(scheme)?;
        let response = self.transport.send(&Request::new(Method::GET, url.clone()))?;
        let status = response.status.as_u16();
        match status {
            200..=299 | 401 => Ok((url, response)),
            _ if is_transient(status) => Err(Failure::transient(Trouble::of(&response), self.refused(response))),
            _ => Err(self.refused(response).into()),
        }
    }
}

/// Whether a failed ping may mean that the registry speaks the other scheme.
///
/// Servers answer HTTP on their TLS port with status 400 or an alert, and TLS on their HTTP port with a line of HTTP.
fn speaks_otherwise(scheme: Scheme, failure: &Failure) -> bool {
    let StoreError::Registry(error) = &failure.error else { return false };
    match scheme {
        Scheme::Http => matches!(**error, RegistryError::Broken { .. } | RegistryError::Unexpected { status: 400, .. }),
        Scheme::Https => matches!(**error, RegistryError::Tls { .. } | RegistryError::Unreachable { .. }),
    }
}

fn with_limits(message: String, limits: &str) -> String {
    match (message.is_empty(), limits.is_empty()) {
        (_, true) => message,
        (true, false) => limits.to_owned(),
        (false, false) => format!("{message} [{limits}]"),
    }
}

/// Whether TLS was spoken, or tried, and failed. A server that answers TLS with something else speaks plain HTTP: that tells nothing.
fn is_tls(failure: &Failure) -> bool {
    let StoreError::Registry(error) = &failure.error else { return false };
    match &**error {
        RegistryError::Tls { source, .. } => !tells_of_no_tls(&source.0),
        error => matches!(error, RegistryError::TlsSetup(_)),
    }
}

pub(super) fn is_redirect(response: &Response) -> bool {
    matches!(response.method, Method::GET | Method::HEAD) && matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
