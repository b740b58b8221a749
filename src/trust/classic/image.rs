//! The image behind the tag `sha256-<hex>.sig`: one layer per classic signature
//! (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>), and its sister behind `sha256-<hex>.att`: one per
//! attestation (<https://github.com/sigstore/cosign/blob/main/specs/ATTESTATION_SPEC.md>). Pure: bytes in, bytes out.
//!
//! The tag is shared by everybody who signs. Members and annotations that modelcar does not know are carried along as they
//! are: the certificates and log entries of keyless signers live there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::image::copy::Merged;
use crate::oci::{Annotations, Descriptor, Digest, ImageConfig, ManifestRef, RawManifest, canonical, is_modest, media_type};
use crate::trust::{Reason, SignedBy, Trusted};

/// The base64 of the signature over the layer's bytes.
pub(in crate::trust) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The certificate of a keyless signature, as PEM.
pub(in crate::trust) const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
/// Signatures of one manifest; more are refused.
pub(in crate::trust) const MAX_LAYERS: usize = 4096;

/// The tag under which everybody looks for a manifest's classic signatures.
pub(in crate::trust) fn tag(digest: Digest) -> ManifestRef {
    ManifestRef::Tag(format!("{}.sig", digest.as_tag()))
}

/// The tag under which cosign 1 and 2 look for a manifest's attestations.
pub(in crate::trust) fn attestations_tag(digest: Digest) -> ManifestRef {
    ManifestRef::Tag(format!("{}.att", digest.as_tag()))
}

/// One image of two that speak of the same manifest: what is there, then what comes and is not there yet. `Ok(None)` where nothing
/// is new; otherwise the document, and its config where it has one of its own.
///
/// # Errors
/// What is wrong with the one that is no signature image.
pub fn merge(there: &RawManifest, coming: &RawManifest) -> Result<Merged, String> {
    let mut image = SignatureImage::parse(there)?;
    if !image.take_over(SignatureImage::parse(coming)?) {
        return Ok(None);
    }
    if image.layers.len() > MAX_LAYERS {
        return Err(format!("together they have {} layers, at most {MAX_LAYERS} are read", image.layers.len()));
    }
    image.finish().map(Some).map_err(|error| error.to_string())
}

/// The manifest of the signature image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::trust) struct SignatureImage {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Descriptor,
    pub(in crate::trust) layers: Vec<Layer>,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A payload and who signed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::trust) struct Layer {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Layer {
    /// A classic payload, and the annotations that hold its signature.
    pub(in crate::trust) fn new(payload: &[u8], annotations: Annotations) -> Self {
        Self::of(media_type::SIMPLE_SIGNING, payload, annotations)
    }

    /// An envelope, which holds its signature itself.
    pub(in crate::trust) fn envelope(envelope: &[u8], annotations: Annotations) -> Self {
        Self::of(media_type::DSSE_ENVELOPE, envelope, annotations)
    }

    fn of(media_type: &str, payload: &[u8], annotations: Annotations) -> Self {
        Self { media_type: media_type.to_owned(), digest: Digest::of(payload), size: payload.len() as u64, annotations, other: Map::new() }
    }

    /// Where the payload is.
    pub(in crate::trust) fn payload(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.size)
    }

    /// Whether this is a classic signature at all.
    pub(in crate::trust) fn is_classic(&self) -> bool {
        self.media_type == media_type::SIMPLE_SIGNING && self.annotations.contains_key(SIGNATURE)
    }

    /// The signature; none if its base64 is damaged.
    fn signature(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.annotations.get(SIGNATURE)?).ok()
    }

    /// Whether a certificate came with it, so that no key will match.
    pub(in crate::trust) fn is_keyless(&self) -> bool {
        self.annotations.contains_key(CERTIFICATE)
    }

    /// Who of the trusted made the signature.
    pub(in crate::trust) fn signer(&self, payload: &[u8], trusted: &Trusted) -> Result<SignedBy, Reason> {
        if let Some(by) = self.signature().and_then(|signature| trusted.signer(payload, &signature)) {
            return Ok(by);
        }
        match &trusted.certificates {
            Some(certificates) if self.is_keyless() => certificates.judge_classic(payload, &self.annotations),
            None if self.is_keyless() => Err(Reason::Keyless),
            Some(_) if trusted.keys.is_empty() => Err(Reason::ByKey),
            _ => Err(Reason::NoKeyMatches),
        }
    }

    /// Whether this is an attestation.
    pub(in crate::trust) fn is_envelope(&self) -> bool {
        self.media_type == media_type::DSSE_ENVELOPE
    }

    fn holds(&self, payload: &[u8], trusted: &Trusted) -> bool {
        self.digest == Digest::of(payload) && (self.is_envelope() || (self.is_classic() && self.signer(payload, trusted).is_ok()))
    }
}

