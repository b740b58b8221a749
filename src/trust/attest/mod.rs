//! Attestations: signed statements about an image, beside the statement that it is signed.
//!
//! A bundle goes where the bundle signatures go, and that is a trap: cosign 3, Kyverno and Conforma read an image's classic
//! signatures only while it has no bundle at all. So no attestation is attached to an image as a bundle before this signer's bundle
//! *signature* is there; [`attest()`] adds it where it is missing. The `.att` image that cosign 1 and 2 read has no such effect.
//!
//! | file | job |
//! |---|---|
//! | `attach` | the verb: what is missing is signed and attached |
//! | `predicate` | what is said: types and their short names, limits, shapes |
//! | `json_text` | JSON that is laid out anew without changing a number or the order of members |
//! | `att` | reading the `.att` image |
//! | `list` | all attestations of a manifest |
//! | `cyclonedx` | the bill of materials of a model |
//! | `slsa`, `ci` | how the image was built, and where |

mod att;
mod attach;
pub mod ci;
pub mod cyclonedx;
pub mod json_text;
mod list;
mod predicate;
pub mod slsa;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::{Outcome, Signer};
use crate::oci::{Digest, ManifestRef, Platform, RawManifest};
use crate::store::Store;

pub(in crate::trust) use att::examine_attached;
pub use att::read_envelope;
pub use attach::attest;
pub use list::{Attestation, attestations};
pub use predicate::{InvalidPredicate, MAX_PREDICATE, Predicate, PredicateType};

/// What to attest about which image, and in which form.
pub struct AttestRequest<'a> {
    /// Where the image is and its attestations go.
    pub store: &'a dyn Store,
    /// The image or index, as resolved by the caller.
    pub manifest: RawManifest,
    /// What its repository is called, `quay.io/org/model`; statements repeat it, and nobody checks it.
    pub name: Option<&'a str>,
    /// What is said about it.
    pub predicates: &'a [Predicate],
    /// Who says it.
    pub signer: &'a Signer,
    /// In which form.
    pub format: AttestationFormat,
    /// About which manifests.
    pub reach: Reach,
    /// What [`sign`](crate::trust::sign()) has just written here: Quay lists a new bundle up to 60 s late.
    pub just_signed: Option<&'a super::SignReport>,
}

/// The form of new attestations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttestationFormat {
    /// Sigstore bundles as referrers: cosign 3 and later, Kyverno, Conforma.
    #[default]
    Bundle,
    /// The `.att` image: cosign 1 and 2.
    Att,
    /// Both.
    Both,
}

/// About which manifests something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// What the reference names: where cosign looks.
    #[default]
    Named,
    /// Also every manifest of an index.
    Recursive,
}

/// Where one attestation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachedAs {
    /// A bundle.
    Bundle,
    /// A layer of the `.att` image.
    Att,
}

/// What is in place after attesting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttestReport {
    /// All that was asked for, what was there before too, and the bundle signatures that were needed and missing.
    pub attachments: Vec<Attachment>,
}

/// One thing in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The manifest that it is about.
    pub digest: Digest,
    /// Its platform, for a manifest in an index.
    pub platform: Option<Platform>,
    /// What it is.
    pub what: Attached,
    /// Where it is: the bundle's manifest, or the `.att` tag.
    pub at: ManifestRef,
    /// Whether it is new.
    pub outcome: Outcome,
}

/// What was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The bundle signature that has to be there first.
    Signature,
    /// An attestation.
    Attestation {
        /// Of which type, as a URI.
        predicate_type: String,
        /// Where.
        as_what: AttachedAs,
    },
}

impl AttestReport {
    /// How many attestations are new.
    pub fn added(&self) -> usize {
        self.attachments.iter().filter(|one| one.is_attestation() && one.outcome == Outcome::Added).count()
    }

    /// How many attestations were there.
    pub fn already_there(&self) -> usize {
        self.attachments.iter().filter(|one| one.is_attestation() && one.outcome == Outcome::AlreadyThere).count()
    }

    /// How many bundle signatures had to be added first.
    pub fn signatures_added(&self) -> usize {
        self.attachments.iter().filter(|one| one.what == Attached::Signature && one.outcome == Outcome::Added).count()
    }
}

impl Attachment {
    fn is_attestation(&self) -> bool {
        matches!(self.what, Attached::Attestation { .. })
    }
}

impl AttestationFormat {
    /// Whether attestations are attached in this form too.
    pub fn has(self, form: AttachedAs) -> bool {
        match (self, form) {
            (Self::Both, _) => true,
            (Self::Bundle, form) => form == AttachedAs::Bundle,
            (Self::Att, form) => form == AttachedAs::Att,
        }
    }
}

impl FromStr for AttestationFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bundle" => Ok(Self::Bundle),
            "att" => Ok(Self::Att),
            "both" => Ok(Self::Both),
            _ => Err("expected `bundle`, `att` or `both`".to_owned()),
        }
    }
}

impl fmt::Display for AttestationFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "bundle",
            Self::Att => "att",
            Self::Both => "both",
        })
    }
}

impl fmt::Display for AttachedAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bundle => "a bundle",
            Self::Att => "an `.att` image",
        })
    }
}
