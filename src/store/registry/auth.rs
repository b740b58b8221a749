//! Logs in: which challenge to answer, with which credential, and one token for all threads.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use super::address::Address;
use super::answer::printable;
use super::challenge::{self, Challenge};
use super::credentials::{self, Credential, Login, Place};
use super::retry::Failure;
use super::token::{self, Token, TokenRequest};
use super::transport::{Response, Transport};
use super::{RegistryError, location};

/// More challenges than any registry sends.
const MAX_CHALLENGES: usize = 16;
/// More scopes than any challenge names.
const MAX_SCOPES: usize = 16;

/// What a request needs to be allowed: `repository:org/model:pull,push`, and later the source of a mount.
pub(super) type Scopes = Vec<String>;

/// The log-in at one registry.
pub(super) struct Auth {
    address: Address,
    places: Vec<Place>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    lookup: Lookup,
    tokens: HashMap<Scopes, Token>,
}

/// Credentials are looked for once, when they are first needed: a helper may be slow.
#[derive(Clone, Default)]
enum Lookup {
    #[default]
    NotYet,
    Done(Option<Credential>),
}

impl Lookup {
    fn found(&self) -> Option<&Credential> {
        match self {
            Self::NotYet => None,
            Self::Done(found) => found.as_ref(),
        }
    }
}

impl Auth {
    pub(super) fn new(address: Address, places: Vec<Place>) -> Self {
        Self { address, places, state: Mutex::default() }
    }

    /// The same for a log-in that is in no file yet.
    pub(super) fn of(address: Address, credential: Credential) -> Self {
        let state = State { lookup: Lookup::Done(Some(credential)), ..State::default() };
        Self { address, places: Vec::new(), state: Mutex::new(state) }
    }

    /// How the registry asked to log in: `bearer`, `basic`; `None` where it asked for nothing.
    pub(super) fn asked(&self) -> Option<String> {
        self.lock().challenge.as_ref().map(|challenge| challenge.scheme.clone())
    }

    /// The `Authorization` header for a request; `None` where the registry asked for none.
    ///
    /// The lock is held while a token is fetched: threads that need the same one wait for it instead of asking too.
    pub(super) fn header(&self, api: &Url, scopes: &Scopes, transport: &Transport) -> Result<Option<HeaderValue>, Failure> {
        let mut state = self.lock();
        let Some(challenge) = state.challenge.clone() else { return Ok(None) };
        let credential = self.credential(&mut state)?;
        if challenge.scheme == "basic" {
            return Ok(self.basic(credential.as_ref())?);
        }
        if let Some(token) = state.tokens.get(scopes).filter(|token| token.is_fresh(Instant::now())) {
            return Ok(Some(token.header.clone()));
        }
        let token = self.token_request(api, &challenge, scopes, credential.as_ref())?.send(transport)?;
        let header = token.header.clone();
        state.tokens.insert(scopes.clone(), token);
        Ok(Some(header))
    }