impl SignatureImage {
    /// One without signatures.
    pub(in crate::trust) fn empty() -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::MANIFEST.to_owned(),
            config: Descriptor::of(media_type::CONFIG, b""),
            layers: Vec::new(),
            annotations: Annotations::new(),
            other: Map::new(),
        }
    }

    /// Reads what the tag holds; says what is wrong if that is no signature image.
    pub(in crate::trust) fn parse(raw: &RawManifest) -> Result<Self, String> {
        if raw.media_type != media_type::MANIFEST {
            return Err(format!("it is `{}`, which podman and OpenShift do not read there", raw.media_type));
        }
        if !is_modest(&raw.bytes) {
            return Err("it has more members than are read".to_owned());
        }
        let image: Self = serde_json::from_slice(&raw.bytes).map_err(|error| error.to_string())?;
        if image.layers.len() > MAX_LAYERS {
            return Err(format!("it has {} layers, at most {MAX_LAYERS} are read", image.layers.len()));
        }
        Ok(image)
    }

    /// Whether a signature of this payload by somebody trusted is there. Signatures are compared by who made them, not by their
    /// bytes: cosign's are random.
    pub(in crate::trust) fn holds(&self, payload: &[u8], trusted: &Trusted) -> bool {
        self.layers.iter().any(|layer| layer.holds(payload, trusted))
    }

    /// What others than signers put there. Readers pass over it, but who puts it there tends to replace the image.
    pub(in crate::trust) fn squatters(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().filter(|layer| !layer.annotations.contains_key(SIGNATURE)).map(|layer| layer.media_type.as_str())
    }

    /// Adds the layers of another image that are not there yet; tells whether there were any.
    fn take_over(&mut self, other: Self) -> bool {
        let before = self.layers.len();
        for layer in other.layers {
            if !self.layers.contains(&layer) {
                self.layers.push(layer);
            }
        }
        self.layers.len() > before
    }

    /// Adds a signature behind those that are there.
    pub(in crate::trust) fn push(&mut self, layer: Layer) {
        self.layers.push(layer);
    }

    /// The image with a config that fits its layers, and that config. A foreign kind of config stays as it is.
    pub(in crate::trust) fn finish(mut self) -> serde_json::Result<(RawManifest, Option<Vec<u8>>)> {
        let mut config = None;
        if self.config.media_type == media_type::CONFIG {
            let bytes = canonical::to_vec(&self.config_document())?;
            self.config = Descriptor::of(media_type::CONFIG, &bytes);
            config = Some(bytes);
        }
        media_type::MANIFEST.clone_into(&mut self.media_type);
        let raw = RawManifest { media_type: self.media_type.clone(), bytes: canonical::to_vec(&self)? };
        Ok((raw, config))
    }

    /// The payloads are not compressed, so each is its own diff ID. Platform and time stay empty, as cosign leaves them.
    fn config_document(&self) -> ImageConfig {
        let mut config = ImageConfig::default();
        config.rootfs.diff_ids = self.layers.iter().map(|layer| layer.digest).collect();
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::PrivateKey;

    fn by(signature: &[u8]) -> Annotations {
        Annotations::from([(SIGNATURE.to_owned(), STANDARD.encode(signature))])
    }

    fn raw(json: &Value) -> RawManifest {
        RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: serde_json::to_vec(json).unwrap() }
    }

    fn cosigns() -> Value {
        serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::MANIFEST, "x-unknown": {"a": [1]},
            "config": {"mediaType": media_type::CONFIG, "digest": Digest::of(b"c"), "size": 1},
            "layers": [{
                "mediaType": media_type::SIMPLE_SIGNING, "digest": Digest::of(b"p"), "size": 1, "data": "cA==",
                "annotations": {SIGNATURE: "AAAA", "dev.sigstore.cosign/certificate": "PEM", "x.y/z": "\u{e4}"},
            }],
            "annotations": {"org.example": "1"},
        })
    }

    #[test]
    fn carries_along_what_it_does_not_know() {
        let mut image = SignatureImage::parse(&raw(&cosigns())).unwrap();
        image.push(Layer::new(b"payload", by(b"signature")));
        let (merged, config) = image.finish().unwrap();
        let mut merged: Value = serde_json::from_slice(&merged.bytes).unwrap();
        let ours = merged["layers"].as_array_mut().unwrap().pop().unwrap();
        assert_eq!(ours["digest"], Digest::of(b"payload").to_string());
        let mut expected = cosigns();
        expected["config"] = merged["config"].clone();
        assert_eq!(merged, expected);
        let config: Value = serde_json::from_slice(&config.unwrap()).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([Digest::of(b"p"), Digest::of(b"payload")]));
    }

    #[test]
    fn leaves_a_foreign_config_alone() {
        let mut other = cosigns();
        other["config"]["mediaType"] = "application/vnd.model-signing.signature.v0.1.config+json".into();
        let (raw, config) = SignatureImage::parse(&raw(&other)).unwrap().finish().unwrap();
        assert!(config.is_none());
        assert_eq!(serde_json::from_slice::<Value>(&raw.bytes).unwrap(), other);
    }

    #[test]
    fn knows_its_own_signature_again_and_nobody_elses() {
        let (key, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        let [mine, theirs] = [&key, &other].map(|key| Trusted::keys(vec![key.public()]));
        let mut image = SignatureImage::empty();
        image.push(Layer::new(b"payload", by(&key.sign(b"payload").unwrap())));
        assert!(image.holds(b"payload", &mine));
        assert!(!image.holds(b"payload", &theirs));
        assert!(!image.holds(b"other", &mine));
    }

    #[test]
    fn refuses_what_is_no_signature_image() {
        let index = RawManifest { media_type: media_type::INDEX.to_owned(), bytes: b"{}".to_vec() };
        assert!(SignatureImage::parse(&index).unwrap_err().contains("image.index"));
        let mut crowded = cosigns();
        crowded["layers"] = vec![cosigns()["layers"][0].clone(); MAX_LAYERS + 1].into();
        assert!(SignatureImage::parse(&raw(&crowded)).unwrap_err().contains("4097"));
        assert!(SignatureImage::parse(&raw(&serde_json::json!({"schemaVersion": 2}))).is_err());
    }

    #[test]
    fn merging_keeps_all_of_both_and_adds_nothing_twice() {
        let mut ours = SignatureImage::empty();
        ours.push(Layer::new(b"payload", by(b"signature")));
        let (ours, _) = ours.finish().unwrap();
        let (both, config) = merge(&raw(&cosigns()), &ours).unwrap().unwrap();
        assert!(config.is_some());
        let document: Value = serde_json::from_slice(&both.bytes).unwrap();
        assert_eq!(document["layers"].as_array().unwrap().len(), 2);
        assert_eq!(document["layers"][0], cosigns()["layers"][0]);
        assert_eq!(merge(&both, &ours).unwrap(), None);
        assert_eq!(merge(&both, &raw(&cosigns())).unwrap(), None);
        assert!(merge(&both, &RawManifest { media_type: media_type::INDEX.to_owned(), bytes: b"{}".to_vec() }).is_err());
    }

    #[test]
    fn is_named_by_the_digest_it_signs() {
        let ManifestRef::Tag(tag) = tag(Digest::of(b"")) else { panic!("not a tag") };
        assert_eq!(tag, "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855.sig");
    }
}
