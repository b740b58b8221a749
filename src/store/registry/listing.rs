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
/// More tags than a repository of models will have.
const MAX_TAGS: usize = 100_000;
/// All pages of a list together, in bytes. Each has the limit of a manifest, and there may be a thousand.
const MAX_LIST: u64 = 4 * MAX_MANIFEST;

/// A list, or the answer to its first page that is none.
pub(super) enum Listing<T> {
    All(Vec<T>),
    Refused(Box<Response>),
}

/// All tags of the repository.
pub(super) fn tags(client: &Client) -> Result<Vec<String>, StoreError> {
    #[derive(Deserialize)]
    struct Page {
        /// `null` in a repository without tags
        tags: Option<Vec<String>>,
    }
    let call = Call::new(Method::GET, "tags/list?n=1000");
    match list(client, call, MAX_TAGS, |page: Page| page.tags.unwrap_or_default())? {
        Listing::All(tags) => Ok(tags),
        Listing::Refused(response) => Err(client.refused(*response).into()),
    }
}

/// Reads pages of JSON until there is no next one, at most `limit` entries.
pub(super) fn list<P: DeserializeOwned, T>(
    client: &Client,
    first: Call,
    limit: usize,
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
        let (entries_of_page, size) = json(response)?;
        all.extend(entries(entries_of_page));
        bytes += size;
        if bytes > MAX_LIST {
            return Err(StoreError::TooLarge { what: format!("the list {call}"), size: bytes, limit: MAX_LIST });
        }
        if all.len() > limit {
            return Err(StoreError::TooLarge { what: format!("the list {call}"), size: all.len() as u64, limit: limit as u64 });
        }
        let Some(next) = next else { return Ok(Listing::All(all)) };
        call = Call::to(Method::GET, next);
    }
    Err(StoreError::TooLarge { what: format!("the number of pages of {call}"), size: MAX_PAGES as u64 + 1, limit: MAX_PAGES as u64 })
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
