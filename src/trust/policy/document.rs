//! The text of a policy file. Pure: what it names is not opened here.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::{AttestationKind, ImageScope, InvalidPolicy, Requirement, Rule};
use crate::kserve::KserveError;
use crate::trust::{CertificateIdentity, Consumer, Expected, PublicKey};

/// The most entries of a list; 256 is what OpenShift takes of scopes.
const MAX_ENTRIES: usize = 256;
/// The longest text of a value, in characters.
const MAX_TEXT: usize = 2048;

/// A policy's text, each member checked.
pub(super) struct Document {
    pub(super) scopes: Vec<ImageScope>,
    pub(super) keys: Vec<PublicKey>,
    pub(super) key_files: Vec<PathBuf>,
    pub(super) identities: Vec<CertificateIdentity>,
    pub(super) trusted_root: Option<PathBuf>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) requirements: Vec<Requirement>,
    pub(super) layers: bool,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    version: u32,
    images: Vec<String>,
    #[serde(default)]
    keys: Option<Vec<Key>>,
    #[serde(default)]
    identities: Option<Vec<Holder>>,
    #[serde(default)]
    trusted_root: Option<String>,
    #[serde(default)]
    consumers: Option<Vec<String>>,
    #[serde(default)]
    require: Option<Vec<Require>>,
    #[serde(default)]
    layers: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    file: Option<String>,
    pem: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Holder {
    identity: Option<String>,
    identity_regexp: Option<String>,
    issuer: Option<String>,
    issuer_regexp: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Require {
    #[serde(rename = "type")]
    kind: String,
    max_age: Option<String>,
    builder: Option<Vec<String>>,
    source_uri: Option<Vec<String>>,
    licences: Option<Vec<String>>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPolicy> {
        let file: File = serde_saphyr::from_str_with_options(text, narrow()).map_err(|error| InvalidPolicy::yaml(&error))?;
        file.check()
    }
}

/// No policy needs an alias, and a few of them make a gigabyte of words. Norwegian is `no`, not false.
fn narrow() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_nodes: 8192, max_depth: 16 },
        strict_booleans: true,
    }
}

impl File {
    fn check(self) -> Result<Document, InvalidPolicy> {
        if self.version != 1 {
            return Err(InvalidPolicy::Version { found: self.version });
        }
        if self.keys.is_none() && self.identities.is_none() {
            return Err(InvalidPolicy::Nobody);
        }
        let (keys, key_files) = keys(listed("keys", self.keys)?)?;
        let identities = each("identities", listed("identities", self.identities)?, Holder::check)?;
        if !identities.is_empty() && self.trusted_root.is_none() {
            return Err(InvalidPolicy::value("identities", "certificates need the authorities of a trustedRoot"));
        }
        Ok(Document {
            scopes: each("images", listed("images", Some(self.images))?, |at, text| scope(at, &text))?,
            keys,
            key_files,
            identities,
            trusted_root: self.trusted_root.map(|path| filled("trustedRoot", path)).transpose()?.map(PathBuf::from),
            consumers: each("consumers", listed("consumers", self.consumers)?, |at, word| consumer(at, &word))?.concat(),
            requirements: each("require", listed("require", self.require)?, Require::check)?,
            layers: self.layers,
        })
    }
}

/// The entries of a list; a list that is there has some.
fn listed<T>(at: &str, list: Option<Vec<T>>) -> Result<Vec<T>, InvalidPolicy> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let (count, limit) = (list.len(), MAX_ENTRIES);
    if (1..=limit).contains(&count) { Ok(list) } else { Err(InvalidPolicy::Count { at: at.to_owned(), count, limit }) }
}

/// Checks every entry under its place: `images[0]`.
fn each<T, U>(at: &str, list: Vec<T>, check: impl Fn(&str, T) -> Result<U, InvalidPolicy>) -> Result<Vec<U>, InvalidPolicy> {
    list.into_iter().enumerate().map(|(number, entry)| check(&format!("{at}[{number}]"), entry)).collect()
}

