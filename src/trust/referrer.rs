//! Bundles in a store: manifests whose `subject` is the signed one
//! (<https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>).

use super::subject::Subject;
use super::{Finding, PrivateKey, PublicKey, Reason, TrustError, Verdict, bundle, dsse, fetch};
use crate::oci::{Annotations, Descriptor, Digest, ImageManifest, Manifest, ManifestRef, RawManifest, media_type};
use crate::store::Store;

/// Referrers of one manifest; more are refused.
const MAX_REFERRERS: usize = 4096;
/// What all versions of bundles begin with.
const BUNDLE_FAMILY: &str = "application/vnd.dev.sigstore.bundle";

/// A bundle, ready to be written.
pub(super) struct Signed {
    bundle: Vec<u8>,
    manifest: RawManifest,
}

impl Signed {
    pub(super) fn new(subject: &Subject, key: &PrivateKey) -> Result<Self, TrustError> {
        let bundle = bundle::sign(subject.digest(), key)?;
        let layer = Descriptor::of(media_type::BUNDLE, &bundle);
        let manifest = ImageManifest {
            artifact_type: Some(media_type::BUNDLE.to_owned()),
            subject: Some(subject.descriptor.clone()),
            annotations: annotations(),
            ..ImageManifest::new(Descriptor::of(media_type::EMPTY, b"{}"), vec![layer])
        };
        Ok(Self { bundle, manifest: RawManifest::image(&manifest)? })
    }

    pub(super) fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    /// Writes the blobs, then the manifest under its digest.
    pub(super) fn put(&self, store: &dyn Store) -> Result<(), TrustError> {
        store.put_blob(&Descriptor::of(media_type::EMPTY, b"{}"), &b"{}".to_vec())?;
        store.put_blob(&Descriptor::of(media_type::BUNDLE, &self.bundle), &self.bundle)?;
        Ok(store.put_manifest(&self.manifest, &ManifestRef::Digest(self.digest()))?)
    }
}

/// No `org.opencontainers.image.created`: no verifier reads it, and without a time the same signature is the same manifest
/// wherever and whenever it is made, so that signing again adds nothing.
fn annotations() -> Annotations {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Annotations::from([pair("dev.sigstore.bundle.content", "dsse-envelope"), pair("dev.sigstore.bundle.predicateType", dsse::COSIGN_SIGN)])
}

/// The manifest of a bundle by this key, where one is listed.
pub(super) fn find(store: &dyn Store, digest: Digest, key: &PublicKey) -> Result<Option<Digest>, TrustError> {
    let findings = examine(store, digest, std::slice::from_ref(key), &[])?;
    Ok(findings.into_iter().find(|finding| matches!(finding.verdict, Verdict::Accepted { .. })).map(|finding| finding.at))
}

/// Checks all bundles of a manifest: those that are listed, and those known otherwise.
///
/// Every referrer is opened, as cosign does, because the artifact type in the list is not to be relied on: some registries put
/// the config's media type there (go-containerregistry's does), and `rh-model-signing` attaches bundles under a type of its own.
pub(super) fn examine(store: &dyn Store, digest: Digest, keys: &[PublicKey], known: &[Digest]) -> Result<Vec<Finding>, TrustError> {
    let mut referrers = store.referrers(&digest)?;
    let count = referrers.len();
    if count > MAX_REFERRERS {
        return Err(TrustError::TooMany { what: "referrers", digest, count, limit: MAX_REFERRERS });
    }
    let listed: Vec<Digest> = referrers.iter().map(|referrer| referrer.digest).collect();
    let unlisted = known.iter().filter(|known| !listed.contains(known));
    referrers.extend(unlisted.map(|known| Descriptor::new(media_type::MANIFEST, *known, 0)));
    let judged = referrers.iter().map(|referrer| {
        let verdict = judge(store, referrer, digest, keys)?;
        Ok(verdict.map(|verdict| Finding { at: referrer.digest, verdict }))
    });
    judged.filter_map(Result::transpose).collect()
}

/// None for a referrer that is no bundle at all.
fn judge(store: &dyn Store, referrer: &Descriptor, digest: Digest, keys: &[PublicKey]) -> Result<Option<Verdict>, TrustError> {
    let raw = match fetch::manifest(store, referrer)? {
        Ok(raw) => raw,
        Err(reason) => return Ok(Some(Verdict::Refused(reason))),
    };
    let layer = match bundle_layer(&raw, digest) {
        Ok(Some(layer)) => layer,
        Ok(None) => return Ok(None),
        Err(reason) => return Ok(Some(Verdict::Refused(reason))),
    };
    Ok(Some(match fetch::blob(store, &layer, bundle::MAX_BUNDLE)? {
        Ok(bytes) => bundle::judge(&bytes, digest, keys),
        Err(reason) => Verdict::Refused(reason),
    }))
}

/// The bundle's blob. cosign ignores a manifest with more than one layer, so it does not count here.
fn bundle_layer(raw: &RawManifest, digest: Digest) -> Result<Option<Descriptor>, Reason> {
    let malformed = |what: String| Reason::Malformed { what };
    let manifest = match raw.parse() {
        Ok(Manifest::Image(manifest)) => manifest,
        Ok(Manifest::Index(_)) | Err(_) => return Ok(None),
    };
    if !manifest.layers.first().is_some_and(|layer| layer.media_type.starts_with(BUNDLE_FAMILY)) {
        return Ok(None);
    }
    let [layer] = manifest.layers.as_slice() else {
        return Err(malformed(format!("its manifest has {} layers, not one", manifest.layers.len())));
    };
    match manifest.subject {
        Some(subject) if subject.digest == digest => Ok(Some(layer.clone())),
        Some(subject) => Err(Reason::WrongDigest { named: subject.digest.to_string() }),
        None => Err(malformed("its manifest has no subject".to_owned())),
    }
}
