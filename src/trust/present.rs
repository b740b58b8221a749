//! What speaks about an image, by digest, whoever made it. For registries and lists; whether any of it is worth something is
//! [`verify()`](super::verify())'s question.

use super::attest::{PredicateType, attestations};
use super::bundle::referrer;
use super::{Says, TrustError, Trusted};
use crate::oci::{Digest, ManifestRef};
use crate::store::Store;

/// The first of each kind; **unverified**.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// The manifest behind the tag `sha256-<hex>.sig`.
    pub classic: Option<Digest>,
    /// The manifest of a bundle that says no more than "this is the image".
    pub bundle: Option<Digest>,
    /// What holds a bill of materials: a bundle's manifest, or an envelope in the `.att` image.
    pub sbom: Option<Digest>,
}

/// Looks for signatures and a bill of materials of a manifest, and trusts none of them.
///
/// # Errors
/// Whatever the store answers. Damaged ones are left out.
pub fn present(store: &dyn Store, digest: Digest) -> Result<Present, TrustError> {
    let nobody = Trusted::default();
    let bundles = referrer::examine(store, digest, &nobody, &[])?;
    let bundle = bundles.into_iter().find(|finding| matches!(finding.says, Says::Signed));
    let sbom = attestations(store, digest, PredicateType::CYCLONEDX, &nobody)?.into_iter().next();
    Ok(Present { classic: classic(store, digest)?, bundle: bundle.map(|finding| finding.at), sbom: sbom.map(|one| one.at) })
}

fn classic(store: &dyn Store, digest: Digest) -> Result<Option<Digest>, TrustError> {
    match store.get_manifest(&ManifestRef::Tag(format!("{}.sig", digest.as_tag()))) {
        Ok(raw) => Ok(Some(raw.digest())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
