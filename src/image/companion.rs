//! What travels with an image, by kind. Pure: decided by where it lies and by its own words, and never by whom it is signed.

use crate::oci::{Digest, ImageManifest, Manifest, ManifestRef, RawManifest, media_type};

/// What all versions of bundles begin with.
const BUNDLE_FAMILY: &str = "application/vnd.dev.sigstore.bundle";
/// Where a bundle's manifest says what its statement is about.
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// Something that speaks about a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// What it is, by its own word.
    pub kind: CompanionKind,
    /// The manifest that it speaks about.
    pub subject: Digest,
    /// Where it lies: a tag, or its own digest.
    pub at: ManifestRef,
}

/// A kind of companion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompanionKind {
    /// The classic signatures behind `.sig`, and how many.
    Signatures(usize),
    /// The classic attestations behind `.att`, and how many.
    Attestations(usize),
    /// What cosign attached behind `.sbom`.
    Sbom,
    /// A Sigstore bundle, with the type of what it says where its manifest tells.
    Bundle {
        /// A URI.
        predicate_type: Option<String>,
    },
    /// Any other referrer.
    Referrer {
        /// What it is.
        artifact_type: Option<String>,
    },
}

impl CompanionKind {
    /// What lies at this place.
    pub(super) fn of(raw: &RawManifest, at: &ManifestRef) -> Self {
        let manifest = match raw.parse() {
            Ok(Manifest::Image(manifest)) => manifest,
            Ok(Manifest::Index(index)) => return Self::Referrer { artifact_type: index.artifact_type },
            Err(_) => return Self::Referrer { artifact_type: None },
        };
        let ManifestRef::Tag(tag) = at else { return Self::referrer(manifest) };
        match tag.rsplit('.').next() {
            Some("sig") => Self::Signatures(manifest.layers.len()),
            Some("att") => Self::Attestations(manifest.layers.len()),
            _ => Self::Sbom,
        }
    }

    fn referrer(mut manifest: ImageManifest) -> Self {
        if manifest.layers.first().is_some_and(|layer| layer.media_type.starts_with(BUNDLE_FAMILY)) {
            return Self::Bundle { predicate_type: manifest.annotations.remove(PREDICATE_TYPE) };
        }
        let config = Some(manifest.config.media_type).filter(|config| config != media_type::EMPTY);
        Self::Referrer { artifact_type: manifest.artifact_type.filter(|artifact_type| !artifact_type.is_empty()).or(config) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Descriptor;

    fn manifest(layers: &[&str], change: impl FnOnce(&mut ImageManifest)) -> RawManifest {
        let layers = layers.iter().map(|layer| Descriptor::of(layer, layer.as_bytes())).collect();
        let mut manifest = ImageManifest::new(Descriptor::of(media_type::EMPTY, b"{}"), layers);
        change(&mut manifest);
        RawManifest::image(&manifest).unwrap()
    }

    #[test]
    fn each_is_called_what_it_says_it_is() {
        let tag = |suffix: &str| ManifestRef::Tag(format!("sha256-0{suffix}"));
        let digest = ManifestRef::Digest(Digest::of(b"x"));
        let typed = |text: &str| Some(text.to_owned());
        let annotated = |it: &mut ImageManifest| drop(it.annotations.insert(PREDICATE_TYPE.to_owned(), "a:b".to_owned()));
        let table = [
            (manifest(&[media_type::SIMPLE_SIGNING; 2], |_| {}), tag(".sig"), CompanionKind::Signatures(2)),
            (manifest(&["application/vnd.dsse.envelope.v1+json"], |_| {}), tag(".att"), CompanionKind::Attestations(1)),
            (manifest(&["text/spdx"], |_| {}), tag(".sbom"), CompanionKind::Sbom),
            (manifest(&[media_type::BUNDLE], annotated), digest.clone(), CompanionKind::Bundle { predicate_type: typed("a:b") }),
            (manifest(&[media_type::BUNDLE], |_| {}), digest.clone(), CompanionKind::Bundle { predicate_type: None }),
            (
                manifest(&["a/b"], |it| it.artifact_type = Some("c/d".to_owned())),
                digest.clone(),
                CompanionKind::Referrer { artifact_type: typed("c/d") },
            ),
            (
                manifest(&["a/b"], |it| it.config = Descriptor::of("e/f", b"{}")),
                digest.clone(),
                CompanionKind::Referrer { artifact_type: typed("e/f") },
            ),
            (manifest(&[], |_| {}), digest.clone(), CompanionKind::Referrer { artifact_type: None }),
        ];
        for (raw, at, kind) in table {
            assert_eq!(CompanionKind::of(&raw, &at), kind, "{at}");
        }
        let damaged = RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: b"{".to_vec() };
        assert_eq!(CompanionKind::of(&damaged, &digest), CompanionKind::Referrer { artifact_type: None });
    }
}
