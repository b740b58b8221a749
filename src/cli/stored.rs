//! What a Tekton task is told about an image that is where it belongs.

use super::CliError;
use super::resolve::Found;
use crate::oci::{Annotations, Digest, Location, Manifest, ManifestRef, RawManifest, Reference};
use crate::report::tekton::{self, TektonResult};
use crate::store::StoreError;
use crate::trust::attest::slsa::Source;
use crate::trust::attest::{Attached, AttestReport, PredicateType};

/// Results and their values.
pub(super) type Values = Vec<(&'static TektonResult, String)>;

/// What names the image: with its tag, by its digest, and both without a tag. An image in a layout has no address that others know.
pub(super) fn named(location: &Location, digest: Digest) -> Values {
    let url = match location {
        Location::Registry(reference) => reference.tag().map_or_else(|| reference.name(), |tag| reference.tagged(tag).to_string()),
        Location::Layout { .. } | Location::Archive { .. } => String::new(),
    };
    vec![(tekton::IMAGE_URL, url), (tekton::IMAGE_DIGEST, digest.to_string()), (tekton::IMAGE_REF, location.at(digest).to_string())]
}

/// What names the image, the images of its platforms, and what they stand on.
///
/// # Errors
/// The manifest is none.
pub(super) fn stored(location: &Location, manifest: &RawManifest) -> Result<Values, CliError> {
    let (annotations, children) = match manifest.parse().map_err(StoreError::from)? {
        Manifest::Index(index) => (index.annotations, index.manifests.iter().map(|child| child.digest).collect()),
        Manifest::Image(image) => (image.annotations, Vec::new()),
    };
    let mut values = named(location, manifest.digest());
    values.push((tekton::IMAGES, images(location, manifest.digest(), &children)));
    let (base, digest) = base(&annotations);
    values.extend([(tekton::BASE_IMAGE_REF, base), (tekton::BASE_IMAGE_DIGEST, digest)]);
    Ok(values)
}

/// `REPOSITORY@DIGEST` of the index and of each image in it; only what is in a registry has such names.
fn images(location: &Location, index: Digest, children: &[Digest]) -> String {
    let Location::Registry(reference) = location else { return String::new() };
    let names = std::iter::once(&index).chain(children).map(|digest| reference.at(*digest).to_string());
    names.collect::<Vec<_>>().join(",")
}

/// `REPOSITORY@DIGEST` of the image below the model, and its digest; a stranger's words, so that they are read as what they have to be.
fn base(said: &Annotations) -> (String, String) {
    let digest = said.get("org.opencontainers.image.base.digest").and_then(|text| text.parse::<Digest>().ok());
    let name = said.get("org.opencontainers.image.base.name").and_then(|name| name.parse::<Reference>().ok());
    let Some(digest) = digest else { return Default::default() };
    (name.map(|name| name.at(digest).to_string()).unwrap_or_default(), digest.to_string())
}

/// Where the model is from as an object that Chains takes for a material: nothing where that is not known. Where nobody says a digest
/// of the source, that of the model's files stands for it.
pub(super) fn lineage(source: &Source) -> String {
    let Some(uri) = &source.uri else { return tekton::artifact("", "") };
    let named = |(algorithm, hex): (&String, &String)| match algorithm.as_str() {
        "sha256" | "sha384" | "sha512" | "sha1" => Some(format!("{algorithm}:{hex}")),
        // Git's own name for its object ids, which Chains does not know.
        "gitCommit" if hex.len() == 40 => Some(format!("sha1:{hex}")),
        "gitCommit" if hex.len() == 64 => Some(format!("sha256:{hex}")),
        _ => None,
    };
    let digest = source.digests.get_key_value("sha256").and_then(named).or_else(|| source.digests.iter().find_map(named));
    tekton::artifact(uri, &digest.unwrap_or_else(|| source.content.to_string()))
}

/// `REPOSITORY@DIGEST` of the document that attests the bill of materials, where it was attested.
///
/// # Errors
/// The store does not give back what was attached a moment ago.
pub(super) fn sbom(found: &Found, attested: &AttestReport) -> Result<String, CliError> {
    let kind = PredicateType::CYCLONEDX;
    let is_sbom = |what: &Attached| matches!(what, Attached::Attestation { predicate_type, .. } if predicate_type == kind);
    let Some(bill) = attested.attachments.iter().find(|one| is_sbom(&one.what)) else { return Ok(String::new()) };
    let Manifest::Image(image) = found.store.get_manifest(&bill.at)?.parse().map_err(StoreError::from)? else { return Ok(String::new()) };
    let is_meant = |layer: &&crate::oci::Descriptor| match bill.at {
        ManifestRef::Digest(_) => true,
        ManifestRef::Tag(_) => layer.annotations.get("predicateType").is_some_and(|said| said == kind),
    };
    let blob = image.layers.iter().rev().find(is_meant);
    Ok(blob.map(|blob| found.location.at(blob.digest).to_string()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, ImageIndex, Platform, media_type};

    fn index(annotations: &[(&str, &str)]) -> RawManifest {
        let children =
            ["amd64", "arm64"].map(|platform| Descriptor::of(media_type::MANIFEST, platform.as_bytes()).on(Platform::linux(platform)));
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        RawManifest::index(&ImageIndex { annotations, ..ImageIndex::new(children.to_vec()) }).unwrap()
    }

    fn value(values: &Values, wanted: &'static TektonResult) -> String {
        values.iter().find(|(result, _)| *result == wanted).unwrap().1.clone()
    }

    #[test]
    fn an_image_is_named_with_its_tag_and_by_its_digest_and_with_those_of_its_platforms() {
        let raw = index(&[]);
        let digest = raw.digest();
        let values = stored(&"quay.io/o/m:v1".parse().unwrap(), &raw).unwrap();
        assert_eq!(value(&values, tekton::IMAGE_URL), "quay.io/o/m:v1");
        assert_eq!(value(&values, tekton::IMAGE_DIGEST), digest.to_string());
        assert_eq!(value(&values, tekton::IMAGE_REF), format!("quay.io/o/m@{digest}"));
        let (amd64, arm64) = (Digest::of(b"amd64"), Digest::of(b"arm64"));
        assert_eq!(value(&values, tekton::IMAGES), format!("quay.io/o/m@{digest},quay.io/o/m@{amd64},quay.io/o/m@{arm64}"));
        assert_eq!(value(&values, tekton::BASE_IMAGE_REF), "");
        let pinned = stored(&format!("quay.io/o/m:v1@{digest}").parse().unwrap(), &raw).unwrap();
        assert_eq!(value(&pinned, tekton::IMAGE_URL), "quay.io/o/m:v1");
        let nameless = stored(&format!("quay.io/o/m@{digest}").parse().unwrap(), &raw).unwrap();
        assert_eq!(value(&nameless, tekton::IMAGE_URL), "quay.io/o/m");
    }

    #[test]
    fn an_image_in_a_layout_has_no_address_for_others() {
        let raw = index(&[]);
        let values = stored(&"oci:dir:quay.io/o/m:v1".parse().unwrap(), &raw).unwrap();
        assert_eq!((value(&values, tekton::IMAGE_URL), value(&values, tekton::IMAGES)), (String::new(), String::new()));
        assert_eq!(value(&values, tekton::IMAGE_REF), format!("oci:dir@{}", raw.digest()));
    }

    #[test]
    fn the_base_is_told_as_a_reference_and_a_digest_or_not_at_all() {
        const NAME: &str = "org.opencontainers.image.base.name";
        const DIGEST: &str = "org.opencontainers.image.base.digest";
        let digest = Digest::of(b"base").to_string();
        let told = |annotations: &[(&str, &str)]| {
            let values = stored(&"quay.io/o/m:v1".parse().unwrap(), &index(annotations)).unwrap();
            (value(&values, tekton::BASE_IMAGE_REF), value(&values, tekton::BASE_IMAGE_DIGEST))
        };
        let name = format!("q.io/ubi/ubi-micro@{digest}");
        // a tag beside the digest is what `${BASE_IMAGE//:*@/@}` was for elsewhere
        assert_eq!(told(&[(NAME, "q.io/ubi/ubi-micro:9.7"), (DIGEST, &digest)]), (name, digest.clone()));
        assert_eq!(told(&[(NAME, "no reference\n"), (DIGEST, &digest)]), (String::new(), digest));
        assert_eq!(told(&[(NAME, "q.io/ubi/ubi-micro:9.7"), (DIGEST, "latest\n")]), (String::new(), String::new()));
    }

    #[test]
    fn lineage_has_a_digest_that_chains_takes_and_the_models_own_where_nobody_says_one() {
        let content = Digest::of(b"model");
        let (sha1, sha256) = ("a".repeat(40), "b".repeat(64));
        let told = |uri: Option<&str>, digests: &[(&str, &str)]| {
            let digests = digests.iter().map(|(name, hex)| ((*name).to_owned(), (*hex).to_owned())).collect();
            lineage(&Source { uri: uri.map(str::to_owned), content, digests })
        };
        let uri = Some("s3://models/iris");
        for (digests, expected) in [
            (&[][..], content.to_string()),
            (&[("sha256", &*sha256), ("gitCommit", &*sha1)], format!("sha256:{sha256}")),
            (&[("gitCommit", &*sha1)], format!("sha1:{sha1}")),
            (&[("gitCommit", &*sha256)], format!("sha256:{sha256}")),
            (&[("gitCommit", "abcdef01")], content.to_string()),
            (&[("dirHash", &*sha256)], content.to_string()),
        ] {
            assert_eq!(told(uri, digests), tekton::artifact("s3://models/iris", &expected), "{digests:?}");
        }
        assert_eq!(told(None, &[("sha256", &sha256)]), tekton::Kind::Artifact.nothing());
    }
}
