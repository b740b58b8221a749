//! Where an image is read from, as podman, skopeo and CRI-O are told it in `registries.conf`.
//!
//! Format: <https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md>. Mirrors come in the order in which they are
//! written and the place itself last. A blocked place is never asked, its mirrors are: that is how OpenShift writes `NeverContactSource`. Search lists
//! and aliases mean nothing here, where every name is whole. [`Mirrors::route`] is pure, as is the reading of a file's text.

use std::path::PathBuf;

use super::RegistryError;
use super::error::Cause;
use crate::oci::Reference;
use crate::store::StoreOptions;

mod files;
mod parse;

pub(super) use files::read;

/// What the files say of registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mirrors {
    entries: Vec<Entry>,
}

/// One `[[registry]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// `host[:port][/path]`, or `*.host[:port][/path]`.
    prefix: String,
    /// What stands for the prefix; `None` behind a wildcard: the image's own name.
    location: Option<String>,
    insecure: bool,
    blocked: bool,
    mirrors: Vec<Mirror>,
    file: PathBuf,
}

/// One `[[registry.mirror]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirror {
    location: String,
    insecure: bool,
    serves: Serves,
}

/// Which images a mirror is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    All,
    Digests,
    Tags,
}

/// A place that may hold an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The image's name there.
    pub(super) image: Reference,
    /// Whether plain HTTP and unverified certificates are allowed.
    pub(super) insecure: bool,
}

/// The places where an image is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// In this order.
    pub(super) before: Vec<Source>,
    /// The repository itself, unless it is blocked.
    pub(super) last: Source,
}

impl Route {
    /// Without any mirror.
    pub(super) fn direct(image: &Reference) -> Self {
        Self { before: Vec::new(), last: Source { image: image.clone(), insecure: false } }
    }
}

impl Source {
    /// How this place is reached, of all that was said for the image. What the user says of certificates goes before what a file says, and the
    /// client's own certificate is for the registry that the user named.
    pub(super) fn options(&self, image: &Reference, options: &StoreOptions) -> StoreOptions {
        let cert_dir = options.cert_dir.clone().filter(|_| self.image.registry() == image.registry());
        StoreOptions { tls_verify: options.tls_verify.or(self.insecure.then_some(false)), cert_dir, ..options.clone() }
    }
}

impl Mirrors {
    /// Where an image is looked for.
    ///
    /// # Errors
    /// [`RegistryError::Blocked`] where nobody may be asked; a location that makes no name of an image.
    pub(super) fn route(&self, image: &Reference) -> Result<Route, RegistryError> {
        let Some((entry, rest)) = self.entry(image) else { return Ok(Route::direct(image)) };
        let mut sources = Vec::new();
        for mirror in entry.mirrors.iter().filter(|mirror| mirror.serves.has(image)) {
            let source = Source { image: entry.renamed(image, &mirror.location, &rest)?, insecure: mirror.insecure };
            if !self.blocks(&source.image) {
                sources.push(source);
            }
        }
        if !entry.blocked {
            let own = entry.location.as_deref().map_or_else(|| Ok(image.clone()), |location| entry.renamed(image, location, &rest))?;
            sources.push(Source { image: own, insecure: entry.insecure });
        }
        let blocked = || RegistryError::Blocked { name: image.name(), prefix: entry.prefix.clone(), file: entry.file.clone() };
        let last = sources.pop().ok_or_else(blocked)?;
        Ok(Route { before: sources, last })
    }

    /// The entry with the longest prefix of an image, and what is behind the prefix. Of two that are as long the first one.
    fn entry(&self, image: &Reference) -> Option<(&Entry, String)> {
        let name = full_name(image);
        let matching = self.entries.iter().rev().filter_map(|entry| Some((entry, behind(&entry.prefix, &name)?.to_owned())));
        matching.max_by_key(|(entry, _)| entry.prefix.len())
    }

    fn blocks(&self, image: &Reference) -> bool {
        self.entry(image).is_some_and(|(entry, _)| entry.blocked)
    }

    /// What later files say replaces what earlier ones say of the same prefix.
    fn replace_with(&mut self, later: Self) {
        self.entries.retain(|entry| !later.entries.iter().any(|other| other.prefix == entry.prefix));
        self.entries.extend(later.entries);
    }
}

impl Serves {
    fn has(self, image: &Reference) -> bool {
        match self {
            Self::All => true,
            Self::Digests => image.digest().is_some(),
            Self::Tags => image.digest().is_none(),
        }
    }
}

impl Entry {
    fn renamed(&self, image: &Reference, location: &str, rest: &str) -> Result<Reference, RegistryError> {
        let name = format!("{location}{rest}");
        let renamed: Reference = name.parse().map_err(|_| RegistryError::RegistriesConf {
            file: self.file.clone(),
            source: Cause(format!("location `{location}` makes `{name}` of an image, which is no name of one")),
        })?;
        let tagged = image.tag().map_or_else(|| renamed.clone(), |tag| renamed.tagged(tag));
        Ok(image.digest().map_or_else(|| tagged.clone(), |digest| tagged.pinned(*digest)))
    }
}

/// Docker Hub's repositories of one word are in `library/`, and it has two names.
fn full_name(image: &Reference) -> String {
    match (image.registry(), image.repository()) {
        ("docker.io" | "index.docker.io", word) if !word.contains('/') => format!("docker.io/library/{word}"),
        ("index.docker.io", repository) => format!("docker.io/{repository}"),
        _ => image.name(),
    }
}

/// What is behind a prefix of a name, where it is one: a whole number of the name's parts.
fn behind<'a>(prefix: &str, name: &'a str) -> Option<&'a str> {
    let rest = match prefix.strip_prefix('*') {
        None => name.strip_prefix(prefix)?,
        Some(domain) => {
            let host_begins = name.find(domain).filter(|at| *at > 0 && !name[..*at].contains('/'))?;
            &name[host_begins + domain.len()..]
        }
    };
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

#[cfg(test)]
mod tests;
