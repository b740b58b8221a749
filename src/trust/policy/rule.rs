//! What an attestation must say. Each rule is a pure function of the predicate's JSON, which somebody trusted has signed.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{AttestationKind, MaxAge, duration, licence};
use crate::oci::Timestamp;
use crate::trust::reason::shown;

/// How far the clocks of two machines may be apart, in seconds.
const CLOCK_SKEW: u64 = 300;
/// How deep components may lie in components.
const MAX_DEPTH: usize = 16;

/// One thing that an attestation must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is not older: `runDetails.metadata.finishedOn` of provenance, `metadata.timestamp` of a bill of materials.
    MaxAge(MaxAge),
    /// `runDetails.builder.id` of provenance is one of these.
    Builder(Vec<String>),
    /// Every source that provenance names begins with one of these.
    SourceUri(Vec<String>),
    /// Every licence in a bill of materials is one of these, and there is one.
    Licences(Vec<String>),
}

/// Why an image does not meet a requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmet {
    /// Nothing of the kind.
    #[error("{kind} is required, and none is attached")]
    Missing {
        /// What is required.
        kind: AttestationKind,
    },
    /// Somebody else's, or damaged.
    #[error("{kind} is required, and the one that is attached does not count: {reason}")]
    NotAccepted {
        /// What is required.
        kind: AttestationKind,
        /// Why it does not count.
        reason: String,
    },
    /// Not the JSON that it should be.
    #[error("the {kind} cannot be read: {what}")]
    Unreadable {
        /// What is required.
        kind: AttestationKind,
        /// What is wrong.
        what: String,
    },
    /// It says nothing about what a rule asks.
    #[error("the {kind} names no {what}")]
    Silent {
        /// What is required.
        kind: AttestationKind,
        /// What it does not say.
        what: &'static str,
    },
    /// Too old.
    #[error("the {kind} is of {time}, {age} old; at most {limit} is allowed", age = duration::shown(*age), limit = duration::shown(*limit))]
    TooOld {
        /// What is required.
        kind: AttestationKind,
        /// Its time.
        time: Timestamp,
        /// Its age in seconds.
        age: u64,
        /// The limit in seconds.
        limit: u64,
    },
    /// Not yet.
    #[error("the {kind} is of {time}, which is in the future")]
    FromTheFuture {
        /// What is required.
        kind: AttestationKind,
        /// Its time.
        time: Timestamp,
    },
    /// Another builder.
    #[error("the builder `{found}` is not allowed; allowed is {}", allowed.join(", "))]
    Builder {
        /// Who built it.
        found: String,
        /// Who may.
        allowed: Vec<String>,
    },
    /// Another source.
    #[error("the source `{found}` is not allowed; allowed is what begins with {}", allowed.join(", "))]
    Source {
        /// Where it is from.
        found: String,
        /// Where it may be from.
        allowed: Vec<String>,
    },
    /// Another licence.
    #[error("the licence `{found}` of {component} is not allowed; allowed is {}", allowed.join(", "))]
    Licence {
        /// The licence.
        found: String,
        /// Of what.
        component: String,
        /// What may be.
        allowed: Vec<String>,
    },
}

impl Unmet {
    /// What the user can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NotAccepted { .. } => {
                "attach it with `modelcar attest`, with a key or identity that is trusted here"
            }
            Self::TooOld { .. } => "build and attest the image again",
            Self::FromTheFuture { .. } => "look at the clocks of this machine and of the one that attested",
            _ => "look at it with `modelcar provenance` or `modelcar sbom`",
        }
    }
}

impl Rule {
    /// Whether the rule says something about this kind of attestation.
    pub fn applies_to(&self, kind: &AttestationKind) -> bool {
        match self {
            Self::MaxAge(_) => matches!(kind, AttestationKind::Provenance | AttestationKind::Sbom),
            Self::Builder(_) | Self::SourceUri(_) => *kind == AttestationKind::Provenance,
            Self::Licences(_) => *kind == AttestationKind::Sbom,
        }
    }

    /// Whether a predicate passes.
    pub(super) fn check(&self, kind: &AttestationKind, predicate: &RawValue, now: Timestamp) -> Result<(), Unmet> {
        match self {
            Self::MaxAge(limit) => max_age(kind, predicate, *limit, now),
            Self::Builder(allowed) => builder(predicate, allowed),
            Self::SourceUri(allowed) => source_uri(predicate, allowed),
            Self::Licences(allowed) => licences(predicate, allowed),
        }
    }
}

