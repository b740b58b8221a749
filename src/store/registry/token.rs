//! Bearer tokens: <https://distribution.github.io/distribution/spec/auth/token/> and, for identity tokens,
//! <https://distribution.github.io/distribution/spec/auth/oauth/>.

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::RegistryError;
use super::answer::complaint;
use super::credentials::{Credential, Login};
use super::location::shown;
use super::retry::{Failure, Trouble, is_transient};
use super::secret::Secret;
use super::transport::{Request, Response, Transport};
use crate::oci::Timestamp;

/// Tokens with many rights grow to some ten kilobytes.
const MAX_ANSWER: u64 = 1 << 20;
/// The specification's life of a token that names none.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is renewed this long before its end: clocks differ, and requests take time to arrive.
const LEEWAY: Duration = Duration::from_secs(10);

/// A token and how long it may be used.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) value: Secret,
    /// The `Authorization` header that carries it.
    pub(super) header: HeaderValue,
    fresh_until: Instant,
}

/// What a token is asked for.
pub(super) struct TokenRequest<'a> {
    /// For which registry, in the user's words.
    pub(super) registry: &'a str,
    /// Where.
    pub(super) realm: Url,
    /// For which registry, in the token service's words.
    pub(super) service: Option<&'a str>,
    /// To do what: `repository:org/model:pull,push`.
    pub(super) scopes: Vec<String>,
    /// By whom.
    pub(super) credential: Option<&'a Credential>,
}

impl Token {
    fn new(value: &str, life: Duration, now: Instant) -> Option<Self> {
        let header = sensitive(&format!("Bearer {value}")).filter(|_| value.bytes().all(|byte| byte.is_ascii_graphic()))?;
        // a short-lived token keeps most of its life
        let usable = life.saturating_sub(LEEWAY.min(life / 4));
        Some(Self { value: Secret::new(value), header, fresh_until: now.checked_add(usable).unwrap_or(now) })
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.fresh_until
    }
}

impl TokenRequest<'_> {
    /// Asks once; a token service that knows no OAuth2 is asked in the older way, too.
    pub(super) fn send(&self, transport: &Transport) -> Result<Token, Failure> {
        let asked = Instant::now();
        let response = match self.credential.map(|credential| &credential.login) {
            Some(Login::Identity { token, basic: (user, password) }) => {
                let response = transport.send(&self.refresh(token))?;
                if knows_oauth2(response.status.as_u16()) { response } else { transport.send(&self.get(basic(user, password)))? }
            }
            Some(Login::Password { user, password }) => transport.send(&self.get(basic(user, password)))?,
            None => transport.send(&self.get(None))?,
        };
        if response.status.as_u16() != 200 {
            return Err(self.refused(response));
        }
        let there = response.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
        let body = response.bytes(MAX_ANSWER)?;
        parse(&body, there, asked).map_err(|reason| self.unusable(reason).into())
    }

    fn get(&self, authorization: Option<HeaderValue>) -> Request {
        let mut url = self.realm.clone();
        url.query_pairs_mut().extend_pairs(self.service.map(|service| ("service", service)));
        url.query_pairs_mut().extend_pairs(self.scopes.iter().map(|scope| ("scope", scope)));
        let mut request = Request::new(Method::GET, url);
        request.headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        request
    }

    fn refresh(&self, token: &Secret) -> Request {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token").append_pair("client_id", "modelcar");
        form.extend_pairs(self.service.map(|service| ("service", service)));
        form.extend_pairs((!self.scopes.is_empty()).then(|| ("scope", self.scopes.join(" "))));
        form.append_pair("refresh_token", token.expose());
        let mut request = Request::new(Method::POST, self.realm.clone());
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = Bytes::from(form.finish());
        request
    }

    fn refused(&self, response: Response) -> Failure {
        let status = response.status.as_u16();
        let trouble = Trouble::of(&response);
        let words = response.bytes(MAX_ANSWER).map(|body| complaint(&body).text).unwrap_or_default();
        let message = self.scrubbed(&words);
        if is_transient(status) {
            return Failure::transient(trouble, self.unusable(format!("status {status} {message}")));
        }
        if !matches!(status, 400 | 401 | 403) {
            return self.unusable(format!("status {status} {message}")).into();
        }
        RegistryError::Unauthorized { registry: self.registry.to_owned(), who: super::auth::who(self.credential), message }.into()
    }

    fn scrubbed(&self, words: &str) -> String {
        self.credential.map_or_else(|| words.to_owned(), |credential| credential.scrub(words))
    }

    fn unusable(&self, reason: impl Into<String>) -> RegistryError {
        let reason: String = reason.into();
        RegistryError::BadToken { realm: shown(&self.realm), reason: reason.trim().to_owned() }
    }
}

