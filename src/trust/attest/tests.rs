use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::attach::attest_with;
use super::*;
use crate::oci::{Annotations, Descriptor, ImageManifest, Timestamp, media_type};
use crate::trust::bundle::referrer;
use crate::trust::classic::image;
use crate::trust::testing::{self, Meddled, MemoryStore};
use crate::trust::{
    Consumer, Finding, PrivateKey, Reason, Says, Scope, SignRequest, TrustError, Trusted, Verdict, VerifyRequest, sign, verify,
};

const REVIEW: &str = "https://example.com/review";
const NAME: &str = "q.io/org/iris:v1";

fn key() -> Signer {
    Signer::Key(PrivateKey::generate().unwrap())
}

fn review(text: &str) -> Predicate {
    Predicate::parse(format!("custom={REVIEW}").parse().unwrap(), json!({"review": text}).to_string().as_bytes()).unwrap()
}

struct Asked<'a> {
    store: &'a dyn Store,
    manifest: &'a RawManifest,
    signer: &'a Signer,
    format: AttestationFormat,
    reach: Reach,
}

impl<'a> Asked<'a> {
    fn new(store: &'a dyn Store, manifest: &'a RawManifest, signer: &'a Signer) -> Self {
        Self { store, manifest, signer, format: AttestationFormat::Bundle, reach: Reach::Named }
    }

    fn in_format(self, format: AttestationFormat) -> Self {
        Self { format, ..self }
    }

    fn attest(&self, predicates: &[Predicate]) -> Result<AttestReport, TrustError> {
        let Self { store, manifest, signer, format, reach } = *self;
        attest_with(
            &AttestRequest {
                store,
                manifest: manifest.clone(),
                name: Some("q.io/org/iris"),
                predicates,
                signer,
                format,
                reach,
                just_signed: None,
            },
            &|_| (),
        )
    }
}

fn accepted(store: &dyn Store, digest: Digest, trusted: &Trusted) -> Vec<(AttachedAs, String)> {
    let found = attestations(store, digest, REVIEW, trusted).unwrap();
    let accepted = found.into_iter().filter(|one| matches!(one.verdict, Verdict::Accepted(_)));
    accepted.map(|one| (one.form, one.predicate.get().to_owned())).collect()
}

fn has_bundle_signature(store: &dyn Store, digest: Digest, trusted: &Trusted) -> bool {
    referrer::find(store, digest, trusted).unwrap().is_some()
}

#[test]
fn an_attestation_never_leaves_an_image_without_a_bundle_signature() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let report = Asked::new(&store, &manifest, &key).attest(&[review("good")]).unwrap();
    assert_eq!((report.signatures_added(), report.added()), (1, 1));
    assert_eq!(report.attachments[0].what, Attached::Signature, "the signature comes first");
    assert!(has_bundle_signature(&store, manifest.digest(), &key.trusted().unwrap()));
}

#[test]
fn if_the_signature_cannot_be_written_neither_is_the_attestation() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let before = store.content().manifests;
    let mut meddled = Meddled::new(&store);
    meddled.put_manifest =
        Box::new(|_, at| Err(crate::store::StoreError::ManifestNotFound { store: "x".to_owned(), manifest: at.clone() }));
    let error = Asked::new(&meddled, &manifest, &key).attest(&[review("good")]).unwrap_err();
    assert_eq!(error.exit_code(), crate::exit_code::UNSIGNED);
    assert!(store.content().manifests == before);
}

#[test]
fn a_signed_image_gets_no_second_signature() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::index(&store);
    sign(&SignRequest { store: &store, manifest: manifest.clone(), identities: &[NAME.to_owned()], signer: &key, scope: Scope::All })
        .unwrap();
    let report = Asked::new(&store, &manifest, &key).attest(&[review("good")]).unwrap();
    assert_eq!((report.signatures_added(), report.added()), (0, 1));
    let request = VerifyRequest {
        store: &store,
        manifest,
        trusted: &key.trusted().unwrap(),
        identity: Some(NAME),
        consumers: &Consumer::DEFAULT,
        required: &[],
        now: Timestamp::default(),
        layers: None,
        just_signed: None,
    };
    assert!(verify(&request).unwrap().refusals().is_empty());
}

#[test]
fn another_signers_bundle_signature_does_not_count() {
    let (store, key, other) = (MemoryStore::default(), key(), key());
    let manifest = testing::image(&store, "a");
    Asked::new(&store, &manifest, &other).attest(&[review("good")]).unwrap();
    let report = Asked::new(&store, &manifest, &key).attest(&[review("good")]).unwrap();
    assert_eq!((report.signatures_added(), report.added()), (1, 1));
}

