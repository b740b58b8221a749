//! Reads and writes manifests as the bytes they are:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;

use super::answer::printable;
use super::client::{Call, Client};
use super::location::shown;
use super::transport::Response;
use super::upload::confirm;
use super::{RegistryError, referrers};
use crate::oci::{ManifestRef, RawManifest, media_type};
use crate::store::{MAX_MANIFEST, StoreError};

/// How long to wait for a blob that the registry says it has not.
const BLOB_PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// Reads a manifest; `None` where there is none.
pub(super) fn get(client: &Client, at: &ManifestRef) -> Result<Option<RawManifest>, StoreError> {
    let call = Call::new(Method::GET, format!("manifests/{at}")).with(ACCEPT, media_type::ACCEPT_MANIFESTS.join(", "));
    let response = client.call(&call)?;
    match response.status.as_u16() {
        200 => read(response, at).map(Some),
        404 => Ok(None),
        _ => Err(client.refused(response).into()),
    }
}

/// Writes a manifest, and makes it findable from its subject where it has one.
pub(super) fn put(client: &Client, manifest: &RawManifest, at: &ManifestRef) -> Result<(), StoreError> {
    let response = put_alone(client, manifest, at)?;
    match referrers::subject_of(manifest) {
        Some(subject) if response.header("oci-subject").is_none() => referrers::make_findable(client, manifest, &subject),
        _ => Ok(()),
    }
}

/// Writes a manifest and no more.
///
/// A registry that keeps files (distribution's) may say that it has no such blob while somebody else is sending it the same one:
/// it writes its note of the blob anew, and for a moment the note is empty. Eight signers of one image do that to each other.
pub(super) fn put_alone(client: &Client, manifest: &RawManifest, at: &ManifestRef) -> Result<Response, StoreError> {
    for pause in BLOB_PAUSES {
        match put_once(client, manifest, at) {
            Err(StoreError::Registry(error)) if misses_a_blob(&error) => tracing::debug!(%error, "asking again in {pause:?}"),
            answered => return answered,
        }
        client.retry().pause(pause);
    }
    put_once(client, manifest, at)
}

fn misses_a_blob(error: &RegistryError) -> bool {
    matches!(error, RegistryError::Unexpected { message, .. } if message.contains("BLOB_UNKNOWN"))
}

fn put_once(client: &Client, manifest: &RawManifest, at: &ManifestRef) -> Result<Response, StoreError> {
    let call = Call::new(Method::PUT, format!("manifests/{at}")).with(CONTENT_TYPE, &manifest.media_type).body(manifest.bytes.clone());
    let response = client.call(&call)?;
    match response.status.as_u16() {
        200..=204 => confirm(&response, "the stored manifest", &manifest.digest()).map(|()| response).map_err(Into::into),
        _ => Err(client.refused(response).into()),
    }
}

fn read(response: Response, at: &ManifestRef) -> Result<RawManifest, StoreError> {
    let url = shown(&response.url);
    let announced = response.header("docker-content-digest").map(str::to_owned);
    let content_type = response.header("content-type").map(essence).unwrap_or_default();
    if let Some(size) = response.header("content-length").and_then(|size| size.parse().ok()).filter(|size| *size > MAX_MANIFEST) {
        return Err(StoreError::TooLarge { what: format!("manifest `{at}`"), size, limit: MAX_MANIFEST });
    }
    let bytes = response.bytes(MAX_MANIFEST).map_err(|failure| failure.error)?;
    let media_type = media_type(&content_type, &bytes).map_err(|reason| RegistryError::BadAnswer { url, reason })?;
    let manifest = RawManifest { media_type, bytes };
    check_digest(&manifest, at, announced.as_deref())?;
    Ok(manifest)
}

/// By digest, that digest; by tag, the one that the registry announces, where it does.
fn check_digest(manifest: &RawManifest, at: &ManifestRef, announced: Option<&str>) -> Result<(), RegistryError> {
    let found = manifest.digest();
    let expected = match at {
        ManifestRef::Digest(digest) => Some(digest.to_string()),
        // another algorithm's digest cannot be checked
        ManifestRef::Tag(_) => announced.filter(|text| text.starts_with("sha256:")).map(printable),
    };
    match expected {
        Some(expected) if expected != found.to_string() => {
            Err(RegistryError::DigestChanged { what: format!("manifest `{at}`"), expected, found })
        }
        _ => Ok(()),
    }
}

/// `text/plain; charset=x` without what is behind the semicolon.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What the bytes are, by the header and by themselves.
///
/// A document that says otherwise than its header could be read as two different images (CVE-2021-41190).
fn media_type(content_type: &str, bytes: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        media_type: Option<String>,
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|error| format!("line {} is not a manifest's JSON", error.line()))?;
    let inside = document.media_type.filter(|inside| !inside.is_empty());
    let known = media_type::ACCEPT_MANIFESTS.contains(&content_type);
    match inside {
        Some(inside) if known && inside != content_type => Err(format!("a `{}` was sent as `{content_type}`", printable(&inside))),
        // some registries send `application/json`
        Some(inside) if !known => Ok(inside),
        _ if content_type.is_empty() => Err("it does not say what it is".to_owned()),
        _ => Ok(content_type.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_what_header_and_document_agree_on() {
        let index = media_type::INDEX;
        let document = |inside: &str| format!(r#"{{"mediaType":"{inside}"}}"#);
        for (header, body, expected) in [
            (index, document(index), Ok(index)),
            (index, "{}".to_owned(), Ok(index)),
            (index, document(""), Ok(index)),
            ("application/json", document(index), Ok(index)),
            ("", document(index), Ok(index)),
            ("application/json", "{}".to_owned(), Ok("application/json")),
            (
                index,
                document(media_type::MANIFEST),
                Err("a `application/vnd.oci.image.manifest.v1+json` was sent as `application/vnd.oci.image.index.v1+json`"),
            ),
            ("", "{}".to_owned(), Err("it does not say what it is")),
            (index, "<html>".to_owned(), Err("line 1 is not a manifest's JSON")),
        ] {
            assert_eq!(media_type(header, body.as_bytes()), expected.map(str::to_owned).map_err(str::to_owned), "{header} {body}");
        }
        assert_eq!(essence("Application/JSON ; charset=utf-8"), "application/json");
    }
}
