//! What is to be in the registry about an image. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::facts::Size;
use super::{ImageFacts, ModelRegistryError, Property};

/// The longest name, in characters. The registry's column has 255, and it writes the parent's id before the name.
const MAX_NAME: usize = 200;

/// The three kinds of entries, from the outermost in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model, with all its versions.
    RegisteredModel,
    /// A version of it.
    ModelVersion,
    /// The files of that version: the image.
    ModelArtifact,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RegisteredModel => "RegisteredModel",
            Self::ModelVersion => "ModelVersion",
            Self::ModelArtifact => "ModelArtifact",
        })
    }
}

/// A name that the registry's finders take: `^[\x20-\x7E]+$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityName(String);

impl EntityName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntityName {
    type Err = ModelRegistryError;

    fn from_str(text: &str) -> Result<Self, ModelRegistryError> {
        let refused = |reason| ModelRegistryError::Name { text: text.chars().take(100).collect(), reason };
        if text.trim().is_empty() || text.trim() != text {
            return Err(refused("it is empty, or has blanks at its ends"));
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(refused("the registry finds names of ASCII characters only"));
        }
        if text.len() > MAX_NAME {
            return Err(refused("it is longer than 200 characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What the user says beyond what the image does.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The model's name; its artifact has it too, as the registry's own Python client does it.
    pub model: EntityName,
    /// The version's name.
    pub version: EntityName,
    /// Of the model.
    pub owner: Option<String>,
    /// Of the version.
    pub author: Option<String>,
    /// Of the version.
    pub description: Option<String>,
    /// What made the artifact.
    pub source: Source,
    /// Where the image does not say it, or says it wrong.
    pub commit: Option<String>,
    /// Custom properties.
    pub properties: BTreeMap<String, Property>,
}

/// Lineage: what made the artifact. Each part is a word that those who write and those who read agreed upon.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// `pipelines`.
    pub kind: Option<String>,
    /// `pipelinerun`.
    pub class: Option<String>,
    /// The run's namespace.
    pub group: Option<String>,
    /// The run's uid.
    pub id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
}

/// One entry as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entity {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The API's fields without `name`, and without the parent's id.
    pub(super) fields: Map<String, Value>,
}

/// All three entries as they should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub(super) model: Entity,
    pub(super) version: Entity,
    pub(super) artifact: Entity,
}

/// Properties that are modelcar's to write, and to take away again where an image no longer has them.
pub(super) const OWN: [&str; 10] = [
    "digest",
    "size",
    "compressed_size",
    "platforms",
    "format",
    "license",
    "git_commit",
    "sbom_digest",
    "signature_classic",
    "signature_bundle",
];

impl Record {
    /// Puts together what the image tells and what the user says.
    ///
    /// # Errors
    /// [`ModelRegistryError::Property`] where the user's property is one that modelcar writes itself.
    pub fn of(facts: &ImageFacts, wish: Wish) -> Result<Self, ModelRegistryError> {
        let properties = json!(properties(facts, &wish)?);
        let artifact = json!({
            "artifactType": "model-artifact",
            "state": "LIVE",
            "uri": format!("oci://{}", facts.image),
            "modelFormatName": facts.kserve_format,
            "modelSourceKind": wish.source.kind,
            "modelSourceClass": wish.source.class,
            "modelSourceGroup": wish.source.group,
            "modelSourceId": wish.source.id,
            "modelSourceName": wish.source.name,
            "customProperties": properties,
        });
        // On both: what is shown and searched are a version's properties, and the artifact is what they speak of.
        let version = json!({"author": wish.author, "description": wish.description, "customProperties": properties});
        let model = wish.model.0;
        Ok(Self {
            artifact: entity(Kind::ModelArtifact, model.clone(), artifact),
            version: entity(Kind::ModelVersion, wish.version.0, version),
            model: entity(Kind::RegisteredModel, model, json!({"owner": wish.owner})),
        })
    }

    /// The three entries, from the outermost in.
    pub(super) fn entities(&self) -> [&Entity; 3] {
        [&self.model, &self.version, &self.artifact]
    }

