//! Makes a neighbour's blob one of the repository's own:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#mounting-a-blob-from-another-repository>.

use std::sync::Arc;

use reqwest::Method;

use super::super::address::Address;
use super::super::client::{Call, Client};
use super::super::retry::Failure;
use super::session::Session;
use crate::oci::Digest;

/// Whether the registry took the blob over. A mount only ever saves work: where it fails for whatever reason, the blob is sent.
pub(in super::super) fn mount(client: &Arc<Client>, digest: &Digest, from: &Address) -> bool {
    let here = client.address();
    if from.registry != here.registry || from.repository == here.repository {
        return false;
    }
    attempt(client, digest, from).unwrap_or_else(|failure| {
        tracing::debug!("{} was not mounted from {}: {}", digest, from.repository, failure.error);
        false
    })
}

/// Both parameters always: Quay fails with one alone.
fn attempt(client: &Arc<Client>, digest: &Digest, from: &Address) -> Result<bool, Failure> {
    let call = Call::new(Method::POST, format!("blobs/uploads/?mount={digest}&from={}", from.repository));
    let response = client.attempt_with_scope(&call, format!("repository:{}:pull", from.repository))?;
    match response.status.as_u16() {
        201 => Ok(true),
        202 => {
            // it opened a session instead
            Session::opened(client, &response)?.cancel(client);
            Ok(false)
        }
        _ => Err(client.refused(response).into()),
    }
}
