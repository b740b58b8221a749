//! The address of a model: is it ready, what does it take, what does it say.
//!
//! Inside a cluster a model speaks plain HTTP, and is asked without any token: what goes there is a request that its author chose, and a
//! redirect is followed nowhere.

use std::time::Duration;

use url::Url;

use super::request::Request;
use super::{SmokeError, numbers};
use crate::kserve::Protocol;
use crate::oci::printable;
use crate::store::registry::{Answer, Ask, Web, shown_url};
use crate::store::{StoreError, StoreOptions};

const JSON: &str = "application/json";
/// How long a model may think without a word.
const IDLE: Duration = Duration::from_secs(120);
/// The longest answer about the server or the model itself.
const MAX_METADATA: u64 = 1 << 20;
/// The longest words of a server that are told, in characters.
const MAX_WORDS: usize = 300;
/// A request is put again so often where the way to the model is not there yet.
const ATTEMPTS: u32 = 5;

/// A model behind an address.
pub(super) struct Endpoint<'a> {
    pub(super) base: Url,
    pub(super) model: &'a str,
    pub(super) protocol: Protocol,
    web: Web,
}

/// Whether it can be asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Not yet, by these words.
    NotYet(String),
    /// There is no model of this name, by these words.
    Unknown(String),
}

/// What came back.
#[derive(Debug)]
pub(super) enum Reply {
    Body(Vec<u8>),
    /// The server does not want to: its status and words.
    Refused(String),
}

impl<'a> Endpoint<'a> {
    pub(super) fn new(base: Url, model: &'a str, protocol: Protocol, options: &StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { base, model, protocol, web: Web::new(options, IDLE)? })
    }

    /// Its address, for messages.
    pub(super) fn shown(&self) -> String {
        shown_url(&self.base)
    }

    /// Asks the server, then for the model: `/v2/health/ready` and `/v2/models/NAME/ready`, with v1 `/v1/models/NAME`.
    pub(super) fn readiness(&self) -> Readiness {
        if self.is_v2() {
            match self.asked(&["v2", "health", "ready"]) {
                Readiness::Ready => self.asked(&["v2", "models", self.model, "ready"]),
                Readiness::Unknown(words) | Readiness::NotYet(words) => Readiness::NotYet(words),
            }
        } else {
            self.asked(&["v1", "models", self.model])
        }
    }

    fn asked(&self, path: &[&str]) -> Readiness {
        let url = self.url(path);
        match self.web.send_once(&Ask::get(&url, "*/*", MAX_METADATA)) {
            Ok(answer) => readiness(answer.status, &answer.body),
            Err(error) => Readiness::NotYet(chain(&error)),
        }
    }

    /// What the model says of itself.
    pub(super) fn metadata(&self) -> Result<Vec<u8>, SmokeError> {
        let url = self.url(&["v2", "models", self.model]);
        let answer = self.web.send(&Ask::get(&url, JSON, MAX_METADATA)).map_err(|source| self.silent(source))?;
        if answer.is_success() {
            return Ok(answer.body);
        }
        Err(SmokeError::NoSignature { reason: format!("the model's own description is answered with {}", told(&answer)) })
    }

    /// Puts a request. One that meets a gateway without a model behind it, which happens in the first moments, is put again.
    pub(super) fn infer(&self, request: &Request) -> Result<Reply, SmokeError> {
        let name = format!("{}:predict", self.model);
        let url = if self.is_v2() { self.url(&["v2", "models", self.model, "infer"]) } else { self.url(&["v1", "models", &name]) };
        let ask = Ask::post(&url, JSON, request.body.clone(), JSON, numbers::MAX_DOCUMENT);
        let mut made = 1;
        loop {
            let outcome = self.web.send_once(&ask);
            let passing = match &outcome {
                Ok(answer) => matches!(answer.status, 429 | 502 | 503 | 504),
                Err(_) => true,
            };
            if !passing || made == ATTEMPTS {
                return self.reply(outcome, passing);
            }
            self.web.pause(Duration::from_millis(200) * 2_u32.pow(made));
            made += 1;
        }
    }

    /// Only a server that is there can refuse.
    fn reply(&self, outcome: Result<Answer, StoreError>, passing: bool) -> Result<Reply, SmokeError> {
        let answer = outcome.map_err(|source| self.silent(source))?;
        match answer.is_success() {
            true => Ok(Reply::Body(answer.body)),
            false if passing => Err(self.silent(answer.refused())),
            false => Ok(Reply::Refused(told(&answer))),
        }
    }

    fn silent(&self, source: StoreError) -> SmokeError {
        SmokeError::NoAnswer { url: self.shown(), source: Box::new(source) }
    }

    fn is_v2(&self) -> bool {
        self.protocol == Protocol::V2
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // fails only for addresses without a host
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

/// What an answer to the question says. KServe's own servers tell in the body what others tell by the status.
fn readiness(status: u16, body: &[u8]) -> Readiness {
    let denied = || numbers::parse(body).is_ok_and(|body| body["ready"] == false || body["ready"] == "False");
    match status {
        200..300 if denied() => Readiness::NotYet("it says that it is not ready".to_owned()),
        200..300 => Readiness::Ready,
        400 | 404 => Readiness::Unknown(format!("status {status}{}", after_colon(&words(body)))),
        _ => Readiness::NotYet(format!("status {status}{}", after_colon(&words(body)))),
    }
}

fn told(answer: &Answer) -> String {
    format!("status {}{}", answer.status, after_colon(&words(&answer.body)))
}

/// The words of a model server: `error` (KServe, OpenVINO Model Server, Triton), `message` or `detail`, else plain text.
fn words(body: &[u8]) -> String {
    if let Ok(document) = numbers::parse(body) {
        let found = ["error", "message", "detail"].iter().find_map(|member| document.get(member)?.as_str());
        return printable(found.unwrap_or_default(), MAX_WORDS);
    }
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') { String::new() } else { printable(text.trim(), MAX_WORDS) }
}

fn after_colon(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

fn chain(error: &StoreError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_in_their_own_ways_that_they_are_ready() {
        for (status, body, expected) in [
            (200, "", Readiness::Ready),
            (200, r#"{"name": "iris", "ready": true}"#, Readiness::Ready),
            (200, r#"{"model_version_status": [{"state": "AVAILABLE"}]}"#, Readiness::Ready),
            (200, r#"{"name": "iris", "ready": false}"#, Readiness::NotYet("it says that it is not ready".to_owned())),
            (200, r#"{"name": "iris", "ready": "False"}"#, Readiness::NotYet("it says that it is not ready".to_owned())),
            (503, r#"{"error": "loading"}"#, Readiness::NotYet("status 503: loading".to_owned())),
            (404, "<html>", Readiness::Unknown("status 404".to_owned())),
        ] {
            assert_eq!(readiness(status, body.as_bytes()), expected);
        }
    }

    #[test]
    fn paths_follow_a_base_and_names_cannot_leave_them() {
        let of = |base: &str, model| Endpoint::new(base.parse().unwrap(), model, Protocol::V2, &StoreOptions::default()).unwrap();
        assert_eq!(
            of("http://h:8080/base/", "iris").url(&["v2", "models", "iris", "infer"]).as_str(),
            "http://h:8080/base/v2/models/iris/infer"
        );
        assert_eq!(of("http://h", "a/../b").url(&["v1", "models", "a/../b:predict"]).as_str(), "http://h/v1/models/a%2F..%2Fb:predict");
    }
}
