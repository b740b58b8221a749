use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::oci::{Descriptor, Digest, ManifestRef, media_type};
use crate::trust::bundle::dsse;
use crate::trust::classic::image;
use crate::trust::testing::{self, Content, Meddled, MemoryStore};
use crate::trust::{AttestationKind, Format, PrivateKey, PublicKey, Reason, Scope, SignRequest, Signer, sign};

const NAME: &str = "q.io/org/iris:v1";
/// A reader of each format that reads no other.
const READERS: [Consumer; 2] = [Consumer::OpenShift, Consumer::CosignV4];
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What is changed, how, and the reason to expect.
type ClassicCase = (&'static str, fn(&Signed), &'static str);
type BundleCase = (&'static str, fn(&mut Value), &'static str);

struct Signed {
    store: MemoryStore,
    manifest: RawManifest,
    key: PrivateKey,
    report: SignReport,
}

fn signed(make: fn(&MemoryStore) -> RawManifest) -> Signed {
    let (store, key) = (MemoryStore::default(), PrivateKey::generate().unwrap());
    let manifest = make(&store);
    let identities = [NAME.to_owned()];
    let signer = Signer::Key(key);
    let report =
        sign(&SignRequest { store: &store, manifest: manifest.clone(), identities: &identities, signer: &signer, scope: Scope::All })
            .unwrap();
    let Signer::Key(key) = signer else { unreachable!("these tests sign with keys") };
    Signed { store, manifest, key, report }
}

fn signed_image() -> Signed {
    signed(|store| testing::image(store, "amd64"))
}

impl Signed {
    fn refusals_for(&self, name: Option<&str>, keys: &[PublicKey]) -> Vec<Refusal> {
        let trusted = Trusted::keys(keys.to_vec());
        verify(&VerifyRequest { identity: name, ..self.request(&trusted) }).unwrap().refusals()
    }

    /// Verification by name, for a reader of each format.
    fn request<'a>(&'a self, trusted: &'a Trusted) -> VerifyRequest<'a> {
        VerifyRequest {
            store: &self.store,
            manifest: self.manifest.clone(),
            trusted,
            identity: Some(NAME),
            consumers: &READERS,
            required: &[],
            now: crate::oci::Timestamp::default(),
            layers: None,
            just_signed: None,
        }
    }

    fn trusted(&self) -> Trusted {
        Trusted::keys(vec![self.key.public()])
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.refusals_for(Some(NAME), &[self.key.public()])
    }

    fn assert_refused(&self, what: &str, format: Format, expected: &str) {
        let refusals = self.refusals();
        let refusal = refusals.iter().find(|refusal| refusal.refused.objection.to_string().starts_with(&format!("{format}: ")));
        let refusal = refusal.unwrap_or_else(|| panic!("{what}: passed; {refusals:?}"));
        assert!(refusal.refused.objection.to_string().contains(expected), "{what}: {refusal}");
    }

    /// Changes the signature image and moves the tag to it.
    fn change_signatures(&self, change: impl FnOnce(&mut Value, &mut Content)) {
        let tag = image::tag(self.manifest.digest());
        let raw = self.store.get_manifest(&tag).unwrap();
        let mut document = serde_json::from_slice(&raw.bytes).unwrap();
        self.store.tamper(|content| {
            change(&mut document, content);
            let raw = RawManifest { media_type: raw.media_type, bytes: serde_json::to_vec(&document).unwrap() };
            content.tags.insert(tag.to_string(), raw.digest());
            content.manifests.insert(raw.digest(), raw);
        });
    }

    /// Replaces the payload by another one, with everything that points to it.
    fn change_payload(&self, change: impl FnOnce(&str) -> String, resign: Option<&PrivateKey>) {
        self.change_signatures(|document, content| {
            let layer = &mut document["layers"][0];
            let old = &content.blobs[&layer["digest"].as_str().unwrap().parse().unwrap()];
            let new = change(std::str::from_utf8(old).unwrap()).into_bytes();
            layer["digest"] = Digest::of(&new).to_string().into();
            layer["size"] = new.len().into();
            if let Some(key) = resign {
                layer["annotations"][SIGNATURE] = STANDARD.encode(key.sign(&new).unwrap()).into();
            }
            content.blobs.insert(Digest::of(&new), new);
        });
    }