#[test]
fn attesting_twice_adds_nothing_in_any_format() {
    for format in [AttestationFormat::Bundle, AttestationFormat::Att, AttestationFormat::Both] {
        let (store, key) = (MemoryStore::default(), key());
        let manifest = testing::index(&store);
        let asked = Asked { reach: Reach::Recursive, ..Asked::new(&store, &manifest, &key).in_format(format) };
        let first = asked.attest(&[review("good"), review("fine")]).unwrap();
        let before = store.content();
        let again = asked.attest(&[review("good"), review("fine")]).unwrap();
        assert_eq!((again.added(), again.signatures_added()), (0, 0), "{format}");
        assert_eq!(again.already_there(), first.added());
        assert!(store.content() == before, "something was written");
    }
}

#[test]
fn a_provenance_of_another_hour_is_the_same_one() {
    let slsa = |hour: &str| {
        let text = json!({"buildDefinition": {"buildType": "x", "externalParameters": {}},
            "runDetails": {"builder": {"id": "y"}, "metadata": {"startedOn": hour}}});
        Predicate::parse("slsa".parse().unwrap(), text.to_string().as_bytes()).unwrap()
    };
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let asked = Asked::new(&store, &manifest, &key).in_format(AttestationFormat::Both);
    assert_eq!(asked.attest(&[slsa("1")]).unwrap().added(), 2);
    assert_eq!(asked.attest(&[slsa("2")]).unwrap().added(), 0);
}

#[test]
fn all_forms_are_read_again_and_only_with_the_key() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    Asked::new(&store, &manifest, &key).in_format(AttestationFormat::Both).attest(&[review("good")]).unwrap();
    let said = json!({"review": "good"}).to_string();
    let expected = [(AttachedAs::Bundle, said.clone()), (AttachedAs::Att, said)];
    assert_eq!(accepted(&store, manifest.digest(), &key.trusted().unwrap()), expected);
    assert!(accepted(&store, manifest.digest(), &self::key().trusted().unwrap()).is_empty());
    assert_eq!(attestations(&store, manifest.digest(), REVIEW, &Trusted::default()).unwrap().len(), 2);
}

#[test]
fn only_what_is_named_is_attested_unless_all_is_asked_for() {
    for (reach, expected) in [(Reach::Named, [0, 0, 1]), (Reach::Recursive, [1, 1, 1])] {
        let (store, key) = (MemoryStore::default(), key());
        let index = testing::index(&store);
        Asked { reach, ..Asked::new(&store, &index, &key) }.attest(&[review("good")]).unwrap();
        let manifests = ["amd64", "arm64"].map(|name| testing::image(&store, name).digest()).into_iter().chain([index.digest()]);
        let counts: Vec<usize> = manifests.map(|digest| accepted(&store, digest, &key.trusted().unwrap()).len()).collect();
        assert_eq!(counts, expected);
        assert!(has_bundle_signature(&store, index.digest(), &key.trusted().unwrap()));
    }
}

#[test]
fn the_att_image_alone_switches_no_verifier_to_bundles() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let report = Asked::new(&store, &manifest, &key).in_format(AttestationFormat::Att).attest(&[review("good")]).unwrap();
    assert_eq!((report.added(), report.signatures_added()), (1, 0));
    assert!(store.referrers(&manifest.digest()).unwrap().is_empty());
}

