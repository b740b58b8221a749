//! What is said about an image: a JSON object and its type.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::json_text;
use crate::oci::canonical;

/// The largest predicate that is read, in bytes: 740 KiB. In base64, and with what stands around it, it fills a bundle, of which
/// 1 MiB is read.
pub const MAX_PREDICATE: u64 = 740 << 10;

/// The types that have a name of their own, as `cosign attest --type` has them:
/// <https://github.com/sigstore/cosign/blob/main/cmd/cosign/cli/options/predicate.go>.
const KNOWN: [(&str, &str); 5] = [
    ("slsa", PredicateType::SLSA),
    ("cyclonedx", PredicateType::CYCLONEDX),
    ("spdx", "https://spdx.dev/Document"),
    ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
    ("openvex", "https://openvex.dev/ns"),
];

/// Other names that users know them by: those of `modelcar ship --attest`, and cosign's for SLSA.
const ALIASES: [(&str, &str); 5] =
    [("sbom", "cyclonedx"), ("provenance", "slsa"), ("slsaprovenance", "slsa"), ("slsaprovenance1", "slsa"), ("spdxjson", "spdx")];

/// What kind of thing is said, as a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateType(String);

impl PredicateType {
    /// How something was built: <https://slsa.dev/spec/v1.1/provenance>.
    pub const SLSA: &str = "https://slsa.dev/provenance/v1";
    /// A bill of materials: <https://cyclonedx.org/specification/overview/>.
    pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";

    /// The URI.
    pub fn uri(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `slsa`, or `custom=https://example.com/review/v1`, or that URI alone.
impl FromStr for PredicateType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, name)| name);
        if let Some((_, uri)) = KNOWN.iter().find(|(name, _)| *name == word) {
            return Ok(Self((*uri).to_owned()));
        }
        let names = KNOWN.map(|(name, _)| name).join(", ");
        let uri = text.strip_prefix("custom=").or_else(|| Some(text).filter(|text| text.contains(':')));
        let Some(uri) = uri else { return Err(format!("expected {names} or custom=URI")) };
        let is_plain = uri.len() <= 256 && uri.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && Url::parse(uri).is_ok() {
            Ok(Self(uri.to_owned()))
        } else {
            Err(format!("`{uri}` is not a URI of at most 256 characters"))
        }
    }
}

/// Why a document cannot be attested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPredicate {
    /// Larger than a bundle can be.
    #[error("it has {size} bytes, and at most {limit} ({} KiB) fit into an attestation", limit >> 10)]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// No JSON.
    #[error("it is not JSON")]
    Json(#[source] serde_json::Error),
    /// A list, a text or a number.
    #[error("it is not a JSON object")]
    NoObject,
    /// The document around the predicate.
    #[error("it is a whole in-toto statement, not the predicate in it")]
    Statement,
    /// The type asks for more.
    #[error("it is no `{kind}` predicate: it lacks {}", missing.join(", "))]
    Shape {
        /// The type.
        kind: String,
        /// What is missing.
        missing: Vec<&'static str>,
    },
}

impl InvalidPredicate {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } => {
                Some("leave out what nobody checks, or attest a document that names the large one by its digest".to_owned())
            }
            Self::Statement => Some("give the member `predicate` alone: `jq .predicate FILE`".to_owned()),
            Self::Shape { .. } => Some("`--type custom=URI` takes any JSON object".to_owned()),
            Self::Json(_) | Self::NoObject => None,
        }
    }
}

/// Something said about an image.
#[derive(Clone, Debug)]
pub struct Predicate {
    kind: PredicateType,
    json: Box<RawValue>,
}