/// An `Authorization` header that logs nothing of itself. Base64 always fits into one.
pub(super) fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    sensitive(&format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose()))))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What an answer to an OAuth2 request tells of a service that has only the older way: there is no such path or method
/// (Google, <https://github.com/google/go-containerregistry/pull/1210>), or a log-in is missed that was in the form (Artifactory,
/// <https://github.com/containerd/containerd/pull/2117>).
fn knows_oauth2(status: u16) -> bool {
    !matches!(status, 401 | 404 | 405)
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<f64>,
    issued_at: Option<String>,
}

/// Reads a token service's answer; `there` is its clock. The reason of a failure never quotes it.
fn parse(body: &[u8], there: Option<SystemTime>, now: Instant) -> Result<Token, &'static str> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "its answer is not the JSON of a token")?;
    let filled = |token: Option<String>| token.filter(|token| !token.is_empty());
    let value = filled(answer.token).or_else(|| filled(answer.access_token)).map(Zeroizing::new).ok_or("its answer holds no token")?;
    let life = answer.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let claims = Claims::of(&value);
    let life = life.or_else(|| claims.life()).unwrap_or(DEFAULT_LIFE);
    let there = there.and_then(|there| there.duration_since(SystemTime::UNIX_EPOCH).ok());
    let life = there.map_or(life, |there| left(life, answer.issued_at.as_deref(), &claims, there));
    Token::new(&value, life, now).ok_or("the token has characters that no header can hold")
}

/// What is left of a life: services hand out tokens again that they issued some time ago. Only their own clock counts, which is in the
/// answer's `Date`; that of this machine may be wrong.
fn left(life: Duration, issued_at: Option<&str>, claims: &Claims, there: Duration) -> Duration {
    let issued = issued_at.and_then(Timestamp::parse).map(|time| Duration::from_secs(time.seconds()));
    let age = issued.map_or(Duration::ZERO, |issued| there.saturating_sub(issued));
    let end = claims.exp.map_or(Duration::MAX, |end| Duration::from_secs(end).saturating_sub(there));
    life.saturating_sub(age).min(end)
}

/// The times in a token that is a JWT (<https://www.rfc-editor.org/rfc/rfc7519#section-4.1>), in seconds since 1970. Nothing is trusted
/// by them: they only tell when to ask for another token.
#[derive(Default, Deserialize)]
struct Claims {
    exp: Option<u64>,
    iat: Option<u64>,
}

impl Claims {
    fn of(token: &str) -> Self {
        let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
    }

    fn life(&self) -> Option<Duration> {
        self.exp?.checked_sub(self.iat?).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(credential: Option<&Credential>) -> TokenRequest<'_> {
        let scopes = vec!["repository:a/b:pull,push".to_owned(), "repository:c:pull".to_owned()];
        TokenRequest {
            realm: "https://auth.example.com/token?x=1".parse().unwrap(),
            registry: "example.com",
            service: Some("registry"),
            scopes,
            credential,
        }
    }

    #[test]
    fn asks_for_all_scopes_at_once() {
        let request = request(None).get(None);
        assert_eq!(
            request.url.as_str(),
            "https://auth.example.com/token?x=1&service=registry&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%3Apull"
        );
        assert!(request.headers.is_empty());
    }

