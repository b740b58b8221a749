//! The bill of materials of a model image: CycloneDX 1.6, a "machine learning bill of materials".
//! <https://cyclonedx.org/docs/1.6/json/>
//!
//! Facts only: what was read from the model's files, what the image's annotations say, digests. Nothing is guessed, and what is not
//! known is left out. Equal facts give equal bytes, the serial number included.

use serde::Serialize;

use crate::image::{Contents, annotations};
use crate::model::{HubOrigin, card};
use crate::oci::{Annotations, Digest, Reference};
use parts::{
    Component, Dependency, ExternalReference, Hash, License, LicenseChoice, Metadata, ModelCard, ModelParameters, Parameter, Pedigree,
    Property, Tools,
};
use url::Url;

mod parts;

/// Where CycloneDX's own JSON schema is.
const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";
/// What the document calls the model.
const MODEL: &str = "model";
/// `org.opencontainers.image.…`: <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>.
const OCI: &str = "org.opencontainers.image.";

/// What a bill is made of.
pub struct Facts<'a> {
    /// What people call the model.
    pub name: &'a str,
    /// The image; none for a model that is not built.
    pub image: Option<ImageFacts<'a>>,
    /// What the image says and holds.
    pub contents: &'a Contents,
    /// Where the model comes from, if its folder tells.
    pub origin: Option<&'a HubOrigin>,
}

/// Which image it is.
pub struct ImageFacts<'a> {
    /// The digest of the index, or of the only manifest.
    pub digest: Digest,
    /// The name under which a registry has it.
    pub reference: Option<&'a Reference>,
}

/// The document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bom {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

/// Writes the bill.
pub fn bom(facts: &Facts<'_>) -> Bom {
    let mut components: Vec<Component> = facts.contents.files.iter().map(|(path, digest)| file(path, digest)).collect();
    components.extend(base(&facts.contents.annotations));
    let depends_on = components.iter().filter_map(|component| component.bom_ref.clone()).collect();
    let known_by = facts.image.as_ref().map_or_else(|| facts.contents.digest(), |image| image.digest);
    Bom {
        schema: SCHEMA,
        format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", uuid(known_by)),
        version: 1,
        metadata: Metadata { timestamp: timestamp(&facts.contents.annotations), tools: tools(), component: model(facts) },
        components,
        dependencies: vec![Dependency { reference: MODEL, depends_on }],
    }
}

fn tools() -> Tools {
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    Tools { components: vec![Component { version, ..Component::new("application", env!("CARGO_PKG_NAME")) }] }
}

fn model(facts: &Facts<'_>) -> Component {
    let (said, content) = (&facts.contents.annotations, facts.contents.digest());
    let reference = facts.image.as_ref().and_then(|image| image.reference);
    let by_digest = facts.image.as_ref().map(|image| image.digest.to_string());
    Component {
        bom_ref: Some(MODEL.to_owned()),
        version: reference.and_then(Reference::tag).map(str::to_owned).or_else(|| by_digest.clone()),
        purl: facts.image.as_ref().and_then(|image| image.reference.map(|reference| purl(reference, image.digest))),
        hashes: vec![Hash::of(&content)],
        licenses: licences(said),
        pedigree: facts.origin.map(|origin| Pedigree { ancestors: vec![ancestor(origin)] }),
        external_references: references(said),
        model_card: card(said),
        properties: properties(said, by_digest),
        ..Component::new("machine-learning-model", facts.name)
    }
}

fn ancestor(origin: &HubOrigin) -> Component {
    let page = ExternalReference { kind: "distribution", url: origin.url(), comment: None };
    Component {
        version: Some(origin.revision.clone()),
        purl: Some(origin.purl()),
        external_references: vec![page],
        ..Component::new("machine-learning-model", &origin.repository)
    }
}

fn file(path: &str, digest: &Digest) -> Component {
    let name = format!("models/{path}");
    Component { bom_ref: Some(format!("file:{name}")), hashes: vec![Hash::of(digest)], ..Component::new("file", &name) }
}

/// The image below the model, where the annotations name one.
fn base(said: &Annotations) -> Option<Component> {
    let digest: Digest = said.get(&format!("{OCI}base.digest"))?.parse().ok()?;
    let name = said.get(&format!("{OCI}base.name"));
    let reference = name.and_then(|name| name.parse::<Reference>().ok());
    Some(Component {
        bom_ref: Some(format!("base:{digest}")),
        version: Some(digest.to_string()),
        purl: reference.map(|reference| purl(&reference, digest)),
        hashes: vec![Hash::of(&digest)],
        ..Component::new("container", name.map_or("base", String::as_str))
    })
}