    /// Replaces the bundle by another one, with everything that points to it.
    fn change_bundle(&self, change: impl FnOnce(&mut Value)) {
        self.store.tamper(|content| {
            let (digest, raw) = content.manifests.iter().find(|(_, raw)| is_bundle(raw)).unwrap();
            let (digest, mut manifest) = (*digest, serde_json::from_slice::<Value>(&raw.bytes).unwrap());
            let blob = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
            let mut bundle = serde_json::from_slice(&content.blobs[&blob]).unwrap();
            change(&mut bundle);
            let bytes = serde_json::to_vec(&bundle).unwrap();
            manifest["layers"][0] = serde_json::to_value(Descriptor::of(media_type::BUNDLE, &bytes)).unwrap();
            content.blobs.insert(Digest::of(&bytes), bytes);
            let raw = RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: serde_json::to_vec(&manifest).unwrap() };
            content.manifests.remove(&digest);
            content.manifests.insert(raw.digest(), raw);
        });
    }
}

/// Why, apart from who says so.
fn reasons(refusals: &[Refusal]) -> Vec<Reason> {
    let reason = |refusal: &Refusal| match &refusal.refused.objection {
        Objection::NoneGood { reason, .. } => reason.clone(),
        other => panic!("{other}"),
    };
    refusals.iter().map(reason).collect()
}

fn is_bundle(raw: &RawManifest) -> bool {
    String::from_utf8_lossy(&raw.bytes).contains("\"subject\"")
}

#[test]
fn passes_by_tag_by_digest_and_without_a_name() {
    let signed = signed(testing::index);
    let by_digest = format!("q.io/org/iris@{}", signed.manifest.digest());
    for name in [Some(NAME), Some(by_digest.as_str()), None] {
        assert_eq!(signed.refusals_for(name, &[signed.key.public()]), [], "{name:?}");
    }
}

#[test]
fn one_of_several_keys_is_enough() {
    let signed = signed_image();
    let other = PrivateKey::generate().unwrap().public();
    assert_eq!(signed.refusals_for(Some(NAME), &[other, signed.key.public()]), []);
}

#[test]
fn refuses_another_tag_another_repository_and_another_key() {
    let signed = signed_image();
    let key = [signed.key.public()];
    for name in ["q.io/org/iris:prod", "q.io/org/other:v1"] {
        let refusals = signed.refusals_for(Some(name), &key);
        // A bundle names no image, so only the classic signature can tell.
        assert_eq!(refusals.len(), 1, "{name}");
        let reason = Reason::Identity { signed: NAME.to_owned(), asked: name.to_owned() };
        assert_eq!(refusals[0].refused.objection, Objection::NoneGood { format: Format::Classic, reason });
    }
    let refusals = signed.refusals_for(Some(NAME), &[PrivateKey::generate().unwrap().public()]);
    assert_eq!(reasons(&refusals), [Reason::NoKeyMatches, Reason::OtherKey { hint: signed.key.public().hint() }]);
}

#[test]
fn an_unsigned_image_is_refused_in_both_worlds_and_on_every_platform() {
    let mut unsigned = signed_image();
    unsigned.store = MemoryStore::default();
    unsigned.manifest = testing::index(&unsigned.store);
    let refusals = unsigned.refusals();
    // OpenShift reads the index and each platform, cosign what the reference names
    assert_eq!(reasons(&refusals), [Reason::NoSignature, Reason::NoSignature, Reason::NoSignature, Reason::NoSignature]);
    let text = refusals[1].to_string();
    assert!(text.starts_with("openshift: ") && text.ends_with("(linux/amd64): classic signature: no signature exists"), "{text}");
}

#[test]
fn half_signed_is_refused_and_names_the_missing_half() {
    let classic_only = signed_image();
    classic_only.store.tamper(|content| content.manifests.retain(|_, raw| !is_bundle(raw)));
    classic_only.assert_refused("no bundle", Format::Bundle, "no signature exists");
    assert_eq!(classic_only.refusals().len(), 1);
    let bundle_only = signed_image();
    bundle_only.store.tamper(|content| content.tags.clear());
    bundle_only.assert_refused("no classic signature", Format::Classic, "no signature exists");
    assert_eq!(bundle_only.refusals().len(), 1);
}

