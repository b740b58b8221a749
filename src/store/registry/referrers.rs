//! Manifests that refer to another one:
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>.
//!
//! Registries that cannot list referrers get a list of them as an index under the tag `sha256-HEX`, kept by the clients. Whether
//! that is needed cannot be told from a missing `OCI-Subject` alone: Quay never sends it, though it lists referrers since 3.12.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde::Deserialize;

use super::client::{Call, Client};
use super::listing::{self, Limit, Listing};
use super::retry::dice;
use super::transport::Response;
use super::{RegistryError, manifest};
use crate::oci::{Annotations, Descriptor, Digest, ImageIndex, ManifestRef, RawManifest, media_type};
use crate::store::{MAX_MANIFEST, StoreError};

/// More referrers of one image than a reader needs to look at.
const MAX_REFERRERS: usize = 4096;
/// Whatever their annotations say, and however many pages they come in.
const LIST: Limit = Limit { entries: MAX_REFERRERS, bytes: MAX_MANIFEST };
/// How often the list is written before others are said to be too busy with it. Were eight writers to move in step, each try would
/// see one of them done.
const ATTEMPTS: u32 = 24;
/// After this much time a writer that read the list before us has overwritten it, if it ever will; longer where reading and writing
/// took us longer, for then it takes others longer too.
const SETTLE: Duration = Duration::from_millis(100);
/// No pause is longer, however slow the registry.
const LONGEST_SETTLE: Duration = Duration::from_secs(2);

/// The parts of a manifest that make it a referrer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    subject: Option<Subject>,
    artifact_type: Option<String>,
    config: Option<Config>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

/// What a manifest refers to.
pub(super) fn subject_of(manifest: &RawManifest) -> Option<Digest> {
    serde_json::from_slice::<Referrer>(&manifest.bytes).ok()?.subject.map(|subject| subject.digest)
}

/// All manifests that refer to `subject`.
pub(super) fn list(client: &Client, subject: &Digest) -> Result<Vec<Descriptor>, StoreError> {
    let call = referrers(subject);
    match listing::list(client, call, LIST, |index: ImageIndex| index.manifests)? {
        Listing::All(referrers) => Ok(referrers),
        Listing::Refused(response) if is_unsupported(&response) => fallback(client, subject).map(|index| index.manifests),
        // Quay: "manifest unknown" (PROJQUAY-7523); what is not there has no referrers
        Listing::Refused(response) if response.status.as_u16() == 400 => Ok(Vec::new()),
        Listing::Refused(response) => Err(client.refused(*response).into()),
    }
}

/// Lets readers find a manifest that was written without the registry taking note of its subject.
pub(super) fn make_findable(client: &Client, manifest: &RawManifest, subject: &Digest) -> Result<(), StoreError> {
    let response = client.call(&referrers(subject))?;
    match response.status.as_u16() {
        200 => Ok(()),
        400 => Err(RegistryError::SubjectUnknown { subject: *subject }.into()),
        _ if is_unsupported(&response) => add_to_fallback(client, &descriptor(manifest), subject),
        _ => Err(client.refused(response).into()),
    }
}

/// Whether the registry itself lists referrers.
pub(super) fn has_api(client: &Client, subject: &Digest) -> Result<bool, StoreError> {
    let response = client.call(&referrers(subject))?;
    match response.status.as_u16() {
        // Quay, of a subject that it does not have
        200 | 400 => Ok(true),
        _ if is_unsupported(&response) => Ok(false),
        _ => Err(client.refused(response).into()),
    }
}

fn referrers(subject: &Digest) -> Call {
    Call::new(Method::GET, format!("referrers/{subject}")).with(ACCEPT, media_type::INDEX)
}

fn is_unsupported(response: &Response) -> bool {
    matches!(response.status.as_u16(), 404 | 405 | 501)
}

