//! Classic signatures in a store: adding to the `.sig` image, and checking what is in it.

use super::payload::{MAX_PAYLOAD, Payload};
use super::reason::shown;
use super::signature_image::{self, Layer, SignatureImage};
use super::{Finding, PrivateKey, PublicKey, Reason, TrustError, Verdict, fetch, identity};
use crate::oci::{Descriptor, Digest, Reference, media_type};
use crate::store::{MAX_MANIFEST, Store, StoreError};

/// A payload and its signature, ready to be added.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) identity: String,
    payload: Vec<u8>,
    layer: Layer,
}

impl Wanted {
    pub(super) fn new(digest: Digest, identity: &Reference, key: &PrivateKey) -> Result<Self, TrustError> {
        let payload = Payload::new(identity, digest).to_bytes()?;
        let layer = Layer::new(&payload, &key.sign(&payload));
        Ok(Self { identity: identity.to_string(), payload, layer })
    }

    pub(super) fn is_in(&self, image: &SignatureImage, key: &PublicKey) -> bool {
        image.holds(&self.payload, key)
    }

    /// Stores the payload, which has to be there before the image that lists it.
    pub(super) fn put_payload(&self, store: &dyn Store) -> Result<(), StoreError> {
        store.put_blob(&self.layer.payload(), &self.payload)
    }
}

/// The signature image as it is now; an empty one where there is none.
pub(super) fn read(store: &dyn Store, digest: Digest) -> Result<SignatureImage, TrustError> {
    let tag = signature_image::tag(digest);
    let raw = match store.get_manifest(&tag) {
        Ok(raw) => raw,
        Err(error) if error.is_not_found() => return Ok(SignatureImage::empty()),
        Err(error) => return Err(error.into()),
    };
    SignatureImage::parse(&raw).map_err(|what| TrustError::SignatureTag { tag: tag.to_string(), what: shown(&what) })
}

/// Writes the image with these signatures behind those it has.
pub(super) fn add(store: &dyn Store, digest: Digest, mut image: SignatureImage, wanted: &[&Wanted]) -> Result<(), TrustError> {
    for signature in wanted {
        image.push(signature.layer.clone());
    }
    check_room(digest, &image)?;
    let (raw, config) = image.finish()?;
    if raw.bytes.len() as u64 > MAX_MANIFEST {
        let what = format!("with one more signature it would have {} bytes", raw.bytes.len());
        return Err(TrustError::SignatureTag { tag: signature_image::tag(digest).to_string(), what });
    }
    if let Some(config) = config {
        store.put_blob(&Descriptor::of(media_type::CONFIG, &config), &config)?;
    }
    Ok(store.put_manifest(&raw, &signature_image::tag(digest))?)
}

fn check_room(digest: Digest, image: &SignatureImage) -> Result<(), TrustError> {
    let (count, limit) = (image.layers.len(), signature_image::MAX_LAYERS);
    if count > limit {
        return Err(TrustError::TooMany { what: "classic signatures", digest, count, limit });
    }
    Ok(())
}

/// Checks all classic signatures of a manifest.
pub(super) fn examine(
    store: &dyn Store,
    digest: Digest,
    keys: &[PublicKey],
    asked: Option<&Reference>,
) -> Result<Vec<Finding>, TrustError> {
    let raw = match store.get_manifest(&signature_image::tag(digest)) {
        Ok(raw) => raw,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let image = match SignatureImage::parse(&raw) {
        Ok(image) => image,
        Err(what) => return Ok(vec![Finding { at: raw.digest(), verdict: Verdict::Refused(Reason::Malformed { what: shown(&what) }) }]),
    };
    let judged = image.layers.iter().map(|layer| {
        let verdict = judge_layer(store, layer, digest, keys, asked)?;
        Ok(Finding { at: layer.payload().digest, verdict })
    });
    judged.collect()
}

fn judge_layer(
    store: &dyn Store,
    layer: &Layer,
    digest: Digest,
    keys: &[PublicKey],
    asked: Option<&Reference>,
) -> Result<Verdict, TrustError> {
    if !layer.is_classic() {
        return Ok(Verdict::Other(Reason::NotClassic { media_type: shown(&layer.payload().media_type) }));
    }
    let payload = match fetch::blob(store, &layer.payload(), MAX_PAYLOAD)? {
        Ok(payload) => payload,
        Err(reason) => return Ok(Verdict::Refused(reason)),
    };
    let Some(key) = signer(layer, &payload, keys) else {
        return Ok(if layer.is_keyless() { Verdict::Other(Reason::Keyless) } else { Verdict::Refused(Reason::NoKeyMatches) });
    };
    Ok(match judge_payload(&payload, digest, asked) {
        Ok(identity) => Verdict::Accepted { key: key.hint(), identity: Some(identity) },
        Err(reason) => Verdict::Refused(reason),
    })
}

fn signer<'k>(layer: &Layer, payload: &[u8], keys: &'k [PublicKey]) -> Option<&'k PublicKey> {
    let signature = layer.signature()?;
    keys.iter().find(|key| key.verify(payload, &signature))
}

/// Whether a payload, signed by a key that is trusted, speaks of this manifest under this name.
fn judge_payload(payload: &[u8], digest: Digest, asked: Option<&Reference>) -> Result<String, Reason> {
    let payload = Payload::parse(payload).map_err(|error| Reason::Malformed { what: shown(&error.to_string()) })?;
    if payload.digest() != digest {
        return Err(Reason::WrongDigest { named: payload.digest().to_string() });
    }
    asked.map_or(Ok(()), |asked| identity::check(asked, payload.identity()))?;
    Ok(payload.identity().to_owned())
}
