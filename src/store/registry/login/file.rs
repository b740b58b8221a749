//! Changes one entry of a credential file, and leaves everything else in it as it was: other tools keep their settings there too.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::PrettyFormatter;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::RegistryError;
use super::super::credentials::{Login, normal, read_bytes};
use crate::store::files::{lock_dir, parent};

/// The members that make up a log-in; an entry's others stay.
const LOGIN_MEMBERS: [&str; 5] = ["auth", "username", "password", "identitytoken", "registrytoken"];

/// The members of a JSON object in the order in which they stand.
#[derive(Default)]
struct Members(Vec<(String, Value)>);

/// A value as it is written, or one that was looked into.
#[derive(Serialize)]
#[serde(untagged)]
enum Value {
    Written(Box<RawValue>),
    Object(Members),
    Text(#[serde(serialize_with = "as_text")] Zeroizing<String>),
}

fn as_text<S: Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

impl Members {
    /// Puts a value where the name stands already, else at the end.
    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(member) => member.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The members of an object within this one; none where there is no such object.
    fn object(&self, name: &str) -> serde_json::Result<Self> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, Value::Written(written))) if written.get() != "null" => serde_json::from_str(written.get()),
            _ => Ok(Self::default()),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    members.push((name, Value::Written(value)));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(InOrder)
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// Writes the log-in for a key, in place of what the file has for it.
pub(super) fn store(file: &Path, key: &str, login: &Login) -> Result<(), RegistryError> {
    change(file, |auths| {
        let written = canonical(key);
        // the same registry under another of its names would win over this entry, or outlive its password
        auths.0.retain(|(known, _)| normal(known) != key || *known == written);
        let mut entry = auths.object(&written)?;
        entry.0.retain(|(name, _)| !LOGIN_MEMBERS.contains(&name.as_str()));
        entry.0.extend(members(login).into_iter().map(|(name, value)| (name.to_owned(), Value::Text(value))));
        auths.set(&written, Value::Object(entry));
        Ok(true)
    })
    .map(drop)
}

/// Takes the log-in for a key away; whether there was one.
pub(super) fn remove(file: &Path, key: &str) -> Result<bool, RegistryError> {
    change(file, |auths| {
        let before = auths.0.len();
        auths.0.retain(|(known, _)| normal(known) != key);
        Ok(auths.0.len() < before)
    })
}

/// Takes all log-ins of a file away, and tells their keys.
pub(super) fn remove_all(file: &Path) -> Result<Vec<String>, RegistryError> {
    let mut keys = Vec::new();
    change(file, |auths| {
        keys = auths.0.drain(..).map(|(key, _)| key).collect();
        Ok(!keys.is_empty())
    })?;
    Ok(keys)
}

/// The key under which every tool finds a registry: docker and crane look for Docker Hub under this one alone, podman under it too.
fn canonical(key: &str) -> String {
    if key == "docker.io" { "https://index.docker.io/v1/".to_owned() } else { key.to_owned() }
}

fn members(login: &Login) -> Vec<(&'static str, Zeroizing<String>)> {
    match login {
        Login::Password { user, password } => {
            let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
            vec![("auth", Zeroizing::new(STANDARD.encode(pair.as_bytes())))]
        }
        // as docker writes it: the user alone, so that readers who know no identity tokens find nothing that looks like a password
        Login::Identity { token, .. } => {
            vec![("auth", Zeroizing::new(STANDARD.encode("<token>:"))), ("identitytoken", Zeroizing::new(token.expose().to_owned()))]
        }
    }
}

/// Reads the file under a lock, changes its `auths`, and writes it as a whole where `edit` says that it changed something.
fn change(file: &Path, edit: impl FnOnce(&mut Members) -> serde_json::Result<bool>) -> Result<bool, RegistryError> {
    // a file in a folder of dotfiles is often linked to its place
    let file = &file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let unwritable = |source: io::Error| RegistryError::CredentialsUnwritten { file: file.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent(file)).map_err(unwritable)?;
    let _lock = lock_dir(parent(file)).map_err(unwritable)?;
    let text = read_bytes(file)?.unwrap_or_default();
    let broken = |error: serde_json::Error| RegistryError::Credentials {
        file: file.clone(),
        reason: format!("line {}, column {} is not a credential file's JSON", error.line(), error.column()),
    };
    let mut top = if text.trim_ascii().is_empty() { Members::default() } else { serde_json::from_slice(&text).map_err(broken)? };
    let mut auths = top.object("auths").map_err(broken)?;
    if !edit(&mut auths).map_err(broken)? {
        return Ok(false);
    }
    top.set("auths", Value::Object(auths));
    let text = pretty(&top).map_err(broken)?;
    write_private(file, &text).map_err(unwritable)?;
    Ok(true)
}

/// Indented with tabs, as podman and docker do; what was not looked into stays as it is written, to the last digit.
fn pretty(top: &Members) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    top.serialize(&mut serde_json::Serializer::with_formatter(&mut *text, PrettyFormatter::with_indent(b"\t")))?;
    text.push(b'\n');
    Ok(text)
}

/// Readable by its owner alone, whatever the umask and the mode of the file before; whole or not at all.
fn write_private(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut draft = tempfile::Builder::new();
    let draft = draft.prefix(".modelcar-").suffix(".tmp").permissions(Permissions::from_mode(0o600)).tempfile_in(parent(file))?;
    let mut open: &File = draft.as_file();
    open.write_all(text)?;
    open.sync_all()?;
    draft.persist(file).map(drop).map_err(|error| error.error)
}