#[test]
fn the_att_image_is_as_cosign_writes_it_and_keeps_what_others_put_there() {
    let (store, first, second) = (MemoryStore::default(), key(), key());
    let manifest = testing::image(&store, "a");
    for signer in [&first, &second] {
        Asked::new(&store, &manifest, signer).in_format(AttestationFormat::Att).attest(&[review("good")]).unwrap();
    }
    let raw = store.get_manifest(&image::attestations_tag(manifest.digest())).unwrap();
    let document: Value = serde_json::from_slice(&raw.bytes).unwrap();
    let layers = document["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for layer in layers {
        assert_eq!(layer["mediaType"], "application/vnd.dsse.envelope.v1+json");
        assert_eq!(layer["annotations"], json!({"dev.cosignproject.cosign/signature": "", "predicateType": REVIEW}));
        let envelope: Value = serde_json::from_slice(&store.content().blobs[&layer["digest"].as_str().unwrap().parse().unwrap()]).unwrap();
        let statement: Value = serde_json::from_slice(&STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap();
        assert_eq!(statement["subject"], json!([{"name": "q.io/org/iris", "digest": {"sha256": manifest.digest().hex()}}]));
    }
}

#[test]
fn a_predicate_that_does_not_fit_is_refused_before_anything_is_signed() {
    let (store, key) = (MemoryStore::default(), key());
    let manifest = testing::image(&store, "a");
    let before = store.content();
    // As a bill of materials that modelcar makes: nobody has asked for its size yet.
    let large = |size: usize| Predicate::of(REVIEW, &json!({"review": "x".repeat(size)})).unwrap();
    let fits = |size: usize| Asked::new(&store, &manifest, &key).attest(&[review("good"), large(size)]);
    let error = fits(767 << 10).unwrap_err();
    assert!(matches!(&error, TrustError::Predicate(why) if why.to_string().contains("at most")), "{error:?}");
    assert!(error.hint().unwrap().contains("digest"));
    assert!(store.content() == before);
    // What is not refused is read again.
    fits(743 << 10).unwrap();
    assert_eq!(accepted(&store, manifest.digest(), &key.trusted().unwrap()).len(), 2);
}

/// An `.att` image with one layer.
fn attach(store: &MemoryStore, digest: Digest, media_type: &str, bytes: &[u8], annotations: Annotations) {
    let layer = Descriptor::of(media_type, bytes).annotated(annotations);
    let config = Descriptor::of(media_type::CONFIG, b"{}");
    store.put_blob(&config, &b"{}".to_vec()).unwrap();
    store.put_blob(&layer.bare(), &bytes.to_vec()).unwrap();
    let raw = RawManifest::image(&ImageManifest::new(config, vec![layer])).unwrap();
    store.put_manifest(&raw, &image::attestations_tag(digest)).unwrap();
}

fn envelope_of(signer: &Signer, digest: Digest) -> Value {
    let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"name": "x", "digest": {"sha256": digest.hex()}}],
        "predicateType": REVIEW, "predicate": {"good": true}});
    serde_json::from_slice(&signer.sign_envelope(statement.to_string().as_bytes()).unwrap().0).unwrap()
}

#[test]
fn what_does_not_pass_is_told_with_its_reason() {
    let (signer, other) = (key(), key());
    let digest = Digest::of(b"image");
    let good = envelope_of(&signer, digest);
    let change = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let twice = json!([good["signatures"][0], good["signatures"][0]]);
    let keyless = Annotations::from([("dev.sigstore.cosign/certificate".to_owned(), "PEM".to_owned())]);
    let table = [
        (envelope_of(&other, digest), Annotations::new(), "another key"),
        (envelope_of(&other, digest), keyless, "keyless"),
        (envelope_of(&signer, Digest::of(b"other")), Annotations::new(), "the signature is for sha256:"),
        (change("/payloadType", json!("text/plain")), Annotations::new(), "`text/plain`, not an in-toto statement"),
        (change("/payload", json!("e30=")), Annotations::new(), "damaged"),
        (change("/payload", json!("%%")), Annotations::new(), "base64"),
        (change("/signatures", json!([])), Annotations::new(), "0 signatures"),
        (change("/signatures", twice), Annotations::new(), "2 signatures"),
        (json!([]), Annotations::new(), "damaged"),
    ];
    let store = MemoryStore::default();
    attach(&store, digest, media_type::DSSE_ENVELOPE, good.to_string().as_bytes(), Annotations::new());
    assert!(matches!(
        examine_attached(&store, digest, &signer.trusted().unwrap()).unwrap()[..],
        [Finding { verdict: Verdict::Accepted(_), .. }]
    ));
    for (envelope, annotations, expected) in table {
        attach(&store, digest, media_type::DSSE_ENVELOPE, envelope.to_string().as_bytes(), annotations);
        let findings = examine_attached(&store, digest, &signer.trusted().unwrap()).unwrap();
        let [Finding { verdict: Verdict::Refused(reason) | Verdict::Other(reason), .. }] = &findings[..] else { panic!("{findings:?}") };
        assert!(reason.to_string().contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn strangers_in_the_att_image_are_told_and_bounded() {
    let (store, digest) = (MemoryStore::default(), Digest::of(b"image"));
    attach(&store, digest, "text/plain", b"hello", Annotations::new());
    let findings = examine_attached(&store, digest, &Trusted::default()).unwrap();
    assert!(matches!(&findings[0].verdict, Verdict::Other(Reason::NotAttestation { media_type }) if media_type == "text/plain"));
    attach(&store, digest, media_type::DSSE_ENVELOPE, &vec![b' '; (1 << 20) + 1], Annotations::new());
    let findings = examine_attached(&store, digest, &Trusted::default()).unwrap();
    assert!(matches!(&findings[0], Finding { says: Says::Unknown, verdict: Verdict::Refused(Reason::TooLarge { .. }), .. }));
    let index = RawManifest { media_type: media_type::INDEX.to_owned(), bytes: br#"{"schemaVersion":2,"manifests":[]}"#.to_vec() };
    store.put_manifest(&index, &image::attestations_tag(digest)).unwrap();
    assert!(matches!(
        examine_attached(&store, digest, &Trusted::default()).unwrap()[0].verdict,
        Verdict::Refused(Reason::Malformed { .. })
    ));
}