/// A text that says something.
fn filled(at: &str, text: String) -> Result<String, InvalidPolicy> {
    match text.chars().count() {
        0 => Err(InvalidPolicy::value(at, "it is empty")),
        count if count > MAX_TEXT => Err(InvalidPolicy::value(at, format!("it has {count} characters, at most {MAX_TEXT} are read"))),
        _ => Ok(text),
    }
}

fn scope(at: &str, text: &str) -> Result<ImageScope, InvalidPolicy> {
    text.parse().map_err(|source| InvalidPolicy::Scope { at: at.to_owned(), source })
}

fn consumer(at: &str, word: &str) -> Result<Vec<Consumer>, InvalidPolicy> {
    if word == "all" {
        return Ok(Consumer::ALL.to_vec());
    }
    word.parse().map(|one| vec![one]).map_err(unknown(at))
}

/// An unknown word, with the words there are.
fn unknown(at: &str) -> impl FnOnce(KserveError) -> InvalidPolicy {
    let at = at.to_owned();
    move |error| InvalidPolicy::value(at, error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}")))
}

/// The keys that stand in the policy, and the files of the others.
fn keys(keys: Vec<Key>) -> Result<(Vec<PublicKey>, Vec<PathBuf>), InvalidPolicy> {
    let (mut inline, mut files) = (Vec::new(), Vec::new());
    for (number, key) in keys.into_iter().enumerate() {
        let at = format!("keys[{number}]");
        match (key.file, key.pem) {
            (Some(file), None) => files.push(PathBuf::from(filled(&at, file)?)),
            (None, Some(pem)) => {
                inline.push(PublicKey::from_pem(&filled(&at, pem)?).map_err(|source| InvalidPolicy::Key { at, source })?);
            }
            _ => return Err(InvalidPolicy::value(at, "a key has either `file` or `pem`")),
        }
    }
    Ok((inline, files))
}

impl Holder {
    fn check(at: &str, holder: Self) -> Result<CertificateIdentity, InvalidPolicy> {
        Ok(CertificateIdentity {
            identity: expected(at, "identity", holder.identity, holder.identity_regexp)?,
            issuer: expected(at, "issuer", holder.issuer, holder.issuer_regexp)?,
        })
    }
}

fn expected(at: &str, member: &str, exactly: Option<String>, matching: Option<String>) -> Result<Expected, InvalidPolicy> {
    let at = format!("{at}.{member}");
    match (exactly, matching) {
        (Some(text), None) => filled(&at, text).map(Expected::exactly),
        (None, Some(text)) => Expected::matching(&filled(&at, text)?).map_err(|error| InvalidPolicy::value(at, error.to_string())),
        _ => Err(InvalidPolicy::value(at, format!("either `{member}` or `{member}Regexp` is needed"))),
    }
}

impl Require {
    fn check(at: &str, require: Self) -> Result<Requirement, InvalidPolicy> {
        let wrong = |member: &'static str| move |what: String| InvalidPolicy::value(format!("{at}.{member}"), what);
        let kind = AttestationKind::from_str(&require.kind).map_err(unknown(&format!("{at}.type")))?;
        let texts = |member: &'static str, list: Option<Vec<String>>| {
            let at = format!("{at}.{member}");
            list.map(|list| each(&at, listed(&at, Some(list))?, filled)).transpose()
        };
        let age = require.max_age.map(|text| text.parse().map(Rule::MaxAge).map_err(wrong("maxAge"))).transpose()?;
        let rules = [
            ("maxAge", age),
            ("builder", texts("builder", require.builder)?.map(Rule::Builder)),
            ("sourceUri", texts("sourceUri", require.source_uri)?.map(Rule::SourceUri)),
            ("licences", texts("licences", require.licences)?.map(Rule::Licences)),
        ];
        let mut requirement = Requirement::new(kind);
        for (member, rule) in rules.into_iter().filter_map(|(member, rule)| Some((member, rule?))) {
            requirement = requirement.with(rule).map_err(wrong(member))?;
        }
        Ok(requirement)
    }
}
