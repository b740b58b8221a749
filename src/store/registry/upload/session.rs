//! An upload session: where it is, what the registry has of it, how it ends.

use std::sync::Arc;

use reqwest::Method;
use url::Url;

use super::super::client::{Call, Client};
use super::super::location;
use super::super::retry::Failure;
use super::super::transport::Response;
use super::plan::{self, Terms};
use crate::stop::{self, Undo};

/// An open session.
#[derive(Debug)]
pub(super) struct Session {
    /// Where the next request goes; each answer may name another place.
    pub(super) url: Url,
    /// What the registry said of its chunks.
    pub(super) terms: Terms,
    /// Bytes that the registry has confirmed.
    pub(super) acknowledged: u64,
    /// Bytes that may have arrived, those included.
    pub(super) sent: u64,
    undo: Undo,
    /// Whether it goes on after a break, and no chunk has been confirmed since.
    pub(super) resumed: bool,
    /// How often a chunk began where the registry says it has not come to.
    pub(super) misfits: u32,
}

/// What became of a session after its connection broke off.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// The registry has this many bytes.
    Bytes(u64),
    /// It has none, or cannot tell, or what it tells cannot be true.
    Nothing,
    /// It knows no such session.
    Gone,
}

impl Session {
    /// Opens a session.
    pub(super) fn open(client: &Arc<Client>) -> Result<Self, Failure> {
        let response = client.attempt(&Call::new(Method::POST, "blobs/uploads/"))?;
        match response.status.as_u16() {
            202 => Self::opened(client, &response),
            _ => Err(client.refused(response).into()),
        }
    }

    /// The session that an answer of status 202 tells of.
    pub(super) fn opened(client: &Arc<Client>, response: &Response) -> Result<Self, Failure> {
        let url = location::upload(&response.url, response.header("location"))?;
        let length = |name| response.header(name).and_then(|length| length.trim().parse().ok());
        let terms = Terms { least: length("oci-chunk-min-length"), most: length("oci-chunk-max-length"), asked: None };
        Ok(Self { undo: taken_back(client, &url), url, terms, acknowledged: 0, sent: 0, resumed: false, misfits: 0 })
    }

    /// Goes where the answer to a chunk says, if it says.
    pub(super) fn follow(&mut self, client: &Arc<Client>, response: &Response) -> Result<(), Failure> {
        if response.header("location").is_some() {
            self.url = location::upload(&response.url, response.header("location"))?;
            self.undo = taken_back(client, &self.url);
        }
        Ok(())
    }

    /// Asks what the registry has:
    /// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>.
    ///
    /// distribution (and so Harbor) forgets a session whose connection broke in the middle of a chunk, and answers 404.
    pub(super) fn ask(&mut self, client: &Arc<Client>) -> Result<Kept, Failure> {
        let response = client.attempt(&Call::to(Method::GET, self.url.clone()))?;
        let kept = match response.status.as_u16() {
            204 | 202 | 200 => credible(plan::received(response.header("range")), self.acknowledged, self.sent),
            404 => Kept::Gone,
            _ => Kept::Nothing,
        };
        if let Kept::Bytes(count) = kept {
            self.follow(client, &response)?;
            (self.acknowledged, self.sent, self.resumed) = (count, count, true);
        }
        Ok(kept)
    }

    /// Best effort: the upload has failed, and its own error is the one to report.
    pub(super) fn cancel(self, client: &Client) {
        cancel(client, self.url);
    }

    /// The request that ends it.
    pub(super) fn commit(&self, digest: &crate::oci::Digest) -> Url {
        location::with_digest(self.url.clone(), digest)
    }
}

/// A signal must not leave a session behind either.
fn taken_back(client: &Arc<Client>, url: &Url) -> Undo {
    let (client, url) = (client.clone(), url.clone());
    stop::undo(move || cancel(&client, url))
}

fn cancel(client: &Client, url: Url) {
    if let Err(failure) = client.attempt(&Call::to(Method::DELETE, url)) {
        tracing::debug!("an upload session was left behind: {}", failure.error);
    }
}

/// What a registry says to have, unless it cannot be: less than it has confirmed before, or more than it was sent.
fn credible(received: Option<u64>, acknowledged: u64, sent: u64) -> Kept {
    match received {
        Some(count) if (acknowledged..=sent).contains(&count) => Kept::Bytes(count),
        _ => Kept::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_believed_only_what_can_be() {
        for (received, acknowledged, sent, kept) in [
            (Some(100), 0, 100, Kept::Bytes(100)),
            (Some(100), 100, 100, Kept::Bytes(100)),
            (Some(60), 50, 100, Kept::Bytes(60)),
            (Some(101), 0, 100, Kept::Nothing),
            (Some(49), 50, 100, Kept::Nothing),
            (None, 0, 100, Kept::Nothing),
        ] {
            assert_eq!(credible(received, acknowledged, sent), kept, "{received:?} of {acknowledged}..{sent}");
        }
    }
}