    /// Where the artifact is: `oci://…@sha256:…`.
    pub fn uri(&self) -> &str {
        self.artifact.fields.get("uri").and_then(Value::as_str).unwrap_or_default()
    }
}

/// What is not known is not written.
fn entity(kind: Kind, name: String, fields: Value) -> Entity {
    let Value::Object(fields) = fields else { return Entity { kind, name, fields: Map::new() } };
    Entity { kind, name, fields: fields.into_iter().filter(|(_, value)| !value.is_null()).collect() }
}

fn properties(facts: &ImageFacts, wish: &Wish) -> Result<BTreeMap<String, Property>, ModelRegistryError> {
    if let Some(key) = wish.properties.keys().find(|key| OWN.contains(&key.as_str())) {
        return Err(ModelRegistryError::Property { key: key.clone(), reason: "modelcar writes it itself, from the image" });
    }
    let digest = |digest: Option<crate::oci::Digest>| digest.map(|digest| digest.to_string());
    let (size, bytes) = match facts.size {
        Size::Unpacked(bytes) => ("size", bytes),
        Size::Compressed(bytes) => ("compressed_size", bytes),
    };
    let texts = [
        ("digest", Some(facts.digest.to_string())),
        ("platforms", Some(facts.platforms.join(",")).filter(|list| !list.is_empty())),
        ("format", facts.format.clone()),
        ("license", facts.licence.clone()),
        ("git_commit", wish.commit.clone().or_else(|| facts.commit.clone())),
        ("sbom_digest", digest(facts.present.sbom)),
        ("signature_classic", digest(facts.present.classic)),
        ("signature_bundle", digest(facts.present.bundle)),
    ];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Property::text(&text?))));
    let own = texts.chain([(size.to_owned(), Property::number(bytes))]);
    Ok(own.chain(wish.properties.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Digest;
    use crate::trust::Present;

    fn facts() -> ImageFacts {
        let digest = Digest::of(b"image");
        ImageFacts {
            image: format!("quay.io/acme/iris@{digest}").parse().unwrap(),
            digest,
            size: Size::Unpacked(1234),
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            format: Some("onnx".to_owned()),
            kserve_format: Some("onnx".to_owned()),
            licence: None,
            commit: Some("abc".to_owned()),
            present: Present { classic: Some(Digest::of(b"sig")), bundle: None, sbom: Some(Digest::of(b"sbom")) },
        }
    }

    fn wish() -> Wish {
        Wish {
            model: "iris".parse().unwrap(),
            version: "v1".parse().unwrap(),
            owner: None,
            author: Some("Ada".to_owned()),
            description: None,
            source: Source { kind: Some("pipelines".to_owned()), ..Source::default() },
            commit: None,
            properties: BTreeMap::from([("team".to_owned(), Property::text("vision"))]),
        }
    }

    fn text(text: &str) -> Value {
        json!({"metadataType": "MetadataStringValue", "string_value": text})
    }

    #[test]
    fn an_image_becomes_three_entries() {
        let record = Record::of(&facts(), wish()).unwrap();
        let properties = json!({
            "digest": text(&Digest::of(b"image").to_string()),
            "size": {"metadataType": "MetadataIntValue", "int_value": "1234"},
            "platforms": text("linux/amd64,linux/arm64"),
            "format": text("onnx"),
            "git_commit": text("abc"),
            "sbom_digest": text(&Digest::of(b"sbom").to_string()),
            "signature_classic": text(&Digest::of(b"sig").to_string()),
            "team": text("vision"),
        });
        assert_eq!(json!(record.model.fields), json!({}));
        assert_eq!(json!(record.version.fields), json!({"author": "Ada", "customProperties": properties}));
        let uri = format!("oci://quay.io/acme/iris@{}", Digest::of(b"image"));
        assert_eq!(record.uri(), uri);
        assert_eq!(
            json!(record.artifact.fields),
            json!({
                "artifactType": "model-artifact",
                "state": "LIVE",
                "uri": uri,
                "modelFormatName": "onnx",
                "modelSourceKind": "pipelines",
                "customProperties": properties,
            })
        );
        let names = record.entities().map(|entity| (entity.kind.to_string(), entity.name.as_str()));
        let named = |kind: &str, name| (kind.to_owned(), name);
        assert_eq!(names, [named("RegisteredModel", "iris"), named("ModelVersion", "v1"), named("ModelArtifact", "iris")]);
    }

    #[test]
    fn the_users_commit_wins_and_a_compressed_size_is_not_called_size() {
        let facts = ImageFacts { size: Size::Compressed(5_000_000_000), ..facts() };
        let record = Record::of(&facts, Wish { commit: Some("def".to_owned()), ..wish() }).unwrap();
        let properties = &record.version.fields["customProperties"];
        assert_eq!(properties["git_commit"], text("def"));
        assert_eq!(properties["compressed_size"], json!({"metadataType": "MetadataDoubleValue", "double_value": 5e9}));
        assert!(properties.get("size").is_none());
    }

    #[test]
    fn what_the_image_tells_is_not_the_users_to_tell() {
        for key in OWN {
            let properties = BTreeMap::from([(key.to_owned(), Property::text("x"))]);
            let error = Record::of(&facts(), Wish { properties, ..wish() }).unwrap_err();
            assert!(error.to_string().contains("writes it itself"), "{error}");
        }
    }

    #[test]
    fn names_are_those_that_the_registry_finds() {
        for name in ["iris", "v1.0", "a model with blanks", &"x".repeat(200)] {
            assert_eq!(name.parse::<EntityName>().unwrap().as_str(), name);
        }
        for (name, reason) in [("", "empty"), (" a", "blanks"), ("größe", "ASCII"), ("a\tb", "ASCII"), (&"x".repeat(201), "200")] {
            let error = name.parse::<EntityName>().unwrap_err();
            assert!(error.to_string().contains(reason) && error.exit_code() == 2, "{name}: {error}");
        }
    }
}
