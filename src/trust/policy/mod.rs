//! The policy file: whose signatures count, for which images, and what must be attested about them.
//!
//! ```yaml
//! version: 1
//! images: [quay.io/edge]
//! keys: [{file: cosign.pub}]
//! consumers: [openshift, cosign-v3]
//! require:
//!   - {type: provenance, maxAge: 30d, builder: ["https://ci.example.com/modelcar"]}
//!   - {type: sbom, licences: [Apache-2.0, MIT]}
//! ```
//!
//! Every member is described in `docs/policy.md`, and `docs/policy.schema.json` says the same to machines. The file is read
//! strictly: an unknown member is an error, because a rule that is misspelt would otherwise allow everything.
//!
//! `document` is the file's text, `scope` the images, `duration` the ages, `kind` and `requirement` what must be attested, `rule` and
//! `licence` what is asked of an attestation. All of it is pure but [`Policy::load`].

use std::io::Read as _;
use std::path::{Path, PathBuf};

mod document;
mod duration;
mod error;
mod kind;
mod licence;
mod requirement;
mod rule;
mod scope;

pub use duration::MaxAge;
pub use error::{InvalidPolicy, PolicyError};
pub use kind::AttestationKind;
pub use requirement::Requirement;
pub use rule::{Rule, Unmet};
pub use scope::{ImageScope, InvalidScope};

use super::{CertificateIdentity, Consumer, PublicKey};
use crate::oci::Reference;
use document::Document;

/// The largest policy that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// A policy file, its key files read.
#[derive(Clone, Debug)]
pub struct Policy {
    path: PathBuf,
    scopes: Vec<ImageScope>,
    keys: Vec<PublicKey>,
    identities: Vec<CertificateIdentity>,
    trusted_root: Option<PathBuf>,
    consumers: Vec<Consumer>,
    requirements: Vec<Requirement>,
    layers: bool,
}

impl Policy {
    /// Reads a policy and the key files it names, which lie relative to it.
    ///
    /// # Errors
    /// A file that cannot be read, and the first thing that is wrong in it, with its place.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let text = read(path)?;
        let invalid = |source| PolicyError::Invalid { path: path.to_owned(), source };
        Self::of(Document::parse(&text).map_err(invalid)?, path)
    }

    /// Whether a text is a policy, without the files that it names.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn check(text: &str) -> Result<(), InvalidPolicy> {
        Document::parse(text).map(drop)
    }

    fn of(document: Document, path: &Path) -> Result<Self, PolicyError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let load = |file: PathBuf| {
            let file = folder.join(file);
            PublicKey::load(&file).map_err(|source| PolicyError::Key { path: path.to_owned(), source })
        };
        let files = document.key_files.into_iter().map(load).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            scopes: document.scopes,
            keys: document.keys.into_iter().chain(files).collect(),
            identities: document.identities,
            trusted_root: document.trusted_root.map(|file| folder.join(file)),
            consumers: document.consumers,
            requirements: document.requirements,
            layers: document.layers,
        })
    }

    /// Where the policy was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The images that the policy speaks for.
    pub fn scopes(&self) -> &[ImageScope] {
        &self.scopes
    }

    /// Whether the policy speaks for this image.
    pub fn covers(&self, image: &Reference) -> bool {
        self.scopes.iter().any(|scope| scope.covers(image))
    }

    /// The keys whose signatures count.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The holders of certificates whose signatures count.
    pub fn identities(&self) -> &[CertificateIdentity] {
        &self.identities
    }

    /// The file with the authorities behind those certificates.
    pub fn trusted_root(&self) -> Option<&Path> {
        self.trusted_root.as_deref()
    }

    /// The consumers that must accept the image; none means the usual ones.
    pub fn consumers(&self) -> &[Consumer] {
        &self.consumers
    }

    /// What must be attested.
    pub fn requirements(&self) -> Vec<Requirement> {
        self.requirements.clone()
    }

    /// Whether all blobs must be hashed again.
    pub fn layers(&self) -> bool {
        self.layers
    }
}

/// The text of a file, however large it may claim to be.
fn read(path: &Path) -> Result<String, PolicyError> {
    let unreadable = |source| PolicyError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(PolicyError::TooLarge { path: path.to_owned(), limit: MAX_FILE });
    }
    String::from_utf8(bytes).map_err(|_| PolicyError::NotText { path: path.to_owned() })
}

#[cfg(test)]
mod tests;