#[test]
fn an_unsigned_or_missing_platform_refuses_the_whole_index() {
    let signed = signed(testing::index);
    let child = subjects(&signed.manifest).unwrap()[2].clone();
    let tag = image::tag(child.digest()).to_string();
    signed.store.tamper(|content| content.tags.retain(|name, _| *name != tag));
    let refusals = signed.refusals();
    assert_eq!((refusals.len(), &refusals[0].refused.platform), (1, &child.platform));
    signed.store.tamper(|content| drop(content.manifests.remove(&child.digest())));
    assert_eq!(signed.refusals()[0].refused.objection, Objection::NoManifest);
}

#[test]
fn a_changed_manifest_has_no_signature() {
    let mut signed = signed_image();
    signed.manifest.bytes.push(b'\n');
    let raw = signed.manifest.clone();
    signed.store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
    let refusals = signed.refusals();
    assert_eq!(refusals.len(), 2);
    assert_eq!(reasons(&refusals), [Reason::NoSignature, Reason::NoSignature]);
}

#[test]
fn signatures_moved_from_another_image_are_refused() {
    let mut signed = signed_image();
    let stolen = signed.store.get_manifest(&image::tag(signed.manifest.digest())).unwrap();
    let named = signed.manifest.digest().to_string();
    let bundle = signed.store.referrers(&signed.manifest.digest()).unwrap().remove(0);
    signed.manifest = testing::image(&signed.store, "evil");
    signed.store.put_manifest(&stolen, &image::tag(signed.manifest.digest())).unwrap();
    let raw = signed.store.get_manifest(&ManifestRef::Digest(bundle.digest)).unwrap();
    let mut manifest: Value = serde_json::from_slice(&raw.bytes).unwrap();
    manifest["subject"] = serde_json::to_value(signed.manifest.descriptor()).unwrap();
    let raw = RawManifest { bytes: serde_json::to_vec(&manifest).unwrap(), ..raw };
    signed.store.put_manifest(&raw, &ManifestRef::Digest(raw.digest())).unwrap();
    signed.assert_refused("classic", Format::Classic, &format!("the signature is for {named}"));
    signed.assert_refused("bundle", Format::Bundle, &format!("the signature is for {named}"));
}

#[test]
fn a_flipped_byte_in_a_blob_is_refused() {
    for (format, kind) in [(Format::Classic, "simple"), (Format::Bundle, "mediaType")] {
        let signed = signed_image();
        signed.store.tamper(|content| {
            let ours = |bytes: &&mut Vec<u8>| {
                let text = String::from_utf8_lossy(bytes);
                if kind == "simple" { text.contains("docker-reference") } else { text.contains("dsseEnvelope") }
            };
            let bytes = content.blobs.values_mut().find(ours).unwrap();
            bytes[20] ^= 1;
        });
        signed.assert_refused(kind, format, "changed or lost");
    }
}

#[test]
fn a_changed_classic_signature_is_refused_with_its_reason() {
    let table: [ClassicCase; 7] = [
        ("payload", |signed| signed.change_payload(|text| text.replace(":v1", ":v2"), None), "does not match"),
        ("strict", |signed| signed.change_payload(|text| text.replace("null", "1"), Some(&signed.key)), "damaged"),
        ("no digest", |signed| signed.change_payload(|text| text.replace("sha256:", "sha512:"), Some(&signed.key)), "damaged"),
        (
            "repository only",
            |signed| signed.change_payload(|text| text.replace(":v1", ""), Some(&signed.key)),
            "has no tag, so OpenShift's default policy (MatchRepoDigestOrExact) refuses it",
        ),
        ("signature", |signed| signed.change_signatures(flip_signature), "does not match"),
        (
            "base64",
            |signed| signed.change_signatures(|document, _| document["layers"][0]["annotations"][SIGNATURE] = "***".into()),
            "does not match",
        ),
        ("size", |signed| signed.change_signatures(|document, _| document["layers"][0]["size"] = (64 * 1024 + 1).into()), "too large"),
    ];
    for (what, change, expected) in table {
        let signed = signed_image();
        change(&signed);
        signed.assert_refused(what, Format::Classic, expected);
        assert_eq!(signed.refusals().len(), 1, "{what}: the bundle is still good");
    }
}