/// Readers filter by artifact type and annotations, so both are copied (buildx issue 4010).
fn descriptor(manifest: &RawManifest) -> Descriptor {
    let parts = serde_json::from_slice::<Referrer>(&manifest.bytes).ok();
    let (artifact_type, annotations) = parts.map_or_else(Default::default, |parts| {
        let config = parts.config.map(|config| config.media_type);
        (parts.artifact_type.filter(|artifact_type| !artifact_type.is_empty()).or(config), parts.annotations)
    });
    Descriptor { artifact_type, annotations, ..manifest.descriptor() }
}

/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>
fn fallback_tag(subject: &Digest) -> ManifestRef {
    ManifestRef::Tag(subject.as_tag())
}

fn fallback(client: &Client, subject: &Digest) -> Result<ImageIndex, StoreError> {
    let Some(raw) = manifest::get(client, &fallback_tag(subject))? else { return Ok(ImageIndex::new(Vec::new())) };
    match raw.parse()? {
        crate::oci::Manifest::Index(index) if index.manifests.len() <= MAX_REFERRERS => Ok(index),
        crate::oci::Manifest::Index(index) => {
            let what = format!("the list of referrers of {subject}");
            Err(StoreError::TooLarge { what, size: index.manifests.len() as u64, limit: MAX_REFERRERS as u64 })
        }
        crate::oci::Manifest::Image(_) => {
            let (digest, media_type) = (raw.digest(), raw.media_type);
            Err(crate::oci::InvalidManifest::MediaType { digest, media_type }.into())
        }
    }
}

/// Registries have no conditional writes, so this reads, writes and looks again until the entry stays.
fn add_to_fallback(client: &Client, entry: &Descriptor, subject: &Digest) -> Result<(), StoreError> {
    /// Threads of this process need not fight each other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..ATTEMPTS {
        let start = Instant::now();
        let mut index = fallback(client, subject)?;
        if index.manifests.iter().any(|known| known.digest == entry.digest) {
            return Ok(());
        }
        index.manifests.push(entry.clone());
        let raw = RawManifest::index(&index).map_err(|source| crate::oci::InvalidManifest::Json { digest: *subject, source })?;
        manifest::put_alone(client, &raw, &fallback_tag(subject))?;
        client.retry().pause(settling_time(start.elapsed(), dice()));
    }
    Err(RegistryError::ReferrersContended { tag: fallback_tag(subject).to_string() }.into())
}

/// As long as the last try took, and up to once more at random, so that writers fall out of step.
fn settling_time(window: Duration, dice: f64) -> Duration {
    window.max(SETTLE).mul_f64(1.0 + dice).min(LONGEST_SETTLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_outlasts_another_writers_window_and_has_an_end() {
        for (window, dice, pause) in [(0, 0.0, 100), (0, 0.5, 150), (300, 0.0, 300), (300, 0.5, 450), (9000, 0.9, 2000)] {
            assert_eq!(settling_time(Duration::from_millis(window), dice), Duration::from_millis(pause), "{window} {dice}");
        }
    }

    #[test]
    fn an_entry_of_the_fallback_index_can_be_filtered() {
        let subject = Digest::of(b"subject");
        for (artifact_type, expected) in [(r#""artifactType":"a/b","#, "a/b"), (r#""artifactType":"","#, "c/d"), ("", "c/d")] {
            let json = format!(
                r#"{{{artifact_type}"config":{{"mediaType":"c/d"}},"subject":{{"digest":"{subject}"}},"annotations":{{"k":"v"}}}}"#
            );
            let manifest = RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: json.into_bytes() };
            let entry = descriptor(&manifest);
            assert_eq!(entry.artifact_type.as_deref(), Some(expected), "{artifact_type}");
            assert_eq!((entry.digest, entry.annotations["k"].as_str()), (manifest.digest(), "v"));
            assert_eq!(subject_of(&manifest), Some(subject));
        }
    }

    #[test]
    fn what_refers_to_nothing_has_no_subject() {
        for json in ["{}", r#"{"subject":null}"#, "[]", ""] {
            let manifest = RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: json.into() };
            assert_eq!(subject_of(&manifest), None, "{json}");
        }
    }
}
