//! Classic signatures in a store: adding to the `.sig` image, and checking what is in it.

use image::{Layer, SignatureImage};
use payload::{MAX_PAYLOAD, Payload};

use super::reason::shown;
use super::{Finding, Proof, Reason, Says, SignatureTag, Signer, TrustError, Trusted, Verdict, fetch};
use crate::oci::{Descriptor, Digest, Reference, media_type};
use crate::store::{MAX_MANIFEST, Store, StoreError};

pub(super) mod identity;
pub(super) mod image;
mod payload;

/// A payload that shall be signed, unless it is already.
pub(in crate::trust) struct Wanted {
    pub(in crate::trust) identity: String,
    payload: Vec<u8>,
    /// With its signature, once it is known to be missing: a log remembers every signature that is made.
    layer: Option<Layer>,
}

impl Wanted {
    pub(in crate::trust) fn new(digest: Digest, identity: &Reference) -> Result<Self, TrustError> {
        Ok(Self { identity: identity.to_string(), payload: Payload::new(identity, digest).to_bytes()?, layer: None })
    }

    /// Signs it, once.
    pub(in crate::trust) fn sign(&mut self, signer: &Signer) -> Result<(), TrustError> {
        if self.layer.is_none() {
            self.layer = Some(Layer::new(&self.payload, signer.sign_payload(&self.payload)?));
        }
        Ok(())
    }

    pub(in crate::trust) fn is_in(&self, image: &SignatureImage, trusted: &Trusted) -> bool {
        image.holds(&self.payload, trusted)
    }

    /// Stores the payload, which has to be there before the image that lists it.
    pub(in crate::trust) fn put_payload(&self, store: &dyn Store) -> Result<(), StoreError> {
        store.put_blob(&Descriptor::of(media_type::SIMPLE_SIGNING, &self.payload), &self.payload)
    }
}

/// The signature image as it is now; an empty one where there is none.
pub(in crate::trust) fn read(store: &dyn Store, digest: Digest) -> Result<SignatureImage, TrustError> {
    let tag = image::tag(digest);
    let raw = match store.get_manifest(&tag) {
        Ok(raw) => raw,
        Err(error) if error.is_not_found() => return Ok(SignatureImage::empty()),
        Err(error) => return Err(error.into()),
    };
    SignatureImage::parse(&raw).map_err(|what| TrustError::SignatureTag { tag: tag.to_string(), what: shown(&what) })
}

/// Writes the image with these signatures behind those it has.
pub(in crate::trust) fn add(store: &dyn Store, digest: Digest, mut image: SignatureImage, wanted: &[&Wanted]) -> Result<(), TrustError> {
    wanted.iter().filter_map(|wanted| wanted.layer.clone()).for_each(|layer| image.push(layer));
    check_room(digest, &image)?;
    let (raw, config) = image.finish()?;
    if raw.bytes.len() as u64 > MAX_MANIFEST {
        let what = format!("with one more signature it would have {} bytes", raw.bytes.len());
        return Err(TrustError::SignatureTag { tag: image::tag(digest).to_string(), what });
    }
    if let Some(config) = config {
        store.put_blob(&Descriptor::of(media_type::CONFIG, &config), &config)?;
    }
    Ok(store.put_manifest(&raw, &image::tag(digest))?)
}

fn check_room(digest: Digest, image: &SignatureImage) -> Result<(), TrustError> {
    let (count, limit) = (image.layers.len(), image::MAX_LAYERS);
    if count > limit {
        return Err(TrustError::TooMany { what: "classic signatures", digest, count, limit });
    }
    Ok(())
}

/// What the tag holds, and a check of all classic signatures behind it.
pub(in crate::trust) fn examine(store: &dyn Store, digest: Digest, trusted: &Trusted) -> Result<(SignatureTag, Vec<Finding>), TrustError> {
    let raw = match store.get_manifest(&image::tag(digest)) {
        Ok(raw) => raw,
        Err(error) if error.is_not_found() => return Ok((SignatureTag::default(), Vec::new())),
        Err(error) => return Err(error.into()),
    };
    let image = match SignatureImage::parse(&raw) {
        Ok(image) => image,
        Err(what) => {
            let findings = vec![finding(raw.digest(), Verdict::Refused(Reason::Malformed { what: shown(&what) }))];
            return Ok((SignatureTag { present: true, squatters: Vec::new() }, findings));
        }
    };
    let tag = SignatureTag { present: true, squatters: image.squatters().map(shown).collect() };
    let judged = image.layers.iter().map(|layer| {
        let verdict = judge_layer(store, layer, digest, trusted)?;
        Ok(finding(layer.payload().digest, verdict))
    });
    Ok((tag, judged.collect::<Result<_, TrustError>>()?))
}

fn finding(at: Digest, verdict: Verdict) -> Finding {
    Finding { at, says: Says::Signed, verdict }
}

fn judge_layer(store: &dyn Store, layer: &Layer, digest: Digest, trusted: &Trusted) -> Result<Verdict, TrustError> {
    if !layer.is_classic() {
        return Ok(Verdict::Other(Reason::NotClassic { media_type: shown(&layer.payload().media_type) }));
    }
    let payload = match fetch::blob(store, &layer.payload(), MAX_PAYLOAD)? {
        Ok(payload) => payload,
        Err(reason) => return Ok(Verdict::Refused(reason)),
    };
    let judged = layer.signer(&payload, trusted).and_then(|by| Ok(Proof { by, name: Some(judge_payload(&payload, digest)?) }));
    Ok(match judged {
        Ok(proof) => Verdict::Accepted(proof),
        Err(reason) if reason.is_foreign() => Verdict::Other(reason),
        Err(reason) => Verdict::Refused(reason),
    })
}

/// Whether a payload, signed by somebody who is trusted, speaks of this manifest; and under which name.
fn judge_payload(payload: &[u8], digest: Digest) -> Result<String, Reason> {
    let payload = Payload::parse(payload).map_err(|error| Reason::Malformed { what: shown(&error.to_string()) })?;
    if payload.digest() != digest {
        return Err(Reason::WrongDigest { named: payload.digest().to_string() });
    }
    Ok(payload.identity().to_owned())
}
