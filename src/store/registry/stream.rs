//! Answers that are no small documents: a file, from wherever its server says that it is, as a stream.
//!
//! Redirects are followed here, since hubs and object stores live by them. What is for one address alone, a token or a signature,
//! goes to no other (CVE-2020-15157), also where a redirect leads back.

use std::io::Read;

use url::Url;

use super::RegistryError;
use super::client::is_redirect;
use super::location::{self, same_origin, shown};
use super::retry::{Failure, Trouble, is_transient};
use super::transport::Response;
use super::web::{Ask, Web, words};
use crate::store::StoreError;

/// Hubs redirect to a store and stores to a mirror.
const MAX_REDIRECTS: usize = 5;
/// As much of a refusal as is read, in bytes.
const MAX_WORDS: u64 = 64 << 10;

/// An answer whose body is still to come.
pub struct Stream {
    response: Response,
}

impl Stream {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.response.status.as_u16()
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.header(name)
    }

    /// The number of bytes of this body, where the server tells it.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The address that answered, without its query.
    pub fn url(&self) -> String {
        shown(&self.response.url)
    }

    /// The next page of a list, by the header `Link`; always of the server that was asked, also where another one answered: whoever goes
    /// on there sends along what is for that server alone.
    fn next_page(&self, ask: &Ask<'_>) -> Result<Option<Url>, RegistryError> {
        match location::next_page(&self.response.url, self.header("link"))? {
            Some(next) if !same_origin(ask.url, &next) => {
                Err(RegistryError::BadLocation { location: shown(&next), reason: "the next page is on another host" })
            }
            next => Ok(next),
        }
    }

    /// The body. A connection that breaks off or stalls is an error, never an early end.
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        Box::new(self.response.into_reader())
    }

    /// The beginning of a refusal's body, for its words; without the token of the request, which a server may repeat.
    pub fn into_words(self, ask: &Ask<'_>) -> Vec<u8> {
        ask.scrubbed(self.response.bytes(MAX_WORDS).unwrap_or_default())
    }

    /// The answer as an error: its status and the server's words, cut and cleaned.
    pub fn refused(self, ask: &Ask<'_>) -> StoreError {
        refusal(self.response, ask).into()
    }
}

impl Web {
    /// Sends a request until there is an answer other than "not now" and "elsewhere".
    ///
    /// # Errors
    /// No answer, "not now" to the last, or a redirect that must not be followed.
    pub fn open(&self, ask: &Ask<'_>) -> Result<Stream, StoreError> {
        self.retry.run(ask, || self.follow(ask)).map(|response| Stream { response })
    }

    /// The same for a document that is read into memory, with what [`Stream`] tells about it.
    ///
    /// # Errors
    /// As for [`Web::open`], and where the document is longer than the request allows.
    pub fn document(&self, ask: &Ask<'_>) -> Result<(u16, Option<Url>, Vec<u8>), StoreError> {
        self.retry.run(ask, || {
            let stream = Stream { response: self.follow(ask)? };
            let (status, next) = (stream.status(), stream.next_page(ask)?);
            Ok((status, next, ask.scrubbed(stream.response.bytes(ask.limit())?)))
        })
    }

    fn follow(&self, ask: &Ask<'_>) -> Result<Response, Failure> {
        let mut request = ask.request();
        for _ in 0..=MAX_REDIRECTS {
            if !self.may_reach(&request.url) {
                let reason = "it is plain HTTP, which is for this machine and for `--tls-verify=false`";
                return Err(RegistryError::BadLocation { location: shown(&request.url), reason }.into());
            }
            let response = self.transport.send(&request)?;
            tracing::debug!("{} {} answered {}", request.method, shown(&request.url), response.status.as_u16());
            if !(ask.follows && is_redirect(&response)) {
                return settled(response, ask);
            }
            let next = location::redirect(&response.url, response.header("location"))?;
            if !same_origin(&request.url, &next) {
                ask.private().for_each(|name| drop(request.headers.remove(name)));
            }
            request.url = next;
        }
        Err(RegistryError::BadAnswer { url: shown(&request.url), reason: "it redirects again and again".to_owned() }.into())
    }
}

fn settled(response: Response, ask: &Ask<'_>) -> Result<Response, Failure> {
    if !is_transient(response.status.as_u16()) {
        return Ok(response);
    }
    let trouble = Trouble::of(&response);
    Err(Failure::transient(trouble, refusal(response, ask)))
}

fn refusal(response: Response, ask: &Ask<'_>) -> RegistryError {
    let (method, url, status) = (response.method.to_string(), shown(&response.url), response.status.as_u16());
    let body = response.bytes(MAX_WORDS).unwrap_or_default();
    RegistryError::Unexpected { method, url, status, message: words(&ask.scrubbed(body)) }
}
