//! Classic signatures in a store: adding to the `.sig` image, and checking what is in it.

use image::{Layer, SignatureImage};
use payload::MAX_PAYLOAD;
pub(super) use payload::Payload;

use super::reason::shown;
use super::subject::Subject;
use super::{Finding, Outcome, Proof, Reason, Says, SignatureTag, Signer, TrustError, Trusted, Verdict, fetch};
use crate::oci::{Annotations, Descriptor, Digest, ManifestRef, Reference, media_type};
use crate::store::{MAX_MANIFEST, Store, StoreError};

pub(super) mod identity;
pub(super) mod image;
mod payload;
pub(super) mod rounds;

/// An image beside a manifest: the `.sig` image, or the `.att` image.
#[derive(Clone, Debug)]
pub(in crate::trust) struct Place {
    /// The manifest that it speaks about.
    pub(in crate::trust) subject: Subject,
    /// Where it is.
    pub(in crate::trust) tag: ManifestRef,
}

impl Place {
    /// Where the classic signatures are.
    pub(in crate::trust) fn of_signatures(subject: &Subject) -> Self {
        Self { subject: subject.clone(), tag: image::tag(subject.digest()) }
    }

    /// Where the attestations are.
    pub(in crate::trust) fn of_attestations(subject: &Subject) -> Self {
        Self { subject: subject.clone(), tag: image::attestations_tag(subject.digest()) }
    }
}

/// A payload that shall be signed, unless it is already.
pub(in crate::trust) struct Wanted {
    /// The name that a signature vouches for, or the type of an attestation.
    pub(in crate::trust) identity: String,
    /// Whether it was there.
    pub(in crate::trust) outcome: Outcome,
    payload: Vec<u8>,
    /// With its signature, once it is known to be missing: a log remembers every signature that is made.
    layer: Option<Layer>,
}

impl Wanted {
    pub(in crate::trust) fn new(digest: Digest, identity: &Reference) -> Result<Self, TrustError> {
        let payload = Payload::new(identity, digest).to_bytes()?;
        Ok(Self { identity: identity.to_string(), outcome: Outcome::AlreadyThere, payload, layer: None })
    }

    /// An attestation of this type in its signed envelope.
    pub(in crate::trust) fn attestation(predicate_type: &str, envelope: Vec<u8>, annotations: Annotations) -> Self {
        let layer = Some(Layer::envelope(&envelope, annotations));
        Self { identity: predicate_type.to_owned(), outcome: Outcome::AlreadyThere, payload: envelope, layer }
    }

    /// Signs it, unless that is done.
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
    fn put_payload(&self, store: &dyn Store) -> Result<(), StoreError> {
        let Some(layer) = &self.layer else { return Ok(()) };
        store.put_blob(&layer.payload(), &self.payload)
    }
}

/// The image behind a tag as it is now; an empty one where there is none.
fn read(store: &dyn Store, tag: &ManifestRef) -> Result<SignatureImage, TrustError> {
    let raw = match store.get_manifest(tag) {
        Ok(raw) => raw,
        Err(error) if error.is_not_found() => return Ok(SignatureImage::empty()),
        Err(error) => return Err(error.into()),
    };
    SignatureImage::parse(&raw).map_err(|what| TrustError::SignatureTag { tag: tag.to_string(), what: shown(&what) })
}

/// Writes the image behind the tag with these signatures behind those it has.
fn add(store: &dyn Store, place: &Place, mut image: SignatureImage, missing: &[&mut Wanted]) -> Result<(), TrustError> {
    missing.iter().filter_map(|wanted| wanted.layer.clone()).for_each(|layer| image.push(layer));
    check_room(place.subject.digest(), &image)?;
    let (raw, config) = image.finish()?;
    if raw.bytes.len() as u64 > MAX_MANIFEST {
        let what = format!("with one more signature it would have {} bytes", raw.bytes.len());
        return Err(TrustError::SignatureTag { tag: place.tag.to_string(), what });
    }
    if let Some(config) = config {
        store.put_blob(&Descriptor::of(media_type::CONFIG, &config), &config)?;
    }
    Ok(store.put_manifest(&raw, &place.tag)?)
}

fn check_room(digest: Digest, image: &SignatureImage) -> Result<(), TrustError> {
    let (count, limit) = (image.layers.len(), image::MAX_LAYERS);
    if count > limit {
        return Err(TrustError::TooMany { what: "signatures or attestations", digest, count, limit });
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
