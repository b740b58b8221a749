//! Requests to a registry: who asks, and what a refusal means.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::answer::{self, Found, Page};
use super::{Endpoint, Kind, ModelRegistryError, Token};
use crate::store::StoreOptions;
use crate::store::registry::{Answer, Ask, Web, carries_secrets, shown_url};

const JSON: &str = "application/json";
/// How long nothing may move.
const IDLE: Duration = Duration::from_secs(30);
/// The longest answer that is read: an entry, or a page of fifty of them.
const MAX_ANSWER: u64 = 4 << 20;

/// A registry, and who speaks to it.
///
/// Its methods block, and must not be called from a thread of an asynchronous runtime.
pub struct Registry {
    endpoint: Endpoint,
    web: Web,
    token: Option<Token>,
    withheld: bool,
}

/// What is written, for messages.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
}

/// What became of something new.
pub(super) enum Posted {
    Created(Found),
    /// Somebody was faster, by the registry's own words.
    Conflict(String),
}

impl Registry {
    /// Nothing is sent yet; files named by the options are read.
    ///
    /// # Errors
    /// An address that others could listen to, unless `--tls-verify=false` allows it; with a token that the user named, even then.
    pub fn open(endpoint: Endpoint, token: Option<Token>, options: &StoreOptions) -> Result<Self, ModelRegistryError> {
        let web = Web::new(options, IDLE)?;
        if !web.may_reach(endpoint.url()) {
            return Err(ModelRegistryError::Plain { url: endpoint.to_string() });
        }
        let open_air = !carries_secrets(endpoint.url());
        match token {
            Some(token) if open_air && token.is_given() => {
                Err(ModelRegistryError::PlainToken { url: endpoint.to_string(), origin: token.origin().to_owned() })
            }
            Some(_) if open_air => Ok(Self { endpoint, web, token: None, withheld: true }),
            token => Ok(Self { endpoint, web, token, withheld: false }),
        }
    }

    /// The API's address.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether there is a token that nobody named, and that is kept back because the connection is not encrypted.
    pub fn withholds_token(&self) -> bool {
        self.withheld
    }

    /// The entry that a finder finds.
    pub(super) fn find(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Option<Found>, ModelRegistryError> {
        let url = self.endpoint.of(path, query);
        let answer = self.send(Ask::get(&url, JSON, MAX_ANSWER))?;
        match answer.status {
            200 => answer::found(&answer, &url).map(Some),
            404 if answer::is_about_an_entry(&answer.body) => Ok(None),
            _ => Err(self.refused(&answer, &url, None)),
        }
    }

    /// A page of a list.
    pub(super) fn list(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Page, ModelRegistryError> {
        let url = self.endpoint.of(path, query);
        let answer = self.send(Ask::get(&url, JSON, MAX_ANSWER))?;
        if answer.status == 200 { answer::page(&answer, &url) } else { Err(self.refused(&answer, &url, None)) }
    }

    pub(super) fn post(&self, path: &[&str], body: &Map<String, Value>, what: Subject<'_>) -> Result<Posted, ModelRegistryError> {
        let url = self.endpoint.of(path, &[]);
        let answer = self.send(Ask::post(&url, JSON, text(body), JSON, MAX_ANSWER))?;
        match answer.status {
            200 | 201 => answer::found(&answer, &url).map(Posted::Created),
            409 => Ok(Posted::Conflict(answer.words())),
            _ => Err(self.refused(&answer, &url, Some(what))),
        }
    }

    pub(super) fn patch(&self, path: &[&str], body: &Map<String, Value>, what: Subject<'_>) -> Result<(), ModelRegistryError> {
        let url = self.endpoint.of(path, &[]);
        let answer = self.send(Ask::patch(&url, JSON, text(body), JSON, MAX_ANSWER))?;
        if answer.is_success() { Ok(()) } else { Err(self.refused(&answer, &url, Some(what))) }
    }

    fn send(&self, ask: Ask<'_>) -> Result<Answer, ModelRegistryError> {
        let ask = ask.bearing(self.token.as_ref().map(Token::bearer));
        self.web.send(&ask).map_err(ModelRegistryError::NoAnswer)
    }

    fn refused(&self, answer: &Answer, url: &Url, what: Option<Subject<'_>>) -> ModelRegistryError {
        let (address, message) = (shown_url(url), answer.words());
        match (answer.status, what) {
            (401, _) => ModelRegistryError::Unauthorized { url: address, who: self.who(), message },
            (403, _) => ModelRegistryError::Forbidden { url: address, who: self.who(), message },
            (404 | 405, _) => ModelRegistryError::NotThere { url: address, reason: format!("it answers {}", answer.status) },
            (300..400, _) => ModelRegistryError::Redirected { url: address, to: redirect(answer, url) },
            (400 | 409 | 422, Some(Subject { kind, name })) => ModelRegistryError::Invalid { kind, name: name.to_owned(), message },
            _ => ModelRegistryError::Status(answer.refused()),
        }
    }

    fn who(&self) -> String {
        self.token.as_ref().map_or_else(|| "an anonymous caller".to_owned(), |token| format!("the token from {}", token.origin()))
    }
}

fn text(body: &Map<String, Value>) -> String {
    Value::Object(body.clone()).to_string()
}

/// Its query may hold what a log-in page is to know.
fn redirect(answer: &Answer, url: &Url) -> String {
    let location = answer.location.as_deref().and_then(|location| url.join(location).ok());
    location.map_or_else(|| "nowhere".to_owned(), |location| shown_url(&location))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::token::choose_from;
    use super::*;

    /// What becomes of the service account's token, or of one in a named file.
    fn opened(url: &str, named: bool, tls_verify: Option<bool>) -> Result<Registry, ModelRegistryError> {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("token");
        std::fs::write(&file, "abc").unwrap();
        let (named, mounted): (_, &Path) = if named { (Some(file.as_path()), Path::new("/nothing")) } else { (None, &file) };
        let token = choose_from(named, None, mounted).unwrap();
        Registry::open(url.parse().unwrap(), token, &StoreOptions { tls_verify, ..StoreOptions::default() })
    }

    #[test]
    fn a_token_that_nobody_named_is_kept_back_where_others_could_read_it() {
        let open_air = "http://registry.kubeflow.svc:8080";
        let registry = opened(open_air, false, Some(false)).unwrap();
        assert!(registry.withholds_token() && registry.token.is_none());
        assert!(matches!(opened(open_air, true, Some(false)), Err(ModelRegistryError::PlainToken { .. })));
        assert!(matches!(opened(open_air, false, None), Err(ModelRegistryError::Plain { .. })));
        for url in ["https://registry.example.com", "http://127.0.0.1:8080"] {
            let registry = opened(url, false, None).unwrap();
            assert!(!registry.withholds_token() && registry.token.is_some(), "{url}");
        }
    }
}
