//! Who reads an image's signatures, and what each would make of those that were found.
//!
//! A family of readers is a file here, and each of its rules was read in that reader's source or measured with it. The rules are
//! pure: evidence in, judgement out. They say what the consumer does, be it laxer than modelcar (cosign takes an attestation for a
//! signature) or stricter; modelcar's own rule, in `own`, comes on top of theirs.
//!
//! | file | consumers |
//! |---|---|
//! | `containers_image` | OpenShift, podman: the library below CRI-O, skopeo and buildah |
//! | `cosign` | cosign 2, 3 and 4 |
//! | `admission` | Kyverno, Sigstore's policy-controller |
//! | `conforma` | Conforma (`ec validate image`) |
//! | `quay` | the shield in Quay's pages |

use std::fmt;
use std::str::FromStr;

use super::classic::identity;
use super::{Finding, ManifestEvidence, TrustError};
use crate::kserve::KserveError;
use crate::oci::{Digest, Platform, Reference};

mod admission;
mod conforma;
mod containers_image;
mod cosign;
mod objection;
mod own;
mod quay;
mod reading;

pub use objection::Objection;
pub(super) use own::own_refusals;

/// Who reads an image's signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Consumer {
    /// A `ClusterImagePolicy` or `ImagePolicy`, kept by CRI-O.
    OpenShift,
    /// podman, skopeo and buildah with a `policy.json`.
    Podman,
    /// `cosign verify` of versions 1 and 2.
    CosignV2,
    /// `cosign verify` of version 3.
    CosignV3,
    /// `cosign verify` of version 4, as announced (cosign#4696).
    CosignV4,
    /// Kyverno's `ImageValidatingPolicy`.
    Kyverno,
    /// A `ClusterImagePolicy` of Sigstore's policy-controller.
    PolicyController,
    /// `ec validate image`, also in Konflux's and Red Hat's release pipelines.
    Conforma,
    /// The shield that Quay shows beside a tag.
    Quay,
}

impl Consumer {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 9] = [
        Self::OpenShift,
        Self::Podman,
        Self::CosignV2,
        Self::CosignV3,
        Self::CosignV4,
        Self::Kyverno,
        Self::PolicyController,
        Self::Conforma,
        Self::Quay,
    ];
    /// Those who must accept an image where nobody names others: one of each world.
    pub const DEFAULT: [Self; 2] = [Self::OpenShift, Self::CosignV3];

    /// What it looks at, in a few words.
    pub fn reads(self) -> &'static str {
        match self {
            Self::OpenShift | Self::Podman => "classic of index and platforms, by name",
            Self::CosignV2 => "classic; from 2.6 bundles where there are any",
            Self::CosignV3 | Self::Kyverno => "bundles; classic where there are none",
            Self::CosignV4 => "bundles",
            Self::PolicyController => "classic (default), keyless bundles",
            Self::Conforma => "bundles, else classic and .att; provenance",
            Self::Quay => "whether there is a .sig tag",
        }
    }
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OpenShift => "openshift",
            Self::Podman => "podman",
            Self::CosignV2 => "cosign-v2",
            Self::CosignV3 => "cosign-v3",
            Self::CosignV4 => "cosign-v4",
            Self::Kyverno => "kyverno",
            Self::PolicyController => "policy-controller",
            Self::Conforma => "conforma",
            Self::Quay => "quay",
        })
    }
}

impl FromStr for Consumer {
    type Err = KserveError;

    fn from_str(text: &str) -> Result<Self, KserveError> {
        let alias = match text {
            "crio" | "cri-o" => Some(Self::OpenShift),
            "cosign" => Some(Self::CosignV3),
            _ => None,
        };
        let named = Self::ALL.into_iter().find(|consumer| consumer.to_string() == text);
        named.or(alias).ok_or_else(|| KserveError::unknown_word("consumer", text, Self::ALL))
    }
}

/// What a consumer is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The name by which the image is pulled; without one, any name in a signature will do.
    pub name: Option<Reference>,
}

impl Asked {
    /// Reads `host/repo:tag` or `host/repo@digest`.
    ///
    /// # Errors
    /// It is no reference, or has neither a tag nor a digest.
    pub fn by(name: Option<&str>) -> Result<Self, TrustError> {
        Ok(Self { name: name.map(identity::asked).transpose()? })
    }
}

/// What a consumer would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Who.
    pub consumer: Consumer,
    /// Why it would refuse the image; empty if it would accept it.
    pub refusals: Vec<Refused>,
    /// What it wants to be told, and where it is laxer than it seems.
    pub notes: Vec<&'static str>,
}

/// Why a manifest is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The manifest.
    pub digest: Digest,
    /// Its platform, for a manifest in an index.
    pub platform: Option<Platform>,
    /// Why.
    pub objection: Objection,
}

impl Judgement {
    /// Whether the consumer would accept the image.
    pub fn accepts(&self) -> bool {
        self.refusals.is_empty()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The line begins with the whole digest of the image.
        f.write_str(&self.digest.short())?;
        self.platform.iter().try_for_each(|platform| write!(f, " ({platform})"))?;
        write!(f, ": {}", self.objection)
    }
}

impl Consumer {
    /// What this consumer would make of the evidence: what the reference names, then the manifests of an index.
    pub fn judge(self, manifests: &[ManifestEvidence], asked: &Asked) -> Judgement {
        let notes = self.notes(manifests);
        let refusals = match self {
            // It reads the index, then the manifest of its own platform, which may be any.
            Self::OpenShift | Self::Podman => reading::each(manifests, |manifest| containers_image::judge(manifest, asked)),
            Self::CosignV2 => reading::named(manifests, cosign::judge_v2),
            Self::CosignV3 => reading::named(manifests, cosign::judge_v3),
            Self::CosignV4 => reading::named(manifests, cosign::judge_v4),
            Self::Kyverno => reading::named(manifests, admission::judge_kyverno),
            Self::PolicyController => reading::named(manifests, admission::judge_policy_controller),
            Self::Conforma => reading::named(manifests, conforma::judge),
            Self::Quay => reading::named(manifests, quay::judge),
        };
        let notes = if refusals.is_empty() { notes } else { Vec::new() };
        Judgement { consumer: self, refusals, notes }
    }

    fn notes(self, manifests: &[ManifestEvidence]) -> Vec<&'static str> {
        let Some(named) = manifests.first() else { return Vec::new() };
        let platforms = |judge: fn(&ManifestEvidence) -> reading::Opinion| cosign::index_alone(manifests, judge);
        match self {
            Self::CosignV2 => cosign::notes_v2(named).into_iter().chain(platforms(cosign::judge_v2)).collect(),
            Self::CosignV3 => cosign::notes(named).into_iter().chain(platforms(cosign::judge_v3)).collect(),
            Self::CosignV4 => cosign::notes(named).into_iter().chain(platforms(cosign::judge_v4)).collect(),
            Self::Kyverno => admission::kyverno_notes(named),
            Self::Conforma => conforma::notes(named),
            Self::Quay => vec![quay::NO_CHECK],
            Self::OpenShift | Self::Podman | Self::PolicyController => Vec::new(),
        }
    }
}

impl ManifestEvidence {
    /// Whether there is anything that a reader of bundles takes for one, be it a signature or not.
    fn has_bundle(&self) -> bool {
        self.bundles.iter().any(Finding::is_bundle)
    }
}

#[cfg(test)]
mod tests;