    /// Takes note of a 401. `sent` is the header that was refused: where another thread has a newer one already, it stays.
    ///
    /// Gateways refuse an old token without a word about how to get a new one: then what was said before still holds.
    pub(super) fn challenged(&self, response: &Response, sent: Option<&HeaderValue>) -> Result<(), RegistryError> {
        let picked = self.pick(response);
        let mut state = self.lock();
        state.tokens.retain(|_, token| Some(&token.header) != sent);
        match picked {
            Ok(challenge) => state.challenge = Some(challenge),
            Err(error) if state.challenge.is_none() => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }

    /// Whose credentials are used, for messages.
    pub(super) fn who(&self) -> String {
        who(self.lock().lookup.found())
    }

    /// A registry's words without the secrets that were sent to it.
    pub(super) fn scrub(&self, words: &str) -> String {
        let state = self.lock();
        let words = state.tokens.values().fold(words.to_owned(), |words, token| words.replace(token.value.expose(), "***"));
        state.lookup.found().map_or_else(|| words.clone(), |credential| credential.scrub(&words))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn credential(&self, state: &mut State) -> Result<Option<Credential>, RegistryError> {
        if let Lookup::Done(known) = &state.lookup {
            return Ok(known.clone());
        }
        let found = credentials::find(&self.places, &self.address.registry, &self.address.repository)?;
        state.lookup = Lookup::Done(found.clone());
        Ok(found)
    }

    /// A bearer challenge is preferred: its tokens can do less than a password.
    fn pick(&self, response: &Response) -> Result<Challenge, RegistryError> {
        let headers = response.headers.get_all(WWW_AUTHENTICATE).iter().take(MAX_CHALLENGES);
        let all: Vec<Challenge> = headers.filter_map(|value| value.to_str().ok()).flat_map(challenge::parse).collect();
        let find = |scheme: &str| all.iter().find(|challenge| challenge.scheme == scheme).cloned();
        find("bearer").or_else(|| find("basic")).ok_or_else(|| {
            let schemes: Vec<&str> = all.iter().map(|challenge| challenge.scheme.as_str()).collect();
            let reason = if schemes.is_empty() { "it names none".to_owned() } else { printable(&schemes.join(", ")) };
            RegistryError::BadChallenge { registry: self.address.registry.clone(), reason }
        })
    }

    fn basic(&self, credential: Option<&Credential>) -> Result<Option<HeaderValue>, RegistryError> {
        match credential.map(|credential| &credential.login) {
            Some(Login::Password { user, password } | Login::Identity { basic: (user, password), .. }) => Ok(token::basic(user, password)),
            None => Err(RegistryError::Unauthorized {
                registry: self.address.registry.clone(),
                who: who(credential),
                message: "it asks for a user and a password".to_owned(),
            }),
        }
    }

    fn token_request<'a>(
        &'a self,
        api: &Url,
        challenge: &'a Challenge,
        scopes: &Scopes,
        credential: Option<&'a Credential>,
    ) -> Result<TokenRequest<'a>, RegistryError> {
        let Some(realm) = challenge.get("realm") else {
            let reason = "a bearer token without a `realm` to get it from".to_owned();
            return Err(RegistryError::BadChallenge { registry: self.address.registry.clone(), reason });
        };
        let realm = location::realm(api, realm)?;
        let wanted = challenge.get("scope").unwrap_or_default().split_ascii_whitespace().take(MAX_SCOPES).map(str::to_owned);
        let others: Vec<String> = wanted.filter(|wanted| !covers(scopes, wanted)).collect();
        let scopes = scopes.iter().cloned().chain(others).collect();
        Ok(TokenRequest { registry: &self.address.registry, realm, service: challenge.get("service"), scopes, credential })
    }
}

/// Whether what is asked for anyway includes a scope that a challenge names, whatever the order of its actions.
fn covers(scopes: &Scopes, wanted: &str) -> bool {
    let Some((resource, actions)) = wanted.rsplit_once(':') else { return scopes.iter().any(|scope| scope == wanted) };
    let of_it = scopes.iter().filter_map(|scope| scope.rsplit_once(':')).filter(|(known, _)| *known == resource);
    let has: Vec<&str> = of_it.flat_map(|(_, actions)| actions.split(',')).collect();
    actions.split(',').all(|action| has.contains(&action))
}

/// Whose credentials these are, for messages.
pub(super) fn who(credential: Option<&Credential>) -> String {
    credential.map_or_else(|| "anonymous access".to_owned(), Credential::who)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_asked_for_anyway_is_not_asked_for_twice() {
        let scopes = vec!["repository:a/b:pull,push".to_owned(), "repository:c:pull".to_owned()];
        for (wanted, covered) in [
            ("repository:a/b:push,pull", true),
            ("repository:a/b:pull", true),
            ("repository:a/b:delete,pull", false),
            ("repository:c:pull,push", false),
            ("repository:a:pull", false),
            ("aws", false),
        ] {
            assert_eq!(covers(&scopes, wanted), covered, "{wanted}");
        }
    }
}