impl Predicate {
    /// Reads a predicate that somebody wrote. Numbers, and the order of members, stay as they are.
    pub fn parse(kind: PredicateType, bytes: &[u8]) -> Result<Self, InvalidPredicate> {
        let size = bytes.len() as u64;
        if size > MAX_PREDICATE {
            return Err(InvalidPredicate::TooLarge { size, limit: MAX_PREDICATE });
        }
        let value: Value = serde_json::from_slice(bytes).map_err(InvalidPredicate::Json)?;
        check(&kind, &value)?;
        let text = json_text::compact(&String::from_utf8_lossy(bytes));
        Ok(Self { kind, json: RawValue::from_string(text).map_err(InvalidPredicate::Json)? })
    }

    /// A bill of materials.
    pub fn bill_of_materials(bom: &super::cyclonedx::Bom) -> serde_json::Result<Self> {
        Self::of(PredicateType::CYCLONEDX, bom)
    }

    /// How an image was built.
    pub fn provenance(provenance: &super::slsa::Provenance) -> serde_json::Result<Self> {
        Self::of(PredicateType::SLSA, provenance)
    }

    pub(super) fn of(kind: &str, document: &impl Serialize) -> serde_json::Result<Self> {
        let text = String::from_utf8_lossy(&canonical::to_vec(document)?).into_owned();
        Ok(Self { kind: PredicateType(kind.to_owned()), json: RawValue::from_string(text)? })
    }

    /// What kind of thing it says.
    pub fn kind(&self) -> &PredicateType {
        &self.kind
    }

    /// The document, in one line.
    pub fn json(&self) -> &RawValue {
        &self.json
    }

    /// Whether these words say the same, whenever they were said.
    pub(super) fn is_said_by(&self, predicate_type: &str, predicate: &RawValue) -> bool {
        let timeless = |json: &RawValue| serde_json::from_str(json.get()).ok().map(|value| timeless(&self.kind, value));
        predicate_type == self.kind.uri() && timeless(predicate).is_some() && timeless(predicate) == timeless(&self.json)
    }
}

/// The document without what is different each time it is made from the same facts.
fn timeless(kind: &PredicateType, mut document: Value) -> Value {
    let at = match kind.uri() {
        PredicateType::SLSA => Some(("runDetails", "metadata")),
        PredicateType::CYCLONEDX => Some(("metadata", "timestamp")),
        _ => None,
    };
    if let Some((parent, member)) = at
        && let Some(parent) = document.get_mut(parent).and_then(Value::as_object_mut)
    {
        parent.remove(member);
    }
    document
}