fn flip_signature(document: &mut Value, _: &mut Content) {
    let annotation = &mut document["layers"][0]["annotations"][SIGNATURE];
    let mut signature = STANDARD.decode(annotation.as_str().unwrap()).unwrap();
    signature[12] ^= 1;
    *annotation = STANDARD.encode(signature).into();
}

#[test]
fn a_changed_bundle_is_refused_with_its_reason() {
    let table: [BundleCase; 3] = [
        ("payload", |bundle| bundle["dsseEnvelope"]["payload"] = STANDARD.encode(b"{}").into(), "damaged"),
        ("signature", |bundle| bundle["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA".into(), "changed after signing"),
        ("media type", |bundle| bundle["mediaType"] = "x/y".into(), "x/y"),
    ];
    for (what, change, expected) in table {
        let signed = signed_image();
        signed.change_bundle(change);
        signed.assert_refused(what, Format::Bundle, expected);
    }
}

#[test]
fn what_strangers_add_cannot_take_away_a_good_signature() {
    let signed = signed_image();
    signed.change_signatures(|document, _| {
        let ours = document["layers"][0].clone();
        let mut broken = ours.clone();
        broken["annotations"][SIGNATURE] = "AAAA".into();
        let mut lost = ours.clone();
        lost["digest"] = Digest::of(b"lost").to_string().into();
        let squatter = json!({"mediaType": media_type::BUNDLE, "digest": Digest::of(b"x"), "size": 1});
        document["layers"] = json!([squatter, lost, broken, ours]);
    });
    assert_eq!(signed.refusals(), []);
}

#[test]
fn reports_keyless_signatures_as_another_kind() {
    let signed = signed_image();
    signed.change_signatures(|document, _| {
        document["layers"][0]["annotations"]["dev.sigstore.cosign/certificate"] = "PEM".into();
        document["layers"][0]["annotations"][SIGNATURE] = "AAAA".into();
    });
    signed.change_bundle(|bundle| bundle["verificationMaterial"] = json!({"certificate": {"rawBytes": "AAAA"}}));
    assert_eq!(reasons(&signed.refusals()), [Reason::NoSignature, Reason::Keyless, Reason::NoSignature, Reason::Keyless]);
}

#[test]
fn a_bundle_just_written_passes_though_the_list_is_not_fresh() {
    let signed = signed_image();
    let trusted = signed.trusted();
    let mut stale = Meddled::new(&signed.store);
    stale.referrers = Box::new(|_| Ok(Vec::new()));
    let request = |just_signed| VerifyRequest { store: &stale, just_signed, ..signed.request(&trusted) };
    assert_eq!(verify(&request(None)).unwrap().refusals().len(), 1);
    assert_eq!(verify(&request(Some(&signed.report))).unwrap().refusals(), []);
}

#[test]
fn a_bundle_counts_whatever_artifact_type_the_registry_lists() {
    let signed = signed(testing::index);
    for artifact_type in [Some(media_type::EMPTY), Some("application/vnd.model-signing.signature.v0.1"), Some(""), None] {
        let mut registry = Meddled::new(&signed.store);
        registry.referrers = Box::new(|subject| {
            let listed = signed.store.referrers(subject)?.into_iter();
            Ok(listed.map(|referrer| Descriptor { artifact_type: artifact_type.map(str::to_owned), ..referrer }).collect())
        });
        let trusted = signed.trusted();
        let request = VerifyRequest { store: &registry, ..signed.request(&trusted) };
        assert_eq!(verify(&request).unwrap().refusals(), [], "{artifact_type:?}");
    }
}

#[test]
fn without_a_key_or_with_a_name_that_cannot_be_compared_nothing_is_checked() {
    let signed = signed_image();
    let request = |trusted, identity| VerifyRequest { identity, ..signed.request(trusted) };
    let nobody = Trusted::default();
    assert!(matches!(verify(&request(&nobody, None)), Err(TrustError::NoKey)));
    let trusted = signed.trusted();
    assert!(matches!(verify(&request(&trusted, Some("q.io/org/iris"))), Err(TrustError::IdentityWithoutTag { .. })));
    assert!(matches!(verify(&request(&trusted, Some("iris"))), Err(TrustError::Identity { .. })));
}

/// To cosign 3 a signed review would pass for a signature.
#[test]
fn an_image_that_a_consumer_would_take_unsigned_is_refused_by_modelcar_itself() {
    let signed = signed_image();
    signed.store.tamper(|content| content.tags.clear());
    signed.change_bundle(|bundle| {
        let statement = dsse::statement(signed.manifest.digest(), "https://example.com/review", &json!({"good": true})).unwrap();
        let signature = signed.key.sign(&dsse::pae(dsse::PAYLOAD_TYPE, &statement));
        bundle["dsseEnvelope"]["payload"] = STANDARD.encode(statement).into();
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = STANDARD.encode(signature.unwrap()).into();
    });
    let trusted = signed.trusted();
    let review = [Requirement::new(AttestationKind::Other("https://example.com/review".to_owned()))];
    let request = VerifyRequest { consumers: &[Consumer::CosignV3], required: &review, ..signed.request(&trusted) };
    let report = verify(&request).unwrap();
    let cosign = report.judgements.iter().find(|judgement| judgement.consumer == Consumer::CosignV3).unwrap();
    assert!(cosign.accepts() && cosign.notes.contains(&"takes an attestation for a signature"), "{cosign:?}");
    let refusals = report.refusals();
    assert!(refusals.iter().all(|refusal| refusal.by == Demand::Signature), "{refusals:?}");
    assert_eq!(reasons(&refusals), [Reason::NoSignature, Reason::NoSignature, Reason::attestation("https://example.com/review")]);
    // and even nobody's consent is none
    let request = VerifyRequest { consumers: &[], ..request };
    assert_eq!(verify(&request).unwrap().refusals().len(), 3);
}

#[test]
fn an_attestation_that_is_asked_for_has_to_be_there() {
    let signed = signed_image();
    let trusted = signed.trusted();
    let required = [AttestationKind::Sbom, AttestationKind::ModelSigning].map(Requirement::new);
    let refusals = verify(&VerifyRequest { required: &required, ..signed.request(&trusted) }).unwrap().refusals();
    let texts: Vec<String> = refusals.iter().map(|refusal| format!("{}: {}", refusal.by, refusal.refused.objection)).collect();
    assert_eq!(texts, ["required: sbom is required, and none is attached", "required: model-signing is required, and none is attached"]);
}

#[test]
fn a_changed_layer_is_found_where_layers_are_asked_for() {
    let signed = signed(testing::index);
    signed.store.tamper(|content| {
        let layer = content.blobs.values_mut().find(|bytes| bytes.ends_with(b"arm64")).unwrap();
        layer[0] ^= 1;
    });
    assert_eq!(signed.refusals(), [], "signatures vouch for manifests");
    let (trusted, watch) = (signed.trusted(), Watch::silent());
    let report = verify(&VerifyRequest { layers: Some(&watch), ..signed.request(&trusted) }).unwrap();
    assert_eq!((report.refusals().len(), report.refusals()[0].by), (1, Demand::Layers));
}

#[test]
fn a_list_of_thousands_of_large_referrers_ends_in_an_error() {
    let signed = signed_image();
    let filler = " ".repeat(1 << 20);
    let mut registry = Meddled::new(&signed.store);
    registry.referrers = Box::new(|_| Ok((0..4096u32).map(|number| Descriptor::of(media_type::MANIFEST, &number.to_be_bytes())).collect()));
    registry.get_manifest = Box::new(|at| match at {
        ManifestRef::Digest(digest) if *digest != signed.manifest.digest() => {
            Ok(RawManifest { media_type: media_type::MANIFEST.to_owned(), bytes: filler.clone().into_bytes() })
        }
        at => signed.store.get_manifest(at),
    });
    let trusted = signed.trusted();
    let error = verify(&VerifyRequest { store: &registry, ..signed.request(&trusted) }).unwrap_err().to_string();
    assert!(error.contains("more than 33554432 bytes"), "{error}");
}
