//! The requests that carry bytes.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::CONTENT_RANGE;

use super::super::RegistryError;
use super::super::body::{Portion, Supply};
use super::super::client::{Call, Client};
use super::super::location::shown;
use super::super::retry::{Failure, Trouble};
use super::super::transport::Response;
use super::session::Session;
use super::{confirm, plan};
use crate::oci::Digest;
use crate::store::StoreError;

/// All bytes in the request that also ends the session:
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#post-then-put>.
pub(super) fn whole(client: &Arc<Client>, session: &mut Session, supply: &Supply, size: u64, digest: Digest) -> Result<(), Failure> {
    let call = Call::to(Method::PUT, session.commit(&digest));
    let response = carry(client, session, &call, supply.portion(size))?;
    committed(client, response, digest)
}

/// All bytes in one request, of which a `PUT` will tell the digest. What docker and crane do; the specification calls it streamed.
pub(super) fn stream(client: &Arc<Client>, session: &mut Session, supply: &Supply, size: u64) -> Result<(), Failure> {
    let call = Call::to(Method::PATCH, session.url.clone());
    let response = carry(client, session, &call, supply.portion(size))?;
    accepted(client, session, response, size)
}

/// The bytes that the registry does not have yet, chunk by chunk and in order:
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks>.
pub(super) fn chunks(client: &Arc<Client>, session: &mut Session, supply: &Supply, size: u64, chunk: u64) -> Result<(), Failure> {
    while session.acknowledged < size {
        let range = session.acknowledged..session.acknowledged.saturating_add(chunk).min(size);
        let call = Call::to(Method::PATCH, session.url.clone()).with(CONTENT_RANGE, plan::content_range(&range));
        let response = carry(client, session, &call, supply.portion(range.end - range.start))?;
        accepted(client, session, response, range.end)?;
    }
    Ok(())
}

/// Ends a session whose bytes are all there.
pub(super) fn commit(client: &Arc<Client>, session: &mut Session, supply: &Supply, digest: Digest) -> Result<(), Failure> {
    let call = Call::to(Method::PUT, session.commit(&digest));
    let response = client.attempt_portion(&call, supply.portion(0))?;
    committed(client, response, digest)
}

fn carry(client: &Arc<Client>, session: &mut Session, call: &Call, portion: Portion) -> Result<Response, Failure> {
    let progress = portion.progress();
    let response = client.attempt_portion(call, portion);
    session.sent = session.acknowledged + progress.sent();
    response
}

/// Takes note of what the registry confirms, up to `end`.
fn accepted(client: &Arc<Client>, session: &mut Session, response: Response, end: u64) -> Result<(), Failure> {
    if !matches!(response.status.as_u16(), 200..=204) {
        return Err(refused_part(client, session, response));
    }
    let received = plan::received(response.header("range"));
    // `0-0` is one byte, or none, or a registry that does not count; some count one too many
    if received.is_some_and(|received| received != end && received != end + 1) {
        let reason = format!("it has {} bytes of {end}", received.unwrap_or_default());
        let error = RegistryError::BadAnswer { url: shown(&response.url), reason };
        return Err(Failure::transient(Trouble::Broken, error));
    }
    session.follow(client, &response)?;
    (session.acknowledged, session.resumed) = (end, false);
    Ok(())
}

/// A registry that no longer knows a session of which it has confirmed bytes was started anew; another session may fare better. One that
/// says 416 right after a break was still busy with what the broken connection brought when it told how much it has, and is asked again; any
/// other 416 is a refusal of chunks.
fn refused_part(client: &Client, session: &mut Session, response: Response) -> Failure {
    let error = client.refused(response);
    match &error {
        RegistryError::Unexpected { message, .. } if session.acknowledged > 0 && message.contains("BLOB_UPLOAD_UNKNOWN") => {
            Failure::transient(Trouble::Broken, error)
        }
        RegistryError::Unexpected { status: 416, .. } if session.resumed => {
            session.misfits += 1;
            Failure::transient(Trouble::Broken, error)
        }
        _ => error.into(),
    }
}

fn committed(client: &Client, response: Response, digest: Digest) -> Result<(), Failure> {
    match response.status.as_u16() {
        200..=204 => Ok(confirm(&response, "the uploaded blob", &digest)?),
        _ => Err(refused(client, response, digest).into()),
    }
}

fn refused(client: &Client, response: Response, digest: Digest) -> RegistryError {
    match client.refused(response) {
        RegistryError::Unexpected { message, .. } if message.contains("DIGEST_INVALID") => RegistryError::DigestInvalid { digest, message },
        other => other,
    }
}

/// The status of an answer that refuses an upload, and whether the registry itself has explained it with one of its codes.
pub(super) fn refusal(error: &StoreError) -> Option<(u16, bool)> {
    let StoreError::Registry(error) = error else { return None };
    match &**error {
        RegistryError::UploadRefused { message, .. } => Some((413, has_code(message))),
        RegistryError::Unexpected { status, message, .. } => Some((*status, has_code(message))),
        _ => None,
    }
}

/// Whether a message has a word such as `SIZE_INVALID`.
fn has_code(message: &str) -> bool {
    let is_code = |word: &str| word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(is_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_codes_are_told_from_a_proxys_words() {
        for (message, code) in [
            ("no (SIZE_INVALID)", true),
            ("DENIED", true),
            ("413 Request Entity Too Large", false),
            ("error code: 413", false),
            ("", false),
        ] {
            assert_eq!(has_code(message), code, "{message}");
        }
    }
}