    #[test]
    fn an_identity_token_goes_into_the_form_not_into_the_url() {
        let request = request(None).refresh(&Secret::new("CANARY"));
        let form = String::from_utf8(request.body.to_vec()).unwrap();
        assert!(!request.url.as_str().contains("CANARY") && request.method == Method::POST);
        assert_eq!(
            form,
            "grant_type=refresh_token&client_id=modelcar&service=registry&scope=repository%3Aa%2Fb%3Apull%2Cpush+repository%3Ac%3Apull&refresh_token=CANARY"
        );
    }

    #[test]
    fn reads_what_token_services_answer() {
        let now = Instant::now();
        for (body, value, usable) in [
            (r#"{"token":"t"}"#, Ok("t"), 50),
            (r#"{"access_token":"a","expires_in":300}"#, Ok("a"), 290),
            (r#"{"token":"t","access_token":"a","expires_in":300.5}"#, Ok("t"), 290),
            (r#"{"token":"","access_token":"a","expires_in":20}"#, Ok("a"), 15),
            (r#"{"token":"t","expires_in":0}"#, Ok("t"), 0),
            (r#"{"token":"t","expires_in":-5}"#, Ok("t"), 50),
            (r#"{"token":null}"#, Err("its answer holds no token"), 0),
            (r#"{"token":"a b"}"#, Err("the token has characters that no header can hold"), 0),
            ("[]", Err("its answer is not the JSON of a token"), 0),
        ] {
            let token = parse(body.as_bytes(), None, now);
            assert_eq!(token.as_ref().map(|token| token.value.expose()).map_err(|reason| *reason), value, "{body}");
            if let Ok(token) = token {
                let at = |seconds| now + Duration::from_secs(seconds);
                assert!(!token.is_fresh(at(usable + 1)) && (usable == 0 || token.is_fresh(at(usable - 1))), "{body}");
            }
        }
    }

    #[test]
    fn an_endless_life_is_no_overflow() {
        assert!(parse(br#"{"token":"t","expires_in":1e300}"#, None, Instant::now()).is_ok());
        assert!(parse(br#"{"token":"t","expires_in":1e15}"#, None, Instant::now()).is_ok());
    }

    #[test]
    fn a_token_lives_by_its_services_clock() {
        let jwt = |claims: &str| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims));
        let answer = |token: &str, rest: &str| format!(r#"{{"token":"{token}"{rest}}}"#);
        let there = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let now = Instant::now();
        for (body, date, usable) in [
            // issued a hundred seconds ago: 1970-01-12T13:46:40Z is a million seconds
            (answer("t", r#","expires_in":300,"issued_at":"1970-01-12T13:45:00Z""#), Some(there), 190),
            (answer("t", r#","expires_in":300,"issued_at":"1970-01-12T13:45:00Z""#), None, 290),
            (answer("t", r#","expires_in":300,"issued_at":"1970-01-12T14:00:00Z""#), Some(there), 290),
            (answer("t", r#","expires_in":300,"issued_at":"yesterday""#), Some(there), 290),
            (answer(&jwt(r#"{"exp":1000200,"iat":999900}"#), ""), None, 290),
            (answer(&jwt(r#"{"exp":1000200,"iat":999900}"#), ""), Some(there), 190),
            (answer(&jwt(r#"{"exp":1000200}"#), r#","expires_in":3600"#), Some(there), 190),
            (answer(&jwt(r#"{"exp":999999}"#), r#","expires_in":3600"#), Some(there), 0),
            (answer(&jwt(r#"{"exp":10,"iat":20}"#), ""), None, 50),
            (answer(&jwt("no JSON"), ""), Some(there), 50),
        ] {
            let token = parse(body.as_bytes(), date, now).unwrap();
            let at = |seconds| now + Duration::from_secs(seconds);
            assert!(!token.is_fresh(at(usable + 1)) && (usable == 0 || token.is_fresh(at(usable - 1))), "{body} {date:?}");
        }
    }

    #[test]
    fn headers_do_not_print() {
        let header = basic("user", &Secret::new("CANARY")).unwrap();
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(header.to_str().unwrap(), "Basic dXNlcjpDQU5BUlk=");
    }
}
