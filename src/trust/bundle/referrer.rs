//! Bundles in a store: manifests whose `subject` is the signed one
//! (<https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>).

use super::document;
use crate::oci::{Annotations, Descriptor, Digest, ImageManifest, Manifest, ManifestRef, RawManifest, media_type};
use crate::store::Store;
use crate::trust::model_signing::PREDICATE_TYPE;
use crate::trust::subject::Subject;
use crate::trust::{Finding, Reason, Says, Signer, TrustError, Trusted, Verdict, fetch};

/// Referrers of one manifest; more are refused.
const MAX_REFERRERS: usize = 4096;
/// What all versions of bundles begin with.
const BUNDLE_FAMILY: &str = "application/vnd.dev.sigstore.bundle";

/// A bundle in its manifest, ready to be written.
pub(in crate::trust) struct Attached {
    bundle: Vec<u8>,
    config: Descriptor,
    manifest: RawManifest,
}

/// What a referrer with a bundle calls itself.
pub(in crate::trust) struct Kind {
    pub(in crate::trust) artifact_type: &'static str,
    pub(in crate::trust) config: &'static str,
}

/// What cosign writes.
const COSIGN: Kind = Kind { artifact_type: media_type::BUNDLE, config: media_type::EMPTY };

impl Attached {
    /// A bundle with a statement of this kind, attached to its subject.
    pub(in crate::trust) fn new(subject: &Subject, predicate_type: &str, bundle: Vec<u8>) -> Result<Self, TrustError> {
        Self::as_kind(&COSIGN, subject, predicate_type, bundle)
    }

    /// The same under other types than cosign's.
    pub(in crate::trust) fn as_kind(kind: &Kind, subject: &Subject, predicate_type: &str, bundle: Vec<u8>) -> Result<Self, TrustError> {
        let (layer, config) = (Descriptor::of(media_type::BUNDLE, &bundle), Descriptor::of(kind.config, b"{}"));
        let manifest = ImageManifest {
            artifact_type: Some(kind.artifact_type.to_owned()),
            subject: Some(subject.descriptor.clone()),
            annotations: annotations(predicate_type),
            ..ImageManifest::new(config.clone(), vec![layer])
        };
        Ok(Self { bundle, config, manifest: RawManifest::image(&manifest)? })
    }

    pub(in crate::trust) fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    /// Writes the blobs, then the manifest under its digest.
    pub(in crate::trust) fn put(&self, store: &dyn Store) -> Result<(), TrustError> {
        store.put_blob(&self.config, &b"{}".to_vec())?;
        store.put_blob(&Descriptor::of(media_type::BUNDLE, &self.bundle), &self.bundle)?;
        Ok(store.put_manifest(&self.manifest, &ManifestRef::Digest(self.digest()))?)
    }
}

/// Signs a statement about a manifest, and writes the bundle beside it.
pub(in crate::trust) fn state(
    store: &dyn Store,
    subject: &Subject,
    signer: &Signer,
    predicate_type: &str,
    statement: &[u8],
) -> Result<Digest, TrustError> {
    let attached = Attached::new(subject, predicate_type, signer.sign_statement(statement)?)?;
    attached.put(store)?;
    Ok(attached.digest())
}

/// No `org.opencontainers.image.created`: no verifier reads it, and without a time the same signature is the same manifest
/// wherever and whenever it is made, so that signing again adds nothing.
fn annotations(predicate_type: &str) -> Annotations {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Annotations::from([pair("dev.sigstore.bundle.content", "dsse-envelope"), pair("dev.sigstore.bundle.predicateType", predicate_type)])
}

/// The manifest of a signature by somebody trusted, where one is listed.
pub(in crate::trust) fn find(store: &dyn Store, digest: Digest, trusted: &Trusted) -> Result<Option<Digest>, TrustError> {
    let findings = examine(store, digest, trusted, &[])?;
    Ok(findings.into_iter().find(Finding::is_accepted_signature).map(|finding| finding.at))
}

