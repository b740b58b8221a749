//! The payload of a classic signature: "simple signing", the sentence that podman, skopeo and CRI-O believe.
//!
//! Read as strictly as containers/image reads it (every member there, none twice, none unknown), so that nothing passes
//! here that a cluster refuses: <https://github.com/containers/image/blob/main/signature/internal/sigstore_payload.go>.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::oci::{Digest, Reference, canonical};

/// Larger payloads are refused unread, in bytes.
pub(in crate::trust) const MAX_PAYLOAD: u64 = 64 << 10;

const TYPE: &str = "cosign container image signature";

/// "This manifest may be called by this name."
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::trust) struct Payload {
    critical: Critical,
    // `deserialize_with` makes the member mandatory; a plain `Option` may be left out.
    #[serde(deserialize_with = "Deserialize::deserialize")]
    optional: Option<Optional>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type", deserialize_with = "known_type")]
    kind: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    docker_reference: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    docker_manifest_digest: Digest,
}

/// Free members of the signer; only `creator` and `timestamp` have a rule.
#[derive(Debug, PartialEq, Serialize)]
struct Optional(BTreeMap<String, Value>);

impl Payload {
    /// What modelcar signs for a name of a manifest.
    pub(in crate::trust) fn new(identity: &Reference, digest: Digest) -> Self {
        Self {
            critical: Critical {
                identity: Identity { docker_reference: identity.to_string() },
                image: Image { docker_manifest_digest: digest },
                kind: TYPE.to_owned(),
            },
            optional: None,
        }
    }

    /// The bytes to sign, the same as cosign's.
    pub(in crate::trust) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        canonical::to_vec(self)
    }

    pub(in crate::trust) fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// The name that was signed.
    pub(in crate::trust) fn identity(&self) -> &str {
        &self.critical.identity.docker_reference
    }

    /// The manifest that was signed.
    pub(in crate::trust) fn digest(&self) -> Digest {
        self.critical.image.docker_manifest_digest
    }
}

fn known_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let kind = String::deserialize(deserializer)?;
    if kind == TYPE { Ok(kind) } else { Err(D::Error::custom(format_args!("type is not `{TYPE}`"))) }
}

impl<'de> Deserialize<'de> for Optional {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OptionalVisitor)
    }
}

struct OptionalVisitor;

impl<'de> Visitor<'de> for OptionalVisitor {
    type Value = Optional;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Optional, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            check_member(&name, &value).map_err(A::Error::custom)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member of `optional` is there twice"));
            }
        }
        Ok(Optional(members))
    }
}

fn check_member(name: &str, value: &Value) -> Result<(), &'static str> {
    match name {
        "creator" if !value.is_string() => Err("optional.creator is not a string"),
        "timestamp" if !value.as_f64().is_some_and(|number| number.fract() == 0.0) => Err("optional.timestamp is not an integer"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"critical":{"identity":{"docker-reference":"q.io/iris:v1"},"image":{"docker-manifest-digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"type":"cosign container image signature"},"optional":null}"#;

    #[test]
    fn writes_the_bytes_that_cosign_writes() {
        let payload = Payload::new(&"q.io/iris:v1".parse().unwrap(), Digest::of(b""));
        assert_eq!(String::from_utf8(payload.to_bytes().unwrap()).unwrap(), GOOD);
        assert_eq!(Payload::parse(GOOD.as_bytes()).unwrap(), payload);
    }

    #[test]
    fn accepts_the_annotations_of_other_signers() {
        for optional in [r#"{"creator":"x","timestamp":1700000000}"#, r#"{"build":{"id":[1,null]}}"#, "{}", r#"{"timestamp":1e3}"#] {
            let text = GOOD.replace("null", optional);
            assert_eq!(Payload::parse(text.as_bytes()).unwrap().identity(), "q.io/iris:v1", "{optional}");
        }
    }

    #[test]
    fn refuses_what_containers_image_refuses() {
        let table = [
            (r#","optional":null"#, "", "optional"),
            (r#""optional":null"#, r#""optional":null,"more":1"#, "more"),
            (r#""optional":null"#, r#""optional":null,"optional":null"#, "duplicate"),
            ("null", r#"{"a":1,"a":2}"#, "twice"),
            ("null", r#"{"timestamp":1.5}"#, "timestamp"),
            ("null", r#"{"creator":1}"#, "creator"),
            ("null", "[]", "an object"),
            ("cosign container", "atomic container", "type"),
            (r#""type":"#, r#""x":0,"type":"#, "`x`"),
            ("sha256:", "sha512:", "digest"),
            (r#""q.io/iris:v1""#, "null", "null"),
            ("null}", "null} {}", "trailing"),
        ];
        for (from, to, reason) in table {
            let error = Payload::parse(GOOD.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{from} -> {to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..GOOD.len(), byte: u8) {
            let _ = Payload::parse(&bytes);
            let mut changed = GOOD.as_bytes().to_vec();
            changed[at] = byte;
            if let Ok(payload) = Payload::parse(&changed) {
                // What still parses also says something else, or it is the same sentence.
                let same = payload == Payload::parse(GOOD.as_bytes()).unwrap();
                prop_assert!(same == (payload.identity() == "q.io/iris:v1" && payload.digest() == Digest::of(b"")));
            }
        }
    }
}
