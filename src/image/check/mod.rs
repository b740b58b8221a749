//! Would they take it? Replays on an image what each of its readers does, before a cluster does.
//!
//! Each consumer is a file here, and each of its lines a rule that was read in that reader's source: KServe's three deliveries
//! (`modelcar`, `native`, `fetch`) and the container engines below two of them (`engine`). `subject` reads the image once for
//! all of them: documents, and the headers of every layer's tar. The rules themselves are pure.

use std::fmt;
use std::str::FromStr;

use super::ImageError;
use crate::kserve::{Delivery, KserveError};
use crate::oci::{Digest, Platform, RawManifest};
use crate::store::Store;

mod elf;
mod engine;
mod fetch;
mod modelcar;
mod native;
mod permissions;
mod program;
mod subject;

use subject::Subject;

/// Who reads an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consumer {
    /// KServe's `oci://`: an init container and a sidecar run a shell of the image.
    Modelcar,
    /// KServe's `oci+native://`: an image volume with `subPath: models`.
    Native,
    /// KServe's `oci+fetch://`: the storage initializer unpacks the layers itself.
    Fetch,
    /// The engine of OpenShift.
    CriO,
    /// The engine of most other clusters.
    Containerd,
}

impl Consumer {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Modelcar, Self::Native, Self::Fetch, Self::CriO, Self::Containerd];
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Modelcar => "modelcar",
            Self::Native => "native",
            Self::Fetch => "fetch",
            Self::CriO => "cri-o",
            Self::Containerd => "containerd",
        })
    }
}

impl FromStr for Consumer {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        let named = Self::ALL.into_iter().find(|consumer| consumer.to_string() == text);
        named.ok_or_else(|| KserveError::unknown_word("consumer", text, Self::ALL))
    }
}

impl From<Delivery> for Consumer {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Modelcar => Self::Modelcar,
            Delivery::Native => Self::Native,
            Delivery::Fetch => Self::Fetch,
        }
    }
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The consumer takes it.
    Pass,
    /// It depends on the cluster, or on who else reads the image.
    Warn,
    /// The consumer refuses, or would serve something else.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        })
    }
}

/// One rule, replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose rule it is.
    pub consumer: Consumer,
    /// On which platform; `None` where the rule is about the whole image.
    pub platform: Option<String>,
    /// The rule's name: `shell`, `layers`.
    pub rule: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen, and why that matters. May quote the image.
    pub detail: String,
    /// What to do.
    pub fix: Option<&'static str>,
}

/// All rules of the consumers asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The image.
    pub digest: Digest,
    /// In the order of the consumers, then of the platforms.
    pub lines: Vec<Line>,
}

impl Report {
    /// What a consumer would refuse.
    pub fn failures(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.outcome == Outcome::Fail)
    }
}

/// What is asked.
pub struct Request<'a> {
    /// Where the image is.
    pub store: &'a dyn Store,
    /// Its index, or its only manifest.
    pub raw: &'a RawManifest,
    /// Whose rules.
    pub consumers: &'a [Consumer],
    /// The platforms; `None` for all of them.
    pub platforms: Option<&'a [Platform]>,
    /// Where KServe mounts the model.
    pub mount_path: &'a str,
}

/// Replays the rules.
///
/// # Errors
/// Only what keeps the image from being read; what a consumer would refuse is a line of the report.
pub fn check(request: &Request) -> Result<Report, ImageError> {
    let subject = Subject::read(request.store, request.raw, request.platforms)?;
    let mut lines = Vec::new();
    for consumer in request.consumers {
        let mut own = Lines { consumer: *consumer, platform: None, taken: &mut lines };
        match consumer {
            Consumer::Modelcar => modelcar::check(&subject, request.mount_path, &mut own)?,
            Consumer::Native => native::check(&subject, &mut own),
            Consumer::Fetch => fetch::check(&subject, &mut own),
            Consumer::CriO | Consumer::Containerd => engine::check(&subject, &mut own),
        }
    }
    Ok(Report { digest: request.raw.digest(), lines })
}

/// Takes the lines of one consumer.
struct Lines<'a> {
    consumer: Consumer,
    platform: Option<String>,
    taken: &'a mut Vec<Line>,
}

impl Lines<'_> {
    /// From here on the lines are about this platform.
    fn on(&mut self, platform: &str) {
        self.platform = Some(platform.to_owned());
    }

    fn pass(&mut self, rule: &'static str, detail: impl Into<String>) {
        self.push(rule, Outcome::Pass, detail.into(), None);
    }

    fn warn(&mut self, rule: &'static str, detail: impl Into<String>, fix: &'static str) {
        self.push(rule, Outcome::Warn, detail.into(), Some(fix));
    }

    fn fail(&mut self, rule: &'static str, detail: impl Into<String>, fix: &'static str) {
        self.push(rule, Outcome::Fail, detail.into(), Some(fix));
    }

    fn push(&mut self, rule: &'static str, outcome: Outcome, detail: String, fix: Option<&'static str>) {
        self.taken.push(Line { consumer: self.consumer, platform: self.platform.clone(), rule, outcome, detail, fix });
    }
}

/// The first few of many names, for a message.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests;