/// Checks all bundles of a manifest: those that are listed, and those known otherwise.
pub(in crate::trust) fn examine(
    store: &dyn Store,
    digest: Digest,
    trusted: &Trusted,
    known: &[Digest],
) -> Result<Vec<Finding>, TrustError> {
    look_at_all(store, digest, known, &mut |at, bundle| {
        let (says, verdict) = match bundle {
            Ok(bytes) => as_of_image(document::judge(&bytes, digest, trusted)),
            Err(reason) => (Says::Unknown, Verdict::Refused(reason)),
        };
        Some(Finding::new(at, says, verdict))
    })
}

/// A model signature is about files, so that it names another digest, or its key in another way, is no fault of the image.
fn as_of_image((says, verdict): (Says, Verdict)) -> (Says, Verdict) {
    match (&says, &verdict) {
        (_, Verdict::Accepted(_)) => (says, verdict),
        (Says::Attested { predicate_type, .. }, _) if predicate_type == PREDICATE_TYPE => (says, Verdict::Other(Reason::ModelSignature)),
        _ => (says, verdict),
    }
}

/// A bundle, or why it cannot be read, and the manifest that holds it; gives what is to be kept of it.
type Look<'a, T> = dyn FnMut(Digest, Result<Vec<u8>, Reason>) -> Option<T> + 'a;

/// Shows all bundles of a manifest, one after the other: 4096 of them at once would be 4 GiB.
///
/// Every referrer is opened, as cosign does, because the artifact type in the list is not to be relied on: some registries put
/// the config's media type there (go-containerregistry's does), and `rh-model-signing` attaches bundles under a type of its own.
pub(in crate::trust) fn look_at_all<T>(
    store: &dyn Store,
    digest: Digest,
    known: &[Digest],
    look: &mut Look<'_, T>,
) -> Result<Vec<T>, TrustError> {
    // Their annotations, which may be megabytes, are not kept.
    let mut referrers: Vec<Descriptor> = store.referrers(&digest)?.iter().map(Descriptor::bare).collect();
    let count = referrers.len();
    if count > MAX_REFERRERS {
        return Err(TrustError::TooMany { what: "referrers", digest, count, limit: MAX_REFERRERS });
    }
    let listed: Vec<Digest> = referrers.iter().map(|referrer| referrer.digest).collect();
    let unlisted = known.iter().filter(|known| !listed.contains(known));
    referrers.extend(unlisted.map(|known| Descriptor::new(media_type::MANIFEST, *known, 0)));
    let mut seen = Vec::new();
    for referrer in &referrers {
        if let Some(bundle) = read(store, referrer, digest)? {
            seen.extend(look(referrer.digest, bundle));
        }
    }
    Ok(seen)
}

/// None for a referrer that is no bundle at all.
fn read(store: &dyn Store, referrer: &Descriptor, digest: Digest) -> Result<Option<Result<Vec<u8>, Reason>>, TrustError> {
    let raw = match fetch::manifest(store, referrer)? {
        Ok(raw) => raw,
        Err(reason) => return Ok(Some(Err(reason))),
    };
    match bundle_layer(&raw, digest) {
        Ok(Some(layer)) => fetch::blob(store, &layer, document::MAX_BUNDLE).map(Some),
        Ok(None) => Ok(None),
        Err(reason) => Ok(Some(Err(reason))),
    }
}

/// The bundle's blob. cosign ignores a manifest with more than one layer, so it does not count here.
fn bundle_layer(raw: &RawManifest, digest: Digest) -> Result<Option<Descriptor>, Reason> {
    let no_bundle = |what: String| Reason::NoBundle { what };
    let manifest = match raw.parse() {
        Ok(Manifest::Image(manifest)) => manifest,
        Ok(Manifest::Index(_)) | Err(_) => return Ok(None),
    };
    if !manifest.layers.first().is_some_and(|layer| layer.media_type.starts_with(BUNDLE_FAMILY)) {
        return Ok(None);
    }
    let [layer] = manifest.layers.as_slice() else {
        return Err(no_bundle(format!("its manifest has {} layers, not one", manifest.layers.len())));
    };
    match manifest.subject {
        Some(subject) if subject.digest == digest => Ok(Some(layer.clone())),
        Some(subject) => Err(Reason::WrongDigest { named: subject.digest.to_string() }),
        None => Err(no_bundle("its manifest has no subject".to_owned())),
    }
}
