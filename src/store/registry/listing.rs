//! Lists that come in pages, linked by `Link` headers:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags>.

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::RegistryError;
use super::client::{Call, Client};
use super::location::{self, shown};
use super::transport::Response;
use crate::oci::is_modest;
use crate::store::{MAX_MANIFEST, StoreError};

/// More pages than a list within its bounds can have.
const MAX_PAGES: usize = 1000;
/// As many pages as a guess is worth.
const SOME_PAGES: usize = 3;
/// More tags than a repository of models will have.
const TAGS: Limit = Limit { entries: 100_000, bytes: 4 * MAX_MANIFEST };

/// How long a list may be, all pages together. Each page has the limit of a manifest, and there may be a thousand.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

/// A list, or the answer to its first page that is none.
pub(super) enum Listing<T> {
    All(Vec<T>),
    Refused(Box<Response>),
}

#[derive(Deserialize)]
struct TagsPage {
    /// `null` in a repository without tags
    tags: Option<Vec<String>>,
}

/// All tags of the repository.
pub(super) fn tags(client: &Client) -> Result<Vec<String>, StoreError> {
    let call = Call::new(Method::GET, "tags/list?n=1000");
    match list(client, call, TAGS, |page: TagsPage| page.tags.unwrap_or_default())? {
        Listing::All(tags) => Ok(tags),
        Listing::Refused(response) => Err(client.refused(*response).into()),
    }
}

/// The tags on the first pages.
pub(super) fn some_tags(client: &Client) -> Result<Vec<String>, StoreError> {
    let (mut all, mut call) = (Vec::new(), Call::new(Method::GET, "tags/list?n=1000"));
    for _ in 0..SOME_PAGES {
        let response = client.call(&call)?;
        if response.status.as_u16() != 200 {
            return Err(client.refused(response).into());
        }
        let next = location::next_page(&response.url, response.header("link"))?;
        all.extend(json::<TagsPage>(response)?.0.tags.unwrap_or_default());
        let Some(next) = next else { break };
        call = Call::to(Method::GET, next);
    }
    Ok(all)
}

/// Reads pages of JSON until there is no next one, within the limit.
pub(super) fn list<P: DeserializeOwned, T>(
    client: &Client,
    first: Call,
    limit: Limit,
    entries: impl Fn(P) -> Vec<T>,
) -> Result<Listing<T>, StoreError> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    let mut call = first;
    for page in 0..MAX_PAGES {
        let response = client.call(&call)?;
        if response.status.as_u16() != 200 {
            return if page == 0 { Ok(Listing::Refused(Box::new(response))) } else { Err(client.refused(response).into()) };
        }
        let next = location::next_page(&response.url, response.header("link"))?;
        let (page, size) = json(response)?;
        all.extend(entries(page));
        bytes += size;
        limit.check(&call, all.len(), bytes)?;
        let Some(next) = next else { return Ok(Listing::All(all)) };
        call = Call::to(Method::GET, next);
    }
    Err(StoreError::TooLarge { what: format!("the number of pages of {call}"), size: MAX_PAGES as u64 + 1, limit: MAX_PAGES as u64 })
}

impl Limit {
    fn check(self, call: &Call, entries: usize, bytes: u64) -> Result<(), StoreError> {
        let too_large = |size, limit| Err(StoreError::TooLarge { what: format!("the list {call}"), size, limit });
        match entries {
            entries if entries > self.entries => too_large(entries as u64, self.entries as u64),
            _ if bytes > self.bytes => too_large(bytes, self.bytes),
            _ => Ok(()),
        }
    }
}

/// A page, and its size in bytes.
fn json<P: DeserializeOwned>(response: Response) -> Result<(P, u64), StoreError> {
    let url = shown(&response.url);
    let bytes = response.bytes(MAX_MANIFEST).map_err(|failure| failure.error)?;
    if !is_modest(&bytes) {
        return Err(RegistryError::BadAnswer { url, reason: "it has more members than are read".to_owned() }.into());
    }
    let unusable =
        |error: serde_json::Error| RegistryError::BadAnswer { url, reason: format!("line {} is not the JSON of a list", error.line()) };
    Ok((serde_json::from_slice(&bytes).map_err(unusable)?, bytes.len() as u64))
}