/// <https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md>
fn purl(reference: &Reference, digest: Digest) -> String {
    let name = reference.repository().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let encoded = |text: &str| text.replace(':', "%3A");
    let tag = reference.tag().map(|tag| format!("&tag={tag}")).unwrap_or_default();
    format!("pkg:oci/{name}@{}?repository_url={}{tag}", encoded(&digest.to_string()), encoded(&reference.name()))
}

/// The licence by its SPDX id where it has one, else by the name that the model's card gives it.
fn licences(said: &Annotations) -> Vec<LicenseChoice> {
    let fact = |key: &str| said.get(&format!("{}{key}", annotations::FACT_PREFIX)).map(String::as_str);
    let url = fact("licence-link").filter(|link| Url::parse(link).is_ok()).map(str::to_owned);
    let Some(word) = said.get(&format!("{OCI}licenses")).map(String::as_str).or_else(|| fact("licence")) else { return Vec::new() };
    let license = match card::spdx(word) {
        Some(id) => License { id: Some(id.to_owned()), name: None, url },
        None => License { id: None, name: Some(fact("licence-name").unwrap_or(word).to_owned()), url },
    };
    vec![LicenseChoice { license }]
}

fn references(said: &Annotations) -> Vec<ExternalReference> {
    let word = |key: &str| said.get(&format!("{OCI}{key}"));
    let comment = word("revision").map(|revision| format!("revision {revision}"));
    let kinds = [("vcs", "source", comment), ("documentation", "documentation", None), ("website", "url", None)];
    let known = kinds.into_iter().filter_map(|(kind, key, comment)| Some(ExternalReference { kind, url: word(key)?.clone(), comment }));
    known.filter(|reference| Url::parse(&reference.url).is_ok()).collect()
}

fn card(said: &Annotations) -> Option<ModelCard> {
    let fact = |key: &str| said.get(&format!("{}{key}", annotations::FACT_PREFIX)).cloned();
    let model_parameters = ModelParameters {
        task: fact("task"),
        architecture_family: fact("model-type"),
        model_architecture: fact("architecture"),
        inputs: parameters(said.get(annotations::INPUTS)),
        outputs: parameters(said.get(annotations::OUTPUTS)),
    };
    if model_parameters.is_empty() { None } else { Some(ModelCard { model_parameters }) }
}

/// `X: float32[?,4]`, each; a list that was cut for the annotation ends with the last whole one.
fn parameters(list: Option<&String>) -> Vec<Parameter> {
    let whole = list.map(String::as_str).unwrap_or_default();
    let tensors = whole.split("; ").filter(|tensor| !tensor.is_empty() && !tensor.ends_with('…'));
    tensors.map(|tensor| Parameter { format: tensor.to_owned() }).collect()
}

/// All that modelcar says about the image in its own words, and the image's digest.
fn properties(said: &Annotations, digest: Option<String>) -> Vec<Property> {
    let digest = digest.map(|digest| Property { name: "io.modelcar.image.digest".to_owned(), value: digest });
    let own = said.iter().filter(|(key, _)| key.starts_with("io.modelcar."));
    digest.into_iter().chain(own.map(|(key, value)| Property { name: key.clone(), value: value.clone() })).collect()
}

/// When the image was created, unless that is 1970: then nobody has said.
fn timestamp(said: &Annotations) -> Option<String> {
    let created = said.get(&format!("{OCI}created"))?;
    let bytes = created.as_bytes();
    let digits = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18];
    let is_time = bytes.len() == 20
        && digits.iter().all(|at| bytes[*at].is_ascii_digit())
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')].iter().all(|(at, mark)| bytes[*at] == *mark);
    (is_time && created != "1970-01-01T00:00:00Z").then(|| created.clone())
}

/// The first bits of a digest as a UUID of version 8, which is for such uses: <https://www.rfc-editor.org/rfc/rfc9562#section-5.8>.
fn uuid(digest: Digest) -> String {
    let mut hex: Vec<char> = digest.hex().chars().take(32).collect();
    let variant = hex[16].to_digit(16).and_then(|nibble| char::from_digit(nibble & 3 | 8, 16));
    (hex[12], hex[16]) = ('8', variant.unwrap_or('8'));
    let part = |from: usize, to: usize| hex[from..to].iter().collect::<String>();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests;
