//! How an image was built: SLSA provenance, version 1. <https://slsa.dev/spec/v1.1/provenance>
//!
//! Every member that [`BUILD_TYPE`] defines is explained in `docs/provenance.md`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ci::Builder;
use crate::oci::{Digest, Reference, Timestamp};

/// What kind of build it was: the document that explains the parameters.
pub const BUILD_TYPE: &str = "https://github.com/modelcar/modelcar/blob/main/docs/provenance.md@v1";

/// The media type of a CycloneDX document.
const CYCLONEDX_JSON: &str = "application/vnd.cyclonedx+json";

/// What the user asked for; everything that shapes the image beside the files.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// The last part of the model's path.
    pub model: String,
    /// Where the model comes from, as the user says: `--source-uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The names that the image got.
    pub images: Vec<String>,
    /// The platforms of the image.
    pub platforms: Vec<String>,
    /// `shell`, `none` or the name of an image.
    pub base: String,
    /// How the layers are stored.
    pub compression: String,
    /// The server whose layout the files have, as asked for: `auto` or its name.
    pub runtime: String,
    /// The other options that were given, each under its own name and as it was written.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Vec<String>>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970, if it was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_date_epoch: Option<u64>,
}

/// The model that went in.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it comes from.
    pub uri: Option<String>,
    /// The digest of its content: see [`Contents::digest`](crate::image::Contents::digest).
    pub content: Digest,
    /// Further digests of the source, such as `gitCommit`.
    pub digests: BTreeMap<String, String>,
}

/// All that is known about a build.
#[derive(Clone, Debug)]
pub struct BuildRecord {
    /// What the user asked for.
    pub parameters: Parameters,
    /// The model.
    pub source: Source,
    /// The image below the model.
    pub base: Option<(Option<Reference>, Digest)>,
    /// Who built.
    pub builder: Builder,
    /// When the build began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// The digest of the bill of materials that is attested too.
    pub bom: Option<Digest>,
}

/// The document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildDefinition {
    build_type: &'static str,
    external_parameters: Parameters,
    resolved_dependencies: Vec<Resource>,
}

#[derive(Clone, Debug, Serialize)]
struct RunDetails {
    builder: BuilderId,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    byproducts: Vec<Resource>,
}

#[derive(Clone, Debug, Serialize)]
struct BuilderId {
    id: String,
    version: BTreeMap<&'static str, &'static str>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_id: Option<String>,
    started_on: String,
    finished_on: String,
}

/// <https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md>
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    digest: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'static str>,
}

/// Writes the document.
pub fn provenance(record: &BuildRecord) -> Provenance {
    let resolved_dependencies = [model(&record.source)].into_iter().chain(record.base.as_ref().map(base)).collect();
    let byproducts =
        record.bom.map(|digest| Resource { name: "sbom", digest: sha256(digest), media_type: Some(CYCLONEDX_JSON), uri: None });
    Provenance {
        build_definition: BuildDefinition { build_type: BUILD_TYPE, external_parameters: record.parameters.clone(), resolved_dependencies },
        run_details: RunDetails {
            builder: BuilderId { id: record.builder.id.clone(), version: BTreeMap::from([("modelcar", env!("CARGO_PKG_VERSION"))]) },
            metadata: Metadata {
                invocation_id: record.builder.invocation.clone(),
                started_on: record.started.to_string(),
                finished_on: record.finished.to_string(),
            },
            byproducts: byproducts.into_iter().collect(),
        },
    }
}

fn model(source: &Source) -> Resource {
    let mut digest = source.digests.clone();
    digest.insert("dirHash".to_owned(), source.content.hex());
    Resource { name: "model", uri: source.uri.clone(), digest, media_type: None }
}

fn base((reference, digest): &(Option<Reference>, Digest)) -> Resource {
    let uri = reference.as_ref().map(|reference| format!("oci://{}", reference.at(*digest)));
    Resource { name: "base", uri, digest: sha256(*digest), media_type: None }
}

fn sha256(digest: Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digest.hex())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_what_went_in_who_built_and_when() {
        let base = Digest::of(b"base");
        let record = BuildRecord {
            parameters: Parameters { model: "iris.onnx".to_owned(), runtime: "auto".to_owned(), ..Parameters::default() },
            source: Source {
                uri: Some("git+https://e.com/repo".to_owned()),
                content: Digest::of(b"content"),
                digests: BTreeMap::from([("gitCommit".to_owned(), "abc".to_owned())]),
            },
            base: Some((Some("q.io/ubi:9".parse().unwrap()), base)),
            builder: Builder { id: "https://e.com/ci".to_owned(), invocation: Some("https://e.com/ci/1".to_owned()) },
            started: Timestamp::from_seconds(1_700_000_000),
            finished: Timestamp::from_seconds(1_700_000_001),
            bom: Some(Digest::of(b"bom")),
        };
        let document = serde_json::to_value(provenance(&record)).unwrap();
        let definition = &document["buildDefinition"];
        assert_eq!(definition["buildType"], BUILD_TYPE);
        assert_eq!(
            definition["resolvedDependencies"],
            json!([
                {"name": "model", "uri": "git+https://e.com/repo", "digest": {"dirHash": Digest::of(b"content").hex(), "gitCommit": "abc"}},
                {"name": "base", "uri": format!("oci://q.io/ubi@{base}"), "digest": {"sha256": base.hex()}},
            ])
        );
        let details = &document["runDetails"];
        assert_eq!(details["builder"]["id"], "https://e.com/ci");
        assert_eq!(
            details["metadata"],
            json!({"invocationId": "https://e.com/ci/1", "startedOn": "2023-11-14T22:13:20Z", "finishedOn": "2023-11-14T22:13:21Z"})
        );
        assert_eq!(details["byproducts"][0]["mediaType"], "application/vnd.cyclonedx+json");
    }
}
