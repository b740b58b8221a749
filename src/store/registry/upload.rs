//! Sends a blob: a session, then all bytes in one `PUT`:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put>.
//!
//! One monolithic request is the portable way: Google's registry refuses chunks, GitHub's takes 4 MiB at most, Amazon's 5 MiB at
//! least. Each attempt opens a session and the source anew.

use reqwest::Method;
use url::Url;

use super::answer::printable;
use super::body::Feed;
use super::client::{Call, Client};
use super::retry::{Failure, Trouble};
use super::transport::Response;
use super::{RegistryError, location};
use crate::oci::{Descriptor, Digest};
use crate::store::{BlobSource, StoreError};

/// Whether the registry has a blob.
pub(super) fn exists(client: &Client, digest: &Digest) -> Result<bool, StoreError> {
    found(client, client.call(&head(digest))?)
}

/// Sends a blob that the registry does not have.
pub(super) fn upload(client: &Client, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), StoreError> {
    let mut again = false;
    client.retry().run(&format_args!("upload of {}", blob.digest), || {
        // the connection may have broken off after the registry had all it needs
        if std::mem::replace(&mut again, true) && found(client, client.attempt(&head(&blob.digest))?)? {
            return Ok(());
        }
        attempt(client, blob, source)
    })
}

fn head(digest: &Digest) -> Call {
    Call::new(Method::HEAD, format!("blobs/{digest}"))
}

fn found(client: &Client, response: Response) -> Result<bool, StoreError> {
    match response.status.as_u16() {
        200 => Ok(true),
        404 => Ok(false),
        _ => Err(client.refused(response).into()),
    }
}

fn attempt(client: &Client, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), Failure> {
    let session = open_session(client)?;
    send(client, &session, blob, source).inspect_err(|failure| {
        // no use where the registry cannot be reached; it forgets sessions after some days
        if !matches!(failure.trouble, Some(Trouble::Connect | Trouble::Stalled)) {
            cancel(client, session);
        }
    })
}

fn open_session(client: &Client) -> Result<Url, Failure> {
    let response = client.attempt(&Call::new(Method::POST, "blobs/uploads/"))?;
    match response.status.as_u16() {
        202 => Ok(location::upload(&response.url, response.header("location"))?),
        _ => Err(client.refused(response).into()),
    }
}

fn send(client: &Client, session: &Url, blob: &Descriptor, source: &dyn BlobSource) -> Result<(), Failure> {
    let unreadable = |source| StoreError::Source { digest: blob.digest, source };
    let (feed, fault) = source.open().and_then(|reader| Feed::start(reader, blob)).map_err(unreadable)?;
    let answer = client.attempt_feed(location::with_digest(session.clone(), &blob.digest), feed);
    // a source that failed is why the connection was cut
    if let Some(error) = fault.take() {
        return Err(unreadable(error).into());
    }
    let response = answer?;
    match response.status.as_u16() {
        200..=204 => Ok(confirm(&response, "the uploaded blob", &blob.digest)?),
        _ => Err(refused(client, response, blob.digest).into()),
    }
}

fn refused(client: &Client, response: Response, digest: Digest) -> RegistryError {
    match client.refused(response) {
        RegistryError::Unexpected { message, .. } if message.contains("DIGEST_INVALID") => RegistryError::DigestInvalid { digest, message },
        other => other,
    }
}

/// Checks the digest that the registry says it stored, where it says one.
pub(super) fn confirm(response: &Response, what: &str, digest: &Digest) -> Result<(), RegistryError> {
    match response.header("docker-content-digest") {
        Some(stored) if stored.starts_with("sha256:") && stored != digest.to_string() => {
            Err(RegistryError::DigestChanged { what: what.to_owned(), expected: printable(stored), found: *digest })
        }
        _ => Ok(()),
    }
}

/// Best effort: the upload has failed, and its own error is the one to report.
fn cancel(client: &Client, session: Url) {
    if let Err(failure) = client.attempt(&Call::to(Method::DELETE, session)) {
        tracing::debug!("an upload session was left behind: {}", failure.error);
    }
}