/// <https://slsa.dev/spec/v1.0/provenance>
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Provenance {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BuildDefinition {
    external_parameters: Value,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RunDetails {
    builder: Builder,
    metadata: BuildMetadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Builder {
    id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct BuildMetadata {
    finished_on: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    uri: Option<String>,
}

/// <https://cyclonedx.org/docs/1.6/json/>
#[derive(Default, Deserialize)]
#[serde(default)]
struct Bom {
    metadata: BomMetadata,
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BomMetadata {
    timestamp: Option<String>,
    component: Option<Component>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Component {
    name: String,
    licenses: Vec<LicenceChoice>,
    components: Vec<Component>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LicenceChoice {
    license: Option<NamedLicence>,
    expression: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NamedLicence {
    id: Option<String>,
    name: Option<String>,
}

fn read<'p, T: Deserialize<'p>>(kind: &AttestationKind, predicate: &'p RawValue) -> Result<T, Unmet> {
    serde_json::from_str(predicate.get()).map_err(|error| Unmet::Unreadable { kind: kind.clone(), what: shown(&error.to_string()) })
}

fn max_age(kind: &AttestationKind, predicate: &RawValue, limit: MaxAge, now: Timestamp) -> Result<(), Unmet> {
    let (written, what) = match kind {
        AttestationKind::Sbom => (read::<Bom>(kind, predicate)?.metadata.timestamp, "time"),
        _ => (read::<Provenance>(kind, predicate)?.run_details.metadata.finished_on, "time at which the build finished"),
    };
    let written = written.ok_or_else(|| Unmet::Silent { kind: kind.clone(), what })?;
    let unreadable = || Unmet::Unreadable { kind: kind.clone(), what: format!("`{}` is no time", shown(&written)) };
    let time = Timestamp::parse(&written).ok_or_else(unreadable)?;
    if time.seconds() > now.seconds().saturating_add(CLOCK_SKEW) {
        return Err(Unmet::FromTheFuture { kind: kind.clone(), time });
    }
    let (age, limit) = (now.seconds().saturating_sub(time.seconds()), limit.seconds());
    if age > limit { Err(Unmet::TooOld { kind: kind.clone(), time, age, limit }) } else { Ok(()) }
}

fn builder(predicate: &RawValue, allowed: &[String]) -> Result<(), Unmet> {
    let kind = AttestationKind::Provenance;
    let found = read::<Provenance>(&kind, predicate)?.run_details.builder.id;
    let found = found.ok_or(Unmet::Silent { kind, what: "builder" })?;
    if allowed.contains(&found) { Ok(()) } else { Err(Unmet::Builder { found: shown(&found), allowed: allowed.to_vec() }) }
}

/// Where the external parameters name a source, it is what the builder was asked to build and counts alone; otherwise everything
/// that went in counts.
fn source_uri(predicate: &RawValue, allowed: &[String]) -> Result<(), Unmet> {
    let kind = AttestationKind::Provenance;
    let definition = read::<Provenance>(&kind, predicate)?.build_definition;
    let asked_for = named_source(&definition.external_parameters);
    let went_in = definition.resolved_dependencies.into_iter().filter_map(|resource| resource.uri);
    let sources: Vec<String> = asked_for.map_or_else(|| went_in.collect(), |source| vec![source]);
    if sources.is_empty() {
        return Err(Unmet::Silent { kind, what: "source" });
    }
    match sources.into_iter().find(|source| !allowed.iter().any(|prefix| begins_with(source, prefix))) {
        Some(found) => Err(Unmet::Source { found: shown(&found), allowed: allowed.to_vec() }),
        None => Ok(()),
    }
}

/// `source`, `source.uri`, or GitHub's `workflow.repository`.
fn named_source(parameters: &Value) -> Option<String> {
    let paths = ["/source", "/source/uri", "/workflow/repository"];
    paths.iter().find_map(|path| parameters.pointer(path)?.as_str()).map(str::to_owned)
}

/// A prefix ends where a part of the URI does, so that `https://host/org` is not `https://host/org-evil`; and no way leads up.
fn begins_with(uri: &str, prefix: &str) -> bool {
    let climbs = uri.split(['/', '\\']).any(|part| part == ".." || part.to_ascii_lowercase().contains("%2e"));
    let Some(rest) = uri.strip_prefix(prefix) else { return false };
    let ends_a_part = rest.is_empty() || prefix.ends_with(['/', ':', '@']) || rest.starts_with(['/', '@', '?', '#', ':']);
    ends_a_part && !climbs
}

fn licences(predicate: &RawValue, allowed: &[String]) -> Result<(), Unmet> {
    let kind = AttestationKind::Sbom;
    let bom: Bom = read(&kind, predicate)?;
    let mut named = 0;
    for component in bom.metadata.component.iter().chain(&bom.components) {
        named += check_component(component, allowed, 0)?;
    }
    if named == 0 { Err(Unmet::Silent { kind, what: "licence" }) } else { Ok(()) }
}

/// The number of licences of a component and those in it, all of them allowed.
fn check_component(component: &Component, allowed: &[String], depth: usize) -> Result<usize, Unmet> {
    if depth > MAX_DEPTH {
        return Err(Unmet::Unreadable { kind: AttestationKind::Sbom, what: "its components lie too deep in each other".to_owned() });
    }
    let mut named = component.licenses.len();
    for choice in &component.licenses {
        if let Some(found) = refused(choice, allowed) {
            let component = shown(&component.name);
            return Err(Unmet::Licence { found: shown(&found), component, allowed: allowed.to_vec() });
        }
    }
    for inner in &component.components {
        named += check_component(inner, allowed, depth + 1)?;
    }
    Ok(named)
}

/// The licence that is not allowed. What cannot be read is none that is.
fn refused(choice: &LicenceChoice, allowed: &[String]) -> Option<String> {
    if let Some(expression) = &choice.expression {
        return licence::refused(expression, allowed).unwrap_or_else(|()| Some(expression.clone()));
    }
    let named = choice.license.as_ref().and_then(|licence| licence.id.as_ref().or(licence.name.as_ref()));
    match named {
        Some(name) if licence::is_allowed(name, allowed) => None,
        Some(name) => Some(name.clone()),
        None => Some("without a name".to_owned()),
    }
}
