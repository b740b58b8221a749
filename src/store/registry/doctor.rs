//! Looks at a registry with the eyes of a push, and changes nothing: how it is reached, who asks, what is allowed, what it can do.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde::Serialize;

use super::client::{Call, Client};
use super::location;
use super::transport::Response;
use super::{RegistryStore, referrers};
use crate::oci::{Digest, ManifestRef, Reference};
use crate::store::{Access, Store as _, StoreError, StoreOptions};

/// Clocks that differ by more make tokens and certificates look expired or not yet valid.
const SKEW: Duration = Duration::from_secs(60);

/// What is to be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether images can be pulled.
    Pull,
    /// Whether they can be pushed, too: an upload is begun and taken back.
    Push,
}

/// How it is with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Something is needed and missing.
    Bad,
}

/// What was looked at, and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `connection`, `log-in`, `pull`, `push`, `referrers`, `clock`.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// In words.
    pub found: String,
    /// What the user can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Good, found: found.into(), hint: None }
    }

    fn note(check: &'static str, found: impl Into<String>) -> Self {
        Self { state: State::Note, ..Self::good(check, found) }
    }

    fn bad(check: &'static str, error: &StoreError) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| (*cause).source());
        let found = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        Self { state: State::Bad, hint: error.hint(), ..Self::good(check, found) }
    }
}

/// Looks at a repository and its registry. What fails is a finding, too; what depends on it is left out.
///
/// # Errors
/// Options that cannot be used: a file that is not there, or no certificate.
pub fn examine(reference: &Reference, question: Question, options: &StoreOptions) -> Result<Vec<Finding>, StoreError> {
    let reading = RegistryStore::new(reference, Access::Read, options)?;
    let writing = RegistryStore::new(reference, Access::Write, options)?;
    let response = match reading.client.call(&Call::api(Method::GET)) {
        Ok(response) => response,
        Err(error) => return Ok(vec![Finding::bad(if is_refusal(&error) { "log-in" } else { "connection" }, &error)]),
    };
    let mut findings = vec![connection(&response), log_in(&reading.client)];
    findings.extend(clock(&response, SystemTime::now()));
    let may_pull = pull(&reading, reference);
    let goes_on = may_pull.state != State::Bad;
    findings.push(may_pull);
    if goes_on {
        findings.push(list_referrers(&reading.client));
    }
    if question == Question::Push {
        findings.push(push(&writing.client).unwrap_or_else(|error| Finding::bad("push", &error)));
    }
    Ok(findings)
}

fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Registry(error) if matches!(**error, super::RegistryError::Unauthorized { .. }))
}

fn connection(response: &Response) -> Finding {
    let security = if response.url.scheme() == "https" { "TLS" } else { "plain HTTP" };
    let server = response.header("server").map(|server| format!(", {}", super::answer::printable(server))).unwrap_or_default();
    Finding::good("connection", format!("{}: {security}{server}", location::shown(&response.url)))
}

fn log_in(client: &Client) -> Finding {
    match client.asked_to_log_in() {
        Some(how) => Finding::good("log-in", format!("{} ({how})", client.who())),
        None => Finding::note("log-in", "the registry asks nobody who they are"),
    }
}

/// `None` where the registry does not tell the time.
fn clock(response: &Response, here: SystemTime) -> Option<Finding> {
    let there = httpdate::parse_http_date(response.header("date")?).ok()?;
    let (apart, ahead) = match here.duration_since(there) {
        Ok(apart) => (apart, "ahead of"),
        Err(error) => (error.duration(), "behind"),
    };
    if apart <= SKEW {
        return Some(Finding::good("clock", "as the registry's"));
    }
    let note = Finding::note("clock", format!("{} s {ahead} the registry's", apart.as_secs()));
    Some(Finding { hint: Some("set this machine's clock: tokens and certificates are judged by it".to_owned()), ..note })
}

fn pull(store: &RegistryStore, reference: &Reference) -> Finding {
    let at = reference.manifest_ref();
    match at.as_ref().map_or_else(|| store.tags().map(|tags| tag_count(tags.len())), |at| read(store, at)) {
        Ok(found) => Finding::good("pull", found),
        Err(error) if is_missing(&error) => {
            Finding::note("pull", format!("{error}; a first push makes it, unless the registry wants it made by hand"))
        }
        Err(error) => Finding::bad("pull", &error),
    }
}

fn tag_count(count: usize) -> String {
    format!("allowed; {count} tag{}", if count == 1 { "" } else { "s" })
}

fn read(store: &RegistryStore, at: &ManifestRef) -> Result<String, StoreError> {
    Ok(format!("allowed; {at} is {}", store.get_manifest(at)?.digest()))
}

fn is_missing(error: &StoreError) -> bool {
    let unknown = |error: &super::RegistryError| {
        matches!(error, super::RegistryError::NameUnknown { .. } | super::RegistryError::Unexpected { status: 404, .. })
    };
    error.is_not_found() || matches!(error, StoreError::Registry(error) if unknown(error))
}

fn list_referrers(client: &Client) -> Finding {
    match referrers::has_api(client, &Digest::of(b"")) {
        Ok(true) => Finding::good("referrers", "listed by the registry"),
        Ok(false) => Finding::note("referrers", "not listed by the registry: modelcar keeps the fallback index `sha256-…` for it"),
        Err(error) => Finding::bad("referrers", &error),
    }
}

/// Begins an upload and takes it back.
fn push(client: &Client) -> Result<Finding, StoreError> {
    let response = client.call(&Call::new(Method::POST, "blobs/uploads/"))?;
    if response.status.as_u16() != 202 {
        return Err(client.refused(response).into());
    }
    let limit = |name: &str| response.header(name).map(|bytes| format!("; {name}: {}", super::answer::printable(bytes)));
    let limits: String = ["OCI-Chunk-Min-Length", "OCI-Chunk-Max-Length"].iter().filter_map(|name| limit(name)).collect();
    let session = location::upload(&response.url, response.header("location"))?;
    // registries forget sessions by themselves, too, and some know no other way
    let taken_back = client.call(&Call::to(Method::DELETE, session));
    tracing::debug!("the upload was taken back: {:?}", taken_back.map(|response| response.status).ok());
    Ok(Finding::good("push", format!("allowed{limits}")))
}