/// Refuses what verifiers of this type would find wrong at first sight.
fn check(kind: &PredicateType, value: &Value) -> Result<(), InvalidPredicate> {
    let object = value.as_object().ok_or(InvalidPredicate::NoObject)?;
    if object.contains_key("_type") && object.contains_key("predicateType") {
        return Err(InvalidPredicate::Statement);
    }
    let text = |path: &str| value.pointer(path).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let wanted: &[(&'static str, bool)] = match kind.uri() {
        PredicateType::SLSA => &[
            ("`buildDefinition.buildType`", text("/buildDefinition/buildType")),
            ("`buildDefinition.externalParameters`", value.pointer("/buildDefinition/externalParameters").is_some_and(Value::is_object)),
            ("`runDetails.builder.id`", text("/runDetails/builder/id")),
        ],
        PredicateType::CYCLONEDX => {
            &[("`bomFormat` with the value `CycloneDX`", value["bomFormat"] == "CycloneDX"), ("`specVersion`", text("/specVersion"))]
        }
        _ => &[],
    };
    let missing: Vec<_> = wanted.iter().filter(|(_, there)| !there).map(|(what, _)| *what).collect();
    if missing.is_empty() { Ok(()) } else { Err(InvalidPredicate::Shape { kind: kind.to_string(), missing }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, text: &str) -> Result<Predicate, String> {
        Predicate::parse(kind.parse().unwrap(), text.as_bytes()).map_err(|error| error.to_string())
    }

    const SLSA: &str =
        r#"{"buildDefinition":{"buildType":"x","externalParameters":{}},"runDetails":{"builder":{"id":"y"},"metadata":{"startedOn":"1"}}}"#;

    #[test]
    fn short_names_are_cosigns() {
        for (name, uri) in [
            ("slsa", "https://slsa.dev/provenance/v1"),
            ("cyclonedx", "https://cyclonedx.org/bom"),
            ("spdx", "https://spdx.dev/Document"),
            ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1"),
            ("openvex", "https://openvex.dev/ns"),
            ("custom=https://example.com/review", "https://example.com/review"),
            ("custom=urn:x:y", "urn:x:y"),
            ("https://example.com/review", "https://example.com/review"),
            ("sbom", "https://cyclonedx.org/bom"),
            ("provenance", "https://slsa.dev/provenance/v1"),
            ("slsaprovenance", "https://slsa.dev/provenance/v1"),
            ("slsaprovenance1", "https://slsa.dev/provenance/v1"),
        ] {
            assert_eq!(name.parse::<PredicateType>().unwrap().uri(), uri);
        }
        for name in ["", "SLSA", "review", "custom=", "custom=review", "custom=https://a b", "custom=https://a\n", ":", "https://a b"] {
            assert!(name.parse::<PredicateType>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn keeps_what_was_written() {
        let predicate = parse("custom=https://example.com/x", "{ \"z\": 1.0, \"a\": 12345678901234567890123456789 }").unwrap();
        assert_eq!(predicate.json().get(), r#"{"z":1.0,"a":12345678901234567890123456789}"#);
    }

    #[test]
    fn refuses_what_is_no_such_document() {
        let table = [
            ("slsa", "[]", "not a JSON object"),
            ("slsa", "{", "not JSON"),
            ("slsa", "{}", "lacks `buildDefinition.buildType`, `buildDefinition.externalParameters`, `runDetails.builder.id`"),
            ("slsa", &SLSA.replace("\"y\"", "\"\""), "lacks `runDetails.builder.id`"),
            ("cyclonedx", r#"{"bomFormat":"SPDX","specVersion":"1.6"}"#, "lacks `bomFormat` with the value `CycloneDX`"),
            ("custom=a:b", r#"{"_type":"x","predicateType":"y","predicate":{}}"#, "a whole in-toto statement"),
            ("custom=a:b", &format!("{{\"a\":\"{}\"}}", "x".repeat(740 << 10)), "at most 757760 (740 KiB) fit"),
        ];
        for (kind, text, reason) in table {
            let error = parse(kind, text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(parse("custom=a:b", &"[".repeat(100_000)).is_err());
    }

    #[test]
    fn the_same_words_at_another_time_are_the_same() {
        let bom = |time: &str, name: &str| {
            format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{{"timestamp":"{time}","name":"{name}"}}}}"#)
        };
        let slsa = |time: &str, id: &str| SLSA.replace("\"1\"", &format!("\"{time}\"")).replace("\"y\"", &format!("\"{id}\""));
        let same = |kind: &str, one: &str, other: &str| {
            let other = RawValue::from_string(other.to_owned()).unwrap();
            parse(kind, one).unwrap().is_said_by(kind.parse::<PredicateType>().unwrap().uri(), &other)
        };
        assert!(same("slsa", &slsa("1", "a"), &slsa("2", "a")));
        assert!(!same("slsa", &slsa("1", "a"), &slsa("1", "b")));
        assert!(same("cyclonedx", &bom("1", "a"), &bom("2", "a")));
        assert!(!same("cyclonedx", &bom("1", "a"), &bom("1", "b")));
        assert!(same("custom=a:b", r#"{"a": 1, "b": 2}"#, r#"{"b":2,"a":1}"#));
        assert!(!same("custom=a:b", r#"{"metadata":{"timestamp":1}}"#, r#"{"metadata":{"timestamp":2}}"#));
        let predicate = parse("custom=a:b", "{}").unwrap();
        assert!(!predicate.is_said_by("a:c", &RawValue::from_string("{}".to_owned()).unwrap()));
    }
}
